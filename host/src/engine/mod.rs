//! Engines behind one small trait: a native one (wasmer with cranelift) and an interpreter (wasmi).
//!
//! Takes a metered module; gives instances that call back through [`Calls`]. An engine knows nothing of
//! frames, gas prices or rules. The same module behaves the same on every engine: result, gas left, trap.

/// Hands a macro every shape that the signature of a host function can have: engines want a closure of the very
/// signature, so there is one for each.
macro_rules! for_each_shape {
    ($with:ident) => {
        $with! {
            [] -> none,
            [a: u64] -> none,
            [a: u64, b: u64] -> none,
            [a: u64, b: u64, c: u64] -> none,
            [a: u64, b: u64, c: u64, d: u64] -> none,
            [a: u64, b: u64, c: u64, d: u64, e: u64] -> none,
            [a: u64, b: u64, c: u64, d: u64, e: u64, f: u64] -> none,
            [a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64] -> none,
            [a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64] -> none,
            [a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64] -> none,
            [] -> u64,
            [a: u64] -> u64,
            [a: u64, b: u64] -> u64,
            [a: u64, b: u64, c: u64] -> u64,
            [a: u64, b: u64, c: u64, d: u64] -> u64,
            [a: u64, b: u64, c: u64, d: u64, e: u64] -> u64,
            [a: u64, b: u64, c: u64, d: u64, e: u64, f: u64] -> u64,
            [a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64] -> u64,
            [a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64] -> u64,
            [a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64] -> u64,
            [a: u32] -> none,
            [a: u32, b: u32, c: u32, d: u32] -> none,
            [a: u64, b: u64, c: u64, d: u64] -> u32,
        }
    };
}

/// What stands in a shape, as a width, a type or a value.
macro_rules! shape {
    (@width u32) => {
        Width::U32
    };
    (@width u64) => {
        Width::U64
    };
    (@result none) => {
        None
    };
    (@result u32) => {
        Some(Width::U32)
    };
    (@result u64) => {
        Some(Width::U64)
    };
    (@type none) => {
        ()
    };
    (@type $result:ident) => {
        $result
    };
    (@value none $value:ident) => {{
        let _ = $value;
    }};
    (@value u32 $value:ident) => {
        $value as u32
    };
    (@value u64 $value:ident) => {
        $value
    };
}

mod arena;
mod interpreter;
mod libcalls;
mod memory;
mod native;
mod pool;
mod signal;
mod stack;
mod template;

pub use arena::{ArenaUse, arena_use};
pub use interpreter::InterpreterEngine;
pub use native::NativeEngine;
pub(crate) use native::{compile_native, native_fingerprint};
pub use pool::PooledInstance;
pub(crate) use signal::outermost;
pub use signal::{bracket, give_up_after};
pub(crate) use stack::{FiberBounds, FiberStack};

use crate::HostFault;
use crate::artifact::AuthenticArtifact;
use cotenant_gas::InstanceShape;
use cotenant_submodules::table::HostFunctionId;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a Wasm page.
pub const PAGE_BYTES: u64 = 65_536;

/// A method; none is the start function.
type MethodName = Option<Box<str>>;

/// Which engine runs a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EngineKind {
    /// wasmer with cranelift: native code, the default.
    Cranelift,
    /// wasmi: the interpreter.
    Wasmi,
}

impl EngineKind {
    /// All of them.
    pub const ALL: [EngineKind; 2] = [EngineKind::Cranelift, EngineKind::Wasmi];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::Cranelift => "cranelift",
            EngineKind::Wasmi => "wasmi",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EngineKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let gone = if text == "singlepass" { " any more" } else { "" };
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| format!("no engine `{text}`{gone}: choose cranelift or wasmi"))
    }
}

/// Why a guest stopped on its own, without its host wanting it. A closed list: an engine's own traps are
/// mapped to it one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trap {
    /// `unreachable`.
    Unreachable,
    /// Memory access out of bounds, or a data segment that does not fit.
    MemoryOutOfBounds,
    /// Table access out of bounds.
    TableOutOfBounds,
    /// Indirect call out of the table's bounds.
    IndirectCallOutOfBounds,
    /// Indirect call to null.
    IndirectCallToNull,
    /// Indirect call with another signature.
    BadSignature,
    /// Division by zero.
    DivisionByZero,
    /// Integer overflow.
    IntegerOverflow,
    /// Float that is no integer.
    BadConversion,
}

/// The guest has to be unwound; the [`Calls`] that said so knows why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwind;

/// Why an engine cannot run a guest, for reasons of the machine: never an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GaveUp {
    /// The arena has no memory left for another instance.
    #[error("{limit} memories are in use, as many as the arena has")]
    Memories {
        /// How many it has.
        limit: usize,
    },
    /// The kernel allows no more mappings.
    #[error("memories and stacks have {limit} mappings, as many as `vm.max_map_count` leaves them")]
    Mappings {
        /// How many there may be.
        limit: usize,
    },
    /// The native stack of a guest, or all of them together, are exhausted.
    #[error("a native stack is exhausted, or all together are")]
    Stack,
    /// There is no stack for a fiber.
    #[error("no stack for a fiber")]
    FiberStack,
    /// The interpreter failed: it is out of memory, or translates a function that it should not have been given.
    #[error("the interpreter failed")]
    Interpreter,
    /// A test asked for it.
    #[error("asked to")]
    Asked,
    /// The kernel gives no address space.
    #[error("the kernel gives no more address space")]
    AddressSpace,
}

/// Why there is no instance.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine gave up.
    #[error("gave up: {0}")]
    GaveUp(#[from] GaveUp),
    /// The host's own fault.
    #[error(transparent)]
    Fault(#[from] HostFault),
}

impl From<EngineError> for HostFault {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::GaveUp(gave_up) => HostFault::Engine(format!("gave up: {gave_up}")),
            EngineError::Fault(fault) => fault,
        }
    }
}

/// How a run of a guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned.
    Returned,
    /// It trapped.
    Trapped(Trap),
    /// [`Calls`] unwound it.
    Unwound,
    /// The engine gave up: nothing of the run counts.
    GaveUp(GaveUp),
}

/// What of a guest is open to a host function: its memory and its gas meter.
pub struct Guest<'a> {
    /// Linear memory.
    pub memory: &'a mut [u8],
    /// Gas left on the module's own meter.
    pub gas: &'a mut u64,
}

/// What a running guest calls.
pub trait Calls {
    /// A host function of the table. Arguments of 32 bits are zero-extended.
    ///
    /// # Errors
    /// [`Unwind`] ends the guest.
    fn host_function(
        &mut self,
        id: HostFunctionId,
        args: &[u64],
        guest: Guest<'_>,
    ) -> Result<u64, Unwind>;

    /// A charge that the meter could not cover.
    ///
    /// # Errors
    /// [`Unwind`] ends the guest.
    fn gas_exhausted(&mut self, charge: u64, guest: Guest<'_>) -> Result<(), Unwind>;

    /// The stack meter ran out.
    fn stack_exhausted(&mut self, guest: Guest<'_>) -> Unwind;

    /// The memory is about to grow by so many pages; only asked where the host prices memory.
    ///
    /// # Errors
    /// [`Unwind`] ends the guest, whose memory has not grown.
    fn memory_growing(&mut self, pages: u32, guest: Guest<'_>) -> Result<(), Unwind>;
}

/// One instance of a module, with its own memory, globals and tables.
pub trait Instance {
    /// Runs the module's start function (`None`) or a method with `gas` on the meter. Gives how it ended and
    /// the gas left on the meter.
    fn run(&mut self, method: Option<&str>, gas: u64, calls: &mut dyn Calls) -> (Exit, u64);

    /// Pages of its memory.
    fn pages(&self) -> u32;

    /// How its memory may grow, besides the module's own maximum.
    fn growth(&self) -> Arc<Growth>;

    /// Makes it like new; false if it cannot be. `keep_warm`: the memory that it uses may stay resident.
    fn reset(&mut self, keep_warm: bool) -> bool;

    /// Bytes that it keeps after a reset.
    fn idle_bytes(&self) -> usize;
}

/// How a memory may grow: the host says, the engine asks while the guest runs. All of it stays on one thread; wasmer wants it
/// to be `Sync`.
#[derive(Debug)]
pub struct Growth {
    limit_pages: AtomicU32,
}

impl Growth {
    fn unlimited() -> Arc<Self> {
        Arc::new(Self { limit_pages: AtomicU32::new(u32::MAX) })
    }

    /// Sets how many pages the memory may have.
    pub fn limit(&self, pages: u32) {
        self.limit_pages.store(pages, Ordering::Relaxed);
    }

    /// Whether the memory may have so many pages.
    pub fn allows(&self, pages: u64) -> bool {
        pages <= u64::from(self.limit_pages.load(Ordering::Relaxed))
    }

    fn reset(&self) {
        self.limit(u32::MAX);
    }
}

/// A compiled module, ready to be instantiated on the thread that asks.
pub trait Module: Send + Sync {
    /// An instance like new, from the pool of this thread if it has one. A module whose data does not fit
    /// its memory traps here, as on NEAR.
    ///
    /// # Errors
    /// The trap; or that the engine gave up, or the host's own fault.
    fn instance(&self) -> Result<Result<PooledInstance, Trap>, EngineError>;
}

/// Loads what was compiled for it.
pub trait Engine: Send + Sync {
    /// Which engine this is.
    fn kind(&self) -> EngineKind;

    /// Everything of the engine that could change a compiled artifact: name, version, target, CPU features.
    fn fingerprint(&self) -> String;

    /// Loads an artifact.
    ///
    /// # Errors
    /// The bytes are no artifact of this engine, or the machine has no room for them.
    fn load(
        &self,
        artifact: &AuthenticArtifact,
        facts: Arc<ModuleFacts>,
    ) -> Result<Arc<dyn Module>, HostFault>;
}

/// What an engine has to know of a metered module besides its code.
#[derive(Clone, Debug)]
pub struct ModuleFacts {
    /// Imports in order.
    pub imports: Vec<HostFunctionId>,
    /// Pages it starts with.
    pub initial_pages: u32,
    /// Whether its code grows the memory.
    pub grows_memory: bool,
    /// Whether its code writes to tables.
    pub writes_tables: bool,
    /// Whether its code drops segments.
    pub drops_segments: bool,
    /// What an instance is made of.
    pub shape: Shape,
    /// Active data: offset in memory, bytes.
    pub data: Vec<(u32, Vec<u8>)>,
}

/// What an instance is made of besides its memory: what making it, keeping it and resetting it is in proportion to.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize,
)]
pub struct Shape {
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

impl From<InstanceShape> for Shape {
    fn from(shape: InstanceShape) -> Self {
        let InstanceShape { functions, globals, table_elements, segment_items, exports } = shape;
        Self { functions, globals, table_elements, segment_items, exports }
    }
}

impl Shape {
    /// Bytes of a native instance besides what a reset copies: 72 for each function (its reference and its address), 48 for
    /// each global, 8 for each item of a segment.
    fn native_bytes(&self) -> usize {
        2_048
            + 72 * self.functions as usize
            + 48 * self.globals as usize
            + 8 * self.segment_items as usize
    }

    /// Bytes of an interpreted instance besides its memory: about 100 for each function, 80 for each global, 96 for each export
    /// with its name, 16 for each element.
    fn interpreted_bytes(&self) -> usize {
        4_096
            + 100 * self.functions as usize
            + 80 * self.globals as usize
            + 96 * self.exports as usize
            + 32 * self.table_elements as usize
            + 16 * self.segment_items as usize
    }
}
