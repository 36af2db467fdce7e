//! What a module may do and what a call means: pure rules, no engine, no IO, no unsafe.
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
