//! A state on disk: one file, `state.redb` in a home folder, with redb's transactions.
//!
//! A commit is one redb transaction with immediate durability: what was acknowledged is there after a kill,
//! what was not is gone. A new file is made under another name and linked into place when it is complete, so
//! that a kill during creation leaves no half-made state.

use crate::HostFault;
use crate::state::{Batch, FORMAT_VERSION, Snapshot, Store, Visit, genesis, keys, records};
use cotenant_gas::{FEATURES_PROTOCOL, PRESETS, UnknownProtocol};
use redb::{Database, DatabaseError, ReadOnlyTable, ReadableDatabase, TableDefinition};
use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Name of the file in a home folder.
pub const STATE_FILE: &str = "state.redb";

const TABLE: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("state");

/// Why a home could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// Why it could not.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{}: another process has this home open; end it or choose another home", path.display())]
    AlreadyOpen {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a newer Cotenant.
    #[error(
        "{}: state format {found}, this Cotenant knows formats up to {known}; use a newer Cotenant or a new home",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// A home fixes its protocol version at creation.
    #[error(
        "{}: this home was created with protocol {fixed}, asked for was {asked}; leave it out or choose another home",
        path.display()
    )]
    ProtocolFixed {
        /// The file.
        path: PathBuf,
        /// The version it was created with.
        fixed: u32,
        /// The version asked for.
        asked: u32,
    },
    /// No prices are known for the protocol version.
    #[error(transparent)]
    UnknownProtocol(#[from] UnknownProtocol),
    /// The file is no state, or is damaged.
    #[error("{}: no readable state: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A state on disk.
#[derive(Debug)]
pub struct DiskStore {
    database: Database,
}

impl DiskStore {
    /// Opens the state of a home folder, or creates it: with `protocol`, or else the newest.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(home: &Path, protocol: Option<u32>) -> Result<Self, OpenError> {
        let asked = protocol.unwrap_or(FEATURES_PROTOCOL);
        if !PRESETS.contains(&asked) {
            return Err(UnknownProtocol { found: asked, allowed: &PRESETS }.into());
        }
        let path = home.join(STATE_FILE);
        if !path.try_exists().map_err(|source| OpenError::Io { path: path.clone(), source })? {
            create(home, &path, asked)?;
        }
        let database = Database::open(&path).map_err(|error| opening(&path, error))?;
        let store = Self { database };
        store.check(&path, protocol)?;
        Ok(store)
    }

    fn check(&self, path: &Path, protocol: Option<u32>) -> Result<(), OpenError> {
        let damaged = |reason: String| OpenError::Damaged { path: path.to_owned(), reason };
        let number = |key: Vec<u8>, name: &str| -> Result<u32, OpenError> {
            let bytes = self.snapshot().and_then(|snapshot| snapshot.get(&key));
            let bytes = bytes.map_err(|fault| damaged(fault.to_string()))?;
            let bytes = bytes.ok_or_else(|| damaged(format!("it names no {name}")))?;
            records::decode(&key, &bytes).map_err(|fault| damaged(fault.to_string()))
        };
        let found = number(keys::format(), "format")?;
        if found > FORMAT_VERSION {
            return Err(OpenError::NewerFormat {
                path: path.to_owned(),
                found,
                known: FORMAT_VERSION,
            });
        }
        let fixed = number(keys::protocol(), "protocol version")?;
        match protocol {
            Some(asked) if asked != fixed => {
                Err(OpenError::ProtocolFixed { path: path.to_owned(), fixed, asked })
            }
            _ => Ok(()),
        }
    }
}

/// Makes a complete new state and links it into place, unless another process was faster.
fn create(home: &Path, path: &Path, protocol: u32) -> Result<(), OpenError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    fs::create_dir_all(home).map_err(io(home))?;
    let new = home.join(format!("{STATE_FILE}.{}.new", std::process::id()));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(&new)(error)),
        _ => {}
    }
    let database = Database::create(&new).map_err(|error| opening(&new, error))?;
    let first = genesis(protocol).and_then(|batch| DiskStore { database }.commit(&batch));
    first.map_err(|fault| OpenError::Damaged { path: new.clone(), reason: fault.to_string() })?;
    let linked = match fs::hard_link(&new, path) {
        // The other process's state is the state.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A file system without links: a rename is as atomic, but would replace the other process's state.
        Err(_) if !path.exists() => fs::rename(&new, path),
        other => other,
    };
    linked.map_err(io(path))?;
    let _ = fs::remove_file(&new);
    File::open(home).and_then(|folder| folder.sync_all()).map_err(io(home))
}

fn opening(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::AlreadyOpen { path },
        DatabaseError::Storage(redb::StorageError::Io(source))
            if source.kind() != io::ErrorKind::InvalidData =>
        {
            OpenError::Io { path, source }
        }
        other => OpenError::Damaged { path, reason: other.to_string() },
    }
}

fn fault(error: impl Display) -> HostFault {
    HostFault::Store(error.to_string())
}

struct DiskSnapshot(ReadOnlyTable<&'static [u8], &'static [u8]>);

impl Snapshot for DiskSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HostFault> {
        Ok(self.0.get(key).map_err(fault)?.map(|value| value.value().to_vec()))
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), HostFault> {
        for entry in self.0.range(prefix..).map_err(fault)? {
            let (key, value) = entry.map_err(fault)?;
            if !key.value().starts_with(prefix) || visit(key.value(), value.value())?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Store for DiskStore {
    fn snapshot(&self) -> Result<Rc<dyn Snapshot>, HostFault> {
        let transaction = self.database.begin_read().map_err(fault)?;
        Ok(Rc::new(DiskSnapshot(transaction.open_table(TABLE).map_err(fault)?)))
    }

    fn commit(&self, batch: &Batch) -> Result<(), HostFault> {
        let transaction = self.database.begin_write().map_err(fault)?;
        {
            let mut table = transaction.open_table(TABLE).map_err(fault)?;
            for (key, value) in batch.iter() {
                match value {
                    Some(value) => table.insert(key, value).map_err(fault)?,
                    None => table.remove(key).map_err(fault)?,
                };
            }
        }
        transaction.commit().map_err(fault)
    }
}
