//! `evm bench`: compiled contracts against revm's interpreter.

use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::table;
use anyhow::Result;
use cotenant_host::engine::EngineKind;
use evm_driver::bench::{BenchReport, MeasureError, Rig, Row, cases};
use evm_driver::spec_of_fork;
use evm_driver::statetest;
use evm_to_wasm::Fork;
use std::path::PathBuf;

pub(super) fn run(
    paths: &[PathBuf],
    fork: Fork,
    filter: Option<&str>,
    runs: u32,
    engine: EngineKind,
    console: &Console,
) -> Result<Exit> {
    let unreadable = |message: String| Failure::usage("FixturesUnreadable", message);
    let files = statetest::read(paths).map_err(|error| unreadable(error.to_string()))?;
    let rig = Rig::new(engine).map_err(|error| failure(&error))?;
    let (mut rows, mut exit) = (Vec::new(), Exit::Fine);
    for file in files {
        if filter.is_some_and(|filter| !file.name.contains(filter)) {
            continue;
        }
        let cases = cases(&file, spec_of_fork(fork)).map_err(|e| unreadable(e.to_string()))?;
        for case in cases {
            console.detail(format_args!("{}", case.name));
            match rig.measure(&case, runs) {
                Ok(row) => rows.push(row),
                Err(
                    error @ (MeasureError::Differs { .. }
                    | MeasureError::Rejected { .. }
                    | MeasureError::Interpreted { .. }),
                ) => {
                    exit = Exit::Contract;
                    console.note(format_args!("left out {error}"));
                }
                Err(error) => return Err(failure(&error).into()),
            }
        }
    }
    let report = BenchReport::of(rows);
    if console.json {
        console.object(&report)?;
    } else {
        console.data(print(&report))?;
    }
    Ok(exit)
}

pub(super) fn failure(error: &impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Internal, "Internal", error.to_string())
}

fn print(report: &BenchReport) -> String {
    let header = [
        "case",
        "EVM gas",
        "revm us",
        "compiled us",
        "own keccak us",
        "by hand us",
        "starts us",
        "speed-up",
        "yields",
        "modules",
        "bytes",
        "Wasm",
        "compile us",
        "native ms",
        "operators",
    ];
    let mut table = table(&header, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    for row in &report.rows {
        table.add_row(cells(row));
    }
    format!("{table}\ngeometric mean of the speed-ups: {:.2}", report.geomean_speedup)
}

fn cells(row: &Row) -> [String; 15] {
    let micros = |nanos: u64| format!("{:.1}", nanos as f64 / 1e3);
    [
        row.name.clone(),
        row.evm_gas.to_string(),
        micros(row.revm_nanos),
        micros(row.compiled_nanos),
        micros(row.compiled_own_keccak_nanos),
        row.handwritten_nanos.map_or_else(|| "-".to_owned(), micros),
        micros(row.start_nanos),
        format!("{:.2}", row.speedup),
        row.yields.to_string(),
        row.modules.to_string(),
        row.bytecode_bytes.to_string(),
        row.wasm_bytes.to_string(),
        micros(row.compile_nanos),
        format!("{:.1}", row.native_compile_nanos as f64 / 1e6),
        row.wasm_operators.to_string(),
    ]
}
