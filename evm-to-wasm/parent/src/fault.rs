//! Why a frame ended exceptionally though its contract did nothing to deserve it.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use evm_to_wasm::abi::Request;

/// What a module did wrong, or the host on its behalf.
#[derive(Debug, thiserror::Error)]
pub enum FrameFault {
    /// The host refused to open or resume the module.
    #[error("the host refused the module: {reason}")]
    Refused {
        /// The host's words.
        reason: String,
    },
    /// The module trapped, ran out of the host's gas, or broke a rule of the host.
    #[error("the module failed: {reason}")]
    Failed {
        /// The host's words.
        reason: String,
    },
    /// Its bytes are no message of the ABI.
    #[error("{bytes} bytes from the module are no request: {reason}")]
    Malformed {
        /// Length of the message.
        bytes: usize,
        /// What is wrong with it.
        reason: Malformed,
    },
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
