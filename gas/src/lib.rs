//! What work costs, and how a module is made to pay for it.
//!
//! ```
//! use cotenant_gas::{MemoryPolicy, MeterOptions, MeteredModule, Schedule};
//!
//! let schedule = Schedule::for_protocol(88)?;
//! println!("opening a sync call costs {} gas", schedule.sync.open);
//! let code = wat::parse_str(r#"(module (func (export "run") (loop (br 0))))"#)?;
//! let options = MeterOptions { config: &schedule.vm, memory: MemoryPolicy::Near, private_features: false };
//! let metered = MeteredModule::meter(&code, &options)?;
//! assert!(metered.code.len() > code.len()); // it counts its own gas, and ends when there is none
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
pub use sync_costs::{InstanceCosts, InstanceParts, SyncCosts};
