//! Checks everything that a state has: pages, records, and what must agree among them.

use crate::HostFault;
use crate::fault::DiskFault;
use crate::runtime::check_history_record;
use crate::runtime::{PendingYield, Queued, Receipt};
use crate::state::disk::{DiskStore, OpenError, STATE_FILE};
use crate::state::sealed::SealedFile;
use crate::state::{AccessKey, Account, Head, Store, WorkingState, keys, records};
use crate::view::ModuleRecord;
use borsh::BorshDeserialize;
use near_account_id::AccountId;
use near_primitives_core::hash::CryptoHash;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;

/// What a scrub has checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Scrubbed {
    /// Pages with a checksum.
    pub pages: u64,
    /// Records, by the first byte of their keys ([`keys`]).
    pub records: BTreeMap<u8, u64>,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// Reads the whole state of a home and checks it.
///
/// # Errors
/// The home cannot be opened, or the first damage; pages that differ from their checksums are all named.
pub fn scrub(home: &Path) -> Result<Scrubbed, OpenError> {
    let path = home.join(STATE_FILE);
    let checked = || -> Result<Scrubbed, OpenError> {
        let mut store = DiskStore::open(home, None)?;
        store.check_pages()?;
        Ok(check_records(&store)?)
    };
    let result = checked();
    let pages = File::open(&path)
        .and_then(SealedFile::differing)
        .map_err(|source| OpenError::Io { path: path.clone(), source });
    match result {
        Ok(mut scrubbed) => {
            scrubbed.pages = pages?.1;
            Ok(scrubbed)
        }
        Err(OpenError::Damaged(fault) | OpenError::Fault(HostFault::Disk(fault))) => {
            let all = pages.map(|(pages, _)| pages).unwrap_or_default();
            Err(with_pages(fault.in_file(&path), &all).into())
        }
        Err(other) => Err(other),
    }
}

/// The fault with the list of all pages that differ from their checksums.
fn with_pages(fault: DiskFault, pages: &[u64]) -> DiskFault {
    match fault {
        DiskFault::Damaged { path, rule, place } if !pages.is_empty() => {
            let listed: Vec<String> = pages.iter().take(16).map(u64::to_string).collect();
            let more = if pages.len() > listed.len() { ", and more" } else { "" };
            let (count, listed) = (pages.len(), listed.join(", "));
            let place = format!("{place}; {count} pages differ in all: {listed}{more}");
            DiskFault::Damaged { path, rule, place }
        }
        other => other,
    }
}

fn decodes<T: BorshDeserialize>(key: &[u8], value: &[u8]) -> Result<(), HostFault> {
    records::decode::<T>(key, value).map(drop)
}

/// Decodes every record, and compares code with its hash and its number of uses.
fn check_records(store: &dyn Store) -> Result<Scrubbed, HostFault> {
    let state = WorkingState::of(store)?;
    let mut scrubbed = Scrubbed::default();
    let mut uses: BTreeMap<CryptoHash, u64> = BTreeMap::new();
    let mut counted: BTreeMap<CryptoHash, u64> = BTreeMap::new();
    let mut codes = Vec::new();
    state.scan(&[], |key, value| {
        let kind = key.first().copied().unwrap_or_default();
        *scrubbed.records.entry(kind).or_default() += 1;
        scrubbed.bytes += (key.len() + value.len()) as u64;
        match kind {
            0 if key == keys::head() => decodes::<Head>(key, value)?,
            0 => decodes::<u32>(key, value)?,
            1 => decodes::<Account>(key, value)?,
            2 => decodes::<AccessKey>(key, value)?,
            3 => {
                let module: ModuleRecord = records::decode(key, value)?;
                *uses.entry(module.code_hash).or_default() += 1;
            }
            4 => {
                let hash = CryptoHash::hash_bytes(value);
                if key != keys::code(&hash) {
                    return Err(records::damaged(key, "code that is not of its hash"));
                }
                codes.push(hash);
            }
            5 => {
                let hash = CryptoHash::try_from(key.get(1..).unwrap_or_default());
                let hash = hash.map_err(|_| records::damaged(key, "no hash of code"))?;
                counted.insert(hash, records::decode(key, value)?);
            }
            6 => {}
            7 => decodes::<Queued>(key, value)?,
            8 => decodes::<Receipt>(key, value)?,
            9 => decodes::<CryptoHash>(key, value)?,
            10 => decodes::<Option<Vec<u8>>>(key, value)?,
            11 => decodes::<PendingYield>(key, value)?,
            12 => decodes::<(AccountId, CryptoHash)>(key, value)?,
            13 => decodes::<u64>(key, value)?,
            128.. => check_history_record(key, value)?,
            _ => return Err(records::damaged(key, "a kind of record that is not known here")),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if uses != counted {
        return Err(records::damaged(
            &[5],
            "numbers of uses of code that are not those of the modules",
        ));
    }
    match counted.keys().find(|hash| !codes.contains(hash)) {
        Some(hash) => Err(records::damaged(&keys::code(hash), "code that a module has is missing")),
        None => Ok(scrubbed),
    }
}
