//! Makes it happen: compile, instantiate, switch stacks, store.
//!
//! Specification: `docs/spec/`; code map: `docs/ARCHITECTURE.md`.
#![deny(unsafe_code)]

pub mod action;
pub mod artifact;
pub mod child;
pub mod compile;
pub mod deploy;
pub mod engine;
pub mod exec;
mod fault;
pub mod fiber;
mod host;
pub mod marks;
pub mod registry;
pub mod runtime;
pub mod state;
pub mod view;

pub use fault::{DiskFault, Halt, HostFault, ReceiptFault};
pub use host::{Call, DeployFailed, FIRST_BALANCE, Host, HostError, Machine, Options};
