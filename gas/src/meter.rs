//! A module that pays for its own work: gas and stack meters written into its code.
//!
//! Takes a validated Wasm module; gives one whose every function charges gas before it works and stack
//! before it calls, to the unit what NEAR's runtime charges, and whose exports let a host read the meters
//! and put a used instance back into its first state. The charges come from finite-wasm's analysis; where
//! they are charged is decided here and nowhere else. Nothing here runs a module or knows an engine.
//! Specification: `docs/spec/gas.md`.
//!
//! | file | says |
//! |---|---|
//! | `meter/sections.rs` | what a module declares, read once |
//! | `meter/survey.rs` | what the code of a module does that the meters depend on |
//! | `meter/analysis.rs` | what each operator costs, and how large a frame is |
//! | `meter/body.rs` | the meters in one function: `body/charges.rs`, and in its inner loops: `body/loops.rs` |
//! | `meter/assemble.rs` | the new module around the new functions |

use std::collections::BTreeMap;
use std::ops::Range;

use near_parameters::vm;
use wasmparser::{ValType, Validator, WasmFeatures};

mod analysis;
mod assemble;
mod body;
mod sections;
mod survey;

/// Counts up with every change of what is written into a module; part of the key of an artifact.
pub const INSTRUMENTER_VERSION: u32 = 4;

/// Names of what a metered module exports and imports besides the module's own functions.
pub mod export {
    /// The exported memory; every metered module has exactly one.
    pub const MEMORY: &str = "memory";
    /// The exported `mut i64`: how much gas is left. The host sets it, never above `i64::MAX`, before it
    /// calls a function. It is right whenever the host can look: in an imported function, which may write
    /// it too, after a return and after a trap.
    pub const GAS: &str = "gas";
    /// The exported `mut i64`: how many bytes of stack are left to a function that is called from outside.
    /// Starts at the limit. A function that returns leaves it as it was; one that traps may not.
    pub const STACK: &str = "stack";
    /// The exported `mut i64`: how many bytes the memory has. Only the reset of an instance writes it.
    pub const MEMORY_BYTES: &str = "memory_bytes";
    /// The exported `mut i32`: 1 while an operator accesses a table, so that a table access out of bounds can be told from an
    /// indirect call out of bounds. The host reads it after a trap.
    pub const TABLE_ACCESS: &str = "table_access";
    /// How many globals stand behind the module's own: [`GAS`], [`STACK`], [`MEMORY_BYTES`], [`TABLE_ACCESS`], in this order.
    pub const METER_GLOBALS: usize = 4;
    /// The module's start function, exported so that the host can set the meters before it runs.
    pub const START: &str = "start";
    /// What stands before the name of each function that the module itself exports: no such name can be
    /// one of ours.
    pub const FUNCTION_PREFIX: &str = "\0";
    /// `global.N` is the N-th mutable global that the module defines, exported so that the host can reset
    /// it.
    pub const GLOBAL_PREFIX: &str = "global.";
    /// `table.N` is the N-th table, exported only where the memory is imported, so that the host can reset it.
    pub const TABLE_PREFIX: &str = "table.";
    /// The module that the meters' own functions are imported from.
    pub const INTERNAL: &str = "internal";
    /// `(charge: i64) -> ()`: a charge could not be paid. The host burns what [`GAS`] says was used, then
    /// charges exactly `charge`, and traps. On entry to a function this may be called twice in a row, with
    /// the charge for the frame and the charge for the first operators. If there is enough for the first,
    /// the host sets [`GAS`] to what is left then and returns; if there is enough for the second too, the
    /// module traps as `unreachable`, as under NEAR.
    pub const GAS_EXHAUSTED: &str = "gas_exhausted";
    /// `() -> ()`: a frame does not fit into what [`STACK`] says is left. Must trap.
    pub const STACK_EXHAUSTED: &str = "stack_exhausted";
    /// `(pages: i32) -> ()`: the memory is about to grow by so many pages, as [`GAS`] says what is left. The host takes the price
    /// from [`GAS`], or traps. Imported, as the third function, by modules whose memory may grow and is priced by the host: under
    /// [`MemoryPolicy::Declared`] alone.
    ///
    /// [`MemoryPolicy::Declared`]: crate::MemoryPolicy::Declared
    pub const MEMORY_GROWING: &str = "memory_growing";
}

/// Which memory a metered module gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryPolicy {
    /// NEAR's: every module has one memory of `initial_memory_pages..max_memory_pages`, whatever it
    /// declares.
    Near,
    /// What the module declares, its maximum lowered to `max_memory_pages`. A module without a memory gets
    /// one of no pages that cannot grow.
    Declared,
}

/// How a module is to be metered.
#[derive(Clone, Copy, Debug)]
pub struct MeterOptions<'a> {
    /// Prices of operators and limits of stack and memory: [`Schedule::vm`](crate::Schedule::vm).
    pub config: &'a vm::Config,
    /// Which memory the module gets.
    pub memory: MemoryPolicy,
    /// Whether multi-value and wide arithmetic are allowed besides NEAR's features: private modules.
    ///
    /// A wide operator (`i64.add128`, `i64.sub128`, `i64.mul_wide_s`, `i64.mul_wide_u`) is priced as two
    /// operators.
    pub private_features: bool,
}

/// A function that a module imports; the module it is imported from is always `env`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionImport {
    /// The name within `env`.
    pub name: String,
    /// Types of the parameters.
    pub params: Vec<ValType>,
    /// Types of the results.
    pub results: Vec<ValType>,
}

/// Bytes that an instance starts with in its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSegment {
    /// Where in the memory they go.
    pub offset: u32,
    /// Where in [`MeteredModule::code`] they are.
    pub range: Range<usize>,
}

/// What a host has to do to put a used instance back into its first state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetPlan {
    /// Whether the module can write to its tables.
    pub writes_tables: bool,
    /// Whether the module can drop a data or element segment.
    pub drops_segments: bool,
    /// Whether the module can grow its memory.
    pub grows_memory: bool,
    /// What to copy into the zeroed memory, in this order.
    pub data: Vec<DataSegment>,
    /// How many mutable globals are exported as `global.0`, `global.1` and so on.
    pub mutable_globals: u32,
}

/// A module with meters, and what a host needs to know to link and run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeteredModule {
    /// The metered module, as Wasm. Its features are those that the module itself may use.
    pub code: Vec<u8>,
    /// What it imports from `env`, in order of declaration.
    pub imports: Vec<FunctionImport>,
    /// The functions it exports, without prefix, and whether each is of type `() -> ()`, which a method
    /// has to be. A module may export a function that it imports.
    pub functions: BTreeMap<String, bool>,
    /// Whether [`export::START`] is there and has to be called before any function.
    pub has_start: bool,
    /// Pages of 64 KiB its memory starts with.
    pub initial_pages: u32,
    /// Pages of 64 KiB its memory can grow to.
    pub max_pages: u32,
    /// How to reset an instance.
    pub reset: ResetPlan,
    /// What an instance is made of.
    pub shape: InstanceShape,
}

/// What an instance is made of besides its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceShape {
    /// Functions, the meters' included.
    pub functions: u32,
    /// Globals, the meters' included.
    pub globals: u32,
    /// Elements that its tables start with.
    pub table_elements: u64,
    /// Items of its element segments.
    pub segment_items: u64,
    /// Exports, the meters' included.
    pub exports: u32,
}

/// Why a module could not be metered. Offsets are in bytes from the module's start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeterError {
    /// The module is not valid Wasm with the features that it may use.
    #[error("not a valid module: {message} (at byte {offset})")]
    Invalid {
        /// Where.
        offset: usize,
        /// What the validator found.
        message: String,
    },
    /// A function is imported from a module other than `env`.
    #[error("import `{module}.{name}`: functions can be imported from `env` only")]
    ForeignImport {
        /// The module it is imported from.
        module: String,
        /// Its name.
        name: String,
    },
    /// A memory, table, global or tag is imported.
    #[error("import `{module}.{name}` is a {kind}; only functions can be imported")]
    NotAFunction {
        /// The module it is imported from.
        module: String,
        /// Its name.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// The module declares more memory than it may have at all.
    #[error("the module starts with {found} pages of memory; {allowed} are allowed")]
    MemoryTooLarge {
        /// Pages declared.
        found: u64,
        /// Pages allowed.
        allowed: u32,
    },
    /// A function has so many locals that there is no room for the meters' own.
    #[error(
        "function {function} needs {found} locals, the meters' included; {allowed} are allowed"
    )]
    TooManyLocals {
        /// The function's index.
        function: u32,
        /// Locals it would have.
        found: u64,
        /// Locals allowed.
        allowed: u64,
    },
    /// A function has so many parameters that there is no room for the meters' own.
    #[error("function {function} has {found} parameters; {allowed} are allowed")]
    TooManyParams {
        /// The function's index.
        function: u32,
        /// Parameters it has.
        found: usize,
        /// Parameters allowed.
        allowed: usize,
    },
    /// A price of the configuration is so high that a charge could pass `i64::MAX`.
    #[error("function {function}: a charge at byte {offset} could be more than i64::MAX gas")]
    PriceTooHigh {
        /// The function's index.
        function: u32,
        /// Where the charge is due.
        offset: usize,
    },
    /// A data segment is placed by something else than a constant.
    #[error("data segment {segment} is not placed by an `i32.const`")]
    DataOffset {
        /// The segment's index.
        segment: u32,
    },
    /// finite-wasm did not analyse the module.
    #[error("the gas and stack analysis failed: {message}")]
    Analysis {
        /// What it says.
        message: String,
    },
}

impl MeteredModule {
    /// Writes meters into `code`.
    ///
    /// # Errors
    /// [`MeterError`] says what in the module cannot be metered. Input that passed validation with the
    /// features of `options` fails only for reasons that validation does not know.
    pub fn meter(code: &[u8], options: &MeterOptions<'_>) -> Result<MeteredModule, MeterError> {
        Validator::new_with_features(features(options)).validate_all(code)?;
        let sections = sections::Sections::read(code)?;
        let survey = survey::Survey::of(&sections)?;
        let analysis = analysis::analyse(code, &survey.wide_operators, options.config)?;
        assemble::assemble(&sections, &survey, &analysis, options)
    }
}

/// Returns metered code with its memory imported, as [`export::MEMORY`] of [`export::INTERNAL`] behind all functions, for an
/// engine whose host makes the memory. It is exported all the same, and so are the tables, as `table.N`.
///
/// # Errors
/// `code` is none that [`MeteredModule::meter`] wrote.
pub fn with_imported_memory(code: &[u8]) -> Result<Vec<u8>, MeterError> {
    assemble::with_imported_memory(code)
}

/// The Wasm features of NEAR's runtime, and those of private modules.
fn features(options: &MeterOptions<'_>) -> WasmFeatures {
    let mut features = WasmFeatures::FLOATS
        | WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::SATURATING_FLOAT_TO_INT;
    let bulk = WasmFeatures::REFERENCE_TYPES | WasmFeatures::BULK_MEMORY;
    let private = WasmFeatures::MULTI_VALUE | WasmFeatures::WIDE_ARITHMETIC;
    features.set(bulk, options.config.reftypes_bulk_memory);
    features.set(private, options.private_features);
    features
}

impl From<wasmparser::BinaryReaderError> for MeterError {
    fn from(error: wasmparser::BinaryReaderError) -> MeterError {
        MeterError::Invalid { offset: error.offset(), message: error.message().to_owned() }
    }
}

impl<E: std::fmt::Display> From<wasm_encoder::reencode::Error<E>> for MeterError {
    fn from(error: wasm_encoder::reencode::Error<E>) -> MeterError {
        MeterError::Invalid { offset: 0, message: error.to_string() }
    }
}
