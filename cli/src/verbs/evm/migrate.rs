//! `evm migrate ACCOUNT`: moves what an engine of version 1 has left in its state.

use crate::args::Global;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::key_values;
use crate::verbs::home;
use anyhow::Result;
use cotenant_host::runtime::Status;
use cotenant_host::state::WorkingState;
use cotenant_host::view::StateView;
use cotenant_host::{Call, Host};
use cotenant_submodules::{ModuleId, Namespace};
use engine_abi::state::{self, Config, PROMOTED_BEFORE};
use engine_abi::{Address, CodeHash, Migrate, Migrated};
use near_account_id::AccountId;
use serde::Serialize;
use std::collections::BTreeMap;

/// Entries of a call, and its gas.
const ADDRESSES_A_CALL: usize = 400;
const CONTRACTS_A_CALL: usize = 40;
const GAS: u64 = 300_000_000_000_000;

#[derive(Serialize)]
struct MigrateReport {
    account: String,
    version_before: u8,
    version: u8,
    forgotten: usize,
    code_hashes: usize,
    calls: usize,
}

pub(super) fn run(account: &AccountId, global: &Global, console: &Console) -> Result<Exit> {
    let host = home::read(global, console)?;
    let state = host.state()?;
    let no_engine =
        || Failure::usage("NoEngine", format!("the state of {account} is not an engine's"));
    let config = state.value(account, &Namespace::DEFAULT, state::CONFIG_KEY)?;
    let config: Config =
        config.and_then(|bytes| borsh::from_slice(&bytes).ok()).ok_or_else(no_engine)?;
    let forgotten = forgotten(&state, account)?;
    let code_hashes = promoted(&state, account)?;
    drop(state);
    let mut report = MigrateReport {
        account: account.to_string(),
        version_before: config.version,
        version: config.version,
        forgotten: forgotten.len(),
        code_hashes: code_hashes.len(),
        calls: 0,
    };
    let owner: AccountId = config.owner.parse()?;
    let (mut addresses, mut contracts) = (forgotten.as_slice(), code_hashes.as_slice());
    loop {
        let now = addresses.len().min(ADDRESSES_A_CALL);
        let contracts_now = contracts.len().min(CONTRACTS_A_CALL);
        let what = Migrate {
            forgotten: addresses[..now].to_vec(),
            code_hashes: contracts[..contracts_now].to_vec(),
            last: now == addresses.len() && contracts_now == contracts.len(),
        };
        let done = call(&host, account, &owner, &what)?;
        report.calls += 1;
        report.version = done.version;
        let steps = (done.forgotten as usize, done.code_hashes as usize);
        addresses = addresses.get(steps.0..).unwrap_or_default();
        contracts = contracts.get(steps.1..).unwrap_or_default();
        if addresses.is_empty() && contracts.is_empty() {
            break;
        }
        if steps == (0, 0) {
            let message = "a call of 300 Tgas moved nothing".to_owned();
            return Err(Failure::new(Exit::Limit, "MigrationStuck", message).into());
        }
    }
    if console.json {
        console.object(&report)?;
    } else {
        console.data(key_values(&[
            ("engine", report.account),
            ("version", format!("{}, before {}", report.version, report.version_before)),
            ("accounts that are no more", report.forgotten.to_string()),
            ("promotions", report.code_hashes.to_string()),
            ("calls", report.calls.to_string()),
        ]))?;
    }
    Ok(Exit::Fine)
}

/// Addresses that have slots and no account, and the highest incarnation of these slots.
fn forgotten(state: &WorkingState, account: &AccountId) -> Result<Vec<(Address, u32)>> {
    let mut found: BTreeMap<Address, u32> = BTreeMap::new();
    for (key, _) in state.values(account, &Namespace::DEFAULT, b"s", usize::MAX)? {
        let Some((address, rest)) = key.get(1..).and_then(|key| key.split_first_chunk::<20>())
        else {
            continue;
        };
        let Some((incarnation, _)) = rest.split_first_chunk::<4>() else { continue };
        let incarnation = u32::from_be_bytes(*incarnation);
        let highest = found.entry(*address).or_default();
        *highest = incarnation.max(*highest);
    }
    let mut forgotten = Vec::new();
    for (address, incarnation) in found {
        let record = state.value(account, &Namespace::DEFAULT, &state::account_key(&address))?;
        let is_kept = record.is_some_and(|record| match <[u8; 4]>::try_from(record.as_slice()) {
            Ok(next) => u32::from_le_bytes(next) > incarnation,
            Err(_) => true,
        });
        if !is_kept {
            forgotten.push((address, incarnation));
        }
    }
    Ok(forgotten)
}

/// Contracts that an engine of version 1 has promoted.
fn promoted(state: &WorkingState, account: &AccountId) -> Result<Vec<CodeHash>> {
    let entries = state.values(account, &Namespace::DEFAULT, b"c", usize::MAX)?;
    let before = entries.iter().filter(|(_, value)| value.first() == Some(&PROMOTED_BEFORE));
    Ok(before.filter_map(|(key, _)| key.get(1..)?.try_into().ok()).collect())
}

fn call(host: &Host, account: &AccountId, owner: &AccountId, what: &Migrate) -> Result<Migrated> {
    let module = ModuleId { account: account.clone(), namespace: Namespace::default() };
    let mut call = Call::new(module, "migrate").args(borsh::to_vec(what)?).gas(GAS);
    call.signer = Some(owner.clone());
    let outcome = host.call(&call)?;
    match outcome.status() {
        Some(Status::SuccessValue(value)) => Ok(borsh::from_slice(value)?),
        Some(Status::Failure(failure)) => {
            Err(Failure::new(Exit::Contract, &failure.code, failure.message.clone()).into())
        }
        other => {
            let message = format!("migrate ended with {other:?}");
            Err(Failure::new(Exit::Contract, "NoResult", message).into())
        }
    }
}
