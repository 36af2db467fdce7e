//! Every rule a module can break: its stable id, where it comes from, and how to mend it.
//!
//! Numbers are not here: NEAR's come from `near_parameters`, ours are the constants below.

use super::Violation;

/// Who made a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The bytes have to be one valid module of the features that its kind may use.
    Wasm,
    /// A limit of NEAR's, which `prepare_contract` decides for public modules.
    Near,
    /// Cotenant's own.
    Cotenant,
    /// Cotenant's own, for new deploys alone: what was deployed before stays callable.
    Deploys,
}

/// A rule that a module can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its stable name, like `limits.locals`.
    pub id: &'static str,
    /// Who made it.
    pub origin: Origin,
    /// What to do about a violation.
    pub hint: &'static str,
}

/// Targets of all `br_table`s of one function. NEAR has no limit of its own; cranelift has been quadratic in
/// them (cranelift#1243). One table over every byte of the longest EVM init code (49,152, EIP-3860) fits.
pub const BR_TABLE_TARGETS_MAX: u64 = 50_000;
/// Data segments of a module. Compilers emit a few; each costs a step at every instantiation.
pub const DATA_SEGMENTS_MAX: u64 = 10_000;
/// Element segments of a module.
pub const ELEMENT_SEGMENTS_MAX: u64 = 1_000;
/// Items of all element segments together: ten tables of NEAR's largest size.
pub const ELEMENT_ITEMS_MAX: u64 = 100_000;
/// Exports of a module: as many as NEAR allows functions.
pub const EXPORTS_MAX: u64 = 10_000;
/// Parameters and locals of a function: the interpreter has 30,000, and eight are the meters'.
pub const LOCALS_PER_FUNCTION_MAX: u64 = 29_992;
/// Parameters and locals of a function times its loops: compilers keep a value of each local for each loop.
pub const LOCALS_TIMES_LOOPS_MAX: u64 = 5_000_000;
/// The same of all functions together.
pub const LOCALS_TIMES_LOOPS_CONTRACT_MAX: u64 = 20_000_000;
/// Values that the branches of a function carry (each target of a `br_table` counts), and parameters and results of its blocks
/// and calls: each is a copy in what is compiled.
pub const MOVED_VALUES_MAX: u64 = 1_000_000;
/// The same of all functions together.
pub const MOVED_VALUES_CONTRACT_MAX: u64 = 10_000_000;
/// Globals of a module: NEAR's own limit from its protocol 157 on.
pub const GLOBALS_MAX: u64 = 100_000;
/// Violations that one rejection lists; it counts the rest.
pub const VIOLATIONS_MAX: usize = 1_000;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $origin:ident, $hint:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: Rule =
            Rule { id: $id, origin: Origin::$origin, hint: $hint };)*
        /// Every rule, in the order in which this page lists them.
        pub static RULES: &[Rule] = &[$($name),*];
    };
}

rules! {
    MALFORMED = "wasm.malformed", Wasm, "the file is damaged or no core WebAssembly module; build it again";
    INVALID = "wasm.invalid", Wasm, "the module breaks WebAssembly's own rules; build it with another version of the compiler";
    FEATURE = "wasm.feature", Wasm, "turn the proposal off in the compiler; with rustc: `-C target-cpu=mvp`, and leave `+multivalue` and `+simd128` out";

    IMPORT_MODULE = "imports.module", Near, "host functions are imported from `env`; link or strip what the import belongs to";
    IMPORT_KIND = "imports.kind", Near, "only functions can be imported; define the table, global or tag in the module";
    IMPORT_MEMORY = "imports.memory", Near, "define the memory in the module (wasm-ld: leave out `--import-memory`)";
    IMPORT_UNKNOWN = "imports.unknown", Cotenant, "see docs/ABI.md for the functions there are";
    IMPORT_DISABLED = "imports.disabled", Cotenant, "this protocol version does not have the function; leave it out";
    IMPORT_SIGNATURE = "imports.signature", Cotenant, "declare the function as docs/ABI.md has it";
    IMPORT_PRIVATE = "imports.private", Cotenant, "a private module may not use it: let its caller do it and send the result, or deploy the module as public";

    CONTRACT_SIZE = "limits.contract_size", Near, "make it smaller: `opt-level = \"z\"`, `lto = true`, strip names, or split it into modules";
    FUNCTIONS = "limits.functions", Near, "split it into modules, or let the linker drop unused functions (`lto = true`)";
    LOCALS = "limits.locals", Near, "split large functions; large values belong into memory, not into locals";
    BODY_SIZE = "limits.function_body", Near, "split the function";
    BLOCKS_FUNCTION = "limits.blocks_per_function", Near, "split the function";
    BLOCKS_CONTRACT = "limits.blocks_per_contract", Near, "split it into modules";
    PARAMS_FUNCTION = "limits.params_per_function", Near, "pass a pointer to a struct in memory";
    PARAMS_CONTRACT = "limits.params_per_contract", Near, "pass pointers to structs in memory, or split it into modules";
    OPERAND_STACK = "limits.operand_stack", Near, "keep intermediate values in locals";
    TYPES = "limits.types", Near, "use fewer function signatures";
    GLOBALS = "limits.globals", Near, "keep values in memory";
    TABLES = "limits.tables", Near, "use one table; turn the reference-types proposal off";
    TABLE_ELEMENTS = "limits.table_elements", Near, "make the table smaller";
    INSTRUMENTED = "limits.instrumented_code", Near, "gas metering makes it too large: use fewer branches, or split it into modules";

    BR_TABLE = "limits.br_table", Cotenant, "split the function, or dispatch in two steps";
    LOCALS_FUNCTION = "limits.locals_per_function", Deploys, "split the function; large values belong into memory, not into locals";
    LOCALS_LOOPS = "limits.locals_times_loops", Deploys, "split the function: fewer locals, or fewer loops, in each";
    LOCALS_LOOPS_CONTRACT = "limits.locals_times_loops_per_contract", Deploys, "split it into modules, or its largest functions";
    MOVED_VALUES = "limits.moved_values", Deploys, "let blocks and branches carry fewer values: keep them in locals";
    MOVED_VALUES_CONTRACT = "limits.moved_values_per_contract", Deploys, "let blocks and branches carry fewer values, or split it into modules";
    GLOBALS_OURS = "limits.globals_max", Deploys, "keep values in memory";
    DATA_SEGMENTS = "limits.data_segments", Cotenant, "merge the segments (wasm-opt --memory-packing leaves few)";
    ELEMENT_SEGMENTS = "limits.element_segments", Cotenant, "merge the segments";
    ELEMENT_ITEMS = "limits.element_items", Cotenant, "make the tables smaller";
    EXPORTS = "limits.exports", Cotenant, "export less";
    MEMORY_COUNT = "memory.count", Cotenant, "use one memory; turn the multi-memory proposal off";
    MEMORY_INITIAL = "memory.initial", Cotenant, "start with less memory (wasm-ld: `--initial-memory`)";
    DATA_BOUNDS = "data.out_of_bounds", Cotenant, "no instance could start: place the data within the initial memory";
    ELEMENT_BOUNDS = "elements.out_of_bounds", Cotenant, "no instance could start: make the table large enough for its elements";

    PREPARE = "near.prepare", Near, "NEAR's runtime refuses the module for a reason of its own; please report this one";
}

impl Rule {
    /// The rule of an id.
    pub fn by_id(id: &str) -> Option<&'static Rule> {
        RULES.iter().find(|rule| rule.id == id)
    }
}

impl Violation {
    /// The rule that is broken.
    pub fn broken(&self) -> Option<&'static Rule> {
        Rule::by_id(self.rule)
    }
}
