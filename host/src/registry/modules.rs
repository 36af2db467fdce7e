//! What a registry knows of each module: what is loaded, what is stored, how often it was called, why it is not native. The
//! table is bounded by what is deployed; what it holds loaded and stored is bounded by [`CacheLimits`].

use crate::artifact::ArtifactKey;
use crate::deploy::Code;
use crate::engine::EngineKind;
use crate::view::ModuleRecord;
use borsh::{BorshDeserialize, BorshSerialize};
use cotenant_submodules::Visibility;
use near_account_id::AccountId;
use near_primitives_core::hash::CryptoHash;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much of the cache may be in memory and on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Bytes of loaded code; what was used least recently is unloaded first.
    pub loaded_bytes: u64,
    /// Bytes of artifacts on disk; what was used least recently is removed first.
    pub stored_bytes: u64,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { loaded_bytes: 1 << 30, stored_bytes: 8 << 30 }
    }
}

/// A module as a registry names it.
pub(super) type ModuleKey = (CryptoHash, Visibility);

/// A module that was deployed a moment ago need not be in the state yet: it is not collected so soon.
const UNCOMMITTED: Duration = Duration::from_secs(600);

/// What the interpreter holds of a module is about so many times its metered code.
const TRANSLATED: u64 = 3;

/// Whether there is native code.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum Native {
    /// Nobody has looked.
    Unknown,
    /// There is none yet.
    Missing,
    /// There is.
    Ready,
    /// There is none, and it is not tried again until it is asked for.
    Failed(String),
    /// There was, and it gave up for a reason that comes again: it is not made again until that is asked for.
    Retired(String),
    /// There is none, and this process does not try again: the machine was in the way.
    Deferred(String),
}

/// One tier of a module: its code if it is loaded, its file if it is stored.
#[derive(Clone, Default)]
pub(super) struct Tier {
    pub(super) code: Option<Arc<Code>>,
    pub(super) loaded_bytes: u64,
    pub(super) stored_bytes: u64,
}

/// A module.
pub(super) struct Slot {
    pub(super) record: ModuleRecord,
    pub(super) stand_in_key: ArtifactKey,
    pub(super) native_key: ArtifactKey,
    pub(super) stand_in: Tier,
    pub(super) native: Tier,
    pub(super) state: Native,
    /// Calls that native code answered.
    pub(super) hits: u64,
    /// Calls that were to be native and ran on the interpreter.
    pub(super) misses: u64,
    /// When it was used last, on the registry's clock, which counts uses.
    pub(super) used: u64,
    pub(super) pinned: bool,
    pub(super) compile_micros: u64,
    /// Compiles that were begun since one came to an end.
    pub(super) attempts: u32,
    /// Who called it first.
    pub(super) account: Option<AccountId>,
    /// A deploy of this process, or one that an authentic artifact tells of, accepted it under today's rules.
    pub(super) accepted: bool,
    deployed: Option<Instant>,
}

/// Sums over all modules, kept across processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CacheTotals {
    /// Calls that native code answered.
    pub hits: u64,
    /// Calls that were to be native and ran on the interpreter.
    pub misses: u64,
    /// Compiles that succeeded.
    pub compiled: u64,
    /// Compiles that failed, and artifacts that gave up.
    pub failed: u64,
    /// Artifacts that were not what this home wrote. They were made anew.
    pub damaged: u64,
    /// Artifacts that were removed because the cache was full.
    pub evicted: u64,
    /// Artifacts that were removed because no module uses them, or because another version wrote them.
    pub collected: u64,
    /// Codes that were unloaded because too much was loaded.
    pub unloaded: u64,
    /// Reads and writes of artifacts that the disk refused.
    pub disk_failures: u64,
    /// Deploys whose code was prepared while the chain waited: those in receipts that contracts make.
    pub unprepared_deploys: u64,
    /// The longest of them, in microseconds.
    pub unprepared_micros_max: u64,
}

/// All modules.
#[derive(Default)]
pub(super) struct Modules {
    pub(super) slots: HashMap<ModuleKey, Slot>,
    pub(super) totals: CacheTotals,
    pub(super) clock: u64,
}

pub(super) fn key_of(record: &ModuleRecord) -> ModuleKey {
    (record.code_hash, record.visibility)
}

impl Slot {
    pub(super) fn new(record: ModuleRecord, stand_in: ArtifactKey, native: ArtifactKey) -> Self {
        Self {
            record,
            stand_in_key: stand_in,
            native_key: native,
            stand_in: Tier::default(),
            native: Tier::default(),
            state: Native::Unknown,
            hits: 0,
            misses: 0,
            used: 0,
            pinned: false,
            compile_micros: 0,
            attempts: 0,
            account: None,
            accepted: false,
            deployed: None,
        }
    }

    pub(super) fn tier(&mut self, engine: EngineKind) -> &mut Tier {
        match engine {
            EngineKind::Wasmi => &mut self.stand_in,
            _ => &mut self.native,
        }
    }

    pub(super) fn key(&self, engine: EngineKind) -> &ArtifactKey {
        match engine {
            EngineKind::Wasmi => &self.stand_in_key,
            _ => &self.native_key,
        }
    }

    pub(super) fn loaded_bytes(&self) -> u64 {
        self.stand_in.loaded_bytes + self.native.loaded_bytes
    }

    pub(super) fn stored_bytes(&self) -> u64 {
        self.stand_in.stored_bytes + self.native.stored_bytes
    }

    /// Notes a deploy that accepted it.
    pub(super) fn accept(&mut self) {
        self.accepted = true;
        self.deployed = Some(Instant::now());
    }

    /// Whether it may be in use although the state does not have it yet.
    pub(super) fn uncommitted(&self) -> bool {
        self.deployed.is_some_and(|at| at.elapsed() < UNCOMMITTED)
    }
}

impl Modules {
    /// Marks a module as used now.
    pub(super) fn touch(&mut self, key: &ModuleKey) {
        self.clock += 1;
        if let Some(slot) = self.slots.get_mut(key) {
            slot.used = self.clock;
        }
    }

    /// Keeps code that was loaded, unless another thread was faster; gives what is kept. `bytes` are those of its artifact.
    pub(super) fn install(
        &mut self,
        key: &ModuleKey,
        code: Arc<Code>,
        bytes: u64,
        limits: &CacheLimits,
    ) -> Arc<Code> {
        let engine = code.engine;
        let Some(slot) = self.slots.get_mut(key) else { return code };
        let tier = slot.tier(engine);
        let kept = tier.code.get_or_insert(code).clone();
        tier.loaded_bytes = if engine == EngineKind::Wasmi { bytes * TRANSLATED } else { bytes };
        self.unload(limits.loaded_bytes, key);
        kept
    }

    /// Unloads what was used least recently until an eighth of the room is free; `except` stays.
    fn unload(&mut self, limit: u64, except: &ModuleKey) {
        let mut loaded: u64 = self.slots.values().map(Slot::loaded_bytes).sum();
        if loaded <= limit {
            return;
        }
        for key in self.least_recently_used(except) {
            if loaded <= limit - limit / 8 {
                break;
            }
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            loaded -= slot.loaded_bytes();
            for tier in [&mut slot.stand_in, &mut slot.native] {
                tier.loaded_bytes = 0;
                self.totals.unloaded += u64::from(tier.code.take().is_some());
            }
        }
    }

    /// Names the modules whose files have to go for the cache to have room again: least recently used first.
    pub(super) fn over_limit(&self, limit: u64, except: &ModuleKey) -> Vec<ModuleKey> {
        let mut stored = self.stored_bytes();
        if stored <= limit {
            return Vec::new();
        }
        let mut chosen = Vec::new();
        for key in self.least_recently_used(except) {
            if stored <= limit - limit / 8 {
                break;
            }
            if let Some(slot) = self.slots.get(&key).filter(|slot| slot.stored_bytes() > 0) {
                stored -= slot.stored_bytes();
                chosen.push(key);
            }
        }
        if stored > limit {
            chosen.push(*except);
        }
        chosen
    }

    fn least_recently_used(&self, except: &ModuleKey) -> Vec<ModuleKey> {
        let slots = self.slots.iter().filter(|(key, slot)| !slot.pinned && *key != except);
        let mut keys: Vec<_> = slots.map(|(key, slot)| (slot.used, *key)).collect();
        keys.sort_unstable_by_key(|(used, _)| *used);
        keys.into_iter().map(|(_, key)| key).collect()
    }

    pub(super) fn stored_bytes(&self) -> u64 {
        self.slots.values().map(Slot::stored_bytes).sum()
    }

    pub(super) fn loaded_bytes(&self) -> u64 {
        self.slots.values().map(Slot::loaded_bytes).sum()
    }
}

/// Version of the index file.
const INDEX_VERSION: u32 = 2;

/// The index file: what of the table outlives the process. It vouches for nothing; without it the cache is as good, but has
/// forgotten who used it and what failed.
#[derive(BorshSerialize, BorshDeserialize)]
struct Index {
    version: u32,
    clock: u64,
    totals: CacheTotals,
    entries: Vec<IndexEntry>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct IndexEntry {
    record: ModuleRecord,
    stand_in_key: ArtifactKey,
    native_key: ArtifactKey,
    stand_in_bytes: u64,
    native_bytes: u64,
    state: Native,
    hits: u64,
    misses: u64,
    used: u64,
    pinned: bool,
    compile_micros: u64,
    attempts: u32,
    account: Option<String>,
}

impl Modules {
    /// Returns the index file; `None` if it cannot be encoded.
    pub(super) fn to_index(&self) -> Option<Vec<u8>> {
        let entries = self.slots.values().map(|slot| IndexEntry {
            record: slot.record.clone(),
            stand_in_key: slot.stand_in_key,
            native_key: slot.native_key,
            stand_in_bytes: slot.stand_in.stored_bytes,
            native_bytes: slot.native.stored_bytes,
            state: match &slot.state {
                Native::Deferred(_) => Native::Missing,
                state => state.clone(),
            },
            hits: slot.hits,
            misses: slot.misses,
            used: slot.used,
            pinned: slot.pinned,
            compile_micros: slot.compile_micros,
            attempts: slot.attempts,
            account: slot.account.as_ref().map(ToString::to_string),
        });
        let entries = entries.collect();
        let index =
            Index { version: INDEX_VERSION, clock: self.clock, totals: self.totals, entries };
        borsh::to_vec(&index).ok()
    }

    /// Reads an index file. `keys` are today's keys of a module: an entry with others is stale, of which the counts and the
    /// pin are all that is left. Bytes that are no index give an empty table.
    pub(super) fn from_index(
        bytes: &[u8],
        keys: impl Fn(&ModuleRecord) -> (ArtifactKey, ArtifactKey),
    ) -> Self {
        let Ok(index) = borsh::from_slice::<Index>(bytes) else { return Self::default() };
        if index.version != INDEX_VERSION {
            return Self::default();
        }
        let mut modules = Self { totals: index.totals, clock: index.clock, ..Self::default() };
        for entry in index.entries {
            let (stand_in, native) = keys(&entry.record);
            let mut slot = Slot::new(entry.record, stand_in, native);
            slot.used = entry.used;
            slot.pinned = entry.pinned;
            slot.account = entry.account.and_then(|account| account.parse().ok());
            if entry.stand_in_key == stand_in {
                slot.stand_in.stored_bytes = entry.stand_in_bytes;
            }
            if entry.native_key == native {
                slot.native.stored_bytes = entry.native_bytes;
                // A process that was killed may have compiled it since.
                slot.state = match entry.state {
                    Native::Missing => Native::Unknown,
                    state => state,
                };
                slot.attempts = entry.attempts;
                (slot.hits, slot.misses) = (entry.hits, entry.misses);
                slot.compile_micros = entry.compile_micros;
            }
            modules.slots.insert(key_of(&slot.record), slot);
        }
        modules
    }
}
