//! The compiler of EVM contracts as a private module: a pure function of its input, for an engine that
//! compiles on chain what it deploys.

#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use evm_to_wasm::Options;

cotenant_guest::bare_module!();

/// Compiles EVM code. The input is borsh of the code and [`Options`], the result the bytes of the module: those
/// that the same compiler gives anywhere else.
#[unsafe(no_mangle)]
pub extern "C" fn compile() {
    let Ok((code, options)) = borsh::from_slice::<(Vec<u8>, Options)>(&cotenant_guest::input())
    else {
        cotenant_guest::panic("the input is borsh of the code and the options")
    };
    cotenant_guest::value_return(&evm_to_wasm::compile(&code, &options).wasm);
}
