//! The threads that compile: one a core less one, and at least one, started when there is something to compile.

use super::modules::{ModuleKey, Native};
use super::{Shared, State};
use crate::artifact::AuthenticArtifact;
use crate::compile::{Compile, CompileFailure};
use crate::deploy::load;
use crate::view::ModuleRecord;
use std::num::NonZero;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Instant;

/// Deploys between two looks for artifacts that nothing uses: at least so many, and half of all modules.
const DEPLOYS_BETWEEN_COLLECTIONS: usize = 64;

impl Shared {
    /// Starts a thread that waits for work. A machine that has none to give leaves modules on the interpreter.
    pub(super) fn start_worker(self: &Arc<Self>) {
        if self.options.compile != Compile::Background || self.native.is_none() {
            return;
        }
        let shared = self.clone();
        let worker = thread::Builder::new().name("compile".into());
        if let Ok(worker) = worker.spawn(move || shared.work()) {
            self.lock().workers.push(worker);
        }
    }

    /// Whether more wait than one thread has to do, and there may be another.
    fn wants_help(&self) -> bool {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let state = self.lock();
        !state.queue.is_empty() && state.workers.len() < cores.saturating_sub(1)
    }

    fn work(self: Arc<Self>) {
        while let Some(key) = self.next() {
            if self.wants_help() {
                self.start_worker();
            }
            let record = self.lock().modules.slots.get(&key).map(|slot| slot.record.clone());
            let unknown = self.is_unknown(&key);
            match record {
                // An earlier process may have compiled it.
                Some(_) if unknown && self.load_native(&key).is_some() => self.release(&key),
                Some(record) => self.compile_claimed(&key, &record, None),
                None => self.release(&key),
            }
        }
    }

    /// Waits for a module to compile and claims it; `None` when the registry is closed.
    fn next(&self) -> Option<ModuleKey> {
        let mut state = self.lock();
        loop {
            if self.closing.load(Ordering::Relaxed) {
                return None;
            }
            match state.queue.take() {
                Some((key, _)) if state.in_flight.insert(key) => return Some(key),
                Some(_) => {}
                None => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn is_unknown(&self, key: &ModuleKey) -> bool {
        self.lock().modules.slots.get(key).is_some_and(|slot| slot.state == Native::Unknown)
    }

    fn release(&self, key: &ModuleKey) {
        self.lock().in_flight.remove(key);
        self.changed.notify_all();
    }

    /// Compiles a module on this thread, unless another does, which is then waited for.
    pub(super) fn compile_and_wait(
        &self,
        record: &ModuleRecord,
        retry: bool,
        stand_in: Option<&AuthenticArtifact>,
    ) -> Result<(), String> {
        let mut retry = retry;
        let key = {
            let mut state = self.lock();
            self.slot(&mut state, record)
        };
        if self.is_unknown(&key) {
            self.load_native(&key);
        }
        loop {
            let mut state = self.lock();
            if state.in_flight.contains(&key) {
                drop(self.changed.wait(state).unwrap_or_else(PoisonError::into_inner));
                retry = false;
                continue;
            }
            match state.modules.slots.get(&key).map(|slot| &slot.state) {
                Some(Native::Ready) => return Ok(()),
                Some(Native::Failed(reason) | Native::Retired(reason)) if !retry => {
                    return Err(reason.clone());
                }
                None => return Err("the module was collected".into()),
                Some(_) => {}
            }
            state.queue.remove(&key);
            state.in_flight.insert(key);
            drop(state);
            self.compile_claimed(&key, record, stand_in);
            let state = self.lock();
            return match state.modules.slots.get(&key).map(|slot| &slot.state) {
                Some(Native::Ready) => Ok(()),
                Some(Native::Failed(reason) | Native::Deferred(reason)) => Err(reason.clone()),
                _ => Err("the compile did not end".into()),
            };
        }
    }

    /// Compiles a module that this thread has claimed, and lets go of it.
    fn compile_claimed(
        &self,
        key: &ModuleKey,
        record: &ModuleRecord,
        stand_in: Option<&AuthenticArtifact>,
    ) {
        if let Some(slot) = self.lock().modules.slots.get_mut(key) {
            slot.attempts = slot.attempts.saturating_add(1);
        }
        let start = Instant::now();
        let made = self.make_native(key, record, stand_in);
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        if let Ok((artifact, _)) = &made {
            self.store(key, artifact);
        }
        let installed = made.map(|(artifact, code)| {
            self.install(key, code, artifact.code().len());
        });
        let mut state = self.lock();
        let State { modules, in_flight, .. } = &mut *state;
        in_flight.remove(key);
        let mut failed = false;
        if let Some(slot) = modules.slots.get_mut(key) {
            if !matches!(installed, Err(CompileFailure::Cancelled)) {
                slot.attempts = 0;
            }
            match installed {
                Ok(()) => {
                    slot.state = Native::Ready;
                    slot.compile_micros = micros;
                    modules.totals.compiled += 1;
                }
                Err(CompileFailure::Cancelled) => {}
                Err(CompileFailure::Machine(reason)) => slot.state = Native::Deferred(reason),
                Err(CompileFailure::Module(reason)) => {
                    slot.state = Native::Failed(reason);
                    modules.totals.failed += 1;
                    failed = true;
                }
            }
        }
        self.changed.notify_all();
        drop(state);
        if failed {
            // It must not be tried again by the next process, however this one ends.
            self.write_index();
        } else {
            self.write_index_now_and_then();
        }
    }

    fn make_native(
        &self,
        key: &ModuleKey,
        record: &ModuleRecord,
        stand_in: Option<&AuthenticArtifact>,
    ) -> Result<(AuthenticArtifact, crate::deploy::Code), CompileFailure> {
        let machine = |fault: crate::HostFault| CompileFailure::Machine(fault.to_string());
        let native = self.native.as_ref();
        let native = native.ok_or_else(|| CompileFailure::Machine("no native engine".into()))?;
        let own;
        let stand_in = match stand_in {
            Some(artifact) => artifact,
            None => {
                own = self.stand_in(key, record).map_err(machine)?;
                &own
            }
        };
        // Whoever waits for it gives it all cores; else one.
        let threads = (self.options.compile != Compile::Wait).then_some(NonZero::<usize>::MIN);
        let compiler = &self.options.compiler;
        let artifact = AuthenticArtifact::compile(compiler, stand_in, threads, &self.closing)?;
        let code = load(native, &artifact).map_err(machine)?;
        Ok((artifact, code))
    }

    /// Looks for artifacts that nothing uses, once in so many deploys.
    pub(super) fn collect_now_and_then(&self) {
        let due = {
            let mut state = self.lock();
            state.deploys += 1;
            let due =
                state.deploys >= (state.modules.slots.len() / 2).max(DEPLOYS_BETWEEN_COLLECTIONS);
            if due {
                state.deploys = 0;
            }
            due
        };
        if due {
            // A disk that cannot be read now is found by whoever needs it.
            let _ = self.collect();
        }
    }
}
