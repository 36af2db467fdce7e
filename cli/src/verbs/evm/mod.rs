//! `evm`: contracts of Ethereum, compiled to private modules.

mod address;
mod bench;
mod compile;
mod engine;
mod hostile;
mod init;
mod migrate;
mod run;
mod test;
mod transact;
mod verify;

use crate::args::Global;
use crate::args::evm::EvmVerb;
use crate::console::Console;
use crate::evm::abi::{self, Calldata};
use crate::evm::artifact::{self, Part};
use crate::failure::{Exit, Failure};
use alloy_json_abi::JsonAbi;
use anyhow::Result;
use evm_driver::ModuleOptions;
use evm_to_wasm::Fork;

/// Does what the command line says.
pub(super) fn run(verb: EvmVerb, global: &Global, console: &Console) -> Result<Exit> {
    match verb {
        EvmVerb::Compile { code, contract, out, emit, max_code_bytes, how } => {
            let code = artifact::code(&code, contract.as_deref(), Part::Runtime)?;
            let code = artifact::bounded(code, max_code_bytes)?;
            compile::run(&code.bytes, out.as_deref(), emit, how, console)
        }
        EvmVerb::Run {
            code,
            input,
            calldata,
            contract,
            from,
            state,
            gas,
            value,
            create,
            interpret,
            max_code_bytes,
            how,
            engine,
        } => {
            let part = if create { Part::Init } else { Part::Runtime };
            let code = artifact::code(&code, contract.as_deref(), part)?;
            let code = artifact::bounded(code, max_code_bytes)?;
            let abi = abi_of(input.abi.as_deref(), contract.as_deref(), code.abi)?;
            let call = match &calldata {
                Some(digits) => Calldata {
                    bytes: artifact::digits_or_file("--calldata", digits)?,
                    function: None,
                },
                None => abi::calldata(input.signature.as_deref(), &input.arguments, abi.as_ref())?,
            };
            let code = code.bytes;
            let what = run::What { code, call, abi, from, state, gas, value, create, interpret };
            run::run(what, how, engine.engine, console)
        }
        EvmVerb::Test { paths, fork, filter, interpret, reference, threads, keccak, engine } => {
            let modules = ModuleOptions { keccak, reference, ..ModuleOptions::new(engine) };
            let options = test::options(fork, filter, interpret, threads, modules);
            test::run(&paths, &options, console)
        }
        EvmVerb::Bench { paths, hostile: true, fork: _, filter, runs, engine } => {
            hostile::run(&paths, filter.as_deref(), runs, engine.engine, console)
        }
        EvmVerb::Bench { paths, hostile: false, fork, filter, runs, engine } => {
            bench::run(&paths, fork, filter.as_deref(), runs, engine.engine, console)
        }
        EvmVerb::Init { engine, chain_id, fork, owner, permissionless } => {
            let new = init::Chosen { chain_id, fork, owner, permissionless };
            init::run(&engine, new, global, console)
        }
        EvmVerb::Send { engine, to, input, paid } => {
            transact::send(&engine, to, &input, &paid, global, console)
        }
        EvmVerb::Call { engine, to, input, from, value, gas_limit } => {
            transact::call(&engine, to, &input, from, value, gas_limit, global, console)
        }
        EvmVerb::Deploy { engine, code, arguments, types, contract, abi, paid } => {
            let code = artifact::code(&code, contract.as_deref(), Part::Init)?;
            let abi = abi_of(abi.as_deref(), contract.as_deref(), code.abi)?;
            let mut init = code.bytes;
            init.extend(abi::constructor(&arguments, types.as_deref(), abi.as_ref())?);
            transact::deploy(&engine, init, abi.as_ref(), &paid, global, console)
        }
        EvmVerb::Balance { engine, address } | EvmVerb::CodeHash { engine, address } => {
            address::show(&engine, address, global, console)
        }
        EvmVerb::Mint { engine, address, amount } => {
            address::mint(&engine, address, amount, global, console)
        }
        EvmVerb::Promote { engine, address, on_chain } => {
            address::promote(&engine, address, on_chain, global, console)
        }
        EvmVerb::Receipts { hash } => transact::kept(&hash, global, console),
        EvmVerb::Migrate { account } => migrate::run(&account, global, console),
        EvmVerb::Verify { account, code_hash } => {
            verify::run(&account, &code_hash, global, console)
        }
    }
}

/// The ABI of a file that is named for it, or else of the one that the code came from.
fn abi_of(
    file: Option<&str>,
    contract: Option<&str>,
    beside: Option<JsonAbi>,
) -> Result<Option<JsonAbi>, Failure> {
    match file {
        Some(file) => artifact::abi(file, contract).map(Some),
        None => Ok(beside),
    }
}

/// The name of a fork on the command line.
fn fork_name(fork: Fork) -> &'static str {
    match fork {
        Fork::Cancun => "cancun",
        Fork::Prague => "prague",
        Fork::Osaka => "osaka",
    }
}
