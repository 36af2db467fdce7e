//! Compiled code through the binary: tiers, `cache`, the compile process and its limits.

use crate::{Folder, keys, sorted};
use cotenant_host::compile::{Compile, CompileLimits, Compiler};
use cotenant_host::engine::EngineKind;
use cotenant_host::runtime::Status;
use cotenant_host::{Call, Host, Options};
use cotenant_submodules::{ModuleId, Visibility};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

fn counter(folder: &Folder) {
    folder.deploy("a.near", cotenant_contracts::counter(), &[]);
}

/// The engine of the module of `a.near`, and why it is not another.
fn tier(folder: &Folder) -> (String, Value) {
    let (exit, report) = folder.json(&["modules", "a.near"]);
    assert_eq!(exit, 0, "{report}");
    let module = &report["modules"][0];
    (module["engine"].as_str().unwrap().to_owned(), module["reason"].clone())
}

#[test]
fn a_module_is_callable_at_once_and_compiled_when_that_is_asked_for() {
    let folder = Folder::new();
    counter(&folder);
    assert_eq!(tier(&folder), ("wasmi".into(), json!("not called yet")));
    let (_, first) = folder.json(&["call", "a.near", "new"]);
    let (exit, compiled) = folder.json(&["cache", "compile", "a.near"]);
    assert_eq!((exit, &compiled["modules"][0]["engine"]), (0, &json!("cranelift")), "{compiled}");
    assert_eq!(tier(&folder), ("cranelift".into(), Value::Null));
    let on = |engine| folder.json(&["view", "a.near", "get", "--engine", engine]).1;
    assert_eq!(on("cranelift"), on("wasmi"));
    assert!(first["ok"].as_bool().unwrap(), "{first}");

    let file = folder.file("counter.wasm", cotenant_contracts::counter());
    let (_, report) = folder.json(&["deploy", "b.near", &file, "--wait"]);
    assert_eq!(
        (&report["engines"], &report["reason"]),
        (&json!(["cranelift", "wasmi"]), &Value::Null)
    );
}

#[test]
fn a_call_on_an_engine_that_is_not_ready_says_so_and_waits_if_it_is_told_to() {
    let folder = Folder::new();
    counter(&folder);
    let ran = folder.run(&["view", "a.near", "get", "--engine", "cranelift"]);
    assert!(ran.stderr.contains("a.near runs on wasmi: not called yet"), "{}", ran.stderr);
    let ran = folder.run(&["view", "a.near", "get", "--engine", "cranelift", "--wait"]);
    assert!(!ran.stderr.contains("wasmi"), "{}", ran.stderr);
    assert_eq!(tier(&folder).0, "cranelift");
}

#[test]
fn the_cache_is_listed_checked_pinned_and_cleared() {
    let folder = Folder::new();
    counter(&folder);
    folder.json(&["cache", "compile", "a.near"]);
    let (_, list) = folder.json(&["cache", "ls"]);
    let expected = ["modules", "stored_bytes", "stored_bytes_max", "waiting", "totals"];
    assert_eq!(keys(&list), sorted(expected));
    let module = &list["modules"][0];
    let expected = [
        "code_hash",
        "visibility",
        "code_bytes",
        "engine",
        "reason",
        "failed",
        "pinned",
        "stand_in_bytes",
        "native_bytes",
        "hits",
        "misses",
        "compile_micros",
    ];
    assert_eq!(keys(module), sorted(expected));
    assert!(
        module["native_bytes"].as_u64() > Some(0) && module["compile_micros"].as_u64() > Some(0)
    );

    let (_, pinned) = folder.json(&["cache", "pin", "a.near"]);
    assert_eq!(pinned["modules"][0]["pinned"], json!(true));
    assert_eq!(folder.json(&["cache", "clear"]).1, json!({ "freed_bytes": 0 }));
    assert_eq!(tier(&folder).0, "cranelift");
    folder.json(&["cache", "unpin", "a.near"]);

    // Whatever is damaged goes, and the module runs on.
    let artifacts = folder.path("home").join("artifacts");
    for entry in std::fs::read_dir(artifacts).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().len() == 64 {
            std::fs::write(path, b"not ours").unwrap();
        }
    }
    let (exit, verified) = folder.json(&["cache", "verify"]);
    assert_eq!((exit, verified), (0, json!({ "authentic": 0, "damaged": 2, "missing": 0 })));
    assert_eq!(folder.json(&["call", "a.near", "new"]).0, 0);
    let (_, cleared) = folder.json(&["cache", "clear"]);
    assert!(cleared["freed_bytes"].as_u64() > Some(0), "{cleared}");

    let (exit, missing) = folder.json(&["cache", "pin", "nobody.near"]);
    assert_eq!((exit, &missing["error"]["code"]), (2, &json!("NamespaceNotFound")));
}

#[test]
fn code_that_is_replaced_leaves_the_cache() {
    let folder = Folder::new();
    counter(&folder);
    folder.deploy("a.near", cotenant_contracts::soak(), &["--wait", "--replace"]);
    let (_, list) = folder.json(&["cache", "ls"]);
    assert_eq!(list["modules"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["totals"]["collected"], json!(1));
}

#[test]
fn a_compile_over_its_limit_leaves_the_module_callable() {
    let folder = Folder::new();
    let host = |address_space_bytes, cpu_seconds| {
        let limits = CompileLimits { address_space_bytes, cpu_seconds, ..CompileLimits::default() };
        let program = env!("CARGO_BIN_EXE_cotenant").into();
        let arguments = vec!["compile-worker".into()];
        let options = Options {
            compile: Some(Compile::Background),
            compiler: Compiler::Process { program, arguments, limits },
            ..Options::default()
        };
        Host::open(&folder.path("home"), &options).unwrap()
    };
    let id: ModuleId = "a.near".parse().unwrap();
    // Too little for a compiler. (192 MiB were on the edge: the compile of this contract came through now and then.)
    let tight = host(128 << 20, 60);
    tight.deploy(&id, Visibility::Public, cotenant_contracts::engine()).unwrap();
    let record = tight.modules(&id.account).unwrap().remove(&id.namespace).unwrap();
    let reason = tight.registry().compile(&record, false).unwrap().unwrap_err();
    assert!(tight.registry().status(&record).failed, "{reason}");
    let outcome = tight.call(&Call::new(id.clone(), "no_such_method")).unwrap();
    assert!(
        matches!(outcome.status(), Some(Status::Failure(failure)) if failure.code.contains("MethodNotFound"))
    );
    drop(tight);
    let slow = host(1 << 30, 1);
    let large: ModuleId = "b.near".parse().unwrap();
    slow.deploy(&large, Visibility::Public, cotenant_contracts::wasm_in_wasm()).unwrap();
    let other = slow.modules(&large.account).unwrap().remove(&large.namespace).unwrap();
    let over = slow.registry().compile(&other, false).unwrap().unwrap_err();
    assert!(over.contains("1 s of CPU time"), "{over}");
    drop(slow);
    let roomy = host(CompileLimits::default().address_space_bytes, 60);
    assert_eq!(roomy.registry().status(&record).reason, Some(reason), "the next process knows");
    assert_eq!(roomy.registry().compile(&record, true).unwrap(), Ok(()));
    assert_eq!(roomy.registry().status(&record).tier, EngineKind::Cranelift);
}

#[test]
fn a_compile_process_ends_with_its_parent() {
    let start = |request: &[u8]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cotenant"))
            .arg("compile-worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It may have ended before it has read everything.
        let _ = child.stdin.as_mut().unwrap().write_all(request);
        child
    };
    let head = |length: u64| {
        let limits = [1 << 30, 60, length].map(u64::to_le_bytes).concat();
        [b"compile1".as_slice(), &limits].concat()
    };
    // Its parent dies before the request is whole, or it was none.
    for request in [&b""[..], b"nonsense that is long enough for a head", &head(1_000)] {
        let mut child = start(request);
        drop(child.stdin.take());
        assert!(!child.wait().unwrap().success());
    }
    // Its parent waits for an answer: it is not ended.
    let module = wat::parse_str("(module (func (export \"run\")))").unwrap();
    let mut child = start(&[head(module.len() as u64), module].concat());
    let open = child.stdin.take();
    assert!(child.wait().unwrap().success());
    drop(open);
}
