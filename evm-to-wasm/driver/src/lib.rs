//! Drives contracts that `evm-to-wasm` compiled: revm natively as their parent, a Cotenant host below.
//!
//! ```
//! use cotenant_host::engine::EngineKind;
//! use evm_driver::{ModuleOptions, Modules, World};
//! use revm::context::TxEnv;
//! use revm::primitives::{Address, TxKind, U256, hardfork::SpecId};
//!
//! let (caller, contract) = (Address::repeat_byte(1), Address::repeat_byte(2));
//! let mut world = World::new(SpecId::CANCUN);
//! world.insert(caller, U256::from(1_000), 0, Default::default());
//! // Returns the word 42.
//! world.insert(contract, U256::ZERO, 1, [0x60, 42, 0x5f, 0x52, 0x60, 32, 0x5f, 0xf3].into());
//! let call = TxEnv { caller, kind: TxKind::Call(contract), gas_limit: 100_000, ..TxEnv::default() };
//! let modules = Modules::new(ModuleOptions::new(EngineKind::Wasmi))?;
//! let ran = world.run(&call, Some(&modules));
//! assert_eq!(ran.counts.compiled_frames, 1);
//! println!("{:?}", ran.outcome?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
