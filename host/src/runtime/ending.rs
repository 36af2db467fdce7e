//! How a receipt ends in which the host found a fault of its own.
//!
//! The ending is computed from the receipt alone: it fails, its deposit comes back, its prepaid gas is burnt
//! whole, whoever waits for its result learns that it failed. It is written into the state under the id of the
//! receipt, and where such an entry is found before a receipt runs, the receipt ends in this way without
//! running: a host that replays the chain ends it as the first one did.

use crate::HostFault;
use crate::fault::Halt;
use crate::fees::{self, FeeItem};
use crate::runtime::apply::Run;
use crate::runtime::errors::ActionError;
use crate::runtime::receipt::{Failure, Receipt, ReceiptBody, ReceiptOutcome, Status};
use crate::runtime::{Block, Machine};
use crate::state::{WorkingState, keys, records};
use cotenant_gas::Schedule;
use near_primitives_core::hash::CryptoHash;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Stable code of a receipt that ended by a fault of the host ([`ActionError::HostFault`]).
pub const HOST_FAULT: &str = "HostFault";

/// Name of the fee under which the gas of calls is burnt that did not run to their end.
const UNSPENT_FEE: &str = "host_fault";

/// Runs `f`; a panic is a fault like any other.
pub(super) fn catch<T>(f: impl FnOnce() -> Result<T, HostFault>) -> Result<T, HostFault> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result,
        Err(payload) => Err(HostFault::of_panic(&*payload)),
    }
}

/// Whether a receipt is known to have ended by a fault, here or on the host whose chain is replayed.
pub(super) fn is_recorded(state: &WorkingState, receipt: &Receipt) -> Result<bool, HostFault> {
    Ok(state.get(&keys::faulted(&receipt.id))?.is_some())
}

/// The receipts that are known to have ended by a fault, and the heights of their blocks.
pub(super) fn recorded(state: &WorkingState) -> Result<Vec<(CryptoHash, u64)>, HostFault> {
    let prefix = keys::all_faulted();
    let mut found = Vec::new();
    state.scan(&prefix, |key, value| {
        let id = CryptoHash::try_from(&key[prefix.len()..]);
        let id = id.map_err(|_| records::damaged(key, "no receipt id"))?;
        found.push((id, records::decode(key, value)?));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Ends a receipt of actions that the host failed to run. `state` is the one it would have run on.
///
/// # Errors
/// The disk fails.
pub(super) fn end_by_fault<M: Machine>(
    machine: &M,
    schedule: &Schedule,
    block: Block,
    state: &WorkingState,
    receipt: &Receipt,
) -> Result<(WorkingState, ReceiptOutcome), Halt> {
    let ended = catch(|| end(machine, schedule, block, state.clone(), receipt));
    match ended.map_err(HostFault::split) {
        Ok(done) => Ok(done),
        Err(Err(halt)) => Err(halt),
        // Not even its refunds can be worked out: it goes without any.
        Err(Ok(_)) => {
            let mut state = state.clone();
            state.put(keys::faulted(&receipt.id), block.height.to_le_bytes().to_vec());
            Ok((state, bare_outcome(block, receipt)))
        }
    }
}

fn end<M: Machine>(
    machine: &M,
    schedule: &Schedule,
    block: Block,
    mut state: WorkingState,
    receipt: &Receipt,
) -> Result<(WorkingState, ReceiptOutcome), HostFault> {
    let ReceiptBody::Actions(body) = &receipt.body else {
        return Err(HostFault::Bug("a receipt without actions has no ending".into()));
    };
    for data_id in &body.inputs {
        state.delete(keys::received(&receipt.receiver, data_id));
    }
    state.write(keys::faulted(&receipt.id), &block.height)?;
    let checkpoint = state.checkpoint();
    let mut run = Run::new(machine, schedule, block, receipt, body, state, Vec::new());
    run.charge(fees::execute_receipt(schedule));
    for action in &body.actions {
        run.charge(fees::execute(schedule, action, &receipt.receiver));
    }
    let prepaid = fees::prepaid(schedule, &body.actions, &receipt.receiver);
    let unspent = prepaid.saturating_sub(run.gas_burnt);
    if unspent > 0 {
        run.charge(vec![FeeItem { name: UNSPENT_FEE.into(), gas: unspent }]);
    }
    run.finish(Err(failure(receipt)), true, checkpoint)
}

fn failure(receipt: &Receipt) -> Failure {
    Failure::new(ActionError::HostFault { receipt: receipt.id }, None)
}

fn bare_outcome(block: Block, receipt: &Receipt) -> ReceiptOutcome {
    ReceiptOutcome {
        id: receipt.id,
        transaction: receipt.transaction,
        predecessor: receipt.predecessor.clone(),
        receiver: receipt.receiver.clone(),
        block_height: block.height,
        block_timestamp: block.timestamp,
        status: Status::Failure(failure(receipt)),
        gas_burnt: 0,
        gas_vm: 0,
        fees: Vec::new(),
        tokens_burnt: 0,
        tokens_rewarded: 0,
        tokens_minted: 0,
        logs: Vec::new(),
        executions: Vec::new(),
        receipts: Vec::new(),
    }
}
