//! The same work in native Rust, where such a program is at hand: how far everything else is from native code.
//!
//! A program is matched by the fixture's name and takes nothing from it but its size, which is written here.

use revm::primitives::{U256, keccak256};
use std::hint::black_box;

/// A program by the name of its case.
pub(super) fn program(name: &str) -> Option<fn()> {
    let program: fn() = match name {
        "fibonacci-calldata" => fibonacci,
        "factorial" => factorial,
        "hash_10k" => hash_10k,
        _ => return None,
    };
    Some(program)
}

/// Turns of the loops of `fibonacci-calldata.json` and `factorial.json`, from their calldata.
const TURNS: u64 = 1_000;

fn fibonacci() {
    let (mut a, mut b) = (U256::ZERO, U256::ONE);
    for _ in 0..black_box(TURNS) {
        (a, b) = (b, a.wrapping_add(b));
    }
    black_box(a);
}

fn factorial() {
    let mut product = U256::ONE;
    for factor in 1..=black_box(TURNS) {
        product = product.wrapping_mul(U256::from(factor));
    }
    black_box(product);
}

fn hash_10k() {
    let mut hash = keccak256([0; 32]);
    for _ in 0..black_box(10_000) {
        hash = keccak256(hash);
    }
    black_box(hash);
}
