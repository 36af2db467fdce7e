//! Marks: which work a process is at, so that the next one knows what killed it. And the reports of faults.
//!
//! `marks` in the home has 128 records of 64 bytes: the work that is being done, and work that was being done when a
//! process died. They are written, not synced: a guest can kill the process, not the kernel. A mark says only that the
//! process died *during* the work; somebody may have killed it. So work that was marked runs on the interpreter, which
//! changes nothing of its outcome. A receipt that two processes died with is rehearsed in a child process
//! ([`crate::child`]), and only if that child dies by a signal of its own is the receipt condemned to end by a fault.
//! Views are never condemned: they run on the interpreter once after the first death, for good after the second.
//!
//! ```text
//! offset  bytes
//! 0       1      0 nothing, 1 receipt, 2 view, 3 deploy
//! 1       1      processes that died with it
//! 2       1      bit 0: runs as always next time
//! 3       5      zero
//! 8       32     id: of the receipt, sha256 of the view, sha256 of the code
//! 40      16     the signal that condemned it, zero-padded
//! 56      8      the first 8 bytes of the sha256 of bytes 0..56
//! ```

use crate::HostFault;
use crate::child::{self, Ended};
use crate::fault::DiskFault;
use crate::runtime::{Care, FaultReport, Watch, Work};
use near_primitives_core::hash::CryptoHash;
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Name of the file in a home folder.
pub const MARKS_FILE: &str = "marks";

/// Name of the folder of reports in a home folder.
pub const FAULTS_FOLDER: &str = "faults";

/// Reports that a home keeps; the oldest go first.
pub const FAULTS_MAX: usize = 64;

const RECORD: usize = 64;
const SLOTS: usize = 64;

/// How long a rehearsal may take, whatever it waits for; its processor time is limited by its gas.
const REHEARSAL: Duration = Duration::from_secs(1_800);

/// Work that a process died with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Past {
    work: Work,
    deaths: u8,
    /// It ran well since.
    trusted: bool,
    /// The signal by which its rehearsal died.
    signal: Option<String>,
}

#[derive(Debug)]
struct Inner {
    running: [Option<Work>; SLOTS],
    past: Vec<Past>,
}

/// The marks of a home. One process has them: the one that has the state open.
#[derive(Debug)]
pub struct Marks {
    home: PathBuf,
    file: File,
    inner: Mutex<Inner>,
}

fn record(past: &Past) -> [u8; RECORD] {
    let (kind, id) = match past.work {
        Work::Receipt(id) => (1, id),
        Work::View(id) => (2, id),
        Work::Deploy(id) => (3, id),
    };
    let mut bytes = [0; RECORD];
    bytes[..3].copy_from_slice(&[kind, past.deaths, u8::from(past.trusted)]);
    bytes[8..40].copy_from_slice(id.as_bytes());
    let signal = past.signal.as_deref().unwrap_or_default().as_bytes();
    let length = signal.len().min(16);
    bytes[40..40 + length].copy_from_slice(&signal[..length]);
    let sum = Sha256::digest(&bytes[..56]);
    bytes[56..].copy_from_slice(&sum[..8]);
    bytes
}

/// What a record says; `None` if nothing, or if it is not whole: then it is as if it were not there.
fn parse(bytes: &[u8]) -> Option<Past> {
    if Sha256::digest(bytes.get(..56)?)[..8] != *bytes.get(56..64)? {
        return None;
    }
    let id = CryptoHash::try_from(&bytes[8..40]).ok()?;
    let work = match bytes[0] {
        1 => Work::Receipt(id),
        2 => Work::View(id),
        3 => Work::Deploy(id),
        _ => return None,
    };
    let signal = bytes[40..56].split(|byte| *byte == 0).next().unwrap_or_default();
    let signal = std::str::from_utf8(signal).ok().filter(|signal| !signal.is_empty());
    let signal = signal.map(str::to_owned);
    Some(Past { work, deaths: bytes[1], trusted: bytes[2] & 1 == 1, signal })
}

impl Marks {
    /// Opens the marks of a home whose state this process has open, and learns what the process before died with.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open(home: &Path) -> Result<Self, DiskFault> {
        let path = home.join(MARKS_FILE);
        let io = |source| DiskFault::io(&path, "read the marks", source);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(io)?;
        let mut bytes = vec![0; 2 * SLOTS * RECORD];
        if file.metadata().map_err(io)?.len() < bytes.len() as u64 {
            // Written whole, so that a full disk is met here and not at a mark.
            file.write_all_at(&bytes, 0).map_err(io)?;
        }
        file.read_exact_at(&mut bytes, 0).map_err(io)?;
        let mut records = bytes.chunks_exact(RECORD);
        let running: Vec<Past> = records.by_ref().take(SLOTS).filter_map(parse).collect();
        let mut past: Vec<Past> = records.filter_map(parse).collect();
        for died in running {
            match past.iter_mut().find(|known| known.work == died.work) {
                Some(known) => {
                    known.deaths = known.deaths.saturating_add(1);
                    known.trusted = false;
                }
                None => {
                    if past.len() == SLOTS {
                        // A receipt stays until it has ended.
                        let oldest =
                            past.iter().position(|one| !matches!(one.work, Work::Receipt(_)));
                        past.remove(oldest.unwrap_or_default());
                    }
                    past.push(Past { deaths: 1, trusted: false, ..died });
                }
            }
        }
        let inner = Inner { running: [None; SLOTS], past };
        let marks = Self { home: home.to_owned(), file, inner: Mutex::new(inner) };
        // What is past is written before it is no more running.
        marks.write_past(&marks.lock()).map_err(io)?;
        marks.file.write_all_at(&[0; SLOTS * RECORD], 0).map_err(io)?;
        Ok(marks)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_past(&self, inner: &Inner) -> io::Result<()> {
        let mut bytes: Vec<u8> = inner.past.iter().flat_map(record).collect();
        bytes.resize(SLOTS * RECORD, 0);
        self.file.write_all_at(&bytes, (SLOTS * RECORD) as u64)
    }

    /// The receipt that should be rehearsed: two processes died with it.
    pub fn suspect(&self) -> Option<CryptoHash> {
        let inner = self.lock();
        inner.past.iter().find_map(|past| match past {
            Past { work: Work::Receipt(id), deaths: 2.., signal: None, .. } => Some(*id),
            _ => None,
        })
    }

    /// Condemns a receipt: its rehearsal died by this signal of its own.
    ///
    /// # Errors
    /// The disk fails.
    pub fn condemn(&self, id: CryptoHash, signal: &str) -> Result<(), DiskFault> {
        let mut inner = self.lock();
        for past in &mut inner.past {
            if past.work == Work::Receipt(id) {
                past.signal = Some(signal.to_owned());
            }
        }
        let path = || self.home.join(MARKS_FILE);
        self.write_past(&inner).map_err(|error| DiskFault::io(&path(), "write a mark", error))
    }

    /// Whether a receipt is condemned.
    pub fn is_condemned(&self, id: CryptoHash) -> bool {
        let inner = self.lock();
        inner.past.iter().any(|past| past.work == Work::Receipt(id) && past.signal.is_some())
    }

    /// Rehearses a receipt in a child process, which has to be able to open the home. `None` if it cannot be started
    /// or takes too long: then nothing is known.
    pub fn rehearse(home: &Path, program: &Path, id: CryptoHash) -> Option<Ended> {
        let arguments = [
            OsString::from("--home"),
            home.as_os_str().to_owned(),
            "rehearse".into(),
            id.to_string().into(),
        ];
        let mut child = child::command(program).args(arguments).spawn().ok()?;
        match child::wait(&mut child, REHEARSAL) {
            Ok(Some(ended)) => Some(ended),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                None
            }
        }
    }

    fn keep_report(&self, report: &FaultReport) -> io::Result<()> {
        let folder = self.home.join(FAULTS_FOLDER);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let mut kept = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            kept.push((entry.metadata()?.modified()?, entry.path()));
        }
        kept.sort();
        for (_, path) in kept.iter().take((kept.len() + 1).saturating_sub(FAULTS_MAX)) {
            fs::remove_file(path)?;
        }
        let path = folder.join(report.receipt.id.to_string());
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        file?.write_all(&report.to_bytes())
    }
}

impl Watch for Marks {
    fn begin(&self, work: Work) -> Result<Care, HostFault> {
        let mut inner = self.lock();
        let past = inner.past.iter().find(|past| past.work == work);
        let care = match past {
            None => Care::Ordinary,
            Some(Past { signal: Some(signal), .. }) => Care::Condemned(signal.clone()),
            Some(past) if past.trusted => Care::Ordinary,
            Some(_) => Care::Interpreted,
        };
        // More work at once than there are slots goes unmarked.
        if let Some(slot) = inner.running.iter().position(Option::is_none) {
            inner.running[slot] = Some(work);
            let bytes = record(&Past { work, deaths: 0, trusted: false, signal: None });
            self.file.write_all_at(&bytes, (slot * RECORD) as u64).map_err(|error| {
                DiskFault::io(&self.home.join(MARKS_FILE), "write a mark", error)
            })?;
        }
        Ok(care)
    }

    fn end(&self, work: Work) {
        let mut inner = self.lock();
        if let Some(slot) = inner.running.iter().position(|running| *running == Some(work)) {
            inner.running[slot] = None;
            // A mark that stays says at worst that its work has to be run with care.
            let _ = self.file.write_all_at(&[0; RECORD], (slot * RECORD) as u64);
        }
        let Some(index) = inner.past.iter().position(|past| past.work == work) else { return };
        match inner.past[index] {
            Past { work: Work::Receipt(_), .. } => drop(inner.past.remove(index)),
            Past { deaths: 0..=1, .. } => inner.past[index].trusted = true,
            _ => return,
        }
        let _ = self.write_past(&inner);
    }

    fn keep(&self, report: &FaultReport) {
        if let Err(error) = self.keep_report(report)
            && error.kind() != ErrorKind::StorageFull
        {
            eprintln!("cotenant: the report of a fault could not be written: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(number: u8) -> Work {
        Work::Receipt(CryptoHash([number; 32]))
    }

    #[test]
    fn work_that_a_process_died_with_is_run_with_care_until_it_ends() {
        let home = tempfile::tempdir().unwrap();
        let marks = Marks::open(home.path()).unwrap();
        assert_eq!(marks.begin(work(1)).unwrap(), Care::Ordinary);
        marks.end(work(1));
        assert_eq!(marks.begin(work(2)).unwrap(), Care::Ordinary);
        drop(marks);
        let marks = Marks::open(home.path()).unwrap();
        assert_eq!(marks.begin(work(1)).unwrap(), Care::Ordinary);
        assert_eq!(marks.suspect(), None);
        assert_eq!(marks.begin(work(2)).unwrap(), Care::Interpreted);
        drop(marks);
        let marks = Marks::open(home.path()).unwrap();
        assert_eq!(marks.suspect(), Some(CryptoHash([2; 32])));
        marks.condemn(CryptoHash([2; 32]), "SIGSEGV").unwrap();
        drop(marks);
        let marks = Marks::open(home.path()).unwrap();
        assert_eq!(marks.suspect(), None);
        assert_eq!(marks.begin(work(2)).unwrap(), Care::Condemned("SIGSEGV".into()));
        marks.end(work(2));
        assert_eq!(marks.begin(work(2)).unwrap(), Care::Ordinary);
    }

    #[test]
    fn views_are_interpreted_and_never_condemned() {
        let home = tempfile::tempdir().unwrap();
        let view = Work::View(CryptoHash([7; 32]));
        let died = |home: &Path| drop(Marks::open(home).unwrap().begin(view).unwrap());
        died(home.path());
        let marks = Marks::open(home.path()).unwrap();
        assert_eq!(marks.begin(view).unwrap(), Care::Interpreted);
        marks.end(view);
        assert_eq!(marks.begin(view).unwrap(), Care::Ordinary, "once");
        drop(marks);
        for _ in 0..2 {
            let marks = Marks::open(home.path()).unwrap();
            assert_eq!(marks.begin(view).unwrap(), Care::Interpreted, "for good");
            marks.end(view);
            assert_eq!(marks.suspect(), None);
        }
    }

    #[test]
    fn marks_that_are_not_whole_are_none() {
        let home = tempfile::tempdir().unwrap();
        drop(Marks::open(home.path()).unwrap().begin(work(1)).unwrap());
        let path = home.path().join(MARKS_FILE);
        let whole = fs::read(&path).unwrap();
        for position in 0..RECORD {
            let mut bytes = whole.clone();
            bytes[position] ^= 4;
            fs::write(&path, &bytes).unwrap();
            let marks = Marks::open(home.path()).unwrap();
            assert_eq!(marks.begin(work(1)).unwrap(), Care::Ordinary, "{position}");
        }
        fs::write(&path, &whole[..10]).unwrap();
        assert!(Marks::open(home.path()).is_ok());
    }
}
