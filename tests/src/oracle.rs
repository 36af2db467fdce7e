//! near-vm-runner's own runner on the same call as ours.
//!
//! The oracle gets the very schedule of the host, so what is compared is the machinery: rewriting, meters,
//! crossings, host functions.

use crate::world::Source;
use cotenant_gas::Schedule;
use cotenant_host::HostFault;
use cotenant_host::engine::EngineKind;
use cotenant_host::exec::{self, CallContext, Execution, Rules};
use cotenant_host::registry::Registry;
use cotenant_host::view::{ModuleRecord, StateView};
use cotenant_submodules::{Namespace, Visibility};
use near_account_id::AccountId;
use near_crypto::{KeyType, PublicKey};
use near_primitives_core::account::AccountContract;
use near_primitives_core::hash::CryptoHash;
use near_primitives_core::types::{Balance, Gas};
use near_vm_runner::logic::mocks::mock_external::MockedExternal;
use near_vm_runner::logic::types::{PromiseResult, ReturnData};
use near_vm_runner::logic::{GasCounter, VMContext, VMOutcome};
use near_vm_runner::{ContractCode, MockContractRuntimeCache};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// What of an outcome must be equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Gas burnt.
    pub burnt: u64,
    /// Gas burnt and reserved.
    pub used: u64,
    /// The value returned; nothing of a failed call.
    pub value: Option<Vec<u8>>,
    /// The error, by its text.
    pub error: Option<String>,
    /// Logs, of a failed call too.
    pub logs: Vec<String>,
}

/// A public module of one account without a chain around it, on our engines and on NEAR's.
pub struct Subject {
    schedule: Arc<Schedule>,
    rules: Arc<Rules>,
    registry: Arc<Registry>,
    record: ModuleRecord,
    code: Arc<ContractCode>,
    cache: MockContractRuntimeCache,
}

struct OneModule(ModuleRecord);

impl StateView for OneModule {
    fn value(&self, _: &AccountId, _: &Namespace, _: &[u8]) -> Result<Option<Vec<u8>>, HostFault> {
        Ok(None)
    }

    fn module(&self, _: &AccountId, _: &Namespace) -> Result<Option<ModuleRecord>, HostFault> {
        Ok(Some(self.0.clone()))
    }

    fn yield_exists(&self, _: &AccountId, _: &CryptoHash) -> Result<bool, HostFault> {
        Ok(false)
    }
}

fn account(name: &str) -> AccountId {
    name.parse().unwrap_or_else(|_| unreachable!("a literal account id"))
}

/// A call to make on all runners.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Its input.
    pub input: Vec<u8>,
    /// Prepaid gas.
    pub gas: u64,
    /// A view.
    pub view: bool,
    /// Results of promises, when it is a callback.
    pub promise_results: Vec<Vec<u8>>,
}

impl Request {
    fn promise_results(&self) -> impl Iterator<Item = PromiseResult> {
        self.promise_results.iter().map(|bytes| PromiseResult::Successful(bytes.as_slice().into()))
    }
}

const BALANCE: u128 = 10_u128.pow(27);

impl Subject {
    /// Compiles a module for all of our engines.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn new(protocol: u32, code: &[u8], engines: &[EngineKind]) -> Result<Self, String> {
        let schedule = Schedule::for_protocol(protocol).map_err(|error| error.to_string())?;
        let registry = Registry::in_memory(schedule.clone(), engines);
        let record =
            registry.deploy(code, Visibility::Public).map_err(|error| error.to_string())?;
        Ok(Self {
            rules: Arc::new(Rules::new(schedule.clone())),
            schedule,
            registry: Arc::new(registry),
            record,
            code: Arc::new(ContractCode::new(code.to_vec(), None)),
            cache: MockContractRuntimeCache::default(),
        })
    }

    /// The engines it was compiled for.
    pub fn engines(&self) -> Vec<EngineKind> {
        self.registry.engines()
    }

    /// Our own outcome on an engine.
    ///
    /// # Errors
    /// The host's own fault.
    pub fn ours(&self, engine: EngineKind, request: &Request) -> Result<Execution, HostFault> {
        let context = CallContext {
            account: account("alice.near"),
            signer: account("bob.near"),
            signer_key: PublicKey::empty(KeyType::ED25519),
            predecessor: account("carol.near"),
            refund_to: account("carol.near"),
            namespace: Namespace::DEFAULT,
            method: request.method.clone(),
            input: request.input.clone(),
            promise_results: request.promise_results().collect(),
            block_height: 10,
            block_timestamp: 42,
            epoch_height: 1,
            balance: BALANCE,
            locked_balance: 0,
            storage_usage: 12_000,
            deposit: 2,
            gas: request.gas,
            random_seed: [7; 32],
            view: request.view,
            output_data_receivers: Vec::new(),
        };
        let state = Rc::new(OneModule(self.record.clone()));
        exec::execute(&self.rules, state, Rc::new(Source(self.registry.clone())), engine, context)
    }

    /// NEAR's outcome.
    pub fn near(&self, request: &Request) -> VMOutcome {
        let config = self.schedule.vm.clone();
        let key = PublicKey::empty(KeyType::ED25519);
        let context = VMContext {
            current_account_id: account("alice.near"),
            signer_account_id: account("bob.near"),
            signer_account_pk: borsh::to_vec(&key).unwrap_or_default(),
            predecessor_account_id: account("carol.near"),
            refund_to_account_id: account("carol.near"),
            input: request.input.as_slice().into(),
            promise_results: request.promise_results().collect(),
            block_height: 10,
            block_timestamp: 42,
            epoch_height: 1,
            account_balance: Balance::from_yoctonear(BALANCE),
            account_locked_balance: Balance::ZERO,
            storage_usage: 12_000,
            account_contract: AccountContract::None,
            attached_deposit: Balance::from_yoctonear(2),
            prepaid_gas: Gas::from_gas(request.gas),
            random_seed: vec![7; 32],
            view_config: request.view.then(|| near_primitives_core::config::ViewConfig {
                max_gas_burnt: Gas::from_gas(request.gas),
            }),
            output_data_receivers: Vec::new(),
        };
        let max = match &context.view_config {
            Some(view) => view.max_gas_burnt,
            None => config.limit_config.max_gas_burnt,
        };
        let counter = GasCounter::new(
            config.ext_costs.clone(),
            max,
            config.regular_op_cost,
            context.prepaid_gas,
            request.view,
        );
        let mut external = MockedExternal::with_code(ContractCode::new(
            self.code.code().to_vec(),
            Some(*self.code.hash()),
        ));
        let prepared =
            near_vm_runner::prepare(&external, config, Some(&self.cache), counter, &request.method);
        near_vm_runner::run(prepared, &mut external, &context, self.schedule.fees.clone())
            .unwrap_or_else(|error| unreachable!("the oracle has no faults of its own: {error:?}"))
    }

    /// What must be equal of ours.
    ///
    /// # Errors
    /// The host's own fault.
    pub fn observe(&self, engine: EngineKind, request: &Request) -> Result<Observed, HostFault> {
        let execution = self.ours(engine, request)?;
        Ok(Observed {
            burnt: execution.gas_burnt,
            used: execution.gas_used,
            value: match (&execution.abort, execution.return_data) {
                (None, ReturnData::Value(value)) => Some(value),
                _ => None,
            },
            error: execution.abort.map(|abort| abort.message),
            logs: execution.logs,
        })
    }

    /// What must be equal of NEAR's.
    pub fn observe_near(&self, request: &Request) -> Observed {
        use near_vm_runner::logic::errors::FunctionCallError as E;
        let outcome = self.near(request);
        Observed {
            burnt: outcome.burnt_gas.as_gas(),
            used: outcome.used_gas.as_gas(),
            value: match (&outcome.aborted, outcome.return_data) {
                (None, ReturnData::Value(value)) => Some(value),
                _ => None,
            },
            error: outcome.aborted.map(|error| match error {
                E::HostError(error) => error.to_string(),
                E::WasmTrap(trap) => trap.to_string(),
                E::MethodResolveError(error) => error.to_string(),
                other => other.to_string(),
            }),
            logs: outcome.logs,
        }
    }

    /// Where the runners differ on a request; empty if they agree.
    pub fn differences(&self, request: &Request) -> BTreeMap<String, Observed> {
        self.differences_on(request, |_| true)
    }

    /// Where some of our engines differ from NEAR's runner on a request; empty if they agree. (On wasmi every public
    /// call has a fresh memory of 64 MiB filled with zeros, some 20 ms: not for thousands of requests.)
    pub fn differences_on(
        &self,
        request: &Request,
        chosen: impl Fn(EngineKind) -> bool,
    ) -> BTreeMap<String, Observed> {
        let near = self.observe_near(request);
        let mut found = BTreeMap::new();
        for engine in self.engines().into_iter().filter(|engine| chosen(*engine)) {
            match self.observe(engine, request) {
                Ok(ours) if ours == near => {}
                Ok(ours) => {
                    found.insert(engine.name().to_owned(), ours);
                }
                Err(fault) => {
                    let error = Some(format!("host fault: {fault}"));
                    let empty = Observed { burnt: 0, used: 0, value: None, error, logs: vec![] };
                    found.insert(engine.name().to_owned(), empty);
                }
            }
        }
        if !found.is_empty() {
            found.insert("near-vm-runner".to_owned(), near);
        }
        found
    }
}
