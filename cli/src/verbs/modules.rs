//! `modules ACCOUNT`: what is deployed there.

use crate::args::Global;
use crate::console::Console;
use crate::failure::Exit;
use crate::report::table;
use crate::text::shown;
use crate::verbs::home;
use anyhow::{Context, Result};
use cotenant_host::{Host, view::ModuleRecord};
use cotenant_submodules::Visibility;
use cotenant_submodules::validate::inspect;
use near_account_id::AccountId;
use serde::Serialize;

#[derive(Serialize)]
struct ModulesReport {
    account: String,
    modules: Vec<ModuleReport>,
}

#[derive(Serialize)]
struct ModuleReport {
    namespace: String,
    visibility: String,
    code_hash: String,
    code_bytes: u64,
    requires: Vec<&'static str>,
    engine: &'static str,
    reason: Option<String>,
}

pub(super) fn run(account: &AccountId, global: &Global, console: &Console) -> Result<Exit> {
    let host = home::read(global, console)?;
    home::existing(&host, account)?;
    let mut modules = Vec::new();
    for (namespace, record) in host.modules(account)? {
        let status = host.registry().status(&record);
        modules.push(ModuleReport {
            namespace: namespace.to_string(),
            visibility: record.visibility.to_string(),
            code_hash: record.code_hash.to_string(),
            code_bytes: record.code_bytes,
            requires: requirements(&host, &record)?,
            engine: status.tier.name(),
            reason: status.reason,
        });
    }
    let report = ModulesReport { account: account.to_string(), modules };
    if console.json {
        console.object(&report)?;
        return Ok(Exit::Fine);
    }
    if report.modules.is_empty() {
        console.note(format_args!("{account} has no modules"));
        return Ok(Exit::Fine);
    }
    let mut rows = table(&["namespace", "kind", "requires", "bytes", "code hash", "engine"], &[3]);
    for module in report.modules {
        let namespace =
            if module.namespace.is_empty() { "(default)".into() } else { module.namespace };
        rows.add_row([
            namespace,
            module.visibility,
            module.requires.join(", "),
            module.code_bytes.to_string(),
            module.code_hash,
            match module.reason {
                Some(reason) => format!("{} ({})", module.engine, shown(&reason)),
                None => module.engine.to_owned(),
            },
        ]);
    }
    console.data(rows)?;
    Ok(Exit::Fine)
}

/// Lists the grants that a private module requires of its caller; a public one requires none.
fn requirements(host: &Host, record: &ModuleRecord) -> Result<Vec<&'static str>> {
    if record.visibility == Visibility::Public {
        return Ok(Vec::new());
    }
    let code = host.state()?.code(&record.code_hash)?.context("the code of a module is missing")?;
    let found = inspect(&code, &host.runtime().schedule().vm);
    let module = found.private.context("a deployed module breaks the rules of this version")?;
    Ok(module.requirements.grants.iter().map(|capability| capability.name()).collect())
}
