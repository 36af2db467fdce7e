//! What instances hold while they live, and what is left of them afterwards: the memory arena of the process, the pools of
//! idle instances, and the reset of everything that a guest can change. On both engines, with equal outcomes and gas.

use cotenant_host::engine::{EngineKind, arena_use};
use cotenant_host::exec::{Live, Progress, Session};
use cotenant_host::runtime::Status;
use cotenant_host::{Call, Host, Options};
use cotenant_submodules::{Grants, ModuleId, Namespace, Visibility};
use cotenant_tests::seed::seed;
use cotenant_tests::world::World;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::{Mutex, MutexGuard, PoisonError};

const GAS: u64 = 1_000_000_000_000_000;
const MIB: usize = 1 << 20;

/// The arena is the process's: its numbers are asked by one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

fn namespace(name: &str) -> Namespace {
    Namespace::from_bytes(name.as_bytes()).unwrap()
}

/// Opens `callee.run` as often as its input says, one after the other.
const LOOP: &str = r#"(module
  (import "env" "sync_call_open" (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (memory 1)
  (data (i32.const 100) "callee")
  (data (i32.const 200) "run")
  (func (export "run") (local $n i64)
    i64.const 0 call $input  i64.const 0 i64.const 0 call $read_register
    i32.const 0 i64.load local.set $n
    block loop local.get $n i64.eqz br_if 1
      i64.const 6 i64.const 100 i64.const 3 i64.const 200 i64.const 0 i64.const -1 i64.const 0 i64.const 1 call $open
      i64.const 0 i64.const 0 i64.const 2 call $resume drop
      local.get $n i64.const 1 i64.sub local.set $n br 0 end end))"#;

/// A host with one engine, a caller and its callee.
fn host(engine: EngineKind, callee: &str) -> Host {
    let host = Host::in_memory(&Options { engines: vec![engine], ..Options::default() }).unwrap();
    for (id, visibility, text) in
        [("a.near", Visibility::Public, LOOP), ("a.near:callee", Visibility::Private, callee)]
    {
        let id: ModuleId = id.parse().unwrap();
        let code = wat::parse_str(text).unwrap();
        let outcome = host.deploy(&id, visibility, &code).unwrap();
        assert!(matches!(outcome.status(), Some(Status::SuccessValue(_))), "{outcome:?}");
    }
    host
}

/// Opens the callee so often on every engine, in one call; the outcomes and their gas are the same.
fn opens(callee: &str, times: u64) {
    let outcomes = EngineKind::ALL.map(|engine| {
        let host = host(engine, callee);
        let call = Call::new("a.near".parse().unwrap(), "run").args(times.to_le_bytes().to_vec());
        let outcome = host.call(&call.gas(GAS)).unwrap();
        let root = outcome.root().unwrap();
        assert!(matches!(outcome.status(), Some(Status::SuccessValue(_))), "{:?}", root.status);
        (format!("{:?}", root.status), root.gas_vm)
    });
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
}

#[test]
fn twenty_thousand_opens_of_a_module_that_writes_tables_use_one_memory() {
    let _alone = alone();
    let before = arena_use();
    opens(
        r#"(module (table 1 funcref) (memory 0)
          (func (export "run")) (func (export "never") i32.const 0 ref.null func table.set 0))"#,
        20_000,
    );
    let after = arena_use();
    assert!(after.native_slots <= before.native_slots + 2, "{before:?} {after:?}");
    assert!(after.mappings <= before.mappings + 32, "{before:?} {after:?}");
}

/// Modules of all kinds that are dear to make: each is opened often, and what its instances hold is freed when they end.
#[test]
fn what_callees_hold_is_freed_when_they_end() {
    let _alone = alone();
    let globals = "(global (mut i64) (i64.const 1))".repeat(20_000);
    let functions = (0..500).map(|n| format!(r#"(func (export "f{n}"))"#)).collect::<String>();
    let dropped = (0..100)
        .map(|n| format!(r#"(data $d{n} "{}") (elem $e{n} func $run)"#, "x".repeat(100)))
        .collect::<String>();
    let drops =
        (0..100).map(|n| format!("(data.drop $d{n}) (elem.drop $e{n})")).collect::<String>();
    for callee in [
        format!(
            r#"(module (memory 1) {globals} (func (export "run") (global.set 9 (i64.const 2))))"#
        ),
        format!(
            r#"(module (memory 1) (table 9000 funcref) {functions}
            (func $run (export "run") (table.set (i32.const 77) (ref.func $run))) (elem declare func $run))"#
        ),
        format!(r#"(module (memory 1) {dropped} (func $run (export "run") {drops}))"#),
        r#"(module (memory 1 40) (func (export "run") (drop (memory.grow (i32.const 30)))
            (memory.fill (i32.const 0) (i32.const 7) (i32.const 2000000))))"#
            .to_owned(),
    ] {
        opens(&callee, 3);
        let before = resident();
        opens(&callee, 200);
        let grown = resident().saturating_sub(before);
        assert!(grown < 64 * MIB, "{grown} bytes more for {}", &callee[..100.min(callee.len())]);
    }
}

#[test]
fn idle_instances_of_many_modules_are_bounded() {
    let _alone = alone();
    let modules: Vec<(String, String)> = (0..60)
        .map(|number| {
            let run = format!(
                r#"(module (import "env" "callback_into"
                    (func $callback (param i64 i64 i64 i64) (result i64)))
                  (memory 1) (table 10000 funcref) (elem declare func $run)
                  (func $run (export "run") (table.set (i32.const {number}) (ref.func $run))
                    (drop (call $callback (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)))))"#
            );
            (format!("m{number}"), run)
        })
        .collect();
    let modules: Vec<(&str, &str)> =
        modules.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let world = World::new(&modules).unwrap();
    for engine in EngineKind::ALL {
        let session = world.session(engine, u64::MAX / 4);
        let mut most = 0;
        for (name, _) in &modules {
            let open = || session.open(&namespace(name), "run", 0, Grants::NONE).unwrap();
            let mut alive: Vec<Live> = (0..40).map(|_| open()).collect();
            for live in &mut alive {
                assert_eq!(live.resume(Vec::new()).unwrap(), Progress::Yielded(Vec::new()));
            }
            drop(alive);
            let used = arena_use();
            assert!(used.idle_bytes <= 256 * MIB && used.idle_instances <= 4_096, "{used:?}");
            most = most.max(used.idle_bytes);
        }
        assert!(most >= 200 * MIB, "{engine}: only {most} bytes were kept, so no bound was met");
    }
}

/// A module with all that a guest can change, as a seed says. Its `run` takes a digest of what it finds, returns it, and then
/// changes everything.
fn changing_module(rng: &mut impl Rng) -> String {
    let globals = rng.random_range(0..40_usize);
    let elements = rng.random_range(5..60_u32);
    let fixed = rng.random_bool(0.5);
    let segment = rng.random_range(1..40_u32);
    let pages = rng.random_range(1..4_u32);
    let maximum = if fixed { format!(" {elements}") } else { String::new() };
    let mut text = format!(
        r#"(module (import "env" "value_return" (func $return (param i64 i64)))
        (type $number (func (result i64)))
        (table $t {elements}{maximum} funcref)
        (elem (table $t) (i32.const 0) func $one) (elem (table $t) (i32.const 2) func $two $one)
        (memory {pages} 20) (data (i32.const 16) "at first") (data $d "{}") (elem $e func {})
        (global $digest (mut i64) (i64.const 7))"#,
        "d".repeat(segment as usize),
        "$one $two ".repeat(segment as usize),
    );
    for n in 0..globals {
        let (ty, value) = [("i32", "3"), ("i64", "-4"), ("f32", "1.5"), ("f64", "-0.0")][n % 4];
        text += &format!("(global $g{n} (mut {ty}) ({ty}.const {value}))");
    }
    text += r#"(global $f (mut funcref) (ref.func $one)) (elem declare func $one $two)
      (func $one (result i64) (i64.const 11)) (func $two (result i64) (i64.const 13))
      (func $mix (param i64) (global.set $digest
        (i64.add (i64.mul (global.get $digest) (i64.const 0x100000001b3)) (local.get 0))))
      (func (export "run") (local $n i32)"#;
    text += "(call $mix (i64.extend_i32_u (table.size $t)))";
    for at in 0..elements {
        text += &format!(
            "(if (i32.eqz (ref.is_null (table.get $t (i32.const {at})))) (then
              (call $mix (call_indirect $t (type $number) (i32.const {at})))))
            (call $mix (i64.extend_i32_u (ref.is_null (table.get $t (i32.const {at})))))"
        );
    }
    for n in 0..globals {
        let as_i64 = [
            "(i64.extend_i32_u ",
            "(i64.add (i64.const 0) ",
            "(i64.extend_i32_u (i32.reinterpret_f32 ",
            "(i64.reinterpret_f64 ",
        ];
        let close = if n % 4 == 2 { "))" } else { ")" };
        text += &format!("(call $mix {}(global.get $g{n}){close})", as_i64[n % 4]);
    }
    // What the memory and the segments hold, before and behind what they grow by.
    text += &format!(
        r#"(call $mix (i64.extend_i32_u (ref.is_null (global.get $f))))
        (call $mix (i64.extend_i32_u (memory.size)))
        (memory.init $d (i32.const 100) (i32.const 0) (i32.const {segment}))
        (table.init $t $e (i32.const 1) (i32.const 0) (i32.const 1))
        (loop $next (call $mix (i64.load (local.get $n)))
          (local.set $n (i32.add (local.get $n) (i32.const 1016)))
          (br_if $next (i32.lt_u (local.get $n) (i32.const {}))))
        (local.set $n (i32.shl (memory.size) (i32.const 16)))
        (drop (memory.grow (i32.const 2)))
        (loop $next (call $mix (i64.load (local.get $n)))
          (local.set $n (i32.add (local.get $n) (i32.const 1016)))
          (br_if $next (i32.lt_u (local.get $n) (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 8)))))
        (i64.store (i32.const 0) (global.get $digest)) (call $return (i64.const 8) (i64.const 0))"#,
        pages * 65_536 - 1_024,
    );
    for n in 0..globals {
        let ty = ["i32", "i64", "f32", "f64"][n % 4];
        text += &format!("(global.set $g{n} ({ty}.const 99))");
    }
    let mut changes = vec![
        "(global.set $f (ref.null func))".to_owned(),
        format!("(table.set $t (i32.const {}) (ref.func $two))", elements - 1),
        "(table.fill $t (i32.const 1) (ref.func $two) (i32.const 3))".to_owned(),
        "(table.copy $t $t (i32.const 0) (i32.const 2) (i32.const 3))".to_owned(),
        "(drop (memory.grow (i32.const 3)))".to_owned(),
        "(memory.fill (i32.const 0) (i32.const 255) (i32.shl (memory.size) (i32.const 16)))"
            .to_owned(),
    ];
    for change in [
        "(drop (table.grow $t (ref.func $two) (i32.const 9)))",
        "(drop (table.grow $t (ref.func $two) (i32.const 100)))",
        "(data.drop $d)",
        "(elem.drop $e)",
    ] {
        if rng.random_bool(0.6) {
            changes.push(change.to_owned());
        }
    }
    let ending = [
        "",
        "unreachable",
        "(drop (i64.load (i32.const -8)))",
        "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 41))",
        "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 200))",
    ];
    text + &changes.concat() + ending[rng.random_range(0..ending.len())] + "))"
}

/// Every run of a module finds what the first one found, whatever the runs before it changed and however they ended.
#[test]
fn nothing_that_a_guest_changed_is_left_for_the_next_one() {
    let _alone = alone();
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    for number in 0..40 {
        let text = changing_module(&mut rng);
        let world = World::new(&[("changing", text.as_str())])
            .unwrap_or_else(|error| panic!("module {number} of seed {seed}: {error}"));
        let endings = EngineKind::ALL.map(|engine| {
            let session = world.session(engine, GAS);
            let run = || {
                let before = session.gas_left();
                let mut live =
                    session.open(&namespace("changing"), "run", 0, Grants::NONE).unwrap();
                let progress = live.resume(Vec::new()).unwrap();
                drop(live);
                (progress, before - session.gas_left())
            };
            let endings: Vec<_> = (0..4).map(|_| run()).collect();
            assert!(
                endings.windows(2).all(|pair| pair[0] == pair[1]),
                "module {number} of seed {seed} on {engine}: {endings:?}\n{text}"
            );
            endings[0].clone()
        });
        assert!(
            endings.windows(2).all(|pair| pair[0] == pair[1]),
            "module {number} of seed {seed}: {endings:?}\n{text}"
        );
    }
}

/// A dropped segment is empty to its guest, and to it alone.
#[test]
fn a_dropped_segment_has_nothing_to_read_until_the_next_run() {
    let _alone = alone();
    let module = |reads: &str| {
        format!(
            r#"(module (memory 1) (table 4 funcref) (data $d "four") (elem $e func $f $f)
              (func $f) (func (export "run")
                (memory.init $d (i32.const 0) (i32.const 0) (i32.const 4))
                (table.init $e (i32.const 0) (i32.const 0) (i32.const 2))
                (data.drop $d) (elem.drop $e) (data.drop $d) (elem.drop $e) {reads}))"#
        )
    };
    let cases = [
        ("(memory.init $d (i32.const 65536) (i32.const 0) (i32.const 0))", true),
        ("(table.init $e (i32.const 4) (i32.const 0) (i32.const 0))", true),
        ("(memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))", false),
        ("(memory.init $d (i32.const 0) (i32.const 1) (i32.const 0))", false),
        ("(memory.init $d (i32.const 65537) (i32.const 0) (i32.const 0))", false),
        ("(table.init $e (i32.const 0) (i32.const 0) (i32.const 1))", false),
        ("(table.init $e (i32.const 0) (i32.const 1) (i32.const 0))", false),
        ("(table.init $e (i32.const 5) (i32.const 0) (i32.const 0))", false),
    ];
    for (reads, returns) in cases {
        let world = World::new(&[("drops", module(reads))]).unwrap();
        let endings = EngineKind::ALL.map(|engine| {
            let session = world.session(engine, GAS);
            let mut last = None;
            for _ in 0..3 {
                let mut live = session.open(&namespace("drops"), "run", 0, Grants::NONE).unwrap();
                let progress = live.resume(Vec::new()).unwrap();
                assert_eq!(matches!(progress, Progress::Done(_)), returns, "{engine}: {reads}");
                assert!(last.as_ref().is_none_or(|last| *last == progress), "{engine}: {reads}");
                last = Some(progress);
            }
            (last, session.gas_left())
        });
        assert!(endings.windows(2).all(|pair| pair[0] == pair[1]), "{reads}: {endings:?}");
    }
}

/// Touches a page of its memory and waits.
const WAITING: &str = r#"(module
  (import "env" "callback_into" (func $callback (param i64 i64 i64 i64) (result i64)))
  (memory 1 4)
  (func (export "run")
    (i64.store (i32.const 1024) (i64.const 1))
    (drop (call $callback (i64.const 8) (i64.const 1024) (i64.const 1032) (i64.const 8)))))"#;

/// Ten sessions of one thread with a thousand live modules each, within `vm.max_map_count`: in 512 MiB of native ones, 1 GiB of
/// interpreted ones.
#[test]
fn ten_thousand_modules_are_alive_at_once() {
    let _alone = alone();
    let world = World::new(&[("waiting", WAITING)]).unwrap();
    for engine in [EngineKind::Cranelift, EngineKind::Wasmi] {
        let before = resident();
        let sessions: Vec<Session> = (0..10).map(|_| world.session(engine, u64::MAX / 4)).collect();
        let mut alive: Vec<Live> = Vec::new();
        for session in &sessions {
            for _ in 0..1_000 {
                let mut live = session.open(&namespace("waiting"), "run", 0, Grants::NONE).unwrap();
                let progress = live.resume(Vec::new()).unwrap();
                assert_eq!(progress, Progress::Yielded(1_u64.to_le_bytes().to_vec()), "{engine}");
                alive.push(live);
            }
        }
        let (grown, used) = (resident().saturating_sub(before), arena_use());
        println!("{engine}: {} MiB, {} mappings, {used:?}", grown / MIB, mappings());
        let allowed = if engine == EngineKind::Wasmi { 1_024 } else { 512 };
        assert!(grown <= allowed * MIB, "{engine}: {} MiB", grown / MIB);
        for live in &mut alive {
            assert_eq!(live.resume(Vec::new()).unwrap(), Progress::Done(Vec::new()), "{engine}");
        }
        drop(alive);
        drop(sessions);
        let used = arena_use();
        assert!(used.native_slots <= 4_096 + 16 && used.native_slots_idle <= 1_200, "{used:?}");
    }
}
