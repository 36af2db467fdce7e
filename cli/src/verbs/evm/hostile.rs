//! `evm bench --hostile`: how the compiler takes code that was made to be hard.

use super::bench::failure;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::table;
use crate::text::shown;
use anyhow::Result;
use cotenant_host::engine::EngineKind;
use evm_driver::bench::{HostileReport, HostileRow, SIZES, cases, hostile};
use evm_driver::{spec_of_fork, statetest};
use evm_to_wasm::Fork;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Timed compilations of each code, at most; the least of them counts.
const RUNS_MAX: u32 = 5;

pub(super) fn run(
    paths: &[PathBuf],
    filter: Option<&str>,
    runs: u32,
    engine: EngineKind,
    console: &Console,
) -> Result<Exit> {
    let real = contracts(paths)?;
    let progress = |name: &str| console.detail(format_args!("{name}"));
    let report = hostile(filter, &real, runs.min(RUNS_MAX), engine, &progress)
        .map_err(|error| failure(&error))?;
    let refused = report.rows.iter().any(|row| row.refused.is_some());
    if console.json {
        console.object(&report)?;
    } else {
        console.data(print(&report))?;
    }
    Ok(if refused { Exit::Contract } else { Exit::Fine })
}

/// The code of all contracts of fixtures, one after the other.
fn contracts(paths: &[PathBuf]) -> Result<Vec<u8>> {
    let unreadable = |message: String| Failure::usage("FixturesUnreadable", message);
    let mut codes = BTreeMap::new();
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    for file in statetest::read(paths).map_err(|error| unreadable(error.to_string()))? {
        let cases = cases(&file, spec_of_fork(Fork::Cancun));
        for case in cases.map_err(|error| unreadable(error.to_string()))? {
            let contracts = case.world.pre.contracts.into_iter();
            codes.extend(contracts.map(|(hash, code)| (hash, code.original_bytes())));
        }
    }
    Ok(codes.into_values().flatten().collect())
}

fn print(report: &HostileReport) -> String {
    let sizes = SIZES.map(|bytes| format!("{} KiB", bytes / 1_024));
    let header: Vec<&str> = ["ns a byte at"]
        .into_iter()
        .chain(sizes.iter().map(String::as_str))
        .chain(["growth", "Wasm", "native ms"])
        .collect();
    let mut table = table(&header, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for growth in &report.growth {
        let rows: Vec<&HostileRow> =
            report.rows.iter().filter(|row| row.name == growth.name).collect();
        let times = rows.iter().map(|row| format!("{:.0}", row.nanos_per_byte));
        let wasm = rows.iter().map(|row| row.wasm_per_byte).fold(0.0, f64::max);
        let native = rows.iter().filter_map(|row| row.native_compile_nanos).max();
        let cells: Vec<String> = [growth.name.clone()]
            .into_iter()
            .chain(times)
            .chain([format!("{:.2}", growth.exponent), format!("{wasm:.1}")])
            .chain([native.map_or_else(|| "-".to_owned(), |n| format!("{:.0}", n as f64 / 1e6))])
            .collect();
        table.add_row(cells);
    }
    let mut text = format!(
        "{table}\ngrowth: time is size to the power of this. Wasm: bytes a byte of code, helpers apart, at most.\n\
         native: to machine code in the host, at most"
    );
    for row in &report.rows {
        if let Some(reason) = &row.refused {
            let line =
                format!("\nrefused: {}, {} bytes: {}", row.name, row.code_bytes, shown(reason));
            text.push_str(&line);
        }
    }
    text
}
