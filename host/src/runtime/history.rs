//! The way to the state: blocks, transactions, outcomes for ever, and how to take back the last commits.
//!
//! Kept from the moment an embedder asks for it ([`Runtime::keep_history`]). Each commit of a block writes, in the same
//! batch, what the keys that it changes had before. That is the one mechanism behind reading an earlier block (what was
//! before, laid over the state of now) and behind going back to one (the same, written). It reaches back over
//! [`UNDO_BLOCKS_MAX`] blocks that changed something, or over fewer, so that it is at most [`UNDO_BYTES_MAX`].

use crate::HostFault;
use crate::runtime::receipt::{Receipt, ReceiptOutcome, Status};
use crate::runtime::validate::VALIDITY_BLOCKS;
use crate::runtime::{EPOCH_BLOCKS, InvalidTransaction, Machine, Runtime};
use crate::state::{
    Batch, FORMAT_VERSION, Head, Overlay, Snapshot, Store, WorkingState, keys, records,
};
use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_primitives_core::hash::CryptoHash;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// Blocks that can be taken back, and at which the state can be read.
pub const UNDO_BLOCKS_MAX: u64 = 1_024;

/// Bytes that are kept for it at most, beside those of the last block.
pub const UNDO_BYTES_MAX: u64 = 256 << 20;

/// Which block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockReference {
    /// The last one.
    Head,
    /// The one at a height; where none was made, the last one below it.
    Height(u64),
    /// The one of a hash.
    Hash(CryptoHash),
}

/// A block, without what is in it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockHeader {
    /// Its height.
    pub height: u64,
    /// Its time, in nanoseconds since 1970.
    pub timestamp: u64,
    /// sha256 of the hash before it, height, time, transactions and receipts.
    pub hash: CryptoHash,
    /// Height of the block before it: heights at which nothing happened are passed over.
    pub prev_height: u64,
    /// Hash of the block before it.
    pub prev_hash: CryptoHash,
    /// Its epoch, of [`EPOCH_BLOCKS`] heights.
    pub epoch_id: CryptoHash,
    /// The epoch after it.
    pub next_epoch_id: CryptoHash,
    /// A number that its hash determines.
    pub random: CryptoHash,
    /// How many transactions it has.
    pub transactions: u64,
    /// How many receipts ran in it.
    pub receipts: u64,
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockRecord {
    /// Its header.
    pub header: BlockHeader,
    /// Hashes of its transactions.
    pub transactions: Vec<CryptoHash>,
    /// Ids of the receipts that ran in it, in their order.
    pub receipts: Vec<CryptoHash>,
}

/// A transaction that was taken.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TransactionRecord {
    /// Its hash.
    pub hash: CryptoHash,
    /// Who signed.
    pub signer: AccountId,
    /// The account that it is for.
    pub receiver: AccountId,
    /// NEAR's encoding, as it came; empty for one that nobody signed.
    pub bytes: Vec<u8>,
    /// Height of its block.
    pub block_height: u64,
    /// Hash of its block.
    #[borsh(skip)]
    pub block_hash: CryptoHash,
    /// The receipt that it became.
    pub receipt: CryptoHash,
    /// Gas burnt for making it a receipt.
    pub gas_burnt: u64,
    /// Balance burnt for it, in yoctoNEAR.
    pub tokens_burnt: u128,
}

/// How a receipt ended, and the receipt.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OutcomeRecord {
    /// The receipt, whole.
    pub receipt: Receipt,
    /// Height of the block in which it ran.
    pub block_height: u64,
    /// Hash of that block.
    #[borsh(skip)]
    pub block_hash: CryptoHash,
    /// How it ended.
    pub status: Status,
    /// Gas burnt.
    pub gas_burnt: u64,
    /// Balance burnt, in yoctoNEAR.
    pub tokens_burnt: u128,
    /// Logs of its calls.
    pub logs: Vec<String>,
    /// Receipts with actions that it created, refunds included.
    pub receipt_ids: Vec<CryptoHash>,
    /// What its gas was spent on, by name; adds up to `gas_burnt`.
    pub profile: Vec<(String, u64)>,
}

/// A transaction and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalStatus {
    /// The transaction.
    pub transaction: TransactionRecord,
    /// Outcomes of its receipts that ran: each before those that it created.
    pub outcomes: Vec<OutcomeRecord>,
    /// Whether none of its receipts is on its way.
    pub done: bool,
    /// Its result: the end of the chain of [`Status::SuccessReceipt`], once that has run.
    pub status: Option<Status>,
}

/// Why a block cannot be read or gone back to.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// There is no such block.
    #[error("there is no such block; the last one is at height {head}")]
    Unknown {
        /// Height of the last block.
        head: u64,
    },
    /// It is too long ago.
    #[error(
        "the state at height {height} is not kept any more; the earliest that is kept is {oldest} (the last {UNDO_BLOCKS_MAX} blocks that changed something)"
    )]
    Gone {
        /// The height asked for.
        height: u64,
        /// The lowest height there is.
        oldest: u64,
    },
    /// The host's own fault.
    #[error(transparent)]
    Fault(#[from] HostFault),
}

/// Since when history is kept, and how much of it.
#[derive(Clone, Copy, Debug, BorshSerialize, BorshDeserialize)]
struct Kept {
    /// The lowest height that can be gone back to.
    oldest: u64,
    /// Heights with undo.
    heights: u64,
    /// Bytes of all undo.
    bytes: u64,
}

/// What the keys that a commit changed had before.
type Before = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// A block that has begun: its transactions are committed, its receipts are not.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub(super) struct OpenBlock {
    pub(super) height: u64,
    pub(super) timestamp: u64,
    pub(super) transactions: Vec<CryptoHash>,
}

impl OutcomeRecord {
    pub(super) fn of(receipt: Receipt, outcome: &ReceiptOutcome) -> Self {
        let profile = outcome.profile();
        let parts = cotenant_submodules::calls::GasPart::ALL.iter();
        let parts = parts.map(|part| (part.name().to_owned(), profile.part(*part)));
        Self {
            receipt,
            block_height: outcome.block_height,
            block_hash: CryptoHash::default(),
            status: outcome.status.clone(),
            gas_burnt: outcome.gas_burnt,
            tokens_burnt: outcome.tokens_burnt,
            logs: outcome.logs.clone(),
            receipt_ids: outcome.receipts.clone(),
            profile: parts.filter(|(_, gas)| *gas > 0).collect(),
        }
    }
}

impl BlockRecord {
    /// Returns the block after another one.
    pub(super) fn after(before: &BlockHeader, open: OpenBlock, receipts: Vec<CryptoHash>) -> Self {
        let OpenBlock { height, timestamp, transactions } = open;
        let mut content = [before.hash.as_bytes().as_slice(), &height.to_le_bytes()].concat();
        content.extend_from_slice(&timestamp.to_le_bytes());
        content.extend_from_slice(&(transactions.len() as u64).to_le_bytes());
        let ids = transactions.iter().chain(&receipts);
        ids.for_each(|id| content.extend_from_slice(id.as_bytes()));
        let hash = CryptoHash::hash_bytes(&content);
        let counts = (transactions.len() as u64, receipts.len() as u64);
        let header = header(hash, height, timestamp, before, counts);
        Self { header, transactions, receipts }
    }

    pub(super) fn write(&self, state: &mut WorkingState) -> Result<(), HostFault> {
        state.write(keys::block_height(&self.header.hash), &self.header.height)?;
        state.write(keys::block(self.header.height), self)
    }
}

fn header(
    hash: CryptoHash,
    height: u64,
    timestamp: u64,
    before: &BlockHeader,
    (transactions, receipts): (u64, u64),
) -> BlockHeader {
    let epoch = height / EPOCH_BLOCKS;
    BlockHeader {
        height,
        timestamp,
        hash,
        prev_height: before.height,
        prev_hash: before.hash,
        epoch_id: tagged(b"epoch", epoch),
        next_epoch_id: tagged(b"epoch", epoch + 1),
        random: CryptoHash::hash_bytes(&[hash.as_bytes().as_slice(), b"random"].concat()),
        transactions,
        receipts,
    }
}

fn tagged(what: &[u8], number: u64) -> CryptoHash {
    CryptoHash::hash_bytes(&[b"cotenant ", what, &number.to_le_bytes()].concat())
}

/// The block that history begins with: what was before it is not known.
fn first(head: &Head) -> BlockRecord {
    let (height, timestamp) = (head.height, super::time_of(head));
    let nothing = BlockHeader {
        height,
        timestamp,
        hash: CryptoHash::default(),
        prev_height: height,
        prev_hash: CryptoHash::default(),
        epoch_id: CryptoHash::default(),
        next_epoch_id: CryptoHash::default(),
        random: CryptoHash::default(),
        transactions: 0,
        receipts: 0,
    };
    let open = OpenBlock { height, timestamp, transactions: Vec::new() };
    BlockRecord::after(&nothing, open, Vec::new())
}

fn kept(state: &WorkingState) -> Result<Option<Kept>, HostFault> {
    state.read(&keys::history())
}

/// Whether history is kept in a store.
pub(super) fn is_kept(store: &dyn Store) -> Result<bool, HostFault> {
    Ok(store.snapshot()?.get(&keys::history())?.is_some())
}

/// Adds to a batch over a snapshot what takes it back, for the block of a height, and lets go what is too old.
fn add_undo(base: Rc<dyn Snapshot>, batch: &mut Batch, height: u64) -> Result<(), HostFault> {
    let state = Overlay::over(base, Batch::default()).state();
    let Some(mut kept) = kept(&state)? else { return Ok(()) };
    let mut before: Before = Vec::new();
    for (key, _) in batch.iter().filter(|(key, _)| keys::is_undone(key)) {
        before.push((key.to_vec(), state.get(key)?));
    }
    let mut part = 0;
    state.scan(&keys::undo_of(height), |_, _| {
        part += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    let undo = records::encode(&before)?;
    kept.bytes = kept.bytes.saturating_add(undo.len() as u64);
    kept.heights += u64::from(part == 0);
    batch.put(keys::undo(height, part), undo);
    drop_oldest(&state, batch, &mut kept, height)?;
    batch.put(keys::history(), records::encode(&kept)?);
    Ok(())
}

/// Drops what is over the limits, never what the block of `height` itself changed.
fn drop_oldest(
    state: &WorkingState,
    batch: &mut Batch,
    kept: &mut Kept,
    height: u64,
) -> Result<(), HostFault> {
    if kept.heights <= UNDO_BLOCKS_MAX && kept.bytes <= UNDO_BYTES_MAX {
        return Ok(());
    }
    let mut last = None;
    state.scan(&keys::all_undo(), |key, value| {
        let Some(at) = keys::undo_height(key) else {
            return Err(records::damaged(key, "no height of undo"));
        };
        if last != Some(at) {
            let enough = kept.heights <= UNDO_BLOCKS_MAX && kept.bytes <= UNDO_BYTES_MAX;
            if enough || at >= height {
                return Ok(ControlFlow::Break(()));
            }
            last = Some(at);
            kept.heights = kept.heights.saturating_sub(1);
            kept.oldest = at;
        }
        kept.bytes = kept.bytes.saturating_sub(value.len() as u64);
        batch.delete(key.to_vec());
        Ok(ControlFlow::Continue(()))
    })
}

/// What has to be written over a state to have that of an earlier height, and the keys of the undo that says so.
fn taken_back(state: &WorkingState, height: u64) -> Result<(Batch, Vec<Vec<u8>>), HostFault> {
    let mut found = BTreeMap::new();
    let mut used = Vec::new();
    // What was changed since the last block is of the one after it.
    let last = state.head()?.height.saturating_add(1);
    scan_heights(state, keys::undo_begins, (height, last), |key, value| {
        let before: Before = records::decode(key, value)?;
        for (changed, was) in before {
            // The earliest counts: what was before all that followed.
            found.entry(changed).or_insert(was);
        }
        used.push(key.to_vec());
        Ok(ControlFlow::Continue(()))
    })?;
    let mut batch = Batch::default();
    for (key, was) in found {
        match was {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
    }
    Ok((batch, used))
}

/// The record of the last block at or below a height.
fn block_at(state: &WorkingState, height: u64) -> Result<Option<BlockRecord>, HostFault> {
    if let Some(block) = state.read(&keys::block(height))? {
        return Ok(Some(block));
    }
    // The block after it names the one before it.
    let head = state.head()?.height;
    if height > head {
        return Ok(None);
    }
    match first_block_above(state, height, head)? {
        Some(block) if block.header.prev_height <= height => {
            state.read(&keys::block(block.header.prev_height))
        }
        _ => Ok(None),
    }
}

/// Visits, in ascending order, the keys of heights above one and up to another one. `keys_of` gives those that begin with
/// some bytes of a height, big-endian: a range of heights is a few such prefixes.
fn scan_heights(
    state: &WorkingState,
    keys_of: fn(&[u8]) -> Vec<u8>,
    (above, last): (u64, u64),
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, HostFault>,
) -> Result<(), HostFault> {
    let (bytes, last) = (above.to_be_bytes(), last.to_be_bytes());
    for place in (0..bytes.len()).rev() {
        for byte in bytes[place].checked_add(1).map_or(256, u16::from)..256 {
            // Fits: the range ends at 255.
            let begin = [&bytes[..place], &[byte as u8]].concat();
            if begin.as_slice() > &last[..=place] {
                break;
            }
            let mut stopped = false;
            state.scan(&keys_of(&begin), |key, value| {
                let flow = visit(key, value)?;
                stopped = flow.is_break();
                Ok(flow)
            })?;
            if stopped {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The first block above a height that is below the last one's.
fn first_block_above(
    state: &WorkingState,
    height: u64,
    head: u64,
) -> Result<Option<BlockRecord>, HostFault> {
    let mut found = None;
    scan_heights(state, keys::blocks, (height, head), |key, value| {
        found = Some(records::decode(key, value)?);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

impl<M: Machine> Runtime<M> {
    /// Keeps blocks, transactions, outcomes and undo from here on. A home that keeps them goes on keeping them.
    ///
    /// # Errors
    /// The store failed.
    pub fn keep_history(&self) -> Result<(), HostFault> {
        let _writer = self.write();
        if self.keeps_history() {
            return Ok(());
        }
        let mut state = self.state()?;
        let block = first(&state.head()?);
        let kept = Kept { oldest: block.header.height, heights: 0, bytes: 0 };
        block.write(&mut state)?;
        state.write(keys::history(), &kept)?;
        state.write(keys::format(), &FORMAT_VERSION)?;
        self.store.commit(&state.into_batch())?;
        self.history.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn keeps_history(&self) -> bool {
        self.history.load(Ordering::Relaxed)
    }

    /// Commits what the block of a height changed over a snapshot.
    pub(super) fn commit(&self, work: &Overlay, height: u64) -> Result<(), HostFault> {
        let (base, mut batch) = work.take();
        if self.keeps_history() {
            add_undo(base, &mut batch, height)?;
        }
        self.store.commit(&batch)
    }

    /// Commits what was changed between two blocks: it counts as part of the next one.
    pub(super) fn commit_between(&self, state: WorkingState) -> Result<(), HostFault> {
        let height = self.head()?.height + 1;
        let work = Overlay::of(&*self.store)?;
        work.absorb(state.into_batch());
        self.commit(&work, height)
    }

    /// The header of a block; `None` if there is none, or history is not kept.
    ///
    /// # Errors
    /// The store failed.
    pub fn header(&self, block: BlockReference) -> Result<Option<BlockHeader>, HostFault> {
        Ok(self.block(block)?.map(|block| block.header))
    }

    /// A block; `None` if there is none, or history is not kept.
    ///
    /// # Errors
    /// The store failed.
    pub fn block(&self, block: BlockReference) -> Result<Option<BlockRecord>, HostFault> {
        let state = self.state()?;
        match block {
            BlockReference::Head => block_at(&state, state.head()?.height),
            BlockReference::Height(height) => block_at(&state, height),
            BlockReference::Hash(hash) => match state.read(&keys::block_height(&hash))? {
                Some(height) => state.read(&keys::block(height)),
                None => Ok(None),
            },
        }
    }

    /// A transaction that was taken, by its hash.
    ///
    /// # Errors
    /// The store failed.
    pub fn transaction(&self, hash: &CryptoHash) -> Result<Option<TransactionRecord>, HostFault> {
        find_transaction(&self.state()?, hash)
    }

    /// How a receipt ended, by its id.
    ///
    /// # Errors
    /// The store failed.
    pub fn outcome(&self, receipt: &CryptoHash) -> Result<Option<OutcomeRecord>, HostFault> {
        find_outcome(&self.state()?, receipt)
    }

    /// A receipt, by its id: one that ran, or that is on its way.
    ///
    /// # Errors
    /// The store failed.
    pub fn find_receipt(&self, id: &CryptoHash) -> Result<Option<Receipt>, HostFault> {
        let state = self.state()?;
        if let Some(outcome) = find_outcome(&state, id)? {
            return Ok(Some(outcome.receipt));
        }
        super::queue::find(&state, id)
    }

    /// A transaction and what came of it, by its hash.
    ///
    /// # Errors
    /// The store failed.
    pub fn final_status(&self, hash: &CryptoHash) -> Result<Option<FinalStatus>, HostFault> {
        let state = self.state()?;
        let Some(transaction) = find_transaction(&state, hash)? else { return Ok(None) };
        let mut outcomes = Vec::new();
        let mut done = true;
        let mut next = vec![transaction.receipt];
        while let Some(id) = next.pop() {
            let Some(outcome) = find_outcome(&state, &id)? else {
                done = false;
                continue;
            };
            next.extend(outcome.receipt_ids.iter().rev());
            outcomes.push(outcome);
        }
        let end = |mut at: CryptoHash| {
            loop {
                match outcomes.iter().find(|one: &&OutcomeRecord| one.receipt.id == at) {
                    Some(OutcomeRecord { status: Status::SuccessReceipt(next), .. }) => at = *next,
                    Some(outcome) => return Some(outcome.status.clone()),
                    None => return None,
                }
            }
        };
        let status = end(transaction.receipt);
        Ok(Some(FinalStatus { transaction, outcomes, done, status }))
    }

    /// Checks that a transaction is on top of a block of this chain that is recent enough.
    pub(super) fn check_base(
        &self,
        state: &WorkingState,
        base: &CryptoHash,
    ) -> Result<Result<(), InvalidTransaction>, HostFault> {
        let height: Option<u64> = state.read(&keys::block_height(base))?;
        let head = state.head()?.height;
        Ok(match height {
            Some(height) if head <= height.saturating_add(VALIDITY_BLOCKS) => Ok(()),
            _ => Err(InvalidTransaction::Expired),
        })
    }

    /// The lowest height at which the state can be read.
    ///
    /// # Errors
    /// The store failed.
    pub fn oldest_height(&self) -> Result<u64, HostFault> {
        let state = self.state()?;
        Ok(match kept(&state)? {
            Some(kept) => kept.oldest,
            None => state.head()?.height,
        })
    }

    /// The state as it was after a block, to read.
    ///
    /// # Errors
    /// There is no such block, or it is too long ago.
    pub fn state_at(&self, block: BlockReference) -> Result<WorkingState, HistoryError> {
        let snapshot = self.store.snapshot()?;
        let state = Overlay::over(snapshot.clone(), Batch::default()).state();
        let head = state.head()?.height;
        let height = match block {
            BlockReference::Head => head,
            BlockReference::Height(height) => height,
            BlockReference::Hash(hash) => {
                let height = state.read(&keys::block_height(&hash))?;
                height.ok_or(HistoryError::Unknown { head })?
            }
        };
        if height > head {
            return Err(HistoryError::Unknown { head });
        }
        if height == head {
            return Ok(state);
        }
        check_kept(&state, height, head)?;
        let (batch, _) = taken_back(&state, height)?;
        Ok(Overlay::over(snapshot, batch).state())
    }

    /// Goes back to a block: state, head, blocks and outcomes are what they were after it.
    ///
    /// # Errors
    /// There is no such block, or it is too long ago; nothing has changed.
    pub fn revert_to(&self, height: u64) -> Result<(), HistoryError> {
        let _writer = self.write();
        let state = self.state()?;
        let head = state.head()?.height;
        if height > head {
            return Err(HistoryError::Unknown { head });
        }
        check_kept(&state, height, head)?;
        let (mut batch, used) = taken_back(&state, height)?;
        let Some(mut kept) = kept(&state)? else { return Ok(()) };
        let mut last = None;
        for key in used {
            let at = keys::undo_height(&key);
            kept.heights = kept.heights.saturating_sub(u64::from(last != at));
            last = at;
            let bytes = state.get(&key)?.map_or(0, |value| value.len() as u64);
            kept.bytes = kept.bytes.saturating_sub(bytes);
            batch.delete(key);
        }
        batch.put(keys::history(), records::encode(&kept)?);
        batch.delete(keys::open_block());
        Ok(self.store.commit(&batch)?)
    }
}

fn check_kept(state: &WorkingState, height: u64, head: u64) -> Result<(), HistoryError> {
    match kept(state)? {
        Some(kept) if height >= kept.oldest => Ok(()),
        Some(kept) => Err(HistoryError::Gone { height, oldest: kept.oldest }),
        None => Err(HistoryError::Gone { height, oldest: head }),
    }
}

fn find_transaction(
    state: &WorkingState,
    hash: &CryptoHash,
) -> Result<Option<TransactionRecord>, HostFault> {
    let Some(mut found) = state.read::<TransactionRecord>(&keys::transaction(hash))? else {
        return Ok(None);
    };
    found.block_hash = hash_at(state, found.block_height)?;
    Ok(Some(found))
}

fn find_outcome(
    state: &WorkingState,
    receipt: &CryptoHash,
) -> Result<Option<OutcomeRecord>, HostFault> {
    let Some(mut found) = state.read::<OutcomeRecord>(&keys::outcome(receipt))? else {
        return Ok(None);
    };
    found.block_hash = hash_at(state, found.block_height)?;
    Ok(Some(found))
}

/// Hash of the block at a height; zeroes while it is being made.
fn hash_at(state: &WorkingState, height: u64) -> Result<CryptoHash, HostFault> {
    let block: Option<BlockRecord> = state.read(&keys::block(height))?;
    Ok(block.map(|block| block.header.hash).unwrap_or_default())
}

/// Checks that a record of a kind from 128 on decodes.
pub(crate) fn check_record(key: &[u8], value: &[u8]) -> Result<(), HostFault> {
    fn decodes<T: BorshDeserialize>(key: &[u8], value: &[u8]) -> Result<(), HostFault> {
        records::decode::<T>(key, value).map(drop)
    }
    match key.first() {
        Some(128) if key == keys::history() => decodes::<Kept>(key, value),
        Some(128) if key == keys::open_block() => decodes::<OpenBlock>(key, value),
        Some(129) => decodes::<BlockRecord>(key, value),
        Some(130) => decodes::<u64>(key, value),
        Some(131) => decodes::<TransactionRecord>(key, value),
        Some(132) => decodes::<OutcomeRecord>(key, value),
        Some(133) => decodes::<Before>(key, value),
        _ => Err(records::damaged(key, "a kind of record that is not known here")),
    }
}
