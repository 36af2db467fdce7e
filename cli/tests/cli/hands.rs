//! What a person trips over: slips of the pen, files of other kinds, results that stand alone, homes in use.

use crate::{Folder, cotenant};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn check_lists_methods_and_warns_of_what_breaks_no_rule() {
    let folder = Folder::new();
    let wat = r#"(module (memory (export "memory") 1)
        (func (export "run")) (func (export "add") (param i32)) (func (export "of") (result i64) (i64.const 1)))"#;
    let file = folder.file("methods.wat", wat.as_bytes());
    let (exit, check) = folder.json(&["check", &file]);
    assert_eq!((exit, &check["warnings"]), (0, &json!([])), "{check}");
    let callable = |name: &str| {
        let methods = check["methods"].as_array().expect("methods");
        methods
            .iter()
            .find(|method| method["name"] == name)
            .map(|method| method["callable"].clone())
    };
    assert_eq!(
        [callable("run"), callable("add"), callable("of")],
        [true, false, false].map(|yes| Some(yes.into()))
    );
    assert!(folder.run(&["check", &file]).stdout.contains("methods: run\n"));

    for (code, text) in [
        ("NoMethods", r#"(module (func (export "add") (param i32)))"#),
        ("NoPanicMessages", r#"(module (func (export "contract_source_metadata")))"#),
        ("DebugBuild", r#"(module (func (export "run")) (@custom ".debug_info" "x"))"#),
    ] {
        let file = folder.file("warned.wat", text.as_bytes());
        let (exit, check) = folder.json(&["check", &file]);
        assert_eq!((exit, check["warnings"].as_array().map(Vec::len)), (0, Some(1)), "{check}");
        assert_eq!(check["warnings"][0]["code"], code, "{check}");
        assert!(folder.run(&["check", &file]).stdout.contains(&format!("warning[{code}]")));
    }
    // Data that is never used: valid, and more than a transaction holds.
    let large =
        format!(r#"(module (func (export "run")) (@custom "filler" "{}"))"#, "x".repeat(1_600_000));
    let (exit, check) = folder.json(&["check", &folder.file("large.wat", large.as_bytes())]);
    assert_eq!(
        (exit, &check["warnings"][0]["code"]),
        (0, &json!("LargerThanTransaction")),
        "{check}"
    );
}

#[test]
fn a_file_of_another_kind_is_named() {
    let folder = Folder::new();
    for (bytes, kind) in [
        (&b"\x7fELF\x02\x01"[..], "ELF"),
        (b"<!doctype html><html></html>", "HTML page"),
        (b"\0asm\x0d\0\x01\0", "component"),
    ] {
        let file = folder.file("file.wasm", bytes);
        for verb in [&["check", &file][..], &["deploy", "a.near", &file]] {
            let (exit, report) = folder.json(verb);
            assert_eq!((exit, &report["error"]["code"]), (2, &json!("NotWasm")), "{report}");
            assert!(report["error"]["message"].as_str().unwrap().contains(kind), "{report}");
            assert!(report["error"]["hint"].is_string(), "{report}");
        }
    }
    assert!(!folder.path("home").exists());
}

#[test]
fn a_module_is_replaced_only_where_that_is_said() {
    let folder = Folder::new();
    let soak = folder.file("soak.wasm", cotenant_contracts::soak());
    let echo = folder.file("echo.wasm", cotenant_contracts::echo());
    let (exit, first) = folder.json(&["deploy", "shop.near", &soak]);
    assert_eq!((exit, &first["replaced"]), (0, &Value::Null));
    let slip = folder.run(&["deploy", "shop.near:", &echo]);
    assert_eq!(slip.exit, 2);
    assert!(slip.stderr.contains("shop.near:NAMESPACE"), "{}", slip.stderr);
    let (exit, taken) = folder.json(&["deploy", "shop.near", &echo]);
    assert_eq!((exit, &taken["error"]["code"]), (2, &json!("ModuleExists")), "{taken}");
    assert!(taken["error"]["hint"].as_str().unwrap().contains("--replace"));
    let (exit, second) = folder.json(&["deploy", "shop.near", &echo, "--replace"]);
    assert_eq!((exit, &second["replaced"]), (0, &first["code_hash"]));
    let loud = folder.run(&["deploy", "shop.near:echo", &echo]);
    assert!(loud.stderr.contains("warning[PublicModule]"), "{}", loud.stderr);
    let quiet = folder.run(&["deploy", "shop.near:echo2", &echo, "--private"]);
    assert!(!quiet.stderr.contains("warning"), "{}", quiet.stderr);
}

#[test]
fn arguments_come_from_files_and_results_stand_alone() {
    let folder = Folder::new();
    folder.deploy("a.near", cotenant_contracts::soak(), &[]);
    let file = folder.file("args.bin", &3_u64.to_le_bytes());
    let raw = Command::new(env!("CARGO_BIN_EXE_cotenant"))
        .arg("--home")
        .arg(folder.path("home"))
        .args(["call", "a.near", "cpu_ram_soak", "--args-file", &file, "--raw"])
        .output()
        .expect("the binary runs");
    assert_eq!(raw.stdout, 3_u64.to_le_bytes());
    assert!(String::from_utf8_lossy(&raw.stderr).contains("gas total"));
    let alone = folder.run(&["view", "a.near", "cpu_ram_soak", "--args-file", &file, "--result"]);
    assert_eq!((alone.exit, alone.stdout.as_str()), (0, "AwAAAAAAAAA=\n"));
    let mut piped = Command::new(env!("CARGO_BIN_EXE_cotenant"))
        .arg("--home")
        .arg(folder.path("home"))
        .args(["view", "a.near", "cpu_ram_soak", "--args-file", "-", "--raw", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    piped.stdin.take().expect("a pipe").write_all(&2_u64.to_le_bytes()).expect("written");
    assert_eq!(piped.wait_with_output().expect("an end").stdout, 2_u64.to_le_bytes());

    folder.deploy("c.near", cotenant_contracts::counter(), &[]);
    assert_eq!(folder.run(&["call", "c.near", "new"]).exit, 0);
    assert_eq!(folder.run(&["call", "c.near", "increment", "--result"]).stdout, "1\n");
    assert_eq!(folder.json(&["view", "c.near", "get"]).1["result"], json!(1));
}

#[test]
fn a_failure_is_told_once_with_a_hint() {
    let folder = Folder::new();
    folder.deploy("c.near", cotenant_contracts::counter(), &[]);
    let failed = folder.run(&["call", "c.near", "get"]);
    assert_eq!(failed.exit, 1);
    let all = format!("{}{}", failed.stdout, failed.stderr);
    assert_eq!(
        all.matches("GuestPanic").count() - all.matches("failed: HostError.GuestPanic").count(),
        1,
        "{all}"
    );
    let (_, missing) = folder.json(&["call", "c.near", "gett"]);
    assert!(missing["error"]["hint"].as_str().unwrap().contains("increment"), "{missing}");
    assert!(
        missing["error"]["hint"].is_string() && missing["error"]["where"].is_string(),
        "{missing}"
    );
}

#[test]
fn a_slip_makes_no_account_and_reading_makes_no_home() {
    let folder = Folder::new();
    for verb in [
        &["modules", "alice.near"][..],
        &["view", "alice.near", "get"],
        &["call", "alice.near", "get"],
        &["cache", "ls"],
    ] {
        let (exit, report) = folder.json(verb);
        assert_eq!((exit, &report["error"]["code"]), (2, &json!("HomeDoesNotExist")), "{report}");
    }
    assert!(!folder.path("home").exists());
    folder.deploy("alice.near", cotenant_contracts::counter(), &[]);
    for verb in [
        &["call", "alise.near", "new"][..],
        &["call", "alice.near", "new", "--signer", "alise.near"],
    ] {
        let (exit, report) = folder.json(verb);
        assert_eq!(
            (exit, &report["error"]["code"]),
            (2, &json!("AccountDoesNotExist")),
            "{report}"
        );
        assert!(report["error"]["hint"].as_str().unwrap().contains("alice.near"), "{report}");
    }
    assert_eq!(folder.json(&["modules", "alise.near"]).0, 2);
}

#[test]
fn the_home_is_named_by_a_variable_and_who_has_it_is_told() {
    let folder = Folder::new();
    folder.deploy("a.near", cotenant_contracts::counter(), &[]);
    let ran = Command::new(env!("CARGO_BIN_EXE_cotenant"))
        .env("COTENANT_HOME", folder.path("home"))
        .args(["modules", "a.near", "--json"])
        .output()
        .expect("the binary runs");
    assert!(ran.status.success(), "{ran:?}");
    let state = std::fs::File::open(folder.path("home/state.redb")).expect("a state");
    state.lock().expect("locked");
    let home = folder.path("home");
    let home = home.to_str().expect("UTF-8");
    let held = cotenant(&["--home", home, "modules", "a.near", "--lock-wait", "0"]);
    assert_eq!(held.exit, 2);
    assert!(held.stderr.contains("error[AlreadyOpen]"), "{}", held.stderr);
    assert!(held.stderr.contains(&format!("process {}", std::process::id())), "{}", held.stderr);
    drop(state);
    assert_eq!(cotenant(&["--home", home, "modules", "a.near"]).exit, 0);
}
