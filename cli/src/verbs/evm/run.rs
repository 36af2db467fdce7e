//! `evm run`: one call, or one creation, outside of any chain.

use crate::args::evm::How;
use crate::console::Console;
use crate::evm::abi::{self, Calldata};
use crate::evm::artifact::hex_digits;
use crate::failure::{Exit, Failure};
use crate::report::key_values;
use crate::verbs::input;
use alloy_json_abi::JsonAbi;
use anyhow::Result;
use cotenant_host::engine::EngineKind;
use evm_driver::{ModuleOptions, Modules, Ran, World, spec_of_fork};
use revm::context::TxEnv;
use revm::context::result::{ExecutionResult, HaltReason};
use revm::primitives::{Address, Bytes, TxKind, U256};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A contract, a call of it, and the state around it.
pub(super) struct What {
    pub(super) code: Vec<u8>,
    pub(super) call: Calldata,
    pub(super) abi: Option<JsonAbi>,
    pub(super) from: Option<Address>,
    /// File of the accounts that are there.
    pub(super) state: Option<PathBuf>,
    pub(super) gas: u64,
    pub(super) value: U256,
    pub(super) create: bool,
    pub(super) interpret: bool,
}

#[derive(Serialize)]
struct RunReport {
    ok: bool,
    ending: &'static str,
    reason: Option<String>,
    output: String,
    result: Option<String>,
    gas_used: u64,
    logs: Vec<LogReport>,
    storage: Vec<SlotReport>,
    yields: u64,
    compiled_frames: u64,
    interpreted_frames: u64,
}

#[derive(Serialize)]
struct LogReport {
    address: String,
    topics: Vec<String>,
    data: String,
}

#[derive(Serialize)]
struct SlotReport {
    address: String,
    slot: String,
    value: String,
}

/// First bytes of the addresses of the contract and of its caller.
const CONTRACT: u8 = 0x10;
const CALLER: u8 = 0x20;

fn address(first: u8) -> Address {
    let mut address = Address::ZERO;
    address.0[0] = first;
    address
}

pub(super) fn run(what: What, how: How, engine: EngineKind, console: &Console) -> Result<Exit> {
    let options = ModuleOptions { keccak: how.keccak, ..ModuleOptions::new(engine) };
    let modules = match what.interpret {
        true => None,
        false => Some(Modules::new(options)?),
    };
    let mut world = World::new(spec_of_fork(how.fork));
    let caller = what.from.unwrap_or_else(|| address(CALLER));
    world.insert(caller, U256::MAX >> 1, 1, Bytes::new());
    if let Some(file) = &what.state {
        fill(&mut world, file)?;
    }
    let nonce = world.pre.accounts.get(&caller).and_then(|account| account.account_info());
    let nonce = nonce.map_or(0, |info| info.nonce);
    let code = Bytes::from(what.code);
    let (kind, data) = if what.create {
        (TxKind::Create, code)
    } else {
        world.insert(address(CONTRACT), U256::ZERO, 1, code);
        (TxKind::Call(address(CONTRACT)), what.call.bytes.into())
    };
    let transaction = TxEnv {
        caller,
        gas_limit: what.gas,
        kind,
        data,
        value: what.value,
        nonce,
        ..TxEnv::default()
    };
    let ran = world.run(&transaction, modules.as_ref());
    for error in modules.iter().flat_map(|modules| modules.errors()) {
        console.note(format_args!("interpreted instead: {error}"));
    }
    if let Some(fault) = ran.counts.faults.first() {
        return Err(Failure::new(Exit::Internal, "ModuleFault", fault).into());
    }
    let result = match &ran.outcome {
        Ok(result) => result,
        Err(reason) => return Err(Failure::usage("TransactionRejected", reason).into()),
    };
    let mut report = report(result, &ran);
    let halt = matches!(result, ExecutionResult::Halt { .. })
        .then(|| halt(&world, &transaction))
        .flatten();
    report.reason = match result {
        ExecutionResult::Revert { output, .. } => abi::reverted(output, what.abi.as_ref()),
        ExecutionResult::Halt { .. } => halt.as_ref().map(|reason| format!("{reason:?}")),
        ExecutionResult::Success { .. } => None,
    };
    if let (ExecutionResult::Success { .. }, Some(output)) = (result, result.output()) {
        report.result = abi::returned(what.call.function.as_ref(), output);
    }
    if console.json {
        console.object(&report)?;
    } else {
        console.data(lines(&report, result))?;
    }
    Ok(match result {
        ExecutionResult::Success { .. } => Exit::Fine,
        ExecutionResult::Revert { .. } => Exit::Contract,
        ExecutionResult::Halt { .. } if matches!(halt, Some(HaltReason::OutOfGas(_))) => {
            Exit::Limit
        }
        ExecutionResult::Halt { .. } => Exit::Contract,
    })
}

/// Finds the reason of a halt by interpreting: a compiled frame does not tell one halt from another.
fn halt(world: &World, transaction: &TxEnv) -> Option<HaltReason> {
    match world.run(transaction, None).outcome {
        Ok(ExecutionResult::Halt { reason, .. }) => Some(reason),
        _ => None,
    }
}

/// An account of a state file.
#[derive(Deserialize)]
struct Allocated {
    #[serde(default)]
    balance: Option<String>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    storage: BTreeMap<String, String>,
}

/// Puts the accounts of a file into a world: as the `alloc` of a genesis file or the `pre` of a state test has them.
fn fill(world: &mut World, file: &Path) -> Result<()> {
    let name = file.display().to_string();
    let wrong = |message: String| Failure::usage("InvalidState", format!("{name}: {message}"));
    let bytes = input::file(file)?;
    let json: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    let accounts = json.get("alloc").or_else(|| json.get("pre")).unwrap_or(&json).clone();
    let accounts: BTreeMap<String, Allocated> =
        serde_json::from_value(accounts).map_err(|error| wrong(error.to_string()))?;
    let number = |text: &str| -> Result<U256, Failure> {
        let parsed = match text.strip_prefix("0x") {
            Some("") => Ok(U256::ZERO),
            Some(digits) => U256::from_str_radix(digits, 16),
            None => U256::from_str_radix(text, 10),
        };
        parsed.map_err(|error| wrong(format!("`{text}`: {error}")))
    };
    for (address, allocated) in &accounts {
        let at: Address =
            address.parse().map_err(|error| wrong(format!("`{address}`: {error}")))?;
        let balance = allocated.balance.as_deref().map_or(Ok(U256::ZERO), number)?;
        let nonce = allocated.nonce.as_deref().map_or(Ok(U256::ZERO), number)?;
        let nonce = u64::try_from(nonce)
            .map_err(|_| wrong(format!("{address}: a nonce of more than 64 bits")))?;
        let code = hex_digits(&name, allocated.code.as_deref().unwrap_or_default().as_bytes())?;
        world.insert(at, balance, nonce, code.into());
        let slots =
            allocated.storage.iter().map(|(slot, value)| Ok((number(slot)?, number(value)?)));
        let slots = slots.collect::<Result<Vec<_>, Failure>>()?;
        if let Some(account) =
            world.pre.accounts.get_mut(&at).and_then(|entry| entry.account.as_mut())
        {
            account.storage.extend(slots);
        }
    }
    Ok(())
}

fn report(result: &ExecutionResult, ran: &Ran) -> RunReport {
    let ending = match result {
        ExecutionResult::Success { .. } => "success",
        ExecutionResult::Revert { .. } => "revert",
        ExecutionResult::Halt { .. } => "halt",
    };
    let log = |log: &revm::primitives::Log| LogReport {
        address: log.address.to_string(),
        topics: log.topics().iter().map(ToString::to_string).collect(),
        data: log.data.data.to_string(),
    };
    let mut storage: Vec<_> = ran
        .changes
        .iter()
        .flat_map(|(address, account)| {
            account.changed_storage_slots().map(move |(slot, value)| SlotReport {
                address: address.to_string(),
                slot: format!("{slot:#x}"),
                value: format!("{:#x}", value.present_value),
            })
        })
        .collect();
    storage.sort_by(|one, other| (&one.address, &one.slot).cmp(&(&other.address, &other.slot)));
    RunReport {
        ok: result.is_success(),
        ending,
        reason: None,
        result: None,
        output: result.output().map_or_else(|| "0x".to_owned(), ToString::to_string),
        gas_used: result.tx_gas_used(),
        logs: result.logs().iter().map(log).collect(),
        storage,
        yields: ran.counts.yields,
        compiled_frames: ran.counts.compiled_frames,
        interpreted_frames: ran.counts.interpreted_frames,
    }
}

fn lines(report: &RunReport, result: &ExecutionResult) -> String {
    let ending = match result {
        ExecutionResult::Halt { .. } => {
            let reason = report.reason.as_deref().unwrap_or("unknown reason");
            format!("exceptional halt, all gas consumed: {reason}")
        }
        _ => report.ending.to_owned(),
    };
    let mut rows = vec![
        ("ending", ending),
        ("output", report.output.clone()),
        ("gas used", report.gas_used.to_string()),
    ];
    if let Some(result) = &report.result {
        rows.insert(1, ("result", result.clone()));
    }
    if let (Some(reason), ExecutionResult::Revert { .. }) = (&report.reason, result) {
        rows.insert(1, ("reason", reason.clone()));
    }
    for log in &report.logs {
        rows.push(("log", format!("{} [{}] {}", log.address, log.topics.join(", "), log.data)));
    }
    for SlotReport { address, slot, value } in &report.storage {
        rows.push(("storage", format!("{address} {slot} = {value}")));
    }
    rows.push((
        "frames",
        format!("{} compiled, {} interpreted", report.compiled_frames, report.interpreted_frames),
    ));
    rows.push(("yields", report.yields.to_string()));
    key_values(&rows)
}
