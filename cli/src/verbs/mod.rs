//! The verbs: what each does, and what it prints.

mod abi;
mod accounts;
mod cache;
mod call;
mod chain;
mod check;
mod contracts;
mod demo;
mod deploy;
mod dev;
mod doctor;
mod evm;
mod home;
mod input;
mod manual;
mod modules;
mod outcomes;
mod running;
mod state;
mod view;
mod warnings;

use crate::args::{BenchVerb, Cli, Verb};
use crate::bench;
use crate::console::Console;
use crate::failure::Exit;
use anyhow::Result;

/// Does what the command line says.
///
/// # Errors
/// A [`crate::failure::Failure`], or an error that its `of` turns into one.
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
        Verb::Account { what } => accounts::account(&what, global, console),
        Verb::Transfer { from, to, amount } => {
            accounts::transfer(&from, &to, amount, global, console)
        }
        Verb::Keys { what } => accounts::keys(what, global, console),
        Verb::Remove { module, drop_storage } => {
            accounts::remove(&module, drop_storage, global, console)
        }
        Verb::Blocks { what } => chain::blocks(&what, global, console),
        Verb::Receipts { hash } => chain::of_transaction(&hash, global, console),
        Verb::Dev(args) => dev::run(&args, global, console),
        Verb::Init(args) => dev::init(&args, global),
        Verb::Run(args) => dev::sandbox(&args, global, console),
        Verb::Abi => abi::run(global, console),
        Verb::Demo => demo::run(global, console),
        Verb::Contracts { out } => contracts::run(out.as_deref(), global, console),
        Verb::Doctor => doctor::run(global, console),
        Verb::Completions { shell } => manual::completions(shell, console),
        Verb::Man { out } => manual::man(out.as_deref(), console),
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

/// The other side of the compiles of [`home::open`]: one module from stdin, its artifact to stdout.
fn compile_worker() -> Result<Exit> {
    let done = cotenant_host::compile::work();
    if let Err(error) = &done {
        // The host on the other side takes the last line for the reason.
        eprintln!("{error}");
    }
    Ok(if done.is_ok() { Exit::Fine } else { Exit::Contract })
}
