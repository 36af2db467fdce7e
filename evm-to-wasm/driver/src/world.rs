//! A state, a block and a fork, in which transactions run one at a time, each from the same start.

use crate::compare::{differences, journal_differences};
use crate::counts::Counts;
use crate::evm::CompiledEvm;
use crate::modules::{Modules, nanos};
use revm::MainContext;
use revm::context::result::ExecutionResult;
use revm::context::{BlockEnv, CfgEnv, Context, TxEnv};
use revm::database::{CacheState, State};
use revm::database_interface::{DatabaseCommit, EmptyDB};
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, B256, Bytes, U256, keccak256};
use revm::state::{AccountInfo, Bytecode, EvmState};
use std::rc::Rc;
use std::time::Instant;

/// Everything that a transaction starts from.
#[derive(Clone, Debug)]
pub struct World {
    /// The state before.
    pub pre: CacheState,
    /// The block.
    pub block: BlockEnv,
    /// The fork and the chain.
    pub config: CfgEnv,
}

/// A transaction that has run.
#[derive(Debug)]
pub struct Ran {
    /// What came of it, or why it was rejected.
    pub outcome: Result<ExecutionResult, String>,
    /// What it changed, as the journal has it.
    pub changes: EvmState,
    /// What its frames did.
    pub counts: Counts,
    /// Time of the transaction, in nanoseconds: the state is there, the session is opened for it.
    pub nanos: u64,
}

impl World {
    /// An empty state in a block of a fork, without limits on gas, in which gas costs nothing.
    pub fn new(spec: SpecId) -> Self {
        let mut config = CfgEnv::default();
        config.set_spec_and_mainnet_gas_params(spec);
        config.tx_gas_limit_cap = Some(u64::MAX);
        let mut block = BlockEnv {
            number: U256::from(1_000),
            timestamp: U256::from(1_700_000_000),
            gas_limit: u64::MAX,
            basefee: 0,
            prevrandao: Some(B256::repeat_byte(0x5a)),
            beneficiary: Address::repeat_byte(0xc0),
            ..BlockEnv::default()
        };
        block.set_blob_excess_gas_and_price(0, config.blob_base_fee_update_fraction());
        Self { pre: CacheState::new(), block, config }
    }

    /// Puts an account there.
    pub fn insert(&mut self, address: Address, balance: U256, nonce: u64, code: Bytes) {
        let code_hash = keccak256(&code);
        if !code.is_empty() {
            let bytecode = Bytecode::new_raw_checked(code.clone())
                .unwrap_or_else(|_| Bytecode::new_legacy(code));
            self.pre.contracts.insert(code_hash, bytecode);
        }
        let info = AccountInfo { balance, nonce, code_hash, code: None, ..Default::default() };
        self.pre.insert_account_with_storage(address, info, Default::default());
    }

    /// Runs a transaction from the start; without modules everything is interpreted.
    pub fn run(&self, transaction: &TxEnv, modules: Option<&Rc<Modules>>) -> Ran {
        let mut state = self.start();
        self.run_on(&mut state, transaction, modules)
    }

    /// The same, and the state after it.
    pub fn commit(&self, transaction: &TxEnv, modules: Option<&Rc<Modules>>) -> (Ran, CacheState) {
        let mut state = self.start();
        let mut ran = self.run_on(&mut state, transaction, modules);
        // A rejected transaction changes nothing, though it may have loaded accounts.
        if ran.outcome.is_ok() {
            state.commit(std::mem::take(&mut ran.changes));
        }
        (ran, state.cache)
    }

    fn start(&self) -> State<EmptyDB> {
        State::builder().with_cached_prestate(self.pre.clone()).with_bundle_update().build()
    }

    fn run_on(
        &self,
        state: &mut State<EmptyDB>,
        transaction: &TxEnv,
        modules: Option<&Rc<Modules>>,
    ) -> Ran {
        let context = Context::mainnet()
            .with_block(self.block.clone())
            .with_cfg(self.config.clone())
            .with_db(state);
        let mut evm = CompiledEvm::new(context, modules.cloned());
        let transaction = transaction.clone();
        let start = Instant::now();
        let outcome = evm.transact(transaction);
        let nanos = nanos(start);
        let outcome = outcome.map_err(|error| error.to_string());
        Ran { outcome, changes: evm.finalize(), counts: evm.take_counts(), nanos }
    }
}

impl Ran {
    /// How this run differs from revm's interpreter on the same transaction: faults of modules, then success,
    /// output, gas, logs and what was changed. Empty if it does not.
    pub fn differences(&self, peer: &Ran) -> Vec<String> {
        let mut found = self.counts.faults.clone();
        match (&self.outcome, &peer.outcome) {
            (Ok(ours), Ok(theirs)) => found.extend(differences(ours, theirs)),
            (Err(ours), Err(theirs)) if ours == theirs => {}
            (ours, theirs) => {
                let shown = |outcome: &Result<ExecutionResult, String>| match outcome {
                    Ok(_) => "accepted".to_owned(),
                    Err(error) => format!("rejected ({error})"),
                };
                found.push(format!("{}, revm's is {}", shown(ours), shown(theirs)));
            }
        }
        found.extend(journal_differences(&self.changes, &peer.changes));
        found
    }
}
