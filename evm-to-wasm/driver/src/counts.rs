//! What ran how, and what went wrong that no contract is to blame for.

pub use crate::reference::BadAnswer;
use evm_parent::{FrameFault, Tally};

/// What the frames of a transaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that ran as modules.
    pub compiled_frames: u64,
    /// Frames that revm interpreted: no module could be had for them.
    pub interpreted_frames: u64,
    /// Requests that modules yielded; their results are not among them.
    pub yields: u64,
    /// Gas of the host that the modules burnt, in NEAR's units.
    pub host_gas: u64,
    /// Frames that a module ended in a way it never should, in the order in which it happened.
    pub faults: Vec<String>,
}

impl Counts {
    /// Faults that are listed; the rest is only counted by the frames' results.
    pub(crate) const FAULTS_MAX: usize = 16;

    /// Adds what another transaction did.
    pub fn add(&mut self, other: Counts) {
        self.compiled_frames += other.compiled_frames;
        self.interpreted_frames += other.interpreted_frames;
        self.yields += other.yields;
        self.host_gas = self.host_gas.saturating_add(other.host_gas);
        let room = Self::FAULTS_MAX.saturating_sub(self.faults.len());
        self.faults.extend(other.faults.into_iter().take(room));
    }

    pub(crate) fn tally(&mut self, tally: Tally) {
        self.compiled_frames += tally.compiled_frames;
        self.interpreted_frames += tally.interpreted_frames;
        self.yields += tally.yields;
    }

    pub(crate) fn fault(&mut self, fault: &FrameFault) {
        if self.faults.len() < Self::FAULTS_MAX {
            self.faults.push(fault.to_string());
        }
    }
}
