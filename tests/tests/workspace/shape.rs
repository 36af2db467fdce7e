//! How large files and functions may be, where `unsafe` may stand, and that examples in documentation are compiled.

use crate::source::{after_bracket, rust_files, tokens};
use crate::{members, root};
use std::path::Path;

const FILE_LINES_MAX: usize = 700;
const FILE_LINES_MEDIAN_MAX: usize = 200;
const FUNCTION_LINES_MAX: usize = 100;

/// Files that are over the limit and wait to be taken apart.
const KNOWN_FILES: &[&str] = &["evm-to-wasm/src/build.rs", "submodules/src/calls/mod.rs"];

/// Functions that are over the limit and wait to be taken apart.
const KNOWN_FUNCTIONS: &[&str] = &[
    "evm-to-wasm/src/graph.rs: draw",
    "evm-to-wasm/src/runtime/division.rs: divide",
    "gas/src/meter/body.rs: operators",
    "host/src/exec/sync.rs: sync_function",
    "submodules/src/model/machine.rs: step",
];

/// Crates whose front page shows no program: programs and tests, NEAR's metrics, and the node, which waits for one.
const NO_FRONT_PAGE: &[&str] = &["cli", "tests", "benches", "host/near-o11y", "node"];

/// Examples in documentation that are not compiled.
const KNOWN_EXAMPLES: &[&str] = &[];

/// Where `unsafe` may stand (`docs/ARCHITECTURE.md`, "`unsafe`"): a file, or a folder with `/` at its end.
const UNSAFE: &[&str] = &[
    "host/src/engine/arena.rs",
    "host/src/engine/interpreter.rs",
    "host/src/engine/libcalls.rs",
    "host/src/engine/memory.rs",
    "host/src/engine/native.rs",
    "host/src/engine/signal.rs",
    "host/src/engine/stack.rs",
    "host/src/engine/template.rs",
    // Inside the sandbox.
    "contracts/guests/",
    // Peers that are measured against, and tests of engines by their raw interfaces.
    "benches/",
    "tests/",
];

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Returns what breaks a rule and is not known. Whoever takes a known one apart takes its name off the list.
fn unknown(found: Vec<(String, String)>, known: &[&str]) -> Vec<String> {
    let new = found.into_iter().filter(|(name, _)| !known.contains(&name.as_str()));
    new.map(|(name, what)| format!("{name}: {what}")).collect()
}

#[test]
fn files_are_small_enough_to_be_read() {
    let mut lengths = Vec::new();
    let mut long = Vec::new();
    for path in rust_files(&root()) {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        lengths.push(lines);
        if lines > FILE_LINES_MAX {
            long.push((shown(&path), format!("{lines} lines, at most {FILE_LINES_MAX}")));
        }
    }
    let long = unknown(long, KNOWN_FILES);
    assert!(long.is_empty(), "look for the second idea in: {long:#?}");
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median < FILE_LINES_MEDIAN_MAX, "half of the files have {median} lines and more");
}

#[test]
fn functions_fit_on_a_screen_or_two() {
    let mut long = Vec::new();
    for path in rust_files(&root()) {
        let tokens = tokens(&std::fs::read_to_string(&path).unwrap());
        for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.text == "fn") {
            let name = tokens.get(at + 1).map(|name| name.text.clone()).unwrap_or_default();
            let Some(open) = body(&tokens, at + 1) else { continue };
            let end = tokens[after_bracket(&tokens, open) - 1].line;
            let lines = end - token.line + 1;
            if lines > FUNCTION_LINES_MAX {
                let what = format!("{lines} lines, at most {FUNCTION_LINES_MAX}");
                long.push((format!("{}: {name}", shown(&path)), what));
            }
        }
    }
    let long = unknown(long, KNOWN_FUNCTIONS);
    assert!(long.is_empty(), "{long:#?}");
}

/// Where the body of a function begins whose name is at `at`; `None` if it has none, or this is a type.
fn body(tokens: &[crate::source::Token], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        match tokens.get(at)?.text.as_str() {
            "{" => return Some(at),
            ";" | "}" | ")" | "," | "=" => return None,
            "(" | "[" => at = after_bracket(tokens, at),
            _ => at += 1,
        }
    }
}

#[test]
fn unsafe_code_is_where_the_architecture_says() {
    let mut found = Vec::new();
    for path in rust_files(&root()) {
        let name = shown(&path);
        let allowed = |place: &&str| {
            if place.ends_with('/') { name.starts_with(*place) } else { name == *place }
        };
        if UNSAFE.iter().any(allowed) {
            continue;
        }
        let tokens = tokens(&std::fs::read_to_string(&path).unwrap());
        for (at, token) in tokens.iter().enumerate() {
            // `#[unsafe(no_mangle)]` is an attribute.
            if token.text == "unsafe" && (at == 0 || tokens[at - 1].text != "[") {
                found.push(format!("{name}:{}", token.line));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn examples_in_documentation_are_compiled() {
    let mut ignored = Vec::new();
    for path in rust_files(&root()) {
        for (at, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            let line = line.trim_start();
            let fence = line.strip_prefix("//!").or_else(|| line.strip_prefix("///"));
            let fence = fence.and_then(|line| line.trim_start().strip_prefix("```"));
            if fence.is_some_and(|kind| kind.split(',').any(|kind| kind.trim() == "ignore")) {
                ignored.push((shown(&path), format!("line {}", at + 1)));
            }
        }
    }
    let ignored = unknown(ignored, KNOWN_EXAMPLES);
    assert!(ignored.is_empty(), "{ignored:#?}");
}

#[test]
fn the_front_page_of_each_crate_begins_with_a_program() {
    for folder in members().iter().filter(|folder| !NO_FRONT_PAGE.contains(&folder.as_str())) {
        let text = std::fs::read_to_string(root().join(folder).join("src/lib.rs")).unwrap();
        let program = text.lines().position(|line| line == "//! ```");
        assert!(
            program.is_some_and(|line| line <= 4),
            "{folder}: a program within the first lines"
        );
    }
}
