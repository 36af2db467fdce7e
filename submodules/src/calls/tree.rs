//! What the call tree of an outcome keeps (`docs/spec/calls.md`, section 7): it is bounded, whatever the frames do.

use super::trace::{CallNode, Ending};
use crate::{Namespace, SyncExecutionError, Visibility};
use std::collections::BTreeMap;

/// Nodes from which on equal callees of a frame are one node.
const NODES_MAX: u64 = 10_000;

/// Bytes of reverted logs and of messages of failures that are kept.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// How much a tree keeps so far.
#[derive(Debug, Default)]
pub(super) struct Kept {
    nodes: u64,
    /// There have been as many nodes as there may be.
    full: bool,
    text_bytes: usize,
}

impl Kept {
    /// Drops and counts the texts of a node that there is no room for.
    pub(super) fn keep_texts(&mut self, node: &mut CallNode) {
        let mut dropped = 0;
        let mut keep = |text: &str| {
            let bytes = self.text_bytes + text.len();
            let fits = bytes <= TEXT_BYTES_MAX;
            match fits {
                true => self.text_bytes = bytes,
                false => dropped += 1,
            }
            fits
        };
        node.reverted_logs.retain(|log| keep(log));
        if let Ending::Failed(SyncExecutionError::GuestPanic(message)) = &mut node.ending
            && !keep(message)
        {
            message.clear();
        }
        node.texts_dropped += dropped;
    }
}

/// What makes two callees of a frame equal. Messages of failures do not.
type Kind = (Namespace, Visibility, String, Vec<u8>);

fn kind_of(node: &CallNode) -> Kind {
    let ending = match &node.ending {
        Ending::Returned => vec![],
        Ending::Closed => vec![u8::MAX],
        Ending::Failed(SyncExecutionError::GuestPanic(_)) => {
            SyncExecutionError::GuestPanic(String::new()).to_bytes()
        }
        Ending::Failed(error) => error.to_bytes(),
    };
    (node.namespace.clone(), node.visibility, node.method.clone(), ending)
}

/// A node whose callees are still beside it.
#[derive(Debug)]
pub(super) struct Node {
    node: CallNode,
    callees: Callees,
}

/// The callees of a frame that have ended.
#[derive(Debug, Default)]
pub(super) struct Callees {
    /// Each with its handle: the place in the order of opening.
    nodes: Vec<(u64, Node)>,
    /// Where the first of each kind is, once that has been asked.
    by_kind: Option<BTreeMap<Kind, usize>>,
}

impl Node {
    pub(super) fn new(node: CallNode, callees: Callees) -> Self {
        Self { node, callees }
    }

    /// The node with its callees in the order in which they were opened first.
    pub(super) fn finish(self) -> CallNode {
        let Self { node, callees: Callees { mut nodes, .. } } = self;
        nodes.sort_by_key(|(handle, _)| *handle);
        let callees = nodes.into_iter().map(|(_, callee)| callee.finish()).collect();
        CallNode { callees, ..node }
    }

    /// Takes an equal callee of the same frame in.
    fn merge(&mut self, other: Node, kept: &mut Kept) {
        let Node { node: mut new, callees } = other;
        let node = &mut self.node;
        node.count += new.count;
        node.gas_burnt = node.gas_burnt.saturating_add(new.gas_burnt);
        node.gas_used = node.gas_used.saturating_add(new.gas_used);
        node.split.add(&new.split);
        node.yields += new.yields;
        node.reverted_logs.append(&mut new.reverted_logs);
        node.texts_dropped += new.texts_dropped;
        if let Ending::Failed(SyncExecutionError::GuestPanic(message)) = &new.ending
            && !message.is_empty()
        {
            kept.text_bytes -= message.len();
            node.texts_dropped += 1;
        }
        for (handle, callee) in callees.nodes {
            kept.nodes -= 1;
            self.callees.add(handle, callee, kept);
        }
    }
}

impl Callees {
    /// Adds a callee that has ended; past the limit into an equal one, if there is one.
    pub(super) fn add(&mut self, handle: u64, node: Node, kept: &mut Kept) {
        if kept.full {
            let Self { nodes, by_kind } = self;
            let by_kind = by_kind.get_or_insert_with(|| {
                let mut found = BTreeMap::new();
                for (place, (_, node)) in nodes.iter().enumerate() {
                    found.entry(kind_of(&node.node)).or_insert(place);
                }
                found
            });
            let place = *by_kind.entry(kind_of(&node.node)).or_insert(nodes.len());
            if let Some((first, equal)) = nodes.get_mut(place) {
                *first = handle.min(*first);
                equal.merge(node, kept);
                return;
            }
        }
        kept.nodes += 1;
        kept.full |= kept.nodes >= NODES_MAX;
        self.nodes.push((handle, node));
    }
}
