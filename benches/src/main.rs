//! Benchmarks that need near-vm-runner's own runner (and so wasmtime), which the product's binary has not.
//!
//! `cotenant-bench calls [--json] [--runs N]`: starts, switches, calls, metering, on cranelift.
//! `cotenant-bench soak [--json] [--runs N]`: soak at 10,000 loops here and on near-vm-runner.
//! `cotenant-bench calibrate [--json] [--runs N] [--write]`: times of the sync-call functions on every engine
//! and the gas that follows; `--write` prints the block for `gas/src/sync_costs.rs`.
//! `cotenant-bench worst [--json] [--runs N] [--sample-ggas N] [--mutate SECONDS] [--seed N]`: where time does not fit its price,
//! the worst first.
//! `cotenant-bench kernel NAME bare|metered [--runs N]`: one metering kernel, for callgrind.
//! `cotenant-bench path start|yield|close|call|hash [--runs N]`: one path of the host over and over, for perf.
//!
//! Everything runs on the one thread that made it: sessions and pooled instances do not leave theirs.

mod calibrate;
mod calls;
mod metering;
mod modules;
mod near;
mod soak;
mod stats;
mod table;
mod world;
mod worst;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use std::process::ExitCode;

const USAGE: &str = "usage: cotenant-bench calls|soak|calibrate [--json] [--runs N] [--write]
       cotenant-bench worst [--json] [--runs N] [--sample-ggas N] [--mutate SECONDS] [--seed N]
       cotenant-bench kernel fib|sieve|soak|hash_calls bare|metered [--runs N]
       cotenant-bench path start|yield|close|call|hash [--runs N]";

/// Runs of each measurement unless told, and of `worst`.
const RUNS: usize = 51;
const WORST_RUNS: usize = 3;

struct Arguments {
    words: Vec<String>,
    json: bool,
    write: bool,
    runs: Option<usize>,
    sample_ggas: u64,
    mutate_seconds: u64,
    seed: u64,
}

fn arguments() -> Result<Arguments> {
    let mut found = Arguments {
        words: Vec::new(),
        json: false,
        write: false,
        runs: None,
        sample_ggas: 1_000,
        mutate_seconds: 0,
        seed: 1,
    };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut number = |least: u64| -> Result<u64> {
            let text = given.next().with_context(|| format!("{argument} wants a number"))?;
            let number = text.parse().ok().filter(|number| *number >= least);
            number.with_context(|| {
                format!("{argument} is `{text}`: it wants a number, {least} or more")
            })
        };
        match argument.as_str() {
            "--json" => found.json = true,
            "--write" => found.write = true,
            "--runs" => found.runs = Some(usize::try_from(number(1)?)?),
            "--sample-ggas" => found.sample_ggas = number(1)?,
            "--mutate" => found.mutate_seconds = number(1)?,
            "--seed" => found.seed = number(0)?,
            option if option.starts_with('-') => bail!("no option `{option}`\n{USAGE}"),
            word => found.words.push(word.to_owned()),
        }
    }
    Ok(found)
}

fn print_json(report: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}

fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { json, write, sample_ggas, mutate_seconds, seed, .. } = *arguments;
    let runs = arguments.runs.unwrap_or(RUNS);
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["calls"] => {
            let report = calls::measure(runs)?;
            if json {
                return print_json(&report);
            }
            report.print();
            Ok(())
        }
        ["soak"] => {
            let report = soak::measure(runs)?;
            if json {
                return print_json(&report);
            }
            report.print();
            Ok(())
        }
        ["calibrate"] => {
            let report = calibrate::measure(runs)?;
            match (write, json) {
                (true, _) => print!("{}", report.block()),
                (false, true) => return print_json(&report),
                (false, false) => report.print(),
            }
            Ok(())
        }
        ["worst"] => {
            let samples = arguments.runs.unwrap_or(WORST_RUNS);
            let sample_gas = sample_ggas.saturating_mul(1_000_000_000);
            let settings = worst::Settings { sample_gas, samples, mutate_seconds, seed };
            let report = worst::measure(settings)?;
            if json {
                return print_json(&report);
            }
            report.print();
            Ok(())
        }
        ["kernel", name, how] => {
            let Some((_, text)) = metering::KERNELS.iter().find(|(known, _)| known == name) else {
                bail!("no kernel `{name}`\n{USAGE}");
            };
            let metered = match *how {
                "bare" => false,
                "metered" => true,
                other => bail!("`{other}` is neither bare nor metered\n{USAGE}"),
            };
            let mut kernel = metering::Kernel::new(text, metered)?;
            for _ in 0..runs {
                println!("{:.0} ns", kernel.run()?);
            }
            Ok(())
        }
        ["path", name] => {
            for nanos in calls::path(name, runs)? {
                println!("{nanos:.0} ns");
            }
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
