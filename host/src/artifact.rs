//! Compiled artifacts: what is stored, under which key, and how it is authenticated. One of the three places
//! near `unsafe` code: an artifact is native code, so only bytes that this host wrote are ever loaded.
//!
//! ```text
//! offset  bytes
//! 0       8      magic "cotenant"
//! 8       4      format version, little endian
//! 12      32     key: see [`ArtifactKey`]
//! 44      32     HMAC-SHA256 with the home's secret over bytes 0..44 and everything from 76
//! 76      8      length of the facts, little endian
//! 84      n      facts, borsh
//! 84+n    ...    what the engine compiled
//! ```

use crate::HostFault;
use crate::engine::{Engine, EngineKind, Shape};
use cotenant_submodules::{Grants, Visibility};
use hmac::{Hmac, Mac};
use near_primitives_core::hash::CryptoHash;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const MAGIC: &[u8; 8] = b"cotenant";

/// Version of this format; part of every key.
const FORMAT: u32 = 1;

const HEAD_BYTES: usize = 76;

/// Names an artifact by everything that could change it (architecture, invariant 7): code, kind, gas schedule
/// and limits and instrumenter (the schedule's fingerprint has all three), engine with version, target and
/// CPU features, and the version of this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactKey([u8; 32]);

impl ArtifactKey {
    /// The key of a module on an engine.
    pub fn new(
        code: &CryptoHash,
        visibility: Visibility,
        schedule: &[u8; 32],
        engine: &dyn Engine,
    ) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(FORMAT.to_le_bytes());
        hasher.update(code.0);
        hasher.update([match visibility {
            Visibility::Public => 0,
            Visibility::Private => 1,
        }]);
        hasher.update(schedule);
        hasher.update(engine.fingerprint());
        Self(hasher.finalize().into())
    }

    fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a host has to know of a compiled module besides its code.
#[derive(Clone, Debug, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Facts {
    /// Public or private.
    pub visibility: Visibility,
    /// What it requires when private.
    pub requires: Grants,
    /// Imports from `env`, in order.
    pub imports: Vec<String>,
    /// Exported functions, and whether each can be called as a method.
    pub functions: BTreeMap<String, bool>,
    /// Whether there is a start function.
    pub has_start: bool,
    /// Pages it starts with.
    pub initial_pages: u32,
    /// Whether its code grows the memory.
    pub grows_memory: bool,
    /// Whether its code writes to tables.
    pub writes_tables: bool,
    /// Whether its code drops segments.
    pub drops_segments: bool,
    /// What an instance is made of.
    pub shape: Shape,
    /// Active data: offset in memory, bytes.
    pub data: Vec<(u32, Vec<u8>)>,
    /// Length of the deployed code, in bytes: NEAR charges loading by it.
    pub code_bytes: u64,
}

/// An artifact with its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// What the host has to know.
    pub facts: Facts,
    /// What the engine compiled.
    pub native: Vec<u8>,
}

/// Where artifacts are kept.
pub trait ArtifactStore: Send + Sync {
    /// Stores an artifact, whole or not at all.
    ///
    /// # Errors
    /// When the disk fails.
    fn put(&self, key: &ArtifactKey, artifact: &Artifact) -> Result<(), HostFault>;

    /// The artifact of a key; `None` if there is none, or if what is there was not written by this host.
    ///
    /// # Errors
    /// When the disk fails.
    fn artifact(&self, key: &ArtifactKey) -> Result<Option<Artifact>, HostFault>;
}

/// Artifacts in memory, for tests and benchmarks.
#[derive(Debug, Default)]
pub struct MemoryArtifacts(Mutex<HashMap<ArtifactKey, Artifact>>);

impl ArtifactStore for MemoryArtifacts {
    fn put(&self, key: &ArtifactKey, artifact: &Artifact) -> Result<(), HostFault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*key, artifact.clone());
        Ok(())
    }

    fn artifact(&self, key: &ArtifactKey) -> Result<Option<Artifact>, HostFault> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }
}

/// Artifacts in a folder, each authenticated with a secret of the home.
#[derive(Debug)]
pub struct DiskArtifacts {
    folder: PathBuf,
    secret: [u8; 32],
}

fn io(error: std::io::Error) -> HostFault {
    HostFault::Artifact(error.to_string())
}

impl DiskArtifacts {
    /// Opens the folder of artifacts; makes it, and the secret, at first use.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(folder: &Path) -> Result<Self, HostFault> {
        fs::create_dir_all(folder).map_err(io)?;
        let path = folder.join("secret");
        let secret = match fs::read(&path) {
            Ok(bytes) => bytes.try_into().map_err(|bytes: Vec<u8>| {
                let found = bytes.len();
                HostFault::Artifact(format!(
                    "{}: {found} bytes where the secret has 32; remove the folder, artifacts are made anew",
                    path.display()
                ))
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut secret = [0; 32];
                getrandom::fill(&mut secret).map_err(|error| HostFault::Artifact(error.to_string()))?;
                write_whole(&path, &[&secret])?;
                secret
            }
            Err(error) => return Err(io(error)),
        };
        Ok(Self { folder: folder.to_owned(), secret })
    }

    fn path(&self, key: &ArtifactKey) -> PathBuf {
        self.folder.join(key.hex())
    }

    fn tag(&self, head: &[u8], body: &[&[u8]]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).ok()?;
        mac.update(head);
        body.iter().for_each(|part| mac.update(part));
        Some(mac)
    }

    /// Checks and takes apart what a file holds.
    fn open_artifact(&self, key: &ArtifactKey, bytes: &[u8]) -> Option<Artifact> {
        let (head, body) = bytes.split_at_checked(HEAD_BYTES)?;
        let (head, tag) = head.split_at(44);
        let mut expected = MAGIC.to_vec();
        expected.extend_from_slice(&FORMAT.to_le_bytes());
        expected.extend_from_slice(&key.0);
        if head != expected {
            return None;
        }
        self.tag(head, &[body])?.verify_slice(tag).ok()?;
        let (length, rest) = body.split_first_chunk::<8>()?;
        let (facts, native) =
            rest.split_at_checked(u64::from_le_bytes(*length).try_into().ok()?)?;
        Some(Artifact { facts: borsh::from_slice(facts).ok()?, native: native.to_vec() })
    }
}

impl ArtifactStore for DiskArtifacts {
    fn put(&self, key: &ArtifactKey, artifact: &Artifact) -> Result<(), HostFault> {
        let facts = borsh::to_vec(&artifact.facts)
            .map_err(|error| HostFault::Artifact(error.to_string()))?;
        let length = (facts.len() as u64).to_le_bytes();
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&FORMAT.to_le_bytes());
        head.extend_from_slice(&key.0);
        let body: [&[u8]; 3] = [&length, &facts, &artifact.native];
        let tag = self
            .tag(&head, &body)
            .ok_or_else(|| HostFault::Bug("a secret of 32 bytes makes a tag".into()))?;
        let tag = tag.finalize().into_bytes();
        write_whole(&self.path(key), &[&head, &tag, body[0], body[1], body[2]])
    }

    fn artifact(&self, key: &ArtifactKey) -> Result<Option<Artifact>, HostFault> {
        let mut bytes = Vec::new();
        match fs::File::open(self.path(key)) {
            Ok(mut file) => file.read_to_end(&mut bytes).map_err(io)?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        Ok(self.open_artifact(key, &bytes))
    }
}

/// Writes a file so that it is there whole or not at all, whenever the process dies.
fn write_whole(path: &Path, parts: &[&[u8]]) -> Result<(), HostFault> {
    use std::os::unix::fs::OpenOptionsExt;
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(&temporary).map_err(io)?;
    for part in parts {
        file.write_all(part).map_err(io)?;
    }
    file.sync_all().map_err(io)?;
    fs::rename(&temporary, path).map_err(io)
}

/// The engines of a home, in the order of their kinds.
pub fn describe(engines: &[EngineKind]) -> String {
    engines.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::InterpreterEngine;

    fn artifact() -> Artifact {
        Artifact {
            facts: Facts {
                visibility: Visibility::Private,
                requires: Grants::ALL,
                imports: vec!["input".into()],
                functions: [("run".to_owned(), true)].into(),
                has_start: false,
                initial_pages: 1,
                grows_memory: true,
                writes_tables: false,
                drops_segments: false,
                shape: Shape::default(),
                data: vec![(8, vec![1, 2])],
                code_bytes: 7,
            },
            native: vec![1, 2, 3, 4],
        }
    }

    fn key(code: u8) -> ArtifactKey {
        let engine = InterpreterEngine::new();
        ArtifactKey::new(&CryptoHash([code; 32]), Visibility::Private, &[0; 32], &engine)
    }

    #[test]
    fn an_artifact_is_read_as_it_was_written() {
        let home = tempfile::tempdir().unwrap();
        let store = DiskArtifacts::open(home.path()).unwrap();
        store.put(&key(1), &artifact()).unwrap();
        let again = DiskArtifacts::open(home.path()).unwrap();
        assert_eq!(again.artifact(&key(1)).unwrap(), Some(artifact()));
        assert_eq!(again.artifact(&key(2)).unwrap(), None);
    }

    #[test]
    fn a_flipped_bit_a_cut_and_a_swap_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let store = DiskArtifacts::open(home.path()).unwrap();
        store.put(&key(1), &artifact()).unwrap();
        let path = store.path(&key(1));
        let whole = fs::read(&path).unwrap();
        for position in 0..whole.len() {
            let mut changed = whole.clone();
            changed[position] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert_eq!(store.artifact(&key(1)).unwrap(), None, "bit flipped at {position}");
            fs::write(&path, &whole[..position]).unwrap();
            assert_eq!(store.artifact(&key(1)).unwrap(), None, "cut at {position}");
        }
        fs::write(store.path(&key(2)), &whole).unwrap();
        assert_eq!(store.artifact(&key(2)).unwrap(), None, "an artifact under another's key");
    }

    #[test]
    fn an_artifact_of_another_home_is_refused() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let one = DiskArtifacts::open(one.path()).unwrap();
        let other = DiskArtifacts::open(other.path()).unwrap();
        one.put(&key(1), &artifact()).unwrap();
        fs::copy(one.path(&key(1)), other.path(&key(1))).unwrap();
        assert_eq!(other.artifact(&key(1)).unwrap(), None);
    }
}
