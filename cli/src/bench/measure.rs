//! One row of the benchmark: gas from a transaction, time from views of the same call.

use crate::bench::{Mode, Row};
use crate::failure::{Exit, Failure};
use crate::report::TreeReport;
use anyhow::{Context, Result};
use cotenant_host::engine::EngineKind;
use cotenant_host::exec::Abort;
use cotenant_host::runtime::Status;
use cotenant_host::{Call, Host, HostError};
use cotenant_submodules::{ModuleId, Visibility};
use std::time::{Duration, Instant};

/// Time a row may take; the runs end there, but not before [`RUNS_MIN`].
const ROW_TIME: Duration = Duration::from_secs(4);

/// The fewest runs of a row, if as many are asked for: there is no median of less.
const RUNS_MIN: usize = 3;

/// The method that does the work, in the modes that name it.
const METHOD: &str = "cpu_ram_soak";

/// A row, and where its gas went.
pub(super) struct Measured {
    pub(super) row: Row,
    pub(super) tree: TreeReport,
}

/// A row that could not be measured: it needs more gas than is allowed.
pub(super) struct Skipped {
    pub(super) reason: String,
}

/// The module to call and its method.
fn target(mode: Mode) -> Result<(ModuleId, &'static str)> {
    let (module, method) = match mode {
        Mode::Public => ("soak.near", METHOD),
        Mode::Submodule => ("parent.near", "run"),
        Mode::WasmInWasm => ("interpreter.near", "run"),
    };
    Ok((module.parse()?, method))
}

/// Deploys the modules of a mode; gives why an engine cannot take them.
pub(super) fn deploy(host: &Host, mode: Mode) -> Result<Result<(), String>> {
    let (main, _) = target(mode)?;
    let modules = match mode {
        Mode::Public => vec![(main, Visibility::Public, cotenant_contracts::soak())],
        Mode::Submodule => {
            let soak = ModuleId { account: main.account.clone(), namespace: "soak".parse()? };
            vec![
                (main, Visibility::Public, cotenant_contracts::soak_parent()),
                (soak, Visibility::Private, cotenant_contracts::soak()),
            ]
        }
        Mode::WasmInWasm => vec![(main, Visibility::Public, cotenant_contracts::wasm_in_wasm())],
    };
    for (module, visibility, code) in modules {
        match host.deploy(&module, visibility, code) {
            Err(HostError::Deploy(failed)) => return Ok(Err(failed.failure.message.clone())),
            other => other?,
        };
    }
    Ok(Ok(()))
}

/// The input: the number of loops in eight bytes, so that it is as long for each. What interprets the module
/// gets it along: module, method and input, each after its length.
fn input(mode: Mode, loops: u64) -> Result<Vec<u8>> {
    let number = loops.to_le_bytes();
    if mode != Mode::WasmInWasm {
        return Ok(number.to_vec());
    }
    let mut input = Vec::new();
    for part in [cotenant_contracts::soak(), METHOD.as_bytes(), number.as_slice()] {
        input.extend(u32::try_from(part.len())?.to_le_bytes());
        input.extend(part);
    }
    Ok(input)
}

/// Measures a mode on the engine of a host, warm.
pub(super) fn row(
    host: &Host,
    mode: Mode,
    engine: EngineKind,
    loops: u64,
    runs: u32,
) -> Result<Result<Measured, Skipped>> {
    let (module, method) = target(mode)?;
    let input = input(mode, loops)?;
    let schedule = host.runtime().schedule();
    let gas = schedule.vm.limit_config.max_total_prepaid_gas.as_gas();
    let call = Call::new(module.clone(), method).args(input.clone()).gas(gas);
    let outcome = host.call(&call)?;
    let root = outcome.root().context("the receipt of a call did not run")?;
    let what = format!("{} with {loops} loops on {engine}", mode.name());
    let Some(summary) = root.executions.first() else {
        return Err(wrong(&what, &format!("the receipt ended as {:?}", root.status)).into());
    };
    if let Some(abort) = &summary.abort {
        return out_of_gas(&what, abort, schedule.protocol).map(Err);
    }
    match &root.status {
        Status::SuccessValue(value) => expect(&what, loops, value)?,
        other => return Err(wrong(&what, &format!("the receipt ended as {other:?}")).into()),
    }
    let nanos = times(runs, || {
        let start = Instant::now();
        let execution = host.view(&module, method, &input)?;
        let nanos = start.elapsed().as_nanos();
        if let Some(abort) = &execution.abort {
            return Err(wrong(&what, &abort.message).into());
        }
        expect(&what, loops, &execution.return_data.as_value().unwrap_or_default())?;
        Ok(u64::try_from(nanos)?)
    })?;
    let row = Row {
        mode,
        engine: engine.name(),
        loops,
        gas_vm: summary.gas_vm,
        gas_receipt: root.gas_burnt,
        gas_total: outcome.gas_total(),
        nanos_median: median(&nanos),
        nanos_min: nanos.first().copied().unwrap_or(0),
        nanos_max: nanos.last().copied().unwrap_or(0),
        runs: u32::try_from(nanos.len())?,
    };
    Ok(Ok(Measured { row, tree: TreeReport::of(&summary.tree) }))
}

/// The module counts its loops and returns the count in eight bytes.
fn expect(what: &str, loops: u64, value: &[u8]) -> Result<(), Failure> {
    if value == loops.to_le_bytes() {
        return Ok(());
    }
    Err(wrong(what, &format!("it returned {value:?}")))
}

fn wrong(what: &str, found: &str) -> Failure {
    Failure::new(Exit::Internal, "WrongResult", format!("{what}: {found}"))
}

/// Out of gas is a matter of the loops asked for; any other failure is a fault.
fn out_of_gas(what: &str, abort: &Abort, protocol: u32) -> Result<Skipped> {
    if Exit::of_abort(&abort.code) != Exit::Limit {
        return Err(wrong(what, &format!("{}: {}", abort.code, abort.message)).into());
    }
    let reason =
        format!("{what}: more gas than protocol {protocol} allows a call ({})", abort.code);
    Ok(Skipped { reason })
}

/// Times of as many runs as fit [`ROW_TIME`], in ascending order. The first run warms up and is not counted.
fn times(runs: u32, mut run: impl FnMut() -> Result<u64>) -> Result<Vec<u64>> {
    run()?;
    let start = Instant::now();
    let mut nanos = Vec::new();
    for _ in 0..runs {
        if nanos.len() >= RUNS_MIN && start.elapsed() > ROW_TIME {
            break;
        }
        nanos.push(run()?);
    }
    nanos.sort_unstable();
    Ok(nanos)
}

/// The median of sorted times.
pub(super) fn median(nanos: &[u64]) -> u64 {
    let middle = nanos.len() / 2;
    match (nanos.len() % 2, nanos.get(middle)) {
        (1, Some(median)) => *median,
        (_, Some(upper)) => nanos[middle - 1].midpoint(*upper),
        (_, None) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), 0);
        assert_eq!(median(&[7]), 7);
        assert_eq!(median(&[1, 3]), 2);
        assert_eq!(median(&[1, 3, 100]), 3);
    }
}
