//! `evm balance`, `code-hash`, `mint`, `promote`: an address of an engine, and what its owner may do with it.

use super::engine::{Engine, succeeded};
use crate::args::Global;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::key_values;
use crate::text::tgas;
use anyhow::Result;
use engine_abi::{Mint, Promote};
use evm_to_wasm::{Fork, Keccak, Options};
use near_account_id::AccountId;
use revm::primitives::{Address, B256, KECCAK_EMPTY, U256};
use serde::Serialize;

#[derive(Serialize)]
struct AddressReport {
    address: String,
    balance: String,
    nonce: u64,
    code_hash: Option<String>,
    code_bytes: usize,
    /// Namespace of its module.
    promoted: Option<String>,
    /// NEAR gas that the command burnt.
    near_gas: Option<u64>,
}

pub(super) fn show(
    account: &AccountId,
    address: Address,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let engine = Engine::open(account, global, console)?;
    print(&engine, address, None, console)
}

pub(super) fn mint(
    account: &AccountId,
    address: Address,
    amount: U256,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let engine = Engine::open(account, global, console)?;
    let mint = Mint { address: address.into_array(), amount: amount.to_be_bytes() };
    let outcome = engine.own_call("mint", borsh::to_vec(&mint)?)?;
    print(&engine, address, Some(outcome.gas_total()), console)
}

pub(super) fn promote(
    account: &AccountId,
    address: Address,
    on_chain: bool,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let engine = Engine::open(account, global, console)?;
    let code_hash = engine.record(address)?.code_hash;
    let (code, promoted) = engine.code(&code_hash)?;
    if code.is_empty() {
        let message = format!("{address} is no contract of {account}");
        return Err(Failure::usage("NoContract", message).into());
    }
    if let Some(namespace) = promoted {
        console.note(format_args!("it was promoted before, to {namespace}"));
        return print(&engine, address, None, console);
    }
    let progress = console.progress(format!("promoting {address}"));
    let outcome = if on_chain {
        engine.own_call("compile", code_hash.to_vec())?
    } else {
        let fork = match engine.config.fork {
            engine_abi::Fork::Cancun => Fork::Cancun,
            engine_abi::Fork::Prague => Fork::Prague,
            engine_abi::Fork::Osaka => Fork::Osaka,
        };
        // As the engine's own `compile` has it.
        let wasm = evm_to_wasm::compile(&code, &Options { fork, keccak: Keccak::Own }).wasm;
        engine.own_call("promote", borsh::to_vec(&Promote { code_hash, wasm })?)?
    };
    succeeded(&outcome)?;
    drop(progress);
    if engine.code(&code_hash)?.1.is_none() {
        let message = "the engine did not take the module";
        return Err(Failure::new(Exit::Contract, "NotPromoted", message).into());
    }
    print(&engine, address, Some(outcome.gas_total()), console)
}

fn print(
    engine: &Engine,
    address: Address,
    near_gas: Option<u64>,
    console: &Console,
) -> Result<Exit> {
    let record = engine.record(address)?;
    let (code, promoted) = engine.code(&record.code_hash)?;
    let hash = B256::from(record.code_hash);
    let report = AddressReport {
        address: address.to_string(),
        balance: U256::from_be_bytes(record.balance).to_string(),
        nonce: record.nonce,
        code_hash: (hash != KECCAK_EMPTY).then(|| hash.to_string()),
        code_bytes: code.len(),
        promoted,
        near_gas,
    };
    if console.json {
        console.object(&report)?;
        return Ok(Exit::Fine);
    }
    let mut rows = vec![
        ("address", report.address),
        ("balance", format!("{} wei", report.balance)),
        ("nonce", report.nonce.to_string()),
    ];
    if let Some(hash) = report.code_hash {
        rows.push(("code hash", hash));
        rows.push(("code", format!("{} bytes", report.code_bytes)));
        rows.push((
            "promoted",
            report.promoted.unwrap_or_else(|| "no: it is interpreted".to_owned()),
        ));
    }
    if let Some(gas) = report.near_gas {
        rows.push(("NEAR gas", tgas(gas)));
    }
    console.data(key_values(&rows))?;
    Ok(Exit::Fine)
}
