//! Artifacts and the index in the store of a registry. Nothing here is a fault: it is a cache.

use super::modules::{ModuleKey, Modules, Native};
use super::{Shared, State, Stored};
use crate::artifact::{ArtifactKey, AuthenticArtifact};
use crate::compile::Compile;
use crate::engine::EngineKind;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Name of the index file among the artifacts.
pub(super) const INDEX: &str = "index";

/// Time between two writings of the index that nothing urgent asks for.
const BETWEEN_INDEXES: Duration = Duration::from_secs(5);

impl Shared {
    /// Returns an artifact of the store if it is authentic. What is not is removed and counted.
    pub(super) fn stored(&self, key: &ModuleKey, engine: EngineKind) -> Option<AuthenticArtifact> {
        let Stored { store, seal } = self.artifacts.as_ref()?;
        let name = *self.lock().modules.slots.get(key)?.key(engine);
        let bytes = match store.get(&name.hex()) {
            Ok(bytes) => bytes?,
            Err(_) => {
                self.lock().modules.totals.disk_failures += 1;
                return None;
            }
        };
        let artifact = seal.open(&name, engine, bytes);
        if artifact.is_none() {
            self.damaged(key, engine);
        }
        artifact
    }

    pub(super) fn damaged(&self, key: &ModuleKey, engine: EngineKind) {
        let mut state = self.lock();
        state.modules.totals.damaged += 1;
        let Some(slot) = state.modules.slots.get_mut(key) else { return };
        slot.tier(engine).stored_bytes = 0;
        let name = *slot.key(engine);
        drop(state);
        self.remove_file(&name);
    }

    /// Stores an artifact. That the disk is full is no fault: it is a cache.
    pub(super) fn store(&self, key: &ModuleKey, artifact: &AuthenticArtifact) {
        let Some(Stored { store, seal }) = &self.artifacts else { return };
        let engine = artifact.engine();
        let Some(name) = self.lock().modules.slots.get(key).map(|slot| *slot.key(engine)) else {
            return;
        };
        let written = seal
            .seal(&name, artifact)
            .ok_or_else(|| std::io::Error::other("facts that cannot be encoded"))
            .and_then(|head| store.put(&name.hex(), &[&head, artifact.code()]));
        let mut state = self.lock();
        let modules = &mut state.modules;
        match written {
            Err(_) => modules.totals.disk_failures += 1,
            Ok(bytes) => {
                if let Some(slot) = modules.slots.get_mut(key) {
                    slot.tier(engine).stored_bytes = bytes;
                }
            }
        }
        let too_many = modules.over_limit(self.options.limits.stored_bytes, key);
        let mut files = Vec::new();
        for key in &too_many {
            if let Some(slot) = modules.slots.get_mut(key) {
                slot.stand_in.stored_bytes = 0;
                slot.native.stored_bytes = 0;
                files.extend([slot.stand_in_key, slot.native_key]);
            }
        }
        modules.totals.evicted += too_many.len() as u64;
        drop(state);
        files.iter().for_each(|file| self.remove_file(file));
    }

    pub(super) fn remove_file(&self, name: &ArtifactKey) {
        if let Some(Stored { store, .. }) = &self.artifacts
            && store.remove(&name.hex()).is_err()
        {
            self.lock().modules.totals.disk_failures += 1;
        }
    }

    pub(super) fn read_index(&self) {
        let Some(Stored { store, .. }) = &self.artifacts else { return };
        let Ok(Some(bytes)) = store.get(INDEX) else { return };
        let mut state = self.lock();
        state.modules = Modules::from_index(&bytes, |record| self.keys(record));
        if self.options.compile == Compile::Background {
            // What the last process did not come to.
            let State { modules, queue, .. } = &mut *state;
            for (key, slot) in &modules.slots {
                if slot.state == Native::Unknown && slot.misses > 0 {
                    queue.note_call(key, slot.account.as_ref(), slot.misses);
                }
            }
        }
    }

    pub(super) fn write_index(&self) {
        let Some(Stored { store, .. }) = &self.artifacts else { return };
        let bytes = {
            let mut state = self.lock();
            state.indexed = Some(Instant::now());
            state.modules.to_index()
        };
        // A registry that is closed has written its last one: another may have the home open.
        if self.closing.load(Ordering::Relaxed) {
            return;
        }
        if bytes.is_none_or(|bytes| store.put(INDEX, &[&bytes]).is_err()) {
            self.lock().modules.totals.disk_failures += 1;
        }
    }

    /// Writes the index unless that was done a moment ago: what is lost by it is who used what.
    pub(super) fn write_index_now_and_then(&self) {
        let due = self.lock().indexed.is_none_or(|at| at.elapsed() > BETWEEN_INDEXES);
        if due {
            self.write_index();
        }
    }
}
