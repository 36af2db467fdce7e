//! Makes it happen: compile, instantiate, switch stacks, store.
//!
//! ```
//! use cotenant_host::{Call, Host, Options};
//! use cotenant_submodules::{ModuleId, Visibility};
//!
//! let host = Host::in_memory(&Options::default())?;
//! let parent: ModuleId = "alice.near".parse()?;
//! host.deploy(&parent, Visibility::Public, cotenant_contracts::soak_parent())?;
//! host.deploy(&"alice.near:soak".parse()?, Visibility::Private, cotenant_contracts::soak())?;
//!
//! // What a guest does wrong is in the outcome; an `Err` is a refused transaction or the host's own fault.
//! let outcome = host.call(&Call::new(parent, "run").args(10_000_u64.to_le_bytes()))?;
//! let root = outcome.root().ok_or("the receipt did not run")?;
//! assert_eq!(root.executions[0].tree.callees[0].namespace.as_str(), "soak");
//! println!("{}", root.profile()); // wasm ... + host ... + sync ... + loading ... + fees ... = ...
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Host`] deploys, calls and views, in memory or in a folder; [`exec::Session`] drives private modules without a parent
//! contract. More programs are in `host/examples/`.
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
mod fees;
pub mod fiber;
mod host;
pub mod marks;
pub mod near;
pub mod registry;
pub mod runtime;
pub mod state;
pub mod view;

pub use fault::{DiskFault, Halt, HostFault, ReceiptFault};
pub use host::{Call, DeployFailed, FIRST_BALANCE, Host, HostError, Machine, Options};
