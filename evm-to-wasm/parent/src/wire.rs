//! Words, addresses and messages between the ABI's form and revm's.

use alloc::vec::Vec;
use evm_to_wasm::abi::{self, Word};
use revm::primitives::{Address, B256, U256};

/// A word of the ABI as revm has it.
#[must_use]
pub fn from_word(word: Word) -> U256 {
    U256::from_limbs(word)
}

/// A word of revm's as the ABI has it.
#[must_use]
pub fn to_word(value: U256) -> Word {
    value.into_limbs()
}

/// An address of the ABI as revm has it.
#[must_use]
pub fn from_address(address: abi::Address) -> Address {
    Address::from(abi::address_bytes(address))
}

/// An address of revm's as the ABI has it.
#[must_use]
pub fn to_address(address: Address) -> abi::Address {
    abi::address(address.into_array())
}

/// A head in borsh, words, and a string of bytes in the order in which it is written: it travels backwards.
#[must_use]
pub fn message(head: &impl borsh::BorshSerialize, words: &[u8], string: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(abi::offset::TAIL + words.len() + string.len());
    encode(head, &mut bytes);
    bytes.extend_from_slice(words);
    push_backwards(&mut bytes, string);
    bytes
}

/// A head in borsh, in the place of what a buffer has.
pub(crate) fn encode(head: &impl borsh::BorshSerialize, buffer: &mut Vec<u8>) {
    buffer.clear();
    match head.serialize(buffer) {
        Ok(()) => {}
        Err(_) => unreachable!("heads are of constant size, and a Vec takes them"),
    }
}

/// The 32 bytes of an address in a message.
pub(crate) fn address_to_bytes(address: Address) -> [u8; 32] {
    word_to_bytes(U256::from_limbs(to_address(address)))
}

/// The word of 32 bytes of a message.
pub(crate) fn word_at(bytes: &[u8; 32]) -> U256 {
    let (limbs, _) = bytes.as_chunks::<8>();
    U256::from_limbs(core::array::from_fn(|limb| u64::from_le_bytes(limbs[limb])))
}

/// The hash of 32 bytes of a message.
pub(crate) fn hash_at(bytes: &[u8; 32]) -> B256 {
    B256::new(turned(bytes))
}

/// The 32 bytes of a word in a message.
pub(crate) fn word_to_bytes(value: U256) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (limb, chunk) in value.as_limbs().iter().zip(bytes.as_chunks_mut::<8>().0) {
        *chunk = limb.to_le_bytes();
    }
    bytes
}

/// The bytes of a message as they are written, or the other way round: the last byte first.
pub(crate) fn backwards(string: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(string.len());
    push_backwards(&mut bytes, string);
    bytes
}

/// Appends a string of bytes, the last byte first: words, then eight bytes at a time, then the rest.
pub(crate) fn push_backwards(to: &mut Vec<u8>, string: &[u8]) {
    to.reserve(string.len());
    let (string, words) = string.as_rchunks::<32>();
    for word in words.iter().rev() {
        to.extend_from_slice(&turned(word));
    }
    let (rest, chunks) = string.as_rchunks::<8>();
    for chunk in chunks.iter().rev() {
        to.extend_from_slice(&u64::from_le_bytes(*chunk).to_be_bytes());
    }
    to.extend(rest.iter().rev());
}

fn turned(word: &[u8; 32]) -> [u8; 32] {
    abi::word_bytes(word_at(word).into_limbs())
}
