//! Invariants of the workspace itself (`docs/ARCHITECTURE.md`): what it depends on, and the shape of its sources.

mod circles;
mod licences;
mod shape;
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folders of the workspace's crates, as the root manifest lists them: a new crate is held to the rules by being one.
fn members() -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let line = manifest.lines().find(|line| line.starts_with("members = [")).unwrap();
    let members: Vec<_> = line.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(members.len() > 10, "{line}");
    members
}

#[test]
fn the_product_has_no_wasmtime() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "cotenant",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(tree.contains("wasmer ") && tree.contains("wasmi "), "{tree}");
    // cranelift's own crates carry wasmtime's name; wasmtime itself must not be there.
    assert!(!tree.lines().any(|line| line.starts_with("wasmtime v")), "{tree}");
}

/// The arrows of the architecture: who may depend on whom.
#[test]
fn no_crate_reaches_around_the_arrows() {
    for (folder, forbidden) in [
        ("gas", &["cotenant-submodules", "cotenant-host", "wasmer", "wasmi"][..]),
        ("submodules", &["cotenant-host", "wasmer", "wasmi", "corosensei"]),
        ("host", &["cotenant-contracts", "evm-to-wasm", "wasmtime"]),
        ("evm-to-wasm", &["cotenant-host", "cotenant-submodules", "cotenant-gas"]),
    ] {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let normal = manifest.split("[dev-dependencies]").next().unwrap();
        for name in forbidden {
            let line = |line: &str| {
                line.starts_with(&format!("{name}.")) || line.starts_with(&format!("{name} "))
            };
            assert!(!normal.lines().any(line), "{folder} depends on {name}");
        }
    }
}
