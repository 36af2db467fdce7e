//! Where each thing is in the ordered map.
//!
//! A key is one byte that says what it is, then its parts. Every part but the last has its length before it
//! (one byte: account ids and namespaces have at most 64), so that no two lists of parts have the same bytes
//! and the keys of one namespace are exactly those with [`storage_prefix`] before them.
//!
//! | byte | parts | value |
//! |---|---|---|
//! | 0 | name | format, protocol version, head |
//! | 1 | account | [`Account`](crate::state::Account) |
//! | 2 | account, borsh of the public key | [`AccessKey`](crate::state::AccessKey) |
//! | 3 | account, namespace | [`ModuleRecord`](crate::view::ModuleRecord) |
//! | 4 | code hash | the code |
//! | 5 | code hash | number of modules that have it, `u64` |
//! | 6 | account, namespace, key | contract storage |
//! | 7 | sequence number, big-endian | a receipt on its way |
//! | 8 | account, receipt id | a receipt that waits for data |
//! | 9 | account, data id | the id of the receipt that waits for it |
//! | 10 | account, data id | data that has arrived before its receipt |
//! | 11 | account, data id | a yielded receipt |
//! | 12 | height and sequence number, big-endian | account and data id of a yield that expires then |
//! | 13 | receipt id | height of the block in which a fault of the host ended it |
//!
//! From 128 on it is the way here, no part of the state's digest (`runtime/history.rs`):
//!
//! | byte | parts | value |
//! |---|---|---|
//! | 128 | name | since when history is kept, and a block that has begun |
//! | 129 | height, big-endian | [`BlockRecord`](crate::runtime::BlockRecord) |
//! | 130 | block hash | its height |
//! | 131 | transaction hash | [`TransactionRecord`](crate::runtime::TransactionRecord) |
//! | 132 | receipt id | [`OutcomeRecord`](crate::runtime::OutcomeRecord) |
//! | 133 | height and number of a commit, big-endian | what the keys it changed had before |

use cotenant_submodules::Namespace;
use near_account_id::AccountId;
use near_crypto::PublicKey;
use near_primitives_core::hash::CryptoHash;

fn key(tag: u8, parts: &[&[u8]], last: &[u8]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len() + 1).sum::<usize>() + last.len() + 1;
    let mut key = Vec::with_capacity(length);
    key.push(tag);
    for part in parts {
        // Account ids and namespaces are at most 64 bytes by their types.
        key.push(part.len() as u8);
        key.extend_from_slice(part);
    }
    key.extend_from_slice(last);
    key
}

/// The version of the encoding.
pub fn format() -> Vec<u8> {
    key(0, &[], b"format")
}

/// The protocol version.
pub fn protocol() -> Vec<u8> {
    key(0, &[], b"protocol")
}

/// The last block and the sequence numbers.
pub fn head() -> Vec<u8> {
    key(0, &[], b"head")
}

/// An account.
pub fn account(account: &AccountId) -> Vec<u8> {
    key(1, &[account.as_bytes()], &[])
}

/// All accounts.
pub fn accounts() -> Vec<u8> {
    vec![1]
}

/// An access key.
pub fn access_key(account: &AccountId, public_key: &PublicKey) -> Vec<u8> {
    let mut key = access_keys(account);
    // Writing to a vector cannot fail.
    let _ = borsh::to_writer(&mut key, public_key);
    key
}

/// All access keys of an account.
pub fn access_keys(account: &AccountId) -> Vec<u8> {
    key(2, &[account.as_bytes()], &[])
}

/// A module.
pub fn module(account: &AccountId, namespace: &Namespace) -> Vec<u8> {
    key(3, &[account.as_bytes()], namespace.as_str().as_bytes())
}

/// All modules of an account.
pub fn modules(account: &AccountId) -> Vec<u8> {
    key(3, &[account.as_bytes()], &[])
}

/// Code.
pub fn code(hash: &CryptoHash) -> Vec<u8> {
    key(4, &[], hash.as_bytes())
}

/// How many modules have a code.
pub fn code_uses(hash: &CryptoHash) -> Vec<u8> {
    key(5, &[], hash.as_bytes())
}

/// A value of contract storage.
pub fn storage(account: &AccountId, namespace: &Namespace, storage_key: &[u8]) -> Vec<u8> {
    key(6, &[account.as_bytes(), namespace.as_str().as_bytes()], storage_key)
}

/// All contract storage of one namespace.
pub fn storage_prefix(account: &AccountId, namespace: &Namespace) -> Vec<u8> {
    storage(account, namespace, &[])
}

/// All contract storage of an account.
pub fn storage_of_account(account: &AccountId) -> Vec<u8> {
    key(6, &[account.as_bytes()], &[])
}

/// A receipt on its way.
pub fn queued(sequence: u64) -> Vec<u8> {
    key(7, &[], &sequence.to_be_bytes())
}

/// All receipts on their way, first in first.
pub fn queue() -> Vec<u8> {
    key(7, &[], &[])
}

/// A receipt that waits for data.
pub fn postponed(account: &AccountId, receipt: &CryptoHash) -> Vec<u8> {
    key(8, &[account.as_bytes()], receipt.as_bytes())
}

/// All receipts that wait for data.
pub fn all_postponed() -> Vec<u8> {
    key(8, &[], &[])
}

/// Which receipt waits for some data.
pub fn awaited(account: &AccountId, data: &CryptoHash) -> Vec<u8> {
    key(9, &[account.as_bytes()], data.as_bytes())
}

/// Data that arrived.
pub fn received(account: &AccountId, data: &CryptoHash) -> Vec<u8> {
    key(10, &[account.as_bytes()], data.as_bytes())
}

/// A yielded receipt.
pub fn yielded(account: &AccountId, data: &CryptoHash) -> Vec<u8> {
    key(11, &[account.as_bytes()], data.as_bytes())
}

/// All yielded receipts.
pub fn all_yielded() -> Vec<u8> {
    key(11, &[], &[])
}

/// The expiry of a yield.
pub fn expiry(height: u64, sequence: u64) -> Vec<u8> {
    key(12, &[], &[height.to_be_bytes(), sequence.to_be_bytes()].concat())
}

/// All expiries, the earliest first.
pub fn expiries() -> Vec<u8> {
    key(12, &[], &[])
}

/// Height of a key that [`expiry`] made.
pub fn expiry_height(key: &[u8]) -> Option<u64> {
    key.get(1..9)?.try_into().ok().map(u64::from_be_bytes)
}

/// That a fault of the host ended a receipt.
pub fn faulted(receipt: &CryptoHash) -> Vec<u8> {
    key(13, &[], receipt.as_bytes())
}

/// All receipts that a fault of the host ended.
pub fn all_faulted() -> Vec<u8> {
    key(13, &[], &[])
}

/// The first byte of what is no part of the state.
const HISTORY: u8 = 128;

/// Whether a key is of the way to the state, and no part of it.
pub fn is_history(key: &[u8]) -> bool {
    key.first().is_some_and(|tag| *tag >= HISTORY)
}

/// Since when history is kept, and how much of it.
pub fn history() -> Vec<u8> {
    key(HISTORY, &[], b"history")
}

/// A block whose transactions were taken and whose receipts have not all run.
pub fn open_block() -> Vec<u8> {
    key(HISTORY, &[], b"open")
}

/// A block.
pub fn block(height: u64) -> Vec<u8> {
    key(129, &[], &height.to_be_bytes())
}

/// Blocks whose heights begin with these bytes, big-endian.
pub fn blocks(begin: &[u8]) -> Vec<u8> {
    key(129, &[], begin)
}

/// The height of a block.
pub fn block_height(hash: &CryptoHash) -> Vec<u8> {
    key(130, &[], hash.as_bytes())
}

/// A transaction.
pub fn transaction(hash: &CryptoHash) -> Vec<u8> {
    key(131, &[], hash.as_bytes())
}

/// The outcome of a receipt.
pub fn outcome(receipt: &CryptoHash) -> Vec<u8> {
    key(132, &[], receipt.as_bytes())
}

/// What a commit of a block changed.
pub fn undo(height: u64, part: u64) -> Vec<u8> {
    key(133, &[], &[height.to_be_bytes(), part.to_be_bytes()].concat())
}

/// What the commits of a block changed, the earliest first.
pub fn undo_of(height: u64) -> Vec<u8> {
    key(133, &[], &height.to_be_bytes())
}

/// What the commits of blocks changed whose heights begin with these bytes, big-endian.
pub fn undo_begins(begin: &[u8]) -> Vec<u8> {
    key(133, &[], begin)
}

/// What all commits changed, the earliest first.
pub fn all_undo() -> Vec<u8> {
    key(133, &[], &[])
}

/// Height of a key that [`undo`] made.
pub fn undo_height(key: &[u8]) -> Option<u64> {
    expiry_height(key)
}

/// Whether a commit keeps what this key had before: of all but undo itself and its bookkeeping.
pub fn is_undone(key: &[u8]) -> bool {
    !matches!(key.first(), Some(&HISTORY) | Some(133))
}

/// Whether a key is one that [`module`] made.
pub fn is_module(key: &[u8]) -> bool {
    key.first() == Some(&3)
}
