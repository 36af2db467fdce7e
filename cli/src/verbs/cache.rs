//! `cache ls | verify | pin | unpin | clear | compile`: compiled code of the home.

use crate::args::{CacheModules, CacheVerb, Global};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::{key_values, table};
use crate::text::shown;
use crate::verbs::home;
use anyhow::Result;
use cotenant_host::Host;
use cotenant_host::registry::{CacheReport, ModuleStatus};
use cotenant_host::view::ModuleRecord;
use cotenant_submodules::ModuleId;
use serde::Serialize;

#[derive(Serialize)]
struct ListReport {
    modules: Vec<ModuleReport>,
    stored_bytes: u64,
    stored_bytes_max: u64,
    waiting: u64,
    totals: TotalsReport,
}

#[derive(Serialize)]
struct ModuleReport {
    code_hash: String,
    visibility: String,
    code_bytes: u64,
    engine: &'static str,
    reason: Option<String>,
    failed: bool,
    pinned: bool,
    stand_in_bytes: u64,
    native_bytes: u64,
    hits: u64,
    misses: u64,
    compile_micros: u64,
}

#[derive(Serialize)]
struct TotalsReport {
    hits: u64,
    misses: u64,
    compiled: u64,
    failed: u64,
    damaged: u64,
    evicted: u64,
    collected: u64,
    unloaded: u64,
    disk_failures: u64,
    unprepared_deploys: u64,
    unprepared_micros_max: u64,
}

#[derive(Serialize)]
struct VerifyReport {
    authentic: u64,
    damaged: u64,
    missing: u64,
}

#[derive(Serialize)]
struct ClearReport {
    freed_bytes: u64,
}

#[derive(Serialize)]
struct ChangeReport {
    modules: Vec<ChangedModule>,
}

#[derive(Serialize)]
struct ChangedModule {
    module: String,
    engine: &'static str,
    reason: Option<String>,
    pinned: bool,
}

pub(super) fn run(what: &CacheVerb, global: &Global, console: &Console) -> Result<Exit> {
    let host = home::read(global, console)?;
    let registry = host.registry();
    match what {
        CacheVerb::Ls => {
            registry.collect()?;
            list(&registry.report(), console)
        }
        CacheVerb::Verify => {
            let progress = console.progress("checking compiled code");
            let found = registry.verify();
            drop(progress);
            if console.json {
                let (authentic, damaged, missing) = (found.authentic, found.damaged, found.missing);
                console.object(&VerifyReport { authentic, damaged, missing })?;
            } else {
                console.data(key_values(&[
                    ("authentic", found.authentic.to_string()),
                    ("damaged", format!("{} (removed)", found.damaged)),
                    ("missing", found.missing.to_string()),
                ]))?;
            }
            Ok(Exit::Fine)
        }
        CacheVerb::Clear => {
            let freed_bytes = registry.clear();
            if console.json {
                console.object(&ClearReport { freed_bytes })?;
            } else {
                console.data(key_values(&[("freed", format!("{freed_bytes} bytes"))]))?;
            }
            Ok(Exit::Fine)
        }
        CacheVerb::Pin(modules) => {
            let records = records(&host, modules)?;
            records.iter().for_each(|(_, record)| registry.pin(record, true));
            changed(&host, &records, console)
        }
        CacheVerb::Unpin(modules) => {
            let records = records(&host, modules)?;
            records.iter().for_each(|(_, record)| registry.pin(record, false));
            changed(&host, &records, console)
        }
        CacheVerb::Compile(modules) => {
            let records = records(&host, modules)?;
            let mut exit = Exit::Fine;
            for (module, record) in &records {
                let progress = console.progress(format!("compiling {module}"));
                let compiled = registry.compile(record, true)?;
                drop(progress);
                if compiled.is_err() {
                    exit = Exit::Contract;
                }
            }
            changed(&host, &records, console)?;
            Ok(exit)
        }
    }
}

/// The records of modules that have to be there.
fn records<'a>(host: &Host, named: &'a CacheModules) -> Result<Vec<(&'a ModuleId, ModuleRecord)>> {
    let mut found = Vec::new();
    for module in &named.modules {
        let modules = host.modules(&module.account)?;
        let Some(record) = modules.get(&module.namespace) else {
            let message = format!("no module `{module}`");
            let hint = format!("`cotenant modules {}` lists what is there", module.account);
            return Err(Failure::usage("NamespaceNotFound", message).with("hint", hint).into());
        };
        found.push((module, record.clone()));
    }
    Ok(found)
}

fn changed(host: &Host, records: &[(&ModuleId, ModuleRecord)], console: &Console) -> Result<Exit> {
    let modules = records.iter().map(|(module, record)| {
        let status = host.registry().status(record);
        ChangedModule {
            module: module.to_string(),
            engine: status.tier.name(),
            reason: status.reason,
            pinned: status.pinned,
        }
    });
    let report = ChangeReport { modules: modules.collect() };
    if console.json {
        console.object(&report)?;
        return Ok(Exit::Fine);
    }
    let mut rows = table(&["module", "engine", "pinned"], &[]);
    for module in report.modules {
        let pinned = if module.pinned { "yes" } else { "no" };
        rows.add_row([module.module, tier(module.engine, module.reason), pinned.to_owned()]);
    }
    console.data(rows)?;
    Ok(Exit::Fine)
}

fn tier(engine: &str, reason: Option<String>) -> String {
    match reason {
        Some(reason) => format!("{engine} ({})", shown(&reason)),
        None => engine.to_owned(),
    }
}

fn list(cache: &CacheReport, console: &Console) -> Result<Exit> {
    let report = ListReport {
        modules: cache.modules.iter().map(module).collect(),
        stored_bytes: cache.stored_bytes,
        stored_bytes_max: cache.limits.stored_bytes,
        waiting: cache.waiting,
        totals: totals(cache),
    };
    if console.json {
        console.object(&report)?;
        return Ok(Exit::Fine);
    }
    let names = [
        "code hash",
        "kind",
        "engine",
        "wasmi",
        "native",
        "hits",
        "misses",
        "compile ms",
        "pinned",
    ];
    let mut rows = table(&names, &[3, 4, 5, 6, 7]);
    for module in report.modules {
        rows.add_row([
            module.code_hash,
            module.visibility,
            tier(module.engine, module.reason),
            module.stand_in_bytes.to_string(),
            module.native_bytes.to_string(),
            module.hits.to_string(),
            module.misses.to_string(),
            format!("{:.1}", module.compile_micros as f64 / 1_000.0),
            if module.pinned { "yes" } else { "no" }.to_owned(),
        ]);
    }
    console.data(rows)?;
    let totals = report.totals;
    console.data(format_args!(
        "\n{}",
        key_values(&[
            ("on disk", format!("{} of {} bytes", report.stored_bytes, report.stored_bytes_max)),
            ("calls", format!("{} native, {} on wasmi", totals.hits, totals.misses)),
            (
                "compiles",
                format!(
                    "{} done, {} failed, {} waiting",
                    totals.compiled, totals.failed, report.waiting
                )
            ),
            (
                "removed",
                format!(
                    "{} for room, {} unused, {} damaged",
                    totals.evicted, totals.collected, totals.damaged
                )
            ),
            ("disk failures", totals.disk_failures.to_string()),
        ])
    ))?;
    Ok(Exit::Fine)
}

fn module(status: &ModuleStatus) -> ModuleReport {
    ModuleReport {
        code_hash: status.record.code_hash.to_string(),
        visibility: status.record.visibility.to_string(),
        code_bytes: status.record.code_bytes,
        engine: status.tier.name(),
        reason: status.reason.clone(),
        failed: status.failed,
        pinned: status.pinned,
        stand_in_bytes: status.stand_in_bytes,
        native_bytes: status.native_bytes,
        hits: status.hits,
        misses: status.misses,
        compile_micros: status.compile_micros,
    }
}

fn totals(cache: &CacheReport) -> TotalsReport {
    let totals = &cache.totals;
    TotalsReport {
        hits: totals.hits,
        misses: totals.misses,
        compiled: totals.compiled,
        failed: totals.failed,
        damaged: totals.damaged,
        evicted: totals.evicted,
        collected: totals.collected,
        unloaded: totals.unloaded,
        disk_failures: totals.disk_failures,
        unprepared_deploys: totals.unprepared_deploys,
        unprepared_micros_max: totals.unprepared_micros_max,
    }
}
