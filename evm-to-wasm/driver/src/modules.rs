//! Modules by EVM code: compiled at first sight, kept while there is room.
//!
//! To the host this is the state and the source of code of one account, whose private modules are compiled
//! contracts. A module enters it through [`Registry::deploy`], like anybody's: validated, metered, compiled.

use cotenant_gas::{InstanceCosts, Schedule, SyncCosts, UnknownProtocol};
use cotenant_host::HostFault;
use cotenant_host::deploy::{Code, DeployError, ModuleSource};
use cotenant_host::engine::EngineKind;
use cotenant_host::exec::{CallContext, Rules, Session};
use cotenant_host::registry::Registry;
use cotenant_host::view::{ModuleRecord, StateView};
use cotenant_submodules::{Capability, Grants, Namespace, Visibility};
use evm_to_wasm::{Fork, Keccak, Options, Report};
use near_account_id::AccountId;
use near_parameters::cost::ParameterCost;
use near_primitives_core::hash::CryptoHash;
use revm::primitives::B256;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// The method that a compiled contract exports.
pub(crate) const METHOD: &str = "run";

/// What the host's gas counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prices {
    /// NEAR's gas.
    #[default]
    Near,
    /// Wasm operators, and bytes of bulk operations, which NEAR prices alike; nothing else costs anything.
    Operators,
}

/// How contracts are compiled and run.
#[derive(Clone, Copy, Debug)]
pub struct ModuleOptions {
    /// What the host's gas counts.
    pub prices: Prices,
    /// The engine that runs the modules.
    pub engine: EngineKind,
    /// Who hashes.
    pub keccak: Keccak,
    /// Compiles nothing: revm's interpreter speaks the frame ABI in the place of each module, which tests the
    /// parent alone. Such frames count as interpreted.
    pub reference: bool,
    /// Compiles into the compact form, whatever the code ([`evm_to_wasm::compile_compact`]).
    pub compact: bool,
    /// Modules kept; when there are more, all are dropped before the next transaction.
    pub modules_max: usize,
}

impl ModuleOptions {
    /// Options for an engine, with the host's keccak and room for 2,048 modules.
    pub fn new(engine: EngineKind) -> Self {
        Self {
            prices: Prices::Near,
            engine,
            keccak: Keccak::Host,
            reference: false,
            compact: false,
            modules_max: 2_048,
        }
    }
}

/// Why there is no module for a contract.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// The host does not take what the compiler made. A defect of the compiler's.
    #[error("code {code_hash} makes a module that is refused: {reason}")]
    Refused {
        /// keccak-256 of the EVM code.
        code_hash: B256,
        /// What the host has against it.
        reason: String,
    },
    /// The host failed.
    #[error(transparent)]
    Host(#[from] HostFault),
}

/// A contract as a module.
#[derive(Debug)]
pub struct CompiledModule {
    /// Where it is, in the account of the driver.
    pub namespace: Namespace,
    /// What it was compiled from and to.
    pub report: Report,
    /// Time from EVM code to Wasm, in nanoseconds.
    pub compile_nanos: u64,
    /// Time from Wasm to a loaded module, in nanoseconds: validating, metering and the engine's compiler.
    pub native_compile_nanos: u64,
    /// Bytes of the module as deployed.
    pub wasm_bytes: u64,
}

/// The account of the driver: its modules are compiled contracts.
pub struct Modules {
    options: ModuleOptions,
    rules: Arc<Rules>,
    account: AccountId,
    kept: RefCell<Kept>,
    /// Modules in the order in which frames opened them, while somebody wants to know.
    opened: RefCell<Option<Vec<Rc<CompiledModule>>>>,
}

struct Kept {
    registry: Registry,
    /// `None` for code that the host refused.
    by_code: HashMap<(B256, u8), Option<Rc<CompiledModule>>>,
    by_namespace: HashMap<Namespace, ModuleRecord>,
    loaded: HashMap<CryptoHash, Arc<Code>>,
    errors: Vec<String>,
}

/// Lengths of messages are the EVM's business here: what it has the gas for may be sent, output of many megabytes too.
fn without_length_limits(schedule: &Schedule) -> Arc<Schedule> {
    let mut schedule = schedule.clone();
    let limits = &mut Arc::make_mut(&mut schedule.vm).limit_config;
    limits.max_arguments_length = Modules::MESSAGE_BYTES_MAX;
    limits.max_length_returned_data = Modules::MESSAGE_BYTES_MAX;
    limits.max_register_size = Modules::MESSAGE_BYTES_MAX;
    limits.registers_memory_limit = Modules::MESSAGE_BYTES_MAX;
    Arc::new(schedule)
}

/// Prices under which gas is the number of operators.
fn operators_alone(schedule: &Schedule) -> Schedule {
    let mut schedule = schedule.clone();
    let vm = Arc::make_mut(&mut schedule.vm);
    vm.regular_op_cost = 1;
    vm.grow_mem_cost = 1;
    vm.linear_op_base_cost = 1;
    vm.linear_op_unit_cost = 1;
    for (_, cost) in &mut vm.ext_costs.costs {
        *cost = ParameterCost::ZERO;
    }
    schedule.sync = SyncCosts {
        lookup: 0,
        open: 0,
        memory_page: 0,
        memory_growth: 0,
        grown_page: 0,
        resume: 0,
        byte_in: 0,
        byte_out: 0,
        callback: 0,
        close: 0,
        register: 0,
        register_byte: 0,
        instance: InstanceCosts::FREE,
    };
    schedule
}

impl Modules {
    /// Longest message between a module and its parent, in bytes: more than a module's memory.
    const MESSAGE_BYTES_MAX: u64 = 1 << 28;

    /// Gas of the host for one transaction: more than any EVM gas limit can need, and low enough to be added up.
    pub(crate) const SESSION_GAS: u64 = 1 << 62;

    /// Memory of all live frames of a transaction: 1,025 frames of 8 MiB each, which is more than any gas limit
    /// of the state tests pays for. The host's own limit is for a chain, where gas limits are lower.
    const MEMORY_BYTES_MAX: u64 = 8 << 30;

    /// No modules yet. The host's prices are those of the features protocol, its gas is never short.
    ///
    /// # Errors
    /// No such protocol.
    pub fn new(options: ModuleOptions) -> Result<Rc<Self>, UnknownProtocol> {
        let near = Schedule::for_protocol(cotenant_gas::FEATURES_PROTOCOL)?;
        let mut schedule = without_length_limits(&near);
        if options.prices == Prices::Operators {
            schedule = Arc::new(operators_alone(&schedule));
        }
        let mut rules = Rules::new(schedule.clone());
        rules.limits.memory_bytes_max = Self::MEMORY_BYTES_MAX;
        let rules = Arc::new(rules);
        let account: AccountId = match "evm".parse() {
            Ok(account) => account,
            Err(_) => unreachable!("`evm` is an account id"),
        };
        let kept = RefCell::new(Kept::new(schedule, options.engine));
        Ok(Rc::new(Self { options, rules, account, kept, opened: RefCell::default() }))
    }

    /// The options.
    pub fn options(&self) -> &ModuleOptions {
        &self.options
    }

    /// What went wrong with modules that could not be had, first come first.
    pub fn errors(&self) -> Vec<String> {
        self.kept.borrow().errors.clone()
    }

    /// The module of a contract, compiled if it is new. `None` if the host refuses it, which is noted.
    ///
    /// # Errors
    /// The host failed.
    pub fn module(
        &self,
        code_hash: B256,
        fork: Fork,
        code: &[u8],
    ) -> Result<Option<Rc<CompiledModule>>, HostFault> {
        let key = (code_hash, fork as u8);
        if let Some(known) = self.kept.borrow().by_code.get(&key) {
            return Ok(known.clone());
        }
        let mut kept = self.kept.borrow_mut();
        let module = match self.compile(&mut kept, code_hash, fork, code) {
            Ok(module) => Some(Rc::new(module)),
            Err(ModuleError::Host(fault)) => return Err(fault),
            Err(error @ ModuleError::Refused { .. }) => {
                if kept.errors.len() < Kept::ERRORS_MAX {
                    kept.errors.push(error.to_string());
                }
                None
            }
        };
        kept.by_code.insert(key, module.clone());
        Ok(module)
    }

    fn compile(
        &self,
        kept: &mut Kept,
        code_hash: B256,
        fork: Fork,
        code: &[u8],
    ) -> Result<CompiledModule, ModuleError> {
        let options = Options { fork, keccak: self.options.keccak };
        let start = Instant::now();
        let compiled = match self.options.compact {
            true => evm_to_wasm::compile_compact(code, &options),
            false => evm_to_wasm::compile(code, &options),
        };
        let compile_nanos = nanos(start);
        let module = self.load(kept, code_hash, &compiled.wasm, compiled.report)?;
        Ok(CompiledModule { compile_nanos, ..module })
    }

    /// Takes a module that was made elsewhere for a contract.
    ///
    /// # Errors
    /// The host refuses it, or failed.
    pub fn insert(
        &self,
        code_hash: B256,
        fork: Fork,
        wasm: &[u8],
    ) -> Result<Rc<CompiledModule>, ModuleError> {
        let mut kept = self.kept.borrow_mut();
        let module = Rc::new(self.load(&mut kept, code_hash, wasm, Report::default())?);
        kept.by_code.insert((code_hash, fork as u8), Some(module.clone()));
        Ok(module)
    }

    fn load(
        &self,
        kept: &mut Kept,
        code_hash: B256,
        wasm: &[u8],
        report: Report,
    ) -> Result<CompiledModule, ModuleError> {
        let start = Instant::now();
        let deployed = kept.registry.deploy(wasm, Visibility::Private);
        let record = deployed.map_err(|error| match error {
            DeployError::Host(fault) => ModuleError::Host(fault),
            error => ModuleError::Refused { code_hash, reason: error.to_string() },
        })?;
        let loaded = kept.registry.code(&record, self.options.engine)?;
        if loaded.engine != self.options.engine {
            // The outcome would be the same, but what is measured and compared here is the engine.
            let reason = kept.registry.status(&record).reason.unwrap_or_default();
            return Err(ModuleError::Refused { code_hash, reason });
        }
        let native_compile_nanos = nanos(start);
        let name = format!("m{}", kept.by_namespace.len());
        let namespace = Namespace::from_bytes(name.as_bytes())
            .map_err(|error| HostFault::Bug(error.to_string()))?;
        let wasm_bytes = record.code_bytes;
        kept.loaded.insert(record.code_hash, loaded);
        kept.by_namespace.insert(namespace.clone(), record);
        Ok(CompiledModule { namespace, report, compile_nanos: 0, native_compile_nanos, wasm_bytes })
    }

    /// Starts to note which modules frames open.
    pub(crate) fn watch(&self) {
        *self.opened.borrow_mut() = Some(Vec::new());
    }

    /// Ends that, and gives the modules in the order in which they were opened.
    pub(crate) fn watched(&self) -> Vec<Rc<CompiledModule>> {
        self.opened.borrow_mut().take().unwrap_or_default()
    }

    pub(crate) fn note_opened(&self, module: &Rc<CompiledModule>) {
        if let Some(opened) = self.opened.borrow_mut().as_mut() {
            opened.push(module.clone());
        }
    }

    /// A session for one transaction. Modules are dropped here and nowhere else, when there are too many.
    pub fn session(self: &Rc<Self>) -> Session {
        if self.kept.borrow().by_code.len() > self.options.modules_max {
            let fresh = Kept::new(self.rules.schedule.clone(), self.options.engine);
            let errors = std::mem::replace(&mut *self.kept.borrow_mut(), fresh).errors;
            self.kept.borrow_mut().errors = errors;
        }
        Session::new(&self.rules, self.clone(), self.clone(), self.options.engine, self.context())
    }

    /// What a module needs to be opened.
    pub(crate) fn grants(&self) -> Grants {
        match self.options.keccak {
            Keccak::Own => Grants::NONE,
            Keccak::Host => Grants::NONE.with(Capability::Crypto),
        }
    }

    fn context(&self) -> CallContext {
        CallContext {
            account: self.account.clone(),
            signer: self.account.clone(),
            signer_key: near_crypto::PublicKey::empty(near_crypto::KeyType::ED25519),
            predecessor: self.account.clone(),
            refund_to: self.account.clone(),
            namespace: Namespace::DEFAULT,
            method: String::new(),
            input: Vec::new(),
            promise_results: Vec::new(),
            block_height: 0,
            block_timestamp: 0,
            epoch_height: 0,
            balance: 0,
            locked_balance: 0,
            storage_usage: 0,
            deposit: 0,
            gas: Self::SESSION_GAS,
            random_seed: [0; 32],
            // A view, so that the gas above is the only limit.
            view: true,
            output_data_receivers: Vec::new(),
        }
    }
}

impl Kept {
    /// Errors that are kept for a report.
    const ERRORS_MAX: usize = 64;

    fn new(schedule: Arc<Schedule>, engine: EngineKind) -> Self {
        Self {
            registry: Registry::in_memory(schedule, &[engine]),
            by_code: HashMap::new(),
            by_namespace: HashMap::new(),
            loaded: HashMap::new(),
            errors: Vec::new(),
        }
    }
}

impl StateView for Modules {
    fn value(&self, _: &AccountId, _: &Namespace, _: &[u8]) -> Result<Option<Vec<u8>>, HostFault> {
        Ok(None)
    }

    fn module(
        &self,
        account: &AccountId,
        namespace: &Namespace,
    ) -> Result<Option<ModuleRecord>, HostFault> {
        let ours = *account == self.account;
        Ok(self.kept.borrow().by_namespace.get(namespace).filter(|_| ours).cloned())
    }

    fn yield_exists(&self, _: &AccountId, _: &CryptoHash) -> Result<bool, HostFault> {
        Ok(false)
    }
}

impl ModuleSource for Modules {
    fn code(&self, record: &ModuleRecord, engine: EngineKind) -> Result<Arc<Code>, HostFault> {
        let loaded = self.kept.borrow().loaded.get(&record.code_hash).cloned();
        loaded.filter(|_| engine == self.options.engine).ok_or_else(|| {
            HostFault::Bug(format!("module {} is not loaded for {engine}", record.code_hash))
        })
    }
}

/// Time since a start, in nanoseconds.
pub(crate) fn nanos(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
