//! EVM memory and copies against a byte vector, gas against the Yellow Paper's formula.

use evm_to_wasm::abi::{Answer, FrameInput, Left, Request};
use evm_to_wasm::runtime::{Function, Global};
use rand::rngs::StdRng;
use rand::{Rng, RngCore};
use revm::primitives::U256;
use wasmi::Val;

use super::host::{Frame, PLENTY, code, limbs};
use super::values::{any, random};

/// Memory as the EVM has it.
#[derive(Default)]
struct Model {
    bytes: Vec<u8>,
}

impl Model {
    /// Grows to `end` bytes; gives the gas.
    fn touch(&mut self, end: usize) -> i64 {
        let cost = |words: i64| 3 * words + words * words / 512;
        let before = (self.bytes.len() / 32) as i64;
        let words = before.max(end.div_ceil(32) as i64);
        self.bytes.resize(words as usize * 32, 0);
        cost(words) - cost(before)
    }

    fn copy(&mut self, to: usize, source: &[u8], from: U256, length: usize) -> i64 {
        if length == 0 {
            return 0;
        }
        let cost = self.touch(to + length) + 3 * length.div_ceil(32) as i64;
        for at in 0..length {
            let from = from.saturating_add(U256::from(at));
            let byte = usize::try_from(from).ok().and_then(|from| source.get(from));
            self.bytes[to + at] = byte.copied().unwrap_or(0);
        }
        cost
    }
}

fn bytes(random: &mut StdRng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    random.fill_bytes(&mut bytes);
    bytes
}

/// A frame that has return data and an account with code, and what they are.
fn frame(random: &mut StdRng) -> (Frame, [Vec<u8>; 3]) {
    let lengths: [usize; 3] = core::array::from_fn(|_| random.random_range(0..700));
    let [calldata, returned, foreign] = lengths.map(|length| bytes(random, length));
    let mut frame = Frame::with(FrameInput::default(), &[], &calldata);
    let (data, codes) = (returned.clone(), foreign.clone());
    frame.serve(move |request, _| match request {
        Request::Call { gas_left, .. } => {
            let data_bytes = data.len() as u32;
            let backwards = data.iter().rev().copied().collect();
            (Answer::Returned { success: 1, left: Left::of(gas_left), data_bytes }, backwards)
        }
        Request::ExtCode { with_bytes, .. } => {
            let tail = if with_bytes == 1 { codes.iter().rev().copied().collect() } else { vec![] };
            (Answer::Code { hash: [1, 2, 3, 4], code_bytes: codes.len() as u32, cold: 0 }, tail)
        }
        other => panic!("{other:?}"),
    });
    let nothing = [U256::ZERO; 7].into_iter().flat_map(limbs);
    let arguments: Vec<Val> = [Val::I64(PLENTY), Val::I32(0)].into_iter().chain(nothing).collect();
    frame.call(Function::Call, &arguments);
    (frame, [calldata, returned, foreign])
}

fn place(random: &mut StdRng) -> usize {
    match random.random_range(0..20) {
        0 => random.random_range(0..200_000),
        1..6 => random.random_range(0..6_000),
        _ => random.random_range(0..600),
    }
}

#[test]
fn memory_is_what_a_byte_vector_is() {
    let mut random = random("memory");
    for round in 0..150 {
        let (mut frame, [calldata, returned, foreign]) = frame(&mut random);
        let mut model = Model::default();
        for step in 0..60 {
            let (a, b) = (place(&mut random), place(&mut random));
            let length = if random.random_bool(0.1) { 0 } else { random.random_range(0..400) };
            let from = match random.random_range(0..6) {
                0 => any(&mut random),
                1 => U256::MAX,
                _ => U256::from(random.random_range(0..800)),
            };
            let value = any(&mut random);
            let word = U256::from;
            let copied = [word(a), from, word(length)];
            let (cost, left) = match random.random_range(0..9) {
                0 => {
                    let cost = model.touch(a + 32);
                    model.bytes[a..a + 32].copy_from_slice(&value.to_be_bytes::<32>());
                    (cost, frame.gas(Function::Mstore, PLENTY, &[word(a), value]))
                }
                1 => {
                    let cost = model.touch(a + 1);
                    model.bytes[a] = value.byte(0);
                    let mut arguments = vec![Val::I64(PLENTY)];
                    arguments.extend(limbs(word(a)));
                    arguments.push(Val::I64(value.into_limbs()[0] as i64));
                    (cost, frame.call(Function::Mstore8, &arguments)[0].i64().expect("gas"))
                }
                2 => {
                    let cost = model.touch(a + 32);
                    let (got, left) = frame.word_and_gas(Function::Mload, PLENTY, &[word(a)]);
                    let expected: [u8; 32] = model.bytes[a..a + 32].try_into().expect("32");
                    assert_eq!(got, U256::from_be_bytes(expected));
                    (cost, left)
                }
                3 => {
                    let mut cost = 0;
                    if length > 0 {
                        cost = model.touch(a.max(b) + length) + 3 * length.div_ceil(32) as i64;
                        model.bytes.copy_within(b..b + length, a);
                    }
                    (cost, frame.gas(Function::Mcopy, PLENTY, &[word(a), word(b), word(length)]))
                }
                4 => (
                    model.copy(a, &calldata, from, length),
                    frame.gas(Function::CalldataCopy, PLENTY, &copied),
                ),
                5 => (
                    model.copy(a, &code(), from, length),
                    frame.gas(Function::CodeCopy, PLENTY, &copied),
                ),
                6 => {
                    let left = frame.gas(Function::ReturnDataCopy, PLENTY, &copied);
                    if from.saturating_add(word(length)) > word(returned.len()) {
                        assert!(left < 0);
                        continue;
                    }
                    (model.copy(a, &returned, from, length), left)
                }
                7 => {
                    let words = [U256::from(77), word(a), from, word(length)];
                    let left = frame.gas(Function::ExtCodeCopy, PLENTY, &words);
                    (model.copy(a, &foreign, from, length), left)
                }
                _ => {
                    let got = frame.words(Function::CalldataLoad, &[from]);
                    let mut expected = [0; 32];
                    let from = usize::try_from(from).unwrap_or(usize::MAX);
                    for (at, byte) in expected.iter_mut().enumerate() {
                        let from = from.saturating_add(at);
                        *byte = calldata.get(from).copied().unwrap_or(0);
                    }
                    assert_eq!(got, U256::from_be_bytes(expected));
                    continue;
                }
            };
            assert_eq!(PLENTY - left, cost, "round {round}, step {step}");
            assert!(frame.evm_memory() == model.bytes, "round {round}, step {step}");
        }
    }
}

#[test]
fn what_no_memory_can_hold_halts_the_frame() {
    let mut frame = Frame::new();
    let far = [
        U256::MAX,
        U256::MAX - U256::from(31),
        U256::ONE << 64,
        (U256::ONE << 64) - U256::ONE,
        (U256::ONE << 64) - U256::from(32),
        U256::ONE << 128,
        U256::ONE << 32,
        U256::ONE << 31,
    ];
    for far in far {
        let (one, gas) = (U256::ONE, i64::MAX);
        assert!(frame.gas(Function::Mload, gas, &[far]) < 0);
        assert!(frame.gas(Function::Mstore, gas, &[far, one]) < 0);
        for copy in [Function::Mcopy, Function::CalldataCopy, Function::CodeCopy] {
            assert!(frame.gas(copy, gas, &[far, U256::ZERO, one]) < 0);
            assert!(frame.gas(copy, gas, &[U256::ZERO, U256::ZERO, far]) < 0);
            assert!(frame.gas(copy, gas, &[far, far, far]) < 0);
            assert_eq!(frame.gas(copy, gas, &[far, far, U256::ZERO]), gas);
        }
        assert!(frame.gas(Function::Mcopy, gas, &[U256::ZERO, far, one]) < 0);
        assert!(frame.gas(Function::ReturnDataCopy, gas, &[U256::ZERO, far, U256::ZERO]) < 0);
        assert!(frame.gas(Function::ReturnDataCopy, gas, &[U256::ZERO, U256::ZERO, far]) < 0);
        assert!(frame.gas(Function::MemoryRange, gas, &[far, one]) < 0);
        assert!(frame.gas(Function::MemoryRange, gas, &[one, far]) < 0);
        assert_eq!(frame.gas(Function::MemoryRange, 5, &[far, U256::ZERO]), 5);
    }
    for end in [-1, i64::MIN, i64::MAX, 1 << 32, 1 << 28] {
        let left = frame.call(Function::MemoryTouch, &[Val::I64(i64::MAX), Val::I64(end)]);
        assert!(left[0].i64().expect("gas") < 0, "{end}");
    }
    assert_eq!(frame.global(Global::MemorySize), 0);
}

#[test]
fn memory_is_paid_to_the_last_unit() {
    for (end, cost) in [(1, 3), (32, 3), (33, 6), (704, 66), (736, 70), (1 << 20, 2_195_456)] {
        let touch = |gas: i64| {
            let mut frame = Frame::new();
            let left = frame.call(Function::MemoryTouch, &[Val::I64(gas), Val::I64(end)]);
            left[0].i64().expect("gas")
        };
        assert_eq!(touch(cost), 0, "{end}");
        assert!(touch(cost - 1) < 0, "{end}");
    }
}

/// Solidity clears arrays by copying from beyond the end of calldata: nothing to do in fresh memory.
#[test]
fn zeros_in_fresh_memory_cost_nothing() {
    let mut frame = Frame::new();
    let copy = |length: u64| {
        let words = [U256::from(64), U256::MAX, U256::from(length)];
        [vec![Val::I64(PLENTY)], words.into_iter().flat_map(limbs).collect()].concat()
    };
    frame.call(Function::CalldataCopy, &copy(32));
    let small = frame.operators(Function::CalldataCopy, &copy(64));
    let large = frame.operators(Function::CalldataCopy, &copy(3_000));
    assert!(large <= small + 100, "{small} {large}");
}

#[test]
fn memory_grows_to_what_the_pages_hold_and_no_further() {
    let mut frame = Frame::new();
    let gas = i64::MAX;
    let (mut size, mut reached) = (32_i64, 0);
    while size < 1 << 28 {
        let left = frame.call(Function::MemoryTouch, &[Val::I64(gas), Val::I64(size)]);
        if left[0].i64().expect("gas") < 0 {
            break;
        }
        reached = size;
        size *= 2;
    }
    println!("memory grew to {reached} bytes by doubling");
    assert!(reached >= 1 << 25, "{reached}");
    let mut frame = Frame::new();
    let most = frame.call(Function::MemoryTouch, &[Val::I64(gas), Val::I64(120 << 20)]);
    assert!(most[0].i64().expect("gas") > 0);
}

#[test]
fn blob_hashes_are_words_of_the_input() {
    let blobs = [U256::from(7), U256::MAX, U256::ONE << 248];
    let mut frame = Frame::with(FrameInput::default(), &blobs, b"data");
    for (index, blob) in blobs.into_iter().enumerate() {
        assert_eq!(frame.words(Function::BlobHash, &[U256::from(index)]), blob);
    }
    for index in [U256::from(3), U256::MAX, U256::ONE << 32, U256::ONE << 64] {
        assert_eq!(frame.words(Function::BlobHash, &[index]), U256::ZERO);
    }
    let first = frame.words(Function::CalldataLoad, &[U256::ZERO]);
    assert_eq!(first.to_be_bytes::<32>()[..4], *b"data");
}
