//! Hashes its input; must be granted `crypto`.

#![no_std]

use cotenant_guest::{input, sys, value_return};

cotenant_guest::bare_module!();

const REGISTER: u64 = 0;

/// The SHA-256 of the input.
#[unsafe(no_mangle)]
pub extern "C" fn sha256() {
    let input = input();
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::sha256(input.len() as u64, input.as_ptr() as u64, REGISTER) };
    return_digest();
}

/// The Keccak-256 of the input.
#[unsafe(no_mangle)]
pub extern "C" fn keccak256() {
    let input = input();
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::keccak256(input.len() as u64, input.as_ptr() as u64, REGISTER) };
    return_digest();
}

fn return_digest() {
    let mut digest = [0; 32];
    // SAFETY: both hashes are 32 bytes long, which the buffer has.
    unsafe { sys::read_register(REGISTER, digest.as_mut_ptr() as u64) };
    value_return(&digest);
}
