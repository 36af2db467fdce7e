//! Child processes for work that may take its process down: a compiler's, a receipt's that killed the host.
//!
//! A child runs under limits of address space, memory and processor time, inherits no environment and no
//! descriptors, and dies with its parent: the kernel kills it (`PR_SET_PDEATHSIG`), and its input closes. Only a
//! death by a signal that it raised itself says something of its work ([`Ended::Own`]).

use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// What a child may use at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Address space, in bytes (`RLIMIT_AS`).
    pub address_space_bytes: u64,
    /// Memory that it may write, in bytes (`RLIMIT_DATA`): reserved address space does not count.
    pub data_bytes: u64,
    /// Processor time, in seconds (`RLIMIT_CPU`): `SIGXCPU` ends it.
    pub cpu_seconds: u64,
}

/// Signals that a process raises by its own work.
const OWN: [(i32, &str); 6] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGXCPU, "SIGXCPU"),
];

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited, with this code.
    Exited(i32),
    /// By a signal that its own work raised: a fault of memory or arithmetic, an abort, its processor time.
    Own(&'static str),
    /// By a signal from somewhere else, `SIGKILL` for instance: says nothing of its work.
    Foreign(i32),
}

/// Returns the command of a child that has nothing of this process but what is set on it: no environment, its input a
/// pipe that this process has to keep open as long as the child shall live.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    // Everything that the standard library opens is closed on exec.
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Puts this process, a child that [`command`] started, under its limits. The first thing that it does.
///
/// # Errors
/// The kernel refuses a limit.
pub fn enter(limits: &Limits) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_AS, limits.address_space_bytes, limits.address_space_bytes)?;
    setrlimit(Resource::RLIMIT_DATA, limits.data_bytes, limits.data_bytes)?;
    allow_cpu(limits.cpu_seconds)
}

/// Sets how much processor time this process may have used in all, in seconds.
///
/// # Errors
/// The kernel refuses it.
pub fn allow_cpu(seconds: u64) -> io::Result<()> {
    // The soft limit alone, so that it can be raised again.
    Ok(setrlimit(Resource::RLIMIT_CPU, seconds, u64::MAX)?)
}

/// Ends this process when its input ends, which is when its parent has died or wants no answer any more. For children
/// that read nothing from it.
pub fn end_with_input() {
    std::thread::spawn(|| {
        let mut byte = [0; 64];
        while matches!(io::stdin().read(&mut byte), Ok(1..)) {}
        std::process::exit(1);
    });
}

/// Waits for a child, at most for some time; `None` if it still runs then.
///
/// # Errors
/// The kernel does not know the child.
pub fn wait(child: &mut Child, time: Duration) -> io::Result<Option<Ended>> {
    const SLICE: Duration = Duration::from_millis(2);
    let until = std::time::Instant::now() + time;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(Ended::of(status)));
        }
        let left = until.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        std::thread::sleep(SLICE.min(left));
    }
}

impl Ended {
    /// How a process ended, by its status.
    pub fn of(status: ExitStatus) -> Self {
        let Some(number) = status.signal() else {
            return Ended::Exited(status.code().unwrap_or(1));
        };
        match OWN.iter().find(|(own, _)| *own == number) {
            Some((_, name)) => Ended::Own(name),
            None => Ended::Foreign(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(script: &str) -> Ended {
        let mut child = command("/bin/sh").args(["-c", script]).spawn().unwrap();
        wait(&mut child, Duration::from_secs(60)).unwrap().unwrap()
    }

    #[test]
    fn only_its_own_signals_speak_of_a_childs_work() {
        assert_eq!(end("exit 3"), Ended::Exited(3));
        for (_, name) in OWN {
            assert_eq!(end(&format!("kill -{} $$", &name[3..])), Ended::Own(name));
        }
        // Not INT and HUP: a process in the background may have been started with both ignored.
        for (name, number) in [("KILL", 9), ("TERM", 15), ("USR1", 10), ("ALRM", 14)] {
            assert_eq!(end(&format!("kill -{name} $$")), Ended::Foreign(number));
        }
    }

    #[test]
    fn a_child_has_no_environment_and_lives_with_its_input() {
        assert_eq!(end("test -z \"$HOME$CARGO_MANIFEST_DIR\""), Ended::Exited(0));
        let mut child = command("/bin/cat").spawn().unwrap();
        assert_eq!(wait(&mut child, Duration::from_millis(5)).unwrap(), None);
        drop(child.stdin.take());
        assert_eq!(wait(&mut child, Duration::from_secs(60)).unwrap(), Some(Ended::Exited(0)));
    }
}
