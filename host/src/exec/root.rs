//! One root call: what its frames share, and the loop that switches between them.

use super::external::FrameExternal;
use super::failure::Failure;
use super::frame::{Ending, Frame, FrameInput};
use super::{CallContext, Execution};
use crate::HostFault;
use crate::action::{Action, PendingReceipt};
use crate::deploy::{Code, ModuleSource};
use crate::engine::{EngineError, EngineKind, GaveUp, PAGE_BYTES, outermost};
use crate::fiber::{Fiber, Signal, Step, Suspender};
use crate::view::StateView;
use cotenant_gas::Schedule;
use cotenant_submodules::calls::{
    CallLimits, CallTree, FrameId, GasReport, Ledger, LedgerError, LedgerLimits,
};
use cotenant_submodules::{Namespace, SyncExecutionError, Visibility};
use near_parameters::{ExtCosts, ExtCostsConfig};
use near_primitives_core::account::AccountContract;
use near_primitives_core::types::{Balance, Gas};
use near_vm_runner::logic::types::ReturnData;
use near_vm_runner::logic::{ExecutionResultState, GasCounter, HostCtx, VMContext};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The balance, in yoctoNEAR, and the bytes of storage that each frame's copy of NEAR's state begins with. NEAR's
/// functions count in them, a frame at a time, and cannot be told what a callee did; so nothing is ever decided or
/// answered by them. The ledger of the root call is, and these are so far from both ends that no frame's own
/// changes reach one: NEAR's arithmetic cannot fail, whatever the frames beside it did.
const NEAR_BALANCE: u128 = u128::MAX;
const NEAR_STORAGE_USAGE: u64 = 1 << 62;

/// What our own deploy functions want of the action that NEAR's deploy function is about to append.
pub(super) type Tag = Box<dyn FnOnce(Vec<u8>) -> Action>;

/// What does not change from call to call: prices and limits, ready for NEAR's host functions.
#[derive(Debug)]
pub struct Rules {
    /// Prices and limits.
    pub schedule: Arc<Schedule>,
    /// NEAR's prices with `base` at zero: it is paid by us, so that `used_gas` is a free and exact read.
    free_base: ExtCostsConfig,
    /// NEAR's `base`, in gas.
    pub(super) base: u64,
    /// Contract loading: for each byte, and once.
    loading: (u64, u64),
    /// Limits of a root call.
    pub limits: CallLimits,
}

impl Rules {
    /// The rules of a schedule.
    pub fn new(schedule: Arc<Schedule>) -> Self {
        let costs = &schedule.vm.ext_costs;
        let mut free_base = costs.clone();
        free_base.costs[ExtCosts::base].gas = Gas::ZERO;
        let price = |cost: ExtCosts| cost.gas(costs).as_gas();
        let limits = &schedule.vm.limit_config;
        let ledger = LedgerLimits {
            logs: limits.max_number_logs,
            log_bytes: limits.max_total_log_length,
            receipts: limits.max_promises_per_function_call_action,
        };
        Self {
            base: price(ExtCosts::base),
            loading: (
                price(ExtCosts::contract_loading_bytes),
                price(ExtCosts::contract_loading_base),
            ),
            limits: CallLimits::standard(ledger),
            free_base,
            schedule,
        }
    }
}

/// What the frames of a root call share.
pub(super) struct Root {
    pub(super) rules: Arc<Rules>,
    pub(super) schedule: Arc<Schedule>,
    pub(super) state: Rc<dyn StateView>,
    pub(super) modules: Rc<dyn ModuleSource>,
    pub(super) engine: EngineKind,
    pub(super) context: CallContext,
    pub(super) tree: RefCell<CallTree<PendingReceipt>>,
    /// The modules that were asked for: a call sees those of its start.
    codes: RefCell<BTreeMap<Namespace, Arc<Code>>>,
    /// Contexts of private callees that have ended. They differ in their gas.
    contexts: RefCell<Vec<VMContext>>,
    /// Opened and suspended callees, by the index of their frame; a boxed one moves as a pointer.
    live: RefCell<Vec<Option<Box<Live>>>>,
    /// A rule of ours broken inside of a NEAR function.
    pub(super) refused: RefCell<Option<SyncExecutionError>>,
    /// The ledger did not cover what a NEAR function did.
    pub(super) overdrawn: RefCell<Option<LedgerError>>,
    pub(super) tagged: RefCell<Option<Tag>>,
    pub(super) data_ids: Cell<u64>,
    /// Why the root call stops without an outcome, and in which module it was found.
    stop: RefCell<Option<(EngineError, Namespace)>>,
}

/// What passes between a frame and whoever resumes it.
#[derive(Default)]
pub(super) struct Mailbox {
    /// Bytes for the frame: arguments first, answers later.
    pub(super) inbox: Vec<u8>,
    /// Gas that the frame may use from here on.
    pub(super) allowance: u64,
    /// Bytes that the frame yields.
    pub(super) outbox: Vec<u8>,
    /// The frame's meter when it yielded.
    pub(super) report: GasReport,
    /// Its memory when it yielded.
    pub(super) memory_bytes: u64,
}

/// A callee that is opened or suspended.
struct Live {
    code: Arc<Code>,
    method: String,
    mailbox: Rc<RefCell<Mailbox>>,
    fiber: Option<Fiber<Ending>>,
}

/// Why a root call has no outcome.
pub(super) enum Stopped {
    /// A fault of the host's.
    Fault(HostFault),
    /// The engine gave up; this is the call, as it was.
    GaveUp(GaveUp, Box<CallContext>),
}

impl From<HostFault> for Stopped {
    fn from(fault: HostFault) -> Self {
        Self::Fault(fault)
    }
}

/// What a resumed callee did.
pub(super) enum Event {
    /// It yielded.
    Yielded(Vec<u8>, GasReport),
    /// It ended.
    Ended(Ending),
}

impl Root {
    pub(super) fn new(
        rules: Arc<Rules>,
        state: Rc<dyn StateView>,
        modules: Rc<dyn ModuleSource>,
        engine: EngineKind,
        context: CallContext,
    ) -> Rc<Self> {
        let ledger = Ledger {
            balance: context.balance.saturating_add(context.deposit),
            storage_usage: context.storage_usage,
            ..Ledger::default()
        };
        let tree = CallTree::new(
            rules.limits,
            context.namespace.clone(),
            &context.method,
            context.gas,
            ledger,
        );
        Rc::new(Self {
            schedule: rules.schedule.clone(),
            rules,
            state,
            modules,
            engine,
            context,
            tree: RefCell::new(tree),
            codes: RefCell::default(),
            contexts: RefCell::default(),
            live: RefCell::default(),
            refused: RefCell::default(),
            overdrawn: RefCell::default(),
            tagged: RefCell::default(),
            data_ids: Cell::new(0),
            stop: RefCell::default(),
        })
    }

    /// Notes that the root call stops without an outcome, as found in a frame. The first reason counts.
    pub(super) fn stop(&self, reason: impl Into<EngineError>, frame: FrameId) -> Failure {
        let namespace = || self.tree.borrow().namespace(frame).clone();
        self.stop.borrow_mut().get_or_insert_with(|| (reason.into(), namespace()));
        Failure::Fault
    }

    /// Notes a fault of the host; the root call ends with it.
    pub(super) fn fail(&self, fault: impl Into<EngineError>) -> Failure {
        self.stop(fault, FrameId::ROOT)
    }

    /// What stopped a frame that ended with [`Failure::Fault`].
    pub(super) fn take_stop(&self) -> EngineError {
        let missing = || EngineError::Fault(HostFault::Bug("a fault without a reason".into()));
        self.stop.borrow_mut().take().map_or_else(missing, |(reason, _)| reason)
    }

    /// Notes that the native code of a module gave up for its stack: it is not used again.
    fn retire(&self, namespace: &Namespace, reason: GaveUp) {
        if let Ok(Some(record)) = self.state.module(&self.context.account, namespace) {
            self.modules.retire(&record, &reason.to_string());
        }
    }

    /// The code of a namespace of this account.
    pub(super) fn code(&self, namespace: &Namespace) -> Result<Option<Arc<Code>>, HostFault> {
        if let Some(code) = self.codes.borrow().get(namespace) {
            return Ok(Some(code.clone()));
        }
        let Some(record) = self.state.module(&self.context.account, namespace)? else {
            return Ok(None);
        };
        let code = self.modules.code(&record, self.engine)?;
        self.codes.borrow_mut().insert(namespace.clone(), code.clone());
        Ok(Some(code))
    }

    /// Makes a callee ready to run.
    pub(super) fn prepare(&self, callee: FrameId, code: Arc<Code>, method: String) {
        let live = Live { code, method, mailbox: Rc::default(), fiber: None };
        let mut all = self.live.borrow_mut();
        if all.len() <= callee.index() {
            all.resize_with(callee.index() + 1, || None);
        }
        all[callee.index()] = Some(Box::new(live));
    }

    fn take_live(&self, callee: FrameId) -> Option<Box<Live>> {
        self.live.borrow_mut().get_mut(callee.index())?.take()
    }

    /// Runs a callee until it yields or ends.
    pub(super) fn resume(
        self: &Rc<Self>,
        callee: FrameId,
        bytes: Vec<u8>,
        allowance: u64,
    ) -> Result<Event, EngineError> {
        let Some(mut live) = self.take_live(callee) else {
            let message = format!("frame {} is not live", callee.index());
            return Err(HostFault::Bug(message).into());
        };
        {
            let mut mailbox = live.mailbox.borrow_mut();
            mailbox.inbox = bytes;
            mailbox.allowance = allowance;
        }
        let fiber = match &mut live.fiber {
            Some(fiber) => fiber,
            None => {
                let root = self.clone();
                let (code, method) = (live.code.clone(), live.method.clone());
                let mailbox = live.mailbox.clone();
                let fiber = Fiber::new(move |suspender, signal| match signal {
                    Signal::Go => root.run_callee(callee, &code, &method, suspender, mailbox),
                    Signal::Cancel => Ending::cancelled(),
                });
                let fiber = fiber.map_err(|_| GaveUp::FiberStack)?;
                live.fiber.insert(fiber)
            }
        };
        match outermost(|| fiber.resume(Signal::Go)) {
            Some(Step::Suspended) => {
                let (bytes, report, memory_bytes) = {
                    let mut mailbox = live.mailbox.borrow_mut();
                    (std::mem::take(&mut mailbox.outbox), mailbox.report, mailbox.memory_bytes)
                };
                self.tree.borrow_mut().set_memory_bytes(callee, memory_bytes);
                // `take_live` found it there.
                self.live.borrow_mut()[callee.index()] = Some(live);
                Ok(Event::Yielded(bytes, report))
            }
            Some(Step::Ended(ending)) => Ok(Event::Ended(ending)),
            None => Err(HostFault::Bug("a fiber was resumed after its end".into()).into()),
        }
    }

    /// Closes a live callee: its effects are dropped, the gas it burnt stays burnt.
    pub(super) fn close(&self, callee: FrameId) {
        let ending =
            self.take_live(callee).and_then(|mut live| live.fiber.take()).and_then(|mut fiber| {
                match outermost(|| fiber.resume(Signal::Cancel)) {
                    Some(Step::Ended(ending)) => Some(ending),
                    // A cancelled frame unwinds and ends; dropping the fiber insists.
                    _ => None,
                }
            });
        let logs = ending.map(|ending| ending.logs).unwrap_or_default();
        self.tree.borrow_mut().closed(callee, logs);
    }

    /// Closes everything live below a frame, leaves first.
    pub(super) fn close_below(&self, frame: FrameId) {
        let below = self.tree.borrow().live_below(frame);
        for callee in below {
            self.close(callee);
        }
    }

    fn run_callee(
        self: &Rc<Self>,
        callee: FrameId,
        code: &Arc<Code>,
        method: &str,
        suspender: &Suspender,
        mailbox: Rc<RefCell<Mailbox>>,
    ) -> Ending {
        let (input, gas) = {
            let mut mailbox = mailbox.borrow_mut();
            (std::mem::take(&mut mailbox.inbox), mailbox.allowance)
        };
        let suspender = Some((suspender, mailbox));
        let input = FrameInput { input, gas, reserved: Rc::default(), suspender };
        self.run_frame(callee, code, method, input)
    }

    /// The context of a private callee; it goes back to `contexts`.
    fn private_context(&self, frame: FrameId, gas: u64) -> VMContext {
        let spare = self.contexts.borrow_mut().pop();
        let mut context = spare.unwrap_or_else(|| self.vm_context(frame, &[], gas));
        context.prepaid_gas = Gas::from_gas(gas);
        context
    }

    fn vm_context(&self, frame: FrameId, input: &[u8], gas: u64) -> VMContext {
        let call = &self.context;
        let tree = self.tree.borrow();
        let callee = tree.entered_by_sync_call(frame);
        let public = tree.visibility(frame) == Visibility::Public;
        let deposit = if callee { 0 } else { call.deposit };
        let nobody = || call.account.clone();
        VMContext {
            current_account_id: call.account.clone(),
            signer_account_id: call.signer.clone(),
            signer_account_pk: borsh::to_vec(&call.signer_key).unwrap_or_default(),
            predecessor_account_id: if callee { nobody() } else { call.predecessor.clone() },
            refund_to_account_id: if callee { nobody() } else { call.refund_to.clone() },
            input: if public { input.into() } else { Rc::from([]) },
            promise_results: if callee {
                Arc::from([])
            } else {
                super::clone_results(&call.promise_results)
            },
            block_height: call.block_height,
            block_timestamp: call.block_timestamp,
            epoch_height: call.epoch_height,
            // Less the deposit, which NEAR adds.
            account_balance: Balance::from_yoctonear(NEAR_BALANCE - deposit),
            account_locked_balance: Balance::from_yoctonear(call.locked_balance),
            storage_usage: NEAR_STORAGE_USAGE,
            account_contract: AccountContract::None,
            attached_deposit: Balance::from_yoctonear(deposit),
            prepaid_gas: Gas::from_gas(gas),
            random_seed: call.random_seed.to_vec(),
            // Views are told by the table, so that gas can always be read (see `Rules`).
            view_config: None,
            output_data_receivers: if callee {
                Vec::new()
            } else {
                call.output_data_receivers.clone()
            },
        }
    }

    /// Runs a frame from its first instruction to its end, on the stack it is called on.
    pub(super) fn run_frame(
        self: &Rc<Self>,
        id: FrameId,
        code: &Arc<Code>,
        method: &str,
        input: FrameInput<'_>,
    ) -> Ending {
        let config = self.schedule.vm.clone();
        let is_view = self.context.view;
        let limit = config.limit_config.max_gas_burnt;
        let max_gas_burnt = if is_view { Gas::from_gas(input.gas) } else { limit };
        let counter = GasCounter::new(
            self.rules.free_base.clone(),
            max_gas_burnt,
            config.regular_op_cost,
            Gas::from_gas(input.gas),
            is_view,
        );
        // Only a sync call enters a private module.
        let private = self.tree.borrow().visibility(id) == Visibility::Private;
        let context = if private {
            self.private_context(id, input.gas)
        } else {
            self.vm_context(id, &input.input, input.gas)
        };
        let state = ExecutionResultState::new(&context, counter, config);
        let mut external = FrameExternal::new(self.clone(), id, input.reserved.clone());
        let ctx = HostCtx::new(&mut external, &context, self.schedule.fees.clone(), state);
        let mut frame = Frame::new(self.clone(), id, ctx, input);
        let result = frame.run(code, method, self.rules.loading);
        self.close_below(id);
        let ending = frame.end(result);
        if private {
            self.contexts.borrow_mut().push(context);
        }
        ending
    }

    /// Runs the root frame and gives the outcome.
    ///
    /// # Errors
    /// A fault of the host's, or the context of a call whose engine gave up, to run again on another.
    pub(super) fn execute(self: Rc<Self>, code: &Arc<Code>) -> Result<Execution, Stopped> {
        let input = FrameInput {
            input: self.context.input.clone(),
            gas: self.context.gas,
            reserved: Rc::default(),
            suspender: None,
        };
        let method = self.context.method.clone();
        let ending = outermost(|| self.run_frame(FrameId::ROOT, code, &method, input));
        self.live.borrow_mut().clear();
        let stop = self.stop.borrow_mut().take();
        if let Some((EngineError::GaveUp(reason @ GaveUp::Stack), namespace)) = &stop {
            self.retire(namespace, *reason);
        }
        let Ok(root) = Rc::try_unwrap(self) else {
            return Err(HostFault::Bug("a frame outlived its root call".into()).into());
        };
        match stop {
            None => Ok(root.finish(ending)),
            Some((EngineError::Fault(fault), _)) => Err(fault.into()),
            Some((EngineError::GaveUp(reason), _)) => {
                Err(Stopped::GaveUp(reason, Box::new(root.context)))
            }
        }
    }

    fn finish(self, ending: Ending) -> Execution {
        let tree = self.tree.into_inner();
        let namespace = self.context.namespace.as_str().to_owned();
        let result = match &ending.result {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.to_sync_error()),
        };
        let finished = tree.finish(result, ending.report, ending.logs);
        let used = ending.report.burnt.saturating_add(ending.report.reserved);
        let (return_data, abort) = match ending.result {
            Ok(data) => (data, None),
            Err(failure) => (ReturnData::None, Some(failure.to_abort(&namespace))),
        };
        Execution {
            return_data,
            abort,
            gas_burnt: ending.report.burnt,
            gas_used: used,
            logs: finished.logs,
            effects: finished.effects,
            ledger: finished.ledger,
            tree: finished.tree,
            gave_up: None,
        }
    }
}

/// Pages that a memory budget allows.
pub(super) fn pages_within(memory_bytes: u64) -> u32 {
    u32::try_from(memory_bytes / PAGE_BYTES).unwrap_or(u32::MAX)
}
