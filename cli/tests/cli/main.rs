//! The command line through its binary: exit codes, the shapes of `--json`, bad input.

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

mod accounts;
mod bad_input;
mod bench_evm;
mod cache;
mod crashes;
mod evm;
mod first_hour;
mod hands;
mod verbs;
mod verify;

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
    // The order is the object's or the alphabet's, by a feature of serde_json that other crates choose.
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn sorted<const N: usize>(mut names: [&str; N]) -> [&str; N] {
    names.sort_unstable();
    names
}
