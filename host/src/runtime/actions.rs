//! Actions other than function calls: who may do them and what they change.
//!
//! Checks and their order are NEAR's (`check_account_existence`, `check_actor_permissions`, then the action).
//! What Cotenant adds is in `modules`: many modules an account, private ones, removal.

use crate::HostFault;
use crate::action::{Action, Permission};
use crate::runtime::Machine;
use crate::runtime::apply::{Run, Stop};
use crate::runtime::errors::ActionError;
use crate::runtime::validate::NONCES_PER_BLOCK;
use crate::state::{AccessKey, Account, keys};
use cotenant_submodules::Namespace;
use near_account_id::{AccountId, AccountType};
use near_crypto::PublicKey;
use std::ops::ControlFlow;

/// Storage beyond the code of its modules that an account may have to be deleted, and a namespace to be
/// removed with its storage, in bytes: removing is work for a fixed price (NEAR's
/// `MAX_ACCOUNT_DELETION_STORAGE_USAGE`).
pub const DELETION_STORAGE_BYTES_MAX: u64 = 10_000;

/// Bytes that a module counts for in its account's storage: its code, and outside the default namespace its
/// name and a record. A default module costs what NEAR's contract does.
pub fn module_storage_bytes(namespace: &Namespace, code_bytes: u64, record_bytes: u64) -> u64 {
    if namespace.is_default() {
        return code_bytes;
    }
    code_bytes.saturating_add(namespace.as_str().len() as u64).saturating_add(record_bytes)
}

/// Bytes that an access key counts for in its account's storage. Without namespaces it is NEAR's number.
fn key_storage_bytes(
    public_key: &PublicKey,
    key: &AccessKey,
    record_bytes: u64,
) -> Result<u64, HostFault> {
    let mut length = crate::state::records::encode(key)?.len() as u64;
    if let Permission::FunctionCall { namespaces, .. } = &key.permission
        && namespaces.listed().is_empty()
    {
        // NEAR's record has no list of namespaces: what stands in the place of one is not counted.
        length = length.saturating_sub(4);
    }
    Ok(public_key.trie_id_len() as u64 + length + record_bytes)
}

impl<M: Machine> Run<'_, M> {
    /// Checks that the receiver exists, or does not, and that this action is the actor's to do.
    pub(super) fn check(&self, action: &Action) -> Result<(), Stop> {
        let account = self.receiver().clone();
        let found = self.state.account(&account)?;
        match (action, &found) {
            (Action::CreateAccount, Some(_)) => {
                return Err(ActionError::AccountAlreadyExists { account }.into());
            }
            (Action::CreateAccount, None) if account.get_account_type().is_implicit() => {
                return Err(ActionError::OnlyImplicitAccountCreationAllowed { account }.into());
            }
            (Action::CreateAccount, None) => return Ok(()),
            (Action::Transfer { .. }, None) if self.may_create_implicitly() => return Ok(()),
            (_, None) => return Err(ActionError::AccountDoesNotExist { account }.into()),
            (_, Some(_)) => {}
        }
        let own = match action {
            Action::DeployModule { .. }
            | Action::RemoveModule { .. }
            | Action::Stake { .. }
            | Action::AddKey { .. }
            | Action::DeleteKey { .. }
            | Action::DeleteAccount { .. } => true,
            Action::CreateAccount
            | Action::FunctionCall { .. }
            | Action::Transfer { .. }
            | Action::ResumeYield { .. }
            | Action::Delegate(_)
            | Action::Unsupported { .. } => false,
        };
        if own && self.actor != account {
            return Err(
                ActionError::ActorNoPermission { account, actor: self.actor.clone() }.into()
            );
        }
        Ok(())
    }

    pub(super) fn create_account(&mut self) -> Result<(), Stop> {
        let account = self.receiver().clone();
        let predecessor = self.receipt.predecessor.clone();
        let rules = &self.schedule.runtime.account_creation_config;
        if account.is_top_level() {
            let registrar = rules.registrar_account_id.clone();
            let short = account.len() < usize::from(rules.min_allowed_top_level_account_length);
            if short && predecessor != registrar {
                let error =
                    ActionError::CreateAccountOnlyByRegistrar { account, registrar, predecessor };
                return Err(error.into());
            }
        } else if !account.is_sub_account_of(&predecessor) {
            return Err(ActionError::CreateAccountNotAllowed { account, predecessor }.into());
        }
        let storage_usage = self.schedule.fees.storage_usage_config.num_bytes_account;
        self.state.set_account(&account, &Account { balance: 0, locked: 0, storage_usage })?;
        self.actor = account;
        Ok(())
    }

    /// Whether a transfer creates the receiver: a receipt with nothing else in it, to an account whose id is its key.
    fn may_create_implicitly(&self) -> bool {
        self.body.actions.len() == 1
            && !self.receipt.predecessor.is_system()
            && self.receiver().get_account_type() == AccountType::NearImplicitAccount
    }

    /// Creates the receiver, whose id is the hex of its key, with full access for it.
    fn create_implicitly(&mut self, deposit: u128) -> Result<(), Stop> {
        let id = self.receiver().clone();
        let key = PublicKey::from_near_implicit_account(&id);
        let key = key.map_err(|error| HostFault::Bug(format!("`{id}` is no key: {error}")))?;
        let storage_usage = self.schedule.fees.storage_usage_config.num_bytes_account;
        self.state.set_account(&id, &Account { balance: deposit, locked: 0, storage_usage })?;
        self.actor = id;
        self.add_key(&key, &Permission::FullAccess)
    }

    pub(super) fn transfer(&mut self, deposit: u128) -> Result<(), Stop> {
        let id = self.receiver().clone();
        if self.state.account(&id)?.is_none() {
            return self.create_implicitly(deposit);
        }
        let mut account = self.account()?;
        account.balance = account.balance.checked_add(deposit).ok_or_else(overflow)?;
        self.state.set_account(&id, &account)?;
        if !(self.receipt.predecessor.is_system() && self.body.signer == id) {
            return Ok(());
        }
        // Gas comes back to the allowance of the key that paid for it.
        let Some(mut key) = self.state.access_key(&id, &self.body.signer_key)? else {
            return Ok(());
        };
        if let Permission::FunctionCall { allowance: Some(allowance), .. } = &mut key.permission {
            *allowance = allowance.saturating_add(deposit);
            self.state.write(keys::access_key(&id, &self.body.signer_key), &key)?;
        }
        Ok(())
    }

    /// There are no validators and no epochs of stake: what is unlocked is back at once.
    pub(super) fn stake(&mut self, stake: u128) -> Result<(), Stop> {
        let id = self.receiver().clone();
        let mut account = self.account()?;
        let (locked, balance) = (account.locked, account.balance);
        if stake == 0 && locked == 0 {
            return Err(ActionError::TriesToUnstake { account: id }.into());
        }
        let all = balance.checked_add(locked).ok_or_else(overflow)?;
        let Some(rest) = all.checked_sub(stake) else {
            return Err(ActionError::TriesToStake { account: id, stake, locked, balance }.into());
        };
        account.balance = rest;
        account.locked = stake;
        Ok(self.state.set_account(&id, &account)?)
    }

    pub(super) fn add_key(
        &mut self,
        public_key: &PublicKey,
        permission: &Permission,
    ) -> Result<(), Stop> {
        let id = self.receiver().clone();
        if self.state.access_key(&id, public_key)?.is_some() {
            let public_key = Box::new(public_key.clone());
            return Err(ActionError::AddKeyAlreadyExists { account: id, public_key }.into());
        }
        let nonce = self.block.height.saturating_sub(1).saturating_mul(NONCES_PER_BLOCK);
        let key = AccessKey { nonce, permission: permission.clone() };
        let bytes = key_storage_bytes(public_key, &key, self.record_bytes())?;
        self.state.write(keys::access_key(&id, public_key), &key)?;
        self.use_storage(bytes, 0)
    }

    pub(super) fn delete_key(&mut self, public_key: &PublicKey) -> Result<(), Stop> {
        let id = self.receiver().clone();
        let Some(key) = self.state.access_key(&id, public_key)? else {
            let public_key = Box::new(public_key.clone());
            return Err(ActionError::DeleteKeyDoesNotExist { account: id, public_key }.into());
        };
        let bytes = key_storage_bytes(public_key, &key, self.record_bytes())?;
        self.state.delete(keys::access_key(&id, public_key));
        self.use_storage(0, bytes)
    }

    pub(super) fn delete_account(&mut self, beneficiary: &AccountId) -> Result<(), Stop> {
        let id = self.receiver().clone();
        let account = self.account()?;
        if account.locked > 0 {
            return Err(ActionError::DeleteAccountStaking { account: id }.into());
        }
        let modules = self.state.modules(&id)?;
        let code = modules.values().fold(0u64, |sum, module| sum.saturating_add(module.code_bytes));
        let (found, limit) =
            (account.storage_usage.saturating_sub(code), DELETION_STORAGE_BYTES_MAX);
        if found > limit {
            return Err(
                ActionError::DeleteAccountWithLargeState { account: id, found, limit }.into()
            );
        }
        if account.balance > 0 {
            self.push_refund(beneficiary.clone(), account.balance, None);
        }
        for (namespace, module) in modules {
            self.state.release_code(&module.code_hash)?;
            self.state.delete(keys::module(&id, &namespace));
        }
        self.state.delete_all(&keys::access_keys(&id))?;
        self.state.delete_all(&keys::storage_of_account(&id))?;
        self.state.delete(keys::account(&id));
        self.actor = self.receipt.predecessor.clone();
        Ok(())
    }

    /// Bytes of storage of one namespace, counted up to the limit of deletion.
    pub(super) fn namespace_storage_bytes(&self, namespace: &Namespace) -> Result<u64, HostFault> {
        let prefix = keys::storage_prefix(self.receiver(), namespace);
        let record_bytes = self.record_bytes();
        let mut bytes = 0u64;
        self.state.scan(&prefix, |key, value| {
            bytes += (key.len() - prefix.len() + value.len()) as u64 + record_bytes;
            let flow = bytes > DELETION_STORAGE_BYTES_MAX;
            Ok(if flow { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(bytes)
    }

    /// Bytes that NEAR counts for a record beside its key and value.
    pub(super) fn record_bytes(&self) -> u64 {
        self.schedule.fees.storage_usage_config.num_extra_bytes_record
    }

    /// Adds to the receiver's storage usage, and takes from it.
    pub(super) fn use_storage(&mut self, more: u64, less: u64) -> Result<(), Stop> {
        let id = self.receiver().clone();
        let mut account = self.account()?;
        account.storage_usage = account.storage_usage.saturating_sub(less).saturating_add(more);
        Ok(self.state.set_account(&id, &account)?)
    }

    /// The receiver, which is known to exist.
    pub(super) fn account(&self) -> Result<Account, Stop> {
        let account = self.receiver().clone();
        let found = self.state.account(&account)?;
        found.ok_or_else(|| ActionError::AccountDoesNotExist { account }.into())
    }
}

pub(super) fn overflow() -> HostFault {
    HostFault::Bug("a balance is more than all tokens there can be".into())
}
