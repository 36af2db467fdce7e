//! Drives contracts that `evm-to-wasm` compiled: revm natively as their parent, a Cotenant host below.
//!
//! Takes a revm context and a transaction; gives what revm gives, and [`Counts`] of what ran how. revm supplies
//! transactions, journal, warm and cold, refunds and precompiles; a frame whose code has a module is run by
//! opening that module and serving its requests out of the journal (`docs/spec/evm.md`). Code is compiled when
//! it is first seen, init code too. Never true here: a module that is trusted with anything but its own frame,
//! or a frame of the EVM that is a frame of this thread's native stack.
//!
//! [`statetest`] runs Ethereum's state tests this way, [`mod@bench`] measures, [`workloads`] are what is measured of
//! the contracts of `contracts/evm`.
#![forbid(unsafe_code)]

pub mod bench;
pub mod compare;
mod counts;
mod evm;
mod frame;
mod modules;
mod reference;
pub mod statetest;
pub mod workloads;
mod world;

pub use counts::{BadAnswer, Counts};
pub use evm::{CompiledEvm, EthContext};
pub use evm_parent::{FrameFault, Malformed, fork_of, spec_of_fork};
pub use modules::{CompiledModule, ModuleError, ModuleOptions, Modules, Prices};
pub use world::{Ran, World};
