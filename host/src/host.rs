//! The library's front: deploy, call, view.

use crate::HostFault;
use crate::action::{Action, Code};
use crate::artifact::DiskArtifacts;
use crate::child::Ended;
use crate::compile::{Compile, Compiler};
use crate::deploy::{DeployError, ModuleSource};
use crate::engine::EngineKind;
use crate::exec::{self, CallContext, Execution, Rules, Session};
use crate::marks::Marks;
use crate::registry::{CacheLimits, CodeSource, Registry, RegistryOptions};
use crate::runtime::{
    Block, DeployRejection, Deployer, EPOCH_BLOCKS, Executor, Failure, FaultReport,
    InvalidTransaction, NoWatch, ReceiptOutcome, Runtime, RuntimeError, Status, Transaction,
    TransactionOutcome, Watch,
};
use crate::state::{DiskStore, MemoryStore, OpenError, Store, WorkingState, keys};
use crate::view::{ModuleRecord, StateView};
use cotenant_gas::{Schedule, UnknownProtocol};
use cotenant_submodules::{DeployMode, ModuleId, Namespace, Replace, Visibility};
use near_account_id::AccountId;
use near_crypto::{KeyType, PublicKey};
use near_primitives_core::hash::CryptoHash;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Balance of an account that the host creates because somebody names it: 1,000 NEAR, in yoctoNEAR.
pub const FIRST_BALANCE: u128 = 1_000 * 10_u128.pow(24);

/// How a host is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Protocol version; fixed when a home is created, and 88 unless given.
    pub protocol: Option<u32>,
    /// Engines that calls may ask for; the first runs them unless another is chosen. The interpreter is always there: it
    /// runs what is not compiled to native code.
    pub engines: Vec<EngineKind>,
    /// When modules are compiled to native code. `None`: a host in memory waits for it at the deploy, as tests and
    /// measurements want it; one with a home compiles in the background, once a module is called.
    pub compile: Option<Compile>,
    /// Who compiles them: a thread of this process unless given.
    pub compiler: Compiler,
    /// How much compiled code is kept.
    pub cache: CacheLimits,
    /// The `cotenant` program, which rehearses a receipt that killed two processes in a child. Without it such a
    /// receipt is run in this process, on the interpreter, each time.
    pub rehearsal: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            protocol: None,
            engines: EngineKind::ALL.to_vec(),
            compile: None,
            compiler: Compiler::InProcess,
            cache: CacheLimits::default(),
            rehearsal: None,
        }
    }
}

impl Options {
    fn registry(&self, compile: Compile) -> RegistryOptions {
        RegistryOptions {
            engines: self.engines.clone(),
            compile: self.compile.unwrap_or(compile),
            compiler: self.compiler.clone(),
            limits: self.cache,
        }
    }
}

/// Why a host did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// No such protocol.
    #[error(transparent)]
    Protocol(#[from] UnknownProtocol),
    /// The home cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The transaction was refused, or the host failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The transaction of a deploy ran, and its receipt failed: nothing was deployed.
    #[error("not deployed: {}: {}", .0.failure.code, .0.failure.message)]
    Deploy(Box<DeployFailed>),
    /// The host's own fault.
    #[error(transparent)]
    Fault(#[from] HostFault),
}

/// A deploy that failed, and what it cost.
#[derive(Debug)]
pub struct DeployFailed {
    /// Why; its message lists every rule that the code breaks.
    pub failure: Failure,
    /// What is reported of the transaction.
    pub outcome: TransactionOutcome,
}

/// A function call to make.
#[derive(Clone, Debug)]
pub struct Call {
    /// The module.
    pub module: ModuleId,
    /// The method.
    pub method: String,
    /// Its input.
    pub args: Vec<u8>,
    /// Prepaid gas.
    pub gas: u64,
    /// Attached balance, in yoctoNEAR.
    pub deposit: u128,
    /// Who signs; the account itself unless given.
    pub signer: Option<AccountId>,
}

impl Call {
    /// A call without arguments or deposit, with 100 Tgas.
    pub fn new(module: ModuleId, method: &str) -> Self {
        Self {
            module,
            method: method.to_owned(),
            args: Vec::new(),
            gas: 100_000_000_000_000,
            deposit: 0,
            signer: None,
        }
    }

    /// The same with arguments.
    #[must_use]
    pub fn args(mut self, args: impl Into<Vec<u8>>) -> Self {
        self.args = args.into();
        self
    }

    /// The same with arguments as JSON, which is what near-sdk's methods take.
    ///
    /// # Errors
    /// The value cannot be JSON: it has keys that are no text, or its own serialisation fails.
    pub fn args_json(self, args: &impl serde::Serialize) -> Result<Self, serde_json::Error> {
        Ok(self.args(serde_json::to_vec(args)?))
    }

    /// The same with this much gas prepaid, in units: 10^12 are a Tgas.
    #[must_use]
    pub fn gas(mut self, gas: u64) -> Self {
        self.gas = gas;
        self
    }

    /// The same with this balance attached, in yoctoNEAR: 10^24 are a NEAR.
    #[must_use]
    pub fn deposit(mut self, deposit: u128) -> Self {
        self.deposit = deposit;
        self
    }

    /// The same signed by another account, which pays.
    #[must_use]
    pub fn signer(mut self, signer: AccountId) -> Self {
        self.signer = Some(signer);
        self
    }
}

/// What runs the calls of a host: the code that was prepared, and the engine that was chosen.
#[derive(Clone)]
pub struct Machine {
    registry: Arc<Registry>,
    rules: Arc<Rules>,
    engine: Arc<AtomicUsize>,
}

impl Machine {
    fn engine(&self) -> EngineKind {
        EngineKind::ALL[self.engine.load(Ordering::Relaxed) % EngineKind::ALL.len()]
    }
}

/// The registry as the source of code of one account's call.
struct Source {
    registry: Arc<Registry>,
    account: Option<AccountId>,
}

impl ModuleSource for Source {
    fn code(
        &self,
        record: &ModuleRecord,
        engine: EngineKind,
    ) -> Result<Arc<crate::deploy::Code>, HostFault> {
        self.registry.code_for(self.account.as_ref(), record, engine)
    }

    fn retire(&self, record: &ModuleRecord, reason: &str) {
        self.registry.retire(record, reason);
    }
}

/// The state as the source of code whose artifacts are gone.
struct StateCodes(Arc<dyn Store>);

impl CodeSource for StateCodes {
    fn code(&self, hash: &CryptoHash) -> Result<Option<Vec<u8>>, HostFault> {
        WorkingState::of(&*self.0)?.code(hash)
    }

    fn in_use(&self, hash: &CryptoHash) -> Result<bool, HostFault> {
        Ok(self.0.snapshot()?.get(&keys::code_uses(hash))?.is_some())
    }
}

impl Executor for Machine {
    fn execute(
        &self,
        state: Rc<dyn StateView>,
        context: CallContext,
    ) -> Result<Execution, HostFault> {
        let account = Some(context.account.clone());
        let modules = Rc::new(Source { registry: self.registry.clone(), account });
        exec::execute(&self.rules, state, modules, self.engine(), context)
    }

    fn execute_interpreted(
        &self,
        state: Rc<dyn StateView>,
        context: CallContext,
    ) -> Result<Execution, HostFault> {
        let account = Some(context.account.clone());
        let modules = Rc::new(Source { registry: self.registry.clone(), account });
        exec::execute(&self.rules, state, modules, EngineKind::Wasmi, context)
    }
}

impl Deployer for Machine {
    fn deploy(
        &self,
        code: &[u8],
        visibility: Visibility,
    ) -> Result<Result<(), DeployRejection>, HostFault> {
        match self.registry.deploy_in_receipt(code, visibility) {
            Ok(_) => Ok(Ok(())),
            Err(DeployError::Host(fault)) => Err(fault),
            Err(error) => Ok(Err(DeployRejection { text: error.to_string() })),
        }
    }

    fn prepare(&self, code: &[u8], visibility: Visibility) {
        // Why it is refused is said where it is deployed.
        let _ = self.registry.deploy(code, visibility);
    }
}

/// A host: a state, and what runs on it.
pub struct Host {
    runtime: Runtime<Machine>,
    machine: Machine,
}

impl Host {
    /// A host in memory.
    ///
    /// # Errors
    /// No such protocol.
    pub fn in_memory(options: &Options) -> Result<Self, HostError> {
        Self::in_memory_as(Schedule::for_protocol(options.protocol.unwrap_or(88))?, options)
    }

    /// A host in memory with prices and limits that need not be those of a protocol version.
    ///
    /// # Errors
    /// The host failed.
    pub fn in_memory_with(
        schedule: Arc<Schedule>,
        engines: &[EngineKind],
    ) -> Result<Self, HostError> {
        Self::in_memory_as(schedule, &Options { engines: engines.to_vec(), ..Options::default() })
    }

    fn in_memory_as(schedule: Arc<Schedule>, options: &Options) -> Result<Self, HostError> {
        let store = Arc::new(MemoryStore::new(schedule.protocol)?);
        let codes = Box::new(StateCodes(store.clone()));
        let registry = Registry::of_state(schedule.clone(), options.registry(Compile::Wait), codes);
        Self::with(store, schedule, options, registry, Arc::new(NoWatch))
    }

    /// A host with its home in a folder, which is created at first use. Opening compiles nothing: modules whose artifacts
    /// another version wrote run on the interpreter until they are compiled again.
    ///
    /// # Errors
    /// The home was created for another protocol, by a newer version, or the disk fails.
    pub fn open(home: &Path, options: &Options) -> Result<Self, HostError> {
        let mut store = DiskStore::open(home, options.protocol)?;
        let marks = Marks::open(home).map_err(HostFault::from)?;
        if let (Some(program), Some(receipt)) = (&options.rehearsal, marks.suspect()) {
            // The child opens the home itself.
            drop(store);
            let ended = Marks::rehearse(home, program, receipt);
            store = DiskStore::open(home, options.protocol)?;
            if let Some(Ended::Own(signal)) = ended {
                marks.condemn(receipt, signal).map_err(HostFault::from)?;
            }
        }
        Self::open_store(home, options, store, Arc::new(marks))
    }

    /// Opens a home to run one receipt of its queue on the interpreter and let nothing come of it: what a child does
    /// whose death shall tell whether the receipt kills the process. `limit` is told its gas first.
    ///
    /// # Errors
    /// As of [`Host::open`].
    pub fn rehearse(
        home: &Path,
        options: &Options,
        receipt: CryptoHash,
        limit: impl FnOnce(u64),
    ) -> Result<bool, HostError> {
        let store = DiskStore::open(home, options.protocol)?;
        let host = Self::open_store(home, options, store, Arc::new(NoWatch))?;
        Ok(host.runtime.rehearse(receipt, limit)?)
    }

    fn open_store(
        home: &Path,
        options: &Options,
        store: DiskStore,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, HostError> {
        let store = Arc::new(store);
        let schedule = Schedule::for_protocol(crate::state::protocol(&*store)?)?;
        let artifacts = DiskArtifacts::open(&home.join("artifacts"))?;
        let codes = Box::new(StateCodes(store.clone()));
        let options_of_registry = options.registry(Compile::Background);
        let registry = Registry::open(schedule.clone(), options_of_registry, artifacts, codes);
        Self::with(store, schedule, options, registry, watch)
    }

    fn with(
        store: Arc<dyn Store>,
        schedule: Arc<Schedule>,
        options: &Options,
        registry: Registry,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, HostError> {
        let machine = Machine {
            registry: Arc::new(registry),
            rules: Arc::new(Rules::new(schedule.clone())),
            engine: Arc::default(),
        };
        let runtime = Runtime::new(store, schedule, machine.clone())?.watched(watch);
        let host = Self { runtime, machine };
        if let Some(first) = options.engines.first() {
            host.use_engine(*first);
        }
        Ok(host)
    }

    /// Runs calls on this engine from here on.
    pub fn use_engine(&self, kind: EngineKind) {
        let position = EngineKind::ALL.iter().position(|known| *known == kind).unwrap_or(0);
        self.machine.engine.store(position, Ordering::Relaxed);
    }

    /// The rules and prices.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.machine.rules
    }

    /// The chain: transactions of any actions, blocks, digest.
    pub fn runtime(&self) -> &Runtime<Machine> {
        &self.runtime
    }

    /// The state as it is now.
    ///
    /// # Errors
    /// The disk fails.
    pub fn state(&self) -> Result<WorkingState, HostFault> {
        self.runtime.state()
    }

    /// A source of code for [`exec::Session`].
    pub fn modules_source(&self) -> Rc<dyn ModuleSource> {
        Rc::new(Source { registry: self.machine.registry.clone(), account: None })
    }

    /// A session in the place of a parent contract of an account, with this much gas for everything that it opens: private
    /// modules are driven by the caller's own code. Nothing of it enters the state.
    ///
    /// # Errors
    /// The account does not exist, or the disk fails.
    pub fn session(&self, account: &AccountId, gas: u64) -> Result<Session, HostError> {
        let state = self.state()?;
        let missing = || InvalidTransaction::AccountDoesNotExist { account: account.clone() };
        let record = state.account(account)?.ok_or_else(|| RuntimeError::from(missing()))?;
        let block = Block::at(state.head()?.height);
        let context = CallContext {
            account: account.clone(),
            signer: account.clone(),
            signer_key: PublicKey::empty(KeyType::ED25519),
            predecessor: account.clone(),
            refund_to: account.clone(),
            namespace: Namespace::DEFAULT,
            method: String::new(),
            input: Vec::new(),
            promise_results: Vec::new(),
            block_height: block.height,
            block_timestamp: block.timestamp,
            epoch_height: block.height / EPOCH_BLOCKS,
            balance: record.balance,
            locked_balance: record.locked,
            storage_usage: record.storage_usage,
            deposit: 0,
            gas,
            random_seed: [0; 32],
            view: true,
            output_data_receivers: Vec::new(),
        };
        let (rules, modules) = (self.rules(), self.modules_source());
        Ok(Session::new(rules, state.view(), modules, self.machine.engine(), context))
    }

    /// The code of all modules, and what is known of its tiers: to compile, pin, check and clear it.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.machine.registry
    }

    /// Deploys a module by a transaction of the account itself, which is created if it is new. What is at the
    /// namespace is replaced; [`Host::deploy_as`] chooses.
    ///
    /// # Errors
    /// The transaction is refused, or its receipt fails ([`HostError::Deploy`]): code that breaks rules, with the full report.
    pub fn deploy(
        &self,
        module: &ModuleId,
        visibility: Visibility,
        code: &[u8],
    ) -> Result<TransactionOutcome, HostError> {
        self.deploy_as(module, DeployMode { visibility, replace: Replace::Any }, code)
    }

    /// Deploys a module, in the place of what the mode allows to replace.
    ///
    /// # Errors
    /// The transaction is refused, or its receipt fails ([`HostError::Deploy`]): code that breaks rules, with the full report,
    /// or a namespace that is taken (`ModuleExists`).
    pub fn deploy_as(
        &self,
        module: &ModuleId,
        mode: DeployMode,
        code: &[u8],
    ) -> Result<TransactionOutcome, HostError> {
        self.runtime.ensure_account(&module.account, FIRST_BALANCE)?;
        let outcome = self.runtime.execute(&Transaction {
            signer: module.account.clone(),
            signer_key: None,
            receiver: module.account.clone(),
            actions: vec![Action::DeployModule {
                namespace: module.namespace.clone(),
                mode,
                code: Code::Bytes(code.to_vec()),
            }],
        })?;
        match outcome.root().map(|root| &root.status) {
            Some(Status::Failure(failure)) => {
                let failure = failure.clone();
                Err(HostError::Deploy(Box::new(DeployFailed { failure, outcome })))
            }
            _ => Ok(outcome),
        }
    }

    /// Calls a method by a transaction; accounts that it names are created if they are new.
    ///
    /// # Errors
    /// The transaction is refused. What the guest does wrong is in the outcome.
    pub fn call(&self, call: &Call) -> Result<TransactionOutcome, HostError> {
        let signer = call.signer.clone().unwrap_or_else(|| call.module.account.clone());
        for account in [&call.module.account, &signer] {
            self.runtime.ensure_account(account, FIRST_BALANCE)?;
        }
        let method = if call.module.namespace.is_default() {
            call.method.clone()
        } else {
            format!("{}:{}", call.module.namespace, call.method)
        };
        Ok(self.runtime.execute(&Transaction {
            signer,
            signer_key: None,
            receiver: call.module.account.clone(),
            actions: vec![Action::FunctionCall {
                method,
                args: call.args.clone(),
                deposit: call.deposit,
                gas: call.gas,
                weight: 0,
            }],
        })?)
    }

    /// Calls a method and lets nothing come of it.
    ///
    /// # Errors
    /// The account does not exist, or the host failed.
    pub fn view(
        &self,
        module: &ModuleId,
        method: &str,
        args: &[u8],
    ) -> Result<Execution, HostError> {
        let gas = self.runtime.schedule().vm.limit_config.max_gas_burnt.as_gas();
        Ok(self.runtime.view(&module.account, &module.namespace, method, args, gas)?)
    }

    /// Runs the receipt of a fault's report again, on what it read then, in memory.
    ///
    /// # Errors
    /// The fault, if it happens again; no such protocol.
    pub fn reproduce(
        report: &FaultReport,
        engine: EngineKind,
    ) -> Result<ReceiptOutcome, HostError> {
        let options = Options { protocol: Some(report.protocol), ..Options::default() };
        let host = Self::in_memory(&options)?;
        host.use_engine(engine);
        Ok(report.reproduce(&host.machine, host.runtime.schedule())?)
    }

    /// The modules of an account.
    ///
    /// # Errors
    /// The disk fails.
    pub fn modules(
        &self,
        account: &AccountId,
    ) -> Result<BTreeMap<Namespace, ModuleRecord>, HostFault> {
        self.state()?.modules(account)
    }
}
