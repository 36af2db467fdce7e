//! The host's own faults. A guest's failure is never one: it is part of the outcome.

/// Something is wrong with the host itself: disk, engine, or a bug. State is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum HostFault {
    /// The store failed.
    #[error("store: {0}")]
    Store(String),
    /// An engine failed where no guest can make it fail.
    #[error("engine: {0}")]
    Engine(String),
    /// A compiled artifact is missing or fails authentication.
    #[error("artifact: {0}")]
    Artifact(String),
    /// A broken invariant.
    #[error("bug: {0}")]
    Bug(String),
}
