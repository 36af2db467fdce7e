//! Ethereum's state tests, every frame compiled.
//!
//! Takes files, folders and `.tar.xz` archives of state tests; gives a [`Report`]. A case passes if the root of
//! its post-state and the hash of its logs are the expected ones, a rejected transaction leaves the pre-state,
//! and no module failed. The format: <https://eest.ethereum.org/main/consuming_tests/state_test>.

mod case;
mod files;
mod roots;

pub use case::{block_and_config, spec_of};
pub use files::{ReadError, TestFile, read};
pub use roots::{logs_hash, state_root};

use crate::counts::Counts;
use crate::modules::{ModuleOptions, Modules};
use cotenant_gas::UnknownProtocol;
use revm::primitives::hardfork::SpecId;
use serde::Serialize;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Native stack of a thread that runs tests: parsing and tries need little, guests have stacks of their own.
const THREAD_STACK_BYTES: usize = 16 << 20;

/// Files that are left out, and why. Both are left out by revm's own runner too.
const SKIPPED_FILES: [(&str, &str); 2] = [
    ("InitCollisionParis.json", "revm's journal cannot have storage in an account to be created"),
    (
        "ValueOverflowParis.json",
        "its value is no number of 256 bits, and revm's types cannot read it",
    ),
];

/// Files that take long for their size: one alone hashes for most of a minute in a precompile.
const SLOW: [&str; 2] = ["stTimeConsuming", "vmPerformance"];

/// What to run and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only cases of this fork; all that the compiler knows if `None`.
    pub fork: Option<SpecId>,
    /// Only tests whose file or name has this text.
    pub filter: Option<String>,
    /// Compile nothing: the baseline.
    pub interpret: bool,
    /// How modules are made.
    pub modules: ModuleOptions,
    /// Threads that run tests.
    pub threads: usize,
}

/// A case that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The file.
    pub file: String,
    /// Name of the test in it.
    pub test: String,
    /// Which case of the test: its position below `post` for its fork.
    pub index: usize,
    /// What was found and what was expected: at most 4 KiB, and if more was to say, how much.
    pub reason: String,
}

/// Cases that were left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skip {
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub cases: u64,
}

/// What came of it. The order is that of the files, whatever thread ran them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Cases that passed.
    pub passed: u64,
    /// Cases that failed.
    pub failed: u64,
    /// Cases that were left out.
    pub skipped: u64,
    /// Frames that ran as modules.
    pub compiled_frames: u64,
    /// Frames that were interpreted.
    pub interpreted_frames: u64,
    /// Cases that failed, one by one.
    pub failures: Vec<Failure>,
    /// Cases that were left out, by file and reason.
    pub skips: Vec<Skip>,
    /// Requests that modules yielded.
    #[serde(skip)]
    pub yields: u64,
    /// Contracts for which no module could be had, and why.
    #[serde(skip)]
    pub refused: Vec<String>,
}

impl Report {
    fn add(&mut self, other: Report) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.compiled_frames += other.compiled_frames;
        self.interpreted_frames += other.interpreted_frames;
        self.failures.extend(other.failures);
        self.skips.extend(other.skips);
        self.yields += other.yields;
        self.refused.extend(other.refused);
    }

    fn count(&mut self, counts: &Counts) {
        self.compiled_frames += counts.compiled_frames;
        self.interpreted_frames += counts.interpreted_frames;
        self.yields += counts.yields;
    }

    fn skip(&mut self, file: &TestFile, reason: String, cases: u64) {
        self.skipped += cases;
        match self.skips.iter_mut().find(|skip| skip.file == file.name && skip.reason == reason) {
            Some(skip) => skip.cases += cases,
            None => self.skips.push(Skip { file: file.name.clone(), reason, cases }),
        }
    }
}

/// Why tests could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No prices for the host.
    #[error(transparent)]
    Protocol(#[from] UnknownProtocol),
    /// A thread could not be started.
    #[error("no thread for tests: {0}")]
    Thread(std::io::Error),
}

/// Runs the tests of these paths. `progress` is told how many files are done, of how many.
///
/// # Errors
/// What cannot be read at all; a file that is no state test is a failure in the report.
pub fn run(
    paths: &[PathBuf],
    options: &Options,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Report, RunError> {
    let files = read(paths)?;
    run_files(&files, options, progress)
}

/// Runs the tests of files that have been read.
///
/// # Errors
/// There are no prices for the host, or no threads.
pub fn run_files(
    files: &[TestFile],
    options: &Options,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Report, RunError> {
    // What takes long first, so that no thread is left with it at the end.
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|index| {
        let file = &files[*index];
        let quick = !SLOW.iter().any(|text| file.name.contains(text));
        (quick, std::cmp::Reverse(file.bytes.len()))
    });
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let reports: Mutex<Vec<Option<Report>>> = Mutex::new(vec![None; files.len()]);
    let refused: Mutex<Vec<String>> = Mutex::default();
    let work = || -> Result<(), UnknownProtocol> {
        let modules = (!options.interpret).then(|| Modules::new(options.modules)).transpose()?;
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let report = run_file(&files[*index], options, modules.as_ref());
            reports.lock().unwrap_or_else(PoisonError::into_inner)[*index] = Some(report);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, files.len());
        }
        if let Some(modules) = modules {
            refused.lock().unwrap_or_else(PoisonError::into_inner).extend(modules.errors());
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<(), RunError> {
        let mut threads = Vec::new();
        for _ in 0..options.threads.max(1) {
            let builder = std::thread::Builder::new().stack_size(THREAD_STACK_BYTES);
            threads.push(builder.spawn_scoped(scope, work).map_err(RunError::Thread)?);
        }
        for thread in threads {
            match thread.join() {
                Ok(ended) => ended?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    })?;
    let mut total = Report::default();
    let reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.into_iter().flatten().for_each(|report| total.add(report));
    total.refused = refused.into_inner().unwrap_or_else(PoisonError::into_inner);
    total.refused.sort();
    total.refused.dedup();
    Ok(total)
}

fn run_file(file: &TestFile, options: &Options, modules: Option<&Rc<Modules>>) -> Report {
    let name = file.name.rsplit('/').next().unwrap_or_default();
    if let Some((_, reason)) = SKIPPED_FILES.iter().find(|(skipped, _)| *skipped == name) {
        return case::skip_all(file, reason, options);
    }
    case::run(file, options, modules)
}
