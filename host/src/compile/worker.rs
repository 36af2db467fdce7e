//! A compile in a child process, from both sides.
//!
//! ```text
//! to the child    magic "compile1" | address space, u64 | CPU seconds, u64 | length, u64 | the metered module
//! from the child  length, u32 | fingerprint of its engine | length, u64 | the artifact; status 0
//!                 or nothing, a message as the last line of stderr, and another status
//! ```
//! All numbers are little endian. The pipe to the child stays open until it has ended: that it closes tells the child that
//! its parent is dead.

use super::{CompileFailure, CompileLimits, compile_caught};
use crate::engine::native_fingerprint;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const MAGIC: &[u8; 8] = b"compile1";

/// Bytes of stderr that are read: a reason, not a story.
const MESSAGE_BYTES_MAX: u64 = 4_096;

/// Bytes of a fingerprint at most.
const FINGERPRINT_BYTES_MAX: u32 = 65_536;

/// How often a running child is looked at, at first and after a while.
const POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(10));

/// Why a compile process did not deliver.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// What stands on stdin is no request, or stdout is gone.
    #[error("the compile process is started by a host, which sends it a module: {0}")]
    Pipe(#[from] io::Error),
    /// A limit could not be set.
    #[error("a limit of the compile process could not be set: {0}")]
    Limit(#[from] nix::errno::Errno),
    /// The compiler does not take the module.
    #[error("{0}")]
    Refused(String),
}

/// The work of a compile process: reads a metered module from stdin, writes its artifact to stdout. It limits itself before
/// it reads the module, and ends when its parent does.
///
/// # Errors
/// See [`WorkerError`]; nothing was written then.
pub fn work() -> Result<(), WorkerError> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    close_inherited();
    let mut stdin = io::stdin();
    let mut head = [0; 32];
    stdin.read_exact(&mut head)?;
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&head[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    if &head[..8] != MAGIC {
        return Err(io::Error::other("no request on stdin").into());
    }
    let (address_space, cpu_seconds, length) = (number(8), number(16), number(24));
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_AS, address_space, address_space)?;
    // At the second limit the kernel kills without a word.
    setrlimit(Resource::RLIMIT_CPU, cpu_seconds, cpu_seconds.saturating_add(5))?;
    let mut metered = Vec::new();
    stdin.lock().take(length).read_to_end(&mut metered)?;
    if metered.len() as u64 != length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    // The signal above is Linux's, and lost if the parent died before it was asked for.
    thread::Builder::new().name("watchdog".into()).spawn(|| {
        let mut byte = [0];
        while matches!(io::stdin().read(&mut byte), Ok(1)) {}
        std::process::exit(1);
    })?;
    let artifact =
        compile_caught(&metered, Some(NonZero::<usize>::MIN)).map_err(WorkerError::Refused)?;
    let fingerprint = native_fingerprint();
    let mut stdout = io::stdout().lock();
    stdout.write_all(&(fingerprint.len() as u32).to_le_bytes())?;
    stdout.write_all(fingerprint.as_bytes())?;
    stdout.write_all(&(artifact.len() as u64).to_le_bytes())?;
    stdout.write_all(&artifact)?;
    Ok(stdout.flush()?)
}

/// Closes what the parent left open but the three pipes: descriptors of an embedder that are not close-on-exec.
fn close_inherited() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect();
    for descriptor in open {
        // One of them was the folder's own, which is closed by now.
        let _ = nix::unistd::close(descriptor);
    }
}

/// A child that does not outlive its guard.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a child was left.
enum Left {
    Ended(ExitStatus),
    OutOfTime,
    TooLong,
    Cancelled,
}

/// Compiles a metered module in a child process, which this thread waits for.
pub(super) fn compile_in_child(
    program: &Path,
    arguments: &[String],
    limits: &CompileLimits,
    metered: &[u8],
    cancelled: &AtomicBool,
) -> Result<Vec<u8>, CompileFailure> {
    let machine = |error: io::Error| {
        CompileFailure::Machine(format!("no compile process {}: {error}", program.display()))
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Guarded(command.spawn().map_err(machine)?);
    let no_pipe = || machine(io::Error::other("no pipe"));
    let mut stdin = child.0.stdin.take().ok_or_else(no_pipe)?;
    let stdout = child.0.stdout.take().ok_or_else(no_pipe)?;
    let stderr = child.0.stderr.take().ok_or_else(no_pipe)?;
    let output_max = limits.artifact_bytes + u64::from(FINGERPRINT_BYTES_MAX) + 12;
    let too_long = AtomicBool::new(false);
    let (end, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        // Dropped before the threads are joined, however this ends: the child is killed and its pipes close.
        let mut child = child;
        let end = end;
        let spawn = || thread::Builder::new().name("compile-pipe".into());
        let writing = spawn().spawn_scoped(scope, move || {
            let mut head = MAGIC.to_vec();
            for number in [limits.address_space_bytes, limits.cpu_seconds, metered.len() as u64] {
                head.extend_from_slice(&number.to_le_bytes());
            }
            // A child that ends early says why by its status.
            let _ = stdin.write_all(&head).and_then(|()| stdin.write_all(metered));
            let _ = ended.recv();
        });
        writing.map_err(machine)?;
        let reading = spawn().spawn_scoped(scope, || {
            let read = read_limited(stdout, output_max);
            too_long.store(read.len() as u64 > output_max, Ordering::Relaxed);
            read
        });
        let reading = reading.map_err(machine)?;
        let listening = spawn().spawn_scoped(scope, || read_limited(stderr, MESSAGE_BYTES_MAX));
        let listening = listening.map_err(machine)?;
        let left = wait(&mut child.0, limits.wall, &too_long, cancelled).map_err(machine)?;
        drop(child);
        drop(end);
        let output = reading.join().unwrap_or_default();
        let message = listening.join().unwrap_or_default();
        match left {
            // It may have ended of the pipe that nobody reads any more.
            Left::Ended(_) if output.len() as u64 > output_max => {
                Err(CompileFailure::Module(too_large(limits)))
            }
            Left::Ended(status) if status.success() => take_apart(output, limits),
            Left::Ended(status) => Err(CompileFailure::Module(explain(status, &message, limits))),
            Left::OutOfTime => Err(CompileFailure::Module(format!(
                "its compile took more than {} s",
                limits.wall.as_secs()
            ))),
            Left::TooLong => Err(CompileFailure::Module(too_large(limits))),
            Left::Cancelled => Err(CompileFailure::Cancelled),
        }
    })
}

fn too_large(limits: &CompileLimits) -> String {
    format!("its native code is larger than {} bytes", limits.artifact_bytes)
}

/// Reads to the end, or one byte more than the limit.
fn read_limited(source: impl Read, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before an error is what there is.
    let _ = source.take(limit + 1).read_to_end(&mut bytes);
    bytes
}

fn wait(
    child: &mut Child,
    wall: Duration,
    too_long: &AtomicBool,
    cancelled: &AtomicBool,
) -> io::Result<Left> {
    let start = Instant::now();
    let (mut pause, longest) = POLL;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Left::Ended(status));
        }
        if too_long.load(Ordering::Relaxed) {
            return Ok(Left::TooLong);
        }
        if cancelled.load(Ordering::Relaxed) {
            return Ok(Left::Cancelled);
        }
        if start.elapsed() > wall {
            return Ok(Left::OutOfTime);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
}

/// The artifact of a child that ended well.
fn take_apart(output: Vec<u8>, limits: &CompileLimits) -> Result<Vec<u8>, CompileFailure> {
    let broken = || {
        CompileFailure::Machine("the compile process gave something else than an artifact".into())
    };
    let (length, rest) = output.split_first_chunk::<4>().ok_or_else(broken)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| broken())?;
    let (fingerprint, rest) = rest.split_at_checked(length).ok_or_else(broken)?;
    if fingerprint != native_fingerprint().as_bytes() {
        return Err(CompileFailure::Machine(
            "the compile process has another engine than its host: is it of another version?"
                .into(),
        ));
    }
    let (length, artifact) = rest.split_first_chunk::<8>().ok_or_else(broken)?;
    if u64::from_le_bytes(*length) != artifact.len() as u64 {
        return Err(broken());
    }
    if artifact.len() as u64 > limits.artifact_bytes {
        return Err(CompileFailure::Module(too_large(limits)));
    }
    Ok(artifact.to_vec())
}

/// Why a child failed.
fn explain(status: ExitStatus, message: &[u8], limits: &CompileLimits) -> String {
    let message = String::from_utf8_lossy(message);
    let says = |line: &&str| !line.is_empty() && !line.starts_with("note: ");
    let no_memory = message.lines().any(|line| line.starts_with("memory allocation of"));
    let last = message.lines().map(str::trim).rfind(says);
    let memory = format!(
        "its compile needs more than {} bytes of address space",
        limits.address_space_bytes
    );
    let signal = status.signal().and_then(|number| Signal::try_from(number).ok());
    match (signal, last) {
        (Some(Signal::SIGXCPU), _) => {
            format!("its compile needs more than {} s of CPU time", limits.cpu_seconds)
        }
        (Some(Signal::SIGABRT), _) if no_memory => memory,
        (Some(signal), Some(last)) => format!("the compiler crashed ({signal:?}): {last}"),
        (Some(signal), None) => format!("the compiler crashed ({signal:?})"),
        (None, Some(last)) => last.to_owned(),
        (None, None) => format!("the compile process ended with {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> CompileLimits {
        CompileLimits { wall: Duration::from_secs(20), ..CompileLimits::default() }
    }

    fn run(script: &str, limits: &CompileLimits, cancelled: bool) -> CompileFailure {
        let arguments = ["-c".to_owned(), script.to_owned()];
        let cancelled = AtomicBool::new(cancelled);
        // Longer than a pipe holds: a child that does not read must not stop its host.
        let metered = vec![0; 1 << 20];
        compile_in_child(Path::new("/bin/sh"), &arguments, limits, &metered, &cancelled)
            .unwrap_err()
    }

    fn module(script: &str, limits: &CompileLimits) -> String {
        match run(script, limits, false) {
            CompileFailure::Module(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_child_that_hangs_is_ended_and_the_reason_says_so() {
        let short = CompileLimits { wall: Duration::from_millis(200), ..limits() };
        assert!(module("exec sleep 1000", &short).contains("took more than"));
    }

    #[test]
    fn a_child_that_is_killed_crashes_or_refuses_is_explained() {
        assert_eq!(module("kill -9 $$", &limits()), "the compiler crashed (SIGKILL)");
        assert!(module("kill -s XCPU $$", &limits()).contains("60 s of CPU time"));
        let no_memory =
            "echo 'memory allocation of 64 bytes failed\nnote: more' >&2; kill -ABRT $$";
        assert!(module(no_memory, &limits()).contains("bytes of address space"));
        let panics = "echo 'thread main panicked' >&2; echo 'at the end' >&2; exit 101";
        assert_eq!(module(panics, &limits()), "at the end");
        assert!(module("exit 3", &limits()).contains("ended with"));
    }

    #[test]
    fn a_child_has_no_environment_and_no_place() {
        let script = r#"echo "home=$HOME user=$USER at=$(pwd)" >&2; exit 1"#;
        assert_eq!(module(script, &limits()), "home= user= at=/");
    }

    #[test]
    fn a_child_that_talks_without_end_is_ended() {
        let small = CompileLimits { artifact_bytes: 1 << 16, ..limits() };
        assert!(module("exec cat /dev/zero", &small).contains("larger than 65536 bytes"));
    }

    #[test]
    fn what_is_no_artifact_is_never_taken_for_one() {
        for script in ["echo nonsense", "exit 0", "printf '\\001\\000\\000\\000x'"] {
            assert!(
                matches!(run(script, &limits(), false), CompileFailure::Machine(_)),
                "{script}"
            );
        }
    }

    #[test]
    fn a_host_that_closes_ends_its_child_and_one_without_a_program_says_so() {
        assert_eq!(run("exec sleep 1000", &limits(), true), CompileFailure::Cancelled);
        let nothing = Path::new("/nowhere/compiler");
        let failed = compile_in_child(nothing, &[], &limits(), &[], &AtomicBool::new(false));
        assert!(matches!(failed, Err(CompileFailure::Machine(_))));
    }
}
