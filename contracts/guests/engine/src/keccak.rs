//! Keccak for everything that alloy and revm hash: the host's.

use cotenant_guest::near;

/// What alloy's `native-keccak` calls.
///
/// # Safety
/// `bytes` has `len` bytes to read, `output` 32 to write.
#[unsafe(no_mangle)]
unsafe extern "C" fn native_keccak256(bytes: *const u8, len: usize, output: *mut u8) {
    // SAFETY: the caller vouches for both.
    let (bytes, output) = unsafe {
        (core::slice::from_raw_parts(bytes, len), core::slice::from_raw_parts_mut(output, 32))
    };
    output.copy_from_slice(&near::keccak256(bytes));
}
