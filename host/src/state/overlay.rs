//! Changes over a snapshot, without a copy of either: what the receipts of a block have done so far, and what has to be
//! taken back to see an earlier block.

use crate::HostFault;
use crate::state::merge::{self, Changes};
use crate::state::working::WorkingState;
use crate::state::{Batch, Snapshot, Store, Visit};
use std::cell::RefCell;
use std::rc::Rc;

/// A snapshot and changes over it, itself a snapshot.
pub(crate) struct Overlay {
    base: Rc<dyn Snapshot>,
    /// Borrowed for the time of a read, changed between two.
    changes: RefCell<Changes>,
}

impl Overlay {
    /// The state of a store as it is now, nothing changed.
    pub(crate) fn of(store: &dyn Store) -> Result<Rc<Self>, HostFault> {
        Ok(Self::over(store.snapshot()?, Batch::default()))
    }

    /// A snapshot with changes.
    pub(crate) fn over(base: Rc<dyn Snapshot>, batch: Batch) -> Rc<Self> {
        Rc::new(Self { base, changes: RefCell::new(batch.changes) })
    }

    /// The snapshot with the changes so far, to work on.
    pub(crate) fn state(self: &Rc<Self>) -> WorkingState {
        WorkingState::over_snapshot(self.clone())
    }

    /// Adds changes. Those who work on the overlay see them from here on.
    pub(crate) fn absorb(&self, batch: Batch) {
        self.changes.borrow_mut().extend(batch.changes);
    }

    /// Takes the changes out, and the snapshot that they are over.
    pub(crate) fn take(&self) -> (Rc<dyn Snapshot>, Batch) {
        (self.base.clone(), Batch { changes: self.changes.take() })
    }
}

impl Snapshot for Overlay {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HostFault> {
        match self.changes.borrow().get(key) {
            Some(change) => Ok(change.clone()),
            None => self.base.get(key),
        }
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), HostFault> {
        merge::scan(&*self.base, &self.changes.borrow(), prefix, visit)
    }
}
