//! Frames on stacks of their own, through the embedder's interface: many switches, every kind of trap at every
//! awkward moment, cancels, threads. After each of them the process goes on, with the same outcomes and the same gas
//! on every engine.

use cotenant_host::engine::EngineKind;
use cotenant_host::exec::{Live, Progress, Session};
use cotenant_submodules::{Grants, Namespace, SyncExecutionError};
use cotenant_tests::seed::{rng, seed};
use cotenant_tests::world::World;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// One module for all levels. Its input is four bytes: levels below it, what the leaf does, what a frame does
/// itself once its callee has yielded, and at which level (counted from the leaf). Between leaf and session every
/// frame passes yields and answers on; what its callee ends with it returns behind the status.
const NODE: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (import "env" "panic_utf8" (func $panic (param i64 i64)))
  (import "env" "callback_into" (func $callback (param i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_open" (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume_into" (func $resume (param i64 i64 i64 i64 i64) (result i64)))
  (type $plain (func)) (type $other (func (param i32)))
  (table 3 funcref) (elem (i32.const 1) $nothing)
  (memory 1) (data (i32.const 0) "node") (data (i32.const 8) "run")
  (func $nothing)
  (func $deep (call $deep) (call $deep))
  (func $act (param $kind i32)
    (if (i32.eq (local.get $kind) (i32.const 2)) (then unreachable))
    (if (i32.eq (local.get $kind) (i32.const 3)) (then (drop (i32.load (i32.const -4)))))
    (if (i32.eq (local.get $kind) (i32.const 4)) (then (drop (i32.div_u (i32.const 1) (i32.const 0)))))
    (if (i32.eq (local.get $kind) (i32.const 5)) (then (drop (i64.div_s (i64.const 0x8000000000000000) (i64.const -1)))))
    (if (i32.eq (local.get $kind) (i32.const 6)) (then (drop (i32.trunc_f64_s (f64.const nan)))))
    (if (i32.eq (local.get $kind) (i32.const 7)) (then (call_indirect (type $plain) (i32.const 2))))
    (if (i32.eq (local.get $kind) (i32.const 8)) (then (call_indirect (type $other) (i32.const 0) (i32.const 1))))
    (if (i32.eq (local.get $kind) (i32.const 9)) (then (call_indirect (type $plain) (i32.const 3))))
    (if (i32.eq (local.get $kind) (i32.const 10)) (then (call $deep)))
    (if (i32.eq (local.get $kind) (i32.const 11)) (then (call $panic (i64.const 4) (i64.const 0))))
    (if (i32.eq (local.get $kind) (i32.const 12)) (then (call $read_register (i64.const 77) (i64.const 0))))
    (if (i32.eq (local.get $kind) (i32.const 13))
      (then (loop $l (memory.fill (i32.const 8192) (i32.const 0) (i32.const 32768)) (br $l)))))
  ;; Yields a sum of all answers until one is 0, then returns it.
  (func $sum
    (loop $again
      (drop (call $callback (i64.const 8) (i64.const 2048) (i64.const 2056) (i64.const 8)))
      (i64.store (i32.const 2048) (i64.add (i64.load (i32.const 2048)) (i64.load (i32.const 2056))))
      (br_if $again (i64.ne (i64.load (i32.const 2056)) (i64.const 0))))
    (call $value_return (i64.const 8) (i64.const 2048)))
  (func (export "run") (local $levels i32) (local $handle i64) (local $packed i64) (local $from i64) (local $length i64)
    (call $input (i64.const 0)) (call $read_register (i64.const 0) (i64.const 1024))
    (local.set $levels (i32.load8_u (i32.const 1024)))
    (if (i32.eqz (local.get $levels)) (then
      (if (i32.eqz (i32.load8_u (i32.const 1025))) (then (call $value_return (i64.const 4) (i64.const 1024)) (return)))
      (if (i32.eq (i32.load8_u (i32.const 1025)) (i32.const 1)) (then (call $sum) (return)))
      (call $act (i32.load8_u (i32.const 1025))) (return)))
    (i32.store8 (i32.const 1024) (i32.sub (local.get $levels) (i32.const 1)))
    (local.set $handle (call $open (i64.const 4) (i64.const 0) (i64.const 3) (i64.const 8)
      (i64.const 0) (i64.const -1) (i64.const 15) (i64.const 1)))
    (if (i64.eq (local.get $handle) (i64.const -1)) (then unreachable))
    (local.set $from (i64.const 1024)) (local.set $length (i64.const 4))
    (loop $again
      (local.set $packed
        (call $resume (local.get $handle) (local.get $length) (local.get $from) (i64.const 4096) (i64.const 1024)))
      (local.set $length (i64.shr_u (local.get $packed) (i64.const 8)))
      (local.set $from (i64.const 4096))
      (if (i64.eq (i64.and (local.get $packed) (i64.const 255)) (i64.const 1)) (then
        (if (i32.eq (local.get $levels) (i32.load8_u (i32.const 1027))) (then (call $act (i32.load8_u (i32.const 1026)))))
        (local.set $length (call $callback (local.get $length) (i64.const 4096) (i64.const 4096) (i64.const 1024)))
        (br $again))))
    (i32.store8 (i32.const 4095) (i32.wrap_i64 (local.get $packed)))
    (call $value_return (i64.add (local.get $length) (i64.const 1)) (i64.const 4095))))"#;

const RETURN: u8 = 0;
const SUM: u8 = 1;
const OUT_OF_BOUNDS: u8 = 3;
/// Everything that ends a frame, with the error that its caller sees; the last takes all gas.
const ENDINGS: [u8; 11] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
const EXHAUST: u8 = 13;
const GAS: u64 = 1_000_000_000_000_000;
const NATIVE: [EngineKind; 1] = [EngineKind::Cranelift];

fn world() -> World {
    World::new(&[("node", NODE)]).unwrap()
}

/// Numbers of traps are near-vm-runner's.
fn error(kind: u8) -> SyncExecutionError {
    match kind {
        2 => SyncExecutionError::WasmTrap(0),
        3 => SyncExecutionError::WasmTrap(2),
        9 => SyncExecutionError::WasmTrap(3),
        4..=6 => SyncExecutionError::WasmTrap(4),
        7 => SyncExecutionError::WasmTrap(6),
        8 => SyncExecutionError::WasmTrap(1),
        10 => SyncExecutionError::host("MemoryAccessViolation"),
        11 => SyncExecutionError::GuestPanic("node".to_owned()),
        12 => SyncExecutionError::host("InvalidRegisterId"),
        _ => SyncExecutionError::OutOfGas,
    }
}

fn open(session: &Session, gas: u64) -> Live {
    let node = Namespace::from_bytes(b"node").unwrap();
    session.open(&node, "run", gas, Grants::ALL).unwrap()
}

fn yielded(sum: u64) -> Progress {
    Progress::Yielded(sum.to_le_bytes().to_vec())
}

/// A stack of so many levels above a leaf that sums, suspended in its first yield.
fn suspended(session: &Session, levels: u8) -> Live {
    let mut live = open(session, 0);
    assert_eq!(live.resume(vec![levels, SUM, 0, 0]).unwrap(), yielded(0));
    live
}

/// Answers a suspended stack a few times and lets it return.
fn goes_on(live: &mut Live, levels: u8) {
    assert_eq!(live.resume(5_u64.to_le_bytes().to_vec()).unwrap(), yielded(5));
    assert_eq!(live.resume(7_u64.to_le_bytes().to_vec()).unwrap(), yielded(12));
    finishes(live, levels, 12);
}

fn finishes(live: &mut Live, levels: u8, sum: u64) {
    let mut result = vec![0; usize::from(levels)];
    result.extend_from_slice(&sum.to_le_bytes());
    assert_eq!(live.resume(0_u64.to_le_bytes().to_vec()).unwrap(), Progress::Done(result));
}

/// Runs a check on engines; they must leave the same gas.
fn on(engines: &[EngineKind], check: impl Fn(&Session)) {
    let world = world();
    let left: Vec<_> = engines
        .iter()
        .map(|engine| {
            let session = world.session(*engine, GAS);
            println!("{engine}");
            check(&session);
            assert_eq!(session.live(), 0, "{engine}");
            (*engine, session.gas_left())
        })
        .collect();
    assert!(left.windows(2).all(|pair| pair[0].1 == pair[1].1), "gas left: {left:?}");
}

#[test]
fn ten_thousand_yields_pass_through_eight_levels() {
    on(&EngineKind::ALL, |session| {
        let mut live = suspended(session, 7);
        for answer in 1..=10_000_u64 {
            let progress = live.resume(1_u64.to_le_bytes().to_vec()).unwrap();
            assert_eq!(progress, yielded(answer));
        }
        finishes(&mut live, 7, 10_000);
    });
}

#[test]
fn every_kind_of_trap_in_a_leaf_at_depth_three_is_its_callers_to_handle() {
    on(&EngineKind::ALL, |session| {
        let mut beside = suspended(session, 2);
        for round in 0..20 {
            for kind in ENDINGS {
                let mut expected = vec![0, 2];
                expected.extend_from_slice(&error(kind).to_bytes());
                let progress = open(session, 0).resume(vec![2, kind, 0, 0]).unwrap();
                assert_eq!(progress, Progress::Done(expected), "kind {kind} in round {round}");
            }
            let progress = open(session, 2_000_000_000_000).resume(vec![2, EXHAUST, 0, 0]).unwrap();
            assert_eq!(progress, Progress::Failed(SyncExecutionError::OutOfGas));
        }
        goes_on(&mut beside, 2);
    });
}

#[test]
fn a_frame_may_trap_while_its_callee_is_suspended() {
    on(&EngineKind::ALL, |session| {
        let mut beside = suspended(session, 3);
        for round in 0..20 {
            for kind in ENDINGS {
                // The frame that traps is the first, the second, the third; its callees are suspended.
                for at in 1..=3_u8 {
                    let progress = open(session, 0).resume(vec![3, SUM, kind, at]).unwrap();
                    let expected = if at == 3 {
                        Progress::Failed(error(kind))
                    } else {
                        let mut bytes = vec![0; usize::from(2 - at)];
                        bytes.push(2);
                        bytes.extend_from_slice(&error(kind).to_bytes());
                        Progress::Done(bytes)
                    };
                    assert_eq!(progress, expected, "kind {kind} at {at} in round {round}");
                }
            }
        }
        goes_on(&mut beside, 3);
    });
}

/// The one that killed the process when wasmer's own trap handling was in charge.
#[test]
fn an_out_of_bounds_trap_above_many_suspended_callees_leaves_the_process_working() {
    on(&NATIVE, |session| {
        let mut beside: Vec<_> = (0..50).map(|number| suspended(session, number % 6)).collect();
        for _ in 0..500 {
            let progress = open(session, 0).resume(vec![1, SUM, OUT_OF_BOUNDS, 1]).unwrap();
            assert_eq!(progress, Progress::Failed(error(OUT_OF_BOUNDS)));
        }
        for (number, live) in beside.iter_mut().enumerate() {
            goes_on(live, (number % 6) as u8);
        }
    });
}

/// What a random step does to the stacks that are alive.
fn random_step(session: &Session, alive: &mut Vec<(Live, u8, u64)>, rng: &mut StdRng) -> bool {
    match rng.random_range(0..10) {
        0..4 if alive.len() < 40 => {
            let levels = rng.random_range(0..6);
            alive.push((suspended(session, levels), levels, 0));
            false
        }
        0..6 if !alive.is_empty() => {
            let at = rng.random_range(0..alive.len());
            let (live, _, sum) = &mut alive[at];
            *sum += 3;
            assert_eq!(live.resume(3_u64.to_le_bytes().to_vec()).unwrap(), yielded(*sum));
            false
        }
        6 if !alive.is_empty() => {
            let (mut live, levels, sum) = alive.swap_remove(rng.random_range(0..alive.len()));
            finishes(&mut live, levels, sum);
            false
        }
        7 if !alive.is_empty() => {
            // Dropping it cancels its frames, leaves first.
            alive.swap_remove(rng.random_range(0..alive.len()));
            true
        }
        8 => {
            let kind = ENDINGS[rng.random_range(0..ENDINGS.len())];
            let progress = open(session, 0).resume(vec![0, kind, 0, 0]).unwrap();
            assert_eq!(progress, Progress::Failed(error(kind)));
            true
        }
        _ => {
            let kind = ENDINGS[rng.random_range(0..ENDINGS.len())];
            let levels = rng.random_range(1..5);
            let progress = open(session, 0).resume(vec![levels, SUM, kind, levels]).unwrap();
            assert_eq!(progress, Progress::Failed(error(kind)));
            true
        }
    }
}

#[test]
fn six_thousand_cancels_and_traps_mixed_leave_everything_else_working() {
    let seed = seed();
    on(&EngineKind::ALL, |session| {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut alive = Vec::new();
        let mut ended = 0;
        while ended < 6_000 {
            ended += usize::from(random_step(session, &mut alive, &mut rng));
        }
        let frames: usize = alive.iter().map(|(_, levels, _)| usize::from(*levels) + 1).sum();
        assert_eq!(session.live() as usize, frames);
        for (mut live, levels, sum) in alive {
            finishes(&mut live, levels, sum);
        }
    });
}

/// A call tree from a number: how it went, step by step, and the gas it left.
fn call_tree(session: &Session, number: u64, seed: u64) -> String {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_add(number));
    let levels = rng.random_range(0..7);
    let leaf = match rng.random_range(0..4) {
        0 => RETURN,
        1 => ENDINGS[rng.random_range(0..ENDINGS.len())],
        _ => SUM,
    };
    let own = ENDINGS[rng.random_range(0..ENDINGS.len())];
    let at = if rng.random_ratio(1, 3) { rng.random_range(1..7) } else { 0 };
    let gas = if rng.random_ratio(1, 5) { rng.random_range(0..300_000_000_000) } else { 0 };
    let mut live = open(session, gas);
    let mut told = String::new();
    let mut progress = live.resume(vec![levels, leaf, own, at]).unwrap();
    for answer in (0..rng.random_range(0..6_u64)).rev() {
        told += &format!("{progress:?} ");
        if !matches!(progress, Progress::Yielded(_)) {
            break;
        }
        progress = live.resume(answer.to_le_bytes().to_vec()).unwrap();
    }
    drop(live);
    format!("{told}{progress:?} left {}", session.gas_left())
}

#[test]
fn eight_threads_of_nine_hundred_call_trees_have_equal_outcomes() {
    let (world, seed) = (world(), seed());
    let threads: Vec<_> = (0..8)
        .map(|thread: usize| {
            let world = world.clone();
            std::thread::spawn(move || {
                let engine = EngineKind::ALL[thread % EngineKind::ALL.len()];
                let tree = |number| call_tree(&world.session(engine, GAS), number, seed);
                (engine, (0..900).map(tree).collect::<Vec<_>>())
            })
        })
        .collect();
    let outcomes: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let (first, expected) = &outcomes[0];
    for (engine, found) in &outcomes {
        for (number, (one, other)) in expected.iter().zip(found).enumerate() {
            assert_eq!(one, other, "tree {number} of seed {seed} on {first} and {engine}");
        }
    }
}

#[test]
fn a_thousand_suspended_modules_are_all_resumed_and_then_all_dropped() {
    let mut rng = rng();
    let mut order: Vec<u64> = (0..1_000).collect();
    order.shuffle(&mut rng);
    on(&EngineKind::ALL, |session| {
        for round in 0..2_u64 {
            let mut alive: Vec<_> = (0..1_000).map(|_| suspended(session, 0)).collect();
            assert_eq!(session.live(), 1_000);
            for number in &order {
                let answer = number + 1;
                let progress = alive[*number as usize].resume(answer.to_le_bytes().to_vec());
                assert_eq!(progress.unwrap(), yielded(answer), "module {number}");
            }
            // In the second round half of them return before the rest is dropped.
            for number in order.iter().take(500 * round as usize) {
                finishes(&mut alive[*number as usize], 0, number + 1);
            }
            drop(alive);
            assert_eq!(session.live(), 0);
        }
    });
}

/// Says what it finds: the bits that are set anywhere in its memory but for its data, before and after it has grown;
/// its pages; its data; its globals. Then it writes everywhere, and ends as its input says: returns, traps, or yields.
/// The second byte of the input is how much it grows by.
const TENANT: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (import "env" "callback_into" (func $callback (param i64 i64 i64 i64) (result i64)))
  (memory 2 60)
  (data (i32.const 8) "the data") (data (i32.const 131064) "the last")
  (global $a (mut i32) (i32.const 7)) (global $b (mut i64) (i64.const -9))
  (global $c (mut f32) (f32.const nan:0x200001)) (global $d (mut f64) (f64.const -0.0))
  (func $bits (param $at i32) (param $to i32) (result i64) (local $bits i64)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $to)))
        (local.set $bits (i64.or (local.get $bits) (i64.load (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $next)))
    (local.get $bits))
  (func $deep (call $deep))
  (func (export "run")
    (local $bits i64) (local $first i64) (local $last i64) (local $pages i32) (local $at i32) (local $kind i32)
    (local.set $bits (i64.or (i64.load (i32.const 0)) (call $bits (i32.const 16) (i32.const 131064))))
    (local.set $first (i64.load (i32.const 8)))
    (local.set $last (i64.load (i32.const 131064)))
    (local.set $pages (memory.size))
    (call $input (i64.const 0)) (call $read_register (i64.const 0) (i64.const 0))
    (local.set $kind (i32.load8_u (i32.const 0)))
    (drop (memory.grow (i32.load8_u (i32.const 1))))
    (local.set $bits (i64.or (local.get $bits)
      (call $bits (i32.const 131072) (i32.shl (memory.size) (i32.const 16)))))
    (i64.store (i32.const 0) (local.get $bits)) (i64.store (i32.const 8) (local.get $first))
    (i64.store (i32.const 16) (local.get $last)) (i64.store32 (i32.const 24) (i64.extend_i32_u (local.get $pages)))
    (i32.store (i32.const 28) (global.get $a)) (i64.store (i32.const 32) (global.get $b))
    (f32.store (i32.const 40) (global.get $c)) (f64.store (i32.const 44) (global.get $d))
    (call $value_return (i64.const 52) (i64.const 0))
    (global.set $a (i32.const 1)) (global.set $b (i64.const 2)) (global.set $c (f32.const 3)) (global.set $d (f64.const 4))
    (loop $next
      (i64.store (local.get $at) (i64.const -1))
      (local.set $at (i32.add (local.get $at) (i32.const 2040)))
      (br_if $next (i32.lt_u (local.get $at) (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 8)))))
    (i64.store (i32.const 131064) (i64.const -1))
    (if (i32.eq (local.get $kind) (i32.const 1)) (then unreachable))
    (if (i32.eq (local.get $kind) (i32.const 2)) (then (drop (i32.load (i32.const -4)))))
    (if (i32.eq (local.get $kind) (i32.const 3)) (then (call $deep)))
    (if (i32.eq (local.get $kind) (i32.const 4))
      (then (drop (call $callback (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)))))))"#;

#[test]
fn nothing_of_an_earlier_tenant_is_left_in_an_instance_that_is_used_again() {
    let world = World::new(&[("tenant", TENANT)]).unwrap();
    let tenant = Namespace::from_bytes(b"tenant").unwrap();
    let mut fresh = vec![0; 8];
    fresh.extend_from_slice(b"the datathe last");
    fresh.extend_from_slice(&2_u32.to_le_bytes());
    fresh.extend_from_slice(&7_i32.to_le_bytes());
    fresh.extend_from_slice(&(-9_i64).to_le_bytes());
    fresh.extend_from_slice(&0x7fa0_0001_u32.to_le_bytes());
    fresh.extend_from_slice(&(-0.0_f64).to_le_bytes());
    let gas_left = EngineKind::ALL.map(|engine| {
        let session = world.session(engine, u64::MAX / 4);
        let open = || session.open(&tenant, "run", 0, Grants::NONE).unwrap();
        // More tenants at once than are kept warm, and more in turn than pass between two looks at what they touch.
        let mut beside: Vec<Live> = (0..20_u8).map(|_| open()).collect();
        for (grown, live) in (0_u8..).zip(&mut beside) {
            assert_eq!(live.resume(vec![4, grown]).unwrap(), Progress::Yielded(Vec::new()));
        }
        drop(beside);
        for round in 0..300_u32 {
            let (kind, grown) = ((round % 5) as u8, (round / 5 % 4) as u8);
            let mut live = open();
            let progress = live.resume(vec![kind, grown]).unwrap();
            match kind {
                0 => assert_eq!(progress, Progress::Done(fresh.clone()), "{engine}, round {round}"),
                4 if round % 2 == 0 => {
                    assert_eq!(live.resume(Vec::new()).unwrap(), Progress::Done(fresh.clone()));
                }
                4 => assert_eq!(progress, Progress::Yielded(Vec::new())),
                _ => assert!(matches!(progress, Progress::Failed(_)), "{engine}, round {round}"),
            }
        }
        session.gas_left()
    });
    assert!(gas_left.iter().all(|left| *left == gas_left[0]), "{gas_left:?}");
}
