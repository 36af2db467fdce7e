//! What work costs, and how a module is made to pay for it.
//!
//! Takes NEAR's parameters of one protocol version and a validated Wasm module; gives a [`Schedule`] and a
//! module that meters itself ([`MeteredModule`]). There is no clock, no randomness, no float and no engine here.
//! Specification: `docs/spec/gas.md`.
#![forbid(unsafe_code)]

mod meter;
mod schedule;
mod sync_costs;

pub use meter::{
    DataSegment, FunctionImport, INSTRUMENTER_VERSION, InstanceShape, MemoryPolicy, MeterError,
    MeterOptions, MeteredModule, ResetPlan, export, with_imported_memory,
};
pub use schedule::{FEATURES_PROTOCOL, PRESETS, Schedule, UnknownProtocol};
pub use sync_costs::SyncCosts;
