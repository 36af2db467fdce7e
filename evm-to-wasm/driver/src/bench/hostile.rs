//! How the compiler takes code that was made to be hard, over growing sizes.

use super::families::FAMILIES;
use crate::modules::{ModuleError, ModuleOptions, Modules, nanos};
use cotenant_gas::UnknownProtocol;
use cotenant_host::HostFault;
use cotenant_host::engine::EngineKind;
use evm_to_wasm::{Options, compile};
use revm::primitives::keccak256;
use serde::Serialize;
use std::time::Instant;

/// Sizes of the codes, in bytes: up to a contract (EIP-170), init code (EIP-3860), and what a PUSH2 reaches.
pub const SIZES: [usize; 6] = [3_072, 6_144, 12_288, 24_576, 49_152, 65_536];

/// Between these two the growth is measured: below, fixed parts show.
const GROWS: (usize, usize) = (6_144, 49_152);

/// A family at a size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostileRow {
    /// The family.
    pub name: String,
    /// EVM code, in bytes.
    pub code_bytes: usize,
    /// EVM to Wasm, the best of some runs.
    pub compile_nanos: u64,
    /// `compile_nanos` over `code_bytes`.
    pub nanos_per_byte: f64,
    /// The whole module, in bytes.
    pub wasm_bytes: usize,
    /// Without runtime functions and bytes kept for CODECOPY, over `code_bytes`.
    pub wasm_per_byte: f64,
    /// Wasm to machine code in the host, in nanoseconds.
    pub native_compile_nanos: Option<u64>,
    /// What the host has against it.
    pub refused: Option<String>,
}

/// How the time of a family grows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Growth {
    /// The family.
    pub name: String,
    /// Time is size to the power of this, from 6,144 to 49,152 bytes; 1 is linear.
    pub exponent: f64,
}

/// All families.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HostileReport {
    /// One a family and size.
    pub rows: Vec<HostileRow>,
    /// One a family.
    pub growth: Vec<Growth>,
}

/// Why the families could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum HostileError {
    /// No prices for the host.
    #[error(transparent)]
    Protocol(#[from] UnknownProtocol),
    /// The host failed.
    #[error(transparent)]
    Host(#[from] HostFault),
}

/// Measures the families whose name has `filter`, and one more: `real` code, repeated. Modules are deployed on
/// `engine`.
///
/// # Errors
/// The host failed; what it refuses is in the rows.
pub fn hostile(
    filter: Option<&str>,
    real: &[u8],
    runs: u32,
    engine: EngineKind,
    progress: &dyn Fn(&str),
) -> Result<HostileReport, HostileError> {
    type Codes<'a> = Box<dyn Fn(usize) -> Vec<u8> + 'a>;
    let known = FAMILIES.iter().map(|family| {
        let codes: Codes<'_> = Box::new(|bytes| family.code(bytes));
        (family.name, codes)
    });
    let repeated: Codes<'_> = Box::new(|bytes| real.iter().copied().cycle().take(bytes).collect());
    let given = (!real.is_empty()).then_some(("the code of the fixtures", repeated));
    let mut report = HostileReport::default();
    for (name, codes) in known.chain(given) {
        if filter.is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        progress(name);
        let mut rows = Vec::new();
        for bytes in SIZES {
            rows.push(row(name, &codes(bytes), runs, engine)?);
        }
        let nanos_at = |bytes| {
            let row = rows.iter().find(|row: &&HostileRow| row.code_bytes == bytes);
            row.map_or(1.0, |row| row.compile_nanos as f64)
        };
        let (small, large) = GROWS;
        let exponent =
            (nanos_at(large) / nanos_at(small)).ln() / (large as f64 / small as f64).ln();
        report.growth.push(Growth { name: name.to_owned(), exponent });
        report.rows.extend(rows);
    }
    Ok(report)
}

fn row(name: &str, code: &[u8], runs: u32, engine: EngineKind) -> Result<HostileRow, HostileError> {
    let options = Options::default();
    let mut compile_nanos = u64::MAX;
    for _ in 0..runs {
        let start = Instant::now();
        let compiled = compile(code, &options);
        compile_nanos = compile_nanos.min(nanos(start));
        drop(compiled);
    }
    let compiled = compile(code, &options);
    // A host of its own, so that no other family's module is in its way.
    let modules =
        Modules::new(ModuleOptions { keccak: options.keccak, ..ModuleOptions::new(engine) })?;
    let (native_compile_nanos, refused) =
        match modules.insert(keccak256(code), options.fork, &compiled.wasm) {
            Ok(module) => (Some(module.native_compile_nanos), None),
            Err(ModuleError::Refused { reason, .. }) => (None, Some(reason)),
            Err(ModuleError::Host(fault)) => return Err(fault.into()),
        };
    let code_bytes = code.len();
    let own = compiled.wasm.len() - compiled.report.runtime_bytes - compiled.report.data_bytes;
    Ok(HostileRow {
        name: name.to_owned(),
        code_bytes,
        compile_nanos,
        nanos_per_byte: compile_nanos as f64 / code_bytes as f64,
        wasm_bytes: compiled.wasm.len(),
        wasm_per_byte: own as f64 / code_bytes as f64,
        native_compile_nanos,
        refused,
    })
}
