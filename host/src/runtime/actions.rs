//! Actions other than function calls: who may do them and what they change.
//!
//! Checks and their order are NEAR's (`check_account_existence`, `check_actor_permissions`, then the action).
//! What Cotenant adds is in `modules`: many modules an account, private ones, removal.

use crate::HostFault;
use crate::action::{Action, Permission};
use crate::exec::Abort;
use crate::runtime::apply::{Run, Stop};
use crate::runtime::validate::InvalidAction;
use crate::runtime::{InvalidTransaction, Machine};
use crate::state::{AccessKey, Account, keys};
use borsh::{BorshDeserialize, BorshSerialize};
use cotenant_submodules::{Namespace, NamespaceError, Visibility};
use near_account_id::{AccountId, AccountType};
use near_crypto::PublicKey;
use near_primitives_core::hash::CryptoHash;
use std::ops::ControlFlow;

/// Storage beyond the code of its modules that an account may have to be deleted, and a namespace to be
/// removed with its storage, in bytes: removing is work for a fixed price (NEAR's
/// `MAX_ACCOUNT_DELETION_STORAGE_USAGE`).
pub const DELETION_STORAGE_BYTES_MAX: u64 = 10_000;

/// Distance between the first nonces of keys of two blocks (NEAR's `ACCESS_KEY_NONCE_RANGE_MULTIPLIER`).
pub(super) const NONCES_PER_BLOCK: u64 = 1_000_000;

/// Why an action failed. The names are those of NEAR's `ActionErrorKind` where it has one.
/// Outcomes are kept in the state: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
#[allow(missing_docs, reason = "the fields are what the messages say of them")]
pub enum ActionError {
    /// An account of this id exists.
    #[error("account `{account}` exists already")]
    AccountAlreadyExists { account: AccountId },
    /// There is no such account.
    #[error("account `{account}` does not exist; create it first")]
    AccountDoesNotExist { account: AccountId },
    /// An implicit account is created by a transfer, not by this.
    #[error("account `{account}` is implicit; it cannot be created by CreateAccount")]
    OnlyImplicitAccountCreationAllowed { account: AccountId },
    /// Short top-level ids belong to the registrar.
    #[error(
        "top-level account `{account}` can be created by `{registrar}` alone, not by `{predecessor}`"
    )]
    CreateAccountOnlyByRegistrar {
        account: AccountId,
        registrar: AccountId,
        predecessor: AccountId,
    },
    /// Sub-accounts belong to their parent.
    #[error(
        "account `{account}` is no direct sub-account of `{predecessor}`, who wants to create it"
    )]
    CreateAccountNotAllowed { account: AccountId, predecessor: AccountId },
    /// Somebody else's account.
    #[error("`{actor}` may not do this to account `{account}`: only the account itself may")]
    ActorNoPermission { account: AccountId, actor: AccountId },
    /// The key is there.
    #[error("account `{account}` has the access key {public_key} already")]
    AddKeyAlreadyExists { account: AccountId, public_key: Box<PublicKey> },
    /// The key is not there.
    #[error("account `{account}` has no access key {public_key}")]
    DeleteKeyDoesNotExist { account: AccountId, public_key: Box<PublicKey> },
    /// More than the balance.
    #[error(
        "account `{account}` wants to lock {stake} yoctoNEAR, has {locked} locked and a balance of {balance}"
    )]
    TriesToStake { account: AccountId, stake: u128, locked: u128, balance: u128 },
    /// Nothing to unlock.
    #[error("account `{account}` has nothing locked")]
    TriesToUnstake { account: AccountId },
    /// Balance is locked.
    #[error("account `{account}` has balance locked; unlock it before deleting the account")]
    DeleteAccountStaking { account: AccountId },
    /// Too much to delete at once.
    #[error(
        "account `{account}` has {found} bytes of storage besides its code; at most {limit} can be deleted with it: remove some first"
    )]
    DeleteAccountWithLargeState { account: AccountId, found: u64, limit: u64 },
    /// Too little balance for the storage.
    #[error(
        "account `{account}` lacks {amount} yoctoNEAR of balance for the storage it uses; send it more or free storage"
    )]
    LackBalanceForState { account: AccountId, amount: u128 },
    /// The default namespace is public.
    #[error(
        "the default namespace is always public; deploy a private module to a namespace with a name"
    )]
    DefaultNamespaceMustBePublic,
    /// The namespace is taken, and the deploy may not replace what is there.
    #[error(
        "account `{account}` has a {visibility} module at namespace `{namespace}`, which this deploy may not replace; hint: say that it may (`--replace`, or the flags of the action), or take another namespace"
    )]
    ModuleExists { account: AccountId, namespace: Namespace, visibility: Visibility },
    /// No code of that hash.
    #[error("no module here has code of hash {hash}; deploy the code itself once")]
    UnknownCodeHash { hash: CryptoHash },
    /// The deployer refused the code.
    #[error("{text}")]
    DeployError { text: String },
    /// No module to remove.
    #[error("account `{account}` has no module `{namespace}`")]
    ModuleDoesNotExist { account: AccountId, namespace: Namespace },
    /// Too much to delete at once.
    #[error(
        "module `{namespace}` of `{account}` has more than {limit} bytes of storage; keep it, or remove some first"
    )]
    RemoveModuleWithLargeState { account: AccountId, namespace: Namespace, limit: u64 },
    /// A yield of that data id waits already.
    #[error("a yielded promise of data id {data_id} waits already")]
    YieldAlreadyPending { data_id: CryptoHash },
    /// The part of a method name before the colon.
    #[error("method `{method}`: {error}")]
    InvalidNamespace { method: String, error: NamespaceError },
    /// A created receipt breaks a limit.
    #[error("a receipt that it created is not valid: {0}")]
    NewReceiptValidationError(InvalidAction),
    /// The call failed.
    #[error("{}", .abort.message)]
    FunctionCall { account: AccountId, abort: Abort },
    /// An action of NEAR that is not carried out here.
    #[error("Cotenant does not carry out the action {name}")]
    Unsupported { name: String },
    /// The host failed.
    #[error(
        "the host failed while it ran this receipt; its gas is burnt, its deposit comes back; report `faults/{receipt}` of the home, which reproduces it"
    )]
    HostFault { receipt: CryptoHash },
    /// Somebody else's signature, or of something else.
    #[error("the delegate action is not signed by the key that it names")]
    DelegateActionInvalidSignature,
    /// Its time is over.
    #[error("the delegate action was valid until block {max_block_height}; this is block {height}")]
    DelegateActionExpired { max_block_height: u64, height: u64 },
    /// It was sent to somebody else than its sender.
    #[error(
        "the delegate action is of `{sender}`; the transaction that brings it is for `{receiver}`"
    )]
    DelegateActionSenderDoesNotMatchTxReceiver { sender: AccountId, receiver: AccountId },
    /// The sender's key does not allow it.
    #[error("delegate action: {0}")]
    DelegateActionAccessKeyError(Box<InvalidTransaction>),
    /// It was done before.
    #[error(
        "the delegate action has nonce {delegate_nonce}, its key is at {ak_nonce}: it has to be more"
    )]
    DelegateActionInvalidNonce { delegate_nonce: u64, ak_nonce: u64 },
    /// A nonce that blocks have not come to.
    #[error("the delegate action has nonce {delegate_nonce}; it has to be less than {upper_bound}")]
    DelegateActionNonceTooLarge { delegate_nonce: u64, upper_bound: u64 },
}

impl ActionError {
    /// The stable code.
    pub fn code(&self) -> String {
        match self {
            ActionError::FunctionCall { abort, .. } => abort.code.clone(),
            other => {
                // The name of the variant: everything before its fields.
                let text = format!("{other:?}");
                let end = text.find([' ', '(', '{']).unwrap_or(text.len());
                text[..end].to_owned()
            }
        }
    }
}

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

/// What an account lacks to stake for its storage; `None` if it lacks nothing. An account of at most 770
/// bytes needs nothing (NEP-448).
pub(super) fn storage_lack(account: &Account, price_per_byte: u128) -> Option<u128> {
    const ZERO_BALANCE_ACCOUNT_BYTES_MAX: u64 = 770;
    let required = price_per_byte.saturating_mul(u128::from(account.storage_usage));
    let available = account.balance.saturating_add(account.locked);
    let lack = required.saturating_sub(available);
    (lack > 0 && account.storage_usage > ZERO_BALANCE_ACCOUNT_BYTES_MAX).then_some(lack)
}

pub(super) fn overflow() -> HostFault {
    HostFault::Bug("a balance is more than all tokens there can be".into())
}
