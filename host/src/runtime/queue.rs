//! Receipts between their creation and their execution: the queue, those that wait for data, yields.
//!
//! All of it is in the state, so that a host that dies between two commits goes on where it was.

use crate::HostFault;
use crate::near::receipt_id;
use crate::runtime::Block;
use crate::runtime::receipt::{PendingYield, Queued, Receipt, ReceiptBody};
use crate::state::{WorkingState, keys};
use near_account_id::AccountId;
use near_primitives_core::hash::CryptoHash;
use std::ops::ControlFlow;

/// Puts a receipt at the end of the queue, for a block.
pub(super) fn push(
    state: &mut WorkingState,
    height: u64,
    receipt: Receipt,
) -> Result<(), HostFault> {
    let mut head = state.head()?;
    state.write(keys::queued(head.next_receipt), &Queued { height, receipt })?;
    head.next_receipt += 1;
    state.write(keys::head(), &head)
}

/// Keeps the time at which a yield is over.
pub(super) fn expire(
    state: &mut WorkingState,
    height: u64,
    account: &AccountId,
    data_id: &CryptoHash,
) -> Result<(), HostFault> {
    let mut head = state.head()?;
    state.write(keys::expiry(height, head.next_yield), &(account, data_id))?;
    head.next_yield += 1;
    state.write(keys::head(), &head)
}

/// Receipts in the queue for a block or an earlier one, with their keys: first those whose transactions are of this block
/// (NEAR's local receipts), then the others, first in first.
pub(super) fn due(state: &WorkingState, height: u64) -> Result<Vec<(Vec<u8>, Receipt)>, HostFault> {
    let mut found = Vec::new();
    state.scan(&keys::queue(), |key, value| {
        let queued: Queued = crate::state::records::decode(key, value)?;
        if queued.height > height {
            return Ok(ControlFlow::Continue(()));
        }
        found.push((key.to_vec(), queued.receipt));
        Ok(ControlFlow::Continue(()))
    })?;
    let local = |receipt: &Receipt| receipt.id == receipt_id(&receipt.transaction, height, 0);
    found.sort_by_key(|(_, receipt)| !local(receipt));
    Ok(found)
}

/// A receipt that is on its way, or waits for data or to be resumed.
pub(super) fn find(state: &WorkingState, id: &CryptoHash) -> Result<Option<Receipt>, HostFault> {
    let mut found = None;
    let mut look = |receipt: Receipt| {
        if receipt.id != *id {
            return ControlFlow::Continue(());
        }
        found = Some(receipt);
        ControlFlow::Break(())
    };
    state.scan(&keys::queue(), |key, value| {
        Ok(look(crate::state::records::decode::<Queued>(key, value)?.receipt))
    })?;
    state.scan(&keys::all_postponed(), |key, value| {
        Ok(look(crate::state::records::decode::<Receipt>(key, value)?))
    })?;
    state.scan(&keys::all_yielded(), |key, value| {
        Ok(look(crate::state::records::decode::<PendingYield>(key, value)?.receipt))
    })?;
    Ok(found)
}

/// Whether nothing is in the queue.
pub(super) fn is_empty(state: &WorkingState) -> Result<bool, HostFault> {
    let mut empty = true;
    state.scan(&keys::queue(), |_, _| {
        empty = false;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(empty)
}

/// Takes a receipt that has arrived: gives the one that can run now, if there is one. It may be another, when
/// what has arrived is what that one waited for.
pub(super) fn arrive(
    state: &mut WorkingState,
    receipt: Receipt,
) -> Result<Option<Receipt>, HostFault> {
    let account = receipt.receiver.clone();
    match &receipt.body {
        ReceiptBody::Actions(body) => {
            let mut missing = false;
            for data_id in &body.inputs {
                if state.get(&keys::received(&account, data_id))?.is_none() {
                    missing = true;
                    state.write(keys::awaited(&account, data_id), &receipt.id)?;
                }
            }
            if !missing {
                return Ok(Some(receipt));
            }
            state.write(keys::postponed(&account, &receipt.id), &receipt)?;
            Ok(None)
        }
        ReceiptBody::Data { data_id, data } => {
            state.write(keys::received(&account, data_id), data)?;
            let awaited = keys::awaited(&account, data_id);
            let Some(waiting) = state.read::<CryptoHash>(&awaited)? else { return Ok(None) };
            state.delete(awaited);
            complete(state, &account, &waiting)
        }
        ReceiptBody::Resume { data_id, data } => resume(state, &account, data_id, data.as_deref()),
    }
}

/// The receipt that waited, if nothing is missing any more.
fn complete(
    state: &mut WorkingState,
    account: &AccountId,
    waiting: &CryptoHash,
) -> Result<Option<Receipt>, HostFault> {
    let key = keys::postponed(account, waiting);
    let receipt: Option<Receipt> = state.read(&key)?;
    let receipt = receipt
        .ok_or_else(|| HostFault::Bug(format!("receipt {waiting}, which waits, is missing")))?;
    if let ReceiptBody::Actions(body) = &receipt.body {
        for data_id in &body.inputs {
            if state.get(&keys::received(account, data_id))?.is_none() {
                return Ok(None);
            }
        }
    }
    state.delete(key);
    Ok(Some(receipt))
}

/// The yielded receipt, with its answer. A timeout that meets an answer on its way is nothing.
fn resume(
    state: &mut WorkingState,
    account: &AccountId,
    data_id: &CryptoHash,
    data: Option<&[u8]>,
) -> Result<Option<Receipt>, HostFault> {
    let key = keys::yielded(account, data_id);
    let Some(pending) = state.read::<PendingYield>(&key)? else { return Ok(None) };
    if data.is_none() && pending.resumed {
        return Ok(None);
    }
    state.delete(key);
    state.write(keys::received(account, data_id), &data)?;
    Ok(Some(pending.receipt))
}

/// Ends a block: sends a timeout to each yield whose time is over, and makes the block the last one.
pub(super) fn end_block(state: &mut WorkingState, block: Block) -> Result<(), HostFault> {
    let mut over = Vec::new();
    state.scan(&keys::expiries(), |key, value| {
        match keys::expiry_height(key) {
            Some(height) if height <= block.height => {}
            _ => return Ok(ControlFlow::Break(())),
        }
        let (account, data_id): (AccountId, CryptoHash) =
            crate::state::records::decode(key, value)?;
        over.push((key.to_vec(), account, data_id));
        Ok(ControlFlow::Continue(()))
    })?;
    for (key, account, data_id) in over {
        state.delete(key);
        let Some(pending) = state.read::<PendingYield>(&keys::yielded(&account, &data_id))? else {
            continue;
        };
        // A later yield may have the data id of one that was resumed before its time was over.
        if pending.resumed || pending.expires_at > block.height {
            continue;
        }
        let receipt = Receipt {
            id: receipt_id(&data_id, block.height, 0),
            transaction: pending.receipt.transaction,
            predecessor: account.clone(),
            receiver: account,
            body: ReceiptBody::Resume { data_id, data: None },
        };
        push(state, block.height + 1, receipt)?;
    }
    let mut head = state.head()?;
    head.height = block.height;
    head.timestamp = block.timestamp;
    state.write(keys::head(), &head)
}

/// The height at whose end the next yield is over.
pub(super) fn next_expiry(state: &WorkingState) -> Result<Option<u64>, HostFault> {
    let mut next = None;
    state.scan(&keys::expiries(), |key, _| {
        next = keys::expiry_height(key);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(next)
}
