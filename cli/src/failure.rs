//! Why a command did not do its work, and the exit code that says so.

use cotenant_host::runtime::{self, RuntimeError};
use cotenant_host::state::OpenError;
use cotenant_host::{HostError, HostFault};
use cotenant_submodules::validate::{Rejection, Violation};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::fmt;
use std::process::ExitCode;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it should.
    Fine = 0,
    /// The contract failed, or its code was rejected.
    Contract = 1,
    /// Arguments, files or homes are not what they should be, or the transaction is refused.
    Usage = 2,
    /// Out of gas, or over a limit.
    Limit = 3,
    /// A fault of Cotenant itself, of the disk or of the machine.
    Internal = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// The exit code of a call that ended with an abort of this code.
    pub(crate) fn of_abort(code: &str) -> Self {
        let limit = code.ends_with("Exceeded") && code != "HostError.BalanceExceeded";
        match code {
            "HostFault" => Exit::Internal,
            "HostError.TooManyLiveCalls" | "WasmTrap.StackOverflow" => Exit::Limit,
            _ if limit => Exit::Limit,
            _ => Exit::Contract,
        }
    }
}

/// A broken rule, as it is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BrokenRule {
    pub(crate) rule: String,
    pub(crate) found: String,
    pub(crate) limit: String,
    #[serde(rename = "where")]
    pub(crate) place: String,
    pub(crate) hint: String,
}

impl From<&Violation> for BrokenRule {
    fn from(violation: &Violation) -> Self {
        Self {
            rule: violation.rule.to_owned(),
            found: violation.found.clone(),
            limit: violation.limit.clone(),
            place: violation.place.to_string(),
            hint: violation.hint.clone(),
        }
    }
}

/// The broken rules of a rejection.
pub(crate) fn broken_rules(rejection: &Rejection) -> Vec<BrokenRule> {
    rejection.violations.iter().map(BrokenRule::from).collect()
}

/// The reason why a command did not do its work. The code is stable, the message is for people.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) violations: Vec<BrokenRule>,
    /// Further facts by name: `where`, `gas`, `hint`.
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) exit: Exit,
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Failure", 5)?;
        object.serialize_field("code", &self.code)?;
        object.serialize_field("message", &self.message)?;
        object.serialize_field("where", &self.fact("where"))?;
        object.serialize_field("hint", &self.fact("hint"))?;
        object.serialize_field("violations", &self.violations)?;
        object.end()
    }
}

impl Failure {
    /// A failure that its message explains.
    pub(crate) fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self { code, message, violations: Vec::new(), facts: Vec::new(), exit }
    }

    /// Bad arguments, files or homes.
    pub(crate) fn usage(code: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, code, message)
    }

    /// Adds a fact.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, fact: impl Into<String>) -> Self {
        self.facts.push((name, fact.into()));
        self
    }

    /// A fact by its name.
    fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|(known, _)| *known == name).map(|(_, fact)| fact.as_str())
    }

    /// Adds the rules that were broken.
    #[must_use]
    pub(crate) fn with_rules(mut self, violations: Vec<BrokenRule>) -> Self {
        self.violations = violations;
        self
    }

    /// Turns the error of a verb into a failure.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return failure.clone();
        }
        let message = format!("{error:#}");
        match error.downcast_ref::<HostError>() {
            Some(HostError::Protocol(_)) => Self::usage("UnknownProtocol", message),
            Some(HostError::Open(error)) => Self::of_open(error),
            Some(HostError::Runtime(RuntimeError::Invalid(invalid))) => {
                Self::usage(&variant(invalid), message)
            }
            Some(HostError::Runtime(RuntimeError::Fault(fault)) | HostError::Fault(fault)) => {
                Self::of_fault(fault)
            }
            Some(HostError::Deploy(failed)) => Self::of_receipt(&failed.failure),
            None => match error.downcast_ref::<HostFault>() {
                Some(fault) => Self::of_fault(fault),
                None => Self::new(Exit::Internal, "Internal", message),
            },
        }
    }

    /// A receipt that failed.
    pub(crate) fn of_receipt(failure: &runtime::Failure) -> Self {
        Self::new(Exit::of_abort(&failure.code), &failure.code, &failure.message)
    }

    fn of_open(error: &OpenError) -> Self {
        let exit = match error {
            OpenError::Fault(fault) => return Self::of_fault(fault),
            OpenError::Damaged(_) => Exit::Internal,
            _ => Exit::Usage,
        };
        Self::new(exit, &variant(error), error.to_string())
    }

    fn of_fault(fault: &HostFault) -> Self {
        let code = match fault {
            HostFault::Disk(fault) if fault.is_damage() => "Damaged",
            HostFault::Disk(_) => "Disk",
            HostFault::Machine(_) => "Machine",
            _ => "HostFault",
        };
        Self::new(Exit::Internal, code, fault.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The name of an enum's variant, as `Debug` prints it: the stable code of an error.
pub(crate) fn variant(value: &impl fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gas_and_limits_have_an_exit_code_of_their_own() {
        for (code, exit) in [
            ("HostError.GasExceeded", Exit::Limit),
            ("HostError.GasLimitExceeded", Exit::Limit),
            ("HostError.TotalLogLengthExceeded", Exit::Limit),
            ("WasmTrap.StackOverflow", Exit::Limit),
            ("HostError.BalanceExceeded", Exit::Contract),
            ("HostError.GuestPanic", Exit::Contract),
            ("WasmTrap.Unreachable", Exit::Contract),
            ("MethodResolveError.MethodNotFound", Exit::Contract),
            ("LackBalanceForState", Exit::Contract),
            ("HostFault", Exit::Internal),
        ] {
            assert_eq!(Exit::of_abort(code), exit, "{code}");
        }
    }
}
