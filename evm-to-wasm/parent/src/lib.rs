//! revm as the parent of compiled contracts, wherever revm itself runs.
//!
//! ```
//! use evm_parent::{fork_of, spec_of_fork};
//! use evm_to_wasm::Fork;
//!
//! // Modules are compiled for a fork of the compiler's, transactions run under one of revm's.
//! let spec = spec_of_fork(Fork::Prague);
//! assert_eq!(fork_of(spec), Some(Fork::Prague));
//! ```
//!
//! [`ParentEvm`] is revm's own EVM, frame loop and journal, with one thing changed: a frame that has a module is
//! run by it, and its requests are served out of the journal (`docs/spec/evm.md`). Where modules come from and how
//! one is resumed is somebody else's business ([`ModuleSource`], [`LiveModule`]): the driver has them over a
//! session of the host, the engine contract over the sync calls of its account.
//!
//! Never here: a module that is trusted with anything but its own frame, or a frame of the EVM that is a frame of
//! the native stack.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod effects;
mod evm;
mod fault;
mod frame;
mod limits;
mod meter;
mod serve;
mod source;
pub mod wire;

pub use evm::{ParentEvm, Tally};
pub use fault::{FrameFault, Malformed};
pub use frame::input_without_gas;
pub use limits::{Limits, LogMeter};
pub use meter::FrameEnd;
pub use serve::EthContext;
pub use source::{Begun, CodeReader, LiveModule, ModuleSource, Progress, fork_of, spec_of_fork};
