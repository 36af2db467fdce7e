//! The runtime functions: what compiled code calls for anything that is not a few operators.
//!
//! Compiled code names the [`Function`]s it needs; [`link`] adds what they call themselves and gives imports,
//! indices and bodies. Each is emitted once, and only where it is called. Conventions (words, gas, memory
//! kept backwards) are in `docs/spec/evm.md`, section 3; the functions are its section 4.
//!
//! What is never true here: a trap or an access out of bounds that a guest's operands can reach.

mod accounts;
mod arithmetic;
mod cache;
mod calls;
mod code;
pub(crate) mod compact;
mod copies;
mod division;
mod effects;
mod frame;
mod keccak;
pub mod layout;
mod limbs;
mod memory;
mod modular;
mod shifts;
mod storage;
mod table;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use wasm_encoder::ValType;

pub use layout::{Global, declare_globals};
pub use table::Function;

use crate::Keccak;
use code::Code;

/// What a module is linked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// Who hashes.
    pub keccak: Keccak,
    /// Bytes of the EVM code; the data segment [`layout::CODE_SEGMENT`] has to hold them, backwards, if
    /// [`Linked::needs_code_segment`] says so.
    pub code_bytes: u32,
}

/// A function's type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    /// Parameters.
    pub params: Vec<ValType>,
    /// Results.
    pub results: Vec<ValType>,
}

impl Signature {
    /// Parses `w` (a word, four i64), `l` (an i64), `g` (gas, an i64) and `i` (an i32).
    fn parse(params: &str, results: &str) -> Self {
        let types = |text: &str| {
            let mut types = Vec::new();
            for letter in text.bytes() {
                match letter {
                    b'w' => types.extend([ValType::I64; 4]),
                    b'i' => types.push(ValType::I32),
                    _ => types.push(ValType::I64),
                }
            }
            types
        };
        Self { params: types(params), results: types(results) }
    }
}

/// Host functions, all imported from `env` (`docs/ABI.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Import {
    /// `input(register)`.
    Input,
    /// `register_len(register) -> length`.
    RegisterLen,
    /// `read_register(register, pointer)`.
    ReadRegister,
    /// `callback_into(length, pointer, into, capacity) -> length`.
    CallbackInto,
    /// `pending_into(into, capacity) -> length`.
    PendingInto,
    /// `value_return(length, pointer)`.
    ValueReturn,
    /// `panic_utf8(length, pointer)`.
    PanicUtf8,
    /// `keccak256(length, pointer, register)`.
    Keccak256,
}

impl Import {
    /// Its name in `env`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::RegisterLen => "register_len",
            Self::ReadRegister => "read_register",
            Self::CallbackInto => "callback_into",
            Self::PendingInto => "pending_into",
            Self::ValueReturn => "value_return",
            Self::PanicUtf8 => "panic_utf8",
            Self::Keccak256 => "keccak256",
        }
    }

    /// Its type.
    #[must_use]
    pub fn signature(self) -> Signature {
        let (params, results) = match self {
            Self::Input => ("l", ""),
            Self::RegisterLen => ("l", "l"),
            Self::CallbackInto => ("llll", "l"),
            Self::PendingInto => ("ll", "l"),
            Self::ReadRegister | Self::ValueReturn | Self::PanicUtf8 => ("ll", ""),
            Self::Keccak256 => ("lll", ""),
        };
        Signature::parse(params, results)
    }
}

/// Which index each import and each function got.
#[derive(Clone, Debug, Default)]
struct Indices {
    imports: Vec<Import>,
    functions: Vec<Function>,
}

impl Indices {
    fn import(&self, import: Import) -> u32 {
        self.imports.binary_search(&import).expect("linked with all imports of its functions")
            as u32
    }

    fn function(&self, function: Function) -> u32 {
        let place = self.functions.binary_search(&function);
        let place = place.expect("linked with all that its functions call");
        (self.imports.len() + place) as u32
    }
}

/// The runtime functions of one module.
#[derive(Clone, Debug)]
pub struct Linked {
    indices: Indices,
    bodies: Vec<wasm_encoder::Function>,
}

impl Linked {
    /// Imports, in the order of their indices from 0 on.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.indices.imports
    }

    /// Functions and their bodies, in the order of their indices from [`Self::imports`]' length on.
    pub fn functions(&self) -> impl ExactSizeIterator<Item = (Function, &wasm_encoder::Function)> {
        self.indices.functions.iter().copied().zip(&self.bodies)
    }

    /// Index of a function that was asked for, or that such a one calls.
    ///
    /// # Panics
    /// For any other: the compiler then forgot to ask for it.
    #[must_use]
    pub fn index(&self, function: Function) -> u32 {
        self.indices.function(function)
    }

    /// Index of the compiler's first own function.
    #[must_use]
    pub fn first_free(&self) -> u32 {
        (self.indices.imports.len() + self.indices.functions.len()) as u32
    }

    /// Whether the module has to have the code as a passive data segment, and a data count section.
    #[must_use]
    pub fn needs_code_segment(&self) -> bool {
        self.indices.functions.binary_search(&Function::CodeCopy).is_ok()
    }
}

/// Links `needed` and all that they call.
#[must_use]
pub fn link(needed: &BTreeSet<Function>, setup: &Setup) -> Linked {
    let mut functions = BTreeSet::new();
    let mut open: Vec<Function> = needed.iter().copied().collect();
    while let Some(function) = open.pop() {
        if functions.insert(function) {
            open.extend(function.dependencies(setup));
        }
    }
    let imports: BTreeSet<Import> =
        functions.iter().flat_map(|function| function.imports()).copied().collect();
    let indices = Indices {
        imports: imports.into_iter().collect(),
        functions: functions.into_iter().collect(),
    };
    let emit = |&function: &Function| {
        let mut code = Code::new(function, &indices, setup);
        function.emit(&mut code);
        code.finish()
    };
    let bodies = indices.functions.iter().map(emit).collect();
    Linked { indices, bodies }
}
