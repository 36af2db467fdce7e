//! Code that was deployed, on the best tier that is ready: a cache of what compilers made.
//!
//! A deploy takes code through all stages up to the interpreter and is done: the module can be called. Native code comes
//! later, off the path of calls (`service`); [`Registry::code`] never compiles and never waits for it. Which tier runs a
//! call cannot be told from its outcome, gas or logs.
//!
//! | file | says |
//! |---|---|
//! | `modules.rs` | what is known of each module; what goes when there is too much; the index file |
//! | `service.rs` | the threads that compile |
//! | `store.rs` | artifacts and the index file on disk |
//! | `upkeep.rs` | collecting, checking, clearing, pinning, reports |

mod modules;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod upkeep;

pub use modules::{CacheLimits, CacheTotals};
pub use upkeep::{CacheReport, ModuleStatus, Verified};

use crate::HostFault;
use crate::artifact::{
    ArtifactKey, ArtifactStore, AuthenticArtifact, DiskArtifacts, Seal, describe,
};
use crate::compile::queue::CompileQueue;
use crate::compile::{Compile, Compiler};
use crate::deploy::{Code, DeployError, ModuleSource, facts, load, load_eagerly, meter};
use crate::engine::{Engine, EngineKind, InterpreterEngine, NativeEngine};
use crate::view::ModuleRecord;
use cotenant_gas::Schedule;
use cotenant_submodules::Visibility;
use cotenant_submodules::validate::{validate, validate_deployed};
use modules::{ModuleKey, Modules, Native, Slot, key_of};
use near_account_id::AccountId;
use near_primitives_core::hash::{CryptoHash, hash};
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Rejections that are remembered, so that code which was refused before the chain's lock was taken is not looked at again
/// behind it.
const REJECTIONS_KEPT: usize = 64;

/// How a registry is set up.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Engines that calls may ask for; the first is the default. The interpreter is always there.
    pub engines: Vec<EngineKind>,
    /// When modules are compiled to native code.
    pub compile: Compile,
    /// Who compiles them.
    pub compiler: Compiler,
    /// How much is kept.
    pub limits: CacheLimits,
}

impl RegistryOptions {
    /// Options of a registry that compiles at the deploy, in this process.
    pub fn waiting(engines: &[EngineKind]) -> Self {
        Self {
            engines: engines.to_vec(),
            compile: Compile::Wait,
            compiler: Compiler::InProcess,
            limits: CacheLimits::default(),
        }
    }
}

/// Where a registry finds the code of a module whose artifacts are gone.
pub(crate) trait CodeSource: Send + Sync {
    /// Returns the code that was deployed; `None` if no module has it.
    ///
    /// # Errors
    /// The disk failed.
    fn code(&self, hash: &CryptoHash) -> Result<Option<Vec<u8>>, HostFault>;

    /// Whether a module has this code.
    ///
    /// # Errors
    /// The disk failed.
    fn in_use(&self, hash: &CryptoHash) -> Result<bool, HostFault>;
}

/// The code of all modules, ready to be called.
pub struct Registry {
    shared: Arc<Shared>,
}

struct Stored {
    store: Box<dyn ArtifactStore>,
    seal: Seal,
}

/// What the threads of a registry share.
struct Shared {
    schedule: Arc<Schedule>,
    fingerprint: [u8; 32],
    options: RegistryOptions,
    interpreter: InterpreterEngine,
    native: Option<NativeEngine>,
    interpreter_fingerprint: String,
    native_fingerprint: String,
    artifacts: Option<Stored>,
    codes: Option<Box<dyn CodeSource>>,
    state: Mutex<State>,
    /// Something was queued, compiled or closed.
    changed: Condvar,
    closing: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    modules: Modules,
    queue: CompileQueue<ModuleKey>,
    in_flight: HashSet<ModuleKey>,
    rejections: VecDeque<(ModuleKey, String)>,
    workers: Vec<JoinHandle<()>>,
    /// When the index was written last.
    indexed: Option<Instant>,
    /// Deploys since unused artifacts were collected.
    deploys: usize,
}

impl Registry {
    /// A registry that keeps all code loaded and compiles at the deploy, so that an engine is what it is called: for tests
    /// and measurements.
    pub fn in_memory(schedule: Arc<Schedule>, engines: &[EngineKind]) -> Self {
        Self::with(schedule, RegistryOptions::waiting(engines), None, None)
    }

    /// A registry over a folder of artifacts.
    pub(crate) fn open(
        schedule: Arc<Schedule>,
        options: RegistryOptions,
        artifacts: DiskArtifacts,
        codes: Box<dyn CodeSource>,
    ) -> Self {
        let seal = Seal::new(artifacts.secret());
        Self::with(
            schedule,
            options,
            Some(Stored { store: Box::new(artifacts), seal }),
            Some(codes),
        )
    }

    /// A registry of a host in memory.
    pub(crate) fn of_state(
        schedule: Arc<Schedule>,
        options: RegistryOptions,
        codes: Box<dyn CodeSource>,
    ) -> Self {
        Self::with(schedule, options, None, Some(codes))
    }

    fn with(
        schedule: Arc<Schedule>,
        options: RegistryOptions,
        artifacts: Option<Stored>,
        codes: Option<Box<dyn CodeSource>>,
    ) -> Self {
        let wants_native = options.engines.iter().any(|kind| *kind != EngineKind::Wasmi);
        let native = wants_native.then(NativeEngine::new);
        let interpreter = InterpreterEngine::new();
        let shared = Shared {
            fingerprint: schedule.fingerprint(),
            schedule,
            options,
            interpreter_fingerprint: interpreter.fingerprint(),
            native_fingerprint: native.as_ref().map(Engine::fingerprint).unwrap_or_default(),
            interpreter,
            native,
            artifacts,
            codes,
            state: Mutex::default(),
            changed: Condvar::new(),
            closing: Arc::default(),
        };
        let registry = Self { shared: Arc::new(shared) };
        registry.shared.read_index();
        registry.shared.start_worker();
        registry
    }

    /// The engines that calls may ask for.
    pub fn engines(&self) -> Vec<EngineKind> {
        self.shared.options.engines.clone()
    }

    /// Takes code through all stages up to the interpreter, after which it can be called; code that went through before
    /// costs a hash. With [`Compile::Wait`] native code is there too, unless its compile failed.
    ///
    /// # Errors
    /// Every rule that it breaks, or what a later stage has against it.
    pub fn deploy(&self, code: &[u8], visibility: Visibility) -> Result<ModuleRecord, DeployError> {
        self.shared.deploy(code, visibility).map(|(record, _)| record)
    }

    /// As [`Registry::deploy`], for a receipt that the chain waits for: what was not prepared before is counted.
    pub(crate) fn deploy_in_receipt(
        &self,
        code: &[u8],
        visibility: Visibility,
    ) -> Result<ModuleRecord, DeployError> {
        let start = Instant::now();
        let (record, known) = self.shared.deploy(code, visibility)?;
        if !known {
            let totals = &mut self.shared.lock().modules.totals;
            totals.unprepared_deploys += 1;
            let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
            totals.unprepared_micros_max = totals.unprepared_micros_max.max(micros);
        }
        Ok(record)
    }

    /// Returns the code of a module on the best tier up to `engine` that is ready, for a call of `account`. Never compiles
    /// native code and never waits for it: a module without runs on the interpreter and joins the queue.
    ///
    /// # Errors
    /// The registry has no such engine; the code is neither kept nor in the state; the disk failed.
    pub fn code_for(
        &self,
        account: Option<&AccountId>,
        record: &ModuleRecord,
        engine: EngineKind,
    ) -> Result<Arc<Code>, HostFault> {
        self.shared.code(account, record, engine)
    }

    /// Compiles a module now, or waits for the thread that does; a failed one is tried again if `retry`. Returns whether
    /// there is native code, or why not.
    ///
    /// # Errors
    /// The registry has no native engine.
    pub fn compile(
        &self,
        record: &ModuleRecord,
        retry: bool,
    ) -> Result<Result<(), String>, HostFault> {
        if self.shared.native.is_none() {
            return Err(HostFault::Artifact(
                "this host has no native engine to compile for".into(),
            ));
        }
        Ok(self.shared.compile_and_wait(record, retry, None))
    }

    /// Drops the native code of a module that gave up, for a reason that will come again: from here on, and in later
    /// processes, it runs on the interpreter, until its compile is asked for.
    pub fn retire(&self, record: &ModuleRecord, reason: &str) {
        let mut state = self.shared.lock();
        let key = self.shared.slot(&mut state, record);
        let Some(slot) = state.modules.slots.get_mut(&key) else { return };
        slot.native = modules::Tier::default();
        slot.state = Native::Retired(format!("gave up: {reason}"));
        let native_key = slot.native_key;
        state.modules.totals.failed += 1;
        state.queue.remove(&key);
        drop(state);
        self.shared.remove_file(&native_key);
        self.shared.write_index();
    }

    /// How often the compiles that run now were begun without coming to an end, by this process and those before it; at
    /// least 1 while one runs.
    pub fn attempts(&self) -> u32 {
        let state = self.shared.lock();
        let running = state.in_flight.iter().filter_map(|key| state.modules.slots.get(key));
        running.map(|slot| slot.attempts).max().unwrap_or(0)
    }

    /// Waits until nothing is compiled and nothing waits, at most so long; returns whether that is so.
    pub fn settle(&self, limit: Duration) -> bool {
        let state = self.shared.lock();
        let busy = |state: &mut State| !state.queue.is_empty() || !state.in_flight.is_empty();
        let waited = self.shared.changed.wait_timeout_while(state, limit, busy);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.queue.is_empty() && state.in_flight.is_empty()
    }
}

impl Drop for Registry {
    /// Waits for its threads: a compile in a child process is ended, one in this process is not to be interrupted.
    fn drop(&mut self) {
        self.shared.write_index();
        {
            // Under the lock: a thread that has just looked would else wait for ever.
            let _state = self.shared.lock();
            self.shared.closing.store(true, Ordering::Relaxed);
        }
        self.shared.changed.notify_all();
        loop {
            let worker = self.shared.lock().workers.pop();
            match worker {
                // A thread that panicked has ended too.
                Some(worker) => drop(worker.join()),
                None => break,
            }
        }
    }
}

impl ModuleSource for Registry {
    fn code(&self, record: &ModuleRecord, engine: EngineKind) -> Result<Arc<Code>, HostFault> {
        self.code_for(None, record, engine)
    }

    fn retire(&self, record: &ModuleRecord, reason: &str) {
        Registry::retire(self, record, reason);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; if it did, the tables are still tables.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self, record: &ModuleRecord) -> (ArtifactKey, ArtifactKey) {
        let key = |engine: &str| {
            ArtifactKey::new(&record.code_hash, record.visibility, &self.fingerprint, engine)
        };
        (key(&self.interpreter_fingerprint), key(&self.native_fingerprint))
    }

    /// Makes sure that a module is in the table.
    fn slot(&self, state: &mut State, record: &ModuleRecord) -> ModuleKey {
        let key = key_of(record);
        state.modules.slots.entry(key).or_insert_with(|| {
            let (stand_in, native) = self.keys(record);
            Slot::new(record.clone(), stand_in, native)
        });
        key
    }

    fn engine(&self, kind: EngineKind) -> Result<&dyn Engine, HostFault> {
        match (kind, &self.native) {
            (EngineKind::Wasmi, _) => Ok(&self.interpreter),
            (_, Some(native)) => Ok(native),
            (_, None) => {
                let engines = describe(&self.options.engines);
                Err(HostFault::Artifact(format!("no engine {kind} in this home: it has {engines}")))
            }
        }
    }

    /// Deploys; also returns whether the answer was known.
    fn deploy(
        &self,
        code: &[u8],
        visibility: Visibility,
    ) -> Result<(ModuleRecord, bool), DeployError> {
        let record =
            ModuleRecord { code_hash: hash(code), visibility, code_bytes: code.len() as u64 };
        let known = {
            let mut state = self.lock();
            let key = key_of(&record);
            if let Some((_, report)) = state.rejections.iter().find(|(name, _)| *name == key) {
                return Err(DeployError::Known(report.clone()));
            }
            state.modules.slots.get_mut(&key).is_some_and(|slot| {
                let loaded = slot.accepted && slot.stand_in.code.is_some();
                if loaded {
                    slot.accept();
                }
                loaded
            })
        };
        if known || self.accepted_before(&record) {
            self.wait_for_native(&record, None);
            return Ok((record, known));
        }
        match self.prepare(code, &record) {
            Ok(artifact) => {
                self.wait_for_native(&record, Some(&artifact));
                self.collect_now_and_then();
                Ok((record, false))
            }
            Err(error) => {
                if !matches!(error, DeployError::Host(_)) {
                    let mut state = self.lock();
                    if state.rejections.len() >= REJECTIONS_KEPT {
                        state.rejections.pop_front();
                    }
                    state.rejections.push_back((key_of(&record), error.to_string()));
                }
                Err(error)
            }
        }
    }

    /// Loads what an earlier deploy of the same code left, if that deploy accepted it under the rules of today.
    fn accepted_before(&self, record: &ModuleRecord) -> bool {
        let key = {
            let mut state = self.lock();
            self.slot(&mut state, record)
        };
        let Some(artifact) = self.stored(&key, EngineKind::Wasmi) else { return false };
        if !artifact.accepted() {
            return false;
        }
        let Ok(code) = load(&self.interpreter, &artifact) else { return false };
        self.install(&key, code, artifact.code().len());
        if let Some(slot) = self.lock().modules.slots.get_mut(&key) {
            slot.accept();
        }
        true
    }

    /// Takes code through all stages up to the interpreter, which translates all of it: what it cannot translate is
    /// refused here and cannot fail at a call.
    fn prepare(
        &self,
        code: &[u8],
        record: &ModuleRecord,
    ) -> Result<AuthenticArtifact, DeployError> {
        let valid = validate(code, record.visibility, &self.schedule.vm)?;
        let metered = meter(&valid, &self.schedule)?;
        let facts = facts(&valid, &metered);
        let artifact = AuthenticArtifact::stand_in(facts, metered.code, true);
        let loaded = load_eagerly(&self.interpreter, &artifact)?;
        let key = {
            let mut state = self.lock();
            let key = self.slot(&mut state, record);
            if let Some(slot) = state.modules.slots.get_mut(&key) {
                slot.accept();
            }
            key
        };
        self.install(&key, loaded, artifact.code().len());
        self.store(&key, &artifact);
        Ok(artifact)
    }

    fn wait_for_native(&self, record: &ModuleRecord, stand_in: Option<&AuthenticArtifact>) {
        if self.options.compile == Compile::Wait && self.native.is_some() {
            // Why it failed is in the table; the module is deployed all the same.
            let _ = self.compile_and_wait(record, false, stand_in);
        }
    }

    fn code(
        &self,
        account: Option<&AccountId>,
        record: &ModuleRecord,
        engine: EngineKind,
    ) -> Result<Arc<Code>, HostFault> {
        self.engine(engine)?;
        let wants_native = engine != EngineKind::Wasmi;
        let (key, look) = {
            let mut state = self.lock();
            let key = self.slot(&mut state, record);
            state.modules.touch(&key);
            let Some(slot) = state.modules.slots.get_mut(&key) else {
                return Err(HostFault::Bug("a module without a slot".into()));
            };
            let tier = if wants_native { &slot.native } else { &slot.stand_in };
            if let Some(code) = tier.code.clone() {
                if wants_native {
                    slot.hits += 1;
                    state.modules.totals.hits += 1;
                }
                return Ok(code);
            }
            (key, matches!(slot.state, Native::Unknown | Native::Ready))
        };
        if wants_native {
            if look && let Some(code) = self.load_native(&key) {
                let mut state = self.lock();
                state.modules.totals.hits += 1;
                if let Some(slot) = state.modules.slots.get_mut(&key) {
                    slot.hits += 1;
                }
                return Ok(code);
            }
            if let Some(code) = self.miss(&key, account)? {
                return Ok(code);
            }
        }
        let artifact = self.stand_in(&key, record)?;
        let code = load(&self.interpreter, &artifact)?;
        Ok(self.install(&key, code, artifact.code().len()))
    }

    /// Notes a call that no native code can answer; gives the stand-in if it is loaded.
    fn miss(
        &self,
        key: &ModuleKey,
        account: Option<&AccountId>,
    ) -> Result<Option<Arc<Code>>, HostFault> {
        let mut state = self.lock();
        let State { modules, queue, in_flight, .. } = &mut *state;
        modules.totals.misses += 1;
        let Some(slot) = modules.slots.get_mut(key) else { return Ok(None) };
        if let (Compile::Wait, Native::Failed(reason) | Native::Deferred(reason)) =
            (self.options.compile, &slot.state)
        {
            // Whoever waits at the deploy compares or measures engines: the interpreter must not be taken for another.
            let hash = slot.record.code_hash;
            return Err(HostFault::Engine(format!("code {hash} is not native: {reason}")));
        }
        slot.misses += 1;
        if slot.account.is_none() {
            slot.account = account.cloned();
        }
        let loaded = slot.stand_in.code.clone();
        if slot.state == Native::Missing
            && self.options.compile == Compile::Background
            && !in_flight.contains(key)
        {
            queue.note_call(key, slot.account.as_ref(), slot.misses);
            self.changed.notify_all();
        }
        Ok(loaded)
    }

    /// Loads native code that an earlier process or an earlier load left.
    fn load_native(&self, key: &ModuleKey) -> Option<Arc<Code>> {
        let found = self.native.as_ref().and_then(|native| {
            let artifact = self.stored(key, EngineKind::Cranelift)?;
            match load(native, &artifact) {
                Ok(code) => Some((code, artifact.code().len())),
                Err(_) => {
                    self.damaged(key, EngineKind::Cranelift);
                    None
                }
            }
        });
        let mut state = self.lock();
        let slot = state.modules.slots.get_mut(key)?;
        match found {
            None => {
                // Another thread may have compiled it meanwhile.
                if slot.native.code.is_none() && slot.state != Native::Missing {
                    slot.state = Native::Missing;
                }
                slot.native.code.clone()
            }
            Some((code, bytes)) => {
                slot.state = Native::Ready;
                drop(state);
                Some(self.install(key, code, bytes))
            }
        }
    }

    /// Returns what the interpreter loads: from the cache, or made anew from the code in the state.
    fn stand_in(
        &self,
        key: &ModuleKey,
        record: &ModuleRecord,
    ) -> Result<AuthenticArtifact, HostFault> {
        if let Some(artifact) = self.stored(key, EngineKind::Wasmi) {
            return Ok(artifact);
        }
        let hash = record.code_hash;
        let code = match &self.codes {
            Some(codes) => codes.code(&hash)?,
            None => None,
        };
        let code = code.ok_or_else(|| {
            HostFault::Artifact(format!("code {hash} is neither prepared nor in the state"))
        })?;
        let refused = |error: &dyn std::fmt::Display| {
            HostFault::Artifact(format!(
                "code {hash} was deployed by another version and is refused by this one: {error}"
            ))
        };
        let valid = validate_deployed(&code, record.visibility, &self.schedule.vm)
            .map_err(|rejection| refused(&rejection))?;
        let metered = meter(&valid, &self.schedule).map_err(|error| refused(&error))?;
        // A deploy of the same code is to be decided by the rules of today: this decides nothing.
        let artifact = AuthenticArtifact::stand_in(facts(&valid, &metered), metered.code, false);
        self.store(key, &artifact);
        Ok(artifact)
    }

    fn install(&self, key: &ModuleKey, code: Code, bytes: usize) -> Arc<Code> {
        let mut state = self.lock();
        let limits = self.options.limits;
        // What cannot be loaded again stays.
        let limits = if self.artifacts.is_some() {
            limits
        } else {
            CacheLimits { loaded_bytes: u64::MAX, ..limits }
        };
        state.modules.install(key, Arc::new(code), bytes as u64, &limits)
    }
}
