//! Code by its hash, analysed once: the jump table is stored beside it.
//!
//! Of long promoted code the module is known, and the code itself is not even read: zeros of its length take its place in
//! revm's journal until somebody wants the bytes, which are an interpreter that has to run it and EXTCODECOPY. Then they
//! are read once in a transaction. Short code comes with the record of its promotion.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use cotenant_guest::near;
use engine_abi::state::{
    self, Glance, PLAIN, PROMOTED, PROMOTED_BEFORE, Promotion, SHORT_CODE_BYTES,
};
use evm_to_wasm::abi::FRAME_ABI_VERSION;
use revm::bytecode::JumpTable;
use revm::primitives::{B256, Bytes};
use revm::state::Bytecode;

/// What placeholders are made of: one more than the longest code (EIP-170).
static ZEROS: [u8; 24_577] = [0; 24_577];

/// Bytes of a delegation designator (EIP-7702): `0xef0100` and an address.
const DESIGNATOR_BYTES: u32 = 23;

/// What a transaction has found out about code.
#[derive(Default)]
pub struct Codes {
    promoted: BTreeMap<B256, Box<Promoted>>,
    /// Whether the bytes of promoted code are wanted.
    pub with_bytes: bool,
}

/// Code that has a module.
#[cfg_attr(feature = "wasm-in-wasm", expect(dead_code, reason = "there all of it runs compiled"))]
pub struct Promoted {
    /// Whether its frames can run by it: it speaks this version of the frame ABI, and it may pay.
    pub may_run: bool,
    /// Bytes of the code.
    pub code_bytes: u32,
    /// The code, once somebody wanted it.
    body: Option<Bytecode>,
}

/// Codes, known to the database that reads them and to the source of modules.
pub type Shared = Rc<RefCell<Codes>>;

/// What is stored for a code hash.
pub enum Stored {
    /// Code that is interpreted: its record.
    Plain(Vec<u8>),
    /// A module has its place; the record, if it is here.
    Promoted(Promotion, Option<Vec<u8>>),
}

impl Codes {
    /// The code of a hash, and a note of its module if it has one.
    pub fn load(&mut self, hash: B256) -> Bytecode {
        let Some(record) = near::storage_read(&state::code_key(&hash.0)) else {
            return Bytecode::default();
        };
        let record = Bytes::from(record);
        if record.first() == Some(&PLAIN) {
            return bytecode(record.slice(1..));
        }
        let Some((seen, end)) = state::glance(&record) else { corrupt() };
        self.promoted(hash, seen, record.slice(end..))
    }

    fn promoted(&mut self, hash: B256, seen: Glance, record: Bytes) -> Bytecode {
        let may_run = seen.abi == FRAME_ABI_VERSION && !seen.asks_in_loops;
        // An engine of version 1 may have promoted a designator: it stands for other code, and is none.
        let may_be_designator = seen.code_bytes == DESIGNATOR_BYTES;
        let body = if !record.is_empty() {
            Some(bytecode(record))
        } else if self.with_bytes || !may_run || may_be_designator {
            Some(read_body(hash))
        } else {
            None
        };
        if body.as_ref().is_some_and(Bytecode::is_eip7702) {
            return body.unwrap_or_default();
        }
        let code = body.or_else(|| placeholder(seen.code_bytes as usize));
        let code = code.unwrap_or_else(|| read_body(hash));
        let body = (!is_placeholder(&code)).then(|| code.clone());
        let promoted = Promoted { may_run, code_bytes: seen.code_bytes, body };
        self.promoted.insert(hash, Box::new(promoted));
        code
    }

    /// The module of code that was loaded.
    pub fn module(&self, hash: B256) -> Option<&Promoted> {
        self.promoted.get(&hash).map(|promoted| &**promoted)
    }

    /// Whether code that has a module was loaded.
    #[cfg(not(feature = "wasm-in-wasm"))]
    pub fn has_promoted(&self) -> bool {
        !self.promoted.is_empty()
    }

    /// Whether the bytes of promoted code are at hand.
    #[cfg(not(feature = "wasm-in-wasm"))]
    pub fn has_body(&self, hash: B256) -> bool {
        self.promoted.get(&hash).is_some_and(|promoted| promoted.body.is_some())
    }

    /// The bytes of promoted code, whose module is not to run, or cannot.
    pub fn body(&mut self, hash: B256) -> Bytecode {
        match self.promoted.get_mut(&hash) {
            Some(promoted) => promoted.body.get_or_insert_with(|| read_body(hash)).clone(),
            None => read_body(hash),
        }
    }

    /// The bytes of code that may be a placeholder.
    pub fn bytes(&mut self, hash: B256, code: &Bytecode) -> Bytes {
        if is_placeholder(code) { self.body(hash).original_bytes() } else { code.original_bytes() }
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
        Some(&PROMOTED | &PROMOTED_BEFORE) => match state::promoted(&bytes) {
            Some((promotion, record)) => {
                Some(Stored::Promoted(promotion, record.map(<[u8]>::to_vec)))
            }
            None => corrupt(),
        },
        _ => corrupt(),
    }
}

/// The record of code, wherever it is.
pub fn record(hash: B256) -> Option<Vec<u8>> {
    match stored(hash)? {
        Stored::Plain(record) | Stored::Promoted(_, Some(record)) => Some(record),
        Stored::Promoted(_, None) => near::storage_read(&state::body_key(&hash.0)),
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

/// Whether frames execute such code. Not what begins with the byte of EIP-3541: a delegation designator stands for the
/// code of another account, and anything else of that kind halts at once.
pub fn is_executed(code: &[u8]) -> bool {
    !matches!(code, [] | [0xef, ..])
}

fn read_body(hash: B256) -> Bytecode {
    match near::storage_read(&state::body_key(&hash.0)) {
        Some(record) => bytecode(record.into()),
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

/// Stores a record as code that has a module, whose [`Promotion`] comes in its borsh.
pub fn store_promoted(hash: B256, promotion: &[u8], record: &[u8]) {
    let is_short = state::code::lengths(record)
        .is_some_and(|(code_bytes, _)| code_bytes <= SHORT_CODE_BYTES as usize);
    let beside = if is_short { record } else { &[] };
    let mut bytes = Vec::with_capacity(1 + promotion.len() + beside.len());
    bytes.push(PROMOTED);
    bytes.extend_from_slice(promotion);
    bytes.extend_from_slice(beside);
    near::storage_write(&state::code_key(&hash.0), &bytes);
    if !is_short {
        near::storage_write(&state::body_key(&hash.0), record);
    }
}

/// A record as revm wants it, without a copy of the code.
fn bytecode(record: Bytes) -> Bytecode {
    let Some((code_bytes, padded_bytes)) = state::code::lengths(&record) else { corrupt() };
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
