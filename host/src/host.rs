//! The library's front: deploy, call, view.

use crate::HostFault;
use crate::action::{Action, Code};
use crate::artifact::{ArtifactStore, DiskArtifacts, MemoryArtifacts};
use crate::deploy::{DeployError, ModuleSource, Registry};
use crate::engine::EngineKind;
use crate::exec::{self, CallContext, Execution, Rules};
use crate::runtime::{
    DeployRejection, Deployer, Executor, Runtime, RuntimeError, Transaction, TransactionOutcome,
};
use crate::state::{DiskStore, MemoryStore, OpenError, Store, WorkingState};
use crate::view::{ModuleRecord, StateView};
use cotenant_gas::{Schedule, UnknownProtocol};
use cotenant_submodules::{DeployMode, ModuleId, Namespace, Replace, Visibility};
use near_account_id::AccountId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
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
    /// Engines that deploys prepare; the first runs calls unless another is chosen.
    pub engines: Vec<EngineKind>,
}

impl Default for Options {
    fn default() -> Self {
        Self { protocol: None, engines: EngineKind::ALL.to_vec() }
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
    /// The host's own fault.
    #[error(transparent)]
    Fault(#[from] HostFault),
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

    /// The same with this much gas.
    #[must_use]
    pub fn gas(mut self, gas: u64) -> Self {
        self.gas = gas;
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

/// A registry can be shared by the calls of one thread as a source of code.
struct Shared(Arc<Registry>);

impl ModuleSource for Shared {
    fn code(
        &self,
        record: &ModuleRecord,
        engine: EngineKind,
    ) -> Result<Arc<crate::deploy::Code>, HostFault> {
        self.0.code(record, engine)
    }
}

impl Executor for Machine {
    fn execute(
        &self,
        state: Rc<dyn StateView>,
        context: CallContext,
    ) -> Result<Execution, HostFault> {
        let modules = Rc::new(Shared(self.registry.clone()));
        exec::execute(&self.rules, state, modules, self.engine(), context)
    }
}

impl Deployer for Machine {
    fn deploy(
        &self,
        code: &[u8],
        visibility: Visibility,
    ) -> Result<Result<(), DeployRejection>, HostFault> {
        match self.registry.deploy(code, visibility) {
            Ok(_) => Ok(Ok(())),
            Err(DeployError::Host(fault)) => Err(fault),
            Err(error) => Ok(Err(DeployRejection { text: error.to_string() })),
        }
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
        let schedule = Schedule::for_protocol(options.protocol.unwrap_or(88))?;
        Self::in_memory_with(schedule, &options.engines)
    }

    /// A host in memory with prices and limits that need not be those of a protocol version.
    ///
    /// # Errors
    /// The host failed.
    pub fn in_memory_with(
        schedule: Arc<Schedule>,
        engines: &[EngineKind],
    ) -> Result<Self, HostError> {
        let options = Options { protocol: Some(schedule.protocol), engines: engines.to_vec() };
        let store = Arc::new(MemoryStore::new(schedule.protocol)?);
        Self::with(store, schedule, &options, Box::new(MemoryArtifacts::default()))
    }

    /// A host with its home in a folder, which is created at first use.
    ///
    /// # Errors
    /// The home was created for another protocol, by a newer version, or the disk fails.
    pub fn open(home: &Path, options: &Options) -> Result<Self, HostError> {
        let store = Arc::new(DiskStore::open(home, options.protocol)?);
        let schedule = Schedule::for_protocol(crate::state::protocol(&*store)?)?;
        let artifacts = DiskArtifacts::open(&home.join("artifacts"))?;
        let host = Self::with(store, schedule, options, Box::new(artifacts))?;
        host.prepare()?;
        Ok(host)
    }

    fn with(
        store: Arc<dyn Store>,
        schedule: Arc<Schedule>,
        options: &Options,
        artifacts: Box<dyn ArtifactStore>,
    ) -> Result<Self, HostError> {
        let registry = Arc::new(Registry::new(schedule.clone(), &options.engines, artifacts));
        let machine = Machine {
            registry,
            rules: Arc::new(Rules::new(schedule.clone())),
            engine: Arc::default(),
        };
        let host = Self { runtime: Runtime::new(store, schedule, machine.clone())?, machine };
        if let Some(first) = options.engines.first() {
            host.use_engine(*first);
        }
        Ok(host)
    }

    /// Compiles what this version or machine has not compiled yet, so that no call has to.
    fn prepare(&self) -> Result<(), HostFault> {
        let state = self.runtime.state()?;
        let mut records = BTreeSet::new();
        for account in state.accounts()? {
            let modules = state.modules(&account)?;
            records.extend(
                modules.into_values().map(|one| (one.code_hash, one.visibility, one.code_bytes)),
            );
        }
        for (code_hash, visibility, code_bytes) in records {
            let record = ModuleRecord { code_hash, visibility, code_bytes };
            if self.machine.registry.prepared(&record)? {
                continue;
            }
            if let Some(code) = state.code(&record.code_hash)? {
                match self.machine.registry.deploy(&code, record.visibility) {
                    Ok(_) => {}
                    Err(DeployError::Host(fault)) => return Err(fault),
                    Err(error) => {
                        let hash = record.code_hash;
                        return Err(HostFault::Artifact(format!(
                            "code {hash} was deployed by another version and is refused by this one: {error}"
                        )));
                    }
                }
            }
        }
        Ok(())
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
        Rc::new(Shared(self.machine.registry.clone()))
    }

    /// Deploys a module by a transaction of the account itself, which is created if it is new. What is at the
    /// namespace is replaced; [`Host::deploy_as`] chooses.
    ///
    /// # Errors
    /// The transaction is refused. Code that breaks a rule fails the receipt, with the full report.
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
    /// The transaction is refused. Code that breaks a rule fails the receipt, with the full report; so does a
    /// namespace that is taken (`ModuleExists`).
    pub fn deploy_as(
        &self,
        module: &ModuleId,
        mode: DeployMode,
        code: &[u8],
    ) -> Result<TransactionOutcome, HostError> {
        self.runtime.ensure_account(&module.account, FIRST_BALANCE)?;
        Ok(self.runtime.execute(&Transaction {
            signer: module.account.clone(),
            signer_key: None,
            receiver: module.account.clone(),
            actions: vec![Action::DeployModule {
                namespace: module.namespace.clone(),
                mode,
                code: Code::Bytes(code.to_vec()),
            }],
        })?)
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
