//! What happened, as JSON.

use cotenant_guest::{Step, SyncExecutionError};
use near_sdk::json_types::{Base64VecU8, U64};
use near_sdk::{AccountId, near};

/// Where one step of a callee ended. In JSON `{"yielded": base64}`, `{"returned": base64}` or `{"error": ...}`.
#[near(serializers = [json])]
#[derive(Clone)]
#[serde(rename_all = "snake_case")]
pub enum StepReport {
    /// It asked this.
    Yielded(Base64VecU8),
    /// It ended with this.
    Returned(Base64VecU8),
    /// It failed.
    Error(ErrorReport),
}

impl StepReport {
    /// The report of a step.
    pub fn of(step: Result<Step, SyncExecutionError>) -> Self {
        match step {
            Ok(Step::Yielded(bytes)) => Self::Yielded(Base64VecU8(bytes)),
            Ok(Step::Returned(bytes)) => Self::Returned(Base64VecU8(bytes)),
            Err(error) => Self::Error(ErrorReport::of(&error)),
        }
    }
}

/// A sync call's error: its name, and what it carries in the one field that fits.
#[near(serializers = [json])]
#[derive(Clone)]
pub struct ErrorReport {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<U64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trap: Option<u8>,
}

impl ErrorReport {
    fn of(error: &SyncExecutionError) -> Self {
        let mut report =
            Self { kind: error.name().to_string(), message: None, limit: None, trap: None };
        match error {
            SyncExecutionError::GuestPanic(text)
            | SyncExecutionError::HostError(text)
            | SyncExecutionError::CapabilityNotGranted { capability: text } => {
                report.message = Some(text.clone())
            }
            SyncExecutionError::CallDepthExceeded { limit }
            | SyncExecutionError::TooManyLiveCalls { limit } => {
                report.limit = Some(U64(u64::from(*limit)));
            }
            SyncExecutionError::MemoryBudgetExceeded { limit } => report.limit = Some(U64(*limit)),
            SyncExecutionError::WasmTrap(kind) => report.trap = Some(*kind),
            SyncExecutionError::NamespaceNotFound
            | SyncExecutionError::MethodNotFound
            | SyncExecutionError::OutOfGas
            | SyncExecutionError::AlreadyStarted
            | SyncExecutionError::NotStarted
            | SyncExecutionError::UnknownHandle => {}
        }
        report
    }
}

/// The steps of a call in order, the last one its end unless it was closed.
#[near(serializers = [json])]
#[derive(Default)]
pub struct Outcome {
    /// The handle, if one was given.
    pub handle: Option<U64>,
    /// What every resume came back with; a refused `open` is the only step then.
    pub steps: Vec<StepReport>,
    /// What every `close` answered: `closed` or `unknown_handle`.
    pub closed: Vec<String>,
}

/// Who runs where, and who called.
#[near(serializers = [json])]
pub struct Identity {
    /// The account of this module.
    pub account: AccountId,
    /// Its namespace.
    pub namespace: String,
    /// The account that called.
    pub predecessor: AccountId,
    /// Its namespace.
    pub predecessor_namespace: String,
}
