//! Returns what it is sent.

#![no_std]

use cotenant_guest::{callback, input, panic, value_return};

cotenant_guest::bare_module!();

/// The input is the result.
#[unsafe(no_mangle)]
pub extern "C" fn echo() {
    value_return(&input());
}

/// Yields the input once; the answer is the result.
#[unsafe(no_mangle)]
pub extern "C" fn ask() {
    value_return(&callback(&input()));
}

/// Ends with the input as its message.
#[unsafe(no_mangle)]
pub extern "C" fn fail() {
    match core::str::from_utf8(&input()) {
        Ok(message) => panic(message),
        Err(_) => panic("the input is no UTF-8"),
    }
}

/// Returns nothing.
#[unsafe(no_mangle)]
pub extern "C" fn noop() {}
