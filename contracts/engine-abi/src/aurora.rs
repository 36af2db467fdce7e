//! What Aurora's engine and its callers say to each other: the methods that bear Aurora's names take and give these, to
//! the byte. From Aurora's published ABI (`engine-types/src/parameters/engine.rs` of its repository, release 3.10.1).

use crate::{Address, Word};
use alloc::string::String;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// What `call` ends with that cannot read its arguments.
pub const ERR_BORSH_DESERIALIZE: &str = "ERR_BORSH_DESERIALIZE";

/// The same, of the other methods that take borsh.
pub const ERR_ARG_PARSE: &str = "ERR_ARG_PARSE";

/// The same, of a method that takes an address.
pub const ERR_INCORRECT_INPUT_LENGTH: &str = "ERR_INCORRECT_INPUT_LENGTH";

/// What every method ends with before `new`.
pub const ERR_STATE_NOT_FOUND: &str = "ERR_STATE_NOT_FOUND";

/// [`SubmitResult::version`].
pub const SUBMIT_RESULT_VERSION: u8 = 7;

/// Arguments of `call`. The bytes of a bare [`FunctionCallArgsV1`] are taken too ([`deserialize`](Self::deserialize)).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum CallArgs {
    /// With value.
    V2(FunctionCallArgsV2),
    /// Without.
    V1(FunctionCallArgsV1),
}

/// A call with value.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FunctionCallArgsV2 {
    /// Whom.
    pub contract: Address,
    /// Wei.
    pub value: Word,
    /// Calldata.
    pub input: Vec<u8>,
}

/// A call without value.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FunctionCallArgsV1 {
    /// Whom.
    pub contract: Address,
    /// Calldata.
    pub input: Vec<u8>,
}

impl CallArgs {
    /// The arguments of these bytes; `None` if they are neither form.
    #[must_use]
    pub fn deserialize(bytes: &[u8]) -> Option<Self> {
        Self::try_from_slice(bytes)
            .or_else(|_| FunctionCallArgsV1::try_from_slice(bytes).map(Self::V1))
            .ok()
    }
}

/// Arguments of `view`.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ViewCallArgs {
    /// Who is told to be calling.
    pub sender: Address,
    /// Whom.
    pub address: Address,
    /// Wei.
    pub amount: Word,
    /// Calldata.
    pub input: Vec<u8>,
}

/// Arguments of `submit_with_args`.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SubmitArgs {
    /// A signed transaction.
    pub tx_data: Vec<u8>,
    /// The highest price of gas that the sender pays here, in wei, whatever the transaction says.
    pub max_gas_price: Option<u128>,
    /// Not used by Aurora either.
    pub gas_token_address: Option<Address>,
}

/// Arguments of `get_storage_at`.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct GetStorageAtArgs {
    /// The account.
    pub address: Address,
    /// The slot.
    pub key: Word,
}

/// What `submit`, `submit_with_args`, `call` and `deploy_code` return.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SubmitResult {
    /// [`SUBMIT_RESULT_VERSION`].
    pub version: u8,
    /// How it ended, with its output: of a creation that succeeded the address.
    pub status: TransactionStatus,
    /// Gas that it is charged for.
    pub gas_used: u64,
    /// Logs, in order.
    pub logs: Vec<ResultLog>,
}

/// A log of the EVM.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ResultLog {
    /// Who wrote it.
    pub address: Address,
    /// At most four.
    pub topics: Vec<Word>,
    /// Its data.
    pub data: Vec<u8>,
}

/// How a transaction ended, in the order of Aurora's variants. `view` returns this alone.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[allow(missing_docs, reason = "named after the exceptional halts of the EVM")]
pub enum TransactionStatus {
    /// It succeeded, with this output.
    Succeed(Vec<u8>),
    /// It reverted, with this output.
    Revert(Vec<u8>),
    OutOfGas,
    OutOfFund,
    OutOfOffset,
    CallTooDeep,
    StackUnderflow,
    StackOverflow,
    InvalidJump,
    InvalidRange,
    DesignatedInvalid,
    CreateCollision,
    CreateContractLimit,
    InvalidCode(u8),
    PCUnderflow,
    CreateEmpty,
    MaxNonce,
    UsizeOverflow,
    Other(String),
    CreateContractStartingWithEF,
}
