//! Words, addresses and messages between the ABI's form and revm's.

use alloc::vec::Vec;
use evm_to_wasm::abi::{self, Word};
use revm::primitives::{Address, U256};

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
    match head.serialize(&mut bytes) {
        Ok(()) => {}
        Err(_) => unreachable!("heads are of constant size, and a Vec takes them"),
    }
    bytes.extend_from_slice(words);
    bytes.extend(string.iter().rev());
    bytes
}
