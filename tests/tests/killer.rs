//! A receipt that kills the process, from end to end: the process dies in it, the next one runs it on the interpreter and dies
//! too, the third tries it in a child, whose death by a signal of its own ends the receipt as failed. Whoever waited behind it
//! goes on.
//!
//! No module is known that kills a process, so its part is played: a thread of each process that runs the guest aborts it in the
//! middle. All else is real: the processes, the marks, the child, the home. This file has no test harness, for it is those
//! processes too.

use cotenant_host::marks::{FAULTS_FOLDER, MARKS_FILE};
use cotenant_host::runtime::Status;
use cotenant_host::{Call, Host, Options, child};
use cotenant_submodules::{ModuleId, Visibility};
use near_primitives_core::hash::CryptoHash;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// Long enough to be in the middle of on any machine: an endless loop with this gas takes seconds.
const GAS: u64 = 1_000_000_000_000_000;

const LOOP: &str = r#"(module (func (export "run") (loop $l (br $l))))"#;
const BYSTANDER: &str = r#"(module
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (memory 1) (data (i32.const 0) "here")
  (func (export "run") (call $value_return (i64.const 4) (i64.const 0))))"#;

fn id(text: &str) -> ModuleId {
    text.parse().unwrap()
}

fn options() -> Options {
    Options { rehearsal: Some(std::env::current_exe().unwrap()), ..Options::default() }
}

/// Plays the guest that kills: aborts this process once a receipt has run for a moment.
fn abort_in_a_receipt(home: &Path) {
    let marks = home.join(MARKS_FILE);
    std::thread::spawn(move || {
        loop {
            let running = std::fs::read(&marks).is_ok_and(|bytes| bytes.first() == Some(&1));
            std::thread::sleep(Duration::from_millis(if running { 50 } else { 1 }));
            if running {
                std::process::abort();
            }
        }
    });
}

/// The part of a process: `call` and `advance` are commands that die, `rehearse` is the child that a host starts.
fn play(home: &Path, part: &str, words: &[String]) {
    match part {
        "call" => {
            let host = Host::open(home, &options()).unwrap();
            abort_in_a_receipt(home);
            let call = Call::new(id("killer.near"), "run").gas(GAS).deposit(5);
            host.call(&call.signer("bob.near".parse().unwrap())).unwrap();
        }
        "advance" => {
            let host = Host::open(home, &options()).unwrap();
            abort_in_a_receipt(home);
            host.runtime().advance_blocks(0).unwrap();
        }
        "rehearse" => {
            child::end_with_input();
            let receipt: CryptoHash = words[0].parse().unwrap();
            let soon = |_: u64| {
                std::thread::spawn(|| {
                    std::thread::sleep(Duration::from_millis(100));
                    std::process::abort();
                });
            };
            Host::rehearse(home, &Options::default(), receipt, soon).unwrap();
        }
        other => panic!("no part `{other}`"),
    }
}

fn start(home: &Path, part: &str) -> ExitStatus {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).arg("--home").arg(home).arg(part).output().unwrap();
    output.status
}

fn a_receipt_that_kills_ends_as_failed_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    {
        let host = Host::open(home, &Options::default()).unwrap();
        for (name, text) in [("killer.near", LOOP), ("bystander.near", BYSTANDER)] {
            let code = wat::parse_str(text).unwrap();
            host.deploy(&id(name), Visibility::Public, &code).unwrap();
        }
        // Bob's account is made by his first call.
        let call = Call::new(id("bystander.near"), "run").signer("bob.near".parse().unwrap());
        host.call(&call).unwrap();
    }
    for part in ["call", "advance"] {
        assert_eq!(start(home, part).signal(), Some(libc_abort()), "{part}");
        assert!(!home.join(FAULTS_FOLDER).exists(), "one death says nothing");
    }

    // Two processes died with it: this one, opening the home, has it rehearsed.
    let host = Host::open(home, &options()).unwrap();
    let outcomes = host.runtime().advance_blocks(0).unwrap();
    let killer = outcomes.iter().find(|outcome| outcome.receiver == "killer.near").unwrap();
    let Status::Failure(failure) = &killer.status else { panic!("{:?}", killer.status) };
    assert_eq!(failure.code, "HostFault", "{failure:?}");
    let report = home.join(FAULTS_FOLDER).join(killer.id.to_string());
    let bytes = std::fs::read(&report).unwrap();
    assert!(cotenant_host::runtime::FaultReport::of_bytes(&bytes).is_some(), "it reproduces");

    let call = Call::new(id("bystander.near"), "run").signer("carol.near".parse().unwrap());
    let outcome = host.call(&call).unwrap();
    assert!(
        matches!(outcome.status(), Some(Status::SuccessValue(value)) if value == b"here"),
        "{:?}",
        outcome.status()
    );
    assert!(host.runtime().advance_blocks(0).unwrap().is_empty(), "nothing is left of it");
}

/// `SIGABRT`, of every Linux.
fn libc_abort() -> i32 {
    6
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [option, home, part, rest @ ..] = words.as_slice()
        && option == "--home"
    {
        return play(Path::new(home), part, rest);
    }
    // A filter of the test command that means another test.
    const NAME: &str = "a_receipt_that_kills_ends_as_failed_and_the_chain_goes_on";
    let filters: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
    if words.iter().any(|word| word == "--list") {
        return println!("{NAME}: test");
    }
    if !filters.is_empty() && !filters.iter().any(|filter| NAME.contains(filter.as_str())) {
        return;
    }
    a_receipt_that_kills_ends_as_failed_and_the_chain_goes_on();
    println!("test {NAME} ... ok");
}
