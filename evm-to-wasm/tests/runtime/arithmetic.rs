//! Arithmetic, shifts and bits against `ruint`.

use evm_to_wasm::runtime::Function;
use rand::Rng;
use revm::primitives::U256;
use wasmi::Val;

use super::host::{Frame, PLENTY, limbs, word};
use super::values::{any, edges, random};

const ROUNDS: usize = 20_000;

fn negative(value: U256) -> bool {
    value.bit(255)
}

fn absolute(value: U256) -> U256 {
    if negative(value) { value.wrapping_neg() } else { value }
}

fn model(function: Function, a: U256, b: U256) -> U256 {
    let small = |value: U256| usize::try_from(value).unwrap_or(usize::MAX);
    let signed = |value: U256, negative: bool| if negative { value.wrapping_neg() } else { value };
    match function {
        Function::Mul => a.wrapping_mul(b),
        Function::Div => a.checked_div(b).unwrap_or_default(),
        Function::Mod => a.checked_rem(b).unwrap_or_default(),
        Function::Sdiv => {
            let quotient = absolute(a).checked_div(absolute(b)).unwrap_or_default();
            signed(quotient, negative(a) != negative(b))
        }
        Function::Smod => {
            let rest = absolute(a).checked_rem(absolute(b)).unwrap_or_default();
            signed(rest, negative(a))
        }
        Function::Shl => b.checked_shl(small(a)).unwrap_or(b.wrapping_shl(small(a).min(256))),
        Function::Shr => b.wrapping_shr(small(a).min(256)),
        Function::Sar => b.arithmetic_shr(small(a).min(256)),
        Function::SignExtend => match small(a) {
            index @ 0..31 => {
                let bits = 8 * index + 8;
                let mask = (U256::ONE << bits) - U256::ONE;
                if b.bit(bits - 1) { b | !mask } else { b & mask }
            }
            _ => b,
        },
        Function::Byte => match small(a) {
            index @ 0..32 => U256::from(b.to_be_bytes::<32>()[index]),
            _ => U256::ZERO,
        },
        other => panic!("no model of {other:?}"),
    }
}

const BINARY: [Function; 10] = [
    Function::Mul,
    Function::Div,
    Function::Mod,
    Function::Sdiv,
    Function::Smod,
    Function::Shl,
    Function::Shr,
    Function::Sar,
    Function::SignExtend,
    Function::Byte,
];

#[test]
fn two_operands_at_the_edges() {
    let mut frame = Frame::new();
    let mut edges = edges();
    edges.extend((0..40).map(U256::from));
    for function in BINARY {
        for &a in &edges {
            for &b in &edges {
                let got = frame.words(function, &[a, b]);
                assert_eq!(got, model(function, a, b), "{function:?} {a:#x} {b:#x}");
            }
        }
    }
}

#[test]
fn two_operands_at_random() {
    let mut random = random("two operands");
    let mut frame = Frame::new();
    for _ in 0..ROUNDS {
        let (a, b) = (any(&mut random), any(&mut random));
        for function in BINARY {
            let a = match function {
                Function::Shl | Function::Shr | Function::Sar => a >> random.random_range(240..256),
                _ => a,
            };
            let got = frame.words(function, &[a, b]);
            assert_eq!(got, model(function, a, b), "{function:?} {a:#x} {b:#x}");
        }
    }
}

/// Dividends near multiples of the divisor: where digits are guessed wrong.
#[test]
fn divisions_near_a_multiple() {
    let mut random = random("near a multiple");
    let mut frame = Frame::new();
    for _ in 0..ROUNDS {
        let divisor = any(&mut random);
        let product = divisor.wrapping_mul(any(&mut random));
        let near = product.wrapping_add(U256::from(random.random_range(0..3_u64)));
        for a in [near, product.wrapping_sub(U256::ONE), product] {
            for function in [Function::Div, Function::Mod] {
                let got = frame.words(function, &[a, divisor]);
                assert_eq!(got, model(function, a, divisor), "{function:?} {a:#x} {divisor:#x}");
            }
        }
    }
}

fn modular(frame: &mut Frame, a: U256, b: U256, modulus: U256) {
    let sum = frame.words(Function::Addmod, &[a, b, modulus]);
    assert_eq!(sum, a.add_mod(b, modulus), "addmod {a:#x} {b:#x} {modulus:#x}");
    let product = frame.words(Function::Mulmod, &[a, b, modulus]);
    assert_eq!(product, a.mul_mod(b, modulus), "mulmod {a:#x} {b:#x} {modulus:#x}");
}

#[test]
fn modular_arithmetic_at_the_edges() {
    let mut frame = Frame::new();
    let edges: Vec<U256> = edges().into_iter().step_by(2).collect();
    for &a in &edges {
        for &b in &edges {
            for &modulus in &edges {
                modular(&mut frame, a, b, modulus);
            }
        }
    }
}

#[test]
fn modular_arithmetic_at_random() {
    let mut random = random("modular");
    let mut frame = Frame::new();
    for _ in 0..ROUNDS {
        let (a, b, modulus) = (any(&mut random), any(&mut random), any(&mut random));
        modular(&mut frame, a, b, modulus);
        // Squares of the largest residues.
        let largest = modulus.wrapping_sub(U256::ONE);
        modular(&mut frame, largest, largest, modulus);
    }
}

/// A modulus that comes up often is known: then operands of any size, products near multiples, all ones.
#[test]
fn modular_arithmetic_by_a_modulus_that_is_known() {
    let mut random = random("known");
    let mut frame = Frame::new();
    let mut moduli: Vec<U256> = Vec::new();
    for shift in 0..34_usize {
        moduli.extend([U256::MAX >> shift, (U256::MAX >> shift) - U256::from(188)]);
        moduli.extend([U256::ONE << (255 - shift), (U256::ONE << (255 - shift)) + U256::ONE]);
        moduli.extend((0..4).map(|_| any(&mut random) | (U256::ONE << 255)).map(|m| m >> shift));
    }
    // Close below 2^256, and just not close enough.
    moduli.extend([0, 1, u64::MAX - 1, u64::MAX].map(|small| U256::MAX - U256::from(small)));
    for modulus in moduli {
        let one = U256::ONE;
        let largest = U256::MAX / modulus * modulus;
        let mut values = vec![U256::ZERO, one, U256::MAX, modulus, modulus - one, largest];
        values.extend([modulus.wrapping_add(one), largest.wrapping_add(one), largest - one]);
        for _ in 0..8 {
            modular(&mut frame, values[2], values[4], modulus);
        }
        for &a in &values {
            for &b in &values {
                modular(&mut frame, a, b, modulus);
            }
        }
        for _ in 0..40 {
            modular(&mut frame, any(&mut random), any(&mut random), modulus);
        }
    }
}

#[test]
fn powers_and_their_gas() {
    let mut random = random("powers");
    let mut frame = Frame::new();
    let mut cases: Vec<(U256, U256)> = Vec::new();
    for base in edges() {
        cases.extend([0, 1, 2, 3, 77, 255, 256, 257, 0xffff].map(|e| (base, U256::from(e))));
        cases.extend([U256::MAX, U256::ONE << 64, U256::ONE << 255].map(|e| (base, e)));
    }
    cases.extend((0..2_000).map(|_| (any(&mut random), any(&mut random))));
    for (base, exponent) in cases {
        let bytes = exponent.bit_len().div_ceil(8) as i64;
        let (got, left) = frame.word_and_gas(Function::Exp, PLENTY, &[base, exponent]);
        assert_eq!(got, base.wrapping_pow(exponent), "{base:#x} ** {exponent:#x}");
        assert_eq!(PLENTY - left, 50 * bytes, "{base:#x} ** {exponent:#x}");
        if bytes > 0 {
            assert!(frame.gas(Function::Exp, 50 * bytes - 1, &[base, exponent]) < 0);
        }
        assert_eq!(frame.gas(Function::Exp, 50 * bytes, &[base, exponent]), 0);
    }
}

#[test]
fn leading_zeros_and_byte_swaps() {
    let mut random = random("bits");
    let mut frame = Frame::new();
    let values =
        edges().into_iter().chain((0..1_000).map(|_| any(&mut random)).collect::<Vec<_>>());
    for value in values {
        let zeros = frame.call(Function::Clz, &limbs(value))[0].i64();
        assert_eq!(zeros, Some(value.leading_zeros() as i64), "{value:#x}");
        let limb = value.into_limbs()[0];
        let turned = frame.call(Function::ByteSwap, &[Val::I64(limb as i64)])[0].i64();
        assert_eq!(turned, Some(limb.swap_bytes() as i64), "{limb:#x}");
    }
}

#[test]
fn words_are_loaded_from_their_highest_byte() {
    let bytes: [u8; 32] = core::array::from_fn(|at| at as u8 + 1);
    let mut frame = Frame::new();
    frame.put_words(0, &[U256::from_le_bytes(bytes)]);
    let results = frame.call(Function::LoadBigEndian, &[Val::I32(0)]);
    assert_eq!(word(&results), U256::from_be_bytes(bytes));
}
