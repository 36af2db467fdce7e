//! EVM bytecode in, a private module out.
//!
//! ```
//! // Returns the word 42.
//! let code = [0x60, 42, 0x5f, 0x52, 0x60, 32, 0x5f, 0xf3];
//! let compiled = evm_to_wasm::compile(&code, &evm_to_wasm::Options::default());
//! assert!(compiled.wasm.starts_with(b"\0asm"));
//! println!("{} bytes of code, {} functions", compiled.report.code_bytes, compiled.report.functions);
//! ```
//!
//! [`compile`] is a pure function; every byte string is EVM code. [`abi`] is what a module compiled from an
//! EVM contract and the parent that runs it say to each other. This crate knows no host: to a host a compiled
//! contract is a private module like any other, its arguments, yields, answers and result are bytes.
//!
//! The way of the code, a file a step: `blocks` decodes, `analysis` finds where jumps go, `graph` makes nodes,
//! `flow` their order, regions and parts with `dominators`, `build` the intermediate form (`ir`) with `simplify` and
//! `range`, `lower` the bodies, `module` the module.
#![no_std]
#![forbid(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "the limbs of several words are walked by their place"
)]

extern crate alloc;

pub mod abi;
mod access;
mod analysis;
mod blocks;
mod build;
mod dominators;
mod facts;
mod flow;
mod graph;
mod hash;
mod ir;
mod lower;
mod module;
mod opcode;
mod options;
mod range;
mod routines;
pub mod runtime;
mod simplify;
mod sink;
mod table;
mod word;

use alloc::string::String;

pub use hash::code_hash;
pub use module::{Provenance, SECTION};
pub use options::{Compiled, Fork, Keccak, Options, Report, Warning};

/// Version of the compiler; a module compiled by another may differ in bytes, never in what it does.
pub const COMPILER_VERSION: u32 = 3;

/// Compiles `code`. It never fails: what the fork does not define is an exceptional halt.
#[must_use]
pub fn compile(code: &[u8], options: &Options) -> Compiled {
    module::compile(code, options)
}

/// Compiles `code` into the compact form, which [`compile`] chooses where the other would be out of proportion
/// ([`Report::compact`]): both do the same.
#[must_use]
pub fn compile_compact(code: &[u8], options: &Options) -> Compiled {
    module::compile_compact(code, options)
}

/// Prints the intermediate form of `code`, as `--emit ir` does.
#[must_use]
pub fn print_ir(code: &[u8], options: &Options) -> String {
    module::print(code, options)
}
