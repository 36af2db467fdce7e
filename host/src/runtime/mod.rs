//! Transactions and receipts: who pays for what, what runs when, and what a failure takes back.
//!
//! Takes a [`Transaction`]; gives a [`TransactionOutcome`] when everything that came of it has run. Prices,
//! refunds and the order of steps are NEAR's, of the chosen protocol version; what a function call does is
//! decided behind the trait [`Executor`], what code is fit to be deployed behind [`Deployer`].
//!
//! **Blocks** (`blocks`). A block takes transactions and runs the receipts that are due: those of its own transactions
//! whose signer is their receiver (NEAR's local receipts), then those that the block before created, first in, first
//! out. [`Runtime::execute`] makes a block of one transaction and blocks until nothing is on its way;
//! [`Runtime::make_block`] makes one of signed transactions at a time that it is given. Yields wait in the state and
//! [`Runtime::advance_blocks`] lets their time pass. Without a time given it is a function of the height:
//! [`GENESIS_NANOS`] plus [`BLOCK_NANOS`] a block.
//!
//! **Commits.** One a block; two if it has transactions and runs receipts. The queue is part of the state: after a crash,
//! or a fault of the disk, the next transaction first runs what is left of the ones before it.
//!
//! **History** (`history`). Blocks, outcomes and what takes a block back are kept beside the state, if asked for.
//!
//! **Faults.** A receipt in which the host finds a fault of its own, a panic included, ends as failed with
//! [`HOST_FAULT`] (`ending`), and the chain goes on. A fault of the disk or the machine ([`Halt`]) changes
//! nothing: the receipt stays in the queue. Work is marked while it runs ([`Watch`]), so that what kills the
//! process is known at the next start.
//!
//! **Not modelled**: validators (what is unlocked is back at once, there is no least stake), implicit accounts of
//! Ethereum's kind (a transfer to one fails), gas keys, the pessimistic gas price of protocols before 78 (it was refunded
//! anyway), congestion.

mod actions;
mod apply;
mod blocks;
mod call;
mod delegate;
mod ending;
mod errors;
mod history;
mod modules;
mod patch;
mod queue;
mod receipt;
mod report;
#[cfg(test)]
mod tests;
mod transaction;
mod validate;
mod watch;

pub use crate::fees::FeeItem;
pub use actions::{DELETION_STORAGE_BYTES_MAX, module_storage_bytes};
pub use blocks::BlockOutcome;
pub use ending::HOST_FAULT;
pub use errors::{ActionError, InvalidTransaction, RuntimeError};
pub(crate) use history::check_record as check_history_record;
pub use history::{
    BlockHeader, BlockRecord, BlockReference, FinalStatus, HistoryError, OutcomeRecord,
    TransactionRecord, UNDO_BLOCKS_MAX, UNDO_BYTES_MAX,
};
pub use patch::{Patch, PatchError};
pub(crate) use receipt::Queued;
pub use receipt::{
    ActionReceipt, DataReceiver, ExecutionSummary, Failure, PendingYield, Receipt, ReceiptBody,
    ReceiptOutcome, Status, TransactionOutcome,
};
pub use report::{FaultReport, REPORT_BYTES_MAX};
pub use transaction::{Transaction, TransactionStart};
pub use validate::{InvalidAction, VALIDITY_BLOCKS};
pub use watch::{Care, Marked, NoWatch, Watch, Work};

use crate::HostFault;
use crate::exec::{CallContext, Execution};
use crate::fault::{Halt, ReceiptFault};
use crate::state::{self, Account, Head, Store, WorkingState, keys, records};
use crate::view::StateView;
use cotenant_gas::Schedule;
use cotenant_submodules::{Namespace, Visibility};
use near_account_id::AccountId;
use near_crypto::{KeyType, PublicKey};
use near_primitives_core::hash::CryptoHash;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Price of gas, in yoctoNEAR: the least it can be on NEAR's main network.
pub const GAS_PRICE: u128 = 100_000_000;

/// Time of height 0, in nanoseconds since 1970: 2026-01-01T00:00:00Z.
pub const GENESIS_NANOS: u64 = 1_767_225_600_000_000_000;

/// Time between two blocks, in nanoseconds.
pub const BLOCK_NANOS: u64 = 1_000_000_000;

/// Length of an epoch, in blocks, as on NEAR's main network.
pub const EPOCH_BLOCKS: u64 = 43_200;

/// Runs a function call.
pub trait Executor {
    /// Runs a call over a state that does not move under it. The effects are in what it gives.
    ///
    /// # Errors
    /// The host's own fault; a guest's failure is in the [`Execution`].
    fn execute(
        &self,
        state: Rc<dyn StateView>,
        context: CallContext,
    ) -> Result<Execution, HostFault>;

    /// The same on the interpreter, for work that took the process down before.
    ///
    /// # Errors
    /// As [`Executor::execute`].
    fn execute_interpreted(
        &self,
        state: Rc<dyn StateView>,
        context: CallContext,
    ) -> Result<Execution, HostFault> {
        self.execute(state, context)
    }
}

/// Why code is not fit to be deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployRejection {
    /// The whole report, for people.
    pub text: String,
}

/// Decides whether code is fit to be deployed, and makes it ready to run.
pub trait Deployer {
    /// Validates and compiles code. It may be deployed, or not, after this: the same code may come again.
    ///
    /// # Errors
    /// The host's own fault; what is wrong with the code is a [`DeployRejection`].
    fn deploy(
        &self,
        code: &[u8],
        visibility: Visibility,
    ) -> Result<Result<(), DeployRejection>, HostFault>;

    /// Does ahead of time what [`Deployer::deploy`] would do with this code while the chain waits. Nobody waits here, and
    /// nothing comes of it but that.
    fn prepare(&self, code: &[u8], visibility: Visibility) {
        let _ = (code, visibility);
    }
}

/// What a runtime needs behind it: anything that runs calls and takes code.
pub trait Machine: Executor + Deployer {}

impl<T: Executor + Deployer> Machine for T {}

impl<T: Executor + ?Sized> Executor for Arc<T> {
    fn execute(
        &self,
        state: Rc<dyn StateView>,
        context: CallContext,
    ) -> Result<Execution, HostFault> {
        (**self).execute(state, context)
    }

    fn execute_interpreted(
        &self,
        state: Rc<dyn StateView>,
        context: CallContext,
    ) -> Result<Execution, HostFault> {
        (**self).execute_interpreted(state, context)
    }
}

impl<T: Deployer + ?Sized> Deployer for Arc<T> {
    fn deploy(
        &self,
        code: &[u8],
        visibility: Visibility,
    ) -> Result<Result<(), DeployRejection>, HostFault> {
        (**self).deploy(code, visibility)
    }

    fn prepare(&self, code: &[u8], visibility: Visibility) {
        (**self).prepare(code, visibility);
    }
}

/// A block that receipts run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub height: u64,
    /// Its time, in nanoseconds since 1970.
    pub timestamp: u64,
}

impl Block {
    /// The block of a height, on a chain whose time is a function of it.
    pub fn at(height: u64) -> Self {
        let timestamp = GENESIS_NANOS.saturating_add(height.saturating_mul(BLOCK_NANOS));
        Self { height, timestamp }
    }
}

/// Time of the last block; before the first one it is that of height 0.
fn time_of(head: &Head) -> u64 {
    if head.height == 0 { Block::at(0).timestamp } else { head.timestamp }
}

/// A chain of one node: a state, and what runs on it. One writer at a time; views run beside it.
#[derive(Debug)]
pub struct Runtime<M> {
    store: Arc<dyn Store>,
    schedule: Arc<Schedule>,
    machine: M,
    writer: Mutex<()>,
    /// Whether blocks, outcomes and undo are kept; the state says so, too.
    history: AtomicBool,
    watch: Arc<dyn Watch>,
}

impl<M: Machine> Runtime<M> {
    /// A runtime on a state, with the prices the state was created for.
    ///
    /// # Errors
    /// The store failed, or was created for another protocol version.
    pub fn new(
        store: Arc<dyn Store>,
        schedule: Arc<Schedule>,
        machine: M,
    ) -> Result<Self, HostFault> {
        let fixed = state::protocol(&*store)?;
        if fixed != schedule.protocol {
            let asked = schedule.protocol;
            return Err(HostFault::Bug(format!(
                "the state is of protocol {fixed}, the prices of {asked}"
            )));
        }
        let watch = Arc::new(NoWatch);
        let history = AtomicBool::new(history::is_kept(&*store)?);
        Ok(Self { store, schedule, machine, writer: Mutex::new(()), history, watch })
    }

    /// The same with somebody who keeps marks and reports of faults.
    #[must_use]
    pub fn watched(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch = watch;
        self
    }

    /// Who keeps marks and reports of faults.
    pub fn watch(&self) -> &dyn Watch {
        &*self.watch
    }

    /// What runs the calls.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The prices.
    pub fn schedule(&self) -> &Arc<Schedule> {
        &self.schedule
    }

    /// The state as it is now, to read.
    ///
    /// # Errors
    /// The store failed.
    pub fn state(&self) -> Result<WorkingState, HostFault> {
        WorkingState::of(&*self.store)
    }

    /// The last block.
    ///
    /// # Errors
    /// The store failed.
    pub fn head(&self) -> Result<Head, HostFault> {
        self.state()?.head()
    }

    /// Digest of the whole state.
    ///
    /// # Errors
    /// The store failed.
    pub fn digest(&self) -> Result<CryptoHash, HostFault> {
        state::digest(&*self.store)
    }

    /// Creates an account from nothing, with a balance in yoctoNEAR; tells whether it was new. Not an action:
    /// it is the embedder's.
    ///
    /// # Errors
    /// The account is `system`; the store failed.
    pub fn ensure_account(&self, id: &AccountId, balance: u128) -> Result<bool, RuntimeError> {
        if id.is_system() {
            return Err(InvalidTransaction::SystemAccount.into());
        }
        let _writer = self.write();
        let mut state = self.state()?;
        if state.account(id)?.is_some() {
            return Ok(false);
        }
        let storage_usage = self.schedule.fees.storage_usage_config.num_bytes_account;
        state.set_account(id, &Account { balance, locked: 0, storage_usage })?;
        self.commit_between(state)?;
        Ok(true)
    }

    /// Receipts that ended by a fault of the host, and the heights of their blocks.
    ///
    /// # Errors
    /// The store failed.
    pub fn faults(&self) -> Result<Vec<(CryptoHash, u64)>, HostFault> {
        ending::recorded(&self.state()?)
    }

    /// Tells of receipts that ended by a fault on the host whose chain is replayed here: they end so here too.
    ///
    /// # Errors
    /// The store failed.
    pub fn replay_faults(&self, faults: &[(CryptoHash, u64)]) -> Result<(), HostFault> {
        let _writer = self.write();
        let mut state = self.state()?;
        for (receipt, height) in faults {
            state.write(keys::faulted(receipt), height)?;
        }
        self.commit_between(state)
    }

    /// Calls a method and lets nothing come of it, on the state of the last block.
    ///
    /// # Errors
    /// The account does not exist; the host failed.
    pub fn view(
        &self,
        id: &AccountId,
        namespace: &Namespace,
        method: &str,
        args: &[u8],
        gas: u64,
    ) -> Result<Execution, RuntimeError> {
        self.view_on(&self.state()?, id, namespace, method, args, gas)
    }

    /// Calls a method on a state ([`Runtime::state_at`]) and lets nothing come of it. Any thread may do so at any time.
    ///
    /// # Errors
    /// The account does not exist; the host failed.
    pub fn view_on(
        &self,
        state: &WorkingState,
        id: &AccountId,
        namespace: &Namespace,
        method: &str,
        args: &[u8],
        gas: u64,
    ) -> Result<Execution, RuntimeError> {
        let missing = || InvalidTransaction::AccountDoesNotExist { account: id.clone() };
        let account = state.account(id)?.ok_or_else(missing)?;
        let head = state.head()?;
        let block = Block { height: head.height, timestamp: time_of(&head) };
        let context = CallContext {
            account: id.clone(),
            signer: id.clone(),
            signer_key: PublicKey::empty(KeyType::ED25519),
            predecessor: id.clone(),
            refund_to: id.clone(),
            namespace: namespace.clone(),
            method: method.to_owned(),
            input: args.to_vec(),
            promise_results: Vec::new(),
            block_height: block.height,
            block_timestamp: block.timestamp,
            epoch_height: block.height / EPOCH_BLOCKS,
            balance: account.balance,
            locked_balance: account.locked,
            storage_usage: account.storage_usage,
            deposit: 0,
            gas,
            random_seed: call::random_seed(block.height, &CryptoHash::default(), 0),
            view: true,
            output_data_receivers: Vec::new(),
        };
        let code = state.module(id, namespace)?.map(|module| module.code_hash);
        let asked = records::encode(&(id, namespace.as_str(), method, args, code))?;
        let work = Work::View(CryptoHash::hash_bytes(&asked));
        let marked = Marked::begin(&*self.watch, work)?;
        let view = state.view();
        let ran = ending::catch(|| match &marked.care {
            Care::Ordinary => self.machine.execute(view, context),
            Care::Interpreted => self.machine.execute_interpreted(view, context),
            Care::Condemned(cause) => {
                Err(HostFault::Bug(format!("the process died of this view: {cause}")))
            }
        });
        Ok(ran?)
    }

    // A writer that panicked has committed whole batches or nothing, so its lock is as good as released.
    fn write(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(
        &self,
        machine: &impl Machine,
        block: Block,
        state: &WorkingState,
        receipt: &Receipt,
    ) -> Result<(WorkingState, ReceiptOutcome), Result<ReceiptFault, Halt>> {
        let ran =
            ending::catch(|| apply::apply(machine, &self.schedule, block, state.clone(), receipt));
        ran.map_err(HostFault::split)
    }

    /// Ends a receipt by a fault, and keeps what reproduces it; of one that was recorded before, nothing.
    fn end_by_fault(
        &self,
        block: Block,
        state: &WorkingState,
        receipt: &Receipt,
        fault: Option<&ReceiptFault>,
    ) -> Result<(WorkingState, ReceiptOutcome), Halt> {
        if let Some(fault) = fault {
            let report =
                FaultReport::record(&self.machine, &self.schedule, block, state, receipt, fault);
            self.watch.keep(&report);
        }
        ending::end_by_fault(&self.machine, &self.schedule, block, state, receipt)
    }
}

/// A mark that cannot be written stops the host, whatever the fault is.
fn halting(fault: HostFault) -> Halt {
    fault.split().map_or_else(|halt| halt, |fault| Halt::Machine(fault.to_string()))
}

/// A machine whose calls run on the interpreter.
struct Interpreted<'a, M>(&'a M);

impl<M: Executor> Executor for Interpreted<'_, M> {
    fn execute(
        &self,
        state: Rc<dyn StateView>,
        context: CallContext,
    ) -> Result<Execution, HostFault> {
        self.0.execute_interpreted(state, context)
    }
}

impl<M: Deployer> Deployer for Interpreted<'_, M> {
    fn deploy(
        &self,
        code: &[u8],
        visibility: Visibility,
    ) -> Result<Result<(), DeployRejection>, HostFault> {
        self.0.deploy(code, visibility)
    }
}
