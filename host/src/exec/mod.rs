//! One root call, from its module to its outcome.
//!
//! Takes an action on a module and a snapshot of the state; gives an [`Execution`]. Nothing here decides what
//! a call means: that is `cotenant_submodules::calls`. Specification: `docs/spec/calls.md`.

use crate::action::PendingReceipt;
use cotenant_submodules::Namespace;
use cotenant_submodules::calls::{CallNode, Effects, Ledger};
use near_account_id::AccountId;
use near_crypto::PublicKey;
use near_vm_runner::logic::types::{PromiseResult, ReturnData};

/// Everything a root call may know of the world.
#[derive(Debug)]
pub struct CallContext {
    /// The account that runs.
    pub account: AccountId,
    /// Who signed the transaction.
    pub signer: AccountId,
    /// With which key.
    pub signer_key: PublicKey,
    /// Who called.
    pub predecessor: AccountId,
    /// Who gets refunds.
    pub refund_to: AccountId,
    /// The module.
    pub namespace: Namespace,
    /// The method, without its namespace.
    pub method: String,
    /// The input.
    pub input: Vec<u8>,
    /// Results of the promises this call was a callback of.
    pub promise_results: Vec<PromiseResult>,
    /// Height of the block.
    pub block_height: u64,
    /// Time of the block, in nanoseconds since 1970.
    pub block_timestamp: u64,
    /// Epoch of the block.
    pub epoch_height: u64,
    /// Balance of the account without the deposit, in yoctoNEAR.
    pub balance: u128,
    /// Locked balance of the account, in yoctoNEAR.
    pub locked_balance: u128,
    /// Storage of the account, in bytes.
    pub storage_usage: u64,
    /// Attached balance, in yoctoNEAR.
    pub deposit: u128,
    /// Prepaid gas.
    pub gas: u64,
    /// Seed of this action.
    pub random_seed: [u8; 32],
    /// A view: no effects, gas up to the limit of views.
    pub view: bool,
    /// Accounts that wait for the result (near-vm-runner charges for sending it to each).
    pub output_data_receivers: Vec<AccountId>,
}

/// Why a root call failed. The code is stable; the message is for people.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, borsh::BorshSerialize, borsh::BorshDeserialize,
)]
pub struct Abort {
    /// For instance `HostError.GasExceeded`, `WasmTrap.Unreachable`, `MethodResolveError.MethodNotFound`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// The namespace in which it happened.
    pub module: String,
}

/// How a root call ended.
#[derive(Debug)]
pub struct Execution {
    /// What it returned.
    pub return_data: ReturnData,
    /// Why it failed, if it did.
    pub abort: Option<Abort>,
    /// Gas burnt: `burnt_gas` of near-vm-runner's `VMOutcome`.
    pub gas_burnt: u64,
    /// Gas burnt and reserved for promises: `used_gas` of near-vm-runner's `VMOutcome`.
    pub gas_used: u64,
    /// Logs, of a failed call too.
    pub logs: Vec<String>,
    /// Effects to commit, if it succeeded.
    pub effects: Option<Effects<PendingReceipt>>,
    /// Balance and storage of the account after it.
    pub ledger: Ledger,
    /// Who called whom, and where the gas went.
    pub tree: CallNode,
    /// Why a native engine gave the call up, which then ran on the interpreter. Nothing else tells of it.
    pub gave_up: Option<GaveUp>,
}

mod external;
mod failure;
mod frame;
mod holdings;
mod near;
mod registers;
mod root;
mod session;
mod split;
mod sync;

pub use root::Rules;
pub use session::{Live, Progress, Session, SessionError};

use crate::HostFault;
use crate::deploy::ModuleSource;
use crate::engine::{EngineKind, GaveUp};
use crate::view::StateView;
use near_vm_runner::logic::errors::MethodResolveError;
use root::Stopped;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Root calls and sessions of this process whose native engine gave up.
static GAVE_UP: AtomicU64 = AtomicU64::new(0);

/// How many root calls and sessions of this process gave up on a native engine so far, for reasons of the machine. Root calls ran
/// again on the interpreter.
pub fn gave_up_count() -> u64 {
    GAVE_UP.load(Ordering::Relaxed)
}

fn note_gave_up() {
    GAVE_UP.fetch_add(1, Ordering::Relaxed);
}

/// Runs a root call: a `FunctionCall` action or a view. A call that a native engine gives up, for reasons of the machine, is
/// dropped whole and runs again on the interpreter: nothing of it is outside of its own `Root` before it
/// has ended.
///
/// # Errors
/// The host's own faults alone; what the guest does wrong is in the outcome.
pub fn execute(
    rules: &Arc<Rules>,
    state: Rc<dyn StateView>,
    modules: Rc<dyn ModuleSource>,
    engine: EngineKind,
    context: CallContext,
) -> Result<Execution, HostFault> {
    let (reason, context) = match execute_on(rules, state.clone(), modules.clone(), engine, context)
    {
        Ok(execution) => return Ok(execution),
        Err(Stopped::Fault(fault)) => return Err(fault),
        Err(Stopped::GaveUp(reason, context)) => (reason, context),
    };
    if engine == EngineKind::Wasmi {
        return Err(exhausted(reason));
    }
    note_gave_up();
    match execute_on(rules, state, modules, EngineKind::Wasmi, *context) {
        Ok(execution) => Ok(Execution { gave_up: Some(reason), ..execution }),
        Err(Stopped::Fault(fault)) => Err(fault),
        Err(Stopped::GaveUp(reason, _)) => Err(exhausted(reason)),
    }
}

/// There is no engine left that a call could be given to.
fn exhausted(reason: GaveUp) -> HostFault {
    HostFault::Machine(format!("it refuses what the interpreter needs: {reason}"))
}

fn execute_on(
    rules: &Arc<Rules>,
    state: Rc<dyn StateView>,
    modules: Rc<dyn ModuleSource>,
    engine: EngineKind,
    context: CallContext,
) -> Result<Execution, Stopped> {
    let root = root::Root::new(rules.clone(), state, modules, engine, context);
    let namespace = root.context.namespace.clone();
    let code = root.code(&namespace)?;
    let refused = match &code {
        None => Some(failure::Failure::Rule(
            "NamespaceNotFound",
            format!("`{}` has no module `{namespace}`", root.context.account),
        )),
        Some(code) if code.visibility == cotenant_submodules::Visibility::Private => {
            Some(failure::Failure::Rule(
                "PrivateModule",
                format!("`{namespace}` is private: only a sync call of its own account reaches it"),
            ))
        }
        Some(_) if root.context.method.is_empty() => {
            Some(MethodResolveError::MethodEmptyName.into())
        }
        Some(_) => None,
    };
    match (refused, code) {
        (None, Some(code)) => root.execute(&code),
        (refused, _) => {
            let failure = refused.unwrap_or(failure::Failure::Fault);
            Ok(Execution::refused(&root.context, &failure))
        }
    }
}

impl Execution {
    /// A call that ended before it began: nothing burnt, nothing done.
    fn refused(context: &CallContext, failure: &failure::Failure) -> Self {
        use cotenant_submodules::calls::{Ending, GasSplit};
        Self {
            return_data: ReturnData::None,
            abort: Some(failure.to_abort(context.namespace.as_str())),
            gas_burnt: 0,
            gas_used: 0,
            logs: Vec::new(),
            effects: None,
            ledger: Ledger {
                balance: context.balance.saturating_add(context.deposit),
                storage_usage: context.storage_usage,
                ..Ledger::default()
            },
            tree: CallNode {
                namespace: context.namespace.clone(),
                visibility: cotenant_submodules::Visibility::Public,
                method: context.method.clone(),
                count: 1,
                ending: Ending::Failed(failure.to_sync_error()),
                gas_burnt: 0,
                gas_used: 0,
                split: GasSplit::default(),
                yields: 0,
                reverted_logs: Vec::new(),
                texts_dropped: 0,
                callees: Vec::new(),
            },
            gave_up: None,
        }
    }
}

/// NEAR's results of promises cannot be cloned, but rebuilt.
fn clone_results(results: &[PromiseResult]) -> Arc<[PromiseResult]> {
    results
        .iter()
        .map(|result| match result {
            PromiseResult::NotReady => PromiseResult::NotReady,
            PromiseResult::Successful(bytes) => PromiseResult::Successful(bytes.clone()),
            PromiseResult::Failed => PromiseResult::Failed,
        })
        .collect()
}
