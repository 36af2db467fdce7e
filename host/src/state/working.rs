//! A snapshot with uncommitted changes over it: what the actions of one receipt work on.
//!
//! Clones share their changes until one of them makes another (copy on write), so a view handed to a running
//! call, and a checkpoint to return to, cost nothing and never move under their holder.

use crate::HostFault;
use crate::state::merge::{self, Changes};
use crate::state::{AccessKey, Account, Batch, Head, Snapshot, Store, keys, records};
use crate::view::{ModuleRecord, StateView};
use borsh::{BorshDeserialize, BorshSerialize};
use cotenant_submodules::Namespace;
use near_account_id::AccountId;
use near_crypto::PublicKey;
use near_primitives_core::hash::CryptoHash;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::rc::Rc;

/// A key of contract storage, and its value.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// A snapshot with uncommitted changes.
#[derive(Clone)]
pub struct WorkingState {
    snapshot: Rc<dyn Snapshot>,
    changes: Rc<Changes>,
    /// Yields that calls do not see.
    hidden: Rc<BTreeSet<Vec<u8>>>,
}

/// The changes at some moment, to return to.
#[derive(Clone, Debug)]
pub struct Checkpoint(Rc<Changes>);

impl std::fmt::Debug for WorkingState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkingState").field("changes", &self.changes.len()).finish_non_exhaustive()
    }
}

impl WorkingState {
    /// The state of a store as it is now, nothing changed.
    ///
    /// # Errors
    /// The store failed.
    pub fn of(store: &dyn Store) -> Result<Self, HostFault> {
        Ok(Self { snapshot: store.snapshot()?, changes: Rc::default(), hidden: Rc::default() })
    }

    /// A snapshot, nothing changed.
    pub(super) fn over_snapshot(snapshot: Rc<dyn Snapshot>) -> Self {
        Self { snapshot, changes: Rc::default(), hidden: Rc::default() }
    }

    /// The same changes over another snapshot, which `wrap` makes of this one's.
    pub(crate) fn over(&self, wrap: impl FnOnce(Rc<dyn Snapshot>) -> Rc<dyn Snapshot>) -> Self {
        Self { snapshot: wrap(self.snapshot.clone()), ..self.clone() }
    }

    /// What a call sees: these changes and no later ones.
    pub fn view(&self) -> Rc<dyn StateView> {
        Rc::new(self.clone())
    }

    /// Hides a yield from calls, as NEAR did those of earlier actions of a receipt before protocol 83.
    pub(crate) fn hide_yield(&mut self, account: &AccountId, data_id: &CryptoHash) {
        Rc::make_mut(&mut self.hidden).insert(keys::yielded(account, data_id));
    }

    /// The changes until now.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint(Rc::clone(&self.changes))
    }

    /// Drops the changes since a checkpoint.
    pub fn roll_back(&mut self, checkpoint: Checkpoint) {
        self.changes = checkpoint.0;
    }

    /// Ends the work: the changes, to be committed. The snapshot is let go.
    pub fn into_batch(self) -> Batch {
        Batch { changes: Rc::unwrap_or_clone(self.changes) }
    }

    // ---- bytes ----

    /// The value at a key.
    ///
    /// # Errors
    /// The store failed.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HostFault> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => self.snapshot.get(key),
        }
    }

    /// Whether there is a value at a key.
    ///
    /// # Errors
    /// The store failed.
    pub fn has(&self, key: &[u8]) -> Result<bool, HostFault> {
        match self.changes.get(key) {
            Some(change) => Ok(change.is_some()),
            None => self.snapshot.has(key),
        }
    }

    /// Writes a value.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        Rc::make_mut(&mut self.changes).insert(key, Some(value));
    }

    /// Removes a key.
    pub fn delete(&mut self, key: Vec<u8>) {
        Rc::make_mut(&mut self.changes).insert(key, None);
    }

    /// Visits the keys that begin with a prefix, in ascending order, until `visit` breaks.
    ///
    /// # Errors
    /// The store failed, or `visit` did.
    pub fn scan(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, HostFault>,
    ) -> Result<(), HostFault> {
        merge::scan(&*self.snapshot, &self.changes, prefix, &mut visit)
    }

    /// Removes every key that begins with a prefix.
    ///
    /// # Errors
    /// The store failed.
    pub fn delete_all(&mut self, prefix: &[u8]) -> Result<(), HostFault> {
        let mut found = Vec::new();
        self.scan(prefix, |key, _| {
            found.push(key.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
        found.into_iter().for_each(|key| self.delete(key));
        Ok(())
    }

    // ---- records ----

    /// The record at a key.
    ///
    /// # Errors
    /// The store failed, or the record is damaged.
    pub fn read<T: BorshDeserialize>(&self, key: &[u8]) -> Result<Option<T>, HostFault> {
        self.get(key)?.map(|bytes| records::decode(key, &bytes)).transpose()
    }

    /// Writes a record.
    ///
    /// # Errors
    /// A bug alone.
    pub fn write<T: BorshSerialize>(&mut self, key: Vec<u8>, record: &T) -> Result<(), HostFault> {
        self.put(key, records::encode(record)?);
        Ok(())
    }

    /// The last block and the sequence numbers.
    ///
    /// # Errors
    /// The store failed.
    pub fn head(&self) -> Result<Head, HostFault> {
        Ok(self.read(&keys::head())?.unwrap_or_default())
    }

    /// An account.
    ///
    /// # Errors
    /// The store failed.
    pub fn account(&self, account: &AccountId) -> Result<Option<Account>, HostFault> {
        self.read(&keys::account(account))
    }

    /// Writes an account.
    ///
    /// # Errors
    /// A bug alone.
    pub fn set_account(&mut self, id: &AccountId, account: &Account) -> Result<(), HostFault> {
        self.write(keys::account(id), account)
    }

    /// An access key.
    ///
    /// # Errors
    /// The store failed.
    pub fn access_key(
        &self,
        id: &AccountId,
        key: &PublicKey,
    ) -> Result<Option<AccessKey>, HostFault> {
        self.read(&keys::access_key(id, key))
    }

    /// All access keys of an account, in the order of their bytes.
    ///
    /// # Errors
    /// The store failed.
    pub fn access_keys(
        &self,
        account: &AccountId,
    ) -> Result<Vec<(PublicKey, AccessKey)>, HostFault> {
        let prefix = keys::access_keys(account);
        let mut found = Vec::new();
        self.scan(&prefix, |key, value| {
            let public_key = records::decode(key, &key[prefix.len()..])?;
            found.push((public_key, records::decode(key, value)?));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// All accounts, in the order of their ids.
    ///
    /// # Errors
    /// The store failed.
    pub fn accounts(&self) -> Result<Vec<AccountId>, HostFault> {
        let prefix = keys::accounts();
        let mut found = Vec::new();
        self.scan(&prefix, |key, _| {
            // One byte of length, then the id (see `keys`).
            let id = key.get(prefix.len() + 1..).and_then(|id| std::str::from_utf8(id).ok());
            let id = id.and_then(|id| id.parse().ok());
            found.push(id.ok_or_else(|| records::damaged(key, "no account id"))?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// All modules of an account, by namespace.
    ///
    /// # Errors
    /// The store failed.
    pub fn modules(
        &self,
        account: &AccountId,
    ) -> Result<BTreeMap<Namespace, ModuleRecord>, HostFault> {
        let prefix = keys::modules(account);
        let mut found = BTreeMap::new();
        self.scan(&prefix, |key, value| {
            let namespace = Namespace::from_bytes(&key[prefix.len()..])
                .map_err(|error| records::damaged(key, error.to_string()))?;
            found.insert(namespace, records::decode(key, value)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Code by its hash.
    ///
    /// # Errors
    /// The store failed.
    pub fn code(&self, hash: &CryptoHash) -> Result<Option<Vec<u8>>, HostFault> {
        self.get(&keys::code(hash))
    }

    /// Counts one more module that has a code, and stores it if it is the first.
    ///
    /// # Errors
    /// The store failed.
    pub fn use_code(&mut self, hash: &CryptoHash, code: &[u8]) -> Result<(), HostFault> {
        let uses: u64 = self.read(&keys::code_uses(hash))?.unwrap_or(0);
        if uses == 0 {
            self.put(keys::code(hash), code.to_vec());
        }
        self.write(keys::code_uses(hash), &uses.saturating_add(1))
    }

    /// Counts one module less that has a code, and removes it with the last.
    ///
    /// # Errors
    /// The store failed.
    pub fn release_code(&mut self, hash: &CryptoHash) -> Result<(), HostFault> {
        let uses: u64 = self.read(&keys::code_uses(hash))?.unwrap_or(0);
        if uses <= 1 {
            self.delete(keys::code_uses(hash));
            self.delete(keys::code(hash));
            return Ok(());
        }
        self.write(keys::code_uses(hash), &(uses - 1))
    }

    /// Values of one namespace whose keys begin with a prefix, in order, at most `limit` of them.
    ///
    /// # Errors
    /// The store failed.
    pub fn values(
        &self,
        account: &AccountId,
        namespace: &Namespace,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<KeyValue>, HostFault> {
        let skip = keys::storage_prefix(account, namespace).len();
        let mut found = Vec::new();
        self.scan(&keys::storage(account, namespace, prefix), |key, value| {
            if found.len() == limit {
                return Ok(ControlFlow::Break(()));
            }
            found.push((key[skip..].to_vec(), value.to_vec()));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }
}

impl StateView for WorkingState {
    fn value(
        &self,
        account: &AccountId,
        namespace: &Namespace,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, HostFault> {
        self.get(&keys::storage(account, namespace, key))
    }

    fn has_value(
        &self,
        account: &AccountId,
        namespace: &Namespace,
        key: &[u8],
    ) -> Result<bool, HostFault> {
        self.has(&keys::storage(account, namespace, key))
    }

    fn module(
        &self,
        account: &AccountId,
        namespace: &Namespace,
    ) -> Result<Option<ModuleRecord>, HostFault> {
        self.read(&keys::module(account, namespace))
    }

    fn yield_exists(&self, account: &AccountId, data_id: &CryptoHash) -> Result<bool, HostFault> {
        let key = keys::yielded(account, data_id);
        Ok(!self.hidden.contains(&key) && self.get(&key)?.is_some())
    }
}
