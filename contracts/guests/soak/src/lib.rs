//! `cpu_ram_soak`, the benchmark of the NEP-481 thread, by hand: swaps in a buffer of 102,400 bytes.
//!
//! One code for both kinds of module: it imports the core functions alone, so it runs as a public module
//! and, untrusted, as a private one. Two pages of memory, no allocator in use.

#![no_std]

use core::ptr::{addr_of_mut, write_bytes};

use cotenant_guest::sys;

cotenant_guest::bare_module!();

/// Length of the buffer, as published.
const BUFFER_BYTES: usize = 102_400;

/// The longest input that is a number: the digits of `u64::MAX`.
const INPUT_BYTES_MAX: usize = 20;

const REGISTER: u64 = 0;

static mut BUFFER: [u8; BUFFER_BYTES] = [0; BUFFER_BYTES];

/// Runs as many swaps as the input says (eight bytes little-endian, or decimal digits) and returns their
/// count as eight bytes little-endian.
#[unsafe(no_mangle)]
pub extern "C" fn cpu_ram_soak() {
    let loops = loops();
    // SAFETY: a Wasm module has one thread and this is the only reference to the buffer.
    let buffer = unsafe { &mut *addr_of_mut!(BUFFER) };
    // SAFETY: writes the buffer's own length to the buffer. The fill is part of what is measured, and the
    // byte is not zero so that nobody can leave it out.
    unsafe { write_bytes(buffer.as_mut_ptr(), 7, BUFFER_BYTES) };
    let count = soak(buffer, loops).to_le_bytes();
    cotenant_guest::value_return(&count);
}

/// Nothing at all: what a call costs by itself.
#[unsafe(no_mangle)]
pub extern "C" fn noop() {}

/// The published loop, with the overflow checks that NEAR's contracts are built with. Indices are 32 bits wide,
/// as in the original, whose `usize` they were in Wasm.
fn soak(buffer: &mut [u8; BUFFER_BYTES], loops: u64) -> u64 {
    let mut count = 0;
    for i in 0..loops as usize {
        let j = (i * 7 + BUFFER_BYTES / 2) % BUFFER_BYTES;
        let k = i * 3 % BUFFER_BYTES;
        buffer.swap(j, k);
        count += 1;
    }
    count
}

/// The number in the input. It is read into the stack: an allocation would be the larger part of a small call.
fn loops() -> u64 {
    let mut bytes = [0; INPUT_BYTES_MAX];
    // SAFETY: takes no pointer.
    let length = unsafe {
        sys::input(REGISTER);
        sys::register_len(REGISTER)
    };
    if length as usize > INPUT_BYTES_MAX {
        cotenant_guest::panic("the input is 8 bytes little-endian or decimal digits");
    }
    // SAFETY: the host writes `length` bytes, which the buffer has.
    unsafe { sys::read_register(REGISTER, bytes.as_mut_ptr() as u64) };
    let bytes = &bytes[..length as usize];
    if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit) {
        return bytes.iter().fold(0_u64, |number, digit| {
            number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
        });
    }
    match bytes.try_into() {
        Ok(little_endian) => u64::from_le_bytes(little_endian),
        Err(_) => cotenant_guest::panic("the input is 8 bytes little-endian or decimal digits"),
    }
}
