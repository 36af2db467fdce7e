//! Keccak-256 of bytecode, for [`Provenance`](crate::Provenance): Ethereum's code hash.

use crate::abi::Hash;

/// Bytes that the sponge takes in before it permutes: 1,600 bits of state less twice the 256 of the result.
const RATE: usize = 136;

/// The hash by which Ethereum knows `code`: Keccak-256 with the padding of before FIPS 202 (Yellow Paper, 4.1).
#[must_use]
pub fn code_hash(code: &[u8]) -> Hash {
    let mut state = [0; 25];
    let (blocks, rest) = code.as_chunks::<RATE>();
    let mut last = [0; RATE];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 1;
    last[RATE - 1] |= 0x80;
    keccak::Keccak::new().with_f1600(|permute| {
        for block in blocks.iter().chain([&last]) {
            for (lane, bytes) in state.iter_mut().zip(block.as_chunks().0) {
                *lane ^= u64::from_le_bytes(*bytes);
            }
            permute(&mut state);
        }
    });
    // The last bytes of the hash are the lowest of the word.
    [3, 2, 1, 0].map(|lane| u64::swap_bytes(state[lane]))
}
