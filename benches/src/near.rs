//! near-vm-runner's own runner, warm: compiled code on disk, loaded code in its in-memory cache, as in a node.

use anyhow::{Context as _, Result, anyhow};
use cotenant_gas::Schedule;
use near_crypto::{KeyType, PublicKey};
use near_primitives_core::account::AccountContract;
use near_primitives_core::types::{Balance, Gas};
use near_vm_runner::logic::mocks::mock_external::MockedExternal;
use near_vm_runner::logic::{GasCounter, VMContext, VMOutcome};
use near_vm_runner::{ContractCode, FilesystemContractRuntimeCache};
use std::collections::HashMap;
use std::sync::Arc;

/// Artifacts that the in-memory cache is made for.
const MEMORY_CACHE_ITEMS: usize = 16;

/// A contract on NEAR's runner.
pub struct Near {
    schedule: Arc<Schedule>,
    external: MockedExternal,
    cache: FilesystemContractRuntimeCache,
    context: VMContext,
    // The cache lives in it.
    _folder: tempfile::TempDir,
}

impl Near {
    /// A contract, not yet compiled: the first call does that.
    pub fn new(schedule: &Arc<Schedule>, code: &[u8]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let cache = FilesystemContractRuntimeCache::with_memory_cache(
            folder.path(),
            None::<&str>,
            "cache",
            MEMORY_CACHE_ITEMS,
            None,
            1 << 30,
            near_vm_runner::noop_background_spawner(),
        )?;
        let world = crate::world::context("", Vec::new());
        let context = VMContext {
            current_account_id: world.account,
            signer_account_id: world.signer,
            signer_account_pk: borsh::to_vec(&PublicKey::empty(KeyType::ED25519))?,
            predecessor_account_id: world.predecessor,
            refund_to_account_id: world.refund_to,
            input: [].into(),
            promise_results: Arc::from([]),
            block_height: world.block_height,
            block_timestamp: world.block_timestamp,
            epoch_height: world.epoch_height,
            account_balance: Balance::from_yoctonear(world.balance),
            account_locked_balance: Balance::ZERO,
            storage_usage: world.storage_usage,
            account_contract: AccountContract::None,
            attached_deposit: Balance::ZERO,
            prepaid_gas: Gas::from_gas(world.gas),
            random_seed: world.random_seed.to_vec(),
            view_config: None,
            output_data_receivers: Vec::new(),
        };
        let external = MockedExternal::with_code(ContractCode::new(code.to_vec(), None));
        Ok(Self { schedule: schedule.clone(), external, cache, context, _folder: folder })
    }

    /// What later calls have as their input.
    pub fn set_input(&mut self, input: &[u8]) {
        self.context.input = input.into();
    }

    /// What the contract has stored.
    pub fn storage(&self) -> HashMap<Vec<u8>, Vec<u8>> {
        self.external.fake_trie.clone()
    }

    /// One call: counter, code from the cache, run, outcome.
    pub fn call(&mut self, method: &str) -> Result<VMOutcome> {
        let config = self.schedule.vm.clone();
        let counter = GasCounter::new(
            config.ext_costs.clone(),
            config.limit_config.max_gas_burnt,
            config.regular_op_cost,
            self.context.prepaid_gas,
            false,
        );
        let prepared =
            near_vm_runner::prepare(&self.external, config, Some(&self.cache), counter, method);
        let fees = self.schedule.fees.clone();
        near_vm_runner::run(prepared, &mut self.external, &self.context, fees)
            .map_err(|error| anyhow!("near-vm-runner: {error:?}"))
    }

    /// The same, which must succeed; gives the gas burnt.
    pub fn burnt(&mut self, method: &str) -> Result<u64> {
        let outcome = self.call(method).context("a call on NEAR's runner")?;
        match outcome.aborted {
            None => Ok(outcome.burnt_gas.as_gas()),
            Some(error) => Err(anyhow!("`{method}` on near-vm-runner: {error}")),
        }
    }

    /// Nanoseconds of a warm call.
    pub fn nanos(&mut self, method: &str, calls: u64) -> Result<f64> {
        crate::stats::nanos_each(calls, || {
            for _ in 0..calls {
                self.call(method)?;
            }
            Ok(())
        })
    }
}
