//! Transactions: whether they may be, what they cost, and the receipt they become.
//!
//! The signer pays for everything at once: the fees of sending at the price of gas, the gas of executing at
//! the price of buying ahead (the preset's `min_gas_purchase_price`, if that is more), the deposits. What is
//! not spent comes back as a refund. Signatures are not checked here.

use crate::HostFault;
use crate::action::{Action, NamespaceScope, OutOfReach, Permission};
use crate::runtime::actions::storage_lack;
use crate::runtime::fees::{self, FeeItem};
use crate::runtime::queue;
use crate::runtime::receipt::{ActionReceipt, Receipt, ReceiptBody, child_id};
use crate::runtime::validate::{self, InvalidAction};
use crate::runtime::{Block, GAS_PRICE};
use crate::state::{AccessKey, WorkingState, keys, records};
use borsh::{BorshDeserialize, BorshSerialize};
use cotenant_gas::Schedule;
use cotenant_submodules::Namespace;
use near_account_id::AccountId;
use near_crypto::{KeyType, PublicKey};
use near_primitives_core::hash::CryptoHash;

/// What somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Transaction {
    /// Who pays, and in whose name it is done.
    pub signer: AccountId,
    /// The access key whose rules it has to keep; without one it may do everything.
    pub signer_key: Option<PublicKey>,
    /// The account that the actions are for.
    pub receiver: AccountId,
    /// What is to be done, all or nothing.
    pub actions: Vec<Action>,
}

/// Why a transaction is refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are what the messages say of them")]
pub enum InvalidTransaction {
    /// The name is taken by the protocol.
    #[error("`system` is the account that refunds come from; nobody can have it")]
    SystemAccount,
    /// No such account.
    #[error("account `{account}` does not exist; create it first")]
    AccountDoesNotExist { account: AccountId },
    /// No such key.
    #[error("account `{account}` has no access key {public_key}")]
    AccessKeyNotFound { account: AccountId, public_key: Box<PublicKey> },
    /// A key for function calls can do nothing else.
    #[error("this access key may call one function without deposit, and nothing else")]
    RequiresFullAccess,
    /// Deposits need a key with full access.
    #[error("this access key may not attach a deposit")]
    DepositWithFunctionCall,
    /// The key is for another account.
    #[error("this access key may call `{allowed}` alone, not `{found}`")]
    ReceiverMismatch { found: AccountId, allowed: AccountId },
    /// The key is for other methods.
    #[error("this access key may not call method `{method}`; it may call {allowed:?}")]
    MethodNameMismatch { method: String, allowed: Vec<String> },
    /// The key is for other namespaces.
    #[error("this access key may not call namespace {namespace:?}; it may call {allowed:?}")]
    NamespaceMismatch { namespace: Namespace, allowed: Vec<Namespace> },
    /// The key may not spend that much.
    #[error(
        "this access key may still spend {allowance} yoctoNEAR on gas; the transaction costs {cost}"
    )]
    NotEnoughAllowance { allowance: u128, cost: u128 },
    /// The account has not that much.
    #[error("account `{account}` has {balance} yoctoNEAR; the transaction costs {cost}")]
    NotEnoughBalance { account: AccountId, balance: u128, cost: u128 },
    /// Too little would be left for the storage.
    #[error("account `{account}` would lack {amount} yoctoNEAR for the storage it uses")]
    LackBalanceForState { account: AccountId, amount: u128 },
    /// It is too large.
    #[error("transaction of {found} bytes; at most {limit} are allowed")]
    TransactionSizeExceeded { found: u64, limit: u64 },
    /// An action is not valid.
    #[error(transparent)]
    InvalidAction(#[from] InvalidAction),
}

/// Why something was not done: it was refused, or the host failed.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// It is not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidTransaction),
    /// The host's own fault.
    #[error(transparent)]
    Fault(#[from] HostFault),
}

impl From<InvalidAction> for RuntimeError {
    fn from(error: InvalidAction) -> Self {
        RuntimeError::Invalid(error.into())
    }
}

/// A transaction that was taken.
pub(super) struct Converted {
    pub(super) hash: CryptoHash,
    pub(super) receipt: CryptoHash,
    pub(super) fees: Vec<FeeItem>,
    pub(super) gas_burnt: u64,
    pub(super) tokens_burnt: u128,
}

/// Takes a transaction: charges its signer and queues its receipt for the next block.
pub(super) fn convert(
    schedule: &Schedule,
    state: &mut WorkingState,
    block: Block,
    transaction: &Transaction,
) -> Result<Converted, RuntimeError> {
    let Transaction { signer, signer_key, receiver, actions } = transaction;
    if signer.is_system() {
        return Err(InvalidTransaction::SystemAccount.into());
    }
    let limits = &schedule.vm.limit_config;
    let bytes = records::encode(transaction)?;
    let (found, limit) = (bytes.len() as u64, limits.max_transaction_size);
    if found > limit {
        return Err(InvalidTransaction::TransactionSizeExceeded { found, limit }.into());
    }
    validate::actions(limits, actions)?;

    let fees = fees::send(schedule, signer == receiver, actions, receiver);
    let gas_burnt = fees::total(&fees);
    let gas_bought = fees::prepaid(schedule, actions, receiver);
    let gas_price = GAS_PRICE.max(schedule.runtime.min_gas_purchase_price.as_yoctonear());
    let cost = || {
        let deposits = validate::deposits(actions)?;
        let tokens_burnt = u128::from(gas_burnt).checked_mul(GAS_PRICE)?;
        let gas = u128::from(gas_bought).checked_mul(gas_price)?.checked_add(tokens_burnt)?;
        Some((tokens_burnt, gas.checked_add(deposits)?))
    };
    let (tokens_burnt, cost) = cost().ok_or(InvalidAction::DepositOverflow)?;

    let missing = || InvalidTransaction::AccountDoesNotExist { account: signer.clone() };
    let mut account = state.account(signer)?.ok_or_else(missing)?;
    let key = signer_key.as_ref().map(|key| use_key(state, transaction, key, cost)).transpose()?;
    let balance = account.balance;
    let short = || InvalidTransaction::NotEnoughBalance { account: signer.clone(), balance, cost };
    account.balance = balance.checked_sub(cost).ok_or_else(short)?;
    let price = schedule.fees.storage_usage_config.storage_amount_per_byte.as_yoctonear();
    if let Some(amount) = storage_lack(&account, price) {
        return Err(
            InvalidTransaction::LackBalanceForState { account: signer.clone(), amount }.into()
        );
    }

    let nonce = key.as_ref().map_or(0, |key| key.nonce);
    if let (Some(public_key), Some(key)) = (signer_key, &key) {
        state.write(keys::access_key(signer, public_key), key)?;
    }
    state.set_account(signer, &account)?;
    // A block has one transaction, so its height makes two equal transactions differ.
    let numbers = [nonce.to_le_bytes(), block.height.to_le_bytes()].concat();
    let hash = CryptoHash::hash_bytes(&[bytes, numbers].concat());
    let receipt = child_id(&hash, 0);
    let body = ReceiptBody::Actions(ActionReceipt {
        signer: signer.clone(),
        signer_key: signer_key.clone().unwrap_or_else(|| PublicKey::empty(KeyType::ED25519)),
        refund_to: None,
        gas_price,
        outputs: Vec::new(),
        inputs: Vec::new(),
        actions: actions.clone(),
    });
    let (predecessor, receiver) = (signer.clone(), receiver.clone());
    let queued = Receipt { id: receipt, transaction: hash, predecessor, receiver, body };
    queue::push(state, block.height + 1, queued)?;
    Ok(Converted { hash, receipt, fees, gas_burnt, tokens_burnt })
}

/// The key as it is after this transaction, if its rules allow it.
fn use_key(
    state: &WorkingState,
    transaction: &Transaction,
    public_key: &PublicKey,
    cost: u128,
) -> Result<AccessKey, RuntimeError> {
    let account = &transaction.signer;
    let missing = || InvalidTransaction::AccessKeyNotFound {
        account: account.clone(),
        public_key: Box::new(public_key.clone()),
    };
    let mut key = state.access_key(account, public_key)?.ok_or_else(missing)?;
    key.nonce = key.nonce.saturating_add(1);
    if let Permission::FunctionCall { allowance, receiver, methods, namespaces } =
        &mut key.permission
    {
        permitted(transaction, receiver, methods, namespaces)?;
        if let Some(allowance) = allowance {
            let short = InvalidTransaction::NotEnoughAllowance { allowance: *allowance, cost };
            *allowance = allowance.checked_sub(cost).ok_or(short)?;
        }
    }
    Ok(key)
}

/// The rules of a key for function calls.
fn permitted(
    transaction: &Transaction,
    allowed: &AccountId,
    methods: &[String],
    namespaces: &NamespaceScope,
) -> Result<(), InvalidTransaction> {
    let [Action::FunctionCall { method, deposit, .. }] = transaction.actions.as_slice() else {
        return Err(InvalidTransaction::RequiresFullAccess);
    };
    if *deposit > 0 {
        return Err(InvalidTransaction::DepositWithFunctionCall);
    }
    if transaction.receiver != *allowed {
        let (found, allowed) = (transaction.receiver.clone(), allowed.clone());
        return Err(InvalidTransaction::ReceiverMismatch { found, allowed });
    }
    namespaces.check(methods, method).map_err(|error| match error {
        OutOfReach::Method => InvalidTransaction::MethodNameMismatch {
            method: method.clone(),
            allowed: methods.to_vec(),
        },
        OutOfReach::Namespace(namespace) => InvalidTransaction::NamespaceMismatch {
            namespace,
            allowed: match namespaces {
                NamespaceScope::Named => vec![Namespace::DEFAULT],
                scope => scope.listed().to_vec(),
            },
        },
    })
}
