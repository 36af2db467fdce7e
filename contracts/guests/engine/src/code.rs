//! Code by its hash, analysed once: the jump table is stored beside it.
//!
//! Of promoted code the module is known, and the code itself is not even read: zeros of its length take its place in revm's
//! journal until somebody wants the bytes, which are an interpreter that has to run it and EXTCODECOPY.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use borsh::BorshDeserialize;
use core::cell::RefCell;
use cotenant_guest::near;
use engine_abi::state::{self, PLAIN, PROMOTED, Promotion};
use revm::bytecode::JumpTable;
use revm::primitives::{B256, Bytes};
use revm::state::Bytecode;

/// What placeholders are made of: one more than the longest code (EIP-170).
static ZEROS: [u8; 24_577] = [0; 24_577];

/// What a transaction has found out about code.
#[derive(Default)]
pub struct Codes {
    promoted: BTreeMap<B256, Promotion>,
    /// Whether the bytes of promoted code are wanted.
    pub with_bytes: bool,
}

/// Codes, known to the database that reads them and to the source of modules.
pub type Shared = Rc<RefCell<Codes>>;

/// What is stored for a code hash.
pub enum Stored {
    /// Code that is interpreted: its record.
    Plain(Vec<u8>),
    /// A module has its place; the record is elsewhere.
    Promoted(Promotion),
}

impl Codes {
    /// The code of a hash, and a note of its module if it has one.
    pub fn load(&mut self, hash: B256) -> Bytecode {
        match stored(hash) {
            Some(Stored::Plain(record)) => bytecode(record),
            Some(Stored::Promoted(promotion)) => {
                let code_bytes = promotion.code_bytes as usize;
                self.promoted.insert(hash, promotion);
                let code = if self.with_bytes { None } else { placeholder(code_bytes) };
                code.unwrap_or_else(|| body(hash))
            }
            None => Bytecode::default(),
        }
    }

    /// The module of code that was loaded.
    pub fn module(&self, hash: B256) -> Option<&Promotion> {
        self.promoted.get(&hash)
    }
}

/// What is stored for a code hash.
pub fn stored(hash: B256) -> Option<Stored> {
    let mut bytes = near::storage_read(&state::code_key(&hash.0))?;
    match bytes.first() {
        Some(&PLAIN) => {
            bytes.remove(0);
            Some(Stored::Plain(bytes))
        }
        Some(&PROMOTED) => match Promotion::try_from_slice(&bytes[1..]) {
            Ok(promotion) => Some(Stored::Promoted(promotion)),
            Err(_) => corrupt(),
        },
        _ => corrupt(),
    }
}

/// The record of code, wherever it is.
pub fn record(hash: B256) -> Option<Vec<u8>> {
    match stored(hash)? {
        Stored::Plain(record) => Some(record),
        Stored::Promoted(_) => near::storage_read(&state::body_key(&hash.0)),
    }
}

/// The bytes of code.
pub fn original(hash: B256) -> Option<Vec<u8>> {
    let record = record(hash)?;
    match state::code::original(&record) {
        Some(code) => Some(code.to_vec()),
        None => corrupt(),
    }
}

/// Code whose module is not to run, or cannot.
pub fn body(hash: B256) -> Bytecode {
    match near::storage_read(&state::body_key(&hash.0)) {
        Some(record) => bytecode(record),
        None => corrupt(),
    }
}

/// Code of this length without its bytes; `None` for code that is too long for it.
fn placeholder(bytes: usize) -> Option<Bytecode> {
    let padded = ZEROS.get(..=bytes)?;
    let jumps = JumpTable::from_static_slice(&ZEROS, bytes);
    // SAFETY: the code is zeros, each a STOP, one more than its length; nothing reads beyond it, for no instruction of it
    // has an immediate.
    Some(unsafe { Bytecode::new_analyzed(Bytes::from_static(padded), bytes, jumps) })
}

/// Whether code is a placeholder.
pub fn is_placeholder(code: &Bytecode) -> bool {
    core::ptr::eq(code.bytecode_ptr(), ZEROS.as_ptr())
}

/// The bytes of code that may be a placeholder.
pub fn bytes(hash: B256, code: &Bytecode) -> Bytes {
    if is_placeholder(code) { body(hash).original_bytes() } else { code.original_bytes() }
}

/// Stores code, if it is new.
pub fn store(hash: B256, bytecode: &Bytecode) {
    let key = state::code_key(&hash.0);
    if near::storage_has_key(&key) {
        return;
    }
    let jumps = bytecode.legacy_jump_table().map(JumpTable::as_slice).unwrap_or_default();
    let record = state::code::encode(bytecode.len(), bytecode.bytes_slice(), jumps);
    store_plain(hash, &record);
}

/// Stores a record as code that is interpreted.
pub fn store_plain(hash: B256, record: &[u8]) {
    let mut bytes = Vec::with_capacity(1 + record.len());
    bytes.push(PLAIN);
    bytes.extend_from_slice(record);
    near::storage_write(&state::code_key(&hash.0), &bytes);
}

/// A record as revm wants it, without a copy of the code.
fn bytecode(record: Vec<u8>) -> Bytecode {
    let Some((code_bytes, padded_bytes)) = state::code::lengths(&record) else { corrupt() };
    let record = Bytes::from(record);
    let padded = record.slice(state::code::HEAD_BYTES..state::code::HEAD_BYTES + padded_bytes);
    let jumps = &record[state::code::HEAD_BYTES + padded_bytes..];
    if jumps.is_empty() {
        return match Bytecode::new_raw_checked(padded.slice(..code_bytes)) {
            Ok(bytecode) => bytecode,
            Err(_) => corrupt(),
        };
    }
    if jumps.len() < code_bytes.div_ceil(8) {
        corrupt();
    }
    let jumps = JumpTable::from_slice(jumps, code_bytes);
    // SAFETY: the bytes, their padding and the table are those that revm made for this code, which `store` wrote;
    // nothing else writes these keys.
    unsafe { Bytecode::new_analyzed(padded, code_bytes, jumps) }
}

fn corrupt() -> ! {
    cotenant_guest::panic("ERR_STATE: a record of code is none")
}
