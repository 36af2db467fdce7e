//! An engine contract in an account: started, filled with a workload's state, its contracts promoted or not.

use super::Mode;
use crate::failure::{Exit, Failure};
use anyhow::{Context, Result};
use borsh::BorshDeserialize;
use cotenant_host::runtime::{Status, TransactionOutcome};
use cotenant_host::{Call, Host};
use cotenant_submodules::{ModuleId, Namespace, Visibility};
use engine_abi::state::Promotion;
use engine_abi::{Fork, New, Promote, SetAccount, TransactionResult};
use evm_driver::workloads::Workload;
use evm_to_wasm::{Keccak, Options, compile};
use near_account_id::AccountId;
use revm::primitives::{B256, KECCAK_EMPTY};
use std::collections::BTreeMap;

/// Chain id of the engines.
pub(super) const CHAIN_ID: u64 = 1_313_161_555;

/// Keys of the engine's state that are the world's: accounts and slots. The rest is how code is kept.
const WORLD_KEYS: [&[u8]; 2] = [b"a", b"s"];

/// An engine in an account of its own.
pub(super) struct EngineContract<'a> {
    host: &'a Host,
    account: AccountId,
    /// Gas of the calls that set it up, whatever they take.
    gas_max: u64,
}

/// Accounts and slots as the engine keeps them.
pub(super) type WorldState = BTreeMap<Vec<u8>, Vec<u8>>;

impl<'a> EngineContract<'a> {
    /// Deploys an engine, fills it with the state of a workload, and promotes its contracts if the mode wants it.
    pub(super) fn with(
        host: &'a Host,
        account: AccountId,
        gas_max: u64,
        mode: Mode,
        workload: &Workload,
    ) -> Result<Self> {
        let engine = Self { host, account, gas_max };
        let wasm = match mode {
            Mode::CompiledWasmInWasm => cotenant_contracts::engine_wasm_in_wasm(),
            Mode::Interpreted | Mode::Compiled | Mode::Handwritten => cotenant_contracts::engine(),
        };
        let deployed = host.deploy(&engine.module(), Visibility::Public, wasm)?;
        succeeded("the engine's deploy", &deployed)?;
        let new = New {
            chain_id: CHAIN_ID,
            owner: engine.account.to_string(),
            fork: Fork::Cancun,
            permissionless_promote: false,
        };
        engine.own_call("new", borsh::to_vec(&new)?)?;
        let hashes = engine.fill(workload)?;
        if mode != Mode::Interpreted {
            for (hash, code) in hashes {
                engine.promote(hash, &code)?;
            }
        }
        Ok(engine)
    }

    fn module(&self) -> ModuleId {
        ModuleId { account: self.account.clone(), namespace: Namespace::default() }
    }

    /// Sets every account to what it is at the start of a workload; gives the codes.
    pub(super) fn fill(&self, workload: &Workload) -> Result<BTreeMap<B256, Vec<u8>>> {
        let mut codes = BTreeMap::new();
        let pre = &workload.world.pre;
        for (address, account) in pre.trie_account() {
            let mut code = Vec::new();
            let hash = account.info.code_hash;
            if hash != KECCAK_EMPTY {
                let known = account.info.code.as_ref().or_else(|| pre.contracts.get(&hash));
                let known = known.with_context(|| format!("{}: no code {hash}", workload.name))?;
                code = known.original_bytes().to_vec();
                codes.insert(hash, code.clone());
            }
            let slots = account.storage.iter().filter(|(_, value)| !value.is_zero());
            let record = SetAccount {
                address: address.into_array(),
                code,
                storage: slots
                    .map(|(slot, value)| (slot.to_be_bytes(), value.to_be_bytes()))
                    .collect(),
                nonce: account.info.nonce,
                balance: account.info.balance.to_be_bytes(),
            };
            self.own_call("set_account", borsh::to_vec(&record)?)?;
        }
        Ok(codes)
    }

    fn promote(&self, hash: B256, code: &[u8]) -> Result<()> {
        // As the engine's own `compile` has it.
        let options = Options { keccak: Keccak::Own, ..Options::default() };
        let wasm = compile(code, &options).wasm;
        self.own_call("promote", borsh::to_vec(&Promote { code_hash: hash.0, wasm })?)?;
        let answer = self.host.view(&self.module(), "promoted", hash.as_slice())?;
        let answer = answer.return_data.as_value().unwrap_or_default();
        let promoted = Option::<Promotion>::try_from_slice(&answer)?;
        promoted.with_context(|| format!("{hash} was not promoted"))?;
        Ok(())
    }

    fn own_call(&self, method: &str, arguments: Vec<u8>) -> Result<TransactionOutcome> {
        let call = Call::new(self.module(), method).args(arguments).gas(self.gas_max);
        let outcome = self.host.call(&call)?;
        succeeded(method, &outcome)?;
        Ok(outcome)
    }

    /// Brings a signed transaction to the engine.
    pub(super) fn submit(&self, transaction: Vec<u8>, gas: u64) -> Result<TransactionOutcome> {
        let call = Call::new(self.module(), "evm_submit").args(transaction).gas(gas);
        Ok(self.host.call(&call)?)
    }

    /// The world's accounts and slots.
    pub(super) fn state(&self) -> Result<WorldState> {
        let state = self.host.state()?;
        let mut found = WorldState::new();
        for prefix in WORLD_KEYS {
            found.extend(state.values(&self.account, &Namespace::default(), prefix, usize::MAX)?);
        }
        Ok(found)
    }
}

/// Decodes the result of a transaction.
pub(super) fn result_of(what: &str, outcome: &TransactionOutcome) -> Result<TransactionResult> {
    let Some(Status::SuccessValue(value)) = outcome.status() else {
        return Err(failed(what, outcome).into());
    };
    TransactionResult::try_from_slice(value).with_context(|| format!("{what}: no result"))
}

/// That a transaction did what it should, with all that came of it.
fn succeeded(what: &str, outcome: &TransactionOutcome) -> Result<(), Failure> {
    let bad = |status: &Status| matches!(status, Status::Failure(_));
    if outcome.root().is_none() || outcome.receipts.iter().any(|receipt| bad(&receipt.status)) {
        return Err(failed(what, outcome));
    }
    Ok(())
}

fn failed(what: &str, outcome: &TransactionOutcome) -> Failure {
    let ends: Vec<_> =
        outcome.receipts.iter().map(|receipt| format!("{:?}", receipt.status)).collect();
    Failure::new(Exit::Internal, "EngineFailed", format!("{what}: {}", ends.join(", ")))
}
