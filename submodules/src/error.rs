//! Errors and statuses of sync calls (`docs/spec/calls.md`, section 4).

use borsh::{BorshDeserialize, BorshSerialize};

/// Status of a sync call: the callee returned.
pub const STATUS_SUCCESS: u64 = 0;
/// Status of a sync call: the callee yielded and waits for an answer.
pub const STATUS_CALLBACK: u64 = 1;
/// Status of a sync call: it failed, or was refused.
pub const STATUS_ERROR: u64 = 2;

/// Why a sync call failed; what its caller finds in the register, in borsh.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, thiserror::Error)]
pub enum SyncExecutionError {
    /// No module of that name in the account.
    #[error("the account has no module of that namespace")]
    NamespaceNotFound,
    /// The module exports no such method.
    #[error("the module has no method of that name")]
    MethodNotFound,
    /// The callee ran out of its gas.
    #[error("the callee ran out of its gas")]
    OutOfGas,
    /// The callee trapped; a kind of near-vm-runner's `WasmTrap`, in its order.
    #[error("the callee trapped: {}", trap_words(*.0))]
    WasmTrap(u8),
    /// The callee panicked with a message.
    #[error("the callee panicked: {0}")]
    GuestPanic(String),
    /// A host function failed in the callee, or the call was refused; the name of the variant.
    #[error("host error {0}")]
    HostError(String),
    /// A live call stands in the way.
    #[error("a live call of that namespace stands in the way")]
    AlreadyStarted,
    /// There is no live call of that namespace.
    #[error("there is no live call of that namespace")]
    NotStarted,
    /// The handle names no live call.
    #[error("the handle names no live call of this frame")]
    UnknownHandle,
    /// The call would be too deep.
    #[error("the call would be deeper than {limit} levels")]
    CallDepthExceeded {
        /// The limit in force.
        limit: u32,
    },
    /// Too many callees are alive.
    #[error("more than {limit} calls would be live in this root call")]
    TooManyLiveCalls {
        /// The limit in force.
        limit: u32,
    },
    /// The callee requires what was not granted.
    #[error("the callee requires `{capability}`, which was not granted")]
    CapabilityNotGranted {
        /// Name of the capability.
        capability: String,
    },
    /// The memories of the live frames would be too large.
    #[error("the memories of the live calls would exceed {limit} bytes")]
    MemoryBudgetExceeded {
        /// The limit in force, in bytes.
        limit: u64,
    },
}

/// What a trap's number stands for, in near-vm-runner's order of `WasmTrap`.
fn trap_words(kind: u8) -> &'static str {
    match kind {
        0 => "an `unreachable` instruction",
        1 => "an indirect call of another signature",
        2 => "a memory access out of bounds",
        3 => "an indirect call out of bounds",
        4 => "illegal arithmetic",
        5 => "a misaligned atomic access",
        6 => "an indirect call to null",
        7 => "the stack overflowed",
        _ => "for an unknown reason",
    }
}

impl SyncExecutionError {
    /// A host error by its name.
    pub fn host(name: &str) -> Self {
        Self::HostError(name.to_owned())
    }

    /// The bytes a caller finds in the register.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16);
        // Writing to a vector cannot fail.
        let _ = self.serialize(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borsh_variants_are_in_the_order_of_the_specification() {
        let cases: [(SyncExecutionError, u8); 13] = [
            (SyncExecutionError::NamespaceNotFound, 0),
            (SyncExecutionError::MethodNotFound, 1),
            (SyncExecutionError::OutOfGas, 2),
            (SyncExecutionError::WasmTrap(1), 3),
            (SyncExecutionError::GuestPanic("x".into()), 4),
            (SyncExecutionError::host("InvalidGrants"), 5),
            (SyncExecutionError::AlreadyStarted, 6),
            (SyncExecutionError::NotStarted, 7),
            (SyncExecutionError::UnknownHandle, 8),
            (SyncExecutionError::CallDepthExceeded { limit: 16 }, 9),
            (SyncExecutionError::TooManyLiveCalls { limit: 1 }, 10),
            (SyncExecutionError::CapabilityNotGranted { capability: "log".into() }, 11),
            (SyncExecutionError::MemoryBudgetExceeded { limit: 1 }, 12),
        ];
        for (error, tag) in cases {
            let bytes = error.to_bytes();
            assert_eq!(bytes[0], tag);
            assert_eq!(SyncExecutionError::try_from_slice(&bytes).unwrap(), error);
        }
    }
}
