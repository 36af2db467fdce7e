//! What each verb does and reports.

use crate::{Folder, cotenant, keys, sorted};
use serde_json::Value;
use std::path::Path;

const ENGINES: [&str; 2] = ["cranelift", "wasmi"];

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
        "transaction",
        "result",
        "result_base64",
        "abort",
        "error",
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
        "count",
        "ending",
        "error",
        "gas_burnt",
        "gas_used",
        "loading",
        "wasm",
        "memory",
        "host",
        "yields",
        "reverted_logs",
        "texts_dropped",
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
    let expected = ["ok", "result", "result_base64", "abort", "error", "gas_vm", "logs", "tree"];
    assert_eq!(keys(&view), sorted(expected));
    assert_eq!(view["result_base64"], call["result_base64"]);

    let (_, modules) = folder.json(&["modules", "alice.near"]);
    assert_eq!(keys(&modules), sorted(["account", "modules"]));
    let private = &modules["modules"][1];
    assert_eq!(
        keys(private),
        sorted([
            "namespace",
            "visibility",
            "code_hash",
            "code_bytes",
            "requires",
            "engine",
            "reason"
        ])
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
        "reason",
        "replaced",
        "error",
    ];
    assert_eq!(keys(&report), sorted(expected));
    assert_eq!(report["engines"], serde_json::json!(["wasmi"]));
    assert_eq!(report["reason"], "not called yet");
    assert_eq!(report["error"], Value::Null);
    let (_, modules) = folder.json(&["modules", "a.near"]);
    assert_eq!(modules["modules"][0]["requires"], serde_json::json!(["crypto"]));
    assert_eq!(modules["modules"][0]["code_hash"], report["code_hash"]);
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
fn the_table_of_host_functions_is_markdown() {
    let ran = cotenant(&["abi"]);
    assert_eq!(ran.exit, 0);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ABI.md");
    assert_eq!(ran.stdout, std::fs::read_to_string(page).unwrap());
}

#[test]
fn soak_gives_a_row_for_each_mode_and_engine() {
    let ran = cotenant(&["bench", "soak", "--json", "--runs", "1", "--loops", "1,100"]);
    assert_eq!(ran.exit, 0, "{}", ran.stderr);
    let report = ran.json();
    let rows = report["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 3 * ENGINES.len() * 2, "{}", ran.stderr);
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
