//! What a module may do and what a call means: pure rules, no engine, no IO, no unsafe.
//!
//! ```
//! use cotenant_submodules::validate::inspect;
//! use cotenant_submodules::{ModuleId, Visibility};
//!
//! let module: ModuleId = "alice.near:swap".parse()?;
//! assert!(!module.namespace.is_default());
//! let code = wat::parse_str(
//!     r#"(module (import "env" "storage_read" (func (param i64 i64 i64) (result i64))) (func (export "run")))"#,
//! )?;
//! let schedule = cotenant_gas::Schedule::for_protocol(88)?;
//! let found = inspect(&code, &schedule.vm);
//! assert_eq!(found.kinds(), [Visibility::Public]); // storage is nothing for a private module
//! println!("{}", found.private.unwrap_err()); // rule, found, limit, where, hint
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`table`]: the one table of host functions.
//! - [`Namespace`], [`ModuleId`]: names.
//! - [`Visibility`], [`Grants`], [`Requirements`]: kinds and capabilities.
//! - [`SyncExecutionError`]: what a caller sees of a failed call.
//! - [`calls`]: the call state machine.
//! - [`validate`]: from bytes to a module that may be deployed.
//!
//! Specification: `docs/spec/calls.md`.
#![forbid(unsafe_code)]

pub mod calls;
mod error;
#[cfg(any(test, feature = "model"))]
pub mod model;
mod module;
mod namespace;
pub mod table;
pub mod validate;

pub use error::{STATUS_CALLBACK, STATUS_ERROR, STATUS_SUCCESS, SyncExecutionError};
pub use module::{Capability, DeployMode, Grants, Replace, Requirements, Visibility};
pub use namespace::{
    ModuleId, ModuleIdError, NAMESPACE_BYTES_MAX, Namespace, NamespaceError, split_method,
};
