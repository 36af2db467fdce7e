//! The engine's state: where each thing is in the account's storage, and the records there.
//!
//! | key | value |
//! |---|---|
//! | `e` | [`Config`] |
//! | `a` address | [`Account`]; absent: no such account; four bytes: none, and the incarnation that a new one begins with |
//! | `c` code hash | tag 0: [`code`] follows; tag 2: [`Promotion`] follows, and after it [`code`], or else the code is at `b`; tag 1: what engines before version 2 wrote ([`promoted`]) |
//! | `b` code hash | [`code`] of a promoted contract, if it is long |
//! | `p` code hash | [`Promotion`] whose module is being deployed |
//! | `s` address incarnation(u32, big-endian) slot | value without its leading zeros; absent: zero |
//!
//! An account whose storage is dropped as a whole gets the next incarnation, so nothing has to be deleted slot by
//! slot. The number outlives the account: whoever removes an account that had one leaves it behind.

use crate::{Address, CodeHash, Fork, Word};
use alloc::string::String;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// Where the [`Config`] is.
pub const CONFIG_KEY: &[u8] = b"e";

/// Tag of code that is interpreted.
pub const PLAIN: u8 = 0;

/// Tag of code that is promoted, as engines of version 1 wrote it.
pub const PROMOTED_BEFORE: u8 = 1;

/// Tag of code that is promoted.
pub const PROMOTED: u8 = 2;

/// Version of the layout on this page ([`Config::version`]). Version 1 is read too; `migrate` moves it.
pub const STATE_VERSION: u8 = 2;

/// The longest code whose record stays beside its promotion, in bytes: to read it with that costs less than to read it
/// for itself when it is wanted.
pub const SHORT_CODE_BYTES: u32 = 2_048;

/// Namespace of the compiler, a private module of the engine's account: `compile` takes
/// `borsh(code: Vec<u8>, fork: u8, keccak: u8)` and returns the module.
pub const COMPILER_NAMESPACE: &str = "evm_compiler";

/// What an engine was started with.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Config {
    /// Version of the state's layout.
    pub version: u8,
    /// Chain id.
    pub chain_id: u64,
    /// The fork.
    pub fork: Fork,
    /// Whether anybody may have a contract compiled and promoted.
    pub permissionless_promote: bool,
    /// The owner's account id.
    pub owner: String,
}

/// An account of the EVM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Account {
    /// Its nonce.
    pub nonce: u64,
    /// Wei.
    pub balance: Word,
    /// Keccak-256 of its code, of no bytes if it has none.
    pub code_hash: CodeHash,
    /// Which of its storages is its storage.
    pub incarnation: u32,
}

/// A module in the place of a contract's code.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Promotion {
    /// Where the module is in the engine's account.
    pub namespace: String,
    /// The fork that it was compiled for.
    pub fork: Fork,
    /// Version of the compiler.
    pub compiler: u32,
    /// Version of the frame ABI.
    pub abi: u32,
    /// Bytes of the module.
    pub wasm_bytes: u32,
    /// Bytes of the contract's code.
    pub code_bytes: u32,
    /// Whether the engine compiled it itself.
    pub compiled_here: bool,
    /// [`facts::asks_in_loops`](crate::facts::asks_in_loops) of the code: its frames are interpreted.
    pub asks_in_loops: bool,
}

/// A [`Promotion`] as engines of version 1 wrote it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PromotionBefore {
    /// Where the module is in the engine's account: [`namespace_before`].
    pub namespace: String,
    /// The fork that it was compiled for.
    pub fork: Fork,
    /// Version of the compiler.
    pub compiler: u32,
    /// Version of the frame ABI.
    pub abi: u32,
    /// Bytes of the module.
    pub wasm_bytes: u32,
    /// Bytes of the contract's code.
    pub code_bytes: u32,
    /// Whether the engine compiled it itself.
    pub compiled_here: bool,
}

impl From<PromotionBefore> for Promotion {
    fn from(before: PromotionBefore) -> Self {
        let PromotionBefore {
            namespace,
            fork,
            compiler,
            abi,
            wasm_bytes,
            code_bytes,
            compiled_here,
        } = before;
        Self {
            namespace,
            fork,
            compiler,
            abi,
            wasm_bytes,
            code_bytes,
            compiled_here,
            asks_in_loops: false,
        }
    }
}

/// What the record of promoted code says, of either tag, and the [`code`] that follows if it does. `None` for what is
/// no such record.
#[must_use]
pub fn promoted(record: &[u8]) -> Option<(Promotion, Option<&[u8]>)> {
    let (&tag, mut rest) = record.split_first()?;
    let promotion = match tag {
        PROMOTED_BEFORE => PromotionBefore::deserialize(&mut rest).ok()?.into(),
        PROMOTED => Promotion::deserialize(&mut rest).ok()?,
        _ => return None,
    };
    Some((promotion, (!rest.is_empty()).then_some(rest)))
}

/// What a frame has to know of a [`Promotion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// [`Promotion::abi`].
    pub abi: u32,
    /// [`Promotion::code_bytes`].
    pub code_bytes: u32,
    /// [`Promotion::asks_in_loops`].
    pub asks_in_loops: bool,
}

/// That of the record of promoted code without the rest, which nobody needs who calls the contract; and where in the
/// record the [`code`] begins, if it follows.
#[must_use]
pub fn glance(record: &[u8]) -> Option<(Glance, usize)> {
    let number = |at: usize| {
        let bytes: [u8; 4] = record.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    };
    let has_facts = match *record.first()? {
        PROMOTED_BEFORE => false,
        PROMOTED => true,
        _ => return None,
    };
    // The name, the fork (one byte), then compiler, ABI, bytes of module and code, and one or two bytes.
    let fork = 5_usize.checked_add(number(1)? as usize)?;
    let (abi, code_bytes) = (number(fork.checked_add(5)?)?, number(fork + 13)?);
    let end = fork + 18 + usize::from(has_facts);
    let asks_in_loops = has_facts && *record.get(end - 1)? != 0;
    (record.len() >= end).then_some((Glance { abi, code_bytes, asks_in_loops }, end))
}

/// Key of an account.
#[must_use]
pub fn account_key(address: &Address) -> [u8; 21] {
    let mut key = [b'a'; 21];
    key[1..].copy_from_slice(address);
    key
}

/// Key of a slot.
#[must_use]
pub fn slot_key(address: &Address, incarnation: u32, slot: &Word) -> [u8; 57] {
    let mut key = [b's'; 57];
    key[1..21].copy_from_slice(address);
    key[21..25].copy_from_slice(&incarnation.to_be_bytes());
    key[25..].copy_from_slice(slot);
    key
}

/// Key of code, or of what stands for it.
#[must_use]
pub fn code_key(hash: &CodeHash) -> [u8; 33] {
    hash_key(b'c', hash)
}

/// Key of promoted code.
#[must_use]
pub fn body_key(hash: &CodeHash) -> [u8; 33] {
    hash_key(b'b', hash)
}

/// Key of a promotion that is not finished.
#[must_use]
pub fn pending_key(hash: &CodeHash) -> [u8; 33] {
    hash_key(b'p', hash)
}

fn hash_key(tag: u8, hash: &CodeHash) -> [u8; 33] {
    let mut key = [tag; 33];
    key[1..].copy_from_slice(hash);
    key
}

/// Bytes of the code hash in a [`namespace`], which is as long as a namespace may be.
const NAMED_BYTES: usize = 30;

/// The same in engines before version 2.
const NAMED_BYTES_BEFORE: usize = 20;

/// Namespace of the module of a contract: `evm_` and the first 30 bytes of its code hash in hexadecimal.
#[must_use]
pub fn namespace(hash: &CodeHash) -> String {
    named(&hash[..NAMED_BYTES])
}

/// The namespace that engines of version 1 gave the module of a contract: the first 20 bytes.
#[must_use]
pub fn namespace_before(hash: &CodeHash) -> String {
    named(&hash[..NAMED_BYTES_BEFORE])
}

fn named(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut name = String::from("evm_");
    for byte in bytes {
        name.push(char::from(DIGITS[usize::from(byte >> 4)]));
        name.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    name
}

/// Code with what its interpretation needs: the length of the code, the length of the code with zeros after it
/// so that every PUSH has its bytes (both u32, little-endian), that code, and a bit for each byte of the code, the
/// lowest first: whether a jump may go there.
pub mod code {
    use super::Vec;

    /// Bytes before the code.
    pub const HEAD_BYTES: usize = 8;

    /// The record.
    #[must_use]
    pub fn encode(code_bytes: usize, padded: &[u8], jumps: &[u8]) -> Vec<u8> {
        let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
        let mut record = Vec::with_capacity(HEAD_BYTES + padded.len() + jumps.len());
        record.extend_from_slice(&length(code_bytes));
        record.extend_from_slice(&length(padded.len()));
        record.extend_from_slice(padded);
        record.extend_from_slice(jumps);
        record
    }

    /// Bytes of the code, and of the code with zeros after it; `None` for what is no record.
    #[must_use]
    pub fn lengths(record: &[u8]) -> Option<(usize, usize)> {
        let (code_bytes, rest) = record.split_first_chunk()?;
        let (padded_bytes, rest) = rest.split_first_chunk()?;
        let code_bytes = u32::from_le_bytes(*code_bytes) as usize;
        let padded_bytes = u32::from_le_bytes(*padded_bytes) as usize;
        let complete = code_bytes <= padded_bytes && padded_bytes <= rest.len();
        complete.then_some((code_bytes, padded_bytes))
    }

    /// The contract's code; `None` for what is no record.
    #[must_use]
    pub fn original(record: &[u8]) -> Option<&[u8]> {
        let (code_bytes, _) = lengths(record)?;
        record.get(HEAD_BYTES..HEAD_BYTES + code_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_glance_sees_what_the_whole_record_says() {
        for (asks_in_loops, code) in [(false, vec![]), (true, vec![1, 2, 3])] {
            let before = PromotionBefore {
                namespace: namespace_before(&[7; 32]),
                fork: Fork::Prague,
                compiler: 3,
                abi: 2,
                wasm_bytes: 900,
                code_bytes: 77,
                compiled_here: true,
            };
            let now = Promotion {
                namespace: namespace(&[7; 32]),
                abi: 9,
                asks_in_loops,
                ..before.clone().into()
            };
            for (tag, promotion) in
                [(PROMOTED_BEFORE, borsh::to_vec(&before)), (PROMOTED, borsh::to_vec(&now))]
            {
                let head = [vec![tag], promotion.expect("it fits")].concat();
                let record = [head.clone(), code.clone()].concat();
                let (whole, rest) = promoted(&record).expect("a record");
                let (seen, end) = glance(&record).expect("a record");
                assert_eq!((seen.abi, seen.code_bytes), (whole.abi, whole.code_bytes));
                assert_eq!(seen.asks_in_loops, whole.asks_in_loops);
                assert_eq!((end, &record[end..]), (head.len(), rest.unwrap_or_default()));
                for length in 0..head.len() {
                    assert_eq!(glance(&record[..length]), None, "{length}");
                }
            }
        }
    }
}
