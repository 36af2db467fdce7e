//! Opening the home of a command: made by verbs that write, waited for where another process has it.

use crate::args::Global;
use crate::console::Console;
use crate::failure::Failure;
use anyhow::Result;
use cotenant_host::compile::{Compile, CompileLimits, Compiler};
use cotenant_host::registry::CacheLimits;
use cotenant_host::state::{OpenError, STATE_FILE};
use cotenant_host::{Host, HostError, Options};
use near_account_id::AccountId;
use std::fs;
use std::os::linux::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Pause between two tries at a home that another process has.
const RETRY: Duration = Duration::from_millis(100);

/// How the hosts of this binary compile and what they keep.
pub(super) fn options(global: &Global) -> Options {
    Options {
        protocol: global.protocol,
        compile: Some(Compile::Background),
        compiler: Compiler::Process {
            // This binary, also when the file has been replaced since.
            program: "/proc/self/exe".into(),
            arguments: vec!["compile-worker".into()],
            limits: CompileLimits::default(),
        },
        cache: CacheLimits { stored_bytes: global.cache_max, ..CacheLimits::default() },
        rehearsal: Some("/proc/self/exe".into()),
        ..Options::default()
    }
}

/// The host of the home, which is made if it is new.
pub(super) fn open(global: &Global, console: &Console) -> Result<Host> {
    let options = options(global);
    let progress = console.progress(format!("opening {}", global.home.display()));
    let host = wait(global, console, || Host::open(&global.home, &options))?;
    drop(progress);
    console.detail(format_args!(
        "home {}, protocol {}",
        global.home.display(),
        host.runtime().schedule().protocol
    ));
    Ok(host)
}

/// The host of a home that has to be there, for verbs that only read: they make nothing.
pub(super) fn read(global: &Global, console: &Console) -> Result<Host> {
    let state = global.home.join(STATE_FILE);
    if !state.exists() {
        let message = format!("{}: no such home", global.home.display());
        let hint = "`cotenant deploy` and `cotenant account create` make one; --home or COTENANT_HOME names another";
        return Err(Failure::usage("HomeDoesNotExist", message).with("hint", hint).into());
    }
    open(global, console)
}

/// Tries again while another process has the home, as long as `--lock-wait` says; then tells who it is.
fn wait<T>(
    global: &Global,
    console: &Console,
    mut open: impl FnMut() -> Result<T, HostError>,
) -> Result<T> {
    let end = Instant::now() + Duration::from_secs(global.lock_wait);
    let mut told = false;
    loop {
        let path = match open() {
            Err(HostError::Open(OpenError::AlreadyOpen { path })) => path,
            other => return Ok(other?),
        };
        let holder = holder(&path);
        if Instant::now() >= end {
            let who = holder.as_deref().unwrap_or("another process");
            let message = format!("{}: {who} has this home open", path.display());
            let hint =
                "end it, wait longer with --lock-wait SECONDS, or choose another home with --home";
            return Err(Failure::usage("AlreadyOpen", message).with("hint", hint).into());
        }
        if !told {
            let who = holder.as_deref().unwrap_or("another process");
            console.note(format_args!("waits for {who}, which has the home open"));
            told = true;
        }
        std::thread::sleep(RETRY);
    }
}

/// The process that has locked a file, as Linux tells in /proc/locks; `None` if it does not.
fn holder(path: &Path) -> Option<String> {
    let inode = fs::metadata(path).ok()?.st_ino().to_string();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 20557 fe:00:10125320 0 EOF`: the fifth is the process, the sixth ends with the inode.
    let process = locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let of_file = fields.get(5)?.rsplit(':').next()? == inode;
        (of_file && fields.get(1) == Some(&"FLOCK"))
            .then(|| fields.get(4).map(|id| (*id).to_owned()))?
    })?;
    let command = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    Some(match command.trim() {
        "" => format!("process {process}"),
        command => format!("process {process} (`{command}`)"),
    })
}

/// Requires that an account exists, so that a typing error creates none.
pub(super) fn existing(host: &Host, account: &AccountId) -> Result<()> {
    let state = host.state()?;
    if state.account(account)?.is_some() {
        return Ok(());
    }
    let known = state.accounts()?;
    let near = known
        .iter()
        .filter(|known| distance(known.as_str(), account.as_str()) <= 2)
        .min_by_key(|known| distance(known.as_str(), account.as_str()));
    let hint = match near {
        Some(near) => {
            format!("is it `{near}`? `cotenant account create {account}` makes a new one")
        }
        None => format!(
            "`cotenant account create {account}` makes it, and so does a deploy to it; --home names the state"
        ),
    };
    let message = format!("account `{account}` does not exist");
    Err(Failure::usage("AccountDoesNotExist", message).with("hint", hint).into())
}

/// Letters to change, add or leave out to get from one text to the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, from) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in other.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Notes which of these accounts the command is about to create.
pub(super) fn announce<'a>(
    host: &Host,
    accounts: impl IntoIterator<Item = &'a AccountId>,
    console: &Console,
) -> Result<()> {
    let state = host.state()?;
    let mut new = Vec::new();
    for account in accounts {
        if !account.is_system() && !new.contains(&account) && state.account(account)?.is_none() {
            console.note(format_args!("new account {account} with 1,000 NEAR"));
            new.push(account);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances_count_letters() {
        for (one, other, letters) in [
            ("alice.near", "alice.near", 0),
            ("alice.near", "alce.near", 1),
            ("a", "", 1),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(one, other), letters, "{one} {other}");
        }
    }
}
