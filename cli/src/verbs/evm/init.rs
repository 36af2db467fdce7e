//! `evm init ACCOUNT`: an engine with its private modules, ready for transactions.

use super::engine::{OWNER_GAS, succeeded};
use super::fork_name;
use crate::args::Global;
use crate::console::Console;
use crate::failure::Exit;
use crate::failure::Failure;
use crate::report::key_values;
use crate::text::tgas;
use crate::verbs::home;
use anyhow::Result;
use cotenant_host::Call;
use cotenant_submodules::{DeployMode, ModuleId, Replace, Visibility};
use engine_abi::New;
use evm_to_wasm::Fork;
use near_account_id::AccountId;
use serde::Serialize;

/// The choices that an engine is started with.
pub(super) struct Chosen {
    pub(super) chain_id: u64,
    pub(super) fork: Fork,
    pub(super) owner: Option<AccountId>,
    pub(super) permissionless: bool,
}

#[derive(Serialize)]
struct InitReport {
    engine: String,
    chain_id: u64,
    fork: &'static str,
    owner: String,
    modules: Vec<String>,
    gas_total: u64,
}

pub(super) fn run(
    account: &AccountId,
    chosen: Chosen,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let host = home::open(global, console)?;
    let engine: ModuleId = account.as_str().parse()?;
    if host.modules(account)?.contains_key(&engine.namespace) {
        let message = format!("{account} has a default module already");
        let hint =
            format!("choose another account; `cotenant modules {account}` lists what is there");
        return Err(Failure::usage("ModuleExists", message).with("hint", hint).into());
    }
    if let Some(owner) = &chosen.owner {
        home::existing(&host, owner)?;
    }
    home::announce(&host, [account], console)?;
    let module = |namespace: &str| format!("{account}:{namespace}").parse::<ModuleId>();
    let parts = [
        (engine.clone(), Visibility::Public, cotenant_contracts::engine()),
        (module("evm_precompiles")?, Visibility::Private, cotenant_contracts::evm_precompiles()),
        (module("evm_compiler")?, Visibility::Private, cotenant_contracts::evm_compiler()),
    ];
    let mut modules = Vec::new();
    let mut gas_total = 0;
    for (id, visibility, code) in parts {
        let progress = console.progress(format!("deploying {id}"));
        let outcome =
            host.deploy_as(&id, DeployMode { visibility, replace: Replace::Nothing }, code)?;
        drop(progress);
        gas_total += outcome.gas_total();
        modules.push(id.to_string());
    }
    let owner = chosen.owner.as_ref().unwrap_or(account).to_string();
    let new = New {
        chain_id: chosen.chain_id,
        owner: owner.clone(),
        fork: match chosen.fork {
            Fork::Cancun => engine_abi::Fork::Cancun,
            Fork::Prague => engine_abi::Fork::Prague,
            Fork::Osaka => engine_abi::Fork::Osaka,
        },
        permissionless_promote: chosen.permissionless,
    };
    let outcome = host.call(&Call::new(engine, "new").args(borsh::to_vec(&new)?).gas(OWNER_GAS))?;
    succeeded(&outcome)?;
    gas_total += outcome.gas_total();
    let fork = fork_name(chosen.fork);
    let report = InitReport {
        engine: account.to_string(),
        chain_id: chosen.chain_id,
        fork,
        owner,
        modules,
        gas_total,
    };
    if console.json {
        console.object(&report)?;
        return Ok(Exit::Fine);
    }
    console.data(key_values(&[
        ("engine", report.engine),
        ("chain id", report.chain_id.to_string()),
        ("fork", report.fork.to_owned()),
        ("owner", report.owner),
        ("modules", report.modules.join(", ")),
        ("gas total", tgas(report.gas_total)),
    ]))?;
    Ok(Exit::Fine)
}
