//! Why a transaction is refused and why an action fails, with what it is about. `near/json.rs` says both as NEAR does.

use crate::HostFault;
use crate::exec::Abort;
use crate::runtime::validate::{InvalidAction, SECOND_VERSION_PROTOCOL, VALIDITY_BLOCKS};
use borsh::{BorshDeserialize, BorshSerialize};
use cotenant_submodules::{Namespace, NamespaceError, Visibility};
use near_account_id::AccountId;
use near_crypto::PublicKey;
use near_primitives_core::hash::CryptoHash;

/// Why a transaction is refused. Nothing has changed.
/// Outcomes are kept in the state: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
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
    NamespaceMismatch { method: String, namespace: Namespace, allowed: Vec<Namespace> },
    /// The key may not spend that much.
    #[error(
        "this access key may still spend {allowance} yoctoNEAR on gas; the transaction costs {cost}"
    )]
    NotEnoughAllowance {
        account: AccountId,
        public_key: Box<PublicKey>,
        allowance: u128,
        cost: u128,
    },
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
    /// It is on top of a block that is not known, or too old.
    #[error(
        "the transaction is on top of a block that this chain does not have, or one that is more than {VALIDITY_BLOCKS} blocks old; sign it again on top of a recent block"
    )]
    Expired,
    /// Somebody else's signature, or of something else.
    #[error("the transaction is not signed by the key that it names")]
    InvalidSignature,
    /// The protocol version of this chain does not know it.
    #[error(
        "transactions of version 1 need protocol {SECOND_VERSION_PROTOCOL}, and keys of ML-DSA are not taken"
    )]
    InvalidTransactionVersion,
    /// It was sent before, or out of order.
    #[error(
        "the transaction has nonce {tx_nonce}, its access key is at {ak_nonce}: it has to be more"
    )]
    InvalidNonce { tx_nonce: u64, ak_nonce: u64 },
    /// A nonce that blocks have not come to.
    #[error(
        "the transaction has nonce {tx_nonce}; at this height it has to be less than {upper_bound}"
    )]
    NonceTooLarge { tx_nonce: u64, upper_bound: u64 },
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
    /// Code is named with another length than it has.
    #[error(
        "code of hash {hash} has {actual} bytes, and the deploy says and pays {found}; hint: name its length with its hash"
    )]
    WrongCodeLength { hash: CryptoHash, found: u64, actual: u64 },
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
