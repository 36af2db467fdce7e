//! The optimising compile, off the path of calls: who compiles ([`Compiler`]), when ([`Compile`]), in which order (`queue`).
//!
//! Takes a metered module; gives native code, or why there is none. A compiler's opinion decides nothing: a module that it
//! does not take stays on the interpreter, with the same outcomes, gas and logs.

pub(crate) mod queue;
mod worker;

pub use worker::{WorkerError, work};

use crate::engine::compile_native;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// When modules are compiled to native code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compile {
    /// At the deploy, which waits for it: for tests and measurements, where an engine has to be what it is called. A call
    /// that wants native code and has none because its compile failed is a fault, and not one on the interpreter.
    Wait,
    /// On threads in the background, once a module has been called. Until then, and if it fails, calls run on the
    /// interpreter.
    Background,
    /// Only when it is asked for ([`Registry::compile`](crate::registry::Registry::compile)).
    Never,
}

/// Who compiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// A thread of this process: for a library user without the command line's binary. Nothing bounds the memory and the
    /// time that a module made to be hard can cost; a crash of the compiler is a crash of the host.
    InProcess,
    /// A child process for each compile: a program that calls [`work`], for instance `cotenant compile-worker`. It gets
    /// no environment, no descriptors but its pipes and no path; it ends with its parent.
    Process {
        /// The program.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
        /// What one compile may use.
        limits: CompileLimits,
    },
}

/// What one compile in a child process may use, and how large its result may be. It never decides acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space, in bytes (`RLIMIT_AS`).
    pub address_space_bytes: u64,
    /// CPU time, in seconds (`RLIMIT_CPU`).
    pub cpu_seconds: u64,
    /// Time on the clock.
    pub wall: Duration,
    /// Length of the artifact, in bytes.
    pub artifact_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            address_space_bytes: 1 << 30,
            cpu_seconds: 60,
            wall: Duration::from_secs(240),
            artifact_bytes: 256 << 20,
        }
    }
}

/// Why there is no native code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileFailure {
    /// It is the module's: it is refused, or over a limit, or the compiler crashed over it. Not tried again until asked.
    #[error("{0}")]
    Module(String),
    /// It is the machine's: no process could be started. Tried again by the next process that opens the home.
    #[error("{0}")]
    Machine(String),
    /// The host was closed meanwhile.
    #[error("the host was closed before the compile ended")]
    Cancelled,
}

impl Compiler {
    /// Compiles a metered module to native code, on this thread or in a child that this thread waits for.
    ///
    /// # Errors
    /// See [`CompileFailure`].
    pub(crate) fn compile(
        &self,
        metered: &[u8],
        threads: Option<NonZero<usize>>,
        cancelled: &AtomicBool,
    ) -> Result<Vec<u8>, CompileFailure> {
        match self {
            Compiler::InProcess => compile_caught(metered, threads).map_err(CompileFailure::Module),
            Compiler::Process { program, arguments, limits } => {
                worker::compile_in_child(program, arguments, limits, metered, cancelled)
            }
        }
    }
}

/// Compiles in this process; a panic of the compiler is its refusal.
fn compile_caught(metered: &[u8], threads: Option<NonZero<usize>>) -> Result<Vec<u8>, String> {
    match std::panic::catch_unwind(|| compile_native(metered, threads)) {
        Ok(Ok(code)) => Ok(code),
        Ok(Err(message)) => Err(format!("the compiler refuses it: {message}")),
        Err(_) => Err("the compiler panicked".to_owned()),
    }
}
