//! `state scrub|reproduce`, and what the child of a host does.

use crate::args::{Global, StateVerb};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::key_values;
use anyhow::Result;
use cotenant_host::child::{self, Limits};
use cotenant_host::compile::Compile;
use cotenant_host::engine::EngineKind;
use cotenant_host::runtime::FaultReport;
use cotenant_host::state::scrub;
use cotenant_host::{Host, HostError, Options};
use near_primitives_core::hash::CryptoHash;
use serde::Serialize;
use std::fs;
use std::path::Path;

/// Gas that may take a second of processor time, where the slowest known takes 30 ms.
const GAS_PER_SECOND: u64 = 1_000_000_000_000;

/// Seconds of processor time for opening the home.
const OPENING_SECONDS: u64 = 60;

/// What a rehearsal may use. Of the address space most is reserved for memories and never touched.
const REHEARSAL: Limits =
    Limits { address_space_bytes: 1 << 42, data_bytes: 8 << 30, cpu_seconds: OPENING_SECONDS };

pub(super) fn run(what: &StateVerb, global: &Global, console: &Console) -> Result<Exit> {
    match what {
        StateVerb::Scrub => check(global, console),
        StateVerb::Reproduce { file, engine } => reproduce(file, *engine, console),
    }
}

fn check(global: &Global, console: &Console) -> Result<Exit> {
    let scrubbed = scrub(&global.home).map_err(HostError::from)?;
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
        Ok(outcome) => (None, Some(format!("{:?}", outcome.status))),
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
        ("then", crate::text::shown(&reproduced.fault)),
        ("now", crate::text::shown(&now)),
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
