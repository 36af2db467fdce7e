//! The verbs: what each does, and what it prints.

mod abi;
mod cache;
mod call;
mod check;
mod contracts;
mod demo;
mod deploy;
mod evm;
mod modules;
mod state;
mod view;

pub(crate) use evm::EvmVerb;

use crate::args::{BenchVerb, Cli, Global, Target, Verb};
use crate::bench;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::text;
use anyhow::Result;
use cotenant_host::compile::{Compile, CompileLimits, Compiler};
use cotenant_host::engine::EngineKind;
use cotenant_host::registry::CacheLimits;
use cotenant_host::{Host, Options};
use cotenant_submodules::ModuleId;
use near_account_id::AccountId;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Bytes of the largest file that is read: many times the largest module NEAR takes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Does what the command line says.
///
/// # Errors
/// Why it was not done: a [`Failure`], or an error that [`Failure::of`] understands.
pub(crate) fn run(cli: Cli, console: &Console) -> Result<Exit> {
    let global = &cli.global;
    match cli.verb {
        Verb::Check { file } => check::run(&file, global, console),
        Verb::Deploy { module, file, private, replace, wait } => {
            deploy::run(&module, &file, private, replace, wait, global, console)
        }
        Verb::Cache { what } => cache::run(&what, global, console),
        Verb::CompileWorker => compile_worker(),
        Verb::Modules { account } => modules::run(&account, global, console),
        Verb::Call { target, gas, deposit, signer } => {
            call::run(&target, gas, deposit, signer, global, console)
        }
        Verb::View { target } => view::run(&target, global, console),
        Verb::Abi => abi::run(global, console),
        Verb::Demo => demo::run(global, console),
        Verb::Contracts { out } => contracts::run(out.as_deref(), global, console),
        Verb::Evm { what } => evm::run(what, global, console),
        Verb::State { what } => state::run(&what, global, console),
        Verb::Rehearse { receipt } => state::rehearse(receipt, global),
        Verb::Bench { what: BenchVerb::Soak { runs, loops } } => {
            bench::soak(runs, &loops, global.protocol, console)
        }
        Verb::Bench { what: BenchVerb::Evm { runs, filter, engine, mode, report } } => {
            let options = bench::evm::Options {
                runs,
                filter: filter.as_deref(),
                engines: &engine,
                modes: &mode,
                report: report.as_deref(),
            };
            bench::evm::run(&options, console)
        }
    }
}

/// The host of the home.
fn open(global: &Global, console: &Console) -> Result<Host> {
    let options = Options {
        protocol: global.protocol,
        compile: Some(Compile::Background),
        compiler: Compiler::Process {
            // This binary, also when the file has been replaced since.
            program: "/proc/self/exe".into(),
            arguments: vec!["compile-worker".into()],
            limits: CompileLimits::default(),
        },
        cache: CacheLimits { stored_bytes: global.cache_max, ..CacheLimits::default() },
        rehearsal: Some("/proc/self/exe".into()),
        ..Options::default()
    };
    let host = Host::open(&global.home, &options)?;
    console.detail(format_args!(
        "home {}, protocol {}",
        global.home.display(),
        host.runtime().schedule().protocol
    ));
    Ok(host)
}

/// What one process compiles before it ends is done for the next; it waits so long for what its calls brought about.
const LINGER: Duration = Duration::from_secs(1);

/// The longest that it waits.
const LINGER_MAX: Duration = Duration::from_secs(32);

/// Gives the compiles that a call began a moment to end. What does not is begun again by the next process, which waits twice
/// as long for it, so that large modules are compiled too.
fn linger(host: &Host) {
    let again = host.registry().attempts().saturating_sub(1).min(5);
    host.registry().settle((LINGER * 2_u32.pow(again)).min(LINGER_MAX));
}

/// Compiles all modules of an account that are not compiled yet, or have failed; says which cannot be.
fn compile_all(host: &Host, account: &AccountId, console: &Console) -> Result<()> {
    for (namespace, record) in host.modules(account)? {
        if let Err(reason) = host.registry().compile(&record, false)? {
            let module = ModuleId { account: account.clone(), namespace };
            console.note(format_args!("{module} runs on wasmi: {reason}"));
        }
    }
    Ok(())
}

/// Chooses the engine of a call, and says so if the module is not ready on it.
fn choose_engine(host: &Host, target: &Target, console: &Console) -> Result<()> {
    if target.wait {
        compile_all(host, &target.module.account, console)?;
    }
    let Some(engine) = target.engine else { return Ok(()) };
    host.use_engine(engine);
    let modules = host.modules(&target.module.account)?;
    if let Some(record) = modules.get(&target.module.namespace) {
        let status = host.registry().status(record);
        if let (true, Some(reason)) = (engine != EngineKind::Wasmi, status.reason) {
            console.note(format_args!("{} runs on {}: {reason}", target.module, status.tier));
        }
    }
    Ok(())
}

/// The other side of the compiles of [`open`]: one module from stdin, its artifact to stdout.
fn compile_worker() -> Result<Exit> {
    let done = cotenant_host::compile::work();
    if let Err(error) = &done {
        // The host on the other side takes the last line for the reason.
        eprintln!("{error}");
    }
    Ok(if done.is_ok() { Exit::Fine } else { Exit::Contract })
}

/// Says which of these accounts a command is about to create.
fn announce<'a>(
    host: &Host,
    accounts: impl IntoIterator<Item = &'a AccountId>,
    console: &Console,
) -> Result<()> {
    let state = host.state()?;
    let mut new = Vec::new();
    for account in accounts {
        if !new.contains(&account) && state.account(account)?.is_none() {
            console.note(format_args!("new account {account} with 1,000 NEAR"));
            new.push(account);
        }
    }
    Ok(())
}

/// Reads a module: Wasm as it is, `.wat` translated. What is no module is left to the rules to explain.
fn module(file: &Path) -> Result<Vec<u8>> {
    let name = file.display().to_string();
    let unreadable = |reason: String| Failure::usage("FileUnreadable", format!("{name}: {reason}"));
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(|error| unreadable(error.to_string()))?;
    let read = opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(
            unreadable(format!("more than {FILE_BYTES_MAX} bytes; no module is so large")).into()
        );
    }
    let is_text = file.extension().is_some_and(|extension| extension == "wat");
    if !is_text || bytes.starts_with(b"\0asm") {
        return Ok(bytes);
    }
    let parsed = wat::Parser::new().parse_bytes(Some(file), &bytes).map(|wasm| wasm.into_owned());
    Ok(parsed.map_err(|error| Failure::usage("WatSyntax", error.to_string()))?)
}

/// The input of a call, as the command line gives it.
fn input(target: &Target) -> Result<Vec<u8>, Failure> {
    if let Some(base64) = &target.args_base64 {
        return text::from_base64(base64)
            .map_err(|error| Failure::usage("InvalidArgs", format!("--args-base64: {error}")));
    }
    if let Some(hex) = &target.args_hex {
        let hex = hex.trim();
        return hex::decode(hex.strip_prefix("0x").unwrap_or(hex))
            .map_err(|error| Failure::usage("InvalidArgs", format!("--args-hex: {error}")));
    }
    let Some(json) = &target.args else { return Ok(Vec::new()) };
    match serde_json::from_str::<serde::de::IgnoredAny>(json) {
        Ok(_) => Ok(json.clone().into_bytes()),
        Err(error) => Err(Failure::usage("InvalidArgs", format!("ARGS is no JSON: {error}"))
            .with("found", json.clone())
            .with("hint", "quote it for the shell: '{\"name\": 1}'; other bytes go through --args-base64 or --args-hex")),
    }
}
