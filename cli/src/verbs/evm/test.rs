//! `evm test`: Ethereum's state tests.

use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::text::shown;
use anyhow::Result;
use evm_driver::ModuleOptions;
use evm_driver::statetest::{self, Options, Report, RunError};
use evm_to_wasm::Fork;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::PathBuf;

/// Threads unless a number is given: a thread keeps its own modules, so more of them compile more.
const THREADS_MAX: usize = 8;

/// Failures that people are shown; `--json` has all.
const SHOWN_MAX: usize = 20;

/// Makes options of the command line's arguments.
pub(super) fn options(
    fork: Option<Fork>,
    filter: Option<String>,
    interpret: bool,
    threads: Option<u32>,
    modules: ModuleOptions,
) -> Options {
    let machine = || std::thread::available_parallelism().map_or(1, |threads| threads.get());
    Options {
        fork: fork.map(evm_driver::spec_of_fork),
        filter,
        interpret,
        modules,
        threads: threads.map_or_else(|| machine().min(THREADS_MAX), |threads| threads as usize),
    }
}

pub(super) fn run(paths: &[PathBuf], options: &Options, console: &Console) -> Result<Exit> {
    let bar = progress(console);
    let told = |done: usize, files: usize| {
        bar.set_length(files as u64);
        bar.set_position(done as u64);
    };
    let report = statetest::run(paths, options, &told);
    bar.finish_and_clear();
    let report = report.map_err(|error| match error {
        RunError::Read(error) => Failure::usage("TestsUnreadable", error.to_string()),
        error => Failure::new(Exit::Internal, "Internal", error.to_string()),
    })?;
    for refused in &report.refused {
        console.note(format_args!("not compiled: {refused}"));
    }
    if console.json {
        console.object(&report)?;
    } else {
        print(&report, console)?;
    }
    Ok(if report.failed == 0 { Exit::Fine } else { Exit::Contract })
}

fn progress(console: &Console) -> ProgressBar {
    let target = if console.shows_progress() {
        ProgressDrawTarget::stderr_with_hz(4)
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    match ProgressStyle::with_template("{bar:30} {pos}/{len} files, {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn print(report: &Report, console: &Console) -> Result<()> {
    for failure in report.failures.iter().take(SHOWN_MAX) {
        let place = format!("{} {} [{}]", failure.file, failure.test, failure.index);
        console.data(format_args!("failed {}: {}", shown(&place), shown(&failure.reason)))?;
    }
    if report.failures.len() > SHOWN_MAX {
        let rest = report.failures.len() - SHOWN_MAX;
        console.data(format_args!("and {rest} more; --json lists them all"))?;
    }
    let Report { passed, failed, skipped, compiled_frames, interpreted_frames, yields, .. } =
        report;
    let mut reasons = std::collections::BTreeMap::new();
    for skip in &report.skips {
        *reasons.entry(skip.reason.as_str()).or_insert(0) += skip.cases;
    }
    for (reason, cases) in reasons {
        console.data(format_args!("skipped {cases} cases: {}", shown(reason)))?;
    }
    console.data(format_args!("{passed} passed, {failed} failed, {skipped} skipped"))?;
    console.data(format_args!(
        "{compiled_frames} frames compiled ({yields} yields), {interpreted_frames} interpreted"
    ))
}
