//! What a module does as a callee: read its input, ask its caller, return.

use alloc::string::String;
use alloc::vec::Vec;

use crate::register::{self, REGISTER, raw};
use crate::sys;

/// The arguments of this call.
pub fn input() -> Vec<u8> {
    // SAFETY: takes no pointer.
    unsafe { sys::input(REGISTER) };
    register::read()
}

/// Yields `data` to the caller and waits for its answer. Traps in a public module that no sync call entered.
pub fn callback(data: &[u8]) -> Vec<u8> {
    let (data_len, data_ptr) = raw(data);
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::callback(data_len, data_ptr, REGISTER) };
    register::read()
}

/// The same without a register: the length of the answer, which is in `into` if it fits. If not, nothing
/// was written and [`pending_into`] fetches it before the next switch.
pub fn callback_into(data: &[u8], into: &mut [u8]) -> usize {
    let (data_len, data_ptr) = raw(data);
    // SAFETY: the host reads `data` and writes at most `into.len()` bytes to `into`; both outlive the call.
    unsafe {
        sys::callback_into(data_len, data_ptr, into.as_mut_ptr() as u64, into.len() as u64) as usize
    }
}

/// Fetches the bytes that did not fit into the buffer of the last switch; their length.
pub fn pending_into(into: &mut [u8]) -> usize {
    // SAFETY: the host writes at most `into.len()` bytes to `into`, which outlives the call.
    unsafe { sys::pending_into(into.as_mut_ptr() as u64, into.len() as u64) as usize }
}

/// Sets the result of this call.
pub fn value_return(value: &[u8]) {
    let (value_len, value_ptr) = raw(value);
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::value_return(value_len, value_ptr) }
}

/// Ends this call with a message that its caller gets as `GuestPanic`.
pub fn panic(message: &str) -> ! {
    let (len, ptr) = raw(message.as_bytes());
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::panic_utf8(len, ptr) }
}

/// The namespace this module runs in, empty for the default one.
pub fn current_namespace() -> String {
    // SAFETY: takes no pointer.
    unsafe { sys::current_namespace(REGISTER) };
    text(register::read())
}

/// The namespace of the account that called, empty for a call from outside.
pub fn predecessor_namespace() -> String {
    // SAFETY: takes no pointer.
    unsafe { sys::predecessor_namespace(REGISTER) };
    text(register::read())
}

/// Namespaces are `[a-z0-9_]`, so nothing is ever replaced here.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
