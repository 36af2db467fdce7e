//! The same work in native Rust, where such a program is at hand: how far everything else is from native code.
//!
//! A program is found by the fixture's name and gets the fixture's calldata.

use blake2::Blake2b512;
use revm::primitives::{U256, keccak256};
use sha1::Sha1;
use sha1::digest::Digest;
use std::hint::black_box;

/// Loops of `hash_10k.json`.
const HASHES: u64 = 10_000;

/// A program by the name of its case, without the case's number.
pub(super) fn program(name: &str, calldata: &[u8]) -> Option<Box<dyn Fn()>> {
    let stem = name.split('.').next().unwrap_or_default();
    let calldata = calldata.to_vec();
    let word = |at: usize| calldata.get(at..at + 32).map(U256::from_be_slice);
    let turns = || word(0).and_then(|turns| u64::try_from(turns).ok());
    // A string after its length, where Solidity's ABI or the program's own puts it.
    let string = |at: usize| {
        let length = usize::try_from(word(at)?).ok()?;
        calldata.get(at + 32..)?.get(..length).map(<[u8]>::to_vec)
    };
    Some(match stem {
        "fibonacci-calldata" => turns().map(|turns| boxed(move || fibonacci(turns)))?,
        "factorial" => turns().map(|turns| boxed(move || factorial(turns)))?,
        "hash_10k" => boxed(hash_chain),
        "blake2b_huff" => digest::<Blake2b512>(string(32)?),
        "blake2b_shifts" => digest::<Blake2b512>(string(4 + 0x60)?),
        "sha1_shifts" => digest::<Sha1>(string(4 + 0x20)?),
        _ => return None,
    })
}

fn boxed(program: impl Fn() + 'static) -> Box<dyn Fn()> {
    Box::new(program)
}

fn digest<D: Digest>(string: Vec<u8>) -> Box<dyn Fn()> {
    boxed(move || {
        black_box(D::digest(black_box(&string)));
    })
}

fn fibonacci(turns: u64) {
    let (mut a, mut b) = (U256::ZERO, U256::ONE);
    for _ in 0..black_box(turns) {
        (a, b) = (b, a.wrapping_add(b));
    }
    black_box(a);
}

fn factorial(turns: u64) {
    let mut product = U256::ONE;
    for factor in 1..=black_box(turns) {
        product = product.wrapping_mul(U256::from(factor));
    }
    black_box(product);
}

/// Each hash is of the one before and a counter, 64 bytes.
fn hash_chain() {
    let mut input = [0; 64];
    for turn in 0..black_box(HASHES) {
        input[56..].copy_from_slice(&turn.to_be_bytes());
        let hash = keccak256(input);
        input[..32].copy_from_slice(hash.as_slice());
    }
    black_box(input);
}
