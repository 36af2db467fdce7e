//! What fails says why, with an exit code of its kind.

use crate::{Folder, keys, sorted};
use serde_json::Value;

/// The fields of an error.
const ERROR: [&str; 5] = ["code", "message", "where", "hint", "violations"];

#[test]
fn the_exit_code_tells_how_a_call_ended() {
    let folder = Folder::new();
    let wat = r#"(module
        (import "env" "panic_utf8" (func $panic (param i64 i64)))
        (memory (export "memory") 1)
        (data (i32.const 0) "sorry")
        (func (export "fail") (call $panic (i64.const 5) (i64.const 0)))
        (func (export "spin") (loop $again (br $again)))
        (func $deep (export "recurse") (call $deep) (call $deep)))"#;
    let file = folder.file("failing.wat", wat.as_bytes());
    assert_eq!(folder.run(&["deploy", "a.near", &file]).exit, 0);
    let call = |arguments: &[&str]| folder.json(&[&["call", "a.near"], arguments].concat());
    let (exit, failed) = call(&["fail"]);
    assert_eq!((exit, &failed["ok"]), (1, &Value::Bool(false)));
    assert_eq!(failed["abort"]["code"], "HostError.GuestPanic");
    assert!(failed["abort"]["message"].as_str().unwrap().contains("sorry"));
    assert_eq!(keys(&failed["abort"]), sorted(["code", "message", "module"]));
    let (exit, starved) = call(&["spin", "--gas", "1 Ggas"]);
    assert_eq!((exit, &starved["abort"]["code"]), (3, &"HostError.GasExceeded".into()));
    let (exit, deep) = call(&["recurse"]);
    // What NEAR's runner says of an exhausted stack.
    assert_eq!((exit, &deep["abort"]["code"]), (1, &"HostError.MemoryAccessViolation".into()));
    let (exit, missing) = call(&["nothing"]);
    assert_eq!((exit, &missing["abort"]["code"]), (1, &"MethodResolveError.MethodNotFound".into()));
    assert_eq!(missing["gas_vm"], 0);
    let (exit, none) = folder.json(&["call", "a.near:nowhere", "x"]);
    assert_eq!((exit, &none["abort"]["code"]), (1, &"HostError.NamespaceNotFound".into()));
    let (exit, refused) = call(&["fail", "--gas", "5000 Tgas"]);
    assert_eq!(exit, 2);
    assert_eq!(keys(&refused), ["error"]);
    assert_eq!(keys(&refused["error"]), sorted(ERROR));

    let readable = folder.run(&["call", "a.near", "fail"]);
    assert_eq!(readable.exit, 1);
    for part in ["error[HostError.GuestPanic]", "where: a.near, method fail"] {
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
    assert_eq!(keys(&report["error"]), sorted(ERROR));
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
        (&["view", "a.near", "get", "--engine", "winch"], "choose cranelift or wasmi"),
        (
            &["view", "a.near", "get", "--engine", "singlepass"],
            "`singlepass` any more: choose cranelift",
        ),
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
        assert_eq!(keys(&report["error"]), sorted(ERROR), "{report}");
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
