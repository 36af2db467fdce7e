//! The call tree of an outcome: who called whom, and where the gas went. Never consensus data.

use crate::{Namespace, SyncExecutionError, Visibility};
use std::collections::BTreeMap;

/// Calls of one host function in a frame, and what they burnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostUse {
    /// How often it was called.
    pub calls: u64,
    /// Gas burnt in it.
    pub gas: u64,
}

/// Gas of one frame alone, without its callees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GasSplit {
    /// Contract loading.
    pub loading: u64,
    /// Wasm instructions, counted by the module's own meter.
    pub wasm: u64,
    /// Pages that a private module's memory grew by.
    pub memory: u64,
    /// Host functions by name.
    pub host: BTreeMap<&'static str, HostUse>,
}

impl GasSplit {
    /// Adds the gas of another frame.
    pub fn add(&mut self, other: &Self) {
        self.loading = self.loading.saturating_add(other.loading);
        self.wasm = self.wasm.saturating_add(other.wasm);
        self.memory = self.memory.saturating_add(other.memory);
        for (name, usage) in &other.host {
            let sum = self.host.entry(*name).or_default();
            sum.calls = sum.calls.saturating_add(usage.calls);
            sum.gas = sum.gas.saturating_add(usage.gas);
        }
    }

    /// All of it: what the frame burnt itself, to the unit.
    pub fn total(&self) -> u64 {
        let host = self.host.values().fold(0_u64, |sum, usage| sum.saturating_add(usage.gas));
        [self.loading, self.wasm, self.memory, host].into_iter().fold(0, u64::saturating_add)
    }
}

/// How a frame ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It returned.
    Returned,
    /// It failed.
    Failed(SyncExecutionError),
    /// Its caller closed it, or ended before it.
    Closed,
}

/// A node of the call tree: a frame, or, in a tree of more than 10,000, equal callees of a frame, whose numbers are added up.
/// Equal are callees of one module and method that ended alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallNode {
    /// Namespace of the module.
    pub namespace: Namespace,
    /// Its visibility.
    pub visibility: Visibility,
    /// The method.
    pub method: String,
    /// How many frames it stands for.
    pub count: u64,
    /// How it ended; of several, with the message of the first.
    pub ending: Ending,
    /// Gas burnt by the frame and its callees.
    pub gas_burnt: u64,
    /// Gas burnt and reserved by the frame and its callees.
    pub gas_used: u64,
    /// Gas of the frame alone, split.
    pub split: GasSplit,
    /// How often it yielded.
    pub yields: u64,
    /// Logs that were dropped with the frame, as long as all such texts of the tree are at most 1 MiB.
    pub reverted_logs: Vec<String>,
    /// Such logs and messages of failures that are not kept.
    pub texts_dropped: u64,
    /// Callees in the order in which they, or the first of several, were opened.
    pub callees: Vec<CallNode>,
}
