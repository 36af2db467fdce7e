//! The report as a folder: `results.md`, and in `charts` a chart for each quantity and engine.

use super::chart::{Quantity, bars};
use super::report::{Ratio, Report, Row};
use super::{Mode, print};
use anyhow::Result;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Folder of the charts, below the report's.
const CHARTS: &str = "charts";

const QUANTITIES: [(&str, Quantity); 3] = [
    (
        "execution_gas",
        Quantity {
            title: "Execution gas: Wasm, sync calls, hashes",
            unit: "Tgas",
            of: |row| row.execution_gas() as f64 / 1e12,
        },
    ),
    (
        "near_gas",
        Quantity {
            title: "NEAR gas of the whole call",
            unit: "Tgas",
            of: |row| row.near_gas as f64 / 1e12,
        },
    ),
    (
        "evm_gas",
        Quantity {
            title: "EVM gas that fits a call of 300 Tgas",
            unit: "million EVM gas",
            of: |row| row.evm_gas_per_300_tgas as f64 / 1e6,
        },
    ),
];

/// Writes the report into a folder, which is created.
pub(super) fn write(folder: &Path, report: &Report) -> Result<()> {
    let charts = folder.join(CHARTS);
    fs::create_dir_all(&charts)?;
    for engine in report.engines() {
        for (name, quantity) in &QUANTITIES {
            bars(&charts.join(format!("{name}_{engine}.svg")), report, engine, quantity)?;
        }
    }
    fs::write(folder.join("results.md"), text(report))?;
    Ok(())
}

fn text(report: &Report) -> String {
    let mut text = String::from("# Contracts of Ethereum in an engine contract\n\n");
    let _ = writeln!(text, "`cotenant bench evm --report DIR` on {}, {}.\n", machine(), commit());
    text.push_str(EXPLANATION);
    for engine in report.engines() {
        let _ = writeln!(text, "\n## On {engine}\n");
        gas(&mut text, report, engine);
        text.push('\n');
        room(&mut text, report, engine);
        text.push('\n');
        ratios(&mut text, report, engine);
        for (name, quantity) in &QUANTITIES {
            let _ = writeln!(text, "\n![{}]({CHARTS}/{name}_{engine}.svg)", quantity.title);
        }
    }
    let losers = without_gain(report);
    text.push_str("\n## Where compiled code does not help\n");
    if losers.is_empty() {
        text.push_str("Every workload takes less gas and less time compiled.\n");
    }
    losers.iter().for_each(|line| {
        let _ = writeln!(text, "- {line}");
    });
    text
}

const EXPLANATION: &str = "\
Gas is at the prices of protocol 88, in Tgas, of the receipt of one `submit` of a signed transaction (two for
`erc20_approve_transfer_from`), and of the call for `handwritten`. *Execution* is Wasm, sync calls and crypto; *crypto* is what
functions of the host hash (with reading the hash) and precompile for EVM frames, while compiled modules hash for
themselves, in *Wasm*; *host* is storage, logs and the rest, the recovery of the sender and the transaction's hash among
it; *loading* is the engine's code, by the byte; *fees* are the receipt's. Rows marked `*` burn more than a call may and
ran under a raised limit. EVM gas, output, logs and the state left are equal in all modes, gas is equal on all engines.
Time is a call through the whole host, commit included, the median of the runs.
";

fn gas(text: &mut String, report: &Report, engine: &str) {
    text.push_str(
        "| workload | mode | whole | execution | Wasm | sync | crypto | host | loading | fees | yields |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in report.rows.iter().filter(|row| row.engine == engine) {
        let mark = if row.over_limit { " *" } else { "" };
        let parts = [
            row.execution_gas(),
            row.near_gas_wasm,
            row.near_gas_sync,
            row.near_gas_crypto,
            row.near_gas_host,
            row.near_gas_loading,
            row.near_gas_fees,
        ];
        let parts = parts.map(print::tera).join(" | ");
        let whole = print::tera(row.near_gas);
        let (name, mode, yields) = (row.workload, row.mode.name(), row.yields);
        let _ = writeln!(text, "| {name} | {mode} | {whole}{mark} | {parts} | {yields} |");
    }
}

fn room(text: &mut String, report: &Report, engine: &str) {
    text.push_str(
        "| workload | mode | EVM gas | in 300 Tgas | in 1,000 Tgas | median ms | min | max | runs | calls a second |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in report.rows.iter().filter(|row| row.engine == engine) {
        let Row { workload, evm_gas, evm_gas_per_300_tgas, evm_gas_per_1000_tgas, runs, .. } = row;
        let times = [row.nanos_median, row.nanos_min, row.nanos_max];
        let times = times.map(|nanos| format!("{:.3}", nanos as f64 / 1e6)).join(" | ");
        let mode = row.mode.name();
        let a_second = 1e9 / row.nanos_median.max(1) as f64;
        let _ = writeln!(
            text,
            "| {workload} | {mode} | {evm_gas} | {evm_gas_per_300_tgas} | {evm_gas_per_1000_tgas} | {times} | {runs} \
             | {a_second:.0} |"
        );
    }
}

fn ratios(text: &mut String, report: &Report, engine: &str) {
    text.push_str(
        "| workload | ratio | execution gas | whole gas | EVM gas in a call | time |\n|---|---|--:|--:|--:|--:|\n",
    );
    for ratio in report.ratios.iter().filter(|ratio| ratio.engine == engine) {
        let Ratio { workload, execution_gas, near_gas, evm_gas_per_300_tgas, nanos, .. } = ratio;
        let (over, under) = (ratio.over.name(), ratio.under.name());
        let _ = writeln!(
            text,
            "| {workload} | {over} / {under} | {execution_gas:.2} | {near_gas:.2} | {evm_gas_per_300_tgas:.2} | {nanos:.2} |"
        );
    }
}

/// What compiled code makes worse, or hardly better.
fn without_gain(report: &Report) -> Vec<String> {
    const HARDLY: f64 = 1.1;
    let gains = report
        .ratios
        .iter()
        .filter(|ratio| (ratio.over, ratio.under) == (Mode::Interpreted, Mode::Compiled));
    let mut lines = Vec::new();
    for ratio in gains {
        let of = [
            ("execution gas", ratio.execution_gas),
            ("gas of the whole call", ratio.near_gas),
            ("time", ratio.nanos),
        ];
        for (what, gain) in of.into_iter().filter(|(_, gain)| *gain < HARDLY) {
            let Ratio { workload, engine, .. } = ratio;
            lines.push(format!(
                "`{workload}` on {engine}: {what} interpreted / compiled is {gain:.2}"
            ));
        }
    }
    lines
}

/// The machine, as Linux tells it.
fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = std::env::consts::OS;
    format!("{} ({cores} cores, {system})", model.map_or(std::env::consts::ARCH, str::trim))
}

/// The commit that is checked out where the command runs, and how it was built.
fn commit() -> String {
    let git = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let commit = git.ok().filter(|output| output.status.success());
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let built = if cfg!(debug_assertions) { "debug" } else { "release" };
    match commit {
        Some(commit) => format!("commit {commit}, {built} build"),
        None => format!("version {}, {built} build", env!("CARGO_PKG_VERSION")),
    }
}
