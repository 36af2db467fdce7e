//! `evm run`: one call, or one creation, outside of any chain.

use crate::args::evm::How;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::key_values;
use anyhow::Result;
use cotenant_host::engine::EngineKind;
use evm_driver::{ModuleOptions, Modules, Ran, World, spec_of_fork};
use revm::context::TxEnv;
use revm::context::result::{ExecutionResult, HaltReason};
use revm::primitives::{Address, Bytes, TxKind, U256};
use serde::Serialize;

/// What to run.
pub(super) struct What {
    pub(super) code: Vec<u8>,
    pub(super) calldata: Vec<u8>,
    pub(super) gas: u64,
    pub(super) value: u128,
    pub(super) create: bool,
    pub(super) interpret: bool,
}

#[derive(Serialize)]
struct RunReport {
    ok: bool,
    ending: &'static str,
    output: String,
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

/// Where the contract is, and who calls it.
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
    world.insert(address(CALLER), U256::MAX >> 1, 1, Bytes::new());
    let code = Bytes::from(what.code);
    let (kind, data) = if what.create {
        (TxKind::Create, code)
    } else {
        world.insert(address(CONTRACT), U256::ZERO, 1, code);
        (TxKind::Call(address(CONTRACT)), what.calldata.into())
    };
    let transaction = TxEnv {
        caller: address(CALLER),
        gas_limit: what.gas,
        kind,
        data,
        value: U256::from(what.value),
        nonce: 1,
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
    let report = report(result, &ran);
    if console.json {
        console.object(&report)?;
    } else {
        console.data(lines(&report, result))?;
    }
    Ok(match result {
        ExecutionResult::Success { .. } => Exit::Fine,
        ExecutionResult::Revert { .. } => Exit::Contract,
        ExecutionResult::Halt { .. } if ran_out_of_gas(&world, &transaction) => Exit::Limit,
        ExecutionResult::Halt { .. } => Exit::Contract,
    })
}

/// Whether a transaction that halts does so for want of gas. A compiled frame does not tell one halt from another, so the
/// interpreter says.
fn ran_out_of_gas(world: &World, transaction: &TxEnv) -> bool {
    let interpreted = world.run(transaction, None);
    matches!(interpreted.outcome, Ok(ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. }))
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
        // Which halt it was is not the same compiled and interpreted: checks are made at once.
        ExecutionResult::Halt { .. } => "exceptional halt, all gas consumed".to_owned(),
        _ => report.ending.to_owned(),
    };
    let mut rows = vec![
        ("ending", ending),
        ("output", report.output.clone()),
        ("gas used", report.gas_used.to_string()),
    ];
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
