//! The contracts of `contracts/`, called as their users call them, on every engine: what they return, and
//! snapshots of gas and call tree (any change of a number shows up here for review).

use cotenant_host::engine::EngineKind;
use cotenant_host::runtime::{Status, TransactionOutcome};
use cotenant_host::{Call, Host, Options};
use cotenant_submodules::calls::CallNode;
use cotenant_submodules::{ModuleId, Visibility};
use std::fmt::Write;

fn id(text: &str) -> ModuleId {
    text.parse().unwrap()
}

struct World {
    hosts: Vec<(EngineKind, Host)>,
    report: String,
}

impl World {
    fn new(modules: &[(&str, Visibility, &[u8])]) -> Self {
        let hosts = EngineKind::ALL.map(|engine| {
            let options = Options { engines: vec![engine], ..Options::default() };
            let host = Host::in_memory(&options).unwrap();
            for (module, visibility, code) in modules {
                host.deploy(&id(module), *visibility, code).unwrap();
            }
            (engine, host)
        });
        Self { hosts: hosts.into(), report: String::new() }
    }

    /// Calls on every engine; what they report must be equal.
    fn call(&mut self, module: &str, method: &str, args: &str) -> String {
        let call = Call::new(id(module), method).args(args).gas(300_000_000_000_000);
        let mut reports: Vec<(EngineKind, String, String)> = Vec::new();
        for (engine, host) in &self.hosts {
            let outcome = host.call(&call).unwrap();
            reports.push((*engine, value(&outcome), describe(&outcome)));
        }
        for pair in reports.windows(2) {
            assert_eq!(pair[0].1, pair[1].1, "{} and {}", pair[0].0, pair[1].0);
            assert_eq!(pair[0].2, pair[1].2, "{} and {}", pair[0].0, pair[1].0);
        }
        let (_, value, description) = reports.swap_remove(0);
        let _ = writeln!(self.report, "{module} {method} {args}\n  -> {value}\n{description}");
        value
    }

    fn digests_agree(&self) {
        let digests: Vec<_> =
            self.hosts.iter().map(|(_, host)| host.runtime().digest().unwrap()).collect();
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
    }
}

fn value(outcome: &TransactionOutcome) -> String {
    match outcome.status() {
        Some(Status::SuccessValue(value)) => String::from_utf8_lossy(value).into_owned(),
        other => format!("{other:?}"),
    }
}

fn describe(outcome: &TransactionOutcome) -> String {
    let mut text = String::new();
    for receipt in &outcome.receipts {
        let _ = writeln!(
            text,
            "  {} -> {} gas {} vm {} logs {:?}",
            receipt.predecessor, receipt.receiver, receipt.gas_burnt, receipt.gas_vm, receipt.logs
        );
        for execution in &receipt.executions {
            node(&mut text, &execution.tree, 2);
        }
    }
    text
}

fn node(text: &mut String, call: &CallNode, depth: usize) {
    let host: u64 = call.split.host.values().map(|use_| use_.gas).sum();
    let _ = writeln!(
        text,
        "{:indent$}{:?}.{} {:?} burnt {} loading {} wasm {} host {host} yields {}",
        "",
        call.namespace,
        call.method,
        call.ending,
        call.gas_burnt,
        call.split.loading,
        call.split.wasm,
        call.yields,
        indent = depth * 2
    );
    for callee in &call.callees {
        node(text, callee, depth + 1);
    }
}

#[test]
fn counter_counts_and_calls_another_counter_with_a_callback() {
    let code = cotenant_contracts::counter();
    let mut world = World::new(&[
        ("alice.near", Visibility::Public, code),
        ("bob.near", Visibility::Public, code),
    ]);
    world.call("alice.near", "new", "{}");
    world.call("bob.near", "new", "{}");
    world.call("alice.near", "increment", "{}");
    assert_eq!(world.call("alice.near", "get", "{}"), "1");
    world.call("alice.near", "increment_other", r#"{"account":"bob.near"}"#);
    assert_eq!(world.call("bob.near", "get", "{}"), "1");
    world.digests_agree();
    insta::assert_snapshot!("counter", world.report);
}

#[test]
fn router_drives_submodules() {
    let mut world = World::new(&[
        ("alice.near", Visibility::Public, cotenant_contracts::router()),
        ("alice.near:echo", Visibility::Private, cotenant_contracts::echo()),
        ("alice.near:trapper", Visibility::Private, cotenant_contracts::trapper()),
        ("alice.near:logger", Visibility::Private, cotenant_contracts::logger()),
        ("alice.near:hasher", Visibility::Private, cotenant_contracts::hasher()),
        ("alice.near:nested", Visibility::Private, cotenant_contracts::nested_caller()),
    ]);
    let echo = r#"{"namespace":"echo","method":"echo","args":"aGVsbG8="}"#;
    assert!(world.call("alice.near", "call", echo).contains("aGVsbG8="));
    let ask = r#"{"namespace":"echo","method":"ask","args":"aGVsbG8="}"#;
    assert!(world.call("alice.near", "call", ask).contains("yielded"));
    assert!(world.call("alice.near", "nep481_call", ask).contains("yielded"));
    let fail = r#"{"namespace":"echo","method":"fail","args":"aGVsbG8="}"#;
    assert!(world.call("alice.near", "call", fail).contains("error"));
    let logger = r#"{"namespace":"logger","method":"log","args":"aGVsbG8="}"#;
    assert!(world.call("alice.near", "call", logger).contains("error"), "log was not granted");
    world.call("alice.near", "nested", logger);
    for trap in ["unreachable", "memory_out_of_bounds", "divide_by_zero", "stack_overflow", "panic"]
    {
        let args = format!(r#"{{"namespace":"trapper","method":"{trap}","args":""}}"#);
        assert!(world.call("alice.near", "call", &args).contains("error"), "{trap}");
    }
    world.call(
        "alice.near",
        "interleave",
        r#"{"namespace":"echo","method":"ask","args":["YQ==","Yg==","Yw=="]}"#,
    );
    world.call("alice.near", "fail_with_live", ask);
    world.call("alice.near", "unknown_handle", r#"{"handle":"7"}"#);
    world.digests_agree();
    insta::assert_snapshot!("router", world.report);
}

#[test]
fn apps_of_strangers_ask_their_parent_for_storage() {
    let mut world = World::new(&[("os.near", Visibility::Public, cotenant_contracts::apps())]);
    world.call("os.near", "new", r#"{"open_to_all":true}"#);
    let code = base64(cotenant_contracts::notes());
    world.report.clear();
    world.call("os.near", "install", &format!(r#"{{"namespace":"notes","code":"{code}"}}"#));
    world.report.clear();
    world.call("os.near", "app", r#"{"namespace":"notes"}"#);
    let len = world.call("os.near", "run", r#"{"namespace":"notes","method":"len","args":""}"#);
    assert!(!len.contains("Failure"), "{len}");
    world.digests_agree();
    insta::assert_snapshot!("apps", world.report);
}

#[test]
fn soak_runs_alike_as_public_module_and_as_submodule() {
    let mut world = World::new(&[
        ("soak.near", Visibility::Public, cotenant_contracts::soak()),
        ("alice.near", Visibility::Public, cotenant_contracts::soak_parent()),
        ("alice.near:soak", Visibility::Private, cotenant_contracts::soak()),
    ]);
    let public = world.call("soak.near", "cpu_ram_soak", "1000");
    let submodule = world.call("alice.near", "run", "1000");
    assert_eq!(public, submodule);
    insta::assert_snapshot!("soak", world.report);
}

/// Base64 of bytes, for JSON arguments.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            if digit <= chunk.len() {
                text.push(char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}
