//! Keccak-256 as alloy calls it, by the host's function.
#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use cotenant_guest::near;

/// What a hash function does.
pub trait Hasher {
    /// Takes more bytes.
    fn update(&mut self, input: &[u8]);

    /// Writes the hash.
    fn finalize(self, output: &mut [u8]);
}

/// Keccak-256 of bytes that are gathered first.
#[derive(Clone, Debug, Default)]
pub struct Keccak {
    bytes: Vec<u8>,
}

impl Keccak {
    /// The hash of no bytes so far.
    #[must_use]
    pub fn v256() -> Self {
        Self::default()
    }
}

impl Hasher for Keccak {
    fn update(&mut self, input: &[u8]) {
        self.bytes.extend_from_slice(input);
    }

    fn finalize(self, output: &mut [u8]) {
        output.copy_from_slice(&near::keccak256(&self.bytes));
    }
}
