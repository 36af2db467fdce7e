//! `state view|scrub|reproduce`, and what the child of a host does.

use crate::args::{Global, Hex, StateVerb};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::{key_values, table};
use crate::text;
use crate::verbs::home;
use anyhow::Result;
use cotenant_host::child::{self, Limits};
use cotenant_host::compile::Compile;
use cotenant_host::engine::EngineKind;
use cotenant_host::runtime::FaultReport;
use cotenant_host::state::scrub;
use cotenant_host::{Host, HostError, Options};
use cotenant_submodules::ModuleId;
use near_primitives_core::hash::CryptoHash;
use serde::Serialize;
use std::fs;
use std::path::Path;

/// Gas that may take a second of processor time, where the slowest known takes 30 ms.
const GAS_PER_SECOND: u64 = 1_000_000_000_000;

/// Seconds of processor time for opening the home.
const OPENING_SECONDS: u64 = 60;

/// Limits of a rehearsal. Most of the address space is reserved for memories and never touched.
const REHEARSAL: Limits =
    Limits { address_space_bytes: 1 << 42, data_bytes: 8 << 30, cpu_seconds: OPENING_SECONDS };

pub(super) fn run(what: &StateVerb, global: &Global, console: &Console) -> Result<Exit> {
    match what {
        StateVerb::View { module, prefix, prefix_hex, limit } => {
            let prefix = match (prefix, prefix_hex) {
                (Some(text), _) => text.as_bytes(),
                (None, Some(Hex(bytes))) => bytes,
                (None, None) => &[],
            };
            view(module, prefix, *limit as usize, global, console)
        }
        StateVerb::Scrub => check(global, console),
        StateVerb::Reproduce { file, engine } => reproduce(file, *engine, console),
    }
}

#[derive(Serialize)]
struct ValuesReport {
    module: String,
    values: Vec<ValueReport>,
    /// Set if there are more values than the limit allows.
    more: bool,
}

#[derive(Serialize)]
struct ValueReport {
    key_base64: String,
    value_base64: String,
}

fn view(
    module: &ModuleId,
    prefix: &[u8],
    limit: usize,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let host = home::read(global, console)?;
    home::existing(&host, &module.account)?;
    let mut values = host.state()?.values(&module.account, &module.namespace, prefix, limit + 1)?;
    let more = values.len() > limit;
    values.truncate(limit);
    if console.json {
        let values = values.iter().map(|(key, value)| ValueReport {
            key_base64: text::base64(key),
            value_base64: text::base64(value),
        });
        let values = values.collect();
        console.object(&ValuesReport { module: module.to_string(), values, more })?;
        return Ok(Exit::Fine);
    }
    let mut rows = table(&["key", "value"], &[]);
    for (key, value) in &values {
        rows.add_row([key.escape_ascii().to_string(), value.escape_ascii().to_string()]);
    }
    console.data(rows)?;
    if more {
        console.note(format_args!("and more; --limit N shows more than {limit}"));
    }
    Ok(Exit::Fine)
}

fn check(global: &Global, console: &Console) -> Result<Exit> {
    let progress = console.progress(format!("reading {}", global.home.display()));
    let scrubbed = scrub(&global.home).map_err(HostError::from)?;
    drop(progress);
    if console.json {
        console.object(&scrubbed)?;
        return Ok(Exit::Fine);
    }
    let records: u64 = scrubbed.records.values().sum();
    console.data(key_values(&[
        ("pages", scrubbed.pages.to_string()),
        ("records", records.to_string()),
        ("bytes", scrubbed.bytes.to_string()),
        ("damage", "none".to_owned()),
    ]))?;
    Ok(Exit::Fine)
}

#[derive(Serialize)]
struct Reproduced {
    receipt: String,
    height: u64,
    protocol: u32,
    version: String,
    fault: String,
    again: Option<String>,
    status: Option<String>,
}

fn reproduce(file: &Path, engine: EngineKind, console: &Console) -> Result<Exit> {
    let name = file.display();
    let bytes = fs::read(file)
        .map_err(|error| Failure::usage("FileUnreadable", format!("{name}: {error}")))?;
    let report = FaultReport::of_bytes(&bytes)
        .ok_or_else(|| Failure::usage("NoFaultReport", format!("{name}: no report of a fault")))?;
    let (again, status) = match Host::reproduce(&report, engine) {
        Ok(outcome) => (None, Some(outcome.status.to_string())),
        Err(error) => (Some(error.to_string()), None),
    };
    let exit = if again.is_some() { Exit::Internal } else { Exit::Fine };
    let reproduced = Reproduced {
        receipt: report.receipt.id.to_string(),
        height: report.height,
        protocol: report.protocol,
        version: report.version,
        fault: report.fault,
        again,
        status,
    };
    if console.json {
        console.object(&reproduced)?;
        return Ok(exit);
    }
    let now = reproduced.again.or(reproduced.status).unwrap_or_default();
    console.data(key_values(&[
        ("receipt", reproduced.receipt),
        ("then", text::shown(&reproduced.fault)),
        ("now", text::shown(&now)),
    ]))?;
    Ok(exit)
}

/// Runs a receipt so that the parent learns whether it kills the process.
pub(super) fn rehearse(receipt: CryptoHash, global: &Global) -> Result<Exit> {
    child::enter(&REHEARSAL)?;
    child::end_with_input();
    // A compiler that dies is no death of the receipt's.
    let compile = Some(Compile::Never);
    let options = Options { protocol: global.protocol, compile, ..Options::default() };
    let limit = |gas: u64| {
        // A limit that cannot be raised ends it early, which says nothing but that it was long.
        let _ = child::allow_cpu(2 * OPENING_SECONDS + gas.div_ceil(GAS_PER_SECOND));
    };
    Host::rehearse(&global.home, &options, receipt, limit)?;
    Ok(Exit::Fine)
}
