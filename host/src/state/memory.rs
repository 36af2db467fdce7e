//! A state that is gone when its process ends: for tests, and for trying something out.

use crate::HostFault;
use crate::state::{Batch, Snapshot, Store, Visit, genesis};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A state in memory. A commit copies it only while a snapshot of it is alive.
#[derive(Debug)]
pub struct MemoryStore {
    map: RwLock<Arc<Map>>,
}

impl MemoryStore {
    /// An empty state of a protocol version.
    ///
    /// # Errors
    /// A bug alone.
    pub fn new(protocol: u32) -> Result<Self, HostFault> {
        let store = Self { map: RwLock::default() };
        store.commit(&genesis(protocol)?)?;
        Ok(store)
    }
}

struct MemorySnapshot(Arc<Map>);

impl Snapshot for MemorySnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HostFault> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), HostFault> {
        let from = self.0.range(prefix.to_vec()..);
        for (key, value) in from.take_while(|(key, _)| key.starts_with(prefix)) {
            if visit(key, value)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    fn snapshot(&self) -> Result<Rc<dyn Snapshot>, HostFault> {
        // A writer cannot leave the map half changed: nothing in `commit` panics between its steps.
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Rc::new(MemorySnapshot(Arc::clone(&map))))
    }

    fn commit(&self, batch: &Batch) -> Result<(), HostFault> {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let map = Arc::make_mut(&mut map);
        for (key, value) in batch.iter() {
            match value {
                Some(value) => map.insert(key.to_vec(), value.to_vec()),
                None => map.remove(key),
            };
        }
        Ok(())
    }
}
