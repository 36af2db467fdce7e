//! Every package that the build may take has a licence that `deny.toml` allows.

use crate::root;
use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn every_package_has_a_licence_that_is_allowed() {
    let policy = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let list = policy.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']')).unwrap().0;
    let allowed: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    assert!(allowed.contains("MIT"), "{allowed:?}");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut refused = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let licence = package["license"].as_str().unwrap_or_default();
        if !is_allowed(licence, &allowed) {
            refused.push(format!("{} {}: `{licence}`", package["name"], package["version"]));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

/// Whether one way through an expression has allowed licences alone. `AND` binds tighter than `OR`; an old `/` is `OR`.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.replace('/', " OR ");
    let (mut depth, mut at) = (0, 0);
    let mut ways: Vec<Vec<String>> = vec![vec![String::new()]];
    while at < expression.len() {
        let rest = &expression[at..];
        match rest.as_bytes()[0] {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        let step = if depth == 0 && rest.starts_with(" OR ") {
            ways.push(vec![String::new()]);
            4
        } else if depth == 0 && rest.starts_with(" AND ") {
            ways.last_mut().unwrap().push(String::new());
            5
        } else {
            ways.last_mut().unwrap().last_mut().unwrap().push(char::from(rest.as_bytes()[0]));
            1
        };
        at += step;
    }
    let allows = |part: &String| {
        let part = part.trim();
        match part.strip_prefix('(').and_then(|part| part.strip_suffix(')')) {
            Some(inner) => is_allowed(inner, allowed),
            None => allowed.contains(part),
        }
    };
    ways.iter().any(|parts| parts.iter().all(allows))
}

#[test]
fn expressions_are_read_as_spdx_has_them() {
    let allowed = BTreeSet::from(["MIT", "ISC"]);
    for (expression, is) in [
        ("MIT", true),
        ("MIT OR GPL-2.0", true),
        ("MIT/GPL-2.0", true),
        ("MIT AND GPL-2.0", false),
        ("ISC AND (GPL-2.0 OR MIT)", true),
        ("(MIT OR ISC) AND GPL-2.0", false),
        ("GPL-2.0 AND MIT OR ISC", true),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), is, "{expression}");
    }
}
