//! The file under the database: every page that is written carries a checksum, and every page that is read is
//! checked against it. A flipped bit, a cut or a page of another time is an error of kind `InvalidData` before the
//! database sees it, so that damage can neither be taken for data nor make the database panic.
//!
//! ```text
//! offset          bytes
//! 0               512    seal: magic, version, checksum
//! 512             512    head: sequence, the database's own header (320 bytes), checksum
//! 1024            512    acknowledged: sequence, checksum
//! 4096            4096   checksums of group 0: 512 times the xxHash64 of a page, 0 for one never written
//! 8192            2 MiB  group 0: 512 pages of 4096 bytes
//! ...                    checksums of group 1, group 1, and so on
//! ```
//!
//! All numbers are little endian. The first page of the database is its header alone; it is kept in the sector `head`.
//! What is written in one call is at most a sector or belongs to pages that nothing refers to yet (redb copies on
//! write), so that a killed process leaves a file that is whole.
//!
//! **Power cuts.** redb writes a commit's pages and header, then syncs once. After a power cut the header may be
//! there without some of the pages; redb then finds by its own checksums that the commit is not whole, and goes
//! back to the one before. It has to read those pages for this, so [`SealedFile`] lets it, but only while it opens a
//! file whose last header was never acknowledged by a sync (`head.sequence` is not `acknowledged.sequence`): of
//! such a commit nobody was told.

use redb::StorageBackend;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use twox_hash::XxHash64;

const MAGIC: &[u8; 16] = b"cotenant state\r\n";

/// Version of this layout.
pub(super) const LAYOUT_VERSION: u32 = 2;

const PAGE: u64 = 4096;
const SECTOR: usize = 512;
const SUMS: usize = 512;
const GROUP: u64 = (SUMS as u64 + 1) * PAGE;
/// Bytes of the database's header.
const HEADER: usize = 320;
const HEAD_AT: u64 = SECTOR as u64;
const ACKNOWLEDGED_AT: u64 = 2 * SECTOR as u64;

/// Checksums of one group.
struct Group {
    sums: Box<[u64; SUMS]>,
    /// Range that has to be written.
    dirty: Option<(usize, usize)>,
}

struct Inner {
    /// Length that the database knows.
    length: u64,
    groups: Vec<Option<Group>>,
    header: [u8; HEADER],
    sequence: u64,
    acknowledged: u64,
    /// While the database opens a file whose last commit may not be whole: pages that are not as their checksums say.
    lenient: Option<HashSet<u64>>,
}

/// A file with checksums, as redb's storage.
pub(super) struct SealedFile {
    file: File,
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedFile").field("file", &self.file).finish_non_exhaustive()
    }
}

fn sum_of(page: u64, bytes: &[u8]) -> u64 {
    // 0 says that a page was never written. The number of the page is the seed: a page in the place of another is seen.
    XxHash64::oneshot(page, bytes).max(1)
}

fn damaged(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// Place of a page in the file.
fn place(page: u64) -> u64 {
    PAGE + page / SUMS as u64 * GROUP + PAGE + page % SUMS as u64 * PAGE
}

/// A sector of fields, its checksum at the end.
fn sector(fields: &[&[u8]]) -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    let mut at = 0;
    for field in fields {
        bytes[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    }
    let sum = XxHash64::oneshot(0, &bytes[..SECTOR - 8]);
    bytes[SECTOR - 8..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn read_sector(file: &File, at: u64, name: &str) -> io::Result<[u8; SECTOR]> {
    let mut bytes = [0; SECTOR];
    file.read_exact_at(&mut bytes, at).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => damaged(format!("the file ends before its {name}")),
        _ => error,
    })?;
    let (fields, sum) = bytes.split_at(SECTOR - 8);
    if XxHash64::oneshot(0, fields).to_le_bytes() != *sum {
        return Err(damaged(format!("checksum of the {name}")));
    }
    Ok(bytes)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl SealedFile {
    /// Whether a file begins as one of this layout does, of whatever version.
    pub(super) fn is_sealed(file: &File) -> io::Result<bool> {
        let mut magic = [0; MAGIC.len()];
        match file.read_exact_at(&mut magic, 0) {
            Ok(()) => Ok(magic == *MAGIC),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes an empty file one of this layout.
    pub(super) fn create(file: File) -> io::Result<Self> {
        file.write_all_at(&sector(&[MAGIC, &LAYOUT_VERSION.to_le_bytes()]), 0)?;
        let inner = Inner {
            length: 0,
            groups: Vec::new(),
            header: [0; HEADER],
            sequence: 0,
            acknowledged: 0,
            lenient: None,
        };
        let sealed = Self { file, inner: Mutex::new(inner) };
        sealed.write_head(&sealed.lock())?;
        sealed.file.write_all_at(&sector(&[&0u64.to_le_bytes()]), ACKNOWLEDGED_AT)?;
        sealed.file.set_len(PAGE)?;
        Ok(sealed)
    }

    /// Opens a file of this layout.
    pub(super) fn open(file: File) -> io::Result<Self> {
        let seal = read_sector(&file, 0, "seal")?;
        let version = number(&seal[MAGIC.len()..]) as u32;
        if version != LAYOUT_VERSION {
            return Err(damaged(format!(
                "layout version {version}; this Cotenant knows {LAYOUT_VERSION}: use a newer one"
            )));
        }
        let head = read_sector(&file, HEAD_AT, "head")?;
        let acknowledged = read_sector(&file, ACKNOWLEDGED_AT, "record of the last sync")?;
        let mut header = [0; HEADER];
        header.copy_from_slice(&head[8..8 + HEADER]);
        let (sequence, acknowledged) = (number(&head), number(&acknowledged));
        let bytes = file.metadata()?.len().saturating_sub(PAGE);
        let (whole, rest) = (bytes / GROUP, bytes % GROUP);
        if !rest.is_multiple_of(PAGE) {
            return Err(damaged(format!("the file ends within a page, at byte {}", PAGE + bytes)));
        }
        let length = whole * SUMS as u64 * PAGE + rest.saturating_sub(PAGE);
        if length == 0 {
            // The database would take it for a new one.
            return Err(damaged("the file ends before the database".into()));
        }
        let inner = Inner {
            length,
            groups: Vec::new(),
            header,
            sequence,
            acknowledged,
            lenient: (sequence != acknowledged).then(HashSet::new),
        };
        Ok(Self { file, inner: Mutex::new(inner) })
    }

    /// Ends the time in which pages may differ from their checksums: what the database found whole is taken as it
    /// is. To be called when the database is open.
    pub(super) fn trust(&self) -> io::Result<()> {
        let mut inner = self.lock();
        for page in inner.lenient.take().unwrap_or_default() {
            let mut bytes = [0; PAGE as usize];
            self.file.read_exact_at(&mut bytes, place(page))?;
            let sum = sum_of(page, &bytes);
            self.group(&mut inner, page)?.set(page, sum);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics between two changes that belong together.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_head(&self, inner: &Inner) -> io::Result<()> {
        self.file.write_all_at(&sector(&[&inner.sequence.to_le_bytes(), &inner.header]), HEAD_AT)
    }

    /// Writes a part of the first page.
    fn write_header(&self, inner: &mut Inner, within: usize, bytes: &[u8]) -> io::Result<()> {
        let end = (within + bytes.len()).min(HEADER);
        if bytes.iter().skip(end.saturating_sub(within)).any(|byte| *byte != 0) {
            let what = "the header of the database has grown";
            return Err(io::Error::new(ErrorKind::InvalidInput, what));
        }
        if within >= end {
            return Ok(());
        }
        // What the header refers to has its checksums before.
        self.write_sums(inner)?;
        inner.header[within..end].copy_from_slice(&bytes[..end - within]);
        inner.sequence += 1;
        self.write_head(inner)
    }

    /// Checksums of the group of a page.
    fn group<'a>(&self, inner: &'a mut Inner, page: u64) -> io::Result<&'a mut Group> {
        let index =
            usize::try_from(page / SUMS as u64).map_err(|_| damaged("a page number".into()))?;
        if inner.groups.len() <= index {
            inner.groups.resize_with(index + 1, || None);
        }
        let slot = &mut inner.groups[index];
        if slot.is_none() {
            let mut bytes = vec![0; PAGE as usize];
            let mut read = 0;
            // A group that was never written ends before its checksums.
            while read < bytes.len() {
                let at = PAGE + index as u64 * GROUP + read as u64;
                match self.file.read_at(&mut bytes[read..], at)? {
                    0 => break,
                    more => read += more,
                }
            }
            let mut sums = Box::new([0; SUMS]);
            for (sum, bytes) in sums.iter_mut().zip(bytes.chunks_exact(8)) {
                *sum = number(bytes);
            }
            *slot = Some(Group { sums, dirty: None });
        }
        slot.as_mut().ok_or_else(|| damaged("no group".into()))
    }

    /// Writes the checksums that changed.
    fn write_sums(&self, inner: &mut Inner) -> io::Result<()> {
        for (index, group) in inner.groups.iter_mut().enumerate() {
            let Some(group) = group else { continue };
            let Some((from, to)) = group.dirty.take() else { continue };
            let bytes: Vec<u8> =
                group.sums[from..to].iter().flat_map(|sum| sum.to_le_bytes()).collect();
            let at = PAGE + index as u64 * GROUP + from as u64 * 8;
            if let Err(error) = self.file.write_all_at(&bytes, at) {
                group.dirty = Some((from, to));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Reads pages of one group, none of them the first, and checks each.
    fn read_pages(&self, inner: &mut Inner, first: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, place(first)).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => damaged(format!("the file ends near page {first}")),
            _ => error,
        })?;
        for (page, bytes) in (first..).zip(out.chunks_exact(PAGE as usize)) {
            let expected = self.group(inner, page)?.sum(page);
            let whole = match expected {
                0 => bytes.iter().all(|byte| *byte == 0),
                _ => sum_of(page, bytes) == expected,
            };
            match (whole, &mut inner.lenient) {
                (true, _) => {}
                (false, Some(pages)) => {
                    pages.insert(page);
                }
                (false, None) => {
                    let at = place(page);
                    return Err(damaged(format!("checksum of page {page}, byte {at} of the file")));
                }
            }
        }
        Ok(())
    }

    /// Writes pages of one group, none of them the first, and notes their checksums.
    fn write_pages(&self, inner: &mut Inner, first: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, place(first))?;
        for (page, bytes) in (first..).zip(bytes.chunks_exact(PAGE as usize)) {
            if let Some(pages) = &mut inner.lenient {
                pages.remove(&page);
            }
            self.group(inner, page)?.set(page, sum_of(page, bytes));
        }
        Ok(())
    }

    /// Pages whose bytes are not as their checksums say, and how many have one. Pages that nothing refers to are
    /// among them: a killed process may have left such a page without its checksum.
    pub(super) fn differing(file: File) -> io::Result<(Vec<u64>, u64)> {
        let sealed = Self::open(file)?;
        let mut inner = sealed.lock();
        inner.lenient = Some(HashSet::new());
        let mut bytes = [0; PAGE as usize];
        let mut checked = 0;
        for page in 1..inner.length / PAGE {
            if sealed.group(&mut inner, page)?.sum(page) != 0 {
                checked += 1;
                sealed.read_pages(&mut inner, page, &mut bytes)?;
            }
        }
        let mut pages: Vec<u64> = inner.lenient.take().unwrap_or_default().into_iter().collect();
        pages.sort_unstable();
        Ok((pages, checked))
    }
}

/// A piece of a read or write: part of a page, or whole pages of one group.
fn piece(at: u64, left: usize) -> (u64, usize, usize) {
    let (page, within) = (at / PAGE, (at % PAGE) as usize);
    let in_group = (SUMS as u64 - page % SUMS as u64) as usize * PAGE as usize;
    let whole = left.min(in_group) / PAGE as usize * PAGE as usize;
    let more = if page > 0 && within == 0 && whole > 0 {
        whole
    } else {
        (PAGE as usize - within).min(left)
    };
    (page, within, more)
}

impl Group {
    fn sum(&self, page: u64) -> u64 {
        self.sums[(page % SUMS as u64) as usize]
    }

    fn set(&mut self, page: u64, sum: u64) {
        let index = (page % SUMS as u64) as usize;
        self.sums[index] = sum;
        let (from, to) = self.dirty.unwrap_or((index, index + 1));
        self.dirty = Some((from.min(index), to.max(index + 1)));
    }
}

impl StorageBackend for SealedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut inner = self.lock();
        if offset.saturating_add(out.len() as u64) > inner.length {
            return Err(damaged(format!("the file ends before byte {offset} of the database")));
        }
        let mut page_bytes = [0; PAGE as usize];
        let mut done = 0;
        while done < out.len() {
            let (page, within, more) = piece(offset + done as u64, out.len() - done);
            let target = &mut out[done..done + more];
            if page == 0 {
                page_bytes.fill(0);
                page_bytes[..HEADER].copy_from_slice(&inner.header);
                target.copy_from_slice(&page_bytes[within..within + more]);
            } else if more.is_multiple_of(PAGE as usize) {
                self.read_pages(&mut inner, page, target)?;
            } else {
                self.read_pages(&mut inner, page, &mut page_bytes)?;
                target.copy_from_slice(&page_bytes[within..within + more]);
            }
            done += more;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if !len.is_multiple_of(PAGE) {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("{len} bytes are no whole pages"),
            ));
        }
        let mut inner = self.lock();
        let pages = len / PAGE;
        for page in pages..inner.length / PAGE {
            let group = self.group(&mut inner, page)?;
            if group.sum(page) != 0 {
                group.set(page, 0);
            }
        }
        // Before pages go, so do their checksums.
        self.write_sums(&mut inner)?;
        let groups = pages.div_ceil(SUMS as u64);
        self.file.set_len(PAGE + groups * PAGE + pages * PAGE)?;
        inner.length = len;
        inner.groups.truncate(groups as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.lock();
        self.write_sums(&mut inner)?;
        let sequence = inner.sequence;
        drop(inner);
        self.file.sync_data()?;
        let mut inner = self.lock();
        if inner.acknowledged != sequence {
            inner.acknowledged = sequence;
            self.file.write_all_at(&sector(&[&sequence.to_le_bytes()]), ACKNOWLEDGED_AT)?;
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.lock();
        let mut page_bytes = [0; PAGE as usize];
        let mut done = 0;
        while done < data.len() {
            let (page, within, more) = piece(offset + done as u64, data.len() - done);
            let source = &data[done..done + more];
            done += more;
            if page == 0 {
                self.write_header(&mut inner, within, source)?;
            } else if more.is_multiple_of(PAGE as usize) {
                self.write_pages(&mut inner, page, source)?;
            } else {
                self.read_pages(&mut inner, page, &mut page_bytes)?;
                page_bytes[within..within + more].copy_from_slice(source);
                self.write_pages(&mut inner, page, &page_bytes)?;
            }
        }
        Ok(())
    }
}
