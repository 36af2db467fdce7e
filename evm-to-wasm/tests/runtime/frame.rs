//! Calls, creations, logs, accounts, the start and the end of a frame: messages are those of the frame ABI.

use evm_to_wasm::Keccak;
use evm_to_wasm::abi::{
    self, Answer, BlockEnvironment, CallKind, Effects, FRAME_ABI_VERSION, FrameInput, Halt, Left,
    LogHead, Request,
};
use evm_to_wasm::runtime::{Function, Global};
use revm::primitives::U256;
use wasmi::Val;

use super::host::{Frame, PLENTY, input_bytes, last, limbs, word};

fn call(frame: &mut Frame, kind: CallKind, words: [U256; 7]) -> (i32, i64) {
    let head = [Val::I64(PLENTY), Val::I32(kind as i32)];
    let words = words.into_iter().flat_map(limbs);
    let results = frame.call(Function::Call, &head.into_iter().chain(words).collect::<Vec<_>>());
    (results[0].i32().expect("success"), last(&results))
}

fn finish(frame: &mut Frame, gas: i64, reverts: bool, range: [u64; 2]) -> i64 {
    let head = [Val::I64(gas), Val::I32(reverts.into())];
    let words = range.into_iter().flat_map(|word| limbs(U256::from(word)));
    last(&frame.call(Function::Finish, &head.into_iter().chain(words).collect::<Vec<_>>()))
}

fn log(frame: &mut Frame, gas: i64, topics: &[U256], range: [u64; 2]) -> i64 {
    let head = [Val::I64(gas), Val::I32(topics.len() as i32)];
    let words = range.into_iter().flat_map(|word| limbs(U256::from(word)));
    let results = frame.call(Function::Log, &head.into_iter().chain(words).collect::<Vec<_>>());
    if last(&results) >= 0 {
        frame.put_words(results[0].i32().expect("an address") as usize, topics);
    }
    last(&results)
}

/// Puts `0, 1, 2, ...` into memory.
fn fill(frame: &mut Frame, words: u8) {
    for word in 0..words {
        let bytes: [u8; 32] = core::array::from_fn(|at| word.wrapping_mul(32) + at as u8);
        let operands = [U256::from(word) * U256::from(32), U256::from_be_bytes(bytes)];
        assert!(frame.gas(Function::Mstore, PLENTY, &operands) >= 0);
    }
}

fn warm_slot(present: u64) -> Answer {
    Answer::Slot { present: [present, 0, 0, 0], original: [present, 0, 0, 0], cold: 0 }
}

/// A log as it travels.
fn travelling(topics: &[U256], data: &[u8]) -> Vec<u8> {
    let head = LogHead { topics: topics.len() as u32, data_bytes: data.len() as u32 };
    let mut bytes = borsh::to_vec(&head).expect("it fits");
    topics.iter().for_each(|topic| bytes.extend(topic.as_le_slice()));
    bytes.extend(abi::backwards(data));
    bytes
}

#[test]
fn a_call_carries_effects_and_input_and_brings_back_data() {
    let returned: Vec<u8> = (100..150).collect();
    let mut frame = Frame::new();
    let answer = returned.clone();
    frame.serve(move |request, _| match request {
        Request::Call { gas_left, .. } => {
            let data_bytes = answer.len() as u32;
            let head =
                Answer::Returned { success: 1, left: Left::of(gas_left - 1_000), data_bytes };
            (head, abi::backwards(&answer))
        }
        _ => (warm_slot(0), vec![]),
    });
    fill(&mut frame, 4);
    let topics = [U256::MAX, U256::from(7)];
    assert_eq!(log(&mut frame, PLENTY, &topics, [3, 5]), PLENTY - 40);
    assert_eq!(log(&mut frame, PLENTY, &[], [0, 0]), PLENTY);
    assert_eq!(log(&mut frame, PLENTY, &[U256::ONE; 4], [120, 8]), PLENTY - 64);
    frame.gas(Function::Sstore, PLENTY, &[U256::from(5), U256::from(6)]);
    frame.gas(Function::Tstore, PLENTY, &[U256::from(8), U256::from(9)]);

    let account = U256::MAX - U256::from(3);
    let value = U256::from(12_345);
    let [from, size, to, room] = [10, 20, 40, 60].map(U256::from);
    let operands = [U256::MAX, account, value, from, size, to, room];
    let (success, left) = call(&mut frame, CallKind::Call, operands);
    assert_eq!((success, left), (1, PLENTY - 1_000));

    let (request, tail) = frame.store.data().requests.last().expect("one").clone();
    let effects = Effects { logs: 3, storage_writes: 1, transient_writes: 1 };
    let expected = Request::Call {
        kind: CallKind::Call,
        gas_left: PLENTY as u64,
        gas_asked: u64::MAX,
        address: account.into_limbs(),
        value: value.into_limbs(),
        effects,
        memory_bytes: frame.global(Global::MemorySize) as u32,
        input_bytes: 20,
    };
    assert_eq!(request, expected);
    let mut bytes = travelling(&topics, &[3, 4, 5, 6, 7]);
    bytes.extend(travelling(&[], &[]));
    bytes.extend(travelling(&[U256::ONE; 4], &(120..128).collect::<Vec<u8>>()));
    for number in [5_u64, 6, 8, 9] {
        bytes.extend(U256::from(number).as_le_slice());
    }
    bytes.extend(abi::backwards(&(10..30).collect::<Vec<u8>>()));
    assert_eq!(tail, bytes);

    // Fifty bytes came for sixty: what was behind them stays.
    let memory = frame.evm_memory();
    assert_eq!(memory[40..90], returned);
    assert_eq!(memory[90..128], (90..128).collect::<Vec<u8>>());
    assert_eq!(frame.call(Function::ReturnDataSize, &[])[0].i64(), Some(50));
    assert_eq!(memory.len(), 128);
}

#[test]
fn gas_asked_for_is_clipped() {
    let mut frame = Frame::new();
    frame.serve(|_, _| (Answer::Returned { success: 0, left: Left::of(5), data_bytes: 0 }, vec![]));
    for (asked, clipped) in [
        (U256::from(7), 7),
        (U256::ONE << 64, u64::MAX),
        (U256::MAX, u64::MAX),
        (U256::from(u64::MAX), u64::MAX),
        (U256::ONE << 255, u64::MAX),
    ] {
        let mut words = [U256::ZERO; 7];
        words[0] = asked;
        assert_eq!(call(&mut frame, CallKind::StaticCall, words), (0, 5));
        let Request::Call { gas_asked, .. } = frame.store.data().requests.last().expect("one").0
        else {
            panic!("a call")
        };
        assert_eq!(gas_asked, clipped);
    }
}

#[test]
fn return_data_of_any_length_arrives() {
    let mut frame = Frame::new();
    frame.serve(|request, _| {
        let Request::Call { gas_asked, gas_left, .. } = request else { panic!("a call") };
        let data: Vec<u8> = (0..gas_asked).map(|at| at as u8).collect();
        let data_bytes = data.len() as u32;
        (
            Answer::Returned { success: 1, left: Left::of(gas_left), data_bytes },
            abi::backwards(&data),
        )
    });
    for length in [0_u64, 10, 239, 240, 5_000, 3, 0, 100_000, 7_000, 300_000] {
        let mut words = [U256::ZERO; 7];
        words[0] = U256::from(length);
        assert_eq!(call(&mut frame, CallKind::Call, words), (1, PLENTY));
        assert_eq!(frame.call(Function::ReturnDataSize, &[])[0].i64(), Some(length as i64));
        let copy = [U256::from(1), U256::ZERO, U256::from(length)];
        assert!(frame.gas(Function::ReturnDataCopy, PLENTY, &copy) > 0);
        let expected: Vec<u8> = (0..length).map(|at| at as u8).collect();
        assert!(frame.evm_memory().get(1..=length as usize).unwrap_or(&[]) == expected);
    }
}

#[test]
fn static_frames_neither_send_value_nor_create_nor_log() {
    let input = FrameInput { is_static: 1, ..FrameInput::default() };
    let mut frame = Frame::with(input, &[], &[]);
    frame.serve(|_, _| (Answer::Returned { success: 1, left: Left::of(1), data_bytes: 0 }, vec![]));
    let mut words = [U256::ZERO; 7];
    assert_eq!(call(&mut frame, CallKind::Call, words), (1, 1));
    words[2] = U256::ONE << 200;
    assert!(call(&mut frame, CallKind::Call, words).1 < 0);
    assert_eq!(call(&mut frame, CallKind::CallCode, words), (1, 1));
    assert!(log(&mut frame, PLENTY, &[], [0, 0]) < 0);
    assert!(frame.gas(Function::SelfDestruct, PLENTY, &[U256::ONE]) < 0);
    let head = [Val::I64(PLENTY), Val::I32(0)];
    let zeros = [U256::ZERO; 4].into_iter().flat_map(limbs);
    let create: Vec<Val> = head.into_iter().chain(zeros).collect();
    assert!(last(&frame.call(Function::Create, &create)) < 0);
    assert_eq!(frame.yields(), 2);
    // Nothing a static frame calls can change what it knows.
    assert_eq!(frame.global(Global::Generation), 1);
}

#[test]
fn a_creation_carries_its_code_and_brings_back_an_address() {
    let mut frame = Frame::new();
    let address: U256 = U256::MAX >> 96;
    frame.serve(move |_, _| {
        let head =
            Answer::Created { address: address.into_limbs(), left: Left::of(77), data_bytes: 3 };
        (head, vec![3, 2, 1])
    });
    fill(&mut frame, 2);
    let (value, salt) = (U256::from(8), U256::MAX);
    let words = [value, U256::from(4), U256::from(40), salt].into_iter().flat_map(limbs);
    let head = [Val::I64(PLENTY), Val::I32(1)];
    let results = frame.call(Function::Create, &head.into_iter().chain(words).collect::<Vec<_>>());
    assert_eq!((word(&results), last(&results)), (address, 77));
    let expected = Request::Create {
        with_salt: 1,
        salt: salt.into_limbs(),
        gas_left: PLENTY as u64,
        value: value.into_limbs(),
        effects: Effects::default(),
        memory_bytes: frame.global(Global::MemorySize) as u32,
        init_code_bytes: 40,
    };
    let code = abi::backwards(&(4..44).collect::<Vec<u8>>());
    assert_eq!(frame.store.data().requests, [(expected, code)]);
    frame.gas(Function::ReturnDataCopy, PLENTY, &[U256::ZERO, U256::ZERO, U256::from(3)]);
    assert_eq!(frame.evm_memory()[..4], [1, 2, 3, 3]);
    assert_eq!(frame.global(Global::Generation), 2);
}

fn done(halt: Halt, gas_left: u64, refund: i64, effects: Effects, output_bytes: u32) -> Request {
    Request::Done { halt, gas_left, refund, effects, output_bytes }
}

#[test]
fn a_frame_ends_with_its_output_and_effects() {
    for (writes, reverts, range) in [
        (false, false, [0, 0]),
        (false, false, [1, 50]),
        (false, true, [0, 64]),
        (true, false, [0, 0]),
        (true, false, [30, 34]),
        (true, true, [5, 3]),
        (true, true, [0, 0]),
    ] {
        let mut frame = Frame::new();
        frame.serve(|_, _| (warm_slot(1), vec![]));
        fill(&mut frame, 2);
        let mut effects = Effects::default();
        let mut tail = Vec::new();
        if writes {
            frame.gas(Function::Sstore, PLENTY, &[U256::from(5), U256::ZERO]);
            log(&mut frame, PLENTY, &[U256::from(9)], [0, 2]);
            if !reverts {
                effects = Effects { logs: 1, storage_writes: 1, transient_writes: 0 };
                tail = travelling(&[U256::from(9)], &[0, 1]);
                tail.extend(U256::from(5).as_le_slice());
                tail.extend([0; 32]);
            }
        }
        assert_eq!(finish(&mut frame, 1_234, reverts, range), 1_234);
        let [offset, length] = range.map(|word| word as u8);
        tail.extend(abi::backwards(&(offset..offset + length).collect::<Vec<u8>>()));
        let halt = if reverts { Halt::Revert } else { Halt::Success };
        let refund = if writes { 4_800 } else { 0 };
        let expected = done(halt, 1_234, refund, effects, length.into());
        assert_eq!(frame.result(), (expected, tail), "{writes} {reverts} {range:?}");
    }
}

#[test]
fn an_output_beyond_memory_is_zeros_and_paid_for() {
    let mut frame = Frame::new();
    assert_eq!(finish(&mut frame, 10, false, [31, 2]), 4);
    let expected = done(Halt::Success, 4, 0, Effects::default(), 2);
    assert_eq!(frame.result(), (expected, vec![0, 0]));
    let mut frame = Frame::new();
    assert!(finish(&mut frame, 5, false, [31, 2]) < 0);
    assert!(finish(&mut frame, i64::MAX, true, [1 << 40, 1]) < 0);
    assert_eq!(frame.global(Global::LastLength), 0);
}

#[test]
fn stop_and_exceptional_halts_and_selfdestruct_end_a_frame() {
    let mut frame = Frame::new();
    frame.call(Function::Stop, &[Val::I64(9)]);
    let expected = done(Halt::Success, 9, 0, Effects::default(), 0);
    assert_eq!(frame.result(), (expected, vec![]));

    let mut frame = Frame::new();
    frame.serve(|_, _| (warm_slot(1), vec![]));
    frame.gas(Function::Sstore, PLENTY, &[U256::from(5), U256::ZERO]);
    frame.call(Function::Halt, &[]);
    let expected = done(Halt::Exceptional, 0, 0, Effects::default(), 0);
    assert_eq!(frame.result(), (expected, vec![]));

    assert_eq!(frame.gas(Function::SelfDestruct, 55, &[U256::MAX]), 55);
    let effects = Effects { storage_writes: 1, ..Effects::default() };
    let beneficiary = U256::MAX.into_limbs();
    let expected = Request::SelfDestruct { gas_left: 55, refund: 4_800, beneficiary, effects };
    let mut tail = U256::from(5).as_le_slice().to_vec();
    tail.extend([0; 32]);
    assert_eq!(frame.result(), (expected, tail));
}

#[test]
fn balances_are_asked_for_once_a_generation() {
    let own = [7, 8, 9, 0];
    let mut frame = Frame::with(FrameInput { address: own, ..FrameInput::default() }, &[], &[]);
    frame.serve(|request, _| match request {
        Request::Balance { address } => (Answer::Balance { balance: address, cold: 1 }, vec![]),
        Request::Call { gas_left, .. } => {
            (Answer::Returned { success: 1, left: Left::of(gas_left), data_bytes: 0 }, vec![])
        }
        other => panic!("{other:?}"),
    });
    let clipped = U256::MAX >> 96;
    let balance = |frame: &mut Frame, gas| frame.word_and_gas(Function::Balance, gas, &[U256::MAX]);
    assert_eq!(balance(&mut frame, 2_500), (clipped, 0));
    assert_eq!(balance(&mut frame, 0), (clipped, 0));
    let results = frame.call(Function::SelfBalance, &[Val::I64(3)]);
    assert_eq!((word(&results), last(&results)), (U256::from_limbs(own), 3));
    assert_eq!(frame.yields(), 2);
    call(&mut frame, CallKind::StaticCall, [U256::ZERO; 7]);
    balance(&mut frame, 0);
    assert_eq!(frame.yields(), 3);
    call(&mut frame, CallKind::CallCode, [U256::ZERO; 7]);
    assert_eq!(balance(&mut frame, 0), (clipped, 0));
    assert_eq!(frame.yields(), 5);
    assert!(frame.gas(Function::Balance, 2_499, &[U256::from(4)]) < 0);
}

#[test]
fn codes_are_asked_for_without_their_bytes_first() {
    let mut frame = Frame::new();
    frame.serve(|request, _| match request {
        Request::ExtCode { address, with_bytes } => {
            let code_bytes = 1_000 * address[0] as u32;
            let tail =
                vec![address[0] as u8; if with_bytes == 1 { code_bytes as usize } else { 0 }];
            (Answer::Code { hash: [address[0], 2, 3, 4], code_bytes, cold: 1 }, tail)
        }
        Request::Call { gas_left, .. } => {
            (Answer::Returned { success: 1, left: Left::of(gas_left), data_bytes: 0 }, vec![])
        }
        other => panic!("{other:?}"),
    });
    let word = U256::from;
    let hash = |frame: &mut Frame, account: u64, gas| {
        frame.word_and_gas(Function::ExtCodeHash, gas, &[word(account)])
    };
    let size = |frame: &mut Frame, account: u64, gas| {
        frame.word_and_gas(Function::ExtCodeSize, gas, &[word(account)])
    };
    let copy = |frame: &mut Frame, account: u64, length: u64| {
        let words = [word(account), word(0), word(999), word(length)];
        PLENTY - frame.gas(Function::ExtCodeCopy, PLENTY, &words)
    };
    assert_eq!(hash(&mut frame, 5, 2_500), (U256::from_limbs([5, 2, 3, 4]), 0));
    assert_eq!(size(&mut frame, 5, 0), (word(5_000), 0));
    assert_eq!(frame.yields(), 1);
    assert_eq!(copy(&mut frame, 5, 2), 3 + 3);
    assert_eq!(copy(&mut frame, 5, 2), 3);
    assert_eq!(frame.yields(), 2);
    assert_eq!(frame.evm_memory()[..3], [5, 5, 0]);
    // Another code takes the buffer; of length zero nothing is copied but the account is loaded.
    assert_eq!(copy(&mut frame, 1, 2), 2_500 + 3);
    assert_eq!(frame.evm_memory()[..3], [1, 0, 0]);
    assert_eq!(size(&mut frame, 1, 0), (word(1_000), 0));
    assert_eq!(copy(&mut frame, 2, 0), 2_500);
    assert_eq!(frame.yields(), 4);
    assert_eq!(copy(&mut frame, 5, 1), 3);
    assert_eq!(frame.yields(), 5);
    call(&mut frame, CallKind::Call, [U256::ZERO; 7]);
    assert_eq!(copy(&mut frame, 5, 1), 3);
    assert_eq!(size(&mut frame, 5, 0), (word(5_000), 0));
    assert_eq!(frame.yields(), 7);
}

#[test]
fn hashes_of_blocks_are_asked_for_within_reach() {
    let block = BlockEnvironment { number: [1_000, 0, 0, 0], ..BlockEnvironment::default() };
    let mut frame = Frame::with(FrameInput { block, ..FrameInput::default() }, &[], &[]);
    frame.serve(|request, _| {
        let Request::BlockHash { number } = request else { panic!("{request:?}") };
        (Answer::Word([number, 1, 1, 1]), vec![])
    });
    let hash = |frame: &mut Frame, number| frame.words(Function::BlockHash, &[number]);
    for far in [0, 743, 1_000, 1_001, u64::MAX] {
        assert_eq!(hash(&mut frame, U256::from(far)), U256::ZERO);
    }
    assert_eq!(hash(&mut frame, U256::from(999) | U256::ONE << 64), U256::ZERO);
    assert_eq!(hash(&mut frame, U256::MAX), U256::ZERO);
    assert_eq!(frame.yields(), 0);
    for near in [744, 999, 744] {
        assert_eq!(hash(&mut frame, U256::from(near)), U256::from_limbs([near, 1, 1, 1]));
    }
    assert_eq!(frame.yields(), 2);
}

#[test]
fn an_input_of_another_version_or_length_is_refused() {
    let good = FrameInput { version: FRAME_ABI_VERSION, gas: 5, ..FrameInput::default() };
    let bytes = [borsh::to_vec(&good).expect("it fits"), vec![0; 32]].concat();
    let enter = |bytes: Vec<u8>| {
        let mut frame = Frame::instance(Keccak::Own);
        frame.set_input(bytes);
        last(&frame.call(Function::Enter, &[]))
    };
    assert_eq!(enter(bytes.clone()), 5);
    let mut other = bytes.clone();
    other[0] += 1;
    assert!(enter(other) < 0);
    assert!(enter(bytes[..bytes.len() - 1].to_vec()) < 0);
    assert!(enter([bytes, vec![0]].concat()) < 0);
    assert!(enter(vec![]) < 0);
}

#[test]
fn long_calldata_finds_room() {
    let data: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let mut frame = Frame::with(FrameInput::default(), &[], &data);
    let copy = [U256::ZERO, U256::ZERO, U256::from(data.len())];
    assert!(frame.gas(Function::CalldataCopy, PLENTY, &copy) > 0);
    assert!(frame.evm_memory()[..data.len()] == data);
}

#[test]
fn many_logs_keep_their_order() {
    let mut frame = Frame::new();
    fill(&mut frame, 4);
    let mut expected = Vec::new();
    for number in 0..200_u64 {
        let topics = vec![U256::from(number); (number % 5) as usize];
        let length = number % 100;
        assert_eq!(log(&mut frame, PLENTY, &topics, [1, length]), PLENTY - 8 * length as i64);
        expected.extend(travelling(&topics, &(1..=length as u8).collect::<Vec<u8>>()));
    }
    assert!(log(&mut frame, 79, &[], [0, 10]) < 0);
    finish(&mut frame, 1, false, [0, 0]);
    let (request, tail) = frame.result();
    let effects = Effects { logs: 200, ..Effects::default() };
    assert_eq!(request, done(Halt::Success, 1, 0, effects, 0));
    assert!(tail == expected);
}

#[test]
fn the_next_frame_finds_nothing_of_the_last() {
    let slot = [U256::from(5)];
    // With the large input EVM memory becomes so large that the module ends after that frame.
    let cases = [
        (0, 0, 3),
        (20, 4, 3),
        (20, 600, 3),
        (20, 3_000, 3),
        (100, 68, 3),
        (9, 40_000, 1),
        (9, 90_000, 1),
    ];
    for (words, calldata_bytes, frames) in cases {
        let mut frame = Frame::new();
        frame.serve(|_, _| (warm_slot(1), vec![]));
        let calldata: Vec<u8> = (0..calldata_bytes).map(|at: u32| (at % 251) as u8 + 1).collect();
        for round in 0..3_u64 {
            fill(&mut frame, words);
            frame.gas(Function::Sstore, PLENTY, &[slot[0], U256::ZERO]);
            frame.gas(Function::Tstore, PLENTY, &[U256::from(8), U256::from(9)]);
            log(&mut frame, PLENTY, &[U256::ONE], [0, 3]);
            assert!(frame.global(Global::Refund) > 0);
            let reverts = round == 1;
            finish(&mut frame, 9, reverts, [1, 20]);
            let asked = frame.yields();
            let gas = 70 + round;
            let input = FrameInput { gas, ..FrameInput::default() };
            frame.store.data_mut().next = Some(input_bytes(input, &[], &calldata));
            let begun = frame.call(Function::Next, &[]);
            let goes_on = begun[0].i32() == Some(1);
            assert_eq!(goes_on, round < frames, "{words} {calldata_bytes} {round}");
            let request = if goes_on {
                assert_eq!(begun[1].i64(), Some(gas as i64));
                frame.store.data().requests.last().expect("the result").0
            } else {
                frame.result().0
            };
            let one = Effects { logs: 1, storage_writes: 1, transient_writes: 1 };
            let expected = if reverts {
                done(Halt::Revert, 9, 4_800, Effects::default(), 20)
            } else {
                done(Halt::Success, 9, 4_800, one, 20)
            };
            assert_eq!(request, expected, "{words} {calldata_bytes} {round}");
            if !goes_on {
                break;
            }
            for forgotten in [
                Global::MemorySize,
                Global::ReturnLength,
                Global::Refund,
                Global::Logs,
                Global::Writes,
                Global::Transients,
            ] {
                assert_eq!(frame.global(forgotten), 0, "{forgotten:?}");
            }
            frame.gas(Function::Mload, PLENTY, &[U256::from(6_000)]);
            assert!(frame.evm_memory().iter().all(|byte| *byte == 0), "{words} {calldata_bytes}");
            let copy = [U256::ZERO, U256::ZERO, U256::from(calldata.len())];
            assert!(frame.gas(Function::CalldataCopy, PLENTY, &copy) > 0);
            assert!(frame.evm_memory()[..calldata.len()] == calldata);
            frame.gas(Function::Sload, PLENTY, &slot);
            assert_eq!(frame.yields(), asked + 2, "the result, and the slot once more");
        }
        if frames == 3 {
            finish(&mut frame, 3, false, [0, 0]);
            assert_eq!(frame.result().0, done(Halt::Success, 3, 0, Effects::default(), 0));
        }
    }
}
