//! Outcomes of transactions that the commands of a home made, kept beside its state: what `receipts` shows again.
//!
//! They are no part of the state. One that cannot be written costs its command nothing but a note.

use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::text::{self, shown};
use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Files that are kept, the oldest go first.
const KEPT_MAX: usize = 1_000;

/// Files beyond that number at which the oldest are removed, so that not every command looks for them.
const KEPT_SLACK: usize = 100;

const FOLDER: &str = "transactions";

/// Writes what a command gave of a transaction.
pub(super) fn keep(home: &Path, hash: &str, report: &impl Serialize, console: &Console) {
    if let Err(error) = write(&home.join(FOLDER), hash, report) {
        console.note(format_args!("`cotenant receipts {hash}` will not know it: {error}"));
    }
}

fn write(folder: &Path, hash: &str, report: &impl Serialize) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let line = text::json_line(report).map_err(io::Error::other)?;
    let path = folder.join(format!("{hash}.json"));
    let new = folder.join(format!("{hash}.new"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(line.as_bytes())?;
    fs::rename(new, path)?;
    let mut kept = names(folder)?;
    if kept.len() > KEPT_MAX + KEPT_SLACK {
        kept.sort_by_cached_key(|path| fs::metadata(path).and_then(|file| file.modified()).ok());
        for old in &kept[..kept.len() - KEPT_MAX] {
            fs::remove_file(old)?;
        }
    }
    Ok(())
}

fn names(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    Ok(paths)
}

/// The outcome of a transaction of this home, by its hash or the first letters of it.
pub(super) fn find(home: &Path, hash: &str) -> Result<Value> {
    let paths = match names(&home.join(FOLDER)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let message = format!("{}: {error}", home.join(FOLDER).display());
            return Err(Failure::new(Exit::Internal, "Disk", message).into());
        }
        paths => paths.unwrap_or_default(),
    };
    let named = |path: &&PathBuf| {
        path.file_stem()
            .is_some_and(|name| !hash.is_empty() && name.to_string_lossy().starts_with(hash))
    };
    let found: Vec<&PathBuf> = paths.iter().filter(named).collect();
    let [path] = found.as_slice() else {
        let many = found.len();
        let message = match many {
            0 => format!("no transaction `{}` of this home is kept", shown(hash)),
            many => format!("{many} transactions begin with `{}`", shown(hash)),
        };
        let hint = "commands print the hash as `transaction`; the last 1,000 are kept";
        return Err(Failure::usage("UnknownTransaction", message).with("hint", hint).into());
    };
    let bytes = fs::read(path)?;
    Ok(serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(Exit::Internal, "Damaged", format!("{}: {error}", path.display()))
    })?)
}
