//! Compiled contracts against revm's interpreter, in the same run.
//!
//! Takes one-transaction fixtures and state tests; gives a [`Row`] a case. Every run is one transaction from the
//! same warm state; revm, modules with granted keccak and modules with their own take turns, and times are
//! medians. Gas, output and state have to be revm's.

mod families;
mod fixture;
mod handwritten;
mod hostile;
mod measure;

pub use families::{FAMILIES, Family};
pub use fixture::{Case, FixtureError, cases};
pub use hostile::{Growth, HostileError, HostileReport, HostileRow, SIZES, hostile};
pub use measure::{MeasureError, Rig};

use serde::Serialize;

/// One case. Times in nanoseconds, each the median over its runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The file's stem, and the number of the case if it has several.
    pub name: String,
    /// Where it is from.
    pub file: String,
    /// EVM gas of the transaction: what it used, refunds taken off.
    pub evm_gas: u64,
    /// The transaction in revm's interpreter.
    pub revm_nanos: u64,
    /// The transaction in modules with granted keccak, without starting them.
    pub compiled_nanos: u64,
    /// The same in modules that hash for themselves.
    pub compiled_own_keccak_nanos: u64,
    /// The same work in native Rust, where there is such a program.
    pub handwritten_nanos: Option<u64>,
    /// Starting the modules: the transaction's session, then opening, an instance, the first resume, the end.
    pub start_nanos: u64,
    /// `revm_nanos / compiled_nanos`.
    pub speedup: f64,
    /// Requests that the modules yielded.
    pub yields: u64,
    /// Contracts that were run.
    pub modules: u64,
    /// EVM code of them, in bytes.
    pub bytecode_bytes: u64,
    /// Wasm of them, in bytes.
    pub wasm_bytes: u64,
    /// Compiling them from EVM code to Wasm.
    pub compile_nanos: u64,
    /// Compiling them from Wasm to machine code, validating and metering included.
    pub native_compile_nanos: u64,
    /// Wasm operators executed, and bytes of bulk operations, with the modules' own keccak.
    pub wasm_operators: u64,
}

/// All rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchReport {
    /// One a case.
    pub rows: Vec<Row>,
    /// Geometric mean of the speed-ups.
    pub geomean_speedup: f64,
}

impl BenchReport {
    /// The report of these rows.
    pub fn of(rows: Vec<Row>) -> Self {
        let logarithms: f64 = rows.iter().map(|row| row.speedup.ln()).sum();
        let geomean_speedup =
            if rows.is_empty() { 0.0 } else { (logarithms / rows.len() as f64).exp() };
        Self { rows, geomean_speedup }
    }
}
