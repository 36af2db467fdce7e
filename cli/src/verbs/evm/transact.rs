//! `evm send`, `call`, `deploy`, `receipts`: transactions of an engine's chain.

use super::engine::{Engine, result, succeeded};
use crate::args::Global;
use crate::args::evm::{EvmInput, Paid};
use crate::console::Console;
use crate::evm::{abi, artifact, sign};
use crate::failure::{Exit, Failure};
use crate::report::key_values;
use crate::text::{shown, tgas};
use crate::verbs::call::hint_of;
use crate::verbs::{home, outcomes};
use alloy_json_abi::{Function, JsonAbi};
use anyhow::Result;
use cotenant_host::Call;
use engine_abi::{Status, TransactionResult, View};
use near_account_id::AccountId;
use revm::context::TxEnv;
use revm::primitives::{Address, TxKind, U256, keccak256};
use serde::Serialize;

#[derive(Serialize)]
struct EvmReport {
    ok: bool,
    status: &'static str,
    reason: Option<String>,
    hash: Option<String>,
    transaction: Option<String>,
    from: String,
    to: Option<String>,
    created: Option<String>,
    output: String,
    result: Option<String>,
    gas_used: u64,
    near_gas: u64,
    logs: Vec<LogReport>,
    compiled_frames: u64,
    interpreted_frames: u64,
}

#[derive(Serialize)]
struct LogReport {
    address: String,
    topics: Vec<String>,
    data: String,
}

pub(super) fn send(
    account: &AccountId,
    to: Address,
    input: &EvmInput,
    paid: &Paid,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let abi = input.abi.as_deref().map(|file| artifact::abi(file, None)).transpose()?;
    let call = abi::calldata(input.signature.as_deref(), &input.arguments, abi.as_ref())?;
    let words = Words { function: call.function.as_ref(), abi: abi.as_ref() };
    transact(account, TxKind::Call(to), call.bytes.clone(), words, paid, global, console)
}

pub(super) fn deploy(
    account: &AccountId,
    init: Vec<u8>,
    abi: Option<&JsonAbi>,
    paid: &Paid,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    transact(account, TxKind::Create, init, Words { function: None, abi }, paid, global, console)
}

pub(super) fn call(
    account: &AccountId,
    to: Address,
    input: &EvmInput,
    from: Option<Address>,
    value: U256,
    gas_limit: u64,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let abi = input.abi.as_deref().map(|file| artifact::abi(file, None)).transpose()?;
    let call = abi::calldata(input.signature.as_deref(), &input.arguments, abi.as_ref())?;
    let engine = Engine::open(account, global, console)?;
    let from = from.unwrap_or_default();
    let view = View {
        from: from.into_array(),
        to: to.into_array(),
        value: value.to_be_bytes(),
        input: call.bytes.clone(),
        gas_limit,
    };
    let execution = engine.host.view(&engine.module(), "evm_view", &borsh::to_vec(&view)?)?;
    if let Some(abort) = execution.abort {
        let failure = Failure::new(Exit::of_abort(&abort.code), &abort.code, &abort.message);
        return Err(failure.into());
    }
    let value = execution.return_data.as_value().unwrap_or_default();
    let words = Words { function: call.function.as_ref(), abi: abi.as_ref() };
    let mut report = report(&result(&value)?, words);
    (report.from, report.to) = (from.to_string(), Some(to.to_string()));
    report.near_gas = execution.gas_burnt;
    print(&report, console)
}

/// The types that turn output into words.
#[derive(Clone, Copy)]
struct Words<'a> {
    function: Option<&'a Function>,
    abi: Option<&'a JsonAbi>,
}

/// Signs a transaction and brings it to the engine.
fn transact(
    account: &AccountId,
    kind: TxKind,
    data: Vec<u8>,
    words: Words<'_>,
    paid: &Paid,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let key = sign::key(&paid.key)?;
    let engine = Engine::open(account, global, console)?;
    if let Some(relayer) = &paid.relayer {
        home::existing(&engine.host, relayer)?;
    }
    let from = sign::address(&key);
    let nonce = match paid.nonce {
        Some(nonce) => nonce,
        None => engine.record(from)?.nonce,
    };
    let transaction = TxEnv {
        caller: from,
        gas_limit: paid.gas_limit,
        gas_price: paid.gas_price,
        kind,
        value: paid.value,
        data: data.into(),
        nonce,
        ..TxEnv::default()
    };
    let bytes = sign::signed(&transaction, engine.config.chain_id, &key)?;
    let hash = keccak256(&bytes).to_string();
    let mut call = Call::new(engine.module(), "evm_submit").args(bytes).gas(paid.near_gas.as_gas());
    call.signer = paid.relayer.clone();
    let progress = console.progress("sending");
    let outcome = engine.host.call(&call)?;
    drop(progress);
    let value = succeeded(&outcome).map_err(|failure| {
        let hint = hint_of(&failure.code).map(str::to_owned);
        hint.into_iter().fold(failure, |failure, hint| failure.with("hint", hint))
    })?;
    let mut report = report(&result(&value)?, words);
    report.from = from.to_string();
    report.to = kind.to().map(ToString::to_string);
    report.hash = Some(hash.clone());
    report.transaction = Some(outcome.hash.to_string());
    report.near_gas = outcome.gas_total();
    outcomes::keep(&global.home, &hash, &report, console);
    print(&report, console)
}

fn report(result: &TransactionResult, words: Words<'_>) -> EvmReport {
    let hexadecimal = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    let (status, reason) = match &result.status {
        Status::Success => ("success", None),
        Status::Revert => ("revert", abi::reverted(&result.output, words.abi)),
        Status::Halt(reason) => ("halt", Some(reason.clone())),
        Status::Invalid(reason) => ("invalid", Some(reason.clone())),
    };
    let ok = result.status == Status::Success;
    let logs = result.logs.iter().map(|log| LogReport {
        address: Address::from(log.address).to_string(),
        topics: log.topics.iter().map(|topic| hexadecimal(topic)).collect(),
        data: hexadecimal(&log.data),
    });
    EvmReport {
        ok,
        status,
        reason,
        hash: None,
        transaction: None,
        from: String::new(),
        to: None,
        created: result.created.map(|address| Address::from(address).to_string()),
        output: hexadecimal(&result.output),
        result: ok.then(|| abi::returned(words.function, &result.output)).flatten(),
        gas_used: result.gas_used,
        near_gas: 0,
        logs: logs.collect(),
        compiled_frames: result.counts.compiled_frames,
        interpreted_frames: result.counts.interpreted_frames,
    }
}

fn print(report: &EvmReport, console: &Console) -> Result<Exit> {
    let exit = if report.ok { Exit::Fine } else { Exit::Contract };
    if console.json {
        console.object(report)?;
        return Ok(exit);
    }
    let mut rows = vec![("status", report.status.to_owned())];
    let mut row = |name, value: &Option<String>| {
        if let Some(value) = value {
            rows.push((name, shown(value)));
        }
    };
    row("reason", &report.reason);
    row("result", &report.result);
    row("created", &report.created);
    row("hash", &report.hash);
    row("transaction", &report.transaction);
    if report.result.is_none() && report.output != "0x" && report.created.is_none() {
        rows.push(("output", report.output.clone()));
    }
    for log in &report.logs {
        rows.push(("log", format!("{} [{}] {}", log.address, log.topics.join(", "), log.data)));
    }
    rows.push(("EVM gas", report.gas_used.to_string()));
    rows.push(("NEAR gas", tgas(report.near_gas)));
    rows.push((
        "frames",
        format!("{} compiled, {} interpreted", report.compiled_frames, report.interpreted_frames),
    ));
    console.data(key_values(&rows))?;
    Ok(exit)
}

/// A transaction of before, as it was reported.
pub(super) fn kept(hash: &str, global: &Global, console: &Console) -> Result<Exit> {
    let outcome = outcomes::find(&global.home, hash)?;
    if console.json {
        console.object(&outcome)?;
        return Ok(Exit::Fine);
    }
    let mut rows = Vec::new();
    for (name, value) in outcome.as_object().into_iter().flatten() {
        let value = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) => shown(text),
            other => shown(&other.to_string()),
        };
        rows.push((name.as_str(), value));
    }
    console.data(key_values(&rows))?;
    Ok(Exit::Fine)
}
