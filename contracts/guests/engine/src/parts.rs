//! Results that are longer than a call may return.
//!
//! The call makes a receipt of its own account for each part, whose value is that part; so the whole is in the outcomes of the
//! transaction, nothing is kept in the state, and the transaction of the EVM is as valid as any.

use crate::limits::MESSAGE_BYTES;
use cotenant_guest::{Batch, near, panic};
use engine_abi::Parts;

/// The method that has a part as its argument and its value.
const METHOD: &str = "result_part";

/// Bytes of a part. A receipt of NEAR's has 4 MiB at most.
const PART_BYTES: usize = 1 << 20;

/// NEAR gas of the receipt of a part: to load the engine, to read the part and to return it.
const PART_GAS: u64 = 20_000_000_000_000;

/// Whether a result is too long to be returned.
pub fn is_long(bytes: &[u8]) -> bool {
    bytes.len() > MESSAGE_BYTES
}

/// What is said of a long result in its place.
pub fn describe(bytes: &[u8]) -> Parts {
    Parts {
        count: bytes.len().div_ceil(PART_BYTES) as u32,
        bytes: bytes.len() as u32,
        sha256: near::sha256(bytes),
    }
}

/// A part, by its number from zero on.
pub fn part(bytes: &[u8], number: u32) -> Option<&[u8]> {
    bytes.chunks(PART_BYTES).nth(number as usize)
}

/// Makes the receipts.
pub fn send(bytes: &[u8]) {
    let this = near::current_account_id();
    let Ok(this) = core::str::from_utf8(&this) else { panic("ERR_ACCOUNT: no account id") };
    for part in bytes.chunks(PART_BYTES) {
        let _ = Batch::on(this).function_call(METHOD, part, PART_GAS);
    }
}
