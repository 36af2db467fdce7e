//! The host's own faults. A guest's failure is never one: it is part of the outcome.
//!
//! There are two kinds, and they are two types. What is wrong with the disk or the machine is a [`Halt`]: it
//! stops the host and changes nothing. What went wrong in the host while it ran a receipt is a
//! [`ReceiptFault`]: it ends that receipt and nothing else. [`HostFault`] is either, until
//! [`HostFault::split`] says which.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Something is wrong with the host itself: disk, machine, engine, or a bug. State is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum HostFault {
    /// The disk failed, or what is on it is damaged. Stops the host.
    #[error(transparent)]
    Disk(#[from] DiskFault),
    /// The machine refused what no engine can do without (memory, a stack, a thread). Stops the host.
    #[error("machine: {0}; hint: free memory or raise the limits of this process, then go on")]
    Machine(String),
    /// An engine failed where no guest can make it fail. Ends the receipt.
    #[error("engine: {0}")]
    Engine(String),
    /// A compiled artifact is missing or fails authentication. Ends the receipt.
    #[error("artifact: {0}")]
    Artifact(String),
    /// A broken invariant, or a panic. Ends the receipt.
    #[error("bug: {0}")]
    Bug(String),
}

impl HostFault {
    /// Returns the fault as one that ends a receipt.
    ///
    /// # Errors
    /// It is none: it stops the host.
    pub fn split(self) -> Result<ReceiptFault, Halt> {
        match self {
            HostFault::Disk(fault) => Err(Halt::Disk(fault)),
            HostFault::Machine(reason) => Err(Halt::Machine(reason)),
            fault @ (HostFault::Engine(_) | HostFault::Artifact(_) | HostFault::Bug(_)) => {
                Ok(ReceiptFault { text: fault.to_string(), death: false })
            }
        }
    }

    /// Returns the fault that a panic is, by its payload.
    pub fn of_panic(payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        HostFault::Bug(format!("panic: {}", text.as_deref().unwrap_or("without a message")))
    }
}

/// A fault that ends a receipt and nothing else. Made by [`HostFault::split`], and of the death of the process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ReceiptFault {
    text: String,
    death: bool,
}

impl ReceiptFault {
    /// Returns the fault of a receipt whose process died by `cause` each time it ran.
    pub(crate) fn of_death(cause: &str) -> Self {
        Self { text: format!("the process died of it: {cause}"), death: true }
    }

    /// Whether the receipt killed the processes that ran it.
    pub(crate) fn is_death(&self) -> bool {
        self.death
    }
}

/// A fault that stops the host: nothing has changed, and nothing may be concluded from it.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// The disk failed, or what is on it is damaged.
    #[error(transparent)]
    Disk(#[from] DiskFault),
    /// The machine refused what no engine can do without.
    #[error("machine: {0}; hint: free memory or raise the limits of this process, then go on")]
    Machine(String),
}

impl From<Halt> for HostFault {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Disk(fault) => HostFault::Disk(fault),
            Halt::Machine(reason) => HostFault::Machine(reason),
        }
    }
}

/// A fault of the disk: which file, what is wrong, what helps.
#[derive(Debug)]
pub enum DiskFault {
    /// The file system refused.
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// What is there is not what was written.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which rule it breaks.
        rule: String,
        /// Where in it.
        place: String,
    },
}

impl DiskFault {
    /// Returns the fault of a file that the file system refused to read or write.
    pub fn io(path: &Path, what: &str, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), what: what.to_owned(), source }
    }

    /// Returns the fault of a file that is not as it was written.
    pub fn damaged(path: &Path, rule: impl Into<String>, place: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), rule: rule.into(), place: place.into() }
    }

    /// Returns the fault with the path of the file, where the one who found it did not know it.
    #[must_use]
    pub(crate) fn in_file(mut self, file: &Path) -> Self {
        match &mut self {
            Self::Io { path, .. } | Self::Damaged { path, .. } if path.as_os_str().is_empty() => {
                *path = file.to_owned();
            }
            _ => {}
        }
        self
    }

    /// Whether the file is not as it was written.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

impl fmt::Display for DiskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, what, source } => {
                let hint = match source.kind() {
                    io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::FileTooLarge => "make room, then go on: nothing was lost",
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                        "the home has to be readable and writable by this user"
                    }
                    _ => "nothing was changed; check the disk, then go on",
                };
                write!(f, "disk: {}: {what}: {source}; hint: {hint}", path.display())
            }
            Self::Damaged { path, rule, place } => write!(
                f,
                "damaged: {}: {rule}, at {place}; hint: restore the file from a copy, `cotenant state scrub` checks all of it",
                path.display()
            ),
        }
    }
}

impl std::error::Error for DiskFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Damaged { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_disk_or_the_machine_ends_no_receipt() {
        let io = io::Error::from(io::ErrorKind::StorageFull);
        let disk = DiskFault::io(Path::new("state.redb"), "commit", io);
        assert!(matches!(HostFault::from(disk).split(), Err(Halt::Disk(_))));
        assert!(matches!(HostFault::Machine("x".into()).split(), Err(Halt::Machine(_))));
        for fault in [
            HostFault::Engine("x".into()),
            HostFault::Artifact("x".into()),
            HostFault::Bug("x".into()),
            HostFault::of_panic(&"x"),
        ] {
            let text = fault.to_string();
            assert_eq!(fault.split().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_fault_of_the_disk_names_file_cause_and_hint() {
        let io = io::Error::from(io::ErrorKind::StorageFull);
        let text = DiskFault::io(Path::new("home/state.redb"), "commit", io).to_string();
        assert!(text.contains("home/state.redb") && text.contains("commit"), "{text}");
        assert!(text.contains("make room"), "{text}");
        let text = DiskFault::damaged(Path::new("s"), "checksum", "record 1").to_string();
        assert!(text.contains("checksum") && text.contains("record 1"), "{text}");
    }
}
