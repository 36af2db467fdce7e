//! What comes of a transaction.

use crate::{Address, Word};
use alloc::string::String;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// [`TransactionResult::version`].
pub const RESULT_VERSION: u8 = 1;

/// What `submit`, `call`, `deploy` and `view` return.
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
