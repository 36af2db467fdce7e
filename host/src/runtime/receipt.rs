//! Receipts on their way, and what is reported of those that ran.

use crate::action::Action;
use crate::exec::Abort;
use crate::fees::FeeItem;
use crate::runtime::errors::ActionError;
use borsh::{BorshDeserialize, BorshSerialize};
use cotenant_submodules::Namespace;
use cotenant_submodules::calls::{CallNode, GasPart, GasProfile};
use near_account_id::{AccountId, AccountIdRef};
use near_crypto::{KeyType, PublicKey};
use near_primitives_core::hash::CryptoHash;
use std::fmt;

/// A message to an account. One that refunds comes from `system`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Receipt {
    /// As NEAR makes it: see [`receipt_id`](crate::near::receipt_id).
    pub id: CryptoHash,
    /// The transaction it descends from.
    pub transaction: CryptoHash,
    /// Who created it.
    pub predecessor: AccountId,
    /// Who executes it.
    pub receiver: AccountId,
    /// What it brings.
    pub body: ReceiptBody,
}

/// What a receipt brings.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ReceiptBody {
    /// Actions to execute.
    Actions(ActionReceipt),
    /// A result that another receipt waits for; `None` if it failed.
    Data {
        /// Under which id it is awaited.
        data_id: CryptoHash,
        /// The result.
        data: Option<Vec<u8>>,
    },
    /// The answer to a yielded receipt; `None` when its time is over.
    Resume {
        /// Under which id it is awaited.
        data_id: CryptoHash,
        /// The answer.
        data: Option<Vec<u8>>,
    },
}

/// Actions to execute together.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ActionReceipt {
    /// Who signed the transaction.
    pub signer: AccountId,
    /// With which key.
    pub signer_key: PublicKey,
    /// Who gets the refund of deposits, if it is not the predecessor.
    pub refund_to: Option<AccountId>,
    /// At which price its gas was bought, in yoctoNEAR.
    pub gas_price: u128,
    /// Who waits for its result.
    pub outputs: Vec<DataReceiver>,
    /// Results it waits for.
    pub inputs: Vec<CryptoHash>,
    /// What it does.
    pub actions: Vec<Action>,
}

/// A receipt that waits for a result.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DataReceiver {
    /// Under which id it waits.
    pub data_id: CryptoHash,
    /// Where it is.
    pub receiver: AccountId,
}

/// A yielded receipt that waits to be resumed, or for its time to be over.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PendingYield {
    /// The receipt.
    pub receipt: Receipt,
    /// The block at whose end its time is over.
    pub expires_at: u64,
    /// Its answer is on the way.
    pub resumed: bool,
}

/// A receipt in the queue.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Queued {
    /// The block it is for.
    pub(crate) height: u64,
    /// The receipt.
    pub(crate) receipt: Receipt,
}

/// How a receipt ended.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Status {
    /// It succeeded with a value.
    SuccessValue(Vec<u8>),
    /// It succeeded, and another receipt has its value.
    SuccessReceipt(CryptoHash),
    /// It failed and changed nothing.
    Failure(Failure),
}

impl fmt::Display for Status {
    /// In words; of a value only its length, for it may be anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::SuccessValue(value) => write!(f, "succeeded with {} bytes", value.len()),
            Status::SuccessReceipt(id) => write!(f, "succeeded, its value comes from receipt {id}"),
            Status::Failure(failure) => write!(f, "failed: {failure}"),
        }
    }
}

impl serde::Serialize for Status {
    /// As NEAR's JSON-RPC has it: `SuccessValue` in base64, `SuccessReceiptId`, or `Failure` with its fields.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Status::SuccessValue(value) => {
                serializer.collect_map([("SuccessValue", base64(value))])
            }
            Status::SuccessReceipt(id) => {
                serializer.collect_map([("SuccessReceiptId", id.to_string())])
            }
            Status::Failure(failure) => serializer.collect_map([("Failure", failure)]),
        }
    }
}

/// Base64 with padding.
fn base64(bytes: &[u8]) -> String {
    near_primitives_core::serialize::to_base64(bytes)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// Why a receipt failed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, BorshSerialize, BorshDeserialize)]
pub struct Failure {
    /// Stable: NEAR's name of the error where it has one, for instance `AccountDoesNotExist` or
    /// `HostError.GasExceeded`.
    pub code: String,
    /// For people.
    pub message: String,
    /// The action that failed; `None` if all together did.
    pub action_index: Option<u64>,
    /// The error with its fields.
    #[serde(skip)]
    pub error: ActionError,
}

impl Failure {
    /// Returns the failure of an action, or of all together.
    pub(crate) fn new(error: ActionError, action_index: Option<u64>) -> Self {
        Self { code: error.code(), message: error.to_string(), action_index, error }
    }
}

/// What is reported of one function call.
#[derive(Clone, Debug)]
pub struct ExecutionSummary {
    /// Its position among the actions.
    pub action_index: u64,
    /// The module.
    pub namespace: Namespace,
    /// The method, without its namespace.
    pub method: String,
    /// `burnt_gas` of near-vm-runner's `VMOutcome`: Wasm, host functions, loading, send fees.
    pub gas_vm: u64,
    /// `used_gas` of it, and the unused gas that was shared out by weight.
    pub gas_used: u64,
    /// Why it failed, if it did.
    pub abort: Option<Abort>,
    /// Who called whom, and where the gas went.
    pub tree: CallNode,
}

/// What is reported of a receipt that ran.
#[derive(Clone, Debug)]
pub struct ReceiptOutcome {
    /// Its id.
    pub id: CryptoHash,
    /// The transaction it descends from.
    pub transaction: CryptoHash,
    /// Who created it; `system` for a refund.
    pub predecessor: AccountId,
    /// Who executed it.
    pub receiver: AccountId,
    /// The block it ran in.
    pub block_height: u64,
    /// Time of that block, in nanoseconds since 1970.
    pub block_timestamp: u64,
    /// How it ended.
    pub status: Status,
    /// Gas burnt: fees and calls. A refund burns none.
    pub gas_burnt: u64,
    /// The part of it that its calls burnt, in the VM.
    pub gas_vm: u64,
    /// The rest, item by item.
    pub fees: Vec<FeeItem>,
    /// Balance burnt, in yoctoNEAR. Of a refund that reaches nobody: the refund.
    pub tokens_burnt: u128,
    /// The share of `tokens_burnt` that went to the receiver as a reward, in yoctoNEAR (30 % of the price of
    /// its calls' gas before protocol 87, nothing since).
    pub tokens_rewarded: u128,
    /// Balance that came from nowhere, in yoctoNEAR: NEAR lends the 1 yoctoNEAR of a call to an account that
    /// has nothing (`one_yocto_on_promise`).
    pub tokens_minted: u128,
    /// Logs of its calls, of a failed one too.
    pub logs: Vec<String>,
    /// Its calls.
    pub executions: Vec<ExecutionSummary>,
    /// Receipts with actions that it created, refunds included.
    pub receipts: Vec<CryptoHash>,
}

impl ReceiptOutcome {
    /// What its gas was spent on; adds up to `gas_burnt`.
    pub fn profile(&self) -> GasProfile {
        let mut profile = GasProfile::default();
        self.executions.iter().for_each(|call| profile += call.tree.profile());
        self.fees.iter().for_each(|fee| profile.count(GasPart::Fees, fee.gas));
        profile
    }

    /// Whether it gave back what was not spent, free of gas.
    pub fn is_refund(&self) -> bool {
        self.predecessor.is_system()
    }
}

/// What is reported of a transaction and everything that came of it.
#[derive(Clone, Debug)]
pub struct TransactionOutcome {
    /// Its hash.
    pub hash: CryptoHash,
    /// The block it was in.
    pub block_height: u64,
    /// The receipt it became.
    pub receipt: CryptoHash,
    /// Gas burnt for making it a receipt.
    pub gas_burnt: u64,
    /// That gas, item by item.
    pub fees: Vec<FeeItem>,
    /// Balance burnt for it, in yoctoNEAR.
    pub tokens_burnt: u128,
    /// Its receipts that ran, in the order in which they did.
    pub receipts: Vec<ReceiptOutcome>,
    /// Receipts of other transactions that ran in the same blocks: a yield that this one resumed, or that
    /// expired.
    pub others: Vec<ReceiptOutcome>,
}

impl TransactionOutcome {
    /// Gas burnt by the transaction and all its receipts.
    pub fn gas_total(&self) -> u64 {
        self.receipts
            .iter()
            .fold(self.gas_burnt, |sum, receipt| sum.saturating_add(receipt.gas_burnt))
    }

    /// The receipt that the transaction became, if it ran.
    pub fn root(&self) -> Option<&ReceiptOutcome> {
        self.find(self.receipt)
    }

    /// The end of the chain of [`Status::SuccessReceipt`] from the root; `None` while it waits for a yield.
    pub fn status(&self) -> Option<&Status> {
        let mut at = self.root()?;
        loop {
            match &at.status {
                Status::SuccessReceipt(next) => at = self.find(*next)?,
                end => return Some(end),
            }
        }
    }

    fn find(&self, id: CryptoHash) -> Option<&ReceiptOutcome> {
        self.receipts.iter().find(|receipt| receipt.id == id)
    }
}

/// The account that refunds come from; nobody can have it.
pub(crate) fn system() -> AccountId {
    const SYSTEM: &AccountIdRef = AccountIdRef::new_or_panic("system");
    SYSTEM.to_owned()
}

/// A refund: of deposits, or of gas to the signer who bought it with a key.
pub(crate) fn refund(receiver: AccountId, amount: u128, gas_of: Option<&PublicKey>) -> ReceiptBody {
    let (signer, signer_key) = match gas_of {
        Some(key) => (receiver, key.clone()),
        None => (system(), PublicKey::empty(KeyType::ED25519)),
    };
    ReceiptBody::Actions(ActionReceipt {
        signer,
        signer_key,
        refund_to: None,
        gas_price: 0,
        outputs: Vec::new(),
        inputs: Vec::new(),
        actions: vec![Action::Transfer { deposit: amount }],
    })
}
