//! Changes that are not in a snapshot yet, read with it.

use crate::HostFault;
use crate::state::{Snapshot, Visit};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// A value to be written at a key, or `None` to remove it.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

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
