//! What comes of a transaction.

use crate::{Address, Word};
use alloc::string::String;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// [`TransactionResult::version`] of a result that is all there.
pub const RESULT_VERSION: u8 = 1;

/// The same of a [`LongResult`].
pub const LONG_RESULT_VERSION: u8 = 2;

/// What `evm_submit`, `evm_call`, `evm_deploy` and `evm_view` return.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TransactionResult {
    /// [`RESULT_VERSION`].
    pub version: u8,
    /// How it ended.
    pub status: Status,
    /// Return data, data of a revert, or the code of a created contract.
    pub output: Vec<u8>,
    /// Gas that it is charged for, the refund taken off.
    pub gas_used: u64,
    /// Gas refunded.
    pub refund: u64,
    /// Logs, in order; none unless it succeeded.
    pub logs: Vec<Log>,
    /// The contract that it created.
    pub created: Option<Address>,
    /// How its frames ran. Nothing of the EVM's: the same transaction has others once a contract is promoted.
    pub counts: Counts,
}

/// What is returned in the place of a result that is longer than a NEAR call may return (4 MiB).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LongResult {
    /// The result without its output and logs, of [`LONG_RESULT_VERSION`].
    pub head: TransactionResult,
    /// Where the whole is.
    pub parts: Parts,
}

/// The borsh of a long result, in parts: the values of as many receipts of the method `result_part`, which the call has made,
/// in order. A view makes no receipts: `evm_view_part` gives each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Parts {
    /// How many.
    pub count: u32,
    /// Bytes of all together.
    pub bytes: u32,
    /// SHA-256 of all together.
    pub sha256: Word,
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Status {
    /// STOP, RETURN or SELFDESTRUCT; its changes are kept.
    Success,
    /// REVERT. The sender's nonce and fee are all that has changed.
    Revert,
    /// An exceptional halt, with revm's name for it, which may be another for a compiled frame. The sender's nonce
    /// and fee are all that has changed.
    Halt(String),
    /// It is no transaction of this chain at this time, and why; nothing has changed.
    Invalid(String),
}

/// A log of the EVM.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Log {
    /// Who wrote it.
    pub address: Address,
    /// At most four.
    pub topics: Vec<Word>,
    /// Its data.
    pub data: Vec<u8>,
}

/// How the frames of a transaction ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Counts {
    /// Frames that ran as modules.
    pub compiled_frames: u64,
    /// Frames that were interpreted.
    pub interpreted_frames: u64,
    /// Requests of modules that were answered.
    pub yields: u64,
    /// Frames that were halted because their module did what it must not, the first ones, in words.
    pub faults: Vec<String>,
}

/// What `evm_profile` returns: how the promoted contracts of a transaction ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Profile {
    /// EVM gas that it is charged for, the refund taken off.
    pub gas_used: u64,
    /// EVM gas that frames of promoted contracts used in modules, each what it used itself.
    pub compiled_gas: u64,
    /// The same of frames that were interpreted nevertheless.
    pub interpreted_gas: u64,
    /// Frames that ran as modules.
    pub compiled_frames: u64,
    /// Frames that were interpreted.
    pub interpreted_frames: u64,
}
