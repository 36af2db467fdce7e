//! Changes of the state by whoever owns the chain, past its rules: what a sandbox is for (`sandbox_patch_state`).

use crate::HostFault;
use crate::runtime::{DeployRejection, Machine, Runtime};
use crate::state::{AccessKey, Account, WorkingState, keys};
use crate::view::{ModuleRecord, StateView};
use cotenant_submodules::{Namespace, Visibility};
use near_account_id::AccountId;
use near_crypto::PublicKey;
use near_primitives_core::hash::CryptoHash;

/// A record to write. As on NEAR, an account's storage usage is not worked out anew; the account is made, with no
/// balance, if it is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patch {
    /// An account: what is not given stays as it is.
    Account {
        /// Which.
        id: AccountId,
        /// Balance, in yoctoNEAR.
        balance: Option<u128>,
        /// Locked balance, in yoctoNEAR.
        locked: Option<u128>,
        /// Storage it has to stake for, in bytes.
        storage_usage: Option<u64>,
    },
    /// An access key.
    Key {
        /// Whose.
        id: AccountId,
        /// The key.
        public_key: PublicKey,
        /// Its nonce and what it may do.
        key: AccessKey,
    },
    /// A module.
    Module {
        /// Whose.
        id: AccountId,
        /// Where.
        namespace: Namespace,
        /// As what.
        visibility: Visibility,
        /// The Wasm module.
        code: Vec<u8>,
    },
    /// A value of contract storage.
    Value {
        /// Whose.
        id: AccountId,
        /// Of which module.
        namespace: Namespace,
        /// Its key.
        key: Vec<u8>,
        /// The value; `None` removes it.
        value: Option<Vec<u8>>,
    },
}

/// Why nothing was patched.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The account's name is taken by the protocol.
    #[error("`system` is the account that refunds come from; nobody can have it")]
    SystemAccount,
    /// Code that breaks a rule.
    #[error("code for `{id}` is refused: {}", rejection.text)]
    Rejected {
        /// Whose.
        id: AccountId,
        /// The report.
        rejection: DeployRejection,
    },
    /// The host's own fault.
    #[error(transparent)]
    Fault(#[from] HostFault),
}

impl Patch {
    fn account(&self) -> &AccountId {
        match self {
            Patch::Account { id, .. }
            | Patch::Key { id, .. }
            | Patch::Module { id, .. }
            | Patch::Value { id, .. } => id,
        }
    }
}

impl<M: Machine> Runtime<M> {
    /// Writes records, all or none, between two blocks: they count as part of the next one.
    ///
    /// # Errors
    /// Code is refused; the store failed.
    pub fn patch(&self, patches: &[Patch]) -> Result<(), PatchError> {
        let _writer = self.write();
        let mut state = self.state()?;
        for patch in patches {
            self.patch_one(&mut state, patch)?;
        }
        Ok(self.commit_between(state)?)
    }

    fn patch_one(&self, state: &mut WorkingState, patch: &Patch) -> Result<(), PatchError> {
        let id = patch.account();
        if id.is_system() {
            return Err(PatchError::SystemAccount);
        }
        let new = || {
            let storage_usage = self.schedule().fees.storage_usage_config.num_bytes_account;
            Account { balance: 0, locked: 0, storage_usage }
        };
        let mut account = state.account(id)?.unwrap_or_else(new);
        if let Patch::Account { balance, locked, storage_usage, .. } = patch {
            account.balance = balance.unwrap_or(account.balance);
            account.locked = locked.unwrap_or(account.locked);
            account.storage_usage = storage_usage.unwrap_or(account.storage_usage);
        }
        state.set_account(id, &account)?;
        match patch {
            Patch::Account { .. } => {}
            Patch::Key { public_key, key, .. } => {
                state.write(keys::access_key(id, public_key), key)?;
            }
            Patch::Value { namespace, key, value, .. } => {
                let key = keys::storage(id, namespace, key);
                match value {
                    Some(value) => state.put(key, value.clone()),
                    None => state.delete(key),
                }
            }
            Patch::Module { namespace, visibility, code, .. } => {
                if let Err(rejection) = self.machine().deploy(code, *visibility)? {
                    return Err(PatchError::Rejected { id: id.clone(), rejection });
                }
                let before = state.module(id, namespace)?;
                let code_hash = CryptoHash::hash_bytes(code);
                let (visibility, code_bytes) = (*visibility, code.len() as u64);
                // The new code is counted before the old one goes: it may be the same.
                state.use_code(&code_hash, code)?;
                if let Some(before) = before {
                    state.release_code(&before.code_hash)?;
                }
                let module = ModuleRecord { code_hash, visibility, code_bytes };
                state.write(keys::module(id, namespace), &module)?;
            }
        }
        Ok(())
    }
}
