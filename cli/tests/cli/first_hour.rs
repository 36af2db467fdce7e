//! What a newcomer types first.

use crate::Folder;
use serde_json::Value;

#[test]
fn the_demo_runs_a_parent_and_two_children_and_leaves_nothing_behind() {
    let folder = Folder::new();
    let (exit, report) = folder.json(&["demo"]);
    assert_eq!(exit, 0, "{report}");
    let calls = report["calls"].as_array().expect("calls");
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call["ok"] == Value::Bool(true)), "{report}");
    assert_eq!(calls[0]["tree"]["callees"].as_array().map(Vec::len), Some(2), "{report}");
    assert_eq!(calls[1]["tree"]["callees"][0]["namespace"], "hasher");
    assert!(!folder.path("home").exists(), "a demo makes no home");
}

#[test]
fn the_projects_contracts_are_written_as_files_that_deploy() {
    let folder = Folder::new();
    let out = folder.path("wasm");
    let out = out.to_str().expect("UTF-8");
    let (exit, report) = folder.json(&["contracts", "--out", out]);
    assert_eq!(exit, 0, "{report}");
    let contracts = report["contracts"].as_array().expect("contracts");
    assert_eq!(contracts.len(), cotenant_contracts::ALL.len());
    for name in ["router", "yielder"] {
        let contract = contracts.iter().find(|contract| contract["name"] == name).expect(name);
        let path = contract["path"].as_str().expect("a path");
        let private: &[&str] =
            if contract["visibility"] == "private" { &["--private"] } else { &[] };
        let target = format!("alice.near:{name}");
        let (exit, report) = folder.json(&[&["deploy", &target, path], private].concat());
        assert_eq!((exit, &report["ok"]), (0, &Value::Bool(true)), "{report}");
    }
}

#[test]
fn doctor_completions_and_manual_pages_need_no_home() {
    let folder = Folder::new();
    let (exit, report) = folder.json(&["doctor"]);
    assert_eq!((exit, &report["ok"]), (0, &Value::Bool(true)), "{report}");
    assert!(!folder.path("home").exists());
    for shell in ["bash", "zsh", "fish"] {
        assert!(folder.run(&["completions", shell]).stdout.contains("lock-wait"), "{shell}");
    }
    assert!(folder.run(&["man"]).stdout.starts_with(".ie"));
    let out = folder.path("man");
    assert_eq!(folder.run(&["man", "--out", out.to_str().expect("UTF-8")]).exit, 0);
    let page = std::fs::read_to_string(out.join("cotenant-keys-add.1")).expect("a page");
    assert!(page.contains("namespaces"), "{page}");
}
