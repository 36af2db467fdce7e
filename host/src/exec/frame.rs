//! One frame while it runs: its meter, its registers, and the crossing into host functions.
//!
//! NEAR's counter is the truth about gas. The guest's own meter is set on every way in and burnt on every
//! way out, so that burnt gas, used gas and the kind of error are NEAR's to the unit
//! (`docs/spec/gas.md`, "The meter and the counter").

use super::failure::Failure;
use super::near::{self, NearError};
use super::root::{Mailbox, Root, pages_within};
use crate::deploy::Code;
use crate::engine::{Calls, Exit, Growth, Guest, PAGE_BYTES, Unwind};
use crate::fiber::{Signal, Suspender};
use cotenant_submodules::calls::{
    FrameId, GasReport, GasSplit, HostUse, LedgerChange, LedgerError,
};
use cotenant_submodules::table::{Group, HostFunctionId, InView, Provider};
use cotenant_submodules::{SyncExecutionError, Visibility};
use near_parameters::vm::LimitConfig;
use near_vm_runner::logic::errors::{FunctionCallError, MethodResolveError};
use near_vm_runner::logic::types::ReturnData;
use near_vm_runner::logic::{HostCtx, HostError, host};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// What a frame starts with.
pub(super) struct FrameInput<'y> {
    pub(super) input: Vec<u8>,
    pub(super) gas: u64,
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

/// Where the gas of a frame went, kept here while it runs: a frame has few host functions and calls them often.
#[derive(Default)]
struct Split {
    loading: u64,
    wasm: u64,
    memory: u64,
    host: Vec<(HostFunctionId, HostUse)>,
    /// What was noted last.
    last: Last,
    /// Burnt for callees since the frame began.
    callees: u64,
}

#[derive(Clone, Copy, Default)]
enum Last {
    #[default]
    Loading,
    Wasm,
    Memory,
    /// The position of a host function.
    Host(usize),
}

impl Split {
    fn note(&mut self, id: HostFunctionId, gas: u64) {
        let at = self.host.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
            self.host.push((id, HostUse::default()));
            self.host.len() - 1
        });
        if gas > 0 {
            self.last = Last::Host(at);
        }
        let entry = &mut self.host[at].1;
        entry.calls += 1;
        entry.gas += gas;
    }

    fn note_wasm(&mut self, gas: u64) {
        self.last = Last::Wasm;
        self.wasm += gas;
    }

    fn note_memory(&mut self, gas: u64) {
        if gas > 0 {
            self.last = Last::Memory;
        }
        self.memory += gas;
    }

    /// The split of a frame that burnt this much, callees included. A charge that exceeds the gas burns what there
    /// is, so where the gas ended less was burnt than noted, or more: what was reserved for promises is burnt with it.
    fn settled(mut self, burnt: u64) -> GasSplit {
        let own = burnt.saturating_sub(self.callees);
        let host: u64 = self.host.iter().map(|(_, usage)| usage.gas).sum();
        let noted = self.loading + self.wasm + self.memory + host;
        let last = match self.last {
            Last::Loading => &mut self.loading,
            Last::Wasm => &mut self.wasm,
            Last::Memory => &mut self.memory,
            Last::Host(at) => &mut self.host[at].1.gas,
        };
        *last = last.saturating_add(own).saturating_sub(noted);
        let named = self.host.into_iter().map(|(id, usage)| (id.row().name, usage));
        let (loading, wasm, memory) = (self.loading, self.wasm, self.memory);
        GasSplit { loading, wasm, memory, host: named.collect() }
    }
}

/// The registers of a private frame, of which most have one or two.
#[derive(Default)]
struct Registers {
    values: Vec<(u64, Vec<u8>)>,
    /// What they take up by NEAR's count: eight bytes each and their own.
    usage: u64,
}

impl Registers {
    fn get(&self, register: u64) -> Option<&[u8]> {
        let known = self.values.iter().find(|(known, _)| *known == register);
        known.map(|(_, bytes)| bytes.as_slice())
    }

    fn set(&mut self, register: u64, bytes: Vec<u8>, limits: &LimitConfig) -> Result<(), Failure> {
        let length = bytes.len() as u64;
        let at = self.values.iter().position(|(known, _)| *known == register);
        let before = at.map_or(0, |at| self.values[at].1.len() as u64 + 8);
        let usage = self.usage - before + length + 8;
        if length > limits.max_register_size
            || (at.is_none() && self.values.len() as u64 >= limits.max_number_registers)
            || usage > limits.registers_memory_limit
        {
            return Err(HostError::MemoryAccessViolation.into());
        }
        self.usage = usage;
        match at {
            Some(at) => self.values[at].1 = bytes,
            None => self.values.push((register, bytes)),
        }
        Ok(())
    }

    fn remove(&mut self, register: u64) {
        if let Some(at) = self.values.iter().position(|(known, _)| *known == register) {
            let (_, bytes) = self.values.swap_remove(at);
            self.usage -= bytes.len() as u64 + 8;
        }
    }
}

/// A running frame.
pub(super) struct Frame<'y, 'c> {
    pub(super) root: Rc<Root>,
    pub(super) id: FrameId,
    pub(super) ctx: HostCtx<'c>,
    pub(super) visibility: Visibility,
    input: Vec<u8>,
    prepaid: u64,
    /// Burnt on the counter without being work: reservations taken over, limits lowered.
    phantom: u64,
    /// Reservations taken over from callees.
    taken_over: u64,
    suspender: Option<(&'y Suspender, Rc<RefCell<Mailbox>>)>,
    /// Registers of a private frame.
    registers: Registers,
    returned: Option<Vec<u8>>,
    /// Bytes of the last switch that did not fit where they should go.
    pub(super) pending: Option<Vec<u8>>,
    /// What the guest's meter was set to.
    meter_set: u64,
    /// What the counter has as used, where nothing but burns of ours came since it was read.
    used: Option<u64>,
    split: Split,
    growth: Option<Arc<Growth>>,
    /// Pages of a private frame's memory that are paid for.
    pages_paid: u64,
    /// Whether a growth has been paid for.
    growth_paid: bool,
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
            input: input.input,
            prepaid: input.gas,
            phantom: 0,
            taken_over: 0,
            suspender: input.suspender,
            registers: Registers::default(),
            returned: None,
            pending: None,
            meter_set: 0,
            used: None,
            split: Split::default(),
            growth: None,
            pages_paid: 0,
            growth_paid: false,
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
        self.pages_paid = u64::from(code.initial_pages);
        self.limit_pages();
        if code.has_start {
            let gas = self.meter();
            let exit = instance.run(None, gas, self);
            self.left_guest(exit)?;
        }
        let gas = self.meter();
        let exit = instance.run(Some(method), gas, self);
        let result = self.left_guest(exit);
        let pages = u64::from(instance.pages());
        self.root.tree.borrow_mut().set_memory_bytes(self.id, pages * PAGE_BYTES);
        let grown = self.pay_growth(pages);
        result.and(grown)?;
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

    /// Pays for the pages that a private frame's memory has grown by, and for each time it grew. NEAR prices those of
    /// public ones: as an instruction.
    fn pay_growth(&mut self, pages: u64) -> Result<(), Failure> {
        let new = pages.saturating_sub(self.pages_paid);
        if new == 0 || self.visibility == Visibility::Public {
            return Ok(());
        }
        // The first growth costs the instance its place in the pool.
        let grown = if self.growth_paid { new } else { pages };
        self.pages_paid = pages;
        self.growth_paid = true;
        let before = self.used();
        let times = self.growth.as_ref().map_or(0, |growth| growth.take_times());
        let costs = self.root.schedule.sync;
        let times_gas = costs.memory_growth.saturating_mul(u64::from(times));
        let paid = self.burn(costs.grown_page.saturating_mul(grown).saturating_add(times_gas));
        let gas = self.used().saturating_sub(before);
        self.split.note_memory(gas);
        paid
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

    /// Gas reserved by the frame's own promises, from the receipts it created.
    fn reserved(&self) -> u64 {
        let tree = self.root.tree.borrow();
        let own = tree.effects(self.id).receipts.iter().fold(0_u64, |sum, receipt| {
            let reserved =
                crate::runtime::reserved(&self.root.schedule, &receipt.actions, &receipt.receiver);
            sum.saturating_add(if receipt.resumes().is_some() { 0 } else { reserved })
        });
        own.max(self.taken_over)
    }

    pub(super) fn near_failure(&self, error: NearError) -> Failure {
        match error {
            NearError::Guest(failure) => failure,
            NearError::Host(message) => self.root.fail(crate::HostFault::Engine(message)),
        }
    }

    // ---- memory ----

    /// Tells the engine how far the memory may grow now.
    fn limit_pages(&self) {
        if let Some(growth) = &self.growth {
            let allowed = self.root.tree.borrow().memory_bytes_allowed(self.id);
            growth.limit(pages_within(allowed));
        }
    }

    /// Bytes of memory, or of a register when the length is `u64::MAX`.
    pub(super) fn bytes(
        &mut self,
        memory: &[u8],
        length: u64,
        pointer: u64,
    ) -> Result<Vec<u8>, Failure> {
        if length != u64::MAX {
            return Ok(range(memory, length, pointer)?.to_vec());
        }
        if let Some(bytes) = self.registers.get(pointer) {
            return Ok(bytes.to_vec());
        }
        let Some(length) = self.ctx.register_len_free(pointer) else {
            return Err(HostError::InvalidRegisterId { register_id: pointer }.into());
        };
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.burn(self.root.rules.base)?;
        self.used = None;
        host::read_register(&mut self.ctx, &mut bytes, pointer, 0)
            .map_err(|error| self.near_failure(error.into()))?;
        Ok(bytes)
    }

    /// Length of what [`Frame::bytes`] would give, without reading it.
    pub(super) fn length(&self, length: u64, pointer: u64) -> u64 {
        if length != u64::MAX {
            return length;
        }
        let own = self.registers.get(pointer).map(|bytes| bytes.len() as u64);
        own.or_else(|| self.ctx.register_len_free(pointer)).unwrap_or(0)
    }

    /// Delivers bytes into a register: a private frame's are ours, a public one's are NEAR's, at NEAR's price.
    pub(super) fn set_register(
        &mut self,
        register: u64,
        mut bytes: Vec<u8>,
    ) -> Result<(), Failure> {
        if self.visibility == Visibility::Public {
            self.burn(self.root.rules.base)?;
            let length = bytes.len() as u64;
            self.used = None;
            return host::write_register(&mut self.ctx, &mut bytes, register, length, 0)
                .map_err(|error| self.near_failure(error.into()));
        }
        self.registers.set(register, bytes, &self.root.schedule.vm.limit_config)
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
            mailbox.memory_bytes = memory.len() as u64;
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
        self.pay_growth(memory.len() as u64 / PAGE_BYTES)?;
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
        if row.group == Group::Nested {
            // Callees came or went, and with them what the memory may grow to.
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
        if self.visibility == Visibility::Private
            && let Some(output) = row.output
        {
            // The register is NEAR's from here on.
            self.registers.remove(args[output]);
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

    /// The functions every private frame has, over registers of ours.
    fn private_core(
        &mut self,
        id: HostFunctionId,
        args: &[u64],
        memory: &mut [u8],
    ) -> Result<u64, Failure> {
        let costs = self.root.schedule.sync;
        let price =
            |length: u64| costs.register.saturating_add(costs.register_byte.saturating_mul(length));
        match id {
            HostFunctionId::Input => {
                self.burn(price(self.input.len() as u64))?;
                self.set_register(args[0], self.input.clone())?;
                Ok(0)
            }
            HostFunctionId::RegisterLen => {
                self.burn(costs.register)?;
                let own = self.registers.get(args[0]).map(|bytes| bytes.len() as u64);
                Ok(own.or_else(|| self.ctx.register_len_free(args[0])).unwrap_or(u64::MAX))
            }
            HostFunctionId::ReadRegister => {
                let Some(length) = self.registers.get(args[0]).map(<[u8]>::len) else {
                    return self.near(id, args, memory);
                };
                self.burn(price(length as u64))?;
                if let Some(bytes) = self.registers.get(args[0]) {
                    range_mut(memory, length as u64, args[1])?.copy_from_slice(bytes);
                }
                Ok(0)
            }
            HostFunctionId::ValueReturn => {
                let length = self.length(args[0], args[1]);
                self.burn(price(length))?;
                let limit = self.root.schedule.vm.limit_config.max_length_returned_data;
                if length > limit {
                    return Err(HostError::ReturnedValueLengthExceeded { length, limit }.into());
                }
                self.returned = Some(self.bytes(memory, args[0], args[1])?);
                Ok(0)
            }
            _ => self.near(id, args, memory),
        }
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

    fn stack_exhausted(&mut self, guest: Guest<'_>) -> Unwind {
        let burnt = self.burn_meter(*guest.gas);
        self.failure = Some(burnt.err().unwrap_or_else(|| HostError::MemoryAccessViolation.into()));
        Unwind
    }
}

/// A range of memory.
pub(super) fn range(memory: &[u8], length: u64, pointer: u64) -> Result<&[u8], Failure> {
    usize::try_from(pointer)
        .ok()
        .zip(pointer.checked_add(length).and_then(|end| usize::try_from(end).ok()))
        .and_then(|(start, end)| memory.get(start..end))
        .ok_or_else(|| HostError::MemoryAccessViolation.into())
}

/// A range of memory to write to.
pub(super) fn range_mut(
    memory: &mut [u8],
    length: u64,
    pointer: u64,
) -> Result<&mut [u8], Failure> {
    usize::try_from(pointer)
        .ok()
        .zip(pointer.checked_add(length).and_then(|end| usize::try_from(end).ok()))
        .and_then(|(start, end)| memory.get_mut(start..end))
        .ok_or_else(|| HostError::MemoryAccessViolation.into())
}
