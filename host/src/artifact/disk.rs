//! Artifacts in a folder of the home: one file a key, one with the home's secret, one index.

use super::ArtifactStore;
use crate::HostFault;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Ending of a file that is not whole yet.
const TEMPORARY: &str = "tmp";

/// Length of the name of an artifact: its key in hexadecimal.
const NAME_DIGITS: usize = 64;

/// A folder of artifacts. What it holds was written by anybody: only a tag that fits the secret makes it ours.
#[derive(Debug)]
pub struct DiskArtifacts {
    folder: PathBuf,
    secret: [u8; 32],
}

impl DiskArtifacts {
    /// Opens the folder; makes it, and the secret, at first use.
    ///
    /// # Errors
    /// [`HostFault::Artifact`] if the disk fails or the secret has not 32 bytes.
    pub fn open(folder: &Path) -> Result<Self, HostFault> {
        let io = |error: io::Error| HostFault::Artifact(format!("{}: {error}", folder.display()));
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
                write_whole(&path, &[&secret], true).map_err(io)?;
                secret
            }
            Err(error) => return Err(io(error)),
        };
        Ok(Self { folder: folder.to_owned(), secret })
    }

    pub(crate) fn secret(&self) -> [u8; 32] {
        self.secret
    }
}

impl ArtifactStore for DiskArtifacts {
    // Not synced: a file that a power failure cuts is refused by its tag and made anew.
    fn put(&self, name: &str, parts: &[&[u8]]) -> io::Result<u64> {
        write_whole(&self.folder.join(name), parts, false)?;
        Ok(parts.iter().map(|part| part.len() as u64).sum())
    }

    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        match fs::File::open(self.folder.join(name)) {
            Ok(mut file) => file.read_to_end(&mut bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(bytes))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // One process has a home open at a time, and it renames before it lists.
            if entry.path().extension().is_some_and(|end| end == TEMPORARY) {
                fs::remove_file(entry.path())?;
            } else if name.len() == NAME_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit())
            {
                found.push((name, entry.metadata()?.len()));
            }
        }
        Ok(found)
    }
}

/// Writes a file so that it is there whole or not at all, whenever the process dies.
fn write_whole(path: &Path, parts: &[&[u8]], durable: bool) -> io::Result<()> {
    let temporary = path.with_extension(TEMPORARY);
    let written = (|| {
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        for part in parts {
            file.write_all(part)?;
        }
        if durable { file.sync_all() } else { Ok(()) }
    })();
    let placed = written.and_then(|()| fs::rename(&temporary, path));
    if placed.is_err() {
        // The disk may be full: what was written of it would stay in the way.
        let _ = fs::remove_file(&temporary);
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_listed_and_what_a_dead_process_left_is_dropped() {
        let home = tempfile::tempdir().unwrap();
        let store = DiskArtifacts::open(home.path()).unwrap();
        let name = "a".repeat(NAME_DIGITS);
        assert_eq!(store.put(&name, &[b"ab", b"c"]).unwrap(), 3);
        store.put("index", &[b"other"]).unwrap();
        let half = home.path().join("b".repeat(NAME_DIGITS)).with_extension(TEMPORARY);
        fs::write(&half, b"half").unwrap();
        assert_eq!(store.list().unwrap(), vec![(name.clone(), 3)]);
        assert!(!half.exists());
        assert_eq!(store.get(&name).unwrap().unwrap(), b"abc");
        store.remove(&name).unwrap();
        store.remove(&name).unwrap();
        assert_eq!(store.get(&name).unwrap(), None);
    }

    #[test]
    fn the_secret_stays_and_nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let secret = DiskArtifacts::open(home.path()).unwrap().secret();
        assert_eq!(DiskArtifacts::open(home.path()).unwrap().secret(), secret);
        let mode = fs::metadata(home.path().join("secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let store = DiskArtifacts::open(home.path()).unwrap();
        // A folder in the place of the file: the rename fails as it would on a disk that is full.
        let name = "c".repeat(NAME_DIGITS);
        fs::create_dir(home.path().join(&name)).unwrap();
        fs::write(home.path().join(&name).join("x"), b"").unwrap();
        assert!(store.put(&name, &[b"abc"]).is_err());
        let left: Vec<_> =
            fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(TEMPORARY)), "{left:?}");
    }
}
