//! Random modules of NEAR's features (wasm-smith), for runs against near-vm-runner.

use arbitrary::Unstructured;
use cotenant_gas::Schedule;
use cotenant_submodules::table::{Group, HOST_FUNCTIONS, HostFunctionId, Provider, Width};
use rand::Rng;
use rand::rngs::StdRng;
use std::fmt::Write;
use wasm_smith::{Config, InstructionKind, InstructionKinds, MemoryOffsetChoices, Module};

/// Bytes of randomness of a module: more make larger modules.
const ENTROPY_BYTES: usize = 6_000;

/// Methods of every module; the last can never be called, for it takes a parameter.
pub const METHODS: [&str; 3] = ["run", "again", "takes"];
const EXPORTS: &str =
    r#"(module (func (export "run")) (func (export "again")) (func (export "takes") (param i32)))"#;

/// What a random module may have.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Floats.
    pub floats: bool,
    /// NEAR's host functions.
    pub imports: bool,
    /// Reference types. Most such modules have an `externref` somewhere, which NEAR refuses.
    pub references: bool,
    /// A private module: multi-value and wide arithmetic, and the imports that one may have.
    pub private: bool,
}

/// Answers that NEAR's mock of a chain gives in its own way.
fn depends_on_the_mock(id: HostFunctionId) -> bool {
    use HostFunctionId as F;
    matches!(
        id,
        F::ChainId
            | F::PromiseYieldCreate
            | F::PromiseYieldCreateWithId
            | F::PromiseYieldResume
            | F::PromiseYieldResumeWithYieldId
    )
}

/// A module that imports every function of NEAR's that a random module may choose from; a private one also yields.
fn available_imports(schedule: &Schedule, private: bool) -> String {
    let width = |width: &Width| match width {
        Width::U32 => " i32",
        Width::U64 => " i64",
    };
    let mut text = "(module".to_owned();
    for row in HOST_FUNCTIONS {
        let available = match private {
            true => row.group != Group::PublicOnly && row.group != Group::Nested,
            false => row.provider == Provider::Near && !depends_on_the_mock(row.id),
        };
        if !available || !row.enabled(&schedule.vm) {
            continue;
        }
        let params: String = row.params.iter().map(|param| width(&param.width)).collect();
        let result = row
            .result
            .as_ref()
            .map_or_else(String::new, |result| format!(" (result{})", width(result)));
        let _ = write!(text, "(import \"env\" \"{}\" (func (param{params}){result}))", row.name);
    }
    text + ")"
}

/// A random module.
///
/// # Errors
/// When wasm-smith finds no module in the randomness it was given.
pub fn module(schedule: &Schedule, shape: Shape, rng: &mut StdRng) -> Result<Vec<u8>, String> {
    let parse = |text: &str| wat::parse_str(text).map_err(|error| error.to_string());
    let mut kinds = vec![
        InstructionKind::NumericInt,
        InstructionKind::Reference,
        InstructionKind::Parametric,
        InstructionKind::Variable,
        InstructionKind::Table,
        InstructionKind::MemoryInt,
        InstructionKind::Control,
    ];
    if shape.floats {
        kinds.extend([InstructionKind::Numeric, InstructionKind::Memory]);
    }
    let imports = if shape.imports {
        available_imports(schedule, shape.private)
    } else {
        "(module)".to_owned()
    };
    let config = Config {
        available_imports: Some(parse(&imports)?),
        exports: Some(parse(EXPORTS)?),
        allowed_instructions: InstructionKinds::new(&kinds),
        allow_floats: shape.floats,
        allow_start_export: rng.random_ratio(1, 6),
        min_imports: if shape.imports { 4 } else { 0 },
        max_imports: if shape.imports { 10 } else { 0 },
        min_memories: 1,
        max_memories: 1,
        max_memory32_bytes: 64 * 65_536,
        memory_offset_choices: MemoryOffsetChoices(96, 3, 1),
        min_funcs: 3,
        max_funcs: 10,
        max_instructions: rng.random_range(20..200),
        max_globals: 8,
        min_tables: 1,
        max_tables: 1,
        max_table_elements: 100,
        max_elements: 20,
        max_element_segments: 5,
        max_data_segments: 4,
        max_types: 12,
        max_tags: 0,
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        multi_value_enabled: shape.private,
        relaxed_simd_enabled: false,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        extended_const_enabled: false,
        wide_arithmetic_enabled: shape.private,
        custom_page_sizes_enabled: false,
        bulk_memory_enabled: true,
        reference_types_enabled: shape.references,
        ..Config::default()
    };
    let mut entropy = vec![0; ENTROPY_BYTES];
    rng.fill(entropy.as_mut_slice());
    let module = Module::new(config, &mut Unstructured::new(&entropy));
    module.map(|module| module.to_bytes()).map_err(|error| error.to_string())
}
