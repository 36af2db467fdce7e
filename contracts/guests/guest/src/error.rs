//! What a sync call can fail with. The order of the variants is part of the interface: it is the borsh tag.

use alloc::string::{String, ToString};

use crate::codec::Reader;

/// Why a call to a module of this account failed (`docs/spec/calls.md`, section 4). The caller goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncExecutionError {
    /// The account has no module of this name.
    NamespaceNotFound,
    /// The module exports no such method.
    MethodNotFound,
    /// The callee used up the gas it was given.
    OutOfGas,
    /// The callee trapped; the kind in near-vm-runner's order.
    WasmTrap(u8),
    /// The callee ended itself with this message.
    GuestPanic(String),
    /// A host function refused; the name of the reason.
    HostError(String),
    /// A call to this namespace is live already.
    AlreadyStarted,
    /// No call to this namespace is live.
    NotStarted,
    /// The handle was never given, or its call has ended.
    UnknownHandle,
    /// The call would be nested too deep.
    CallDepthExceeded {
        /// Levels allowed.
        limit: u32,
    },
    /// Too many calls are live under one root call.
    TooManyLiveCalls {
        /// Calls allowed.
        limit: u32,
    },
    /// The callee requires what the caller did not grant.
    CapabilityNotGranted {
        /// What is required.
        capability: String,
    },
    /// The memories of the live calls would be too large together.
    MemoryBudgetExceeded {
        /// Bytes allowed.
        limit: u64,
    },
}

impl SyncExecutionError {
    /// Reads the borsh of an error, as the host wrote it. Bytes that are none, which only a newer host can
    /// send, are shown as `HostError`, because a caller can do no more about them than about any other refusal.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut reader = Reader::new(bytes);
        match Self::read(&mut reader) {
            Some(error) if reader.is_empty() => error,
            _ => Self::HostError("UnknownError".to_string()),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.u8()? {
            0 => Self::NamespaceNotFound,
            1 => Self::MethodNotFound,
            2 => Self::OutOfGas,
            3 => Self::WasmTrap(reader.u8()?),
            4 => Self::GuestPanic(reader.string()?),
            5 => Self::HostError(reader.string()?),
            6 => Self::AlreadyStarted,
            7 => Self::NotStarted,
            8 => Self::UnknownHandle,
            9 => Self::CallDepthExceeded { limit: reader.u32()? },
            10 => Self::TooManyLiveCalls { limit: reader.u32()? },
            11 => Self::CapabilityNotGranted { capability: reader.string()? },
            12 => Self::MemoryBudgetExceeded { limit: reader.u64()? },
            _ => return None,
        })
    }

    /// The name of the variant, for a message.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NamespaceNotFound => "NamespaceNotFound",
            Self::MethodNotFound => "MethodNotFound",
            Self::OutOfGas => "OutOfGas",
            Self::WasmTrap(_) => "WasmTrap",
            Self::GuestPanic(_) => "GuestPanic",
            Self::HostError(_) => "HostError",
            Self::AlreadyStarted => "AlreadyStarted",
            Self::NotStarted => "NotStarted",
            Self::UnknownHandle => "UnknownHandle",
            Self::CallDepthExceeded { .. } => "CallDepthExceeded",
            Self::TooManyLiveCalls { .. } => "TooManyLiveCalls",
            Self::CapabilityNotGranted { .. } => "CapabilityNotGranted",
            Self::MemoryBudgetExceeded { .. } => "MemoryBudgetExceeded",
        }
    }
}
