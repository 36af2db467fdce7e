//! Every byte and every step that a frame causes is paid before it is caused: growth, what frames hold, deploys by hash, and what
//! an outcome carries. Each on every engine, with equal outcome, gas, logs and call tree.

use cotenant_host::engine::EngineKind;
use cotenant_host::runtime::{Status, TransactionOutcome};
use cotenant_host::{Call, Host, Options};
use cotenant_submodules::calls::{CallNode, Ending};
use cotenant_submodules::{ModuleId, SyncExecutionError, Visibility};
use near_primitives_core::hash::CryptoHash;

fn id(text: &str) -> ModuleId {
    text.parse().unwrap()
}

fn host(modules: &[(&str, Visibility, &str)]) -> Host {
    let host = Host::in_memory(&Options::default()).unwrap();
    for (module, visibility, wat) in modules {
        let code = wat::parse_str(wat).unwrap();
        let outcome = host.deploy(&id(module), *visibility, &code).unwrap();
        let deployed = matches!(outcome.status(), Some(Status::SuccessValue(_)));
        assert!(deployed, "{module}: {:?}", outcome.status());
    }
    host
}

/// Runs a call on every engine and checks that they agree; gives the outcome.
fn everywhere(host: &Host, call: &Call) -> TransactionOutcome {
    let outcomes = EngineKind::ALL.map(|engine| {
        host.use_engine(engine);
        host.call(call).unwrap()
    });
    let said = outcomes.each_ref().map(|outcome| {
        let root = outcome.root().unwrap();
        let tree = format!("{:?}", root.executions[0].tree);
        (root.status.clone(), root.gas_vm, root.logs.clone(), tree)
    });
    assert_eq!(said[0], said[1]);
    let [outcome, _] = outcomes;
    outcome
}

fn tree(outcome: &TransactionOutcome) -> &CallNode {
    &outcome.root().unwrap().executions[0].tree
}

fn value(outcome: &TransactionOutcome) -> Vec<u8> {
    match &outcome.root().unwrap().status {
        Status::SuccessValue(value) => value.clone(),
        other => panic!("{other:?}"),
    }
}

/// Opens and resumes `sub`, as often as the first eight bytes of its input say, method `run`, with the gas of the next eight,
/// grants of the next eight, and the input of as many bytes as the next eight say. Returns what the last of them gave.
const PARENT: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (import "env" "sync_call_open" (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))
  (memory 1) (data (i32.const 100) "subrun")
  (func (export "run") (local $left i64)
    (call $input (i64.const 0))
    (call $read_register (i64.const 0) (i64.const 0))
    (local.set $left (i64.load (i32.const 0)))
    (loop $again
      (drop (call $resume
        (call $open (i64.const 3) (i64.const 100) (i64.const 3) (i64.const 103) (i64.load (i32.const 8)) (i64.const -1)
          (i64.load (i32.const 16)) (i64.const 1))
        (i64.load (i32.const 24)) (i64.const 0) (i64.const 2)))
      (br_if $again (i64.ne (local.tee $left (i64.sub (local.get $left) (i64.const 1))) (i64.const 0))))
    (call $value_return (i64.const -1) (i64.const 2))))"#;

const PUBLIC: u64 = 16;

/// A call of [`PARENT`] in an account of its own.
fn call(times: u64, gas: u64, grants: u64, input: u64) -> Call {
    let input = [times, gas, grants, input].map(u64::to_le_bytes).concat();
    Call::new(id("alice.near"), "run").args(input).gas(1_000_000_000_000_000)
}

fn with_sub(visibility: Visibility, sub: &str) -> Host {
    host(&[("alice.near", Visibility::Public, PARENT), ("alice.near:sub", visibility, sub)])
}

#[test]
fn what_is_out_of_bounds_is_told_apart() {
    for (code, kind) in [
        ("(call_indirect (i32.const 2))", 3),
        ("(call_indirect (i32.const -1))", 3),
        ("(drop (table.get (i32.const 1))) (call_indirect (i32.const 2))", 3),
        ("(table.set (i32.const 1) (ref.null func)) (call_indirect (i32.const 9))", 3),
        (
            "(table.fill (i32.const 0) (ref.null func) (i32.const 2)) (call_indirect (i32.const 7))",
            3,
        ),
        ("(drop (table.get (i32.const 2)))", 2),
        ("(table.set (i32.const 2) (ref.null func))", 2),
        ("(table.fill (i32.const 1) (ref.null func) (i32.const 2))", 2),
        ("(table.copy (i32.const 1) (i32.const 0) (i32.const 2))", 2),
        ("(table.init 0 (i32.const 2) (i32.const 0) (i32.const 1))", 2),
        ("(drop (i32.load (i32.const -1)))", 2),
        ("(call_indirect (i32.const 1))", 6),
        ("(call_indirect (param i32) (i32.const 0) (i32.const 0))", 1),
    ] {
        for visibility in [Visibility::Private, Visibility::Public] {
            let sub = format!(
                r#"(module (memory 1) (table 2 funcref) (elem (i32.const 0) $f) (elem func $f) (func $f)
                  (func (export "run") {}))"#,
                code.replace("table.init 0", "table.init 1")
            );
            let host = with_sub(visibility, &sub);
            // Twice: what a trap leaves behind is gone when the instance is used again.
            for _ in 0..2 {
                let outcome = everywhere(&host, &call(2, 0, PUBLIC, 0));
                assert_eq!(value(&outcome), [3, kind], "{code} {visibility}");
            }
            if visibility == Visibility::Public {
                let outcome = everywhere(&host, &Call::new(id("alice.near:sub"), "run"));
                let abort = outcome.root().unwrap().executions[0].abort.clone().unwrap();
                // As NEAR's runner names them.
                let expected = match kind {
                    1 => "WasmTrap.IncorrectCallIndirectSignature",
                    6 => "WasmTrap.IndirectCallToNull",
                    _ => "WasmTrap.MemoryOutOfBounds",
                };
                assert_eq!(abort.code, expected, "{code}");
            }
        }
    }
}

/// Grows by as many pages as `$pages`, and returns what the memory has then and what growing answered.
fn grower(memory: &str, pages: i32, times: u32) -> String {
    let grow =
        format!("(local.set $answer (memory.grow (i32.const {pages})))").repeat(times as usize);
    format!(
        r#"(module (import "env" "value_return" (func $value_return (param i64 i64))) (memory {memory})
          (func (export "run") (local $answer i32)
            {grow}
            (i32.store (i32.const 0) (memory.size))
            (i32.store (i32.const 4) (local.get $answer))
            (call $value_return (i64.const 8) (i64.const 0))))"#
    )
}

fn numbers(outcome: &TransactionOutcome) -> Vec<i32> {
    value(outcome).chunks(4).map(|bytes| i32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

#[test]
fn growth_is_paid_before_it_grows() {
    let memory_gas = |outcome: &TransactionOutcome| tree(outcome).callees[0].split.memory;
    // What answers -1 is free, and so is growing by nothing.
    for (memory, pages) in [("1 2", 2), ("1 2", 5), ("1", 3_000), ("1", 0)] {
        let host = with_sub(Visibility::Private, &grower(memory, pages, 3));
        let outcome = everywhere(&host, &call(1, 0, 0, 0));
        assert_eq!(numbers(&outcome), [1, if pages == 0 { 1 } else { -1 }]);
        assert_eq!(memory_gas(&outcome), 0, "{memory} {pages}");
    }
    // Each growth is paid, the first with the pages that there were.
    let gas_of = |pages, times| {
        let host = with_sub(Visibility::Private, &grower("1", pages, times));
        let outcome = everywhere(&host, &call(1, 0, 0, 0));
        assert_eq!(numbers(&outcome)[0], 1 + pages * times as i32);
        memory_gas(&outcome)
    };
    let (one, two, three) = (gas_of(1, 1), gas_of(1, 2), gas_of(1, 3));
    assert_eq!(three - two, two - one);
    assert!(one > two - one && gas_of(3, 1) > one, "{one} {two} {three}");
    // What cannot be paid ends the frame: one unit short of what it takes, and with what it takes.
    let host = with_sub(Visibility::Private, &grower("1", 1_000, 1));
    let outcome = everywhere(&host, &call(1, 0, 0, 0));
    let needed = tree(&outcome).callees[0].gas_burnt;
    let outcome = everywhere(&host, &call(1, needed, 0, 0));
    assert_eq!(numbers(&outcome), [1_001, 1]);
    let short = everywhere(&host, &call(1, needed - memory_gas(&outcome), 0, 0));
    assert_eq!(tree(&short).callees[0].ending, Ending::Failed(SyncExecutionError::OutOfGas));
    assert_eq!(value(&short), SyncExecutionError::OutOfGas.to_bytes());
    // A public frame pays NEAR's price, which is an operator's.
    let host = with_sub(Visibility::Public, &grower("1", 1, 3));
    let outcome = everywhere(&host, &call(1, 0, PUBLIC, 0));
    assert_eq!(numbers(&outcome), [1_027, 1_026]);
    assert_eq!(memory_gas(&outcome), 0);
}

/// Reads its input into as many registers as `$count`, and yields.
fn flood(count: u64) -> String {
    format!(
        r#"(module (import "env" "callback" (func $callback (param i64 i64 i64)))
          (import "env" "input" (func $input (param i64))) (memory 1)
          (func (export "run") (local $i i64)
            (loop $again
              (call $input (local.get $i))
              (br_if $again (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (i64.const {count}))))
            (call $callback (i64.const 1) (i64.const 0) (i64.const 99))))"#
    )
}

#[test]
fn registers_and_inputs_count_in_the_memory_budget() {
    const MIB: u64 = 1 << 20;
    // The largest input that the parent's memory has is 64 MiB; arguments are at most 4 MiB.
    let host = with_sub(Visibility::Private, &flood(60));
    let outcome = everywhere(&host, &call(6, 0, 0, 4 * MIB));
    let endings: Vec<_> = tree(&outcome).callees.iter().map(|node| node.ending.clone()).collect();
    // 1,024 MiB: four times input and 60 registers fit beside a page, the fifth finds no room for its registers; nor does the
    // sixth, for the fifth gave back what it held.
    let refused = Ending::Failed(SyncExecutionError::host("MemoryAccessViolation"));
    assert_eq!(
        endings,
        [Ending::Closed, Ending::Closed, Ending::Closed, Ending::Closed, refused.clone(), refused]
    );
    assert_eq!(value(&outcome), SyncExecutionError::host("MemoryAccessViolation").to_bytes());
}

#[test]
fn registers_of_public_callees_count_in_the_memory_budget() {
    // Seven private callees hold 128 MiB each; the public one has 64 MiB, an input of 4 MiB, and as much for each register.
    let parent = r#"(module
      (import "env" "value_return" (func $value_return (param i64 i64)))
      (import "env" "sync_call_open" (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
      (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))
      (memory 1) (data (i32.const 100) "filsubrun")
      (func $call (param $name i64) (param $length i64)
        (drop (call $resume
          (call $open (i64.const 3) (local.get $name) (i64.const 3) (i64.const 106) (i64.const 0) (i64.const -1) (i64.const 16)
            (i64.const 1))
          (local.get $length) (i64.const 0) (i64.const 2))))
      (func (export "run") (local $i i32)
        (loop $again
          (call $call (i64.const 100) (i64.const 0))
          (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 7))))
        (call $call (i64.const 103) (i64.const 4194304))
        (call $value_return (i64.const -1) (i64.const 2))))"#;
    let filler = r#"(module (import "env" "callback" (func $callback (param i64 i64 i64))) (memory 2048)
      (func (export "run") (call $callback (i64.const 0) (i64.const 0) (i64.const 0))))"#;
    for (registers, fits) in [(10, true), (20, false)] {
        let host = host(&[
            ("alice.near", Visibility::Public, parent),
            ("alice.near:fil", Visibility::Private, filler),
            ("alice.near:sub", Visibility::Public, &flood(registers)),
        ]);
        let call = Call::new(id("alice.near"), "run").gas(1_000_000_000_000_000);
        let outcome = everywhere(&host, &call);
        let expected = if fits {
            Ending::Closed
        } else {
            Ending::Failed(SyncExecutionError::host("MemoryAccessViolation"))
        };
        assert_eq!(tree(&outcome).callees[7].ending, expected, "{registers}");
    }
}

#[test]
fn an_input_that_finds_no_room_is_refused_and_the_callee_stays() {
    // 255 callees hold 4 MiB and a page each; the 256th is opened and not resumed.
    let sub = r#"(module (import "env" "callback" (func $callback (param i64 i64 i64))) (memory 0)
      (func (export "run") (call $callback (i64.const 0) (i64.const 0) (i64.const 0))))"#;
    let host = with_sub(Visibility::Private, sub);
    let outcome = everywhere(&host, &call(257, 0, 0, 4 << 20));
    let refusal = SyncExecutionError::MemoryBudgetExceeded { limit: 1 << 30 };
    assert_eq!(value(&outcome), refusal.to_bytes());
    assert!(tree(&outcome).callees.iter().all(|node| node.ending == Ending::Closed));
    assert_eq!(tree(&outcome).callees[256].yields, 0);
    assert_eq!(tree(&outcome).callees[255].yields, 1);
}

#[test]
fn memory_cannot_grow_into_what_registers_hold() {
    // Sixteen callees grow to 64 MiB each and fill the budget; with inputs and registers fewer pages are there to grow by.
    let sub = |registers: u32| {
        let reads: String =
            (0..registers).map(|i| format!("(call $input (i64.const {i}))")).collect();
        format!(
            r#"(module (import "env" "callback" (func $callback (param i64 i64 i64)))
              (import "env" "input" (func $input (param i64))) (memory 1)
              (func (export "run") {reads}
                (i32.store (i32.const 0) (memory.grow (i32.const 1023)))
                (call $callback (i64.const 4) (i64.const 0) (i64.const 0))))"#
        )
    };
    let answer = |registers: u32, times: u64| {
        let host = with_sub(Visibility::Private, &sub(registers));
        numbers(&everywhere(&host, &call(times, 0, 0, 64 << 10)))[0]
    };
    assert_eq!(answer(0, 15), 1);
    assert_eq!(answer(0, 16), -1, "the inputs of sixteen are a mebibyte");
    assert_eq!(answer(30, 15), 1);
    assert_eq!(answer(99, 15), -1);
}

#[test]
fn the_call_tree_of_an_outcome_is_bounded() {
    let sub = r#"(module (import "env" "panic_utf8" (func $panic (param i64 i64))) (memory 1)
      (func (export "run") (call $panic (i64.const 10) (i64.const 0))))"#;
    let host = with_sub(Visibility::Private, sub);
    let outcome = everywhere(&host, &call(12_000, 0, 0, 0));
    let nodes = &tree(&outcome).callees;
    assert_eq!(nodes.len(), 10_000);
    assert_eq!(nodes.iter().map(|node| node.count).sum::<u64>(), 12_000);
    assert_eq!(nodes[0].count, 2_001);
    let burnt: u64 = nodes.iter().map(|node| node.gas_burnt).sum();
    assert_eq!(burnt + tree(&outcome).own_profile().total(), tree(&outcome).gas_burnt);
}

/// Deploys code by the hash at 32 and with the flags at 0 of its input.
const DEPLOYER: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "promise_batch_create" (func $batch (param i64 i64) (result i64)))
  (import "env" "promise_batch_action_deploy_module" (func $deploy (param i64 i64 i64 i64 i64 i64)))
  (import "env" "promise_batch_action_deploy_module_by_hash" (func $by_hash (param i64 i64 i64 i64 i64)))
  (memory 1) (data (i32.const 200) "alice.nearsub")
  (func $promise (result i64)
    (call $input (i64.const 0)) (call $read_register (i64.const 0) (i64.const 0))
    (call $batch (i64.const 10) (i64.const 200)))
  (func (export "code")
    (call $deploy (call $promise) (i64.const 3) (i64.const 210) (i64.const 7) (i64.load (i32.const 8)) (i64.const 65536)))
  (func (export "hash")
    (call $by_hash (call $promise) (i64.const 3) (i64.const 210) (i64.load (i32.const 0)) (i64.const 32))))"#;

#[test]
fn a_deploy_by_hash_carries_and_pays_the_length_of_the_code() {
    let padding = format!("(module (memory 1) (data (i32.const 0) \"{}\"))", "x".repeat(50_000));
    let code = wat::parse_str(&padding).unwrap();
    let host = host(&[
        ("alice.near", Visibility::Public, DEPLOYER),
        ("alice.near:there", Visibility::Private, &padding),
    ]);
    let input = |flags: u64, length: u64| {
        let hash = CryptoHash::hash_bytes(&code);
        [flags.to_le_bytes().as_slice(), &length.to_le_bytes(), &[0; 16], &hash.0].concat()
    };
    let run = |method: &str, input: Vec<u8>| {
        everywhere(&host, &Call::new(id("alice.near"), method).args(input).gas(300_000_000_000_000))
    };
    let length = code.len() as u64;
    let right = run("hash", input(7 | length << 8, 0));
    assert!(matches!(right.receipts[1].status, Status::SuccessValue(_)), "{:?}", right.receipts);
    for wrong in [0, 1, length - 1, length + 1] {
        let outcome = run("hash", input(7 | wrong << 8, 0));
        let status = format!("{:?}", outcome.receipts[1].status);
        assert!(status.contains("WrongCodeLength"), "{wrong}: {status}");
    }
    // It costs what a deploy of as many bytes costs, on both ends.
    let bytes = run("code", input(0, length));
    let gas = |outcome: &TransactionOutcome| {
        let send = &outcome.root().unwrap().executions[0].tree.split.host;
        let own = send.iter().filter(|(name, _)| name.starts_with("promise_batch_action"));
        own.map(|(_, usage)| usage.gas).sum::<u64>()
    };
    let (by_hash, by_bytes) = (gas(&right), gas(&bytes));
    // The hash is not read from memory by NEAR's function.
    assert_eq!(by_hash, by_bytes);
    // More than any code has ends the call.
    let abort =
        run("hash", input(7 | (5 << 20) << 8, 0)).root().unwrap().executions[0].abort.clone();
    assert_eq!(abort.unwrap().code, "HostError.ContractSizeExceeded");
}

#[test]
fn what_counts_let_pass_can_be_called() {
    // As many locals as a function may have, all of them used: slots of the interpreter, metered with a loop and a growth.
    let uses: String =
        (1..29_992).map(|local| format!("(local.set {local} (local.get 0))")).collect();
    let sub = format!(
        r#"(module (import "env" "value_return" (func $value_return (param i64 i64))) (memory 1)
          (func (export "run") (call $most (i32.const 7)))
          (func $most (param i32) (local {}) {uses}
            (drop (memory.grow (i32.const 1)))
            (loop $next (i32.store8 (local.get 29991) (local.get 1)) (i32.store8 (i32.const 8) (local.get 2))
              (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (call $value_return (i64.const 2) (i64.const 7))))"#,
        "i32 ".repeat(29_991)
    );
    let host = with_sub(Visibility::Private, &sub);
    assert_eq!(value(&everywhere(&host, &call(1, 0, 0, 0))), [7, 7]);
}
