//! What a compiled module says of itself, read without trusting that it is one.

use borsh::BorshDeserialize;
use evm_to_wasm::{Provenance, SECTION};

/// Bytes before the first section: the magic number and the version.
const HEAD_BYTES: usize = 8;

/// What the custom section `evm` says; `None` for a module that has none, and for what is no module.
pub fn provenance(wasm: &[u8]) -> Option<Provenance> {
    let mut rest = wasm.get(HEAD_BYTES..)?;
    while !rest.is_empty() {
        let (&id, after) = rest.split_first()?;
        let (length, after) = number(after)?;
        let (section, after) = after.split_at_checked(length)?;
        rest = after;
        if id != 0 {
            continue;
        }
        let (length, section) = number(section)?;
        let (name, content) = section.split_at_checked(length)?;
        if name == SECTION.as_bytes() {
            return Provenance::try_from_slice(content).ok();
        }
    }
    None
}

/// A number as Wasm has lengths: seven bits a byte, the lowest first, 32 bits at most.
pub fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (place, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()? as usize, &bytes[place + 1..]));
        }
    }
    None
}
