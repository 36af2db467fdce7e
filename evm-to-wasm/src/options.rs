//! What a compilation may be told, and what it tells of itself.

use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// Rules of which hard fork of Ethereum a module follows; part of what a module is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize,
)]
pub enum Fork {
    /// Cancun, March 2024.
    #[default]
    Cancun,
    /// Prague, May 2025: the instructions of Cancun.
    Prague,
    /// Osaka, December 2025: CLZ (EIP-7939).
    Osaka,
}

/// Who hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Keccak {
    /// The module itself; it then needs no grant.
    #[default]
    Own,
    /// The host's `keccak256`, which the caller has to grant (`crypto`).
    Host,
}

/// What a compilation may be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Options {
    /// The fork.
    pub fork: Fork,
    /// Who hashes.
    pub keccak: Keccak,
}

/// A compiled contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The private module.
    pub wasm: Vec<u8>,
    /// What the compilation tells of itself.
    pub report: Report,
}

/// What a compilation tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Bytes of EVM code.
    pub bytecode_bytes: usize,
    /// Bytes of the module.
    pub wasm_bytes: usize,
    /// Whether it is in the compact form: the module has the code itself, and a function that runs it an instruction at a
    /// time, because what the code would be compiled to is out of proportion to it.
    pub compact: bool,
    /// Wasm functions of the contract's own code.
    pub functions: usize,
    /// Bytes of the contract's own code in Wasm.
    pub code_bytes: usize,
    /// Bytes of the runtime functions.
    pub runtime_bytes: usize,
    /// Bytes of EVM code kept for CODECOPY.
    pub data_bytes: usize,
    /// Blocks that can be reached, as far as the analysis sees.
    pub blocks: usize,
    /// Gas sections.
    pub sections: usize,
    /// Jumps that go to one place known at compile time.
    pub static_jumps: usize,
    /// Jumps that go to one of several places.
    pub dynamic_jumps: usize,
    /// Those among them that the analysis does not know the places of: they may go to any JUMPDEST.
    pub unresolved_jumps: usize,
    /// Words computed, and those among them proved to fit 64 bits.
    pub values: usize,
    /// See `values`.
    pub narrow_values: usize,
    /// Bits of [`crate::abi::reads`]: which parts of the frame input the module reads.
    pub reads: u32,
    /// What a person may want to know, in the order of the code.
    pub warnings: Vec<Warning>,
}

/// Something odd in the bytecode; it compiles all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// An instruction that the fork does not have, where code may run into it: an exceptional halt.
    Undefined {
        /// Where, in bytes.
        at: usize,
        /// The byte.
        opcode: u8,
        /// The first supported fork that has it, if one does.
        since: Option<Fork>,
    },
}
