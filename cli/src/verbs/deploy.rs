//! `deploy ACCOUNT[:NAMESPACE] FILE`: a module that can be called, and with `--wait` is compiled.

use crate::args::Global;
use crate::console::Console;
use crate::failure::{Exit, Failure, broken_rules};
use crate::report::key_values;
use crate::text::{shown, tgas};
use crate::verbs::warnings::{self, Warning};
use crate::verbs::{home, input};
use anyhow::{Context, Result};
use cotenant_host::engine::EngineKind;
use cotenant_host::{Host, HostError};
use cotenant_submodules::validate::{inspect, validate};
use cotenant_submodules::{DeployMode, ModuleId, Replace, Visibility};
use near_parameters::vm::Config;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

#[derive(Serialize)]
struct DeployReport {
    ok: bool,
    account: String,
    namespace: String,
    visibility: String,
    code_hash: Option<String>,
    code_bytes: usize,
    gas_total: u64,
    engines: Vec<&'static str>,
    reason: Option<String>,
    /// Hash of the code that was there before.
    replaced: Option<String>,
    error: Option<Failure>,
}

pub(super) fn run(
    id: &ModuleId,
    file: &Path,
    private: bool,
    replace: Replace,
    wait: bool,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let visibility = if private { Visibility::Private } else { Visibility::Public };
    if private && id.namespace.is_default() {
        let message = "the default namespace is always public";
        let hint = format!("name another one: `{}:NAMESPACE`", id.account);
        return Err(Failure::usage("DefaultNamespaceMustBePublic", message)
            .with("hint", hint)
            .into());
    }
    let code = input::module(file)?;
    let host = home::open(global, console)?;
    let mut report = DeployReport {
        ok: false,
        account: id.account.to_string(),
        namespace: id.namespace.to_string(),
        visibility: visibility.to_string(),
        code_hash: None,
        code_bytes: code.len(),
        gas_total: 0,
        engines: Vec::new(),
        reason: None,
        replaced: None,
        error: None,
    };
    let vm = &host.runtime().schedule().vm;
    // Before the transaction, so that a rejection costs nothing, leaves nothing and names every rule.
    if let Err(rejection) = validate(&code, visibility, vm) {
        let file = file.display();
        let message = match rejection.omitted {
            0 => format!("{file} cannot be deployed as a {visibility} module"),
            more => format!(
                "{file} cannot be deployed as a {visibility} module ({more} more violations)"
            ),
        };
        let failure = Failure::new(Exit::Contract, "DeployError", message);
        report.error = Some(failure.with_rules(broken_rules(&rejection)));
    } else if let Some(taken) = taken(&host, id, replace)? {
        report.error = Some(taken);
    } else {
        advise(id, visibility, &code, vm, console);
        let mode = DeployMode { visibility, replace };
        deploy(&host, id, mode, &code, &mut report, console)?;
        if report.ok {
            compile(&host, id, wait, &mut report, console)?;
        }
    }
    let exit = report.error.as_ref().map_or(Exit::Fine, |failure| failure.exit);
    if console.json {
        console.object(&report)?;
    } else if let Some(failure) = &report.error {
        console.block(failure);
    } else {
        console.data(table(&report))?;
    }
    Ok(exit)
}

/// Refuses to replace a module unless that was asked for.
fn taken(host: &Host, id: &ModuleId, replace: Replace) -> Result<Option<Failure>> {
    let modules = host.modules(&id.account)?;
    let Some(record) = modules.get(&id.namespace).filter(|_| replace == Replace::Nothing) else {
        return Ok(None);
    };
    let message =
        format!("{id} is taken by a {} module, code {}", record.visibility, record.code_hash);
    let failure = Failure::usage("ModuleExists", message).with("where", id.to_string());
    Ok(Some(failure.with("hint", "--replace puts this module in its place; the storage stays")))
}

/// Warns of what `check` warns of, and of a module that anybody may call without need.
fn advise(id: &ModuleId, visibility: Visibility, code: &[u8], vm: &Config, console: &Console) {
    let found = inspect(code, vm);
    for Warning { code, message, hint } in warnings::of(code, &found, &vm.limit_config) {
        console.note(format_args!("warning[{code}]: {message}\n  hint: {hint}"));
    }
    if visibility == Visibility::Public && !id.namespace.is_default() && found.private.is_ok() {
        console.note(format_args!(
            "warning[PublicModule]: {id} is deployed public, so anybody may call it, and it could be private\n  \
             hint: `--replace --private` makes it one that modules of {} alone reach",
            id.account
        ));
    }
}

fn deploy(
    host: &Host,
    id: &ModuleId,
    mode: DeployMode,
    code: &[u8],
    report: &mut DeployReport,
    console: &Console,
) -> Result<()> {
    home::announce(host, [&id.account], console)?;
    let before = host.modules(&id.account)?.get(&id.namespace).map(|record| record.code_hash);
    let start = Instant::now();
    let progress = console.progress(format!("deploying {id}"));
    let outcome = match host.deploy_as(id, mode, code) {
        Err(HostError::Deploy(failed)) => {
            report.gas_total = failed.outcome.gas_total();
            report.error = Some(Failure::of_receipt(&failed.failure).with("where", id.to_string()));
            return Ok(());
        }
        other => other?,
    };
    drop(progress);
    console.note(format_args!("deployed in {} ms", start.elapsed().as_millis()));
    report.gas_total = outcome.gas_total();
    let modules = host.modules(&id.account)?;
    let record = modules.get(&id.namespace).context("the deployed module is not there")?;
    report.ok = true;
    report.replaced = before.map(|hash| hash.to_string());
    if let Some(hash) = &report.replaced {
        console.note(format_args!("replaced {hash}"));
    }
    report.code_hash = Some(record.code_hash.to_string());
    Ok(())
}

/// Waits for the optimising compile if that is wanted, and says on which engines the module is ready.
fn compile(
    host: &Host,
    id: &ModuleId,
    wait: bool,
    report: &mut DeployReport,
    console: &Console,
) -> Result<()> {
    let modules = host.modules(&id.account)?;
    let record = modules.get(&id.namespace).context("the deployed module is not there")?;
    if wait {
        let start = Instant::now();
        let progress = console.progress(format!("compiling {id}"));
        let compiled = host.registry().compile(record, true)?;
        drop(progress);
        match compiled {
            Ok(()) => console.note(format_args!("compiled in {} ms", start.elapsed().as_millis())),
            Err(reason) => console.note(format_args!("not compiled: {reason}")),
        }
    }
    let status = host.registry().status(record);
    report.engines = vec![EngineKind::Wasmi.name()];
    if status.tier != EngineKind::Wasmi {
        report.engines.insert(0, status.tier.name());
    }
    report.reason = status.reason;
    Ok(())
}

fn table(report: &DeployReport) -> String {
    let module = match report.namespace.as_str() {
        "" => report.account.clone(),
        namespace => format!("{}:{namespace}", report.account),
    };
    key_values(&[
        ("module", shown(&module)),
        ("kind", report.visibility.clone()),
        ("code hash", report.code_hash.clone().unwrap_or_default()),
        ("code", format!("{} bytes", report.code_bytes)),
        ("gas", tgas(report.gas_total)),
        (
            "engines",
            match &report.reason {
                Some(reason) => format!("{} ({})", report.engines.join(", "), shown(reason)),
                None => report.engines.join(", "),
            },
        ),
    ])
}
