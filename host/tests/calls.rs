//! Root calls and sync calls through the public API, on every engine.

use cotenant_host::engine::EngineKind;
use cotenant_host::runtime::{Status, TransactionOutcome};
use cotenant_host::{Call, Host, Options};
use cotenant_submodules::calls::{CallNode, GasPart};
use cotenant_submodules::{ModuleId, Visibility};

fn id(text: &str) -> ModuleId {
    text.parse().unwrap()
}

fn host(modules: &[(&str, Visibility, &str)]) -> Host {
    let host = Host::in_memory(&Options::default()).unwrap();
    for (module, visibility, wat) in modules {
        let code = wat::parse_str(wat).unwrap();
        let outcome = host.deploy(&id(module), *visibility, &code).unwrap();
        assert!(
            matches!(outcome.status(), Some(Status::SuccessValue(_))),
            "{module}: {:?}",
            outcome.status()
        );
    }
    host
}

/// Runs a call on every engine and checks that they agree; gives the outcome.
fn everywhere(host: &Host, call: &Call) -> TransactionOutcome {
    let mut first: Option<TransactionOutcome> = None;
    for engine in EngineKind::ALL {
        host.use_engine(engine);
        let outcome = host.call(call).unwrap();
        if let Some(first) = &first {
            let (one, other) = (first.root().unwrap(), outcome.root().unwrap());
            assert_eq!(one.status, other.status, "{engine}");
            assert_eq!(one.gas_vm, other.gas_vm, "{engine}");
            assert_eq!(one.logs, other.logs, "{engine}");
            assert_eq!(
                format!("{:?}", one.executions[0].tree),
                format!("{:?}", other.executions[0].tree)
            );
        } else {
            first = Some(outcome);
        }
    }
    first.unwrap()
}

fn value(outcome: &TransactionOutcome) -> String {
    match &outcome.root().unwrap().status {
        Status::SuccessValue(value) => String::from_utf8_lossy(value).into_owned(),
        other => format!("{other:?}"),
    }
}

const HELLO: &str = r#"(module
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (import "env" "log_utf8" (func $log (param i64 i64)))
  (memory 1) (data (i32.const 8) "hello")
  (func (export "run") (call $log (i64.const 5) (i64.const 8)) (call $value_return (i64.const 5) (i64.const 8)))
  (func (export "trap") unreachable)
  (func (export "oob") (drop (i32.load (i32.const -4))))
  (func (export "divide") (drop (i32.div_u (i32.const 1) (i32.const 0))))
  (func (export "forever") (loop (br 0)))
  (func $deep (export "deep") (call $deep)))"#;

#[test]
fn a_public_call_returns_logs_and_burns_the_same_everywhere() {
    let host = host(&[("alice.near", Visibility::Public, HELLO)]);
    let outcome = everywhere(&host, &Call::new(id("alice.near"), "run"));
    assert_eq!(value(&outcome), "hello");
    assert_eq!(outcome.root().unwrap().logs, ["hello"]);
    assert!(outcome.root().unwrap().gas_vm > 35_445_963);
}

#[test]
fn traps_end_the_call_and_not_the_host() {
    let host = host(&[("alice.near", Visibility::Public, HELLO)]);
    for (method, code) in [
        ("trap", "WasmTrap.Unreachable"),
        ("oob", "WasmTrap.MemoryOutOfBounds"),
        ("divide", "WasmTrap.IllegalArithmetic"),
        ("forever", "HostError.GasExceeded"),
        ("deep", "HostError.MemoryAccessViolation"),
        ("missing", "MethodResolveError.MethodNotFound"),
    ] {
        let outcome =
            everywhere(&host, &Call::new(id("alice.near"), method).gas(5_000_000_000_000));
        assert_eq!(outcome.root().unwrap().executions[0].abort.as_ref().unwrap().code, code);
    }
}

/// Opens `sub`, resumes it with its input, answers each yield with what was yielded.
const PARENT: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "register_len" (func $register_len (param i64) (result i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (import "env" "sync_call_open" (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume_into" (func $resume (param i64 i64 i64 i64 i64) (result i64)))
  (memory 1) (data (i32.const 0) "sub") (data (i32.const 8) "run") (data (i32.const 16) "yields") (data (i32.const 24) "traps")
  (func $drive (param $len i64) (param $name i64) (local $handle i64) (local $answer i64)
    (call $input (i64.const 0))
    (call $read_register (i64.const 0) (i64.const 1024))
    (local.set $answer (i64.shl (call $register_len (i64.const 0)) (i64.const 8)))
    (local.set $handle (call $open (i64.const 3) (i64.const 0) (local.get $len) (local.get $name)
      (i64.const 0) (i64.const -1) (i64.const 0) (i64.const 1)))
    (loop $again
      (local.set $answer (call $resume (local.get $handle)
        (i64.shr_u (local.get $answer) (i64.const 8)) (i64.const 1024) (i64.const 1024) (i64.const 4096)))
      (br_if $again (i64.eq (i64.and (local.get $answer) (i64.const 255)) (i64.const 1))))
    (call $value_return (i64.shr_u (local.get $answer) (i64.const 8)) (i64.const 1024)))
  (func (export "run") (call $drive (i64.const 3) (i64.const 8)))
  (func (export "yields") (call $drive (i64.const 6) (i64.const 16)))
  (func (export "traps") (call $drive (i64.const 5) (i64.const 24))))"#;

const SUB: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "register_len" (func $register_len (param i64) (result i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (import "env" "callback" (func $callback (param i64 i64 i64)))
  (memory 1)
  (func (export "run")
    (call $input (i64.const 0))
    (call $read_register (i64.const 0) (i64.const 0))
    (i32.store8 (i32.const 0) (i32.const 33))
    (call $value_return (call $register_len (i64.const 0)) (i64.const 0)))
  (func (export "yields") (local $left i32)
    (call $input (i64.const 0))
    (local.set $left (i32.const 1000))
    (loop $again
      (call $callback (i64.const -1) (i64.const 0) (i64.const 0))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))
    (call $value_return (i64.const -1) (i64.const 0)))
  (func (export "traps") (call $callback (i64.const 0) (i64.const 0) (i64.const 0)) unreachable))"#;

#[test]
fn a_parent_drives_a_private_submodule() {
    let host = host(&[
        ("alice.near", Visibility::Public, PARENT),
        ("alice.near:sub", Visibility::Private, SUB),
    ]);
    let call = |method| Call::new(id("alice.near"), method).args("abcdef");
    assert_eq!(value(&everywhere(&host, &call("run"))), "!bcdef");
    assert_eq!(value(&everywhere(&host, &call("yields"))), "abcdef");
    // borsh: WasmTrap, 0 (Unreachable).
    assert_eq!(value(&everywhere(&host, &call("traps"))), "\u{3}\u{0}");
}

#[test]
fn a_private_module_cannot_be_called_from_outside() {
    let host = host(&[
        ("alice.near", Visibility::Public, PARENT),
        ("alice.near:sub", Visibility::Private, SUB),
    ]);
    let outcome = everywhere(&host, &Call::new(id("alice.near:sub"), "run"));
    assert_eq!(
        outcome.root().unwrap().executions[0].abort.as_ref().unwrap().code,
        "HostError.PrivateModule"
    );
}

fn adds_up(node: &CallNode, what: &str) {
    let callees: u64 = node.callees.iter().map(|callee| callee.gas_burnt).sum();
    assert_eq!(node.own_profile().total() + callees, node.gas_burnt, "{what}: {node:#?}");
    assert_eq!(node.profile().total(), node.gas_burnt, "{what}");
    node.callees.iter().for_each(|callee| adds_up(callee, what));
}

#[test]
fn what_gas_was_spent_on_adds_up_wherever_it_ends() {
    let host = host(&[
        ("alice.near", Visibility::Public, PARENT),
        ("alice.near:sub", Visibility::Private, SUB),
    ]);
    for method in ["run", "yields", "traps"] {
        let call = Call::new(id("alice.near"), method).args("abcdef");
        let full = everywhere(&host, &call).root().unwrap().profile();
        for part in [GasPart::Wasm, GasPart::Sync, GasPart::Loading, GasPart::Fees] {
            assert!(full.part(part) > 0, "{method}: {full:?}");
        }
        assert_eq!(full.part(GasPart::Crypto), 0);
        let vm = full.total() - full.part(GasPart::Fees);
        for step in 0..=20 {
            let gas = (vm / 20 * step).max(1);
            let outcome = host.call(&call.clone().gas(gas)).unwrap();
            let root = outcome.root().unwrap();
            let what = format!("{method} with {gas} of {vm}");
            adds_up(&root.executions[0].tree, &what);
            assert_eq!(root.profile().total(), root.gas_burnt, "{what}");
            assert_eq!(root.executions[0].tree.profile().total(), root.gas_vm, "{what}");
        }
    }
}

/// Counts in its memory and in a global, on a page that it grows by, and far in the pages that every public module has.
const FORGETFUL: &str = r#"(module
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (memory 1) (global $runs (mut i32) (i32.const 0))
  (func (export "run")
    (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (global.get $runs)))
    (i32.store (i32.const 67108860) (i32.add (i32.load (i32.const 67108860)) (i32.const 1)))
    (i32.store8 (i32.const 1) (memory.grow (i32.const 3)))
    (i32.store (i32.const 67108864) (i32.add (i32.load (i32.const 67108864)) (i32.const 1)))
    (i32.store8 offset=0 (i32.const 0)
      (i32.add (i32.const 0x30) (i32.add (i32.load8_u (i32.const 0))
        (i32.add (i32.load (i32.const 67108860)) (i32.load (i32.const 67108864))))))
    (i32.store8 (i32.const 1) (i32.add (i32.const 0x30) (i32.load8_u (i32.const 1))))
    (call $value_return (i64.const 2) (i64.const 0))))"#;

#[test]
fn a_public_instance_is_like_new_at_every_call() {
    let host = host(&[("alice.near", Visibility::Public, FORGETFUL)]);
    for _ in 0..5 {
        // Three counters of 1; 1,024 pages before it grew, of which the low byte is 0.
        assert_eq!(value(&everywhere(&host, &Call::new(id("alice.near"), "run"))), "30");
    }
}
