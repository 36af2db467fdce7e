//! Public modules cost on every engine what near-vm-runner charges, to the unit: on success, at random gas
//! limits, on traps and host errors, with gas reserved for promises.

use cotenant_host::engine::EngineKind;
use cotenant_tests::oracle::{Request, Subject};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const PLENTY: u64 = 300_000_000_000_000;

/// Random gas limits tried for each method.
const LIMITS: usize = 50;

fn seed() -> u64 {
    std::env::var("COTENANT_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(rand::random)
}

fn compare(
    name: &str,
    code: &[u8],
    methods: &[(&str, Vec<u8>)],
    engines: &[EngineKind],
    rng: &mut StdRng,
) {
    let subject = Subject::new(88, code, engines).unwrap_or_else(|e| panic!("{name}: {e}"));
    for (method, input) in methods {
        let request = Request {
            method: (*method).to_owned(),
            input: input.clone(),
            gas: PLENTY,
            ..Request::default()
        };
        let differences = subject.differences(&request);
        assert!(differences.is_empty(), "{name}.{method}: {differences:#?}");
        let cost = subject.observe_near(&request).used;
        for limit in (0..LIMITS).map(|_| rng.random_range(0..=cost)).chain([0, 1, cost]) {
            let differences = subject.differences(&Request { gas: limit, ..request.clone() });
            assert!(differences.is_empty(), "{name}.{method} at {limit}: {differences:#?}");
        }
        let view = Request { view: true, ..request };
        let differences = subject.differences(&view);
        assert!(differences.is_empty(), "{name}.{method} as a view: {differences:#?}");
    }
}

fn seeded(test: impl FnOnce(&mut StdRng)) {
    let seed = seed();
    println!("COTENANT_SEED={seed}");
    test(&mut StdRng::seed_from_u64(seed));
}

const CORPUS: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "register_len" (func $register_len (param i64) (result i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (import "env" "log_utf8" (func $log (param i64 i64)))
  (import "env" "panic_utf8" (func $panic (param i64 i64)))
  (import "env" "storage_write" (func $write (param i64 i64 i64 i64 i64) (result i64)))
  (import "env" "storage_read" (func $read (param i64 i64 i64) (result i64)))
  (import "env" "storage_remove" (func $remove (param i64 i64 i64) (result i64)))
  (import "env" "storage_usage" (func $usage (result i64)))
  (import "env" "account_balance" (func $balance (param i64)))
  (import "env" "used_gas" (func $used_gas (result i64)))
  (import "env" "prepaid_gas" (func $prepaid_gas (result i64)))
  (import "env" "sha256" (func $sha256 (param i64 i64 i64)))
  (import "env" "random_seed" (func $random_seed (param i64)))
  (import "env" "promise_create" (func $promise_create (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "promise_then" (func $promise_then (param i64 i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "promise_return" (func $promise_return (param i64)))
  (import "env" "promise_batch_create" (func $batch (param i64 i64) (result i64)))
  (import "env" "promise_batch_action_transfer" (func $transfer (param i64 i64)))
  (memory 1)
  (data (i32.const 16) "hello world") (data (i32.const 64) "bob.near")
  (table 4 funcref) (elem (i32.const 0) $leaf $leaf2)
  (global $counter (mut i32) (i32.const 7))
  (func $leaf (result i32) (i32.const 1))
  (func $leaf2 (param i32))
  (type $ret (func (result i32)))
  (func (export "nothing"))
  (func (export "loop") (local $i i32)
    (local.set $i (i32.const 1000))
    (loop $l (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $l (local.get $i))))
  (func $fib (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "fib") (drop (call $fib (i32.const 12))))
  (func (export "indirect") (drop (call_indirect (type $ret) (i32.const 0))))
  (func (export "indirect_signature") (drop (call_indirect (type $ret) (i32.const 1))))
  (func (export "indirect_null") (drop (call_indirect (type $ret) (i32.const 2))))
  (func (export "indirect_outside") (drop (call_indirect (type $ret) (i32.const 9))))
  (func (export "unreachable") (call $log (i64.const 5) (i64.const 16)) unreachable)
  (func (export "divide") (drop (i64.div_s (i64.const 1) (i64.const 0))))
  (func (export "overflow") (drop (i64.div_s (i64.const 0x8000000000000000) (i64.const -1))))
  (func (export "convert") (drop (i32.trunc_f64_s (f64.const nan))))
  (func (export "outside") (i64.store (i32.const -8) (i64.const 1)))
  (func (export "bulk") (memory.fill (i32.const 1000) (i32.const 1) (i32.const 5000)) (memory.copy (i32.const 8000) (i32.const 1000) (i32.const 3000)))
  (func (export "bulk_outside") (memory.fill (i32.const -8) (i32.const 1) (i32.const 5000)))
  (func (export "grow") (drop (memory.grow (i32.const 3))) (drop (memory.grow (i32.const 5000))) (drop (memory.size)))
  (func $deep (export "deep") (call $deep))
  (func $deep_locals (export "deep_locals") (local i64 i64 i64 f64 i32) (local.set 0 (i64.const 1)) (call $deep_locals) (drop (local.get 0)))
  (func (export "echo") (call $input (i64.const 3)) (call $read_register (i64.const 3) (i64.const 2000))
    (call $value_return (call $register_len (i64.const 3)) (i64.const 2000)))
  (func (export "logs") (local $i i32)
    (loop $l (call $log (i64.const 11) (i64.const 16)) (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) (i32.const 101)))))
  (func (export "panics") (call $panic (i64.const 11) (i64.const 16)))
  (func (export "storage")
    (drop (call $write (i64.const 5) (i64.const 16) (i64.const 11) (i64.const 16) (i64.const 0)))
    (drop (call $write (i64.const 5) (i64.const 16) (i64.const 3) (i64.const 16) (i64.const 0)))
    (drop (call $read (i64.const 5) (i64.const 16) (i64.const 1)))
    (i64.store (i32.const 2000) (call $usage))
    (drop (call $remove (i64.const 5) (i64.const 16) (i64.const 1)))
    (call $balance (i64.const 2008))
    (call $value_return (i64.const 24) (i64.const 2000)))
  (func (export "gas") (i64.store (i32.const 2000) (call $used_gas)) (i64.store (i32.const 2008) (call $prepaid_gas))
    (call $sha256 (i64.const 11) (i64.const 16) (i64.const 0)) (call $random_seed (i64.const 1))
    (i64.store (i32.const 2016) (call $used_gas)) (call $value_return (i64.const 24) (i64.const 2000)))
  (func $promise (param $gas i64) (result i64)
    (call $promise_create (i64.const 8) (i64.const 64) (i64.const 5) (i64.const 16) (i64.const 11) (i64.const 16) (i64.const 3000) (local.get $gas)))
  (func (export "promises") (local $i i32)
    (call $promise_return (call $promise_then (call $promise (i64.const 10000000000000)) (i64.const 8) (i64.const 64) (i64.const 5) (i64.const 16)
      (i64.const 11) (i64.const 16) (i64.const 3000) (i64.const 5000000000000)))
    (i64.store (i32.const 2000) (call $used_gas))
    (local.set $i (i32.const 100000))
    (loop $l (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $l (local.get $i)))
    (i64.store (i32.const 2008) (call $used_gas)))
  (func (export "promises_then_forever") (drop (call $promise (i64.const 100000000000000))) (loop $l (br $l)))
  (func (export "promises_then_hash") (drop (call $promise (i64.const 250000000000000)))
    (loop $l (call $sha256 (i64.const 65536) (i64.const 0) (i64.const 0)) (br $l)))
  (func (export "promises_then_trap") (drop (call $promise (i64.const 100000000000000))) unreachable)
  (func (export "promises_then_deep") (drop (call $promise (i64.const 100000000000000))) (call $deep))
  (func (export "too_much_promised") (drop (call $promise (i64.const 290000000000000))) (drop (call $promise (i64.const 290000000000000))))
  (func (export "transfer") (local $p i64) (i64.store (i32.const 3000) (i64.const 5))
    (local.set $p (call $batch (i64.const 8) (i64.const 64))) (call $transfer (local.get $p) (i64.const 3000)) (call $promise_return (local.get $p)))
  (func (export "bad_register") (call $read_register (i64.const 99) (i64.const 0)))
  (func (export "bad_pointer") (call $log (i64.const 100) (i64.const -50)))
  (func (export "floats") (local f64) (local.set 0 (f64.div (f64.const 0) (f64.const 0))) (f64.store (i32.const 2000) (local.get 0))
    (f32.store (i32.const 2008) (f32.neg (f32.sqrt (f32.const -1)))) (call $value_return (i64.const 16) (i64.const 2000)))
  (func (export "globals") (global.set $counter (i32.add (global.get $counter) (i32.const 1))) (i32.store (i32.const 2000) (global.get $counter))
    (call $value_return (i64.const 4) (i64.const 2000)))
  (func (export "wrong_type") (param i32)))"#;

#[test]
fn hand_written_modules_cost_what_near_charges() {
    let code = wat::parse_str(CORPUS).unwrap();
    let methods: Vec<(&str, Vec<u8>)> = [
        "nothing",
        "loop",
        "fib",
        "indirect",
        "indirect_signature",
        "indirect_null",
        "indirect_outside",
        "unreachable",
        "divide",
        "overflow",
        "convert",
        "outside",
        "bulk",
        "bulk_outside",
        "grow",
        "deep",
        "deep_locals",
        "echo",
        "logs",
        "panics",
        "storage",
        "gas",
        "promises",
        "promises_then_hash",
        "promises_then_trap",
        "promises_then_deep",
        "too_much_promised",
        "transfer",
        "bad_register",
        "bad_pointer",
        "globals",
        "globals",
        "wrong_type",
        "missing",
        "",
    ]
    .into_iter()
    .map(|method| (method, b"some input".to_vec()))
    .collect();
    seeded(|rng| compare("corpus", &code, &methods, &EngineKind::ALL, rng));
    seeded(|rng| compare("floats", &code, &[("floats", Vec::new())], &EngineKind::ALL, rng));
}

#[test]
fn a_start_function_is_charged_as_near_charges_it() {
    for start in ["(nop)", "(loop $l (br $l))", "(unreachable)", "(call $s)"] {
        let code = format!(
            r#"(module (memory 1) (func $s {start}) (start $s) (func (export "run") (nop)))"#
        );
        let code = wat::parse_str(code).unwrap();
        seeded(|rng| compare(start, &code, &[("run", vec![])], &EngineKind::ALL, rng));
    }
}

#[test]
fn real_contracts_cost_what_near_charges() {
    seeded(|rng| {
        compare(
            "counter",
            cotenant_contracts::counter(),
            &[
                ("new", b"{}".to_vec()),
                ("increment", b"{}".to_vec()),
                ("get", b"{}".to_vec()),
                ("none", vec![]),
            ],
            &EngineKind::ALL,
            rng,
        );
        compare(
            "soak",
            cotenant_contracts::soak(),
            &[("cpu_ram_soak", b"100".to_vec()), ("noop", vec![])],
            &EngineKind::ALL,
            rng,
        );
    });
}
