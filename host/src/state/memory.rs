//! A state that is gone when its process ends: for tests, for trying something out, for a node without a home.
//!
//! Each value carries the number of the commit that wrote it. A snapshot is such a number: it sees what was there then,
//! whatever is committed after, and a commit never copies the map. What no snapshot can see any more is dropped by the
//! commits that follow.

use crate::HostFault;
use crate::state::{Batch, Snapshot, Store, Visit, genesis};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Keys that a scan reads under one lock.
const SCANNED_AT_ONCE: usize = 64;

/// Some keys with their values, and where to go on behind them.
type Scanned = (Vec<(Vec<u8>, Vec<u8>)>, Bound<Vec<u8>>);

/// What was at a key, the latest last; `None` where it was removed.
type Versions = Vec<(u64, Option<Vec<u8>>)>;

/// A state in memory.
#[derive(Debug)]
pub struct MemoryStore {
    versioned: Arc<RwLock<Versioned>>,
}

#[derive(Debug, Default)]
struct Versioned {
    map: BTreeMap<Vec<u8>, Versions>,
    /// The last commit.
    commit: u64,
    /// How many snapshots there are of each commit.
    snapshots: BTreeMap<u64, usize>,
    /// Keys that have more than one version, or a removal, by the commit that made it so.
    outdated: VecDeque<(u64, Vec<u8>)>,
}

impl Versioned {
    /// Drops what no snapshot sees.
    fn drop_unseen(&mut self) {
        let oldest = self.snapshots.keys().next().copied().unwrap_or(self.commit);
        while let Some((_, key)) = self.outdated.pop_front_if(|(commit, _)| *commit <= oldest) {
            let Some(versions) = self.map.get_mut(&key) else { continue };
            let seen = versions.iter().rposition(|(commit, _)| *commit <= oldest);
            versions.drain(..seen.unwrap_or(0));
            if matches!(versions.as_slice(), [(commit, None)] if *commit <= oldest) {
                self.map.remove(&key);
            }
        }
    }
}

impl MemoryStore {
    /// An empty state of a protocol version.
    ///
    /// # Errors
    /// A bug alone.
    pub fn new(protocol: u32) -> Result<Self, HostFault> {
        let store = Self { versioned: Arc::default() };
        store.commit(&genesis(protocol)?)?;
        Ok(store)
    }

    /// How many versions there are of all values, and how many changes wait to be dropped.
    #[cfg(test)]
    pub(super) fn versions(&self) -> (usize, usize) {
        let versioned = read(&self.versioned);
        (versioned.map.values().map(Vec::len).sum(), versioned.outdated.len())
    }

    /// How many keys have a value or had one.
    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        read(&self.versioned).map.len()
    }
}

struct MemorySnapshot {
    versioned: Arc<RwLock<Versioned>>,
    commit: u64,
}

// A writer cannot leave the map half changed: nothing in `commit` panics between its steps.
fn read(versioned: &RwLock<Versioned>) -> RwLockReadGuard<'_, Versioned> {
    versioned.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(versioned: &RwLock<Versioned>) -> RwLockWriteGuard<'_, Versioned> {
    versioned.write().unwrap_or_else(PoisonError::into_inner)
}

impl MemorySnapshot {
    fn seen<'a>(&self, versions: &'a Versions) -> Option<&'a [u8]> {
        let seen = versions.iter().rev().find(|(commit, _)| *commit <= self.commit);
        seen.and_then(|(_, value)| value.as_deref())
    }

    /// The next keys after one that begin with a prefix, and whether they are the last.
    fn next(&self, prefix: &[u8], after: Bound<Vec<u8>>) -> Scanned {
        let versioned = read(&self.versioned);
        let mut found = Vec::new();
        for (key, versions) in versioned.map.range((after, Bound::Unbounded)) {
            if !key.starts_with(prefix) {
                break;
            }
            if let Some(value) = self.seen(versions) {
                found.push((key.clone(), value.to_vec()));
            }
            if found.len() == SCANNED_AT_ONCE {
                return (found, Bound::Excluded(key.clone()));
            }
        }
        (found, Bound::Unbounded)
    }
}

impl Snapshot for MemorySnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HostFault> {
        let versioned = read(&self.versioned);
        Ok(versioned.map.get(key).and_then(|versions| self.seen(versions)).map(<[u8]>::to_vec))
    }

    fn has(&self, key: &[u8]) -> Result<bool, HostFault> {
        let versioned = read(&self.versioned);
        Ok(versioned.map.get(key).is_some_and(|versions| self.seen(versions).is_some()))
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), HostFault> {
        // No lock is held while `visit` runs: it may read itself, and a writer may be waiting.
        let mut after = Bound::Included(prefix.to_vec());
        loop {
            let (found, last) = self.next(prefix, after);
            for (key, value) in found {
                if visit(&key, &value)?.is_break() {
                    return Ok(());
                }
            }
            if last == Bound::Unbounded {
                return Ok(());
            }
            after = last;
        }
    }
}

impl Drop for MemorySnapshot {
    fn drop(&mut self) {
        let mut versioned = write(&self.versioned);
        if let Some(count) = versioned.snapshots.get_mut(&self.commit) {
            *count -= 1;
            if *count == 0 {
                versioned.snapshots.remove(&self.commit);
            }
        }
    }
}

impl Store for MemoryStore {
    fn snapshot(&self) -> Result<Rc<dyn Snapshot>, HostFault> {
        let mut versioned = write(&self.versioned);
        let commit = versioned.commit;
        *versioned.snapshots.entry(commit).or_default() += 1;
        Ok(Rc::new(MemorySnapshot { versioned: self.versioned.clone(), commit }))
    }

    fn commit(&self, batch: &Batch) -> Result<(), HostFault> {
        let mut versioned = write(&self.versioned);
        let Versioned { map, commit, outdated, .. } = &mut *versioned;
        *commit += 1;
        for (key, value) in batch.iter() {
            let value = value.map(<[u8]>::to_vec);
            match map.get_mut(key) {
                Some(versions) => versions.push((*commit, value)),
                None if value.is_none() => continue,
                None => {
                    map.insert(key.to_vec(), vec![(*commit, value)]);
                    continue;
                }
            }
            outdated.push_back((*commit, key.to_vec()));
        }
        versioned.drop_unseen();
        Ok(())
    }
}
