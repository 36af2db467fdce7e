//! NEAR's own functions, for contracts without near-sdk: storage, the context of the call, hashes and signatures.

use alloc::vec::Vec;

use crate::register::{self, REGISTER, raw};
use crate::sys;

/// The value of a key.
pub fn storage_read(key: &[u8]) -> Option<Vec<u8>> {
    let (key_len, key_ptr) = raw(key);
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    let found = unsafe { sys::storage_read(key_len, key_ptr, REGISTER) };
    (found == 1).then(register::read)
}

/// Sets the value of a key; whether it had one.
pub fn storage_write(key: &[u8], value: &[u8]) -> bool {
    let ((key_len, key_ptr), (value_len, value_ptr)) = (raw(key), raw(value));
    // SAFETY: the pointers are of slices that outlive the call; the host reads them alone.
    unsafe { sys::storage_write(key_len, key_ptr, value_len, value_ptr, REGISTER) == 1 }
}

/// Forgets a key; whether it had a value.
pub fn storage_remove(key: &[u8]) -> bool {
    let (key_len, key_ptr) = raw(key);
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::storage_remove(key_len, key_ptr, REGISTER) == 1 }
}

/// Whether a key has a value.
pub fn storage_has_key(key: &[u8]) -> bool {
    let (key_len, key_ptr) = raw(key);
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::storage_has_key(key_len, key_ptr) == 1 }
}

/// The account of this contract.
pub fn current_account_id() -> Vec<u8> {
    // SAFETY: takes no pointer.
    unsafe { sys::current_account_id(REGISTER) };
    register::read()
}

/// The account that calls.
pub fn predecessor_account_id() -> Vec<u8> {
    // SAFETY: takes no pointer.
    unsafe { sys::predecessor_account_id(REGISTER) };
    register::read()
}

/// Height of the block.
pub fn block_index() -> u64 {
    // SAFETY: takes no pointer.
    unsafe { sys::block_index() }
}

/// Time of the block, in nanoseconds.
pub fn block_timestamp() -> u64 {
    // SAFETY: takes no pointer.
    unsafe { sys::block_timestamp() }
}

/// Random bytes of the block.
pub fn random_seed() -> Vec<u8> {
    // SAFETY: takes no pointer.
    unsafe { sys::random_seed(REGISTER) };
    register::read()
}

/// Gas attached to the call that is not used yet. Not for views.
pub fn gas_left() -> u64 {
    // SAFETY: takes no pointer.
    unsafe { sys::prepaid_gas().saturating_sub(sys::used_gas()) }
}

/// YoctoNEAR attached to the call. Not for views.
pub fn attached_deposit() -> u128 {
    let mut amount = [0_u8; 16];
    // SAFETY: the host writes 16 bytes at the pointer, which are there.
    unsafe { sys::attached_deposit(amount.as_mut_ptr() as u64) };
    u128::from_le_bytes(amount)
}

/// Writes a line to the log of the call.
pub fn log(line: &str) {
    log_bytes(line.as_bytes());
}

/// The same; what is no UTF-8 ends the call.
pub fn log_bytes(line: &[u8]) {
    let (len, ptr) = raw(line);
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::log_utf8(len, ptr) };
}

/// The SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let (len, ptr) = raw(bytes);
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::sha256(len, ptr, REGISTER) };
    fixed()
}

/// The Keccak-256 of bytes.
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    let (len, ptr) = raw(bytes);
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::keccak256(len, ptr, REGISTER) };
    fixed()
}

/// The RIPEMD-160 of bytes.
pub fn ripemd160(bytes: &[u8]) -> [u8; 20] {
    let (len, ptr) = raw(bytes);
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::ripemd160(len, ptr, REGISTER) };
    fixed()
}

/// Which values of `s` a signature may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malleable {
    /// Any.
    Yes,
    /// The lower half alone (EIP-2).
    No,
}

/// The public key, 64 bytes, whose secp256k1 signature this is; `recovery` is 0 to 3.
pub fn ecrecover(
    hash: &[u8; 32],
    signature: &[u8; 64],
    recovery: u8,
    malleable: Malleable,
) -> Option<[u8; 64]> {
    let ((hash_len, hash_ptr), (sign_len, sig_ptr)) = (raw(hash), raw(signature));
    let flag = u64::from(malleable == Malleable::No);
    // SAFETY: the pointers are of arrays that outlive the call; the host reads them alone.
    let found = unsafe {
        sys::ecrecover(hash_len, hash_ptr, sign_len, sig_ptr, u64::from(recovery), flag, REGISTER)
    };
    (found == 1).then(fixed)
}

/// Whether this is a secp256r1 signature of a message.
pub fn p256_verify(signature: &[u8; 64], message: &[u8], public_key: &[u8]) -> bool {
    let ((sig_len, sig_ptr), (msg_len, msg_ptr)) = (raw(signature), raw(message));
    let (key_len, key_ptr) = raw(public_key);
    // SAFETY: the pointers are of slices that outlive the call; the host reads them alone.
    unsafe { sys::p256_verify(sig_len, sig_ptr, msg_len, msg_ptr, key_len, key_ptr) == 1 }
}

/// The sum of points on alt_bn128; each a sign (0 plus, 1 minus) and two coordinates of 32 bytes, the lowest
/// first. Anything else ends the call.
pub fn alt_bn128_g1_sum(points: &[u8]) -> [u8; 64] {
    let (len, ptr) = raw(points);
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::alt_bn128_g1_sum(len, ptr, REGISTER) };
    fixed()
}

/// The sum of products on alt_bn128; each a point of two coordinates and a scalar, of 32 bytes, the lowest first.
/// Anything else ends the call.
pub fn alt_bn128_g1_multiexp(products: &[u8]) -> [u8; 64] {
    let (len, ptr) = raw(products);
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::alt_bn128_g1_multiexp(len, ptr, REGISTER) };
    fixed()
}

/// Whether the product of pairings on alt_bn128 is one; each pair a point of two and one of four coordinates of
/// 32 bytes, the lowest first. Anything else ends the call.
pub fn alt_bn128_pairing_check(pairs: &[u8]) -> bool {
    let (len, ptr) = raw(pairs);
    // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
    unsafe { sys::alt_bn128_pairing_check(len, ptr) == 1 }
}

/// Whether the promise that this call is the callback of succeeded; `false` too if it is none's.
pub fn promise_succeeded() -> bool {
    // SAFETY: takes no pointer.
    unsafe { sys::promise_results_count() == 1 && sys::promise_result(0, REGISTER) == 1 }
}

/// The register, which the host has just filled with `N` bytes.
fn fixed<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // SAFETY: a function that was called just before wrote `N` bytes into the register.
    unsafe { sys::read_register(REGISTER, bytes.as_mut_ptr() as u64) };
    bytes
}
