//! An account without a chain around it: modules, storage, calls and sessions on the engine that a test wants.

use cotenant_gas::Schedule;
use cotenant_host::HostFault;
use cotenant_host::deploy::{Code, DeployError, ModuleSource};
use cotenant_host::engine::EngineKind;
use cotenant_host::exec::{CallContext, Rules, Session};
use cotenant_host::registry::Registry;
use cotenant_host::view::{ModuleRecord, StateView};
use cotenant_submodules::model::Storage;
use cotenant_submodules::{Namespace, Visibility};
use near_account_id::AccountId;
use near_crypto::{KeyType, PublicKey};
use near_primitives_core::hash::CryptoHash;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// What a call sees of an account.
#[derive(Clone, Default)]
pub struct Account {
    /// Deployed modules.
    pub modules: BTreeMap<Namespace, ModuleRecord>,
    /// Storage before the call.
    pub storage: BTreeMap<Namespace, Storage>,
}

impl Account {
    /// Deploys a module.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn deploy(
        &mut self,
        registry: &Registry,
        namespace: Namespace,
        visibility: Visibility,
        code: &[u8],
    ) -> Result<(), DeployError> {
        self.modules.insert(namespace, registry.deploy(code, visibility)?);
        Ok(())
    }
}

impl StateView for Account {
    fn value(
        &self,
        _: &AccountId,
        at: &Namespace,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, HostFault> {
        Ok(self.storage.get(at).and_then(|entries| entries.get(key)).cloned())
    }

    fn module(&self, _: &AccountId, at: &Namespace) -> Result<Option<ModuleRecord>, HostFault> {
        Ok(self.modules.get(at).cloned())
    }

    fn yield_exists(&self, _: &AccountId, _: &CryptoHash) -> Result<bool, HostFault> {
        Ok(false)
    }
}

/// A registry as the source of code of one thread's calls. A test that asks for an engine gets it: a module that is on
/// another tier is a fault, so that no comparison of engines compares the interpreter with itself.
pub struct Source(pub Arc<Registry>);

impl ModuleSource for Source {
    fn code(&self, record: &ModuleRecord, engine: EngineKind) -> Result<Arc<Code>, HostFault> {
        let code = self.0.code(record, engine)?;
        if code.engine == engine {
            return Ok(code);
        }
        let reason = self.0.status(record).reason.unwrap_or_default();
        Err(HostFault::Bug(format!("a test of {engine} would run on {}: {reason}", code.engine)))
    }

    fn retire(&self, record: &ModuleRecord, reason: &str) {
        self.0.retire(record, reason);
    }
}

/// A registry whose modules are on the tier that a bit of their hash says: callers and callees on different ones.
pub struct Mixed {
    /// The modules.
    pub registry: Arc<Registry>,
    /// Which bit.
    pub bit: u32,
}

impl ModuleSource for Mixed {
    fn code(&self, record: &ModuleRecord, _: EngineKind) -> Result<Arc<Code>, HostFault> {
        let native = u32::from(record.code_hash.0[0]) >> (self.bit % 8) & 1 == 1;
        self.registry.code(record, if native { EngineKind::Cranelift } else { EngineKind::Wasmi })
    }
}

/// A call of `alice.near` by itself, of nothing, with so much gas.
pub fn call_context(gas: u64) -> CallContext {
    let alice = || -> AccountId {
        "alice.near".parse().unwrap_or_else(|_| unreachable!("a literal account id"))
    };
    CallContext {
        account: alice(),
        signer: alice(),
        signer_key: PublicKey::empty(KeyType::ED25519),
        predecessor: alice(),
        refund_to: alice(),
        namespace: Namespace::DEFAULT,
        method: String::new(),
        input: Vec::new(),
        promise_results: Vec::new(),
        block_height: 10,
        block_timestamp: 42,
        epoch_height: 1,
        balance: 0,
        locked_balance: 0,
        storage_usage: 0,
        deposit: 0,
        gas,
        random_seed: [7; 32],
        view: false,
        output_data_receivers: Vec::new(),
    }
}

/// One account of private modules on all engines; threads share it.
#[derive(Clone)]
pub struct World {
    rules: Arc<Rules>,
    registry: Arc<Registry>,
    account: Account,
}

impl World {
    /// Deploys private modules, each under its name, from text or bytes.
    ///
    /// # Errors
    /// Why one is refused.
    pub fn new<T: AsRef<[u8]>>(modules: &[(&str, T)]) -> Result<Self, String> {
        let schedule = Schedule::for_protocol(88).map_err(|error| error.to_string())?;
        let registry = Arc::new(Registry::in_memory(schedule.clone(), &EngineKind::ALL));
        let mut account = Account::default();
        for (name, module) in modules {
            let code = wat::parse_bytes(module.as_ref()).map_err(|error| error.to_string())?;
            let namespace = Namespace::from_bytes(name.as_bytes())
                .map_err(|error| format!("{name}: {error}"))?;
            account
                .deploy(&registry, namespace, Visibility::Private, &code)
                .map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(Self { rules: Arc::new(Rules::new(schedule)), registry, account })
    }

    /// An account whose modules a registry has.
    pub fn of(schedule: Arc<Schedule>, registry: Arc<Registry>, account: Account) -> Self {
        Self { rules: Arc::new(Rules::new(schedule)), registry, account }
    }

    /// A session on an engine, on this thread.
    pub fn session(&self, engine: EngineKind, gas: u64) -> Session {
        self.session_of(engine, call_context(gas))
    }

    /// A session of a call.
    pub fn session_of(&self, engine: EngineKind, context: CallContext) -> Session {
        let source = Rc::new(Source(self.registry.clone()));
        let account = Rc::new(self.account.clone());
        Session::new(&self.rules, account, source, engine, context)
    }
}
