//! Collecting what nothing uses, checking what is there, clearing, pinning, and telling of it.

use super::modules::{CacheTotals, ModuleKey, Native, Slot, Tier, key_of};
use super::{CacheLimits, Registry, Shared, State, Stored};
use crate::HostFault;
use crate::compile::Compile;
use crate::engine::EngineKind;
use crate::view::ModuleRecord;
use std::collections::HashSet;

/// What the cache knows of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleStatus {
    /// The module.
    pub record: ModuleRecord,
    /// The engine that runs it when the default one is asked for.
    pub tier: EngineKind,
    /// Why that is not native code; `None` if it is.
    pub reason: Option<String>,
    /// Whether its compile failed, or its code gave up, and is not tried again until it is asked for.
    pub failed: bool,
    /// Bytes of what the interpreter loads, on disk; 0 if it is not stored.
    pub stand_in_bytes: u64,
    /// Bytes of its native code, on disk; 0 if it is not stored.
    pub native_bytes: u64,
    /// Calls that native code answered.
    pub hits: u64,
    /// Calls that were to be native and ran on the interpreter.
    pub misses: u64,
    /// Time of its compile, in microseconds; 0 if there was none.
    pub compile_micros: u64,
    /// Whether it is never removed for want of room.
    pub pinned: bool,
}

/// The cache as a whole.
#[derive(Clone, Debug)]
pub struct CacheReport {
    /// Its modules; most used first.
    pub modules: Vec<ModuleStatus>,
    /// Sums, over all processes.
    pub totals: CacheTotals,
    /// Bytes on disk.
    pub stored_bytes: u64,
    /// Bytes of loaded code.
    pub loaded_bytes: u64,
    /// How much of both there may be.
    pub limits: CacheLimits,
    /// Modules that wait to be compiled.
    pub waiting: u64,
}

/// What a check of all artifacts found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Artifacts that this home wrote.
    pub authentic: u64,
    /// Artifacts that it did not write, or that were changed: removed, and made anew when they are needed.
    pub damaged: u64,
    /// Artifacts that the index lists and that are not there.
    pub missing: u64,
}

impl Registry {
    /// Tells of all modules.
    pub fn report(&self) -> CacheReport {
        let state = self.shared.lock();
        let mut slots: Vec<_> = state.modules.slots.iter().collect();
        slots.sort_unstable_by_key(|(key, slot)| {
            (std::cmp::Reverse(slot.hits + slot.misses), key.0, key.1 as u8)
        });
        let modules =
            slots.into_iter().map(|(key, slot)| self.shared.status(&state, key, slot)).collect();
        CacheReport {
            modules,
            totals: state.modules.totals,
            stored_bytes: state.modules.stored_bytes(),
            loaded_bytes: state.modules.loaded_bytes(),
            limits: self.shared.options.limits,
            waiting: state.queue.len() as u64,
        }
    }

    /// Tells of a module.
    pub fn status(&self, record: &ModuleRecord) -> ModuleStatus {
        let unknown = {
            let mut state = self.shared.lock();
            let key = self.shared.slot(&mut state, record);
            let slot = state.modules.slots.get(&key);
            slot.is_some_and(|slot| slot.state == Native::Unknown).then_some(key)
        };
        if let Some(key) = unknown {
            self.shared.load_native(&key);
        }
        let mut state = self.shared.lock();
        let key = self.shared.slot(&mut state, record);
        match state.modules.slots.get(&key) {
            Some(slot) => self.shared.status(&state, &key, slot),
            // `slot` has just put it there.
            None => self.shared.status(
                &state,
                &key,
                &Slot::new(record.clone(), self.shared.keys(record).0, self.shared.keys(record).1),
            ),
        }
    }

    /// Keeps a module's artifacts and code whatever room is left, or lets them go again.
    pub fn pin(&self, record: &ModuleRecord, pinned: bool) {
        let mut state = self.shared.lock();
        let key = self.shared.slot(&mut state, record);
        if let Some(slot) = state.modules.slots.get_mut(&key) {
            slot.pinned = pinned;
        }
        drop(state);
        self.shared.write_index();
    }

    /// Removes the artifacts of all modules that are not pinned, and what is known of their failures; returns how many
    /// bytes of the disk that frees. What is loaded goes too; calls that run keep theirs.
    pub fn clear(&self) -> u64 {
        let mut state = self.shared.lock();
        let mut freed = 0;
        let mut files = Vec::new();
        for slot in state.modules.slots.values_mut().filter(|slot| !slot.pinned) {
            freed += slot.stored_bytes();
            files.extend([slot.stand_in_key, slot.native_key]);
            slot.stand_in = Tier::default();
            slot.native = Tier::default();
            slot.state = Native::Missing;
            (slot.hits, slot.misses, slot.compile_micros) = (0, 0, 0);
            slot.accepted = false;
        }
        drop(state);
        files.iter().for_each(|file| self.shared.remove_file(file));
        self.shared.write_index();
        freed
    }

    /// Checks every artifact on disk.
    pub fn verify(&self) -> Verified {
        let keys: Vec<ModuleKey> = self.shared.lock().modules.slots.keys().copied().collect();
        let mut found = Verified::default();
        for key in keys {
            for engine in [EngineKind::Wasmi, EngineKind::Cranelift] {
                let listed = {
                    let mut state = self.shared.lock();
                    let slot = state.modules.slots.get_mut(&key);
                    slot.is_some_and(|slot| slot.tier(engine).stored_bytes > 0)
                };
                let damaged = self.shared.lock().modules.totals.damaged;
                match self.shared.stored(&key, engine) {
                    Some(_) => found.authentic += 1,
                    None if self.shared.lock().modules.totals.damaged > damaged => {
                        found.damaged += 1;
                        self.shared.forget(&key, engine);
                    }
                    None if listed => {
                        found.missing += 1;
                        self.shared.forget(&key, engine);
                    }
                    None => {}
                }
            }
        }
        self.shared.write_index();
        found
    }

    /// Removes the artifacts that no module uses and those that other versions wrote; returns how many files went.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn collect(&self) -> Result<u64, HostFault> {
        let gone = self.shared.collect()?;
        self.shared.write_index();
        Ok(gone)
    }
}

impl Shared {
    fn status(&self, state: &State, key: &ModuleKey, slot: &Slot) -> ModuleStatus {
        let native = self.native.is_some() && slot.state == Native::Ready;
        let reason = match &slot.state {
            _ if self.native.is_none() => Some("this host has no native engine".to_owned()),
            Native::Ready => None,
            Native::Failed(reason) | Native::Retired(reason) | Native::Deferred(reason) => {
                Some(reason.clone())
            }
            _ if state.in_flight.contains(key) => Some("being compiled".to_owned()),
            _ if state.queue.contains(key) => Some("waits to be compiled".to_owned()),
            _ if self.options.compile == Compile::Background && slot.misses == 0 => {
                Some("not called yet".to_owned())
            }
            _ => Some("not compiled".to_owned()),
        };
        ModuleStatus {
            record: slot.record.clone(),
            tier: if native { EngineKind::Cranelift } else { EngineKind::Wasmi },
            reason,
            failed: matches!(slot.state, Native::Failed(_) | Native::Retired(_)),
            stand_in_bytes: slot.stand_in.stored_bytes,
            native_bytes: slot.native.stored_bytes,
            hits: slot.hits,
            misses: slot.misses,
            compile_micros: slot.compile_micros,
            pinned: slot.pinned,
        }
    }

    /// Takes note that an artifact is not there.
    fn forget(&self, key: &ModuleKey, engine: EngineKind) {
        let mut state = self.lock();
        let Some(slot) = state.modules.slots.get_mut(key) else { return };
        slot.tier(engine).stored_bytes = 0;
        if engine == EngineKind::Cranelift
            && slot.native.code.is_none()
            && slot.state == Native::Ready
        {
            slot.state = Native::Missing;
        }
    }

    /// Removes what no module uses.
    pub(super) fn collect(&self) -> Result<u64, HostFault> {
        let Some(codes) = &self.codes else { return Ok(0) };
        let records: Vec<ModuleRecord> = {
            let state = self.lock();
            let slots = state.modules.slots.values().filter(|slot| !slot.uncommitted());
            slots.map(|slot| slot.record.clone()).collect()
        };
        let mut unused = Vec::new();
        for record in records {
            if !codes.in_use(&record.code_hash)? {
                unused.push(key_of(&record));
            }
        }
        let listed = match &self.artifacts {
            Some(Stored { store, .. }) => store.list().unwrap_or_default(),
            None => Vec::new(),
        };
        let mut state = self.lock();
        for key in unused {
            // It may have been deployed since.
            if state.modules.slots.get(&key).is_some_and(|slot| !slot.uncommitted()) {
                state.modules.slots.remove(&key);
                state.queue.remove(&key);
            }
        }
        let known: HashSet<String> = state
            .modules
            .slots
            .values()
            .flat_map(|slot| [slot.stand_in_key.hex(), slot.native_key.hex()])
            .collect();
        drop(state);
        let mut gone = 0;
        if let Some(Stored { store, .. }) = &self.artifacts {
            for (name, _) in listed.iter().filter(|(name, _)| !known.contains(name)) {
                gone += u64::from(store.remove(name).is_ok());
            }
        }
        self.lock().modules.totals.collected += gone;
        Ok(gone)
    }
}
