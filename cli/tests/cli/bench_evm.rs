//! `bench evm`: one workload in all its modes.

use crate::{Folder, keys, sorted};

const PARTS: [&str; 6] = [
    "near_gas_wasm",
    "near_gas_host",
    "near_gas_crypto",
    "near_gas_sync",
    "near_gas_loading",
    "near_gas_fees",
];

#[test]
fn a_transfer_is_measured_in_each_mode_and_its_gas_adds_up() {
    let folder = Folder::new();
    let out = folder.path("report");
    let arguments =
        ["bench", "evm", "--filter", "erc20_transfer", "--engine", "wasmi", "--runs", "1"];
    let (exit, report) =
        folder.json(&[&arguments[..], &["--report", out.to_str().unwrap()]].concat());
    assert_eq!(exit, 0, "{report}");
    assert_eq!(keys(&report), sorted(["rows", "ratios"]));
    let rows = report["rows"].as_array().unwrap();
    let modes: Vec<_> = rows.iter().map(|row| row["mode"].as_str().unwrap()).collect();
    assert_eq!(modes, ["interpreted", "compiled", "compiled_wasm_in_wasm"]);
    let number = |row: &serde_json::Value, field: &str| row[field].as_u64().unwrap();
    for row in rows {
        let parts: u64 = PARTS.iter().map(|part| number(row, part)).sum();
        assert_eq!(parts, number(row, "near_gas"), "{row}");
        assert_eq!(row["evm_gas"], rows[0]["evm_gas"]);
        assert_eq!(row["over_limit"], false);
        let room = number(row, "evm_gas") as u128 * 300_000_000_000_000;
        let room = room / u128::from(number(row, "near_gas"));
        assert_eq!(u128::from(number(row, "evm_gas_per_300_tgas")), room);
    }
    let (interpreted, compiled) = (&rows[0], &rows[1]);
    assert!(number(interpreted, "near_gas_crypto") > 0);
    assert!(number(interpreted, "near_gas_sync") == 0 && number(interpreted, "yields") == 0);
    assert!(number(compiled, "near_gas_sync") > 0 && number(compiled, "yields") > 0);
    assert!(number(compiled, "near_gas_wasm") < number(interpreted, "near_gas_wasm"));
    let ratio = &report["ratios"][0];
    assert_eq!((&ratio["over"], &ratio["under"]), (&"interpreted".into(), &"compiled".into()));
    let text = std::fs::read_to_string(out.join("results.md")).unwrap();
    assert!(text.contains("| erc20_transfer | compiled |"), "{text}");
    for chart in ["execution_gas", "near_gas", "evm_gas"] {
        let chart = std::fs::read_to_string(out.join(format!("charts/{chart}_wasmi.svg"))).unwrap();
        assert!(chart.starts_with("<svg") && chart.contains("erc20_transfer"), "{chart}");
    }
}

#[test]
fn a_filter_that_finds_nothing_is_refused() {
    let (exit, error) = Folder::new().json(&["bench", "evm", "--filter", "no such"]);
    assert_eq!((exit, &error["error"]["code"]), (2, &"NoWorkload".into()));
}
