//! What ran how, and what went wrong that no contract is to blame for.

pub use crate::reference::BadAnswer;
use cotenant_host::exec::SessionError;
use cotenant_submodules::SyncExecutionError;
use evm_to_wasm::abi::Request;
use std::fmt;

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

    pub(crate) fn fault(&mut self, fault: &FrameFault) {
        if self.faults.len() < Self::FAULTS_MAX {
            self.faults.push(fault.to_string());
        }
    }
}

/// Why a frame ended exceptionally though its contract did nothing to deserve it.
#[derive(Debug, thiserror::Error)]
pub enum FrameFault {
    /// The host refused to open or resume the module.
    #[error("the host refused the module: {0}")]
    Refused(SessionError),
    /// The module trapped, ran out of the host's gas, or broke a rule of the host.
    #[error("the module failed: {0}")]
    Failed(SyncExecutionError),
    /// Its bytes are no message of the ABI.
    #[error("{bytes} bytes from the module are no request: {reason}")]
    Malformed {
        /// Length of the message.
        bytes: usize,
        /// What is wrong with it.
        reason: Malformed,
    },
    /// A reference module does not understand its parent.
    #[error(transparent)]
    Misunderstood(#[from] BadAnswer),
    /// A message that makes no sense where it came.
    #[error("the module sent {request} where {rule}")]
    OutOfPlace {
        /// The message, in short.
        request: String,
        /// What it breaks.
        rule: &'static str,
    },
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Its head is not one of the ABI's.
    #[error("its head is none of the ABI's")]
    Head,
    /// Its tail ends before what the head announces.
    #[error("its tail ends {missing} bytes early")]
    TailShort {
        /// Bytes that are missing.
        missing: usize,
    },
    /// Its tail goes on after what the head announces.
    #[error("its tail has {extra} bytes too many")]
    TailLong {
        /// Bytes too many.
        extra: usize,
    },
    /// A log with more than four topics.
    #[error("a log has {topics} topics")]
    Topics {
        /// Topics found.
        topics: u32,
    },
}

impl FrameFault {
    pub(crate) fn out_of_place(request: &Request, rule: &'static str) -> Self {
        Self::OutOfPlace { request: Short(request).to_string(), rule }
    }
}

/// The name of a request, without what it carries.
struct Short<'a>(&'a Request);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:?}", self.0);
        f.write_str(text.split([' ', '(', '{']).next().unwrap_or_default())
    }
}
