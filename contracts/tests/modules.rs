//! What the bytes are: valid modules, of the kind they are said to be, of the size they are meant to have.

use std::collections::BTreeSet;

use cotenant_contracts::{ALL, Expect, PRIVATE, attackers};
use wasmparser::{Parser, Payload, TypeRef, Validator, WasmFeatures};

/// What a private module may always import (`docs/spec/calls.md`, section 3).
const CORE: [&str; 9] = [
    "input",
    "register_len",
    "read_register",
    "callback",
    "callback_into",
    "pending_into",
    "value_return",
    "panic_utf8",
    "abort",
];
const LOG: [&str; 2] = ["log_utf8", "log_utf16"];
const CRYPTO: [&str; 5] =
    ["sha256", "keccak256", "alt_bn128_g1_multiexp", "alt_bn128_g1_sum", "alt_bn128_pairing_check"];
const NESTED: [&str; 6] = [
    "sync_call_open",
    "sync_call_resume",
    "sync_call_resume_into",
    "sync_call_close",
    "sync_function_call",
    "resume_sync_call",
];

/// Pages a private module may start with here: every live frame holds them.
const PRIVATE_PAGES_MAX: u64 = 2;

/// The same of modules that are open one at a time.
const SINGLE_PAGES_MAX: u64 = 8;

/// Such modules.
const SINGLE: [&str; 2] = ["evm_compiler", "evm_precompiles"];

struct Summary {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
    pages: u64,
}

fn summary(bytes: &[u8]) -> Summary {
    let mut summary = Summary { imports: BTreeSet::new(), exports: BTreeSet::new(), pages: 0 };
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.unwrap() {
            Payload::ImportSection(imports) => {
                for import in imports {
                    let import = import.unwrap();
                    assert_eq!(import.module, "env");
                    assert!(
                        matches!(import.ty, TypeRef::Func(_)),
                        "{} is no function",
                        import.name
                    );
                    summary.imports.insert(import.name.to_string());
                }
            }
            Payload::ExportSection(exports) => {
                summary
                    .exports
                    .extend(exports.into_iter().map(|export| export.unwrap().name.to_string()));
            }
            Payload::MemorySection(memories) => {
                summary.pages = memories.into_iter().map(|memory| memory.unwrap().initial).sum();
            }
            _ => {}
        }
    }
    summary
}

fn module(name: &str) -> &'static [u8] {
    ALL.iter().find(|(other, _)| *other == name).map(|(_, bytes)| *bytes).unwrap()
}

#[test]
fn every_module_is_valid_under_nears_features() {
    let features = WasmFeatures::WASM1
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::REFERENCE_TYPES;
    for (name, bytes) in ALL {
        Validator::new_with_features(features)
            .validate_all(bytes)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let summary = summary(bytes);
        assert!(summary.exports.contains("memory"), "{name} exports no memory");
    }
}

#[test]
fn a_private_module_imports_core_functions_and_the_group_it_requires() {
    for (name, group) in PRIVATE {
        let summary = summary(module(name));
        let granted: &[&str] = match group {
            None => &[],
            Some("log") => &LOG,
            Some("crypto") => &CRYPTO,
            Some("nested") => &NESTED,
            Some(other) => panic!("{name}: no such group: {other}"),
        };
        for import in &summary.imports {
            assert!(
                CORE.contains(&import.as_str()) || granted.contains(&import.as_str()),
                "{name} imports {import}"
            );
        }
        if group.is_some() {
            let uses_group =
                summary.imports.iter().any(|import| granted.contains(&import.as_str()));
            assert!(uses_group, "{name} imports nothing of {group:?}, so it requires nothing");
        }
        let is_single = SINGLE.contains(name);
        let pages_max = if is_single { SINGLE_PAGES_MAX } else { PRIVATE_PAGES_MAX };
        assert!(summary.pages <= pages_max, "{name} starts with {} pages", summary.pages);
    }
}

#[test]
fn the_bare_parents_are_small() {
    assert!(module("soak_parent").len() < 2_000);
    assert!(module("driver").len() < 2_000);
    assert!(module("soak").len() < 2_000);
}

#[test]
fn no_module_holds_a_path_of_the_machine_that_built_it() {
    let home = std::env::var("HOME").unwrap_or_default();
    let package = env!("CARGO_MANIFEST_DIR");
    let repository = package.strip_suffix("contracts").unwrap();
    for (name, bytes) in ALL {
        for path in [repository, home.as_str()] {
            let is_found =
                path.len() > 1 && bytes.windows(path.len()).any(|window| window == path.as_bytes());
            assert!(!is_found, "{name} holds {path}");
        }
    }
}

#[test]
fn attackers_cover_every_row_about_modules_and_calls() {
    let attackers = attackers();
    let rows: BTreeSet<u8> = attackers.iter().map(|attacker| attacker.row).collect();
    assert_eq!(rows, (1..=29).collect());
    let names: BTreeSet<&str> = attackers.iter().map(|attacker| attacker.name).collect();
    assert_eq!(names.len(), attackers.len());
    for attacker in &attackers {
        assert!(attacker.about.len() > 10, "{} does not say what it attacks", attacker.name);
        // A refusal must be for the reason the module was made for, so it must not be too long by the way.
        assert!(
            attacker.bytes.len() <= 4 << 20,
            "{} is {} bytes long",
            attacker.name,
            attacker.bytes.len()
        );
    }
}

#[test]
fn what_runs_or_traps_is_a_valid_module_with_a_method() {
    for attacker in attackers() {
        if attacker.expect_private == Expect::Refused && attacker.expect == Expect::Refused {
            continue;
        }
        Validator::new_with_features(WasmFeatures::default() | WasmFeatures::WIDE_ARITHMETIC)
            .validate_all(&attacker.bytes)
            .unwrap_or_else(|error| panic!("{}: {error}", attacker.name));
        assert!(summary(&attacker.bytes).exports.contains("run"), "{} has no `run`", attacker.name);
    }
}
