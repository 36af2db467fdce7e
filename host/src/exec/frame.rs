//! One frame while it runs: its meter, its registers, and the crossing into host functions.
//!
//! NEAR's counter is the truth about gas. The guest's own meter is set on every way in and burnt on every
//! way out, so that burnt gas, used gas and the kind of error are NEAR's to the unit
//! (`docs/spec/gas.md`, "The meter and the counter").

use super::failure::Failure;
use super::holdings::{range, range_mut};
use super::near::{self, NearError};
use super::registers::{RegisterLengths, Registers};
use super::root::{Mailbox, Root};
use super::split::Split;
use crate::deploy::Code;
use crate::engine::{Calls, Exit, Growth, Guest, PAGE_BYTES, Unwind};
use crate::fiber::{Signal, Suspender};
use cotenant_submodules::calls::{FrameId, GasReport, GasSplit, LedgerChange, LedgerError};
use cotenant_submodules::table::{Group, HostFunctionId, InView, Provider};
use cotenant_submodules::{SyncExecutionError, Visibility};
use near_vm_runner::logic::errors::{FunctionCallError, MethodResolveError};
use near_vm_runner::logic::types::ReturnData;
use near_vm_runner::logic::{HostCtx, HostError, host};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// What a frame starts with.
pub(super) struct FrameInput<'y> {
    pub(super) input: Vec<u8>,
    pub(super) gas: u64,
    /// Gas that the receipts which the frame makes have reserved so far.
    pub(super) reserved: Rc<Cell<u64>>,
    /// How to yield; `None` for a root call.
    pub(super) suspender: Option<(&'y Suspender, Rc<RefCell<Mailbox>>)>,
}

/// How a frame ended.
pub(super) struct Ending {
    pub(super) result: Result<ReturnData, Failure>,
    pub(super) report: GasReport,
    pub(super) logs: Vec<String>,
}

impl Ending {
    /// The end of a frame that never began.
    pub(super) fn cancelled() -> Self {
        Self { result: Err(Failure::Cancelled), report: GasReport::default(), logs: Vec::new() }
    }
}

/// A running frame.
pub(super) struct Frame<'y, 'c> {
    pub(super) root: Rc<Root>,
    pub(super) id: FrameId,
    pub(super) ctx: HostCtx<'c>,
    pub(super) visibility: Visibility,
    pub(super) input: Vec<u8>,
    /// Bytes of the input, wherever they are.
    pub(super) input_bytes: u64,
    /// Gas reserved by receipts that the frame has made itself.
    made_reserved: Rc<Cell<u64>>,
    prepaid: u64,
    /// Burnt on the counter without being work: reservations taken over, limits lowered.
    phantom: u64,
    /// Reservations taken over from callees.
    taken_over: u64,
    suspender: Option<(&'y Suspender, Rc<RefCell<Mailbox>>)>,
    /// Registers of a private frame.
    pub(super) registers: Registers,
    /// Length of the registers that NEAR's functions have written.
    pub(super) near_registers: RegisterLengths,
    /// Bytes of linear memory as the host function that runs found them.
    pub(super) memory_bytes: u64,
    pub(super) returned: Option<Vec<u8>>,
    /// Bytes of the last switch that did not fit where they should go.
    pub(super) pending: Option<Vec<u8>>,
    /// What the guest's meter was set to.
    meter_set: u64,
    /// What the counter has as used, where nothing but burns of ours came since it was read.
    pub(super) used: Option<u64>,
    split: Split,
    pub(super) growth: Option<Arc<Growth>>,
    /// Pages that the memory may grow to by what its module says.
    max_pages: u64,
    /// What the first growth costs besides its pages; 0 once it is paid.
    first_growth_gas: u64,
    /// Whether a growth has been paid for.
    has_grown: bool,
    /// Logs of its own that the ledger allowed.
    logs_seen: usize,
    /// Burnt for callees since the host function began.
    settled: u64,
    failure: Option<Failure>,
    /// A method that cannot be called burns nothing (protocols without `FixContractLoadingCost`).
    nothing_burnt: bool,
}

impl<'y, 'c> Frame<'y, 'c> {
    pub(super) fn new(
        root: Rc<Root>,
        id: FrameId,
        ctx: HostCtx<'c>,
        input: FrameInput<'y>,
    ) -> Self {
        let visibility = root.tree.borrow().visibility(id);
        Self {
            root,
            id,
            ctx,
            visibility,
            input_bytes: input.input.len() as u64,
            // NEAR's functions have a public frame's input in their context.
            input: if visibility == Visibility::Private { input.input } else { Vec::new() },
            made_reserved: input.reserved,
            prepaid: input.gas,
            phantom: 0,
            taken_over: 0,
            suspender: input.suspender,
            registers: Registers::default(),
            near_registers: RegisterLengths::default(),
            memory_bytes: 0,
            returned: None,
            pending: None,
            meter_set: 0,
            used: None,
            split: Split::default(),
            growth: None,
            max_pages: 0,
            first_growth_gas: 0,
            has_grown: false,
            logs_seen: 0,
            settled: 0,
            failure: None,
            nothing_burnt: false,
        }
    }

    // ---- the run ----

    /// Runs the method to its end.
    pub(super) fn run(
        &mut self,
        code: &Arc<Code>,
        method: &str,
        loading: (u64, u64),
    ) -> Result<ReturnData, Failure> {
        if self.visibility == Visibility::Public {
            let (per_byte, base) = loading;
            let before = self.used();
            let paid =
                self.burn(per_byte.saturating_mul(code.code_bytes)).and_then(|()| self.burn(base));
            self.split.loading = self.used() - before;
            // Running out here is always this error, whichever limit it was.
            paid.map_err(|_| HostError::GasExceeded)?;
        }
        let callable = match code.functions.get(method) {
            None => Err(MethodResolveError::MethodNotFound),
            Some(false) => Err(MethodResolveError::MethodInvalidSignature),
            Some(true) => Ok(()),
        };
        if let Err(error) = callable {
            self.nothing_burnt = !self.root.schedule.vm.fix_contract_loading_cost;
            return Err(error.into());
        }
        let mut instance = code
            .module
            .instance()
            .map_err(|error| self.root.stop(error, self.id))?
            .map_err(Failure::from)?;
        self.growth = Some(instance.growth());
        self.max_pages = u64::from(code.max_pages);
        self.first_growth_gas = self.root.schedule.sync.making(&code.parts);
        self.limit_pages();
        if code.has_start {
            let gas = self.meter();
            let exit = instance.run(None, gas, self);
            self.left_guest(exit)?;
        }
        let gas = self.meter();
        let exit = instance.run(Some(method), gas, self);
        self.left_guest(exit)?;
        Ok(match self.returned.take() {
            Some(bytes) => ReturnData::Value(bytes),
            None => ReturnData::None,
        })
    }

    /// The way out of a guest: burn what its meter used, unless a host function failed, where it is burnt.
    fn left_guest(&mut self, (exit, left): (Exit, u64)) -> Result<(), Failure> {
        match exit {
            Exit::Unwound => {
                let missing = || Failure::Rule("Unwound", "unwound without a reason".into());
                Err(self.failure.take().unwrap_or_else(missing))
            }
            Exit::GaveUp(reason) => Err(self.root.stop(reason, self.id)),
            Exit::Returned => self.burn_meter(left),
            Exit::Trapped(trap) => self.burn_meter(left).and(Err(trap.into())),
        }
    }

    /// Ends the frame: its meter, its logs, what it returned.
    pub(super) fn end(mut self, result: Result<ReturnData, Failure>) -> Ending {
        // NEAR's outcome comes with a profile of all costs, which takes its time. A private frame that succeeded
        // has no promises of its own and passed no limit: what the counter has as used is what it burnt.
        let plain = self.visibility == Visibility::Private && result.is_ok() && self.logs() == 0;
        let used = plain.then(|| self.used());
        let Self {
            root,
            id,
            ctx,
            phantom,
            taken_over,
            nothing_burnt,
            visibility,
            split,
            logs_seen,
            ..
        } = self;
        let (burnt, reserved, logs, returned) = match used {
            Some(used) => (used, 0, Vec::new(), ReturnData::None),
            None => {
                let mut outcome = ctx.into_result_state().compute_outcome();
                // NEAR's function has written a log that the ledger then refused.
                outcome.logs.truncate(logs_seen);
                let burnt = outcome.burnt_gas.as_gas();
                let reserved = outcome.used_gas.as_gas() - burnt;
                (burnt, reserved, outcome.logs, outcome.return_data)
            }
        };
        let report = if nothing_burnt {
            GasReport::default()
        } else {
            GasReport {
                burnt: burnt.saturating_sub(phantom),
                reserved: reserved.saturating_add(taken_over),
            }
        };
        let split = if nothing_burnt { GasSplit::default() } else { split.settled(report.burnt) };
        *root.tree.borrow_mut().split_mut(id) = split;
        let result = result.map(|data| match visibility {
            Visibility::Public => returned,
            Visibility::Private => data,
        });
        Ending { result, report, logs }
    }

    // ---- gas ----

    /// Gas that the counter has as used, reservations included. Free and exact.
    pub(super) fn used(&mut self) -> u64 {
        let Self { used, ctx, prepaid, .. } = self;
        // The only way to fail is a counter that is at its limit.
        *used.get_or_insert_with(|| host::used_gas(ctx, &mut []).unwrap_or(*prepaid))
    }

    /// Gas that the frame can still use.
    pub(super) fn left(&mut self) -> u64 {
        let held = self.root.tree.borrow().held(self.id);
        self.prepaid.saturating_sub(self.used()).saturating_sub(held)
    }

    /// What the guest's meter has to be set to on the way in.
    fn meter(&mut self) -> u64 {
        // The meter compares signed; no gas limit comes near.
        self.meter_set = self.left().min(i64::MAX as u64);
        self.meter_set
    }

    fn burn_meter(&mut self, left: u64) -> Result<(), Failure> {
        let burnt = self.meter_set.saturating_sub(left);
        self.meter_set = left;
        if burnt == 0 {
            return Ok(());
        }
        self.split.note_wasm(burnt);
        self.burn(burnt)
    }

    /// Burns gas.
    pub(super) fn burn(&mut self, gas: u64) -> Result<(), Failure> {
        match host::burn_gas(&mut self.ctx, &mut [], gas) {
            Ok(()) => {
                self.used = self.used.map(|used| used + gas);
                Ok(())
            }
            Err(error) => {
                self.used = None;
                Err(self.near_failure(error.into()))
            }
        }
    }

    /// Pays for pages that a private frame's memory of `now` pages is about to grow by. A growth that answers -1 is free. NEAR
    /// prices that of public frames: as an instruction.
    fn pay_growth(&mut self, new: u64, now: u64) -> Result<(), Failure> {
        let pages = now + new;
        let allowed = self.growth.as_ref().is_some_and(|growth| growth.allows(pages));
        if new == 0 || pages > self.max_pages || !allowed {
            return Ok(());
        }
        // The first growth costs the instance its place in the pool.
        let priced = if self.has_grown { new } else { pages };
        self.has_grown = true;
        let costs = self.root.schedule.sync;
        let gas = costs.grown_page.saturating_mul(priced).saturating_add(costs.memory_growth);
        let gas = gas.saturating_add(std::mem::take(&mut self.first_growth_gas));
        let before = self.used();
        let paid = self.burn(gas);
        let gas = self.used().saturating_sub(before);
        self.split.note_memory(gas);
        paid.and_then(|()| self.check_held())
    }

    /// Burns what a callee burnt, and takes over what it reserved.
    pub(super) fn settle(&mut self, burn: u64, take_over: u64) -> Result<(), Failure> {
        self.settled += burn + take_over;
        self.split.callees += burn;
        self.burn(burn)?;
        if take_over > 0 {
            self.burn(take_over)?;
            self.phantom += take_over;
            self.taken_over += take_over;
        }
        Ok(())
    }

    /// Lowers the frame's limit to what it may use from here on.
    fn lower_to(&mut self, allowance: u64) -> Result<(), Failure> {
        let left = self.prepaid.saturating_sub(self.used());
        let excess = left.saturating_sub(allowance);
        if excess > 0 {
            self.settled += excess;
            self.burn(excess)?;
            self.phantom += excess;
        }
        Ok(())
    }

    /// Gas reserved by promises: the frame's own, and those of callees that succeeded.
    fn reserved(&self) -> u64 {
        self.made_reserved.get().saturating_add(self.taken_over)
    }

    pub(super) fn near_failure(&self, error: NearError) -> Failure {
        match error {
            NearError::Guest(failure) => failure,
            NearError::Host(message) => self.root.fail(crate::HostFault::Engine(message)),
        }
    }

    // ---- yields ----

    /// Gives bytes to the caller and waits for its answer.
    pub(super) fn suspend(&mut self, bytes: Vec<u8>, memory: &[u8]) -> Result<Vec<u8>, Failure> {
        let Some((suspender, mailbox)) = self.suspender.clone() else {
            let message = "`callback` in a module that no sync call entered".to_owned();
            return Err(Failure::Rule("CallbackOutsideSyncCall", message));
        };
        let reserved = self.reserved();
        let used = self.used();
        {
            let mut mailbox = mailbox.borrow_mut();
            mailbox.outbox = bytes;
            mailbox.memory_bytes = memory.len() as u64 + self.held_bytes();
            // What the counter has as used is burnt work, phantoms and own reservations.
            let own_reserved = reserved - self.taken_over;
            mailbox.report = GasReport {
                burnt: used.saturating_sub(self.phantom).saturating_sub(own_reserved),
                reserved,
            };
        }
        if suspender.suspend(()) == Signal::Cancel {
            return Err(Failure::Cancelled);
        }
        let (answer, allowance) = {
            let mut mailbox = mailbox.borrow_mut();
            (std::mem::take(&mut mailbox.inbox), mailbox.allowance)
        };
        self.limit_pages();
        self.lower_to(allowance)?;
        Ok(answer)
    }

    // ---- host functions ----

    fn cross(
        &mut self,
        id: HostFunctionId,
        args: &[u64],
        memory: &mut [u8],
        left: u64,
    ) -> Result<u64, Failure> {
        self.burn_meter(left)?;
        self.memory_bytes = memory.len() as u64;
        let held = self.held_bytes();
        let row = id.row();
        // The split speaks of burnt gas: what a promise reserves is not.
        let reserves = self.visibility == Visibility::Public && row.name.starts_with("promise_");
        let reserved = |frame: &Self| if reserves { frame.reserved() } else { 0 };
        let before = self.used().saturating_sub(reserved(self));
        self.settled = 0;
        let result = self.dispatch(id, args, memory);
        let after = self.used().saturating_sub(reserved(self));
        let gas = after.saturating_sub(before).saturating_sub(self.settled);
        self.split.note(id, gas);
        if row.group == Group::Nested || self.held_bytes() != held {
            // What is held came or went, and with it what the memory may grow to.
            self.limit_pages();
        }
        // Taken in any case: what is left here would end a frame that did nothing wrong.
        let overdrawn = if self.visibility == Visibility::Public {
            self.root.overdrawn.borrow_mut().take()
        } else {
            None
        };
        self.charge_logs(row.group)?;
        // NEAR deducts a deposit before it appends the action, and checks the other limits last.
        if overdrawn == Some(LedgerError::BalanceExceeded) {
            return Err(LedgerError::BalanceExceeded.into());
        }
        let value = result?;
        if let Some(error) = overdrawn {
            return Err(error.into());
        }
        self.check_held()?;
        Ok(value)
    }

    fn dispatch(
        &mut self,
        id: HostFunctionId,
        args: &[u64],
        memory: &mut [u8],
    ) -> Result<u64, Failure> {
        let row = id.row();
        if row.provider == Provider::Cotenant {
            if let (true, InView::Forbidden(name)) = (self.root.context.view, row.view) {
                return Err(HostError::ProhibitedInView { method_name: name.to_owned() }.into());
            }
            return self.sync_function(id, args, memory);
        }
        if self.visibility == Visibility::Private && row.group == Group::Core {
            return self.private_core(id, args, memory);
        }
        match id {
            HostFunctionId::PromiseCreate => {
                self.near_in_parts(HostFunctionId::PromiseBatchCreate, args, 2, memory)
            }
            HostFunctionId::PromiseThen => {
                self.near_in_parts(HostFunctionId::PromiseBatchThen, args, 3, memory)
            }
            _ => self.near(id, args, memory),
        }
    }

    /// A NEAR function that is two others, each of which charges `base`.
    fn near_in_parts(
        &mut self,
        first: HostFunctionId,
        args: &[u64],
        first_args: usize,
        memory: &mut [u8],
    ) -> Result<u64, Failure> {
        let promise = self.near(first, &args[..first_args], memory)?;
        let mut rest = vec![promise];
        rest.extend_from_slice(&args[first_args..]);
        self.near(HostFunctionId::PromiseBatchActionFunctionCall, &rest, memory)?;
        Ok(promise)
    }

    /// Calls a NEAR function: `base` first, then whether a view may, then NEAR's own code.
    pub(super) fn near(
        &mut self,
        id: HostFunctionId,
        args: &[u64],
        memory: &mut [u8],
    ) -> Result<u64, Failure> {
        let row = id.row();
        if row.base {
            self.burn(self.root.rules.base)?;
        }
        if let (true, InView::Forbidden(name)) = (self.root.context.view, row.view) {
            return Err(HostError::ProhibitedInView { method_name: name.to_owned() }.into());
        }
        if id == HostFunctionId::PromiseReturn
            && self.root.tree.borrow().entered_by_sync_call(self.id)
        {
            let message =
                "`promise_return` in a sync call: only a root call has receivers".to_owned();
            return Err(Failure::Rule("PromiseReturnInSyncCall", message));
        }
        let usage = matches!(id, HostFunctionId::StorageWrite | HostFunctionId::StorageRemove)
            .then(|| self.storage_usage());
        self.used = None;
        let value = near::call(id, &mut self.ctx, memory, args);
        if self.visibility == Visibility::Public
            && let Some(refused) = self.root.refused.borrow_mut().take()
        {
            let SyncExecutionError::HostError(_) = refused else {
                return Err(Failure::Rule("StorageRefused", refused.to_string()));
            };
            let message = "a live callee runs in this namespace; it would lose what is written now";
            return Err(Failure::Rule("NamespaceBusy", message.to_owned()));
        }
        let value =
            value.map_err(|error| self.near_failure(error)).map_err(|failure| match failure {
                // NEAR deducts the amount before it looks at the key.
                Failure::Near(FunctionCallError::HostError(HostError::InvalidPublicKey))
                    if id == HostFunctionId::PromiseBatchActionTransferToGasKey
                        && self.exceeds_balance(memory, args[3]) =>
                {
                    HostError::BalanceExceeded.into()
                }
                failure => failure,
            })?;
        if let Some(before) = usage {
            let storage = self.storage_usage().wrapping_sub(before) as i64;
            let change = LedgerChange { storage, ..LedgerChange::default() };
            self.root.tree.borrow_mut().charge_ledger(self.id, change)?;
        }
        if let Some(output) = row.output {
            if self.visibility == Visibility::Private {
                // The register is NEAR's from here on.
                self.registers.remove(args[output]);
            }
            self.note_near_register(args[output])?;
        }
        self.answer_from_ledger(id, args, memory, value)
    }

    /// Whether an amount of 16 bytes in memory is more than the account has.
    fn exceeds_balance(&self, memory: &[u8], pointer: u64) -> bool {
        let amount = range(memory, 16, pointer).ok().and_then(|bytes| bytes.try_into().ok());
        amount.map(u128::from_le_bytes) > Some(self.root.tree.borrow().ledger().balance)
    }

    /// Storage usage as NEAR's own counter has it: only its changes mean something (`root::NEAR_STORAGE_USAGE`).
    fn storage_usage(&mut self) -> u64 {
        host::storage_usage(&mut self.ctx, &mut []).unwrap_or(0)
    }

    /// What belongs to the whole root call is answered from the ledger, at NEAR's price.
    fn answer_from_ledger(
        &self,
        id: HostFunctionId,
        args: &[u64],
        memory: &mut [u8],
        value: u64,
    ) -> Result<u64, Failure> {
        let ledger = || *self.root.tree.borrow().ledger();
        match id {
            HostFunctionId::StorageUsage => Ok(ledger().storage_usage),
            HostFunctionId::AccountBalance => {
                let bytes = ledger().balance.to_le_bytes();
                range_mut(memory, 16, args[0])?.copy_from_slice(&bytes);
                Ok(value)
            }
            HostFunctionId::UsedGas => Ok(value.saturating_sub(self.phantom - self.taken_over)),
            _ => Ok(value),
        }
    }

    /// Charges the ledger for what a host function logged, be it that it failed (`abort` logs and fails). A log
    /// that the ledger does not allow was never written.
    fn charge_logs(&mut self, group: Group) -> Result<(), Failure> {
        if !matches!(group, Group::Log | Group::End) {
            return Ok(());
        }
        let logs = self.ctx.result_state().logs();
        let new = &logs[self.logs_seen.min(logs.len())..];
        let change = LedgerChange {
            logs: new.len() as u64,
            log_bytes: new.iter().map(|log| log.len() as u64).sum(),
            ..LedgerChange::default()
        };
        self.root.tree.borrow_mut().charge_ledger(self.id, change)?;
        self.logs_seen = logs.len();
        Ok(())
    }

    /// What every host function ends with: gas held for live callees is not overdrawn.
    fn check_held(&mut self) -> Result<(), Failure> {
        let held = self.root.tree.borrow().held(self.id);
        if held > 0 && self.used().saturating_add(held) > self.prepaid {
            return Err(HostError::GasExceeded.into());
        }
        Ok(())
    }

    /// Number of logs of the frame's own so far.
    pub(super) fn logs(&self) -> usize {
        self.ctx.result_state().logs().len()
    }
}

impl Calls for Frame<'_, '_> {
    fn host_function(
        &mut self,
        id: HostFunctionId,
        args: &[u64],
        guest: Guest<'_>,
    ) -> Result<u64, Unwind> {
        match self.cross(id, args, guest.memory, *guest.gas) {
            Ok(value) => {
                *guest.gas = self.meter();
                Ok(value)
            }
            Err(failure) => {
                self.failure = Some(failure);
                Err(Unwind)
            }
        }
    }

    fn gas_exhausted(&mut self, charge: u64, guest: Guest<'_>) -> Result<(), Unwind> {
        let result = self.burn_meter(*guest.gas).and_then(|()| {
            self.split.note_wasm(charge);
            self.used = None;
            host::finite_wasm_gas(&mut self.ctx, &mut [], charge)
                .map_err(|error| self.near_failure(error.into()))?;
            if self.root.tree.borrow().held(self.id) > 0 && self.left() == 0 {
                return Err(HostError::GasExceeded.into());
            }
            Ok(())
        });
        match result {
            Ok(()) => {
                *guest.gas = self.meter();
                Ok(())
            }
            Err(failure) => {
                self.failure = Some(failure);
                Err(Unwind)
            }
        }
    }

    fn memory_growing(&mut self, pages: u32, guest: Guest<'_>) -> Result<(), Unwind> {
        let now = guest.memory.len() as u64 / PAGE_BYTES;
        let paid = self.burn_meter(*guest.gas).and_then(|()| self.pay_growth(pages.into(), now));
        match paid {
            Ok(()) => {
                *guest.gas = self.meter();
                Ok(())
            }
            Err(failure) => {
                self.failure = Some(failure);
                Err(Unwind)
            }
        }
    }

    fn stack_exhausted(&mut self, guest: Guest<'_>) -> Unwind {
        let burnt = self.burn_meter(*guest.gas);
        self.failure = Some(burnt.err().unwrap_or_else(|| HostError::MemoryAccessViolation.into()));
        Unwind
    }
}
