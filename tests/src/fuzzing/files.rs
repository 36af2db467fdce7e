//! Files of a home that were changed: an artifact costs time and nothing else, damage of the state is named.

use cotenant_host::compile::Compile;
use cotenant_host::engine::EngineKind;
use cotenant_host::runtime::Status;
use cotenant_host::state::DiskStore;
use cotenant_host::{Call, Host, Options};
use cotenant_submodules::{ModuleId, Visibility};
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

const MODULE: &str = r#"(module
  (import "env" "storage_write" (func $write (param i64 i64 i64 i64 i64) (result i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (memory 1) (data (i32.const 0) "a key and a value") (global $calls (mut i64) (i64.const 41))
  (func (export "run")
    (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
    (i64.store (i32.const 64) (global.get $calls))
    (drop (call $write (i64.const 5) (i64.const 0) (i64.const 11) (i64.const 6) (i64.const 0)))
    (call $value_return (i64.const 8) (i64.const 64))))"#;

/// A home, and its files as they were written.
struct Bench {
    home: tempfile::TempDir,
    files: Vec<(PathBuf, Vec<u8>)>,
}

fn options() -> Options {
    Options {
        engines: vec![EngineKind::Cranelift],
        compile: Some(Compile::Wait),
        ..Options::default()
    }
}

fn module() -> ModuleId {
    "alice.near".parse().unwrap_or_else(|_| unreachable!("a literal module"))
}

fn read_below(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_below(&path, files);
        } else if let Ok(bytes) = fs::read(&path) {
            files.push((path, bytes));
        }
    }
    files.sort();
}

impl Bench {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let host = Host::open(home.path(), &options()).unwrap_or_else(|error| panic!("{error}"));
        let code = wat::parse_str(MODULE).unwrap_or_else(|error| panic!("{error}"));
        host.deploy(&module(), Visibility::Public, &code).unwrap_or_else(|error| panic!("{error}"));
        drop(host);
        let mut files = Vec::new();
        read_below(home.path(), &mut files);
        Self { home, files }
    }

    /// Puts every file back, then changes one of those that `chosen` names.
    fn change(&self, input: &[u8], chosen: impl Fn(&Path) -> bool) {
        let mut now = Vec::new();
        read_below(self.home.path(), &mut now);
        for (path, _) in
            now.iter().filter(|(path, _)| self.files.iter().all(|(known, _)| known != path))
        {
            let _ = fs::remove_file(path);
        }
        for (path, bytes) in &self.files {
            fs::write(path, bytes).unwrap_or_else(|error| panic!("{error}"));
        }
        let files: Vec<_> = self.files.iter().filter(|(path, _)| chosen(path)).collect();
        let (Some((which, changes)), false) = (input.split_first(), files.is_empty()) else {
            return;
        };
        let (path, bytes) = files[usize::from(*which) % files.len()];
        fs::write(path, changed(bytes, changes)).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// A change is four bytes: what is done, a place in two, a value. The place is a part of the file.
fn changed(bytes: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes.chunks_exact(4).take(16) {
        let place = usize::from(u16::from_le_bytes([change[1], change[2]]));
        if bytes.is_empty() {
            break;
        }
        let at = match change[0] & 1 {
            // Heads are where most of the meaning is.
            0 => place % bytes.len().min(8_192),
            _ => place * bytes.len() / 65_536,
        };
        match change[0] >> 1 & 7 {
            0 => bytes[at] ^= change[3],
            1 => bytes[at] = change[3],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, change[3]),
            4 => drop(bytes.remove(at)),
            5 => {
                let page = 4_096.min(bytes.len());
                let (from, to) = (at / page * page, usize::from(change[3]) * page % bytes.len());
                let length = page.min(bytes.len() - from).min(bytes.len() - to);
                bytes.copy_within(from..from + length, to);
            }
            6 => bytes[at..].fill(change[3]),
            _ => bytes.extend(std::iter::repeat_n(change[3], place)),
        }
    }
    bytes
}

thread_local! {
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

/// A file among the compiled artifacts is another than was written: the call is as it was.
pub fn artifact(input: &[u8]) {
    BENCH.with_borrow_mut(|bench| {
        let bench = bench.get_or_insert_with(Bench::new);
        bench.change(input, |path| path.components().any(|part| part.as_os_str() == "artifacts"));
        let host = match Host::open(bench.home.path(), &options()) {
            Ok(host) => host,
            // The folder's secret: without it no artifact is believed, and the home says so.
            Err(error) => return assert!(error.to_string().contains("artifacts"), "{error}"),
        };
        let outcome =
            host.call(&Call::new(module(), "run")).unwrap_or_else(|error| panic!("{error}"));
        match outcome.status() {
            Some(Status::SuccessValue(value)) => assert_eq!(*value, 42_u64.to_le_bytes()),
            other => panic!("{other:?}"),
        }
    });
}

/// The state file is another than was written: all of it is right, or its damage is named.
pub fn state(input: &[u8]) {
    BENCH.with_borrow_mut(|bench| {
        let bench = bench.get_or_insert_with(Bench::new);
        bench.change(input, |path| path.ends_with("state.redb"));
        let named = |error: &str| error.contains("state.redb") || error.contains("hint:");
        let called = Host::open(bench.home.path(), &options()).and_then(|host| {
            let outcome = host.call(&Call::new(module(), "run"))?;
            Ok(format!("{:?}", outcome.status()))
        });
        match called {
            Ok(status) => {
                let expected = Status::SuccessValue(42_u64.to_le_bytes().to_vec());
                assert_eq!(status, format!("{:?}", Some(expected)));
            }
            Err(error) => assert!(named(&error.to_string()), "{error}"),
        }
        if let Err(error) = DiskStore::open(bench.home.path(), None) {
            assert!(named(&error.to_string()), "{error}");
        }
    });
}

/// One change of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let change = |kind: u8, place: u16, value: u8| {
        let [low, high] = place.to_le_bytes();
        vec![kind, kind, low, high, value]
    };
    let mut seeds = vec![Vec::new()];
    for kind in 0..16 {
        for place in [0, 9, 100, 4_000, 30_000, u16::MAX] {
            seeds.push(change(kind, place, 1 << (kind % 8)));
        }
    }
    seeds
}
