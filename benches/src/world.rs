//! One account with modules and stored values, without a chain around it: what is measured is the call.
//!
//! All of it stays on the thread that made it, as sessions and pooled instances do.

use anyhow::{Result, anyhow, bail};
use cotenant_gas::Schedule;
use cotenant_host::HostFault;
use cotenant_host::deploy::{Code, ModuleSource};
use cotenant_host::engine::EngineKind;
use cotenant_host::exec::{self, CallContext, Execution, Live, Progress, Rules, Session};
use cotenant_host::registry::Registry;
use cotenant_host::view::{ModuleRecord, StateView};
use cotenant_submodules::{Grants, Namespace, Visibility};
use near_account_id::AccountId;
use near_crypto::{KeyType, PublicKey};
use near_primitives_core::hash::CryptoHash;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

/// Gas of a root call: the most that protocol 88 lets one burn.
pub const CALL_GAS: u64 = 1_000_000_000_000_000;

/// Gas of a session: more than any measurement burns.
const SESSION_GAS: u64 = 1_000_000_000_000_000_000;

/// What a call on any runner knows of the world.
pub fn context(method: &str, input: Vec<u8>) -> CallContext {
    let account = |name: &str| -> AccountId {
        name.parse().unwrap_or_else(|_| unreachable!("a literal account id"))
    };
    CallContext {
        account: account("alice.near"),
        signer: account("bob.near"),
        signer_key: PublicKey::empty(KeyType::ED25519),
        predecessor: account("bob.near"),
        refund_to: account("bob.near"),
        namespace: Namespace::DEFAULT,
        method: method.to_owned(),
        input,
        promise_results: Vec::new(),
        block_height: 10,
        block_timestamp: 42,
        epoch_height: 1,
        balance: 10_u128.pow(27),
        locked_balance: 0,
        storage_usage: 12_000,
        deposit: 0,
        gas: CALL_GAS,
        random_seed: [7; 32],
        view: false,
        output_data_receivers: Vec::new(),
    }
}

#[derive(Default)]
struct View {
    modules: BTreeMap<Namespace, ModuleRecord>,
    values: HashMap<Vec<u8>, Vec<u8>>,
}

impl StateView for View {
    fn value(
        &self,
        _: &AccountId,
        _: &Namespace,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, HostFault> {
        Ok(self.values.get(key).cloned())
    }

    fn module(
        &self,
        _: &AccountId,
        namespace: &Namespace,
    ) -> Result<Option<ModuleRecord>, HostFault> {
        Ok(self.modules.get(namespace).cloned())
    }

    fn yield_exists(&self, _: &AccountId, _: &CryptoHash) -> Result<bool, HostFault> {
        Ok(false)
    }
}

#[derive(Clone)]
struct Source(Arc<Registry>);

impl ModuleSource for Source {
    fn code(&self, record: &ModuleRecord, engine: EngineKind) -> Result<Arc<Code>, HostFault> {
        let code = self.0.code(record, engine)?;
        if code.engine == engine {
            return Ok(code);
        }
        let reason = self.0.status(record).reason.unwrap_or_default();
        Err(HostFault::Bug(format!("{engine} would be measured on {}: {reason}", code.engine)))
    }
}

/// The account.
pub struct World {
    /// Prices.
    pub schedule: Arc<Schedule>,
    rules: Arc<Rules>,
    source: Rc<Source>,
    view: Rc<View>,
}

/// A namespace by its name.
pub fn namespace(name: &str) -> Namespace {
    Namespace::from_bytes(name.as_bytes()).unwrap_or_else(|_| unreachable!("a literal namespace"))
}

impl World {
    /// An account with these modules (namespace, kind, code; the empty name is the default namespace),
    /// compiled for these engines, and these values stored.
    pub fn new(
        engines: &[EngineKind],
        modules: &[(&str, Visibility, &[u8])],
        values: HashMap<Vec<u8>, Vec<u8>>,
    ) -> Result<Self> {
        let schedule = Schedule::for_protocol(88)?;
        let registry = Registry::in_memory(schedule.clone(), engines);
        let mut view = View { values, ..View::default() };
        for (name, visibility, code) in modules {
            let record = registry
                .deploy(code, *visibility)
                .map_err(|error| anyhow!("module `{name}`: {error}"))?;
            let name = if name.is_empty() { Namespace::DEFAULT } else { namespace(name) };
            view.modules.insert(name, record);
        }
        Ok(Self {
            rules: Arc::new(Rules::new(schedule.clone())),
            schedule,
            source: Rc::new(Source(Arc::new(registry))),
            view: Rc::new(view),
        })
    }

    /// Measures the same modules on a thread that has no instance of them yet.
    pub fn afresh(&self, measure: impl FnOnce(&World) -> Result<f64> + Send) -> Result<f64> {
        let (schedule, rules) = (self.schedule.clone(), self.rules.clone());
        let (source, modules) = (Source::clone(&self.source), self.view.modules.clone());
        let measure = move || {
            let view = Rc::new(View { modules, ..View::default() });
            measure(&World { schedule, rules, source: Rc::new(source), view })
        };
        std::thread::scope(|scope| scope.spawn(measure).join())
            .map_err(|_| anyhow!("the thread that measures panicked"))?
    }

    /// A session in the place of a parent.
    pub fn session(&self, engine: EngineKind) -> Session {
        let mut context = context("", Vec::new());
        context.gas = SESSION_GAS;
        Session::new(&self.rules, self.view.clone(), self.source.clone(), engine, context)
    }

    /// One root call.
    pub fn call(&self, engine: EngineKind, context: CallContext) -> Result<Execution> {
        let (view, source) = (self.view.clone(), self.source.clone());
        Ok(exec::execute(&self.rules, view, source, engine, context)?)
    }

    /// The same, which must succeed; gives the gas burnt.
    pub fn burnt(&self, engine: EngineKind, method: &str, input: &[u8]) -> Result<u64> {
        let execution = self.call(engine, context(method, input.to_vec()))?;
        match execution.abort {
            None => Ok(execution.gas_burnt),
            Some(abort) => bail!("`{method}` on {engine}: {}: {}", abort.code, abort.message),
        }
    }

    /// Nanoseconds of a warm root call. What describes the call is made before the clock starts, as
    /// near-vm-runner's is.
    pub fn nanos(&self, engine: EngineKind, method: &str, input: &[u8], calls: u64) -> Result<f64> {
        let contexts: Vec<_> = (0..calls).map(|_| context(method, input.to_vec())).collect();
        crate::stats::nanos_each(calls, || {
            for context in contexts {
                self.call(engine, context)?;
            }
            Ok(())
        })
    }
}

/// Opens a module and gives it its first input, after which it must wait.
pub fn suspended(session: &Session, name: &Namespace, method: &str, input: &[u8]) -> Result<Live> {
    let mut live = session.open(name, method, CALL_GAS, Grants::ALL)?;
    match live.resume(input.to_vec())? {
        Progress::Yielded(_) => Ok(live),
        other => bail!("`{name}:{method}` was to yield: {other:?}"),
    }
}

/// Opens a module, runs it to its end, forgets it.
pub fn to_the_end(session: &Session, name: &Namespace, method: &str, input: Vec<u8>) -> Result<()> {
    let mut live = session.open(name, method, CALL_GAS, Grants::NONE)?;
    match live.resume(input)? {
        Progress::Done(_) => Ok(()),
        other => bail!("`{name}:{method}` was to return: {other:?}"),
    }
}
