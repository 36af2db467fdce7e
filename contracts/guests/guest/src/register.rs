//! Bytes out of the host's registers. The one register used here is overwritten by every function of the
//! crate and read at once, so nothing has to be kept apart in several.

use alloc::vec::Vec;

use crate::sys;

/// Far from the registers that near-sdk uses (`u64::MAX - 2` and `- 1`), so that both can be mixed.
pub(crate) const REGISTER: u64 = u64::MAX - 16;

/// The bytes of [`REGISTER`], none if nothing was written to it.
pub(crate) fn read() -> Vec<u8> {
    // SAFETY: takes no pointer.
    let length = unsafe { sys::register_len(REGISTER) };
    if length == u64::MAX {
        return Vec::new();
    }
    let mut bytes = Vec::with_capacity(length as usize);
    // SAFETY: the host writes exactly `length` bytes, for which there is room; they are set before the
    // length says so.
    unsafe {
        sys::read_register(REGISTER, bytes.as_mut_ptr() as u64);
        bytes.set_len(length as usize);
    }
    bytes
}

/// Length and address as the host wants them.
pub(crate) fn raw(bytes: &[u8]) -> (u64, u64) {
    (bytes.len() as u64, bytes.as_ptr() as u64)
}
