//! Changes over a snapshot, without a copy of either: what the receipts of a block have done so far, and what has to be
//! taken back to see an earlier block.

use crate::HostFault;
use crate::state::working::{Changes, WorkingState};
use crate::state::{Batch, Snapshot, Store, Visit};
use std::cell::RefCell;
use std::ops::ControlFlow;
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
        scan(&*self.base, &self.changes.borrow(), prefix, visit)
    }
}

/// Visits the keys of a snapshot with changes over it that begin with a prefix, in ascending order.
pub(super) fn scan(
    base: &dyn Snapshot,
    changes: &Changes,
    prefix: &[u8],
    visit: &mut Visit<'_>,
) -> Result<(), HostFault> {
    let changed = changes.range(prefix.to_vec()..);
    let mut changed = changed.take_while(|(key, _)| key.starts_with(prefix)).peekable();
    let mut stopped = false;
    base.scan(prefix, &mut |key, value| {
        let mut flow = ControlFlow::Continue(());
        while let Some((new, change)) = changed.next_if(|(new, _)| new.as_slice() < key) {
            if let (Some(change), true) = (change, flow.is_continue()) {
                flow = visit(new, change)?;
            }
        }
        if flow.is_continue() {
            flow = match changed.next_if(|(new, _)| new.as_slice() == key) {
                Some((_, Some(change))) => visit(key, change)?,
                Some((_, None)) => ControlFlow::Continue(()),
                None => visit(key, value)?,
            };
        }
        stopped = flow.is_break();
        Ok(flow)
    })?;
    for (key, change) in changed {
        if stopped {
            break;
        }
        if let Some(change) = change {
            stopped = visit(key, change)?.is_break();
        }
    }
    Ok(())
}
