//! What a running call sees of the state: a snapshot taken at its start.

use crate::HostFault;
use cotenant_submodules::{Namespace, Visibility};
use near_account_id::AccountId;
use near_primitives_core::hash::CryptoHash;

/// A module of an account, as the state records it.
#[derive(Clone, Debug, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct ModuleRecord {
    /// sha256 of the code.
    pub code_hash: CryptoHash,
    /// Public or private.
    pub visibility: Visibility,
    /// Length of the code, in bytes.
    pub code_bytes: u64,
}

/// The state as a root call sees it. Its own writes are not here but in the call's frames.
pub trait StateView {
    /// Value at a key of a module's storage.
    ///
    /// # Errors
    /// The host's own fault (disk).
    fn value(
        &self,
        account: &AccountId,
        namespace: &Namespace,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, HostFault>;

    /// Whether there is a value at a key of a module's storage, without reading it.
    ///
    /// # Errors
    /// The host's own fault (disk).
    fn has_value(
        &self,
        account: &AccountId,
        namespace: &Namespace,
        key: &[u8],
    ) -> Result<bool, HostFault> {
        Ok(self.value(account, namespace, key)?.is_some())
    }

    /// The module of a namespace.
    ///
    /// # Errors
    /// The host's own fault (disk).
    fn module(
        &self,
        account: &AccountId,
        namespace: &Namespace,
    ) -> Result<Option<ModuleRecord>, HostFault>;

    /// Whether an account has a yielded receipt that waits for this data, be its answer on the way or not, those of
    /// earlier actions of the same receipt included. NEAR's `promise_yield_resume` answers this (of several answers
    /// the first counts), and a data id that a contract chose (`promise_yield_create_with_id`) is taken while it is so.
    /// Yields of the running call itself are not here.
    ///
    /// # Errors
    /// The host's own fault (disk).
    fn yield_exists(&self, account: &AccountId, data_id: &CryptoHash) -> Result<bool, HostFault>;
}
