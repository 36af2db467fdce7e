//! What a host keeps: accounts, access keys, modules, code, contract storage, receipts on their way, head.
//!
//! One ordered map from bytes to bytes ([`keys`] has the encoding, [`records`] the values), behind the trait
//! [`Store`]: in memory ([`MemoryStore`]) and on disk ([`DiskStore`], one ACID file). Changes come as a
//! [`Batch`] and are there wholly or not at all. [`WorkingState`] is a snapshot with uncommitted changes over
//! it; it is what a running call sees. Nothing here decides what a call or an action means.

#[cfg(test)]
mod damage;
mod disk;
pub mod keys;
mod memory;
mod merge;
mod overlay;
pub mod records;
mod scrub;
mod sealed;
#[cfg(test)]
mod tests;
mod working;

pub(crate) use overlay::Overlay;

pub use disk::{DiskStore, OpenError, STATE_FILE};
pub use memory::MemoryStore;
pub use records::{AccessKey, Account, Head};
pub use scrub::{Scrubbed, scrub};
pub use working::{Checkpoint, KeyValue, WorkingState};

use crate::HostFault;
use near_primitives_core::hash::CryptoHash;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;

/// Version of the encoding of keys and values. A store of a newer one is refused. 2 has kinds from 128 on.
pub const FORMAT_VERSION: u32 = 2;

/// What [`Snapshot::scan`] calls for each key and value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, HostFault> + 'a;

/// A state as it was at one moment, whatever is committed after.
pub trait Snapshot {
    /// The value at a key.
    ///
    /// # Errors
    /// The store failed.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HostFault>;

    /// Whether there is a value at a key.
    ///
    /// # Errors
    /// The store failed.
    fn has(&self, key: &[u8]) -> Result<bool, HostFault> {
        Ok(self.get(key)?.is_some())
    }

    /// Visits the keys that begin with a prefix, in ascending order, until `visit` breaks.
    ///
    /// # Errors
    /// The store failed, or `visit` did.
    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), HostFault>;
}

/// Where the state lives.
pub trait Store: Send + Sync {
    /// The state as it is now.
    ///
    /// # Errors
    /// The store failed.
    fn snapshot(&self) -> Result<Rc<dyn Snapshot>, HostFault>;

    /// Makes changes, all or none; when this returns they are durable.
    ///
    /// # Errors
    /// The store failed; the state is as it was.
    fn commit(&self, batch: &Batch) -> Result<(), HostFault>;

    /// Whether there is room for a transaction of this many bytes and what it may cause: asked before it is
    /// taken, so that a full disk refuses it instead of holding up the queue.
    ///
    /// # Errors
    /// There is not.
    fn reserve(&self, _bytes: u64) -> Result<(), HostFault> {
        Ok(())
    }
}

impl std::fmt::Debug for dyn Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

/// Changes that are made together: a value to write at a key, or `None` to remove it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    /// Writes a value.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert(key, Some(value));
    }

    /// Removes a key.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.changes.insert(key, None);
    }

    /// The changes in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}

/// The first batch of a new store: format, protocol version (fixed from here on) and an empty chain.
pub(crate) fn genesis(protocol: u32) -> Result<Batch, HostFault> {
    let mut batch = Batch::default();
    batch.put(keys::format(), records::encode(&FORMAT_VERSION)?);
    batch.put(keys::protocol(), records::encode(&protocol)?);
    batch.put(keys::head(), records::encode(&Head::default())?);
    Ok(batch)
}

/// The protocol version that a store was created with.
///
/// # Errors
/// The store failed, or has never been initialised.
pub fn protocol(store: &dyn Store) -> Result<u32, HostFault> {
    let bytes = store.snapshot()?.get(&keys::protocol())?;
    let missing = || records::damaged(&keys::protocol(), "the state names no protocol version");
    let bytes = bytes.ok_or_else(missing)?;
    records::decode(&keys::protocol(), &bytes)
}

/// sha256 over every key and value in order, each with its length before it: equal digests, equal states. What is kept of
/// the way there (blocks, outcomes, undo) is no part of it.
///
/// # Errors
/// The store failed.
pub fn digest(store: &dyn Store) -> Result<CryptoHash, HostFault> {
    let mut hasher = Sha256::new();
    store.snapshot()?.scan(&[], &mut |key, value| {
        if keys::is_history(key) {
            return Ok(ControlFlow::Break(()));
        }
        for part in [key, value] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(CryptoHash(hasher.finalize().into()))
}
