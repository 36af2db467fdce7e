//! The end of a native stack, on both engines: a native frame may be hundreds of times the metered one, and a guest may trap, call
//! what runs on its stack, or have callees suspended wherever it is. The process goes on, and what counts is equal: an
//! engine may give up, and then nothing of it counts.

use cotenant_host::engine::EngineKind;
use cotenant_host::exec::{self, Progress, SessionError};
use cotenant_host::runtime::Status;
use cotenant_host::{Call, Host, Options};
use cotenant_submodules::{Grants, Namespace, Visibility};
use cotenant_tests::world::World;

/// Values that are live over a call: a frame of 4 KiB.
const VALUES: u64 = 500;
const GAS: u64 = 1_000_000_000_000_000;

const HOST: &str = r#"
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))"#;

const CHILD: &str = r#"
  (import "env" "sync_call_open" (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))"#;

const YIELDER: &str = r#"(module (import "env" "callback" (func $callback (param i64 i64 i64))) (memory 1)
  (func (export "run") (call $callback (i64.const 0) (i64.const 0) (i64.const 0))))"#;

/// What the innermost frame does, by its number.
const ACTS: [&str; 9] = [
    "nop",
    "unreachable",
    "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
    "(drop (i32.load (i32.const -4)))",
    "(memory.copy (i32.const 2000) (i32.const 3000) (i32.const 9000))",
    "(memory.fill (i32.const 2000) (i32.const 7) (i32.const 9000))",
    "(memory.copy (i32.const 2000) (i32.const 3000) (i32.const -1))",
    "(drop (memory.grow (i32.const 1)))",
    "(call $input (i64.const 5))",
];

/// How frames call each other: `$f` takes and gives an `i64`, and is to call one with one less.
#[derive(Clone, Copy, Debug)]
enum Recursion {
    Itself,
    EachOther,
    ThroughTable,
    InLoop,
    /// Every frame copies memory before it goes on.
    Copying,
}

const RECURSIONS: [Recursion; 5] = [
    Recursion::Itself,
    Recursion::EachOther,
    Recursion::ThroughTable,
    Recursion::InLoop,
    Recursion::Copying,
];

/// A module whose frames keep `values` products over the call of the next. Its input: eight bytes of depth, one for what the
/// innermost does, one for whether a callee is suspended meanwhile.
fn module(recursion: Recursion, values: u64) -> String {
    let products: String = (0..values)
        .map(|index| {
            let factor = 131_073 + 2 * index;
            format!("local.get 1 local.get 0 i64.const {factor} i64.mul i64.xor local.set 1\n")
        })
        .collect();
    let next = match recursion {
        Recursion::EachOther => "call $g",
        Recursion::ThroughTable => "i32.const 0 call_indirect (type $f)",
        _ => "call $f",
    };
    let before = match recursion {
        Recursion::Copying => "(memory.copy (i32.const 500) (i32.const 700) (i32.const 64))",
        _ => "",
    };
    let (around, again) = match recursion {
        Recursion::InLoop => ("loop $again", "local.get 1 i64.const 0 i64.eq br_if $again end"),
        _ => ("", ""),
    };
    let body = |name: &str| {
        format!(
            "(func ${name} (type $f) (local i64) {around} {products} {before}
               local.get 0 i64.eqz if call $act local.get 1 return end
               local.get 0 i64.const 1 i64.sub {next} local.get 1 i64.add local.set 1
               {products} {again} local.get 1)"
        )
    };
    let act: String = ACTS
        .iter()
        .enumerate()
        .map(|(kind, act)| {
            format!("(if (i32.eq (i32.load8_u (i32.const 8)) (i32.const {kind})) (then {act}))")
        })
        .collect();
    let (f, g) = (body("f"), body("g").replace("call $g", "call $f"));
    format!(
        r#"(module {HOST} {CHILD} (type $f (func (param i64) (result i64)))
          (memory 1) (data (i32.const 100) "yieldrun") (table 1 funcref) (elem (i32.const 0) $f)
          {f} {g} (func $act {act})
          (func (export "run")
            (call $input (i64.const 0)) (call $read_register (i64.const 0) (i64.const 0))
            (if (i32.load8_u (i32.const 9)) (then
              (drop (call $resume
                (call $open (i64.const 5) (i64.const 100) (i64.const 3) (i64.const 105)
                  (i64.const 0) (i64.const -1) (i64.const 0) (i64.const 1))
                (i64.const 0) (i64.const 0) (i64.const 2)))))
            (i64.store (i32.const 16) (call $f (i64.load (i32.const 0))))
            (call $value_return (i64.const 8) (i64.const 16))))"#
    )
}

/// What came of a run, and the gas left; `None` if the engine gave up.
fn run(
    world: &World,
    engine: EngineKind,
    depth: u64,
    act: usize,
    child: bool,
) -> Option<(Progress, u64)> {
    let session = world.session(engine, GAS);
    let deep = Namespace::from_bytes(b"deep").unwrap();
    let mut input = depth.to_le_bytes().to_vec();
    input.extend([u8::try_from(act).unwrap(), u8::from(child)]);
    let mut live = session.open(&deep, "run", 0, Grants::ALL).unwrap();
    match live.resume(input) {
        Ok(progress) => Some((progress, session.gas_left())),
        Err(SessionError::GaveUp(_)) => {
            // Nothing else is answered.
            assert!(matches!(live.resume(Vec::new()), Err(SessionError::GaveUp(_))));
            let again = session.open(&deep, "run", 0, Grants::ALL);
            assert!(matches!(again, Err(SessionError::GaveUp(_))));
            None
        }
        Err(other) => panic!("depth {depth}, act {act}, child {child}: {other}"),
    }
}

/// The deepest recursion that the native engine does not give up, up to 2,000 frames.
fn deepest(world: &World) -> u64 {
    let (mut fits, mut not) = (1, 2_000);
    while fits + 1 < not {
        let middle = u64::midpoint(fits, not);
        match run(world, EngineKind::Cranelift, middle, 0, false) {
            Some(_) => fits = middle,
            None => not = middle,
        }
    }
    fits
}

#[test]
fn every_act_at_the_end_of_a_native_stack_is_that_of_the_interpreter_or_is_given_up() {
    let mut gave_up = 0;
    for recursion in RECURSIONS {
        let modules = [("deep", module(recursion, VALUES)), ("yield", YIELDER.to_owned())];
        let world = World::new(&modules).unwrap();
        let end = deepest(&world);
        println!("{recursion:?}: {end} frames fit");
        for depth in end - 1..=end + 1 {
            for act in 0..ACTS.len() {
                for child in [false, true] {
                    let native = run(&world, EngineKind::Cranelift, depth, act, child);
                    let Some(native) = native else {
                        gave_up += 1;
                        continue;
                    };
                    let expected = run(&world, EngineKind::Wasmi, depth, act, child);
                    let expected = expected.expect("the interpreter does not give up");
                    assert_eq!(native, expected, "{recursion:?} {depth} {act} {child}");
                }
            }
        }
    }
    assert!(gave_up > 50, "{gave_up} runs were given up");
}

/// Two of them live at once, each deep in its own stack.
#[test]
fn deep_modules_live_at_once_share_no_stack() {
    let world =
        World::new(&[("deep", module(Recursion::Itself, VALUES).as_str()), ("yield", YIELDER)])
            .unwrap();
    let end = deepest(&world);
    let deep = Namespace::from_bytes(b"deep").unwrap();
    for engine in EngineKind::ALL {
        let session = world.session(engine, GAS);
        let mut lives: Vec<_> =
            (0..3).map(|_| session.open(&deep, "run", 0, Grants::ALL).unwrap()).collect();
        for (number, live) in lives.iter_mut().enumerate() {
            let mut input = (end - 3).to_le_bytes().to_vec();
            input.extend([u8::try_from(number).unwrap(), 1]);
            assert!(live.resume(input).is_ok(), "{engine} {number}");
        }
    }
}

fn call(host: &Host, account: &str, depth: u64) -> (Status, u64, Vec<String>) {
    let call =
        Call::new(account.parse().unwrap(), "run").args(depth.to_le_bytes().to_vec()).gas(GAS);
    let outcome = host.call(&call).unwrap();
    let root = outcome.root().unwrap();
    (root.status.clone(), root.gas_vm, root.logs.clone())
}

#[test]
fn a_call_that_is_given_up_runs_again_on_the_interpreter() {
    let parent = module(Recursion::Itself, 4_000)
        .replace("(if (i32.load8_u (i32.const 9)) (then", "(if (i32.const 1) (then");
    let parent = wat::parse_str(parent).unwrap();
    let yielder = wat::parse_str(YIELDER).unwrap();
    let mut outcomes = Vec::new();
    for engine in EngineKind::ALL {
        let host = Host::in_memory(&Options::default()).unwrap();
        host.use_engine(engine);
        for (module, visibility, code) in [
            ("a.near", Visibility::Public, &parent),
            ("a.near:yield", Visibility::Private, &yielder),
        ] {
            let outcome = host.deploy(&module.parse().unwrap(), visibility, code).unwrap();
            assert!(matches!(outcome.status(), Some(Status::SuccessValue(_))), "{outcome:?}");
        }
        let before = exec::gave_up_count();
        // Given up, and then what somebody else does.
        outcomes.push([call(&host, "a.near", 300), call(&host, "a.near", 1)]);
        if engine == EngineKind::Cranelift {
            assert!(exec::gave_up_count() > before);
        }
    }
    assert_eq!(format!("{:?}", outcomes[0]), format!("{:?}", outcomes[1]));
    assert!(matches!(outcomes[0][0].0, Status::SuccessValue(_)), "{:?}", outcomes[0]);
}
