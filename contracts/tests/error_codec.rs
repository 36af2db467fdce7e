//! The guest reads errors by hand; borsh's own derive is the oracle.

extern crate alloc;

#[path = "../guests/guest/src/codec.rs"]
#[expect(dead_code, reason = "the test needs the reader alone")]
mod codec;
#[path = "../guests/guest/src/error.rs"]
mod error;

use borsh::BorshSerialize;
use error::SyncExecutionError as Decoded;

/// The variants in the order of `docs/spec/calls.md`, section 4.
#[derive(BorshSerialize)]
enum Encoded {
    NamespaceNotFound,
    MethodNotFound,
    OutOfGas,
    WasmTrap(u8),
    GuestPanic(String),
    HostError(String),
    AlreadyStarted,
    NotStarted,
    UnknownHandle,
    CallDepthExceeded { limit: u32 },
    TooManyLiveCalls { limit: u32 },
    CapabilityNotGranted { capability: String },
    MemoryBudgetExceeded { limit: u64 },
}

#[test]
fn every_error_is_read_as_borsh_writes_it() {
    let text = || "schön".to_string();
    for (encoded, decoded) in [
        (Encoded::NamespaceNotFound, Decoded::NamespaceNotFound),
        (Encoded::MethodNotFound, Decoded::MethodNotFound),
        (Encoded::OutOfGas, Decoded::OutOfGas),
        (Encoded::WasmTrap(3), Decoded::WasmTrap(3)),
        (Encoded::GuestPanic(text()), Decoded::GuestPanic(text())),
        (Encoded::HostError(text()), Decoded::HostError(text())),
        (Encoded::AlreadyStarted, Decoded::AlreadyStarted),
        (Encoded::NotStarted, Decoded::NotStarted),
        (Encoded::UnknownHandle, Decoded::UnknownHandle),
        (Encoded::CallDepthExceeded { limit: 16 }, Decoded::CallDepthExceeded { limit: 16 }),
        (Encoded::TooManyLiveCalls { limit: 1_100 }, Decoded::TooManyLiveCalls { limit: 1_100 }),
        (
            Encoded::CapabilityNotGranted { capability: text() },
            Decoded::CapabilityNotGranted { capability: text() },
        ),
        (
            Encoded::MemoryBudgetExceeded { limit: 1 << 30 },
            Decoded::MemoryBudgetExceeded { limit: 1 << 30 },
        ),
    ] {
        let bytes = borsh::to_vec(&encoded).unwrap();
        assert_eq!(Decoded::decode(&bytes), decoded, "{}", decoded.name());
    }
}

#[test]
fn bytes_that_are_no_error_are_a_host_error() {
    for bytes in [&b""[..], &[13], &[0, 0], &[3], &[4, 255, 255, 255, 255], &[4, 1, 0, 0, 0, 255]] {
        assert_eq!(
            Decoded::decode(bytes),
            Decoded::HostError("UnknownError".to_string()),
            "{bytes:?}"
        );
    }
}
