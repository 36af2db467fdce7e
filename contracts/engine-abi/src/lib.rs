//! What the engine contract and its callers say to each other, and how it keeps its state; in borsh.
//!
//! ```
//! use engine_abi::{Fork, New};
//!
//! // The arguments of `new`, which starts an engine.
//! let new = New { chain_id: 1, owner: "evm.near".into(), fork: Fork::Cancun, permissionless_promote: false };
//! let bytes = borsh::to_vec(&new).unwrap();
//! assert_eq!(borsh::from_slice::<New>(&bytes).unwrap(), new);
//! ```
//!
//! The contract is `contracts/guests/engine`, the page for its users `docs/evm/engine.md`. This crate knows neither
//! the EVM nor a host, so that both sides of a call can use it.
//!
//! Words are 32 bytes and addresses 20, written as Ethereum writes them: the highest byte first. Gas is EVM gas
//! unless it says NEAR.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod aurora;
pub mod facts;
pub mod precompile;
mod result;
pub mod state;

use alloc::string::String;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

pub use result::{
    Counts, LONG_RESULT_VERSION, Log, LongResult, Parts, Profile, RESULT_VERSION, Status,
    TransactionResult,
};

/// An address of the EVM.
pub type Address = [u8; 20];

/// A word of the EVM, or a hash; the highest byte first.
pub type Word = [u8; 32];

/// Keccak-256 of the bytecode of a contract.
pub type CodeHash = [u8; 32];

/// The forks of Ethereum that the engine follows, by the number that [`New::fork`] has.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize,
)]
pub enum Fork {
    /// 0: Cancun, March 2024.
    #[default]
    Cancun,
    /// 1: Prague, May 2025.
    Prague,
    /// 2: Osaka, December 2025.
    Osaka,
}

/// `new`: starts an engine, once.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct New {
    /// Chain id of the transactions that it takes (EIP-155), and what CHAINID answers.
    pub chain_id: u64,
    /// The account that may mint, import, promote and demote.
    pub owner: String,
    /// The fork.
    pub fork: Fork,
    /// Whether anybody may have the engine compile and promote a contract (`compile`). Modules that come from
    /// elsewhere (`promote`) are the owner's in either case.
    pub permissionless_promote: bool,
}

/// `evm_call`: a call by the EVM address of the NEAR account that calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Call {
    /// Whom.
    pub to: Address,
    /// Wei.
    pub value: Word,
    /// Calldata.
    pub input: Vec<u8>,
    /// Gas of the transaction, intrinsic gas included.
    pub gas_limit: u64,
}

/// `evm_deploy`: a creation by the EVM address of the NEAR account that calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Deploy {
    /// Code of the constructor, with its arguments.
    pub initcode: Vec<u8>,
    /// Wei.
    pub value: Word,
    /// Gas of the transaction, intrinsic gas included.
    pub gas_limit: u64,
}

/// `evm_view`: a call by anybody, of which nothing is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct View {
    /// Who is told to be calling.
    pub from: Address,
    /// Whom.
    pub to: Address,
    /// Wei; `from` must have them.
    pub value: Word,
    /// Calldata.
    pub input: Vec<u8>,
    /// Gas of the transaction, intrinsic gas included.
    pub gas_limit: u64,
}

/// `storage_at`: a slot of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StorageAt {
    /// The account.
    pub address: Address,
    /// The slot.
    pub slot: Word,
}

/// `mint`: by the owner; adds wei to an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Mint {
    /// The account.
    pub address: Address,
    /// Wei.
    pub amount: Word,
}

/// `set_account`: by the owner; an account as it shall be, whatever it was. Storage that is not named is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SetAccount {
    /// The account.
    pub address: Address,
    /// Its code as it runs, not the code that creates it.
    pub code: Vec<u8>,
    /// Slots and values.
    pub storage: Vec<(Word, Word)>,
    /// Its nonce.
    pub nonce: u64,
    /// Wei.
    pub balance: Word,
}

/// `migrate`: by the owner; moves what an engine of version 1 left in the state. May be called again and again, with the
/// same or with other things.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Migrate {
    /// Addresses of which there are slots and no record, and the highest incarnation of these slots.
    pub forgotten: Vec<(Address, u32)>,
    /// Promoted contracts: those whose module is of an older frame ABI, or that are no code, are interpreted until
    /// they are compiled again, and their module is removed.
    pub code_hashes: Vec<CodeHash>,
    /// Whether nothing is left after these: then the state is of [`STATE_VERSION`](state::STATE_VERSION).
    pub last: bool,
}

/// What `migrate` has done. With less of either than was given the attached gas would not have been enough: call again with
/// the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Migrated {
    /// Of [`Migrate::forgotten`], from the first on.
    pub forgotten: u32,
    /// Of [`Migrate::code_hashes`], from the first on.
    pub code_hashes: u32,
    /// The state's version now.
    pub version: u8,
}

/// `promote`: by the owner; a module for a contract, from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Promote {
    /// The contract.
    pub code_hash: CodeHash,
    /// The module, as `evm-to-wasm` made it: its section `evm` must name the contract, the engine's fork and the
    /// engine's version of the frame ABI.
    pub wasm: Vec<u8>,
}
