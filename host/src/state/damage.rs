//! Damage of the state file, and deaths while it is written: right or an error, never wrong and never a panic.

use super::sealed::SealedFile;
use super::*;
use crate::fault::DiskFault;
use proptest::prelude::*;
use redb::{Builder, Database, ReadableDatabase, StorageBackend, TableDefinition};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A generator for tests: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn change(&mut self) -> (Vec<u8>, Option<Vec<u8>>) {
        // Beside the keys of `keys`, so that the records of the home stay.
        let key = vec![200, self.below(60) as u8];
        let length = match self.below(12) {
            0 => 4_096 + self.below(80_000),
            1..4 => self.below(6_000),
            _ => self.below(80),
        };
        let byte = self.below(256) as u8;
        let value = (0..length).map(|index| byte ^ index as u8).collect();
        (key, (self.below(4) > 0).then_some(value))
    }

    fn batch(&mut self, map: &mut Map) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..=self.below(12) {
            match self.change() {
                (key, Some(value)) => {
                    map.insert(key.clone(), value.clone());
                    batch.put(key, value);
                }
                (key, None) => {
                    map.remove(&key);
                    batch.delete(key);
                }
            }
        }
        batch
    }
}

fn read(store: &DiskStore) -> Result<Map, HostFault> {
    let mut map = Map::new();
    store.snapshot()?.scan(&[], &mut |key, value| {
        map.insert(key.to_vec(), value.to_vec());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(map)
}

fn filled(home: &Path, seed: u64) -> Map {
    let store = DiskStore::open(home, None).unwrap();
    let mut random = Random(seed);
    for _ in 0..30 {
        store.commit(&random.batch(&mut Map::new())).unwrap();
    }
    read(&store).unwrap()
}

/// What opening and reading everything gives: the state, or damage. `None` is damage.
fn attempt(home: &Path) -> Option<Map> {
    let read = DiskStore::open(home, None).and_then(|store| Ok(read(&store)?));
    match read {
        Ok(map) => Some(map),
        Err(OpenError::Damaged(fault) | OpenError::Fault(HostFault::Disk(fault))) => {
            assert!(fault.is_damage(), "{fault}");
            let text = fault.to_string();
            assert!(text.contains(STATE_FILE) && text.contains("hint:"), "{text}");
            None
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn flipped_bits_and_cuts_are_seen_or_do_no_harm() {
    let home = tempfile::tempdir().unwrap();
    let whole_map = filled(home.path(), 77);
    let path = home.path().join(STATE_FILE);
    let whole = fs::read(&path).unwrap();
    let mut random = Random(99);
    let mut seen = 0;
    for round in 0..300u64 {
        let mut bytes = whole.clone();
        let what = match round % 6 {
            0 => {
                bytes.truncate(random.below(whole.len() as u64) as usize);
                "cut"
            }
            1 => {
                bytes.truncate((random.below(whole.len() as u64) / 4096 * 4096) as usize);
                "cut at a page"
            }
            2 => {
                // The head of the file and the first checksums.
                bytes[random.below(8_192) as usize] ^= 1 << random.below(8);
                "bit of the head"
            }
            3 => {
                let pages = whole.len() as u64 / 4096;
                let (from, to) = (random.below(pages) as usize, random.below(pages) as usize);
                bytes.copy_within(from * 4096..(from + 1) * 4096, to * 4096);
                "page in the place of another"
            }
            _ => {
                bytes[random.below(whole.len() as u64) as usize] ^= 1 << random.below(8);
                "bit"
            }
        };
        fs::write(&path, &bytes).unwrap();
        match attempt(home.path()) {
            Some(map) => assert!(map == whole_map, "{what} in round {round}: wrong data"),
            None => seen += 1,
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn every_bit_of_a_record_is_seen_by_a_scrub() {
    let home = tempfile::tempdir().unwrap();
    let store = DiskStore::open(home.path(), None).unwrap();
    let marker = b"a value that is easy to find in a file".to_vec();
    let mut batch = Batch::default();
    let key = keys::storage(&"a.near".parse().unwrap(), &"".parse().unwrap(), b"key");
    batch.put(key, marker.clone());
    store.commit(&batch).unwrap();
    drop(store);
    let scrubbed = scrub(home.path()).unwrap();
    assert_eq!(scrubbed.records, BTreeMap::from([(0, 3), (6, 1)]));
    let path = home.path().join(STATE_FILE);
    let whole = fs::read(&path).unwrap();
    let places = whole.windows(marker.len()).enumerate().filter(|(_, bytes)| *bytes == marker);
    let places: Vec<usize> = places.map(|(at, _)| at).collect();
    // The copies of commits before are not read; flipped all at once, one of them is the state's.
    for bit in 0..marker.len() * 8 {
        let mut bytes = whole.clone();
        places.iter().for_each(|at| bytes[at + bit / 8] ^= 1 << (bit % 8));
        fs::write(&path, &bytes).unwrap();
        let error = scrub(home.path()).unwrap_err();
        assert!(matches!(error, OpenError::Damaged(DiskFault::Damaged { .. })), "{bit}: {error}");
        assert!(error.to_string().contains("differ"), "{error}");
    }
    fs::write(&path, &whole).unwrap();
    assert!(scrub(home.path()).is_ok());
}

#[test]
fn a_state_of_before_the_checksums_is_written_anew_once() {
    let home = tempfile::tempdir().unwrap();
    let expected = filled(home.path(), 5);
    let path = home.path().join(STATE_FILE);
    fs::remove_file(&path).unwrap();
    {
        let table: TableDefinition<'static, &'static [u8], &'static [u8]> =
            TableDefinition::new("state");
        let database = Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(table).unwrap();
            for (key, value) in &expected {
                table.insert(key.as_slice(), value.as_slice()).unwrap();
            }
        }
        transaction.commit().unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    }
    let plain = fs::read(&path).unwrap();
    for _ in 0..2 {
        assert_eq!(attempt(home.path()).as_ref(), Some(&expected));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(SealedFile::is_sealed(&File::open(&path).unwrap()).unwrap());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    // What is damaged already is not sealed: it is refused, and stays as it was.
    let mut bytes = plain.clone();
    let at = bytes.windows(6).position(|six| six.iter().all(|byte| *byte == six[0] && *byte != 0));
    bytes[at.unwrap_or(5_000)] ^= 1;
    for bytes in [bytes, plain[..plain.len() / 2].to_vec()] {
        fs::write(&path, &bytes).unwrap();
        match attempt(home.path()) {
            None => assert!(!SealedFile::is_sealed(&File::open(&path).unwrap()).unwrap()),
            Some(map) => assert_eq!(map, expected),
        }
    }
}

#[test]
fn a_home_is_its_users_alone() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("new/home");
    drop(DiskStore::open(&home, None).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&home), mode(&home.join(STATE_FILE))), (0o700, 0o600));
}

/// A storage that dies at some moment: nothing after it happens.
#[derive(Debug)]
struct Mortal {
    file: Arc<SealedFile>,
    left: Arc<AtomicU64>,
}

impl Mortal {
    fn live(&self) -> io::Result<()> {
        let lives = |left: u64| left.checked_sub(1);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lives) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::other("dead")),
        }
    }
}

impl StorageBackend for Mortal {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.live()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.live()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.live()?;
        self.file.write(offset, data)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_death_at_any_write_leaves_the_state_before_or_after(seed in 1u64.., lives in 0u64..160) {
        let home = tempfile::tempdir().unwrap();
        let mut before = filled(home.path(), seed);
        let path = home.path().join(STATE_FILE);
        let table: TableDefinition<'static, &'static [u8], &'static [u8]> =
            TableDefinition::new("state");
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let file = Arc::new(SealedFile::open(file).unwrap());
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let mortal = Mortal { file: file.clone(), left: left.clone() };
        let database = Builder::new().create_with_backend(mortal).unwrap();
        file.trust().unwrap();
        left.store(lives, Ordering::Relaxed);
        let mut random = Random(seed ^ 0xabcdef);
        let mut after = before.clone();
        for _ in 0..20 {
            let batch = random.batch(&mut after);
            let commit = || -> std::result::Result<(), redb::Error> {
                let transaction = database.begin_write()?;
                {
                    let mut table = transaction.open_table(table)?;
                    for (key, value) in batch.iter() {
                        match value {
                            Some(value) => table.insert(key, value)?,
                            None => table.remove(key)?,
                        };
                    }
                }
                Ok(transaction.commit()?)
            };
            if commit().is_err() {
                break;
            }
            before = after.clone();
        }
        drop(database.begin_read().map(drop));
        drop(database);
        drop(file);
        let found = attempt(home.path());
        prop_assert!(found.is_some(), "damaged after {lives} writes");
        let found = found.unwrap_or_default();
        prop_assert!(found == before || found == after, "neither before nor after");
    }
}
