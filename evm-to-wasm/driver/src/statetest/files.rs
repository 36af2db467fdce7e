//! State tests from files, folders and archives.

use std::fs;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes of one file of tests, or of an archive unpacked: several times the largest there is.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A file that may hold state tests.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// Its path; in an archive that of the archive, then its own.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Why tests cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system says no.
    #[error("{path}: {reason}")]
    Unreadable {
        /// Which path.
        path: PathBuf,
        /// What it says.
        reason: std::io::Error,
    },
    /// An archive that cannot be unpacked.
    #[error("{path}: not a .tar.xz archive: {reason}")]
    Archive {
        /// Which archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Larger than what is read.
    #[error("{path}: more than {limit} bytes; no file of tests is so large")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// There is nothing to run.
    #[error("{path}: no .json file there; give files, folders or .tar.xz archives of state tests")]
    Nothing {
        /// Which path.
        path: PathBuf,
    },
}

/// Reads the tests of paths: files as they are, folders and archives all their `.json` files, in the order of
/// their names.
///
/// # Errors
/// What cannot be read, or a path with no tests at all.
pub fn read(paths: &[PathBuf]) -> Result<Vec<TestFile>, ReadError> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        read_path(path, &mut files)?;
        if files.len() == before {
            return Err(ReadError::Nothing { path: path.clone() });
        }
    }
    Ok(files)
}

fn read_path(path: &Path, files: &mut Vec<TestFile>) -> Result<(), ReadError> {
    let unreadable = |reason| ReadError::Unreadable { path: path.to_owned(), reason };
    let facts = fs::metadata(path).map_err(unreadable)?;
    if facts.is_dir() {
        let entries = fs::read_dir(path).map_err(unreadable)?;
        let entries: Result<Vec<_>, _> = entries.map(|entry| entry.map(|e| e.path())).collect();
        let mut entries = entries.map_err(unreadable)?;
        entries.sort();
        for entry in entries {
            if entry.is_dir() || is_json(&entry) {
                read_path(&entry, files)?;
            }
        }
        return Ok(());
    }
    if facts.len() > FILE_BYTES_MAX {
        return Err(ReadError::TooLarge { path: path.to_owned(), limit: FILE_BYTES_MAX });
    }
    if path.to_string_lossy().ends_with(".tar.xz") {
        return read_archive(path, files);
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    files.push(TestFile { name: path.display().to_string(), bytes });
    Ok(())
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn read_archive(path: &Path, files: &mut Vec<TestFile>) -> Result<(), ReadError> {
    let unreadable = |reason| ReadError::Unreadable { path: path.to_owned(), reason };
    let broken = |reason: String| ReadError::Archive { path: path.to_owned(), reason };
    let mut packed = BufReader::new(fs::File::open(path).map_err(unreadable)?);
    let mut unpacked = Bounded { bytes: Vec::new() };
    lzma_rs::xz_decompress(&mut packed, &mut unpacked)
        .map_err(|error| broken(error.to_string()))?;
    let mut archive = tar::Archive::new(unpacked.bytes.as_slice());
    let before = files.len();
    for entry in archive.entries().map_err(|error| broken(error.to_string()))? {
        let mut entry = entry.map_err(|error| broken(error.to_string()))?;
        let inner = entry.path().map_err(|error| broken(error.to_string()))?.into_owned();
        if !entry.header().entry_type().is_file() || !is_json(&inner) {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| broken(error.to_string()))?;
        let inner = inner.strip_prefix(".").unwrap_or(&inner);
        let name = format!("{}/{}", path.display(), inner.display());
        files.push(TestFile { name, bytes });
    }
    files[before..].sort_by(|one, other| one.name.cmp(&other.name));
    Ok(())
}

/// Takes what is unpacked, up to a limit: a small archive may unpack to anything.
struct Bounded {
    bytes: Vec<u8>,
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if (self.bytes.len() + bytes.len()) as u64 > FILE_BYTES_MAX {
            let message = format!("it unpacks to more than {FILE_BYTES_MAX} bytes");
            return Err(std::io::Error::other(message));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
