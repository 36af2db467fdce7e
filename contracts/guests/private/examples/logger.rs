//! Writes its input to the log; must be granted `log`.

#![no_std]

use cotenant_guest::{input, panic, sys, value_return};

cotenant_guest::bare_module!();

/// One line, the input.
#[unsafe(no_mangle)]
pub extern "C" fn log() {
    write(&input());
}

/// One line, the input, and then a failure: the line must not be in the log of the call.
#[unsafe(no_mangle)]
pub extern "C" fn log_and_fail() {
    write(&input());
    panic("failed after the log");
}

/// Returns its input without a line: the requirement is of the module, not of the method.
#[unsafe(no_mangle)]
pub extern "C" fn silent() {
    value_return(&input());
}

fn write(line: &[u8]) {
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::log_utf8(line.len() as u64, line.as_ptr() as u64) };
}
