//! Why a frame failed, in the words of its caller, of the outcome and of NEAR.

use crate::engine::Trap;
use crate::exec::Abort;
use cotenant_submodules::SyncExecutionError;
use cotenant_submodules::calls::LedgerError;
use near_vm_runner::logic::errors::{FunctionCallError, HostError, MethodResolveError, WasmTrap};

/// Why a frame failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// As NEAR's runner would say it.
    Near(FunctionCallError),
    /// The guest trapped.
    Trapped(Trap),
    /// A rule of sync calls, by the name of its host error.
    Rule(&'static str, String),
    /// Its caller closed it, or ended before it.
    Cancelled,
    /// The root call stops without an outcome: a fault of the host's, or an engine gave up. Which is with the root call.
    Fault,
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Failure::Near(FunctionCallError::HostError(error))
    }
}

impl From<MethodResolveError> for Failure {
    fn from(error: MethodResolveError) -> Self {
        Failure::Near(FunctionCallError::MethodResolveError(error))
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::BalanceExceeded => HostError::BalanceExceeded,
            LedgerError::NumberOfLogsExceeded { limit } => {
                HostError::NumberOfLogsExceeded { limit }
            }
            LedgerError::TotalLogLengthExceeded { limit } => {
                HostError::TotalLogLengthExceeded { length: limit.saturating_add(1), limit }
            }
            LedgerError::NumberPromisesExceeded { limit } => HostError::NumberPromisesExceeded {
                number_of_promises: limit.saturating_add(1),
                limit,
            },
        }
        .into()
    }
}

impl From<Trap> for Failure {
    fn from(trap: Trap) -> Self {
        Failure::Trapped(trap)
    }
}

/// NEAR's name for a trap in an outcome (near-vm-runner's `trap_classification.rs`), which is one for all that is out of
/// bounds.
fn near_trap(trap: Trap) -> WasmTrap {
    match trap {
        Trap::Unreachable => WasmTrap::Unreachable,
        Trap::MemoryOutOfBounds | Trap::TableOutOfBounds | Trap::IndirectCallOutOfBounds => {
            WasmTrap::MemoryOutOfBounds
        }
        Trap::IndirectCallToNull => WasmTrap::IndirectCallToNull,
        Trap::BadSignature => WasmTrap::IncorrectCallIndirectSignature,
        Trap::DivisionByZero | Trap::IntegerOverflow | Trap::BadConversion => {
            WasmTrap::IllegalArithmetic
        }
    }
}

/// The number of a trap in `SyncExecutionError`: the order of near-vm-runner's `WasmTrap`, with a number of its own for indirect
/// calls out of bounds, as its order has one.
fn trap_number(trap: Trap) -> u8 {
    match trap {
        Trap::Unreachable => 0,
        Trap::BadSignature => 1,
        Trap::MemoryOutOfBounds | Trap::TableOutOfBounds => 2,
        Trap::IndirectCallOutOfBounds => 3,
        Trap::DivisionByZero | Trap::IntegerOverflow | Trap::BadConversion => 4,
        Trap::IndirectCallToNull => 6,
    }
}

/// The name of an enum's variant, as `Debug` prints it.
fn variant(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

impl Failure {
    /// What the caller of a sync call finds in its register.
    pub fn to_sync_error(&self) -> SyncExecutionError {
        match self {
            Failure::Near(FunctionCallError::HostError(error)) => match error {
                HostError::GasExceeded | HostError::GasLimitExceeded => {
                    SyncExecutionError::OutOfGas
                }
                HostError::GuestPanic { panic_msg } => {
                    SyncExecutionError::GuestPanic(panic_msg.clone())
                }
                other => SyncExecutionError::HostError(variant(other)),
            },
            Failure::Trapped(trap) => SyncExecutionError::WasmTrap(trap_number(*trap)),
            Failure::Near(FunctionCallError::MethodResolveError(_)) => {
                SyncExecutionError::MethodNotFound
            }
            Failure::Near(other) => SyncExecutionError::HostError(variant(other)),
            Failure::Rule(name, _) => SyncExecutionError::host(name),
            Failure::Cancelled => SyncExecutionError::host("Cancelled"),
            Failure::Fault => SyncExecutionError::host("HostFault"),
        }
    }

    /// What the outcome says.
    pub fn to_abort(&self, module: &str) -> Abort {
        let (code, message) = match self {
            Failure::Near(FunctionCallError::HostError(error)) => {
                (format!("HostError.{}", variant(error)), error.to_string())
            }
            Failure::Trapped(trap) => {
                let trap = near_trap(*trap);
                (format!("WasmTrap.{}", variant(&trap)), trap.to_string())
            }
            Failure::Near(FunctionCallError::MethodResolveError(error)) => {
                (format!("MethodResolveError.{}", variant(error)), error.to_string())
            }
            Failure::Near(other) => (variant(other), other.to_string()),
            Failure::Rule(name, message) => (format!("HostError.{name}"), message.clone()),
            Failure::Cancelled => ("Cancelled".into(), "closed by its caller".into()),
            Failure::Fault => ("HostFault".into(), "the host failed".into()),
        };
        Abort { code, message, module: module.to_owned() }
    }
}
