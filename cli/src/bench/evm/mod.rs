//! `bench evm`: contracts of Ethereum inside an engine contract, interpreted and compiled, and the same work by hand.
//!
//! Takes engines, runs and a filter; gives gas part by part, wall time and ratios. Every mode of a workload has to
//! agree with revm natively in success, output, EVM gas and logs, and with every other mode in the state it leaves;
//! gas has to be the same on every engine of the host.

mod chart;
mod engine;
mod markdown;
mod measure;
mod print;
mod report;

use crate::args::Mode;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use anyhow::{Context, Result};
use cotenant_gas::FEATURES_PROTOCOL;
use cotenant_host::engine::EngineKind;
use evm_driver::statetest::TestFile;
use evm_driver::workloads::{FIXTURES, Workload, of_fixture, workloads};
use measure::Bench;
use report::Report;
use revm::primitives::hardfork::SpecId;
use std::path::{Path, PathBuf};

/// The fork of all workloads.
const SPEC: SpecId = SpecId::CANCUN;

/// The workloads, engines and modes to measure.
pub(crate) struct Options<'a> {
    /// Timed runs of each row; fewer where they would take more than seconds.
    pub(crate) runs: u32,
    /// Workloads whose names contain this.
    pub(crate) filter: Option<&'a str>,
    /// Engines of the host.
    pub(crate) engines: &'a [EngineKind],
    /// Modes.
    pub(crate) modes: &'a [Mode],
    /// Where the report goes.
    pub(crate) report: Option<&'a Path>,
}

/// Runs the benchmark.
///
/// # Errors
/// Modes or engines that differ, or a fault of the host.
pub(crate) fn run(options: &Options<'_>, console: &Console) -> Result<Exit> {
    let wanted = |name: &str| options.filter.is_none_or(|filter| name.contains(filter));
    let mut all = workloads(SPEC).context("the contracts of contracts/evm")?;
    all.extend(fixtures(&wanted, console)?);
    all.retain(|workload| wanted(workload.name));
    all.sort_by_key(|workload| report::position(workload.name));
    if all.is_empty() {
        let message = format!("no workload's name contains {:?}", options.filter.unwrap_or(""));
        return Err(Failure::usage("NoWorkload", message).into());
    }
    let mut bench = Bench::new(FEATURES_PROTOCOL, options.runs)?;
    for &engine in options.engines {
        for &mode in options.modes {
            bench.measure(mode, engine, &all, console)?;
        }
    }
    let report = Report::of(bench.into_rows());
    if let Some(folder) = options.report {
        markdown::write(folder, &report).with_context(|| folder.display().to_string())?;
        console.note(format_args!("the report is in {}", folder.display()));
    }
    if console.json {
        console.object(&report)?;
    } else {
        console.data(print::report(&report))?;
    }
    Ok(Exit::Fine)
}

/// Workloads of fixtures that are not the project's, from the folder that COTENANT_EVM_VECTORS names.
fn fixtures(wanted: &impl Fn(&str) -> bool, console: &Console) -> Result<Vec<Workload>> {
    let named: Vec<_> = FIXTURES.into_iter().filter(|(_, name)| wanted(name)).collect();
    let Some(folder) = std::env::var_os("COTENANT_EVM_VECTORS").map(PathBuf::from) else {
        for (_, name) in named {
            console.note(format_args!(
                "left out {name}: COTENANT_EVM_VECTORS names no folder with bench/fixtures of revmc's"
            ));
        }
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for (file, _) in named {
        let path = folder.join("bench").join("fixtures").join(format!("{file}.json"));
        let name = path.display().to_string();
        let unreadable = |reason: String| Failure::usage("FixturesUnreadable", reason);
        let bytes = std::fs::read(&path).map_err(|error| unreadable(format!("{name}: {error}")))?;
        let workload = of_fixture(&TestFile { name, bytes }, SPEC);
        found.extend(workload.map_err(|error| unreadable(error.to_string()))?);
    }
    Ok(found)
}
