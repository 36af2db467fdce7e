//! Compiled artifacts: what is stored, under which key, and how it is authenticated. An artifact of the native engine is
//! machine code, so only bytes that this host wrote are ever loaded: [`AuthenticArtifact`] has no other source than the
//! compiler (`AuthenticArtifact::compile`) and the check of the tag (`Seal::open`).
//!
//! ```text
//! offset  bytes
//! 0       8      magic "cotenant"
//! 8       4      format version, little endian
//! 12      32     key: see [`ArtifactKey`]
//! 44      32     HMAC-SHA256 with the home's secret over bytes 0..44 and everything from 76
//! 76      1      1 if a deploy accepted the module under the rules of this key
//! 77      8      length of the facts, little endian
//! 85      n      facts, borsh
//! 85+n    ...    what the engine loads: native code, or the metered module for the interpreter
//! ```

mod disk;

pub use disk::DiskArtifacts;

use crate::compile::{CompileFailure, Compiler};
use crate::engine::{EngineKind, Shape};
use cotenant_submodules::{Grants, Visibility};
use hmac::{Hmac, Mac};
use near_primitives_core::hash::CryptoHash;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::sync::atomic::AtomicBool;

const MAGIC: &[u8; 8] = b"cotenant";

/// Version of this format; part of every key.
const FORMAT: u32 = 3;

/// Bytes before the tag.
const NAMED_BYTES: usize = 44;

const HEAD_BYTES: usize = 76;

/// Names an artifact by everything that could change it: code, kind, gas schedule and limits and instrumenter (the
/// schedule's fingerprint has all three), engine with version, target and CPU features, and the version of this format.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    borsh::BorshSerialize,
    borsh::BorshDeserialize,
)]
pub struct ArtifactKey([u8; 32]);

impl ArtifactKey {
    /// Returns the key of a module for an engine with this fingerprint.
    pub fn new(
        code: &CryptoHash,
        visibility: Visibility,
        schedule: &[u8; 32],
        engine: &str,
    ) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(FORMAT.to_le_bytes());
        hasher.update(code.0);
        hasher.update([match visibility {
            Visibility::Public => 0,
            Visibility::Private => 1,
        }]);
        hasher.update(schedule);
        hasher.update(engine);
        Self(hasher.finalize().into())
    }

    /// Returns the 64 hexadecimal digits that name its file.
    pub fn hex(&self) -> String {
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
    /// Pages it can grow to.
    pub max_pages: u32,
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

/// An artifact that this process compiled, or whose tag it checked: the only thing that an engine loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticArtifact {
    engine: EngineKind,
    accepted: bool,
    facts: Facts,
    /// The code, from `start` on.
    bytes: Vec<u8>,
    start: usize,
}

impl AuthenticArtifact {
    /// Takes a metered module as what the interpreter loads. `accepted`: a deploy is about to decide that it is fit.
    pub(crate) fn stand_in(facts: Facts, metered: Vec<u8>, accepted: bool) -> Self {
        Self { engine: EngineKind::Wasmi, accepted, facts, bytes: metered, start: 0 }
    }

    /// Compiles a metered module to native code, in this process on so many threads, or on as many as there are cores.
    ///
    /// # Errors
    /// Why the compiler did not.
    pub(crate) fn compile(
        compiler: &Compiler,
        stand_in: &AuthenticArtifact,
        threads: Option<NonZero<usize>>,
        cancelled: &AtomicBool,
    ) -> Result<Self, CompileFailure> {
        let bytes = compiler.compile(stand_in.code(), threads, cancelled)?;
        let facts = stand_in.facts.clone();
        Ok(Self {
            engine: EngineKind::Cranelift,
            accepted: stand_in.accepted,
            facts,
            bytes,
            start: 0,
        })
    }

    /// Which engine loads it.
    pub fn engine(&self) -> EngineKind {
        self.engine
    }

    /// Whether a deploy accepted the module under today's rules. A module of an older home may be callable without.
    pub fn accepted(&self) -> bool {
        self.accepted
    }

    /// What the host has to know of the module.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the engine loads.
    pub fn code(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// Where the bytes of artifacts are kept. A store vouches for nothing: what it gives is checked by [`Seal::open`].
pub(crate) trait ArtifactStore: Send + Sync {
    /// Stores a file of these parts, whole or not at all, and returns its length in bytes.
    ///
    /// # Errors
    /// The disk failed.
    fn put(&self, name: &str, parts: &[&[u8]]) -> io::Result<u64>;

    /// Returns the bytes of a file; `None` if there is none.
    ///
    /// # Errors
    /// The disk failed.
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// The disk failed.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns the names of all artifacts with their lengths in bytes, and drops what a dead process left half-written.
    ///
    /// # Errors
    /// The disk failed.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;
}

/// Authenticates artifacts with a secret of the home.
pub(crate) struct Seal {
    secret: [u8; 32],
}

impl Seal {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    fn tag(&self, named: &[u8], body: &[&[u8]]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).ok()?;
        mac.update(named);
        body.iter().for_each(|part| mac.update(part));
        Some(mac)
    }

    fn named(key: &ArtifactKey) -> Vec<u8> {
        let mut named = MAGIC.to_vec();
        named.extend_from_slice(&FORMAT.to_le_bytes());
        named.extend_from_slice(&key.0);
        named
    }

    /// Returns everything of the file of an artifact that stands before its code; `None` if the facts cannot be encoded.
    pub(crate) fn seal(&self, key: &ArtifactKey, artifact: &AuthenticArtifact) -> Option<Vec<u8>> {
        let facts = borsh::to_vec(&artifact.facts).ok()?;
        let accepted = [u8::from(artifact.accepted)];
        let length = (facts.len() as u64).to_le_bytes();
        let mut file = Self::named(key);
        let tag = self.tag(&file, &[&accepted, &length, &facts, artifact.code()])?;
        file.extend_from_slice(&tag.finalize().into_bytes());
        file.extend_from_slice(&accepted);
        file.extend_from_slice(&length);
        file.extend_from_slice(&facts);
        Some(file)
    }

    /// Checks and takes apart what a file holds; `None` unless this home wrote it under this very key.
    pub(crate) fn open(
        &self,
        key: &ArtifactKey,
        engine: EngineKind,
        bytes: Vec<u8>,
    ) -> Option<AuthenticArtifact> {
        let (head, body) = bytes.split_at_checked(HEAD_BYTES)?;
        let (named, tag) = head.split_at(NAMED_BYTES);
        if named != Self::named(key) {
            return None;
        }
        self.tag(named, &[body])?.verify_slice(tag).ok()?;
        let (accepted, rest) = body.split_first()?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (facts, code) = rest.split_at_checked(u64::from_le_bytes(*length).try_into().ok()?)?;
        let (accepted, facts) = (*accepted == 1, borsh::from_slice(facts).ok()?);
        let start = bytes.len() - code.len();
        Some(AuthenticArtifact { engine, accepted, facts, bytes, start })
    }
}

/// The engines of a home, in the order of their kinds.
pub fn describe(engines: &[EngineKind]) -> String {
    engines.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact() -> AuthenticArtifact {
        let facts = Facts {
            visibility: Visibility::Private,
            requires: Grants::ALL,
            imports: vec!["input".into()],
            functions: [("run".to_owned(), true)].into(),
            has_start: false,
            initial_pages: 1,
            max_pages: 2,
            grows_memory: true,
            writes_tables: false,
            drops_segments: false,
            shape: Shape::default(),
            data: vec![(8, vec![1, 2])],
            code_bytes: 7,
        };
        AuthenticArtifact::stand_in(facts, vec![1, 2, 3, 4], true)
    }

    fn key(code: u8) -> ArtifactKey {
        ArtifactKey::new(&CryptoHash([code; 32]), Visibility::Private, &[0; 32], "an engine")
    }

    fn file(seal: &Seal, key: &ArtifactKey) -> Vec<u8> {
        let artifact = artifact();
        [&seal.seal(key, &artifact).unwrap(), artifact.code()].concat()
    }

    fn open(seal: &Seal, key: &ArtifactKey, bytes: &[u8]) -> Option<AuthenticArtifact> {
        seal.open(key, EngineKind::Wasmi, bytes.to_vec())
    }

    #[test]
    fn an_artifact_is_read_as_it_was_written() {
        let seal = Seal::new([3; 32]);
        let read = open(&seal, &key(1), &file(&seal, &key(1))).unwrap();
        assert_eq!((read.facts(), read.code()), (artifact().facts(), artifact().code()));
        assert!(read.accepted());
    }

    #[test]
    fn a_flipped_bit_a_cut_and_a_swap_are_refused() {
        let seal = Seal::new([3; 32]);
        let whole = file(&seal, &key(1));
        for position in 0..whole.len() {
            let mut changed = whole.clone();
            changed[position] ^= 1;
            assert!(open(&seal, &key(1), &changed).is_none(), "bit flipped at {position}");
            assert!(open(&seal, &key(1), &whole[..position]).is_none(), "cut at {position}");
        }
        let longer = [whole.as_slice(), &[0]].concat();
        assert!(open(&seal, &key(1), &longer).is_none(), "a byte behind the end");
        assert!(open(&seal, &key(2), &whole).is_none(), "an artifact under another's key");
    }

    #[test]
    fn an_artifact_of_another_home_is_refused() {
        let (one, other) = (Seal::new([1; 32]), Seal::new([2; 32]));
        assert!(open(&other, &key(1), &file(&one, &key(1))).is_none());
    }
}
