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

/// A node of the call tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallNode {
    /// Namespace of the module.
    pub namespace: Namespace,
    /// Its visibility.
    pub visibility: Visibility,
    /// The method.
    pub method: String,
    /// How it ended.
    pub ending: Ending,
    /// Gas burnt by the frame and its callees.
    pub gas_burnt: u64,
    /// Gas burnt and reserved by the frame and its callees.
    pub gas_used: u64,
    /// Gas of the frame alone, split.
    pub split: GasSplit,
    /// How often it yielded.
    pub yields: u64,
    /// Logs that were dropped with the frame.
    pub reverted_logs: Vec<String>,
    /// Callees in the order in which they were opened.
    pub callees: Vec<CallNode>,
}
