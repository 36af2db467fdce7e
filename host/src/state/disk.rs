//! A state on disk: one file, `state.redb` in a home folder, with redb's transactions over pages with checksums
//! (`sealed`).
//!
//! A commit is one redb transaction with immediate durability: what was acknowledged is there after a kill,
//! what was not is gone. A new file is made under another name and linked into place when it is complete, so
//! that a kill during creation leaves no half-made state. Home and files are their user's alone (0700, 0600).
//!
//! Whatever redb says or panics over its file is a [`DiskFault`]: it stops the host.

use crate::HostFault;
use crate::fault::DiskFault;
use crate::state::sealed::SealedFile;
use crate::state::{Batch, FORMAT_VERSION, Snapshot, Store, Visit, genesis, keys, records};
use cotenant_gas::{FEATURES_PROTOCOL, PRESETS, UnknownProtocol};
use redb::{Builder, Database, ReadOnlyTable, ReadableDatabase, StorageBackend, TableDefinition};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Name of the file in a home folder.
pub const STATE_FILE: &str = "state.redb";

const TABLE: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("state");

/// First bytes of a file without checksums, as redb writes it.
const PLAIN_MAGIC: &[u8; 9] = b"redb\x1a\n\xa9\r\n";

/// Memory for pages, checked once each: redb's own default.
const CACHE_BYTES: usize = 1 << 30;

/// Times that the bytes of a transaction may be on the disk at once: in its receipt, as code, each with the copy that
/// a commit replaces.
const COPIES: u64 = 4;

/// Bytes that a commit of little content may take.
const COMMIT_BYTES: u64 = 1 << 20;

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
    #[error(transparent)]
    Damaged(DiskFault),
    /// The disk or the machine failed.
    #[error(transparent)]
    Fault(#[from] HostFault),
}

impl From<DiskFault> for OpenError {
    fn from(fault: DiskFault) -> Self {
        match fault {
            DiskFault::Io { path, source, .. } => Self::Io { path, source },
            damage => Self::Damaged(damage),
        }
    }
}

/// A state on disk.
#[derive(Debug)]
pub struct DiskStore {
    database: Database,
    path: Arc<Path>,
}

impl DiskStore {
    /// Opens the state of a home folder, or creates it: with `protocol`, or else the newest. A file of a Cotenant
    /// before the checksums is written anew with them, once.
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
        let store = Self { database: open_database(home, &path)?, path: path.into() };
        store.check(protocol)?;
        Ok(store)
    }

    fn check(&self, protocol: Option<u32>) -> Result<(), OpenError> {
        let path = || self.path.to_path_buf();
        let number = |key: Vec<u8>, name: &str| -> Result<u32, OpenError> {
            let bytes = self.snapshot()?.get(&key)?;
            let missing = || records::damaged(&key, format!("it names no {name}"));
            Ok(records::decode(&key, &bytes.ok_or_else(missing)?)?)
        };
        let number = |key, name| {
            number(key, name).map_err(|error| match error {
                OpenError::Fault(HostFault::Disk(fault)) => fault.in_file(&self.path).into(),
                other => other,
            })
        };
        let found = number(keys::format(), "format")?;
        if found > FORMAT_VERSION {
            return Err(OpenError::NewerFormat { path: path(), found, known: FORMAT_VERSION });
        }
        let fixed = number(keys::protocol(), "protocol version")?;
        match protocol {
            Some(asked) if asked != fixed => {
                Err(OpenError::ProtocolFixed { path: path(), fixed, asked })
            }
            _ => Ok(()),
        }
    }

    /// Checks every page that the state has, and the database's own order among them.
    ///
    /// # Errors
    /// The first damage that is found.
    pub fn check_pages(&mut self) -> Result<(), HostFault> {
        let database = &mut self.database;
        guard(&self.path, "check", || Ok(database.check_integrity()?))?;
        Ok(())
    }
}

/// Makes a complete new state and links it into place, unless another process was faster.
fn create(home: &Path, path: &Path, protocol: u32) -> Result<(), OpenError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    // A home is nobody's but its user's.
    DirBuilder::new().recursive(true).mode(0o700).create(home).map_err(io(home))?;
    let (new, file) = temporary(home)?;
    let sealed = SealedFile::create(file).map_err(io(&new))?;
    let database = open_sealed(&new, Arc::new(sealed))?;
    let store = DiskStore { database, path: new.as_path().into() };
    genesis(protocol).and_then(|batch| store.commit(&batch))?;
    drop(store);
    let linked = match fs::hard_link(&new, path) {
        // The other process's state is the state.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A file system without links: a rename is as atomic, but would replace the other process's state.
        Err(_) if !path.exists() => fs::rename(&new, path),
        other => other,
    };
    linked.map_err(io(path))?;
    let _ = fs::remove_file(&new);
    sync_folder(home)
}

fn sync_folder(home: &Path) -> Result<(), OpenError> {
    let synced = File::open(home).and_then(|folder| folder.sync_all());
    synced.map_err(|source| OpenError::Io { path: home.to_owned(), source })
}

/// A new file of this process in the home, that its user alone may read.
fn temporary(home: &Path) -> Result<(PathBuf, File), OpenError> {
    let path = home.join(format!("{STATE_FILE}.{}.new", std::process::id()));
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(OpenError::Io { path, source });
        }
        _ => {}
    }
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
    match file {
        Ok(file) => Ok((path, file)),
        Err(source) => Err(OpenError::Io { path, source }),
    }
}

/// Opens the file of a state, whichever layout it has.
fn open_database(home: &Path, path: &Path) -> Result<Database, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let open = || OpenOptions::new().read(true).write(true).open(path).map_err(io);
    let mut file = open()?;
    let permissions = file.metadata().map_err(io)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(io)?;
    }
    if !SealedFile::is_sealed(&file).map_err(io)? {
        add_checksums(home, path, &file)?;
        file = open()?;
    }
    lock(path, &file)?;
    let sealed = SealedFile::open(file).map_err(|error| io_fault(path, "open", error))?;
    open_sealed(path, Arc::new(sealed))
}

/// Locks the file for this process. One that was just killed may take a moment to be gone, and so may a child of its
/// that was being started.
fn lock(path: &Path, file: &File) -> Result<(), OpenError> {
    const TRIES: u32 = 20;
    const PAUSE: Duration = Duration::from_millis(20);
    for attempt in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if attempt < TRIES => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::AlreadyOpen { path: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => {
                return Err(OpenError::Io { path: path.to_owned(), source });
            }
        }
    }
    Ok(())
}

fn open_sealed(path: &Path, sealed: Arc<SealedFile>) -> Result<Database, OpenError> {
    let opened = guard(path, "open", || {
        let backend = Shared(sealed.clone());
        Ok(Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(backend)?)
    });
    let database = opened.map_err(of_fault)?;
    sealed.trust().map_err(|error| io_fault(path, "open", error))?;
    Ok(database)
}

/// Writes a file of a Cotenant before the checksums anew. It is opened and checked by the database first: what is
/// damaged already is not sealed.
fn add_checksums(home: &Path, path: &Path, file: &File) -> Result<(), OpenError> {
    let mut magic = [0; PLAIN_MAGIC.len()];
    let plain = file.read_exact_at(&mut magic, 0).is_ok() && magic == *PLAIN_MAGIC;
    if !plain {
        return Err(DiskFault::damaged(path, "this is no state of Cotenant's", "byte 0").into());
    }
    guard(path, "open", || Ok(Database::open(path)?.check_integrity()?)).map_err(of_fault)?;
    lock(path, file)?;
    let (new, target) = temporary(home)?;
    let copy = || -> io::Result<()> {
        let sealed = SealedFile::create(target)?;
        let length = file.metadata()?.len();
        sealed.set_len(length)?;
        let mut bytes = vec![0; 1 << 20];
        let mut at = 0;
        while at < length {
            let more = bytes.len().min((length - at) as usize);
            file.read_exact_at(&mut bytes[..more], at)?;
            sealed.write(at, &bytes[..more])?;
            at += more as u64;
        }
        sealed.sync_data()
    };
    copy().map_err(|error| io_fault(&new, "write the state with checksums", error))?;
    fs::rename(&new, path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
    sync_folder(home)
}

/// redb takes its storage by value.
#[derive(Debug)]
struct Shared(Arc<SealedFile>);

impl StorageBackend for Shared {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

fn of_fault(fault: HostFault) -> OpenError {
    match fault {
        HostFault::Disk(fault) => fault.into(),
        other => OpenError::Fault(other),
    }
}

fn io_fault(path: &Path, what: &str, error: io::Error) -> DiskFault {
    if error.kind() == io::ErrorKind::InvalidData {
        return DiskFault::damaged(path, error.to_string(), "the place it names");
    }
    DiskFault::io(path, what, error)
}

/// Runs a piece of the database's. Whatever is wrong with its file is a fault of the disk, be it told or panicked.
fn guard<T>(
    path: &Path,
    what: &str,
    f: impl FnOnce() -> Result<T, redb::Error>,
) -> Result<T, HostFault> {
    let error = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error,
        Err(payload) => {
            let panic = HostFault::of_panic(&*payload);
            return Err(
                DiskFault::damaged(path, format!("the database gave up: {panic}"), what).into()
            );
        }
    };
    Err(match error {
        redb::Error::Io(error) => io_fault(path, what, error),
        redb::Error::PreviousIo => {
            let error = io::Error::other("stopped by the fault before this one");
            DiskFault::io(path, what, error)
        }
        other => DiskFault::damaged(path, other.to_string(), what),
    }
    .into())
}

struct DiskSnapshot {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    path: Arc<Path>,
}

impl DiskSnapshot {
    fn guard<T>(&self, f: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, HostFault> {
        guard(&self.path, "read", f)
    }
}

impl Snapshot for DiskSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HostFault> {
        self.guard(|| Ok(self.table.get(key)?.map(|value| value.value().to_vec())))
    }

    fn has(&self, key: &[u8]) -> Result<bool, HostFault> {
        self.guard(|| Ok(self.table.get(key)?.is_some()))
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), HostFault> {
        let mut range = self.guard(|| Ok(self.table.range(prefix..)?))?;
        while let Some((key, value)) = self.guard(|| Ok(range.next().transpose()?))? {
            if !key.value().starts_with(prefix) || visit(key.value(), value.value())?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Store for DiskStore {
    fn snapshot(&self) -> Result<Rc<dyn Snapshot>, HostFault> {
        let table = guard(&self.path, "read", || {
            let transaction = self.database.begin_read()?;
            Ok(transaction.open_table(TABLE)?)
        })?;
        Ok(Rc::new(DiskSnapshot { table, path: self.path.clone() }))
    }

    fn commit(&self, batch: &Batch) -> Result<(), HostFault> {
        guard(&self.path, "commit", || {
            let transaction = self.database.begin_write()?;
            {
                let mut table = transaction.open_table(TABLE)?;
                for (key, value) in batch.iter() {
                    match value {
                        Some(value) => table.insert(key, value)?,
                        None => table.remove(key)?,
                    };
                }
            }
            Ok(transaction.commit()?)
        })
    }

    fn reserve(&self, bytes: u64) -> Result<(), HostFault> {
        // What cannot be asked is tried.
        let Ok(space) = rustix::fs::statvfs(&*self.path) else { return Ok(()) };
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        let needed = bytes.saturating_mul(COPIES).saturating_add(COMMIT_BYTES);
        if free >= needed {
            return Ok(());
        }
        let what = format!("{free} bytes are free, {needed} are needed");
        let full = io::Error::from(io::ErrorKind::StorageFull);
        Err(DiskFault::io(&self.path, &what, full).into())
    }
}
