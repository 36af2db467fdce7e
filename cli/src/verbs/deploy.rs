//! `deploy ACCOUNT[:NAMESPACE] FILE`: a module that can be called, and with `--wait` is compiled.

use crate::args::Global;
use crate::console::Console;
use crate::failure::{Exit, Failure, broken_rules};
use crate::report::key_values;
use crate::text::{shown, tgas};
use crate::verbs;
use anyhow::{Context, Result};
use cotenant_host::engine::EngineKind;
use cotenant_host::runtime::Status;
use cotenant_host::{Host, HostFault};
use cotenant_submodules::validate::validate;
use cotenant_submodules::{DeployMode, ModuleId, Replace, Visibility};
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
    let code = verbs::module(file)?;
    let host = verbs::open(global, console)?;
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
        error: None,
    };
    // Before the transaction, so that a rejection costs nothing, leaves nothing and names every rule.
    if let Err(rejection) = validate(&code, visibility, &host.runtime().schedule().vm) {
        let file = file.display();
        let message = match rejection.omitted {
            0 => format!("{file} cannot be deployed as a {visibility} module"),
            more => format!(
                "{file} cannot be deployed as a {visibility} module ({more} more violations)"
            ),
        };
        let failure = Failure::new(Exit::Contract, "DeployError", message);
        report.error = Some(failure.with_rules(broken_rules(&rejection)));
    } else {
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

fn deploy(
    host: &Host,
    id: &ModuleId,
    mode: DeployMode,
    code: &[u8],
    report: &mut DeployReport,
    console: &Console,
) -> Result<()> {
    verbs::announce(host, [&id.account], console)?;
    let start = Instant::now();
    let outcome = host.deploy_as(id, mode, code)?;
    console.note(format_args!("deployed in {} ms", start.elapsed().as_millis()));
    report.gas_total = outcome.gas_total();
    let root = outcome.root().ok_or_else(|| HostFault::Bug("the receipt did not run".into()))?;
    if let Status::Failure(failure) = &root.status {
        let failed = Failure::new(Exit::of_abort(&failure.code), &failure.code, &failure.message);
        report.error = Some(failed.with("where", id.to_string()));
        return Ok(());
    }
    let modules = host.modules(&id.account)?;
    let record = modules.get(&id.namespace).context("the deployed module is not there")?;
    report.ok = true;
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
        match host.registry().compile(record, true)? {
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
