//! `bench soak`: the published benchmark of synchronous private modules, three ways on both engines.
//!
//! Takes loops and runs; gives gas, wall time and their ratios. Every result is checked, and gas has to be
//! the same on every engine. What needs near-vm-runner's own runner is in the `benches/` crate.

pub(crate) mod evm;
mod measure;
mod print;

use crate::console::Console;
use crate::failure::{Exit, Failure};
use anyhow::Result;
use cotenant_gas::FEATURES_PROTOCOL;
use cotenant_host::engine::EngineKind;
use cotenant_host::{Host, Options};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use measure::{Measured, Skipped};
use serde::Serialize;
use std::collections::BTreeMap;

/// The way in which the module is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// As a public module.
    Public,
    /// As a private module, by a public parent; the figures are of the parent's call.
    Submodule,
    /// By an interpreter that is a contract.
    WasmInWasm,
}

impl Mode {
    const ALL: [Mode; 3] = [Mode::Public, Mode::Submodule, Mode::WasmInWasm];

    fn name(self) -> &'static str {
        match self {
            Mode::Public => "public",
            Mode::Submodule => "submodule",
            Mode::WasmInWasm => "wasm_in_wasm",
        }
    }
}

/// One mode on one engine with one number of loops. Gas in units, times in nanoseconds.
#[derive(Clone, Debug, Serialize)]
struct Row {
    mode: Mode,
    engine: &'static str,
    loops: u64,
    gas_vm: u64,
    gas_receipt: u64,
    gas_total: u64,
    nanos_median: u64,
    nanos_min: u64,
    nanos_max: u64,
    runs: u32,
}

#[derive(Serialize)]
struct SoakReport<'a> {
    rows: &'a [Row],
}

/// Runs the benchmark.
///
/// # Errors
/// A wrong result, gas that differs between engines, or a fault of the host.
pub(crate) fn soak(
    runs: u32,
    loops: &[u64],
    protocol: Option<u32>,
    console: &Console,
) -> Result<Exit> {
    let protocol = protocol.unwrap_or(FEATURES_PROTOCOL);
    let steps = EngineKind::ALL.len() * Mode::ALL.len() * (loops.len() + 1);
    let progress = progress(steps as u64, console);
    let (mut rows, mut trees, mut exit) = (Vec::new(), BTreeMap::new(), Exit::Fine);
    for engine in EngineKind::ALL {
        let host = Host::in_memory(&Options {
            protocol: Some(protocol),
            engines: vec![engine],
            ..Options::default()
        })?;
        for mode in Mode::ALL {
            progress.set_message(format!("{} on {engine}: compiling", mode.name()));
            let deployed = measure::deploy(&host, mode)?;
            progress.inc(1);
            if let Err(reason) = deployed {
                progress.suspend(|| {
                    console.note(format_args!("skipped {} on {engine}: {reason}", mode.name()))
                });
                progress.inc(loops.len() as u64);
                continue;
            }
            for &loops in loops {
                progress.set_message(format!("{} on {engine}: {loops} loops", mode.name()));
                match measure::row(&host, mode, engine, loops, runs)? {
                    Ok(Measured { row, tree }) => {
                        rows.push(row);
                        trees.insert((mode, loops), tree);
                    }
                    Err(Skipped { reason }) => {
                        exit = Exit::Limit;
                        progress.suspend(|| console.note(format_args!("skipped {reason}")));
                    }
                }
                progress.inc(1);
            }
        }
    }
    progress.finish_and_clear();
    same_gas(&rows)?;
    if console.json {
        console.object(&SoakReport { rows: &rows })?;
    } else {
        console.data(print::report(&rows, &trees, protocol))?;
    }
    Ok(exit)
}

fn progress(steps: u64, console: &Console) -> ProgressBar {
    let target = if console.shows_progress() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    match ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Gas is a matter of the protocol and never of the engine.
fn same_gas(rows: &[Row]) -> Result<(), Failure> {
    let mut first = BTreeMap::new();
    for row in rows {
        let gas = (row.gas_vm, row.gas_receipt, row.gas_total);
        let (engine, known) = *first.entry((row.mode, row.loops)).or_insert((row.engine, gas));
        if known != gas {
            let Row { mode, loops, .. } = row;
            let message = format!(
                "{} with {loops} loops: gas (VM, receipt, total) is {known:?} on {engine} and {gas:?} on {}",
                mode.name(),
                row.engine
            );
            return Err(Failure::new(Exit::Internal, "GasDiffersBetweenEngines", message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(engine: &'static str, gas_vm: u64) -> Row {
        Row {
            mode: Mode::Public,
            engine,
            loops: 1,
            gas_vm,
            gas_receipt: 1,
            gas_total: 1,
            nanos_median: 1,
            nanos_min: 1,
            nanos_max: 1,
            runs: 1,
        }
    }

    #[test]
    fn gas_that_differs_between_engines_is_an_error() {
        assert!(same_gas(&[row("cranelift", 5), row("wasmi", 5)]).is_ok());
        let failure = same_gas(&[row("cranelift", 5), row("wasmi", 6)]).unwrap_err();
        assert_eq!(failure.exit, Exit::Internal);
        assert!(failure.message.contains("cranelift") && failure.message.contains("wasmi"));
    }
}
