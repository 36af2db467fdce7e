//! The values of the ordered map, in borsh.

use crate::HostFault;
use crate::action::Permission;
use crate::fault::DiskFault;
use borsh::{BorshDeserialize, BorshSerialize};
use std::path::Path;

/// An account, without what hangs on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Account {
    /// Balance, in yoctoNEAR.
    pub balance: u128,
    /// Locked balance, in yoctoNEAR.
    pub locked: u128,
    /// Storage it has to stake for, in bytes.
    pub storage_usage: u64,
}

/// An access key of an account.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AccessKey {
    /// Number of the last transaction signed with it.
    pub nonce: u64,
    /// What it may do.
    pub permission: Permission,
}

/// The last block and the sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Head {
    /// Height of the last block; 0 before the first.
    pub height: u64,
    /// Time of the last block, in nanoseconds since 1970.
    pub timestamp: u64,
    /// Number of the next receipt in the queue.
    pub next_receipt: u64,
    /// Number of the next yield.
    pub next_yield: u64,
}

/// A record as bytes.
pub(crate) fn encode<T: BorshSerialize>(record: &T) -> Result<Vec<u8>, HostFault> {
    borsh::to_vec(record)
        .map_err(|error| HostFault::Bug(format!("a record has no encoding: {error}")))
}

/// A record from the bytes at a key.
pub(crate) fn decode<T: BorshDeserialize>(key: &[u8], bytes: &[u8]) -> Result<T, HostFault> {
    T::try_from_slice(bytes)
        .map_err(|error| damaged(key, format!("a record of {} bytes: {error}", bytes.len())))
}

/// The fault of a record that is not as it was written.
pub(crate) fn damaged(key: &[u8], rule: impl Into<String>) -> HostFault {
    let kind = key.first().copied().unwrap_or_default();
    let name = key.get(1..).unwrap_or_default();
    let name = name[..name.len().min(96)].escape_ascii();
    DiskFault::damaged(Path::new(""), rule, format!("kind {kind}, key {name}")).into()
}
