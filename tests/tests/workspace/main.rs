//! Invariants of the workspace itself (`docs/ARCHITECTURE.md`).

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
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

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn unsafe_code_is_where_the_architecture_says() {
    let mut files = Vec::new();
    for crate_folder in ["gas", "submodules", "host", "evm-to-wasm", "cli"] {
        sources(&root().join(crate_folder).join("src"), &mut files);
    }
    let allowed = [
        "signal.rs",
        "stack.rs",
        "libcalls.rs",
        "arena.rs",
        "memory.rs",
        "template.rs",
        "native.rs",
        "interpreter.rs",
    ];
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let has_unsafe = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or("");
            code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl")
        });
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let in_engine = file.parent().is_some_and(|parent| parent.ends_with("engine"));
        assert!(
            !has_unsafe || (in_engine && allowed.contains(&name.as_str())),
            "{}",
            file.display()
        );
    }
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
