//! An engine contract of the home: its state as it is read, and calls of its methods.

use crate::args::Global;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::verbs::home;
use anyhow::Result;
use borsh::BorshDeserialize;
use cotenant_host::runtime::{Status, TransactionOutcome};
use cotenant_host::view::StateView;
use cotenant_host::{Call, Host};
use cotenant_submodules::{ModuleId, Namespace};
use engine_abi::state::{self, Config};
use engine_abi::{LONG_RESULT_VERSION, LongResult, TransactionResult};
use near_account_id::AccountId;
use revm::primitives::{Address, keccak256};

/// NEAR gas of a call that the engine's owner makes.
pub(super) const OWNER_GAS: u64 = 300_000_000_000_000;

/// An engine, and what it was started with.
pub(super) struct Engine {
    pub(super) host: Host,
    pub(super) account: AccountId,
    pub(super) config: Config,
}

impl Engine {
    /// The engine of an account of the home.
    pub(super) fn open(account: &AccountId, global: &Global, console: &Console) -> Result<Self> {
        let host = home::read(global, console)?;
        home::existing(&host, account)?;
        let record = host.state()?.value(account, &Namespace::DEFAULT, state::CONFIG_KEY)?;
        let config =
            record.and_then(|record| borsh::from_slice(&record).ok()).ok_or_else(|| {
                let message = format!("the state of {account} is not an engine's");
                let hint = format!("`cotenant evm init {account}` starts one");
                Failure::usage("NoEngine", message).with("hint", hint)
            })?;
        Ok(Self { host, account: account.clone(), config })
    }

    pub(super) fn module(&self) -> ModuleId {
        ModuleId { account: self.account.clone(), namespace: Namespace::DEFAULT }
    }

    /// The record of an address; one without is an address with nothing.
    pub(super) fn record(&self, address: Address) -> Result<state::Account> {
        let none = state::Account { code_hash: keccak256([]).0, ..state::Account::default() };
        let key = state::account_key(&address.into_array());
        let record = self.host.state()?.value(&self.account, &Namespace::DEFAULT, &key)?;
        Ok(record.and_then(|record| borsh::from_slice(&record).ok()).unwrap_or(none))
    }

    /// The code of a hash, and the namespace of its module if it is promoted.
    pub(super) fn code(&self, hash: &[u8; 32]) -> Result<(Vec<u8>, Option<String>)> {
        let state = self.host.state()?;
        let value = |key: &[u8]| state.value(&self.account, &Namespace::DEFAULT, key);
        let Some(entry) = value(&state::code_key(hash))? else { return Ok((Vec::new(), None)) };
        let (record, namespace) = match entry.split_first() {
            Some((&state::PLAIN, record)) => (record.to_vec(), None),
            _ => match state::promoted(&entry) {
                Some((promotion, Some(beside))) => (beside.to_vec(), Some(promotion.namespace)),
                Some((promotion, None)) => {
                    (value(&state::body_key(hash))?.unwrap_or_default(), Some(promotion.namespace))
                }
                None => return Ok((Vec::new(), None)),
            },
        };
        Ok((state::code::original(&record).unwrap_or_default().to_vec(), namespace))
    }

    /// Calls a method of the engine as its owner.
    pub(super) fn own_call(&self, method: &str, args: Vec<u8>) -> Result<TransactionOutcome> {
        let owner: AccountId = self.config.owner.parse()?;
        home::existing(&self.host, &owner)?;
        let call = Call::new(self.module(), method).args(args).gas(OWNER_GAS).signer(owner);
        let outcome = self.host.call(&call)?;
        succeeded(&outcome)?;
        Ok(outcome)
    }
}

/// The value that a call of the engine's ended with; the failure of any of its receipts otherwise.
pub(super) fn succeeded(outcome: &TransactionOutcome) -> Result<Vec<u8>, Failure> {
    for receipt in &outcome.receipts {
        if let Status::Failure(failure) = &receipt.status {
            return Err(Failure::of_receipt(failure).with("where", receipt.receiver.to_string()));
        }
    }
    match outcome.status() {
        Some(Status::SuccessValue(value)) => Ok(value.clone()),
        _ => Err(Failure::new(Exit::Internal, "NoResult", "the call did not end")),
    }
}

/// Decodes the result of a transaction; output that comes in parts is left out.
pub(super) fn result(bytes: &[u8]) -> Result<TransactionResult> {
    let decoded = match bytes.first() {
        Some(&LONG_RESULT_VERSION) => LongResult::try_from_slice(bytes).map(|long| long.head),
        _ => TransactionResult::try_from_slice(bytes),
    };
    Ok(decoded.map_err(|error| {
        let message = format!("the engine's result cannot be read: {error}");
        Failure::usage("OtherEngine", message).with("hint", "is it an engine of this version?")
    })?)
}
