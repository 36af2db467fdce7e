//! Storage and transient storage against a model that follows the EIPs word by word, and what is asked when.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use evm_to_wasm::abi::{Answer, CallKind, Effects, FrameInput, Left, Request};
use evm_to_wasm::runtime::{Function, Global};
use rand::Rng;
use revm::primitives::U256;
use wasmi::Val;

use super::host::{Frame, PLENTY, limbs};
use super::values::random;

/// What the parent has: values now, at the start of the transaction, and what is warm.
#[derive(Default)]
struct World {
    present: BTreeMap<U256, U256>,
    original: BTreeMap<U256, U256>,
    warm: BTreeSet<U256>,
    transient: BTreeMap<U256, U256>,
}

fn read(map: &BTreeMap<U256, U256>, slot: U256) -> U256 {
    map.get(&slot).copied().unwrap_or_default()
}

/// Gas and refund of an SSTORE: EIP-2200 with the numbers of EIP-2929 and EIP-3529, as they are written.
fn sstore(original: U256, present: U256, new: U256, cold: bool) -> (i64, i64) {
    const COLD_SLOAD_COST: i64 = 2_100;
    const SLOAD_GAS: i64 = 100;
    const SSTORE_SET_GAS: i64 = 20_000;
    const SSTORE_RESET_GAS: i64 = 5_000 - COLD_SLOAD_COST;
    const SSTORE_CLEARS_SCHEDULE: i64 = SSTORE_RESET_GAS + 1_900;
    let zero = U256::ZERO;
    let (mut gas, mut refund) = (if cold { COLD_SLOAD_COST } else { 0 }, 0);
    if present == new {
        gas += SLOAD_GAS;
    } else if original == present {
        if original == zero {
            gas += SSTORE_SET_GAS;
        } else {
            gas += SSTORE_RESET_GAS;
            if new == zero {
                refund += SSTORE_CLEARS_SCHEDULE;
            }
        }
    } else {
        gas += SLOAD_GAS;
        if original != zero {
            if present == zero {
                refund -= SSTORE_CLEARS_SCHEDULE;
            } else if new == zero {
                refund += SSTORE_CLEARS_SCHEDULE;
            }
        }
        if original == new {
            if original == zero {
                refund += SSTORE_SET_GAS - SLOAD_GAS;
            } else {
                refund += SSTORE_RESET_GAS - SLOAD_GAS;
            }
        }
    }
    (gas, refund)
}

fn pairs(tail: &[u8], count: u32) -> Vec<(U256, U256)> {
    let pair =
        |bytes: &[u8]| (U256::from_le_slice(&bytes[..32]), U256::from_le_slice(&bytes[32..64]));
    tail.chunks_exact(64).take(count as usize).map(pair).collect()
}

fn apply(world: &mut World, effects: Effects, tail: &[u8]) {
    assert_eq!(effects.logs, 0);
    let writes = pairs(tail, effects.storage_writes);
    let transient = pairs(&tail[64 * writes.len()..], effects.transient_writes);
    world.present.extend(writes);
    world.transient.extend(transient);
}

/// A parent over `world`; every call may write a slot behind the module's back.
fn serve(frame: &mut Frame, world: &Rc<RefCell<World>>) {
    let world = world.clone();
    frame.serve(move |request, tail| {
        let mut world = world.borrow_mut();
        let answer = match request {
            Request::SLoad { slot } => {
                let slot = U256::from_limbs(slot);
                let cold = u32::from(world.warm.insert(slot));
                let present = read(&world.present, slot).into_limbs();
                Answer::Slot { present, original: read(&world.original, slot).into_limbs(), cold }
            }
            Request::TLoad { slot } => {
                Answer::Word(read(&world.transient, U256::from_limbs(slot)).into_limbs())
            }
            Request::Call { kind, gas_left, effects, .. } => {
                apply(&mut world, effects, tail);
                if kind != CallKind::StaticCall {
                    let slots: Vec<U256> = world.present.keys().copied().step_by(3).collect();
                    for slot in slots {
                        let value = read(&world.present, slot) ^ U256::ONE;
                        world.present.insert(slot, value);
                        world.transient.insert(slot, value);
                    }
                }
                Answer::Returned { success: 1, left: Left::of(gas_left), data_bytes: 0 }
            }
            other => panic!("{other:?}"),
        };
        (answer, Vec::new())
    });
}

fn call(frame: &mut Frame, kind: CallKind) {
    let nothing = [U256::ZERO; 7].into_iter().flat_map(limbs);
    let head = [Val::I64(PLENTY), Val::I32(kind as i32)];
    let results = frame.call(Function::Call, &head.into_iter().chain(nothing).collect::<Vec<_>>());
    assert_eq!(results[1].i64(), Some(PLENTY));
}

/// Slots that share their hash, or the start of it, among others.
fn slot(random: &mut impl Rng) -> U256 {
    let x = random.random_range(0..40_u64);
    match random.random_range(0..6) {
        0 | 1 => U256::from(x),
        2 => U256::from(x) << 6,
        3 => U256::from(x) << 64 | U256::from(x),
        4 => U256::from(x) << 192 | U256::from(x) << 64,
        _ => U256::MAX - (U256::from(x) << 100),
    }
}

#[test]
fn storage_is_what_the_eips_say() {
    let mut random = random("storage");
    for round in 0..60 {
        let world = Rc::new(RefCell::new(World::default()));
        for _ in 0..60 {
            let (slot, value) = (slot(&mut random), U256::from(random.random_range(0..3)));
            world.borrow_mut().original.insert(slot, value);
            let now = if random.random_bool(0.5) { value } else { U256::from(2) };
            world.borrow_mut().present.insert(slot, now);
            if random.random_bool(0.3) {
                world.borrow_mut().warm.insert(slot);
            }
        }
        let mut frame = Frame::new();
        serve(&mut frame, &world);
        // What a machine without a cache would see.
        let mut present = world.borrow().present.clone();
        let mut transient = BTreeMap::new();
        let mut warm = world.borrow().warm.clone();
        let mut refund = 0;
        for step in 0..300 {
            let (slot, value) = (slot(&mut random), U256::from(random.random_range(0..3)));
            match random.random_range(0..20) {
                0..7 => {
                    let (got, left) = frame.word_and_gas(Function::Sload, PLENTY, &[slot]);
                    assert_eq!(got, read(&present, slot), "round {round}, step {step}");
                    assert_eq!(PLENTY - left, if warm.insert(slot) { 2_000 } else { 0 });
                }
                7..14 => {
                    let original = read(&world.borrow().original, slot);
                    let cold = warm.insert(slot);
                    let (gas, more) = sstore(original, read(&present, slot), value, cold);
                    let left = frame.gas(Function::Sstore, PLENTY, &[slot, value]);
                    assert_eq!(PLENTY - left, gas, "round {round}, step {step}");
                    refund += more;
                    present.insert(slot, value);
                }
                14..16 => {
                    let (got, left) = frame.word_and_gas(Function::Tload, PLENTY, &[slot]);
                    assert_eq!((got, left), (read(&transient, slot), PLENTY));
                }
                16..18 => {
                    let left = frame.gas(Function::Tstore, PLENTY, &[slot, value]);
                    assert_eq!(left, PLENTY);
                    transient.insert(slot, value);
                }
                _ => {
                    let kind = [CallKind::Call, CallKind::StaticCall, CallKind::DelegateCall]
                        [random.random_range(0..3)];
                    call(&mut frame, kind);
                    let world = world.borrow();
                    (present, transient) = (world.present.clone(), world.transient.clone());
                }
            }
            assert_eq!(frame.global(Global::Refund), refund, "round {round}, step {step}");
        }
    }
}

fn slot_answer(present: u64, original: u64, cold: u32) -> Answer {
    Answer::Slot { present: [present, 0, 0, 0], original: [original, 0, 0, 0], cold }
}

#[test]
fn a_slot_is_asked_for_once_and_again_only_after_a_call_that_may_write() {
    let mut frame = Frame::new();
    frame.serve(|request, _| match request {
        Request::Call { gas_left, .. } => {
            (Answer::Returned { success: 0, left: Left::of(gas_left), data_bytes: 0 }, vec![])
        }
        _ => (slot_answer(1, 1, 1), vec![]),
    });
    let load = |frame: &mut Frame| frame.word_and_gas(Function::Sload, PLENTY, &[U256::MAX]).1;
    assert_eq!(load(&mut frame), PLENTY - 2_000);
    assert_eq!(load(&mut frame), PLENTY);
    assert_eq!(frame.yields(), 1);
    call(&mut frame, CallKind::StaticCall);
    load(&mut frame);
    assert_eq!(frame.yields(), 2);
    call(&mut frame, CallKind::Call);
    // A parent that calls it cold again is not believed.
    assert_eq!(load(&mut frame), PLENTY);
    load(&mut frame);
    assert_eq!(frame.yields(), 4);
    let asked = &frame.store.data().requests[0].0;
    assert_eq!(*asked, Request::SLoad { slot: U256::MAX.into_limbs() });
}

#[test]
fn writes_need_more_than_the_stipend_and_no_static_frame() {
    let mut frame = Frame::new();
    frame.serve(|_, _| (slot_answer(5, 5, 0), vec![]));
    let five = [U256::from(9), U256::from(5)];
    assert!(frame.gas(Function::Sstore, 2_300, &five) < 0);
    assert_eq!(frame.yields(), 0, "the sentry comes before the yield");
    assert_eq!(frame.gas(Function::Sstore, 2_301, &five), 2_201);
    // Enough for the sentry, not for the write.
    assert!(frame.gas(Function::Sstore, 2_899, &[U256::from(9), U256::ONE]) < 0);

    let input = FrameInput { is_static: 1, ..FrameInput::default() };
    let mut frame = Frame::with(input, &[], &[]);
    assert!(frame.gas(Function::Sstore, PLENTY, &five) < 0);
    assert!(frame.gas(Function::Tstore, PLENTY, &five) < 0);
    assert_eq!(frame.yields(), 0);
}

#[test]
fn gas_that_a_cold_slot_takes_away_halts() {
    let mut frame = Frame::new();
    frame.serve(|_, _| (slot_answer(5, 5, 1), vec![]));
    assert!(frame.gas(Function::Sload, 1_999, &[U256::from(1)]) < 0);
    assert_eq!(frame.gas(Function::Sload, 2_000, &[U256::from(2)]), 0);
}

#[test]
fn an_answer_to_something_else_ends_the_module() {
    for answer in [Answer::Word([0; 4]), Answer::Balance { balance: [0; 4], cold: 0 }] {
        let mut frame = Frame::new();
        frame.serve(move |_, _| (answer, vec![]));
        let arguments: Vec<Val> = [Val::I64(PLENTY)].into_iter().chain(limbs(U256::ONE)).collect();
        frame.try_call(Function::Sload, &arguments).expect_err("the module gives up");
        assert_eq!(frame.store.data().panic.as_deref(), Some("bad answer from the parent frame"));
    }
}

/// Slots chosen so that they all share one hash must not make lookups long.
#[test]
fn slots_that_collide_are_found_in_few_steps() {
    let mut frame = Frame::new();
    frame.serve(|_, _| (slot_answer(5, 5, 0), vec![]));
    let slot = |x: u64| U256::from(x) << 64 | U256::from(x);
    let arguments =
        |x: u64| -> Vec<Val> { [Val::I64(PLENTY)].into_iter().chain(limbs(slot(x))).collect() };
    for x in 0..5_000 {
        frame.call(Function::Sload, &arguments(x));
    }
    let most = (0..5_000).map(|x| frame.operators(Function::Sload, &arguments(x))).max();
    println!("at most {most:?} operators");
    assert!(most.expect("some") < 8_000);
    assert_eq!(frame.yields(), 5_000);
}

#[test]
fn writes_go_out_in_the_order_of_the_first() {
    let mut frame = Frame::new();
    frame.serve(|request, _| match request {
        Request::Call { gas_left, .. } => {
            (Answer::Returned { success: 1, left: Left::of(gas_left), data_bytes: 0 }, vec![])
        }
        _ => (slot_answer(5, 5, 0), vec![]),
    });
    let word = U256::from;
    for (slot, value) in [(3, 30), (1, 10), (2, 20), (1, 11), (3, 5), (4, 5)] {
        frame.gas(Function::Sstore, PLENTY, &[word(slot), word(value)]);
        frame.gas(Function::Tstore, PLENTY, &[word(slot + 100), word(value)]);
    }
    call(&mut frame, CallKind::Call);
    call(&mut frame, CallKind::Call);
    let sent: Vec<_> = frame
        .store
        .data()
        .requests
        .iter()
        .filter_map(|(request, tail)| {
            let Request::Call { effects, .. } = request else { return None };
            Some((*effects, tail.clone()))
        })
        .collect();
    // A write of what is there already is none.
    let (effects, tail) = &sent[0];
    assert_eq!(*effects, Effects { logs: 0, storage_writes: 3, transient_writes: 4 });
    let pair = |(slot, value)| (word(slot), word(value));
    assert_eq!(pairs(tail, 3), [(3, 5), (1, 11), (2, 20)].map(pair));
    assert_eq!(pairs(&tail[192..], 4), [(103, 5), (101, 11), (102, 20), (104, 5)].map(pair));
    assert_eq!(sent[1], (Effects::default(), vec![]));
}
