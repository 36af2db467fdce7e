//! KECCAK256 against the host's own, in both ways of hashing.

use evm_to_wasm::Keccak;
use evm_to_wasm::abi::FrameInput;
use evm_to_wasm::runtime::Function;
use rand::{Rng, RngCore};
use revm::primitives::{U256, keccak256};

use super::host::{Frame, PLENTY};
use super::values::random;

fn hash_all(keccak: Keccak) {
    let mut random = random("keccak");
    let mut data = vec![0; 5_000];
    random.fill_bytes(&mut data);
    let mut frame = Frame::of(keccak, FrameInput::default(), &[], &data);
    let copy = [U256::ZERO, U256::ZERO, U256::from(data.len())];
    assert!(frame.gas(Function::CalldataCopy, PLENTY, &copy) >= 0);
    let lengths = (0..300).chain([407, 408, 409, 543, 544, 545, 1_088, 4_000, 4_700]);
    for length in lengths {
        let offset = random.random_range(0..300);
        let range = [offset, length].map(U256::from);
        let (hash, left) = frame.word_and_gas(Function::Keccak, PLENTY, &range);
        let expected = keccak256(&data[offset..offset + length]);
        assert_eq!(hash, U256::from_be_bytes(expected.0), "{length} bytes at {offset}");
        assert_eq!(PLENTY - left, 6 * length.div_ceil(32) as i64);
    }
}

#[test]
fn own_hashes_of_all_lengths() {
    hash_all(Keccak::Own);
}

#[test]
fn hashes_of_all_lengths_by_the_host() {
    hash_all(Keccak::Host);
}

#[test]
fn a_remembered_hash_is_that_of_its_bytes() {
    let mut random = random("memo");
    for keccak in [Keccak::Own, Keccak::Host] {
        let mut frame = Frame::of(keccak, FrameInput::default(), &[], &[]);
        for _ in 0..2_000 {
            // Few keys, many collisions in the memo, and the all-zero key.
            let key = [random.random_range(0..20_u64), random.random_range(0..4)].map(U256::from);
            for (place, half) in key.into_iter().enumerate() {
                let at = U256::from(32 * place);
                assert!(frame.gas(Function::Mstore, PLENTY, &[at, half]) >= 0);
            }
            let range = [U256::ZERO, U256::from(64)];
            let (hash, left) = frame.word_and_gas(Function::Keccak, PLENTY, &range);
            let bytes: Vec<u8> = key.iter().flat_map(|half| half.to_be_bytes::<32>()).collect();
            assert_eq!(hash, U256::from_be_bytes(keccak256(bytes).0));
            assert_eq!(PLENTY - left, 12);
        }
    }
}

#[test]
fn hashing_what_is_far_away_halts() {
    let mut frame = Frame::new();
    for range in [[U256::MAX, U256::ONE], [U256::ONE, U256::MAX], [U256::ONE << 64, U256::ONE]] {
        assert!(frame.gas(Function::Keccak, i64::MAX, &range) < 0);
    }
    let (_, left) = frame.word_and_gas(Function::Keccak, 7, &[U256::MAX, U256::ZERO]);
    assert_eq!(left, 7);
    assert!(frame.gas(Function::Keccak, 8, &[U256::ZERO, U256::ONE]) < 0);
    let mut frame = Frame::new();
    assert_eq!(frame.gas(Function::Keccak, 9, &[U256::ZERO, U256::ONE]), 0);
}
