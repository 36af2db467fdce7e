//! An interpreter inside a contract: what NEAR has today for code that its users bring along.
//!
//! Takes a module as a private module would be deployed, runs one method of it with wasmi and returns its
//! result. The core functions are served; `callback` is answered with nothing. It is the peer that running
//! the same bytes as a private module is measured against, so it is built for speed.

mod interpreter;

use cotenant_guest::codec::Reader;
use cotenant_guest::{input, panic, sys, value_return};

/// Where `load` leaves the module.
const MODULE_KEY: &[u8] = b"m";

const REGISTER: u64 = 0;

/// Runs a module that is part of the input: module, method and input, each after its length as four bytes
/// little-endian.
#[unsafe(no_mangle)]
pub extern "C" fn run() {
    let arguments = input();
    let mut reader = Reader::new(&arguments);
    let (Some(module), Some(method), Some(input)) = (reader.bytes(), reader.str(), reader.bytes())
    else {
        panic("the input is module, method and input, each after its length in 4 bytes")
    };
    finish(interpreter::run(module, method, input));
}

/// Keeps the input as the module of `run_stored`.
#[unsafe(no_mangle)]
pub extern "C" fn load() {
    let module = input();
    // SAFETY: the pointers are of slices that outlive the call; the host reads them alone.
    unsafe {
        sys::storage_write(
            MODULE_KEY.len() as u64,
            MODULE_KEY.as_ptr() as u64,
            module.len() as u64,
            module.as_ptr() as u64,
            REGISTER,
        );
    }
}

/// Runs the module that `load` kept: method and input, each after its length as four bytes little-endian.
#[unsafe(no_mangle)]
pub extern "C" fn run_stored() {
    let arguments = input();
    let mut reader = Reader::new(&arguments);
    let (Some(method), Some(input)) = (reader.str(), reader.bytes()) else {
        panic("the input is method and input, each after its length in 4 bytes")
    };
    match stored() {
        Some(module) => finish(interpreter::run(&module, method, input)),
        None => panic("load a module first"),
    }
}

fn stored() -> Option<Vec<u8>> {
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    let found =
        unsafe { sys::storage_read(MODULE_KEY.len() as u64, MODULE_KEY.as_ptr() as u64, REGISTER) };
    if found == 0 {
        return None;
    }
    // SAFETY: takes no pointer.
    let length = unsafe { sys::register_len(REGISTER) };
    let mut module = vec![0; length as usize];
    // SAFETY: the host writes exactly `length` bytes, which the vector has.
    unsafe { sys::read_register(REGISTER, module.as_mut_ptr() as u64) };
    Some(module)
}

fn finish(result: Result<Vec<u8>, String>) {
    match result {
        Ok(value) => value_return(&value),
        Err(message) => panic(&message),
    }
}
