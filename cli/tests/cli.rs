//! The command line through its binary: exit codes, the shapes of `--json`, bad input.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const ENGINES: [&str; 3] = ["cranelift", "singlepass", "wasmi"];

/// A folder with a home in it.
struct Folder(TempDir);

/// What a command gave.
struct Ran {
    exit: i32,
    stdout: String,
    stderr: String,
}

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Runs with the home of this folder.
    fn run(&self, arguments: &[&str]) -> Ran {
        let home = self.path("home");
        cotenant([&["--home", home.to_str().expect("UTF-8")], arguments].concat().as_slice())
    }

    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let ran = self.run(&[arguments, &["--json"]].concat());
        (ran.exit, ran.json())
    }

    /// Deploys a module and expects it to be taken.
    fn deploy(&self, module: &str, code: &[u8], options: &[&str]) {
        let file = self.file("module.wasm", code);
        let (exit, report) = self.json(&[&["deploy", module, file.as_str()], options].concat());
        assert_eq!((exit, report["ok"].as_bool()), (0, Some(true)), "{report}");
    }
}

impl Ran {
    /// The one object on the one line of stdout.
    fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{}\n{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).expect("JSON")
    }
}

fn cotenant(arguments: &[&str]) -> Ran {
    let binary = env!("CARGO_BIN_EXE_cotenant");
    let Output { status, stdout, stderr } =
        Command::new(binary).args(arguments).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { exit: status.code().expect("an exit code"), stdout: text(stdout), stderr: text(stderr) }
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    object.keys().map(String::as_str).collect()
}

fn sorted<const N: usize>(mut names: [&str; N]) -> [&str; N] {
    names.sort_unstable();
    names
}

fn decoded(report: &Value) -> Vec<u8> {
    use base64::Engine as _;
    let text = report["result_base64"].as_str().expect("a result");
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

#[test]
fn a_counter_counts_on_every_engine_with_equal_gas() {
    let folder = Folder::new();
    let mut gas = Vec::new();
    for (account, engine) in
        ENGINES.iter().enumerate().map(|(i, engine)| (format!("c{i}.near"), engine))
    {
        folder.deploy(&account, cotenant_contracts::counter(), &[]);
        let call = |method: &str| {
            let (exit, report) = folder.json(&["call", &account, method, "{}", "--engine", engine]);
            assert_eq!((exit, &report["ok"]), (0, &Value::Bool(true)), "{report}");
            report
        };
        let first = call("new");
        let second = call("increment");
        assert_eq!(decoded(&second), b"1");
        assert_eq!(second["logs"][0], "incremented to 1");
        let (_, view) = folder.json(&["view", &account, "get", "{}", "--engine", engine]);
        assert_eq!(decoded(&view), b"1");
        let numbers = ["gas_vm", "gas_used", "gas_total"];
        gas.push(
            [&first, &second].map(|report| numbers.map(|name| report[name].as_u64().unwrap())),
        );
    }
    assert!(gas[0].iter().flatten().all(|gas| *gas > 0), "{gas:?}");
    assert!(gas.iter().all(|one| *one == gas[0]), "{gas:?}");
}

#[test]
fn reports_have_the_documented_fields() {
    let folder = Folder::new();
    folder.deploy("alice.near", cotenant_contracts::soak_parent(), &[]);
    folder.deploy("alice.near:soak", cotenant_contracts::soak(), &["--private"]);
    let (_, call) = folder.json(&["call", "alice.near", "run", "7"]);
    let expected = [
        "ok",
        "result_base64",
        "abort",
        "gas_vm",
        "gas_used",
        "gas_total",
        "logs",
        "receipts",
        "tree",
    ];
    assert_eq!(keys(&call), sorted(expected));
    assert_eq!(decoded(&call), 7_u64.to_le_bytes());
    let receipt = &call["receipts"][0];
    let expected = [
        "id",
        "predecessor",
        "receiver",
        "block_height",
        "status",
        "gas_burnt",
        "gas_vm",
        "fees",
        "tokens_burnt",
        "logs",
    ];
    assert_eq!(keys(receipt), sorted(expected));
    assert!(receipt["tokens_burnt"].as_str().unwrap().parse::<u128>().is_ok());
    assert_eq!(receipt["status"]["SuccessValue"], call["result_base64"]);
    let fees: u64 =
        receipt["fees"].as_array().unwrap().iter().map(|fee| fee["gas"].as_u64().unwrap()).sum();
    assert_eq!(receipt["gas_burnt"].as_u64(), Some(fees + receipt["gas_vm"].as_u64().unwrap()));
    assert_eq!(receipt["gas_vm"], call["gas_vm"]);

    let tree = &call["tree"];
    let expected = [
        "namespace",
        "visibility",
        "method",
        "ending",
        "error",
        "gas_burnt",
        "gas_used",
        "loading",
        "wasm",
        "host",
        "yields",
        "reverted_logs",
        "callees",
    ];
    assert_eq!(keys(tree), sorted(expected));
    assert_eq!(keys(&tree["host"][0]), sorted(["name", "calls", "gas"]));
    let callee = &tree["callees"][0];
    assert_eq!((&callee["namespace"], &callee["visibility"]), (&"soak".into(), &"private".into()));
    assert_eq!(
        (&callee["method"], &callee["ending"]),
        (&"cpu_ram_soak".into(), &"returned".into())
    );

    let (_, view) = folder.json(&["view", "alice.near", "run", "7"]);
    assert_eq!(keys(&view), sorted(["ok", "result_base64", "abort", "gas_vm", "logs", "tree"]));
    assert_eq!(view["result_base64"], call["result_base64"]);

    let (_, modules) = folder.json(&["modules", "alice.near"]);
    assert_eq!(keys(&modules), sorted(["account", "modules"]));
    let private = &modules["modules"][1];
    assert_eq!(
        keys(private),
        sorted(["namespace", "visibility", "code_hash", "code_bytes", "requires"])
    );
    assert_eq!(
        (&private["namespace"], &private["requires"]),
        (&"soak".into(), &Value::Array(vec![]))
    );

    let (_, abi) = folder.json(&["abi"]);
    assert!(abi["functions"].as_array().unwrap().iter().any(|one| one["name"] == "sync_call_open"));
}

#[test]
fn a_deploy_reports_what_it_did() {
    let folder = Folder::new();
    let file = folder.file("hasher.wasm", cotenant_contracts::hasher());
    let (exit, report) = folder.json(&["deploy", "a.near:hasher", &file, "--private"]);
    assert_eq!(exit, 0);
    let expected = [
        "ok",
        "account",
        "namespace",
        "visibility",
        "code_hash",
        "code_bytes",
        "gas_total",
        "engines",
        "error",
    ];
    assert_eq!(keys(&report), sorted(expected));
    assert_eq!(report["engines"], serde_json::json!(ENGINES));
    assert_eq!(report["error"], Value::Null);
    let (_, modules) = folder.json(&["modules", "a.near"]);
    assert_eq!(modules["modules"][0]["requires"], serde_json::json!(["crypto"]));
    assert_eq!(modules["modules"][0]["code_hash"], report["code_hash"]);
}

#[test]
fn the_exit_code_tells_how_a_call_ended() {
    let folder = Folder::new();
    folder.deploy("a.near", cotenant_contracts::counter(), &[]);
    let call = |arguments: &[&str]| folder.json(&[&["call", "a.near"], arguments].concat());
    let (exit, failed) = call(&["increment"]);
    assert_eq!((exit, &failed["ok"]), (1, &Value::Bool(false)));
    assert_eq!(failed["abort"]["code"], "HostError.GuestPanic");
    assert_eq!(keys(&failed["abort"]), sorted(["code", "message", "module"]));
    let (exit, starved) = call(&["new", "--gas", "1 Ggas"]);
    assert_eq!((exit, &starved["abort"]["code"]), (3, &"HostError.GasExceeded".into()));
    let (exit, missing) = call(&["nothing"]);
    assert_eq!((exit, &missing["abort"]["code"]), (1, &"MethodResolveError.MethodNotFound".into()));
    assert_eq!(missing["gas_vm"], 0);
    let (exit, none) = folder.json(&["call", "a.near:nowhere", "x"]);
    assert_eq!((exit, &none["abort"]["code"]), (1, &"HostError.NamespaceNotFound".into()));
    let (exit, refused) = call(&["new", "--gas", "5000 Tgas"]);
    assert_eq!(exit, 2);
    assert_eq!(keys(&refused), ["error"]);
    assert_eq!(keys(&refused["error"]), sorted(["code", "message", "violations"]));

    let readable = folder.run(&["call", "a.near", "increment"]);
    assert_eq!(readable.exit, 1);
    for part in ["error[HostError.GuestPanic]", "where: a.near, method increment"] {
        assert!(readable.stderr.contains(part), "{}", readable.stderr);
    }
    assert!(!readable.stderr.contains('\u{1b}'), "no colours beside a terminal");
}

#[test]
fn garbage_is_rejected_by_rule_and_nothing_comes_of_it() {
    let folder = Folder::new();
    let garbage = folder.file("garbage.wasm", b"\0asm\x01\0\0\0garbage");
    let (exit, check) = folder.json(&["check", &garbage]);
    assert_eq!((exit, &check["public"]["eligible"]), (1, &Value::Bool(false)));
    let violation = &check["public"]["violations"][0];
    assert_eq!(keys(violation), sorted(["rule", "found", "limit", "where", "hint"]));
    let (exit, report) = folder.json(&["deploy", "a.near", &garbage]);
    assert_eq!((exit, &report["ok"], &report["code_hash"]), (1, &Value::Bool(false), &Value::Null));
    assert_eq!(keys(&report["error"]), sorted(["code", "message", "violations"]));
    let readable = folder.run(&["deploy", "a.near", &garbage]);
    for name in ["rule:", "found:", "limit:", "where:", "hint:"] {
        assert!(readable.stderr.contains(name), "{}", readable.stderr);
    }
    assert_eq!(folder.json(&["modules", "a.near"]).1["error"]["code"], "AccountDoesNotExist");
}

#[test]
fn each_import_that_a_private_module_may_not_have_is_listed() {
    let folder = Folder::new();
    let wat = r#"(module
        (import "env" "storage_read" (func (param i64 i64 i64) (result i64)))
        (import "env" "storage_remove" (func (param i64 i64 i64) (result i64)))
        (memory (export "memory") 1)
        (func (export "run")))"#;
    let file = folder.file("reader.wat", wat.as_bytes());
    let (exit, check) = folder.json(&["check", &file]);
    assert_eq!((exit, &check["public"]["eligible"]), (0, &Value::Bool(true)));
    assert_eq!(check["private"]["eligible"], Value::Bool(false));
    let (exit, report) = folder.json(&["deploy", "a.near:reader", &file, "--private"]);
    assert_eq!(exit, 1);
    for listed in [&check["private"]["violations"], &report["error"]["violations"]] {
        let text = listed.to_string();
        assert_eq!(listed.as_array().unwrap().len(), 2, "{text}");
        assert!(text.contains("storage_read") && text.contains("storage_remove"), "{text}");
    }
    assert_eq!(folder.run(&["deploy", "a.near", &file]).exit, 0);
}

#[test]
fn bad_arguments_are_usage_errors_that_say_what_to_do() {
    let folder = Folder::new();
    folder.deploy("a.near", cotenant_contracts::counter(), &[]);
    let broken = folder.file("broken.wat", b"(module (func");
    for (arguments, says) in [
        (&["modules", "nobody.near"][..], "does not exist"),
        (&["view", "nobody.near", "get"], "does not exist"),
        (&["modules", "No Body"], "alice.near"),
        (&["call", "a.near:No", "get"], "namespace"),
        (&["view", "a.near", "get", "--engine", "winch"], "singlepass"),
        (&["call", "a.near", "get", "--gas", "100 parsecs"], "100 Tgas"),
        (&["call", "a.near", "get", "--gas", "        T"], "100 Tgas"),
        (&["call", "a.near", "get", "--deposit", "1"], "1 NEAR"),
        (&["call", "a.near", "get", "{no json"], "--args-base64"),
        (&["call", "a.near", "get", "--args-hex", "0xzz"], "--args-hex"),
        (&["call", "a.near", "get", "--args-base64", "*"], "--args-base64"),
        (&["call", "a.near", "get", "--gas", "0 gas"], "gas"),
        (&["call", "a.near", "donate", "--deposit", "2000 NEAR"], "yoctoNEAR"),
        (&["check", "no_such_file.wasm"], "no_such_file.wasm"),
        (&["check", broken.as_str()], "broken.wat"),
        (&["deploy", "a.near", broken.as_str(), "--private"], "always public"),
        (&["modules", "a.near", "--protocol", "64"], "82"),
        (&["frobnicate"], "frobnicate"),
        (&[], "Usage"),
    ] {
        let ran = folder.run(arguments);
        assert_eq!(ran.exit, 2, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{arguments:?}: {}", ran.stdout);
        let (exit, report) = folder.json(arguments);
        assert_eq!(exit, 2, "{arguments:?}");
        assert_eq!(keys(&report["error"]), sorted(["code", "message", "violations"]), "{report}");
    }
}

#[test]
fn a_home_keeps_its_protocol() {
    let folder = Folder::new();
    folder.deploy("a.near", cotenant_contracts::counter(), &["--protocol", "63"]);
    let without = folder.run(&["call", "a.near", "new"]);
    assert_eq!(without.exit, 0, "{}", without.stderr);
    let ran = folder.run(&["call", "a.near", "new", "--protocol", "88"]);
    assert_eq!(ran.exit, 2);
    assert!(ran.stderr.contains("protocol 63") && ran.stderr.contains("88"), "{}", ran.stderr);
    let (_, report) = folder.json(&["modules", "a.near", "--protocol", "88"]);
    assert_eq!(report["error"]["code"], "ProtocolFixed");
}

#[test]
fn the_home_is_taken_before_and_after_the_verb_and_an_empty_folder_is_new() {
    let folder = Folder::new();
    let home = folder.path("empty");
    std::fs::create_dir(&home).expect("a folder");
    let home = home.to_str().expect("UTF-8");
    let file = folder.file("soak.wasm", cotenant_contracts::soak());
    let before = cotenant(&["--home", home, "deploy", "a.near", &file]);
    assert_eq!(before.exit, 0, "{}", before.stderr);
    assert!(Path::new(home).join("state.redb").exists());
    let after = cotenant(&["modules", "a.near", "--home", home, "--json"]);
    assert_eq!(after.json()["modules"][0]["visibility"], "public");
}

#[test]
fn arguments_are_taken_in_three_forms() {
    let folder = Folder::new();
    folder.deploy("a.near", cotenant_contracts::soak(), &[]);
    for arguments in [
        &["3"][..],
        &["--args-base64", "AwAAAAAAAAA="],
        &["--args-hex", "0300000000000000"],
        &["--args-hex", "0x0300000000000000"],
    ] {
        let (exit, report) =
            folder.json(&[&["view", "a.near", "cpu_ram_soak"], arguments].concat());
        assert_eq!(exit, 0, "{report}");
        assert_eq!(decoded(&report), 3_u64.to_le_bytes());
    }
}

#[test]
fn what_a_guest_says_reaches_no_terminal_raw() {
    let folder = Folder::new();
    let wat = r#"(module
        (import "env" "log_utf8" (func $log (param i64 i64)))
        (import "env" "panic_utf8" (func $panic (param i64 i64)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\1b[2Jboo\c2\9b31m")
        (func (export "say") (call $log (i64.const 12) (i64.const 0)))
        (func (export "fail") (call $panic (i64.const 12) (i64.const 0))))"#;
    let file = folder.file("rude.wat", wat.as_bytes());
    assert_eq!(folder.run(&["deploy", "a.near", &file]).exit, 0);
    for (method, exit) in [("say", 0), ("fail", 1)] {
        for options in [&[][..], &["--json"]] {
            let ran = folder.run(&[&["call", "a.near", method], options].concat());
            assert_eq!(ran.exit, exit, "{}", ran.stderr);
            let all = format!("{}{}", ran.stdout, ran.stderr);
            assert!(all.contains("boo"), "{all}");
            assert!(!all.chars().any(|c| c.is_control() && c != '\n'), "{all:?}");
        }
    }
}

#[test]
fn the_table_of_host_functions_is_markdown() {
    let ran = cotenant(&["abi"]);
    assert_eq!(ran.exit, 0);
    assert!(ran.stdout.contains(
        "| `storage_read(key_len: u64, key_ptr: u64, register_id: u64) -> u64` | no | yes |"
    ));
    assert!(ran.stdout.contains("| `sha256("));
}

#[test]
fn soak_gives_a_row_for_each_mode_and_engine() {
    let ran = cotenant(&["bench", "soak", "--json", "--runs", "1", "--loops", "1,100"]);
    assert_eq!(ran.exit, 0, "{}", ran.stderr);
    let report = ran.json();
    let rows = report["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 3 * 3 * 2, "{}", ran.stderr);
    let expected = [
        "mode",
        "engine",
        "loops",
        "gas_vm",
        "gas_receipt",
        "gas_total",
        "nanos_median",
        "nanos_min",
        "nanos_max",
        "runs",
    ];
    for row in rows {
        assert_eq!(keys(row), sorted(expected));
        let number = |name: &str| row[name].as_u64().unwrap();
        assert!(
            number("gas_vm") < number("gas_receipt") && number("gas_receipt") < number("gas_total")
        );
        assert!(
            number("nanos_min") <= number("nanos_median")
                && number("nanos_median") <= number("nanos_max")
        );
    }
}
