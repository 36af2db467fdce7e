//! Work that could take the host down, and what is kept of it outside of the state.

use crate::HostFault;
use crate::runtime::FaultReport;
use near_primitives_core::hash::CryptoHash;

/// Work that runs code of a guest, or takes it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Work {
    /// A receipt, by its id.
    Receipt(CryptoHash),
    /// A view, by the sha256 of the code and of what it is asked.
    View(CryptoHash),
    /// Code that is made ready to be deployed, by its sha256.
    Deploy(CryptoHash),
}

/// How work is to be run, by what became of it before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Care {
    /// As always.
    Ordinary,
    /// On the interpreter: the process died the last time.
    Interpreted,
    /// Not at all: it was shown to kill the process that runs it, and how.
    Condemned(String),
}

/// Keeps marks of the work that is being done, so that a process that dies of it leaves word, and reports of
/// faults.
pub trait Watch: Send + Sync + std::fmt::Debug {
    /// Notes that work begins, and says how to run it.
    ///
    /// # Errors
    /// The mark cannot be written.
    fn begin(&self, work: Work) -> Result<Care, HostFault>;

    /// Notes that work ended, however it did.
    fn end(&self, work: Work);

    /// Keeps what reproduces a fault.
    fn keep(&self, report: &FaultReport);
}

/// No marks and no reports: for hosts in memory, whose state dies with the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWatch;

impl Watch for NoWatch {
    fn begin(&self, _: Work) -> Result<Care, HostFault> {
        Ok(Care::Ordinary)
    }

    fn end(&self, _: Work) {}

    fn keep(&self, _: &FaultReport) {}
}

/// Work that is marked until this is dropped.
pub struct Marked<'a> {
    watch: &'a dyn Watch,
    work: Work,
    /// How to run it.
    pub care: Care,
}

impl<'a> Marked<'a> {
    /// Marks work.
    ///
    /// # Errors
    /// The mark cannot be written.
    pub fn begin(watch: &'a dyn Watch, work: Work) -> Result<Self, HostFault> {
        Ok(Self { watch, work, care: watch.begin(work)? })
    }
}

impl Drop for Marked<'_> {
    fn drop(&mut self) {
        self.watch.end(self.work);
    }
}
