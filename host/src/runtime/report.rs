//! What reproduces a fault: the receipt, its block, and every record that it read.
//!
//! A report is a file of lines for people, an empty line, and the borsh of a [`FaultReport`]. It is made by
//! running the receipt once more over a snapshot that notes what is read, so that receipts without faults pay
//! nothing for it.

use crate::HostFault;
use crate::action::{Action, Code};
use crate::fault::ReceiptFault;
use crate::runtime::ending::catch;
use crate::runtime::receipt::{Receipt, ReceiptBody, ReceiptOutcome};
use crate::runtime::{Block, Machine, apply};
use crate::state::{Batch, MemoryStore, Snapshot, Store, Visit, WorkingState, keys, records};
use crate::view::ModuleRecord;
use borsh::{BorshDeserialize, BorshSerialize};
use cotenant_gas::Schedule;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::rc::Rc;

/// First bytes of a report.
const MAGIC: &str = "cotenant fault report 1\n";

/// Bytes of records that a report carries at most; of a receipt that read more it has the first.
pub const REPORT_BYTES_MAX: usize = 64 << 20;

/// A key that was read, and what was there.
type Read = (Vec<u8>, Option<Vec<u8>>);

/// What reproduces a fault.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FaultReport {
    /// Version of the Cotenant that failed.
    pub version: String,
    /// Protocol version of its prices.
    pub protocol: u32,
    /// What went wrong, for people.
    pub fault: String,
    /// Height of the block.
    pub height: u64,
    /// The receipt.
    pub receipt: Receipt,
    /// The state as far as it was read: keys of [`keys`], in order, and what was there.
    pub reads: Vec<Read>,
    /// Not all that was read is here: see [`REPORT_BYTES_MAX`].
    pub cut: bool,
}

type Reads = RefCell<BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

/// A snapshot that notes what is read of another.
struct Recorder {
    inner: Rc<dyn Snapshot>,
    reads: Rc<Reads>,
}

impl Snapshot for Recorder {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HostFault> {
        let value = self.inner.get(key)?;
        self.reads.borrow_mut().insert(key.to_vec(), value.clone());
        Ok(value)
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), HostFault> {
        self.inner.scan(prefix, &mut |key, value| {
            self.reads.borrow_mut().insert(key.to_vec(), Some(value.to_vec()));
            visit(key, value)
        })
    }
}

impl FaultReport {
    /// Runs a receipt again to note what it reads. Its second ending does not count.
    pub(super) fn record<M: Machine>(
        machine: &M,
        schedule: &Schedule,
        block: Block,
        state: &WorkingState,
        receipt: &Receipt,
        fault: &ReceiptFault,
    ) -> Self {
        let reads = Rc::new(Reads::default());
        let noted = reads.clone();
        let recorded = state.over(|inner| Rc::new(Recorder { inner, reads: noted }));
        // What the receipt finds changed already, its own inputs for instance, is part of what it reads.
        let changes = state.clone().into_batch();
        // What killed a process is not run once more: what it reads is then left to the reader.
        if !fault.is_death() {
            drop(catch(|| apply::apply(machine, schedule, block, recorded, receipt)));
        }
        let mut reads = reads.take();
        for (key, value) in changes.iter() {
            reads.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        }
        add_code(state, receipt, &mut reads);
        let mut report = Self {
            version: env!("CARGO_PKG_VERSION").into(),
            protocol: schedule.protocol,
            fault: fault.to_string(),
            height: block.height,
            receipt: receipt.clone(),
            reads: Vec::new(),
            cut: false,
        };
        let mut bytes = 0usize;
        for (key, value) in reads {
            bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            if bytes > REPORT_BYTES_MAX {
                report.cut = true;
                break;
            }
            report.reads.push((key, value));
        }
        report
    }

    /// Returns the report as the bytes of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Receipt { id, transaction, predecessor, receiver, .. } = &self.receipt;
        let mut text = MAGIC.to_owned();
        let _ = writeln!(text, "cotenant {}, protocol {}", self.version, self.protocol);
        let _ = writeln!(text, "fault: {}", self.fault.escape_debug());
        let _ = writeln!(text, "receipt {id} of transaction {transaction}, block {}", self.height);
        let _ = writeln!(text, "from {predecessor} to {receiver}");
        let cut = if self.cut { ", not all" } else { "" };
        let _ = writeln!(text, "{} records read{cut}", self.reads.len());
        text.push_str("run it: cotenant state reproduce FILE\n\n");
        let mut bytes = text.into_bytes();
        // A report is plain data: its encoding cannot fail.
        let _ = borsh::to_writer(&mut bytes, self);
        bytes
    }

    /// Returns the report of a file; `None` if it is none.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.strip_prefix(MAGIC.as_bytes())?;
        let head = bytes.windows(2).position(|pair| pair == b"\n\n")?;
        borsh::from_slice(&bytes[head + 2..]).ok()
    }

    /// Runs the receipt again on what it read, with code prepared as at its deploys.
    ///
    /// # Errors
    /// The fault, if it happens again.
    pub fn reproduce<M: Machine>(
        &self,
        machine: &M,
        schedule: &Schedule,
    ) -> Result<ReceiptOutcome, HostFault> {
        let store = MemoryStore::new(self.protocol)?;
        let mut batch = Batch::default();
        for (key, value) in &self.reads {
            match value {
                Some(value) => batch.put(key.clone(), value.clone()),
                None => batch.delete(key.clone()),
            }
        }
        store.commit(&batch)?;
        let state = WorkingState::of(&store)?;
        for (key, value) in &self.reads {
            let (Some(value), true) = (value, keys::is_module(key)) else { continue };
            let record: ModuleRecord = records::decode(key, value)?;
            if let Some(code) = state.code(&record.code_hash)? {
                // Code that is refused now is a finding of its own: the run says so.
                drop(catch(|| machine.deploy(&code, record.visibility)));
            }
        }
        let block = Block::at(self.height);
        catch(|| apply::apply(machine, schedule, block, state, &self.receipt))
            .map(|(_, outcome)| outcome)
    }
}

/// Adds the code of the modules that were read: calls find it prepared and do not read it from the state.
fn add_code(
    state: &WorkingState,
    receipt: &Receipt,
    reads: &mut BTreeMap<Vec<u8>, Option<Vec<u8>>>,
) {
    let mut hashes = BTreeSet::new();
    for (key, value) in reads.iter() {
        if let (Some(value), true) = (value, keys::is_module(key))
            && let Ok(record) = records::decode::<ModuleRecord>(key, value)
        {
            hashes.insert(record.code_hash);
        }
    }
    if let ReceiptBody::Actions(body) = &receipt.body {
        for action in &body.actions {
            if let Action::DeployModule { code: Code::Hash { hash, .. }, .. } = action {
                hashes.insert(*hash);
            }
        }
    }
    for hash in hashes {
        if let Ok(Some(code)) = state.code(&hash) {
            reads.insert(keys::code(&hash), Some(code));
        }
    }
}
