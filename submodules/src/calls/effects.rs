//! What a frame has done and not yet handed on (`docs/spec/calls.md`, section 5, "Effects").

use crate::Namespace;
use crate::calls::ledger::LedgerChange;
use std::collections::BTreeMap;

/// A receipt that refers to others of its frame by index.
pub trait Renumber {
    /// Adds `offset` to every receipt index it holds.
    fn renumber(&mut self, offset: u64);
}

/// Pending writes to one namespace: `None` is a removal.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Storage writes, receipts and logs of a frame and of the callees that succeeded in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects<R> {
    /// Storage writes by namespace.
    pub writes: BTreeMap<Namespace, Writes>,
    /// Receipts in the order of their indices.
    pub receipts: Vec<R>,
    /// Logs of callees that succeeded, each with the number of the frame's own logs that came before it. The
    /// frame's own logs are NEAR's to keep until the frame ends.
    pub callee_logs: Vec<(usize, String)>,
    /// What all that did to the ledger.
    pub change: LedgerChange,
}

impl<R> Default for Effects<R> {
    fn default() -> Self {
        Self {
            writes: BTreeMap::new(),
            receipts: Vec::new(),
            callee_logs: Vec::new(),
            change: LedgerChange::default(),
        }
    }
}

impl<R: Renumber> Effects<R> {
    /// Joins the effects of a callee that succeeded: its writes win, its receipts come after what is here by
    /// now, its logs stand after `own_logs` of the caller's own.
    pub fn join(&mut self, callee: Effects<R>, callee_logs: Vec<String>, own_logs: usize) {
        for (namespace, writes) in callee.writes {
            self.writes.entry(namespace).or_default().extend(writes);
        }
        let offset = self.receipts.len() as u64;
        self.receipts.extend(callee.receipts.into_iter().map(|mut receipt| {
            receipt.renumber(offset);
            receipt
        }));
        self.callee_logs.extend(callee_logs.into_iter().map(|log| (own_logs, log)));
        self.change.join(&callee.change);
    }
}

/// The logs of a frame in the order they were written: its own, and in between those of its callees.
pub(crate) fn weave(own: Vec<String>, callees: Vec<(usize, String)>) -> Vec<String> {
    let mut woven = Vec::with_capacity(own.len() + callees.len());
    let mut callees = callees.into_iter().peekable();
    for (position, log) in own.into_iter().enumerate() {
        while let Some((_, callee)) = callees.next_if(|(before, _)| *before <= position) {
            woven.push(callee);
        }
        woven.push(log);
    }
    woven.extend(callees.map(|(_, log)| log));
    woven
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct After(Vec<u64>);
    impl Renumber for After {
        fn renumber(&mut self, offset: u64) {
            self.0.iter_mut().for_each(|index| *index += offset);
        }
    }

    #[test]
    fn joined_receipts_are_renumbered() {
        let mut caller =
            Effects { receipts: vec![After(vec![]), After(vec![0])], ..Effects::default() };
        let callee =
            Effects { receipts: vec![After(vec![]), After(vec![0])], ..Effects::default() };
        caller.join(callee, vec![], 0);
        assert_eq!(caller.receipts[3], After(vec![2]));
    }

    #[test]
    fn logs_keep_the_order_in_which_they_were_written() {
        let own = ["a", "b"].map(String::from).to_vec();
        let callees = vec![(0, "x".to_owned()), (1, "y".to_owned()), (2, "z".to_owned())];
        assert_eq!(weave(own, callees), ["x", "a", "y", "b", "z"]);
    }
}
