//! One account, one ledger: whatever the frames of a root call write, remove and spend, in whatever order and however
//! they end, NEAR's own counters fail no receipt of ours, and no byte of storage and no token is lost or made.

use cotenant_host::engine::EngineKind;
use cotenant_host::runtime::{Status, TransactionOutcome};
use cotenant_host::{Call, Host, Options};
use cotenant_submodules::{ModuleId, Namespace, Visibility};

/// Carries out what its input says, eight bytes a step: what, a key or namespace, a length or amount in the last four.
const STEPS: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "register_len" (func $register_len (param i64) (result i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "storage_write" (func $write (param i64 i64 i64 i64 i64) (result i64)))
  (import "env" "storage_remove" (func $remove (param i64 i64 i64) (result i64)))
  (import "env" "account_balance" (func $balance (param i64)))
  (import "env" "promise_batch_create" (func $batch (param i64 i64) (result i64)))
  (import "env" "promise_batch_action_transfer" (func $transfer (param i64 i64)))
  (import "env" "promise_batch_action_function_call" (func $call (param i64 i64 i64 i64 i64 i64 i64)))
  (import "env" "sync_call_open" (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))
  (memory 1)
  (data (i32.const 16) "runbob.nearb")
  (func (export "none"))
  (func (export "run") (local $pc i32) (local $end i32) (local $what i32) (local $key i64) (local $size i64)
    (call $input (i64.const 0))
    (call $read_register (i64.const 0) (i64.const 1024))
    (local.set $pc (i32.const 1024))
    (local.set $end (i32.add (local.get $pc) (i32.wrap_i64 (call $register_len (i64.const 0)))))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $pc) (local.get $end)))
      (local.set $what (i32.load8_u (local.get $pc)))
      (local.set $key (i64.extend_i32_u (i32.add (local.get $pc) (i32.const 1))))
      (local.set $size (i64.load32_u offset=4 (local.get $pc)))
      (i64.store (i32.const 40) (local.get $size)) (i64.store (i32.const 48) (i64.const 0))
      (local.set $pc (i32.add (local.get $pc) (i32.const 8)))
      (if (i32.eq (local.get $what) (i32.const 0)) (then
        (drop (call $write (i64.const 1) (local.get $key) (local.get $size) (i64.const 0) (i64.const 5)))))
      (if (i32.eq (local.get $what) (i32.const 1)) (then
        (drop (call $remove (i64.const 1) (local.get $key) (i64.const 5)))))
      (if (i32.eq (local.get $what) (i32.const 2)) (then (call $balance (i64.const 40))))
      (if (i32.or (i32.eq (local.get $what) (i32.const 2)) (i32.eq (local.get $what) (i32.const 3))) (then
        (call $transfer (call $batch (i64.const 8) (i64.const 19)) (i64.const 40))))
      (if (i32.eq (local.get $what) (i32.const 4)) (then
        (call $call (call $batch (i64.const 8) (i64.const 19)) (i64.const 3) (i64.const 16) (i64.const 0) (i64.const 0)
          (i64.const 40) (i64.const 1000000000))))
      (if (i32.eq (local.get $what) (i32.const 5)) (then
        (drop (call $resume
          (call $open (i64.extend_i32_u (i32.load8_u (i32.wrap_i64 (local.get $key)))) (i64.const 27)
            (i64.const 3) (i64.const 16) (i64.const 0) (i64.const -1) (i64.const 31) (i64.const 1))
          (local.get $size) (i64.extend_i32_u (local.get $pc)) (i64.const 2)))
        (local.set $pc (i32.add (local.get $pc) (i32.wrap_i64 (local.get $size))))))
      (if (i32.eq (local.get $what) (i32.const 6)) (then unreachable))
      (br $next)))))"#;

const WRITE: u8 = 0;
const REMOVE: u8 = 1;
const SEND_ALL: u8 = 2;
const SEND: u8 = 3;
const CALL: u8 = 4;
const OPEN: u8 = 5;
const TRAP: u8 = 6;

fn step(what: u8, key: u8, size: u32) -> Vec<u8> {
    let mut bytes = vec![what, key, 0, 0];
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes
}

/// A callee in the default namespace (0) or in `b` (1) that carries out steps.
fn open(namespace: u8, steps: &[Vec<u8>]) -> Vec<u8> {
    let steps = steps.concat();
    [step(OPEN, namespace, steps.len() as u32), steps].concat()
}

fn id(text: &str) -> ModuleId {
    text.parse().unwrap()
}

fn world() -> Host {
    let host = Host::in_memory(&Options::default()).unwrap();
    let code = wat::parse_str(STEPS).unwrap();
    for module in ["a.near", "a.near:b", "bob.near"] {
        let outcome = host.deploy(&id(module), Visibility::Public, &code).unwrap();
        assert!(matches!(outcome.status(), Some(Status::SuccessValue(_))), "{module}");
    }
    host
}

/// Storage that the values of `a.near` take up, as NEAR counts it, in bytes.
fn values(host: &Host) -> u64 {
    let state = host.state().unwrap();
    let account = "a.near".parse().unwrap();
    let namespaces = ["", "b"].map(|name| name.parse::<Namespace>().unwrap());
    let values = namespaces.map(|name| state.values(&account, &name, &[], 1_000).unwrap());
    values.iter().flatten().map(|(key, value)| (key.len() + value.len() + 40) as u64).sum()
}

fn usage(host: &Host) -> u64 {
    host.state().unwrap().account(&"a.near".parse().unwrap()).unwrap().unwrap().storage_usage
}

fn tokens(host: &Host) -> i128 {
    let state = host.state().unwrap();
    let accounts = state.accounts().unwrap();
    let all = accounts.iter().filter_map(|id| state.account(id).unwrap());
    all.map(|account| (account.balance + account.locked) as i128).sum()
}

fn lost(outcome: &TransactionOutcome) -> i128 {
    let receipts = outcome.receipts.iter().chain(&outcome.others);
    let lost = receipts.map(|one| {
        one.tokens_burnt as i128 - one.tokens_rewarded as i128 - one.tokens_minted as i128
    });
    outcome.tokens_burnt as i128 + lost.sum::<i128>()
}

/// Runs steps as one root call, and holds what it left against what it should have. Gives how it ended.
fn run(host: &Host, steps: &[Vec<u8>]) -> String {
    let (storage, before) = (usage(host) - values(host), tokens(host));
    let call = Call::new(id("a.near"), "run").args(steps.concat()).gas(900_000_000_000_000);
    let outcome = host.call(&call).unwrap();
    let status = format!("{:?}", outcome.root().unwrap().status);
    assert!(!status.contains("HostFault"), "{status} of {steps:?}");
    assert_eq!(usage(host) - values(host), storage, "{status} of {steps:?}");
    assert_eq!(before - tokens(host), lost(&outcome), "{status} of {steps:?}");
    status
}

#[test]
fn a_caller_removes_what_its_callee_wrote() {
    let host = world();
    let fill = open(0, &[step(WRITE, 1, 60_000)]);
    assert!(run(&host, &[fill, step(REMOVE, 1, 0)]).starts_with("Success"));
    assert_eq!(values(&host), 0);
}

#[test]
fn nothing_is_lent_for_a_transfer_and_one_yocto_for_a_call_of_an_account_without_balance() {
    for namespace in [0, 1] {
        let host = world();
        let spend = open(namespace, &[step(SEND_ALL, 0, 0)]);
        let ended = run(&host, &[spend.clone(), step(SEND, 0, 1)]);
        assert!(ended.contains("BalanceExceeded"), "{ended}");
        let ended = run(&host, &[spend.clone(), step(CALL, 0, 2)]);
        assert!(ended.contains("BalanceExceeded"), "{ended}");
        // The account is left without what its storage has to be covered with.
        let ended = run(&host, &[spend, step(CALL, 0, 1)]);
        assert!(ended.contains("LackBalanceForState") || ended.starts_with("Success"), "{ended}");
    }
}

#[test]
fn what_a_failed_callee_spent_and_wrote_is_there_again() {
    let host = world();
    let fails = open(1, &[step(WRITE, 1, 60_000), step(SEND_ALL, 0, 0), step(TRAP, 0, 0)]);
    let works = open(1, &[step(WRITE, 2, 500), step(SEND, 0, 7)]);
    assert!(run(&host, &[fails, works, step(SEND, 0, 1)]).starts_with("Success"));
    assert_eq!(values(&host), 541);
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % limit
    }

    fn steps(&mut self, depth: u32) -> Vec<Vec<u8>> {
        (0..self.below(6)).map(|_| self.step(depth)).collect()
    }

    fn step(&mut self, depth: u32) -> Vec<u8> {
        let (key, size) = (self.below(3) as u8, self.below(30_000) as u32);
        match self.below(20) {
            0..6 => step(WRITE, key, size),
            6..10 => step(REMOVE, key, 0),
            10 => step(SEND_ALL, 0, 0),
            11..13 => step(SEND, 0, size % 3),
            13..15 => step(CALL, 0, size % 3),
            15..19 if depth > 0 => {
                let below = self.steps(depth - 1);
                open((size % 2) as u8, &below)
            }
            19 => step(TRAP, 0, 0),
            _ => step(WRITE, key, 0),
        }
    }
}

/// As many as `COTENANT_CASES` says, from the seed `COTENANT_SEED`.
#[test]
fn random_frames_keep_the_books_of_their_account() {
    use std::hash::BuildHasher;
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = given("COTENANT_SEED")
        .unwrap_or_else(|| std::collections::hash_map::RandomState::new().hash_one(0));
    println!("COTENANT_SEED={seed}");
    let mut random = Random(seed);
    let mut succeeded = 0;
    let mut host = world();
    for case in 0..given("COTENANT_CASES").unwrap_or(300) {
        if case % 20 == 0 {
            host = world();
        }
        host.use_engine(EngineKind::ALL[(case % 2) as usize]);
        let steps = random.steps(4);
        succeeded += u64::from(run(&host, &steps).starts_with("Success"));
    }
    assert!(succeeded > 0);
}
