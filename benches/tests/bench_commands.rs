//! The benchmark commands, through their binary: they run to their end and say what they promise.

use std::process::Command;

fn json(arguments: &[&str]) -> serde_json::Value {
    let output =
        Command::new(env!("CARGO_BIN_EXE_cotenant-bench")).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn calls_reports_every_figure_it_promises() {
    let report = json(&["calls", "--json", "--runs", "1"]);
    for field in [
        "open_start_return_nanos",
        "yield_resume_nanos",
        "yield_resume_nested8_nanos_per_hop",
        "bare_coroutine_roundtrip_nanos",
        "bracket_nanos",
        "live_suspended",
        "rss_bytes_per_suspended",
        "near_vm_runner_smallest_call_nanos",
        "near_vm_runner_warm_call_nanos",
        "cotenant_warm_call_nanos",
        "metering_overhead_geomean",
    ] {
        assert!(report[field].as_f64().is_some_and(|value| value > 0.0), "{field}: {report}");
    }
    assert_eq!(report["live_suspended"], 1_000);
}

#[test]
#[ignore = "a minute: run it after a change of the recipes"]
fn worst_measures_every_recipe() {
    let report = json(&["worst", "--json", "--runs", "1", "--sample-ggas", "1", "--mutate", "1"]);
    assert_eq!(report["passed_over"].as_array().map(Vec::len), Some(0), "{report}");
    assert!(report["mutations"].as_u64() > Some(0));
    let rows = report["rows"].as_array().unwrap();
    let worst = |row: &serde_json::Value| row["of_aim"].as_f64().unwrap();
    assert!(rows.windows(2).all(|pair| worst(&pair[0]) >= worst(&pair[1])), "the worst is first");
}

#[test]
fn what_is_no_command_is_refused_with_the_usage() {
    let output = Command::new(env!("CARGO_BIN_EXE_cotenant-bench")).arg("sok").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: cotenant-bench"));
}
