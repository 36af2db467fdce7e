//! What the engine and its module of large precompiles say to each other.

use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

use crate::Fork;

/// Namespace of the module, a private one of the engine's account.
pub const NAMESPACE: &str = "evm_precompiles";

/// Its method.
pub const METHOD: &str = "run";

/// A call of a precompile.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Run {
    /// The number that its address is.
    pub number: u16,
    /// The fork whose precompile it is.
    pub fork: Fork,
    /// EVM gas of the call.
    pub gas_limit: u64,
    /// Its input.
    pub input: Vec<u8>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Ran {
    /// It succeeded.
    Success {
        /// EVM gas that it costs.
        gas_used: u64,
        /// Its output.
        output: Vec<u8>,
    },
    /// It costs more than its gas.
    OutOfGas,
    /// It refuses its input, and takes all gas.
    Refused,
}
