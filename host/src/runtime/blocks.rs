//! Making blocks: who is taken, what runs, what is committed when.
//!
//! Takes transactions and a time; gives what became of them and of the receipts that were due. A block is committed in
//! one piece, or in two if it has transactions and runs receipts: first the transactions, so that a receipt that kills
//! the process is found again at the next start, with the block's time. What a caller is told is on the disk before.

use crate::HostFault;
use crate::action::{Action, Code};
use crate::fault::{Halt, ReceiptFault};
use crate::fees;
use crate::near::SignedTransaction;
use crate::runtime::history::{BlockHeader, BlockRecord, OpenBlock, OutcomeRecord};
use crate::runtime::receipt::{Receipt, ReceiptBody, ReceiptOutcome, TransactionOutcome};
use crate::runtime::transaction::{Offer, TransactionStart, convert};
use crate::runtime::{
    Block, BlockReference, Care, Interpreted, InvalidTransaction, Machine, Marked, Runtime,
    RuntimeError, Transaction, TransactionRecord, Work, ending, halting, queue, time_of,
};
use crate::state::{Head, Overlay, WorkingState, keys};
use cotenant_submodules::Visibility;
use near_primitives_core::hash::CryptoHash;
use std::rc::Rc;

/// What became of a block.
#[derive(Clone, Debug)]
pub struct BlockOutcome {
    /// The block.
    pub header: BlockHeader,
    /// What became of each transaction, in their order.
    pub transactions: Vec<Result<TransactionStart, InvalidTransaction>>,
    /// The receipts that ran, in their order.
    pub receipts: Vec<ReceiptOutcome>,
    /// Nothing is on its way: the next block has nothing to run.
    pub idle: bool,
}

/// When a block is.
#[derive(Clone, Copy, Debug)]
enum Time {
    /// A function of its height ([`Block::at`]).
    OfHeight,
    /// Nanoseconds since 1970.
    At(u64),
}

impl Time {
    /// The block after another one; later than that in any case.
    fn after(self, head: &Head) -> Block {
        let height = head.height + 1;
        let timestamp = match self {
            Time::OfHeight => Block::at(height).timestamp,
            Time::At(timestamp) => timestamp,
        };
        Block { height, timestamp: timestamp.max(time_of(head).saturating_add(1)) }
    }
}

/// A transaction that comes, if it may, and its bytes.
type Coming<'a> = (Result<Offer<'a>, InvalidTransaction>, &'a [u8]);

/// A block with its transactions, before anything is committed.
struct Begun {
    work: Rc<Overlay>,
    block: Block,
    starts: Vec<Result<TransactionStart, InvalidTransaction>>,
}

/// A block that was made.
struct Made {
    block: Block,
    starts: Vec<Result<TransactionStart, InvalidTransaction>>,
    ran: Vec<ReceiptOutcome>,
}

/// A receipt that ran, and how it ended.
type Ran = (Receipt, ReceiptOutcome);

impl<M: Machine> Runtime<M> {
    /// Does what a transaction says, and everything that comes of it.
    ///
    /// # Errors
    /// It is not valid, and nothing has changed; or the host failed, and what was committed stays.
    pub fn execute(&self, transaction: &Transaction) -> Result<TransactionOutcome, RuntimeError> {
        let offer = Offer::of(transaction)?;
        self.prepare(&offer)?;
        let _writer = self.write();
        self.store.reserve(offer.bytes())?;
        let mut ran = self.run_queue(Time::OfHeight)?;
        let mut begun = self.begin(Time::OfHeight, vec![(Ok(offer), &[])])?;
        let start = begun.starts.pop();
        // A refusal makes no block.
        let start =
            start.ok_or_else(|| HostFault::Bug("a block lost its transaction".into()))??;
        begun.starts.push(Ok(start.clone()));
        let made = self.finish(begun)?;
        ran.extend(made.ran);
        ran.extend(self.run_queue(Time::OfHeight)?);
        let (receipts, others) = ran.into_iter().partition(|one| one.transaction == start.hash);
        Ok(TransactionOutcome {
            hash: start.hash,
            block_height: made.block.height,
            receipt: start.receipt,
            gas_burnt: start.gas_burnt,
            fees: start.fees,
            tokens_burnt: start.tokens_burnt,
            receipts,
            others,
        })
    }

    /// Makes one block, of these transactions and of the receipts that are due, at a time in nanoseconds since 1970 (one
    /// nanosecond after the last block's, if that is later). It is durable when this returns. One thread makes blocks.
    ///
    /// # Errors
    /// The host failed, or keeps no history ([`Runtime::keep_history`]). What is wrong with a transaction is in the
    /// outcome.
    pub fn make_block(
        &self,
        time: u64,
        transactions: &[SignedTransaction],
    ) -> Result<BlockOutcome, HostFault> {
        let _writer = self.write();
        let bytes = transactions.iter().map(|signed| signed.bytes().len() as u64).sum();
        self.store.reserve(bytes)?;
        self.close_open()?;
        let state = self.state()?;
        let coming = transactions
            .iter()
            .map(|signed| Ok((self.offer(&state, signed)?, signed.bytes())))
            .collect::<Result<Vec<_>, HostFault>>()?;
        let made = self.make(Time::At(time), coming)?;
        self.outcome_of(made)
    }

    /// Lets blocks pass in which nothing happens but yields whose time is over; the last one is at a time in nanoseconds
    /// since 1970. What nothing happens in is not made, the last one is. Gives those that were made.
    ///
    /// # Errors
    /// The host failed, or keeps no history.
    pub fn skip_blocks(&self, blocks: u64, time: u64) -> Result<Vec<BlockOutcome>, HostFault> {
        let _writer = self.write();
        let made = self.pass(blocks, Some(time))?;
        made.into_iter().map(|made| self.outcome_of(made)).collect()
    }

    /// Lets blocks pass, and runs what their passing brings: yields whose time is over. A few more pass when
    /// the last of them brings something.
    ///
    /// # Errors
    /// The host failed.
    pub fn advance_blocks(&self, blocks: u64) -> Result<Vec<ReceiptOutcome>, HostFault> {
        let _writer = self.write();
        Ok(self.pass(blocks, None)?.into_iter().flat_map(|made| made.ran).collect())
    }

    /// Whether nothing is on its way.
    ///
    /// # Errors
    /// The store failed.
    pub fn is_idle(&self) -> Result<bool, HostFault> {
        queue::is_empty(&self.state()?)
    }

    /// Checks a transaction as if it were in the next block, and changes nothing.
    ///
    /// # Errors
    /// Why it would be refused; the store failed.
    pub fn check(&self, signed: &SignedTransaction) -> Result<(), RuntimeError> {
        let mut state = self.state()?;
        let block = Time::OfHeight.after(&state.head()?);
        let offer = self.offer(&state, signed)??;
        convert(&self.schedule, &mut state, block, &offer)?;
        Ok(())
    }

    /// Makes the code ready that a transaction deploys, if its signer could pay for it now: what a chain need not wait
    /// for. Any thread may do so before the transaction is in a block.
    ///
    /// # Errors
    /// The store failed.
    pub fn prepare_signed(&self, signed: &SignedTransaction) -> Result<(), HostFault> {
        match self.offer(&self.state()?, signed)? {
            Ok(offer) => self.prepare(&offer),
            Err(_) => Ok(()),
        }
    }

    /// Runs a receipt that is due next, on the interpreter, after those before it, and lets nothing come of it. `limit`
    /// is told its prepaid gas before it runs. Whether it was there.
    ///
    /// # Errors
    /// The store failed.
    pub fn rehearse(&self, id: CryptoHash, limit: impl FnOnce(u64)) -> Result<bool, HostFault> {
        let work = Overlay::of(&*self.store)?;
        let block = match work.state().read::<OpenBlock>(&keys::open_block())? {
            Some(open) => Block { height: open.height, timestamp: open.timestamp },
            None => Time::OfHeight.after(&work.state().head()?),
        };
        for (key, receipt) in queue::due(&work.state(), block.height)? {
            let mut state = work.state();
            state.delete(key);
            let mut arrived = state.clone();
            match queue::arrive(&mut arrived, receipt.clone())? {
                Some(ready) if ready.id == id => {
                    let ReceiptBody::Actions(body) = &ready.body else { break };
                    limit(fees::prepaid(&self.schedule, &body.actions, &ready.receiver));
                    drop(self.apply(&Interpreted(&self.machine), block, &arrived, &ready));
                    return Ok(true);
                }
                _ => work.absorb(self.run_receipt(block, state, receipt)?.0.into_batch()),
            }
        }
        Ok(false)
    }

    /// What a signed transaction offers, if it is on top of a block of this chain and its key has signed it.
    fn offer<'a>(
        &self,
        state: &WorkingState,
        signed: &'a SignedTransaction,
    ) -> Result<Result<Offer<'a>, InvalidTransaction>, HostFault> {
        if !self.keeps_history() {
            return Err(HostFault::Bug("signed transactions need `keep_history`".into()));
        }
        let base = self.check_base(state, signed.block_hash())?;
        Ok(base.and_then(|()| Offer::of_signed(self.schedule.protocol, signed)))
    }

    fn outcome_of(&self, made: Made) -> Result<BlockOutcome, HostFault> {
        let header = self.header(BlockReference::Height(made.block.height))?;
        let header = header.ok_or_else(|| HostFault::Bug("blocks need `keep_history`".into()))?;
        let (transactions, receipts) = (made.starts, made.ran);
        Ok(BlockOutcome { header, transactions, receipts, idle: self.is_idle()? })
    }

    /// Makes blocks until nothing is in the queue.
    fn run_queue(&self, time: Time) -> Result<Vec<ReceiptOutcome>, HostFault> {
        let mut ran = self.close_open()?;
        while !self.is_idle()? {
            ran.extend(self.make(time, Vec::new())?.ran);
        }
        Ok(ran)
    }

    /// Makes the blocks of [`Runtime::skip_blocks`].
    fn pass(&self, blocks: u64, time: Option<u64>) -> Result<Vec<Made>, HostFault> {
        let start = self.head()?;
        let target = start.height.saturating_add(blocks);
        let time_at = |height: u64| match time {
            None => Time::OfHeight,
            Some(end) => {
                let from = time_of(&start);
                let whole = u128::from(end.saturating_sub(from));
                let part = u128::from(height.saturating_sub(start.height));
                let passed = whole * part / u128::from(blocks.max(1));
                Time::At(from.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX)))
            }
        };
        let mut all = Vec::new();
        let ran = self.close_open()?;
        if !ran.is_empty() {
            let head = self.head()?;
            let block = Block { height: head.height, timestamp: head.timestamp };
            all.push(Made { block, starts: Vec::new(), ran });
        }
        loop {
            let work = Overlay::of(&*self.store)?;
            let state = work.state();
            let head = state.head()?;
            if !queue::is_empty(&state)? {
                all.push(self.make(time_at(head.height + 1), Vec::new())?);
                continue;
            }
            if head.height >= target {
                return Ok(all);
            }
            // Blocks in which nothing happens need not be made.
            let next = queue::next_expiry(&state)?.unwrap_or(target);
            let height = next.clamp(head.height + 1, target);
            let before = Head { height: height - 1, ..head };
            let block = time_at(height).after(&before);
            let (height, timestamp) = (block.height, block.timestamp);
            let open = OpenBlock { height, timestamp, transactions: Vec::new() };
            all.push(Made { block, starts: Vec::new(), ran: self.run(&work, open, false)? });
        }
    }

    /// Makes the next block.
    fn make(&self, time: Time, coming: Vec<Coming<'_>>) -> Result<Made, HostFault> {
        self.finish(self.begin(time, coming)?)
    }

    /// Takes transactions into the next block, and commits nothing.
    fn begin(&self, time: Time, coming: Vec<Coming<'_>>) -> Result<Begun, HostFault> {
        let work = Overlay::of(&*self.store)?;
        let block = time.after(&work.state().head()?);
        let starts = self.take(&work, block, coming)?;
        Ok(Begun { work, block, starts })
    }

    /// Commits a block that has begun, with the receipts that are due.
    fn finish(&self, begun: Begun) -> Result<Made, HostFault> {
        let Begun { mut work, block, starts } = begun;
        let taken = starts.iter().flatten().map(|start| start.hash).collect::<Vec<_>>();
        let (height, timestamp) = (block.height, block.timestamp);
        let open = OpenBlock { height, timestamp, transactions: taken };
        let in_two =
            !open.transactions.is_empty() && !queue::due(&work.state(), height)?.is_empty();
        if in_two {
            let mut state = work.state();
            state.write(keys::open_block(), &open)?;
            work.absorb(state.into_batch());
            self.commit(&work, height)?;
            work = Overlay::of(&*self.store)?;
        }
        let ran = self.run(&work, open, in_two)?;
        Ok(Made { block, starts, ran })
    }

    /// Takes transactions into a block, one after the other.
    fn take(
        &self,
        work: &Rc<Overlay>,
        block: Block,
        coming: Vec<Coming<'_>>,
    ) -> Result<Vec<Result<TransactionStart, InvalidTransaction>>, HostFault> {
        let mut starts = Vec::with_capacity(coming.len());
        for (offer, bytes) in coming {
            let offer = match offer {
                Ok(offer) => offer,
                Err(invalid) => {
                    starts.push(Err(invalid));
                    continue;
                }
            };
            let mut state = work.state();
            match convert(&self.schedule, &mut state, block, &offer) {
                Ok(start) => {
                    if self.keeps_history() {
                        let record = record_of(&offer, &start, block, bytes);
                        state.write(keys::transaction(&start.hash), &record)?;
                    }
                    work.absorb(state.into_batch());
                    starts.push(Ok(start));
                }
                Err(RuntimeError::Invalid(invalid)) => starts.push(Err(invalid)),
                Err(RuntimeError::Fault(fault)) => return Err(fault),
            }
        }
        Ok(starts)
    }

    /// Goes on with a block that a process began and did not end.
    fn close_open(&self) -> Result<Vec<ReceiptOutcome>, HostFault> {
        let work = Overlay::of(&*self.store)?;
        match work.state().read::<OpenBlock>(&keys::open_block())? {
            Some(open) => self.run(&work, open, true),
            None => Ok(Vec::new()),
        }
    }

    /// Runs the receipts of a block, ends it and commits it.
    fn run(
        &self,
        work: &Rc<Overlay>,
        open: OpenBlock,
        is_open: bool,
    ) -> Result<Vec<ReceiptOutcome>, HostFault> {
        let block = Block { height: open.height, timestamp: open.timestamp };
        let mut outcomes = Vec::new();
        for (key, receipt) in queue::due(&work.state(), block.height)? {
            let mut state = work.state();
            state.delete(key);
            let (mut state, ran) = self.run_receipt(block, state, receipt)?;
            if let Some((receipt, outcome)) = ran {
                if self.keeps_history() {
                    let record = OutcomeRecord::of(receipt, &outcome);
                    state.write(keys::outcome(&outcome.id), &record)?;
                }
                outcomes.push(outcome);
            }
            work.absorb(state.into_batch());
        }
        let mut state = work.state();
        let before = state.head()?.height;
        queue::end_block(&mut state, block)?;
        if is_open {
            state.delete(keys::open_block());
        }
        if self.keeps_history() {
            let before: Option<BlockRecord> = state.read(&keys::block(before))?;
            let missing = || HostFault::Bug("the block before this one is missing".into());
            let ids = outcomes.iter().map(|outcome| outcome.id).collect();
            let before = before.ok_or_else(missing)?.header;
            BlockRecord::after(&before, open, ids).write(&mut state)?;
        }
        work.absorb(state.into_batch());
        self.commit(work, block.height)?;
        Ok(outcomes)
    }

    /// Lets a receipt arrive, and runs the one that can run now, if there is one. Whatever the host finds wrong
    /// with itself in doing so ends the receipt; only a [`Halt`] gets out.
    fn run_receipt(
        &self,
        block: Block,
        before: WorkingState,
        receipt: Receipt,
    ) -> Result<(WorkingState, Option<Ran>), Halt> {
        let arrived = ending::catch(|| {
            let mut state = before.clone();
            let ready = queue::arrive(&mut state, receipt.clone())?;
            let recorded = match &ready {
                Some(ready) => ending::is_recorded(&state, ready)?,
                None => false,
            };
            Ok((state, ready, recorded))
        });
        let (state, ready, recorded) = match arrived.map_err(HostFault::split) {
            Ok((state, Some(ready), recorded)) => (state, ready, recorded),
            Ok((state, None, _)) => return Ok((state, None)),
            Err(Err(halt)) => return Err(halt),
            // Data that cannot be delivered has nobody to tell.
            Err(Ok(_)) if !matches!(receipt.body, ReceiptBody::Actions(_)) => {
                return Ok((before, None));
            }
            Err(Ok(fault)) => return self.end(block, &before, receipt, Some(&fault)),
        };
        if recorded {
            return self.end(block, &state, ready, None);
        }
        let marked = Marked::begin(&*self.watch, Work::Receipt(ready.id)).map_err(halting)?;
        let ran = match &marked.care {
            Care::Ordinary => self.apply(&self.machine, block, &state, &ready),
            Care::Interpreted => self.apply(&Interpreted(&self.machine), block, &state, &ready),
            Care::Condemned(cause) => Err(Ok(ReceiptFault::of_death(cause))),
        };
        match ran {
            Ok((state, outcome)) => Ok((state, Some((ready, outcome)))),
            Err(Err(halt)) => Err(halt),
            Err(Ok(fault)) => self.end(block, &state, ready, Some(&fault)),
        }
    }

    /// Ends a receipt by a fault, and keeps what reproduces it; of one that was recorded before, nothing.
    fn end(
        &self,
        block: Block,
        state: &WorkingState,
        receipt: Receipt,
        fault: Option<&ReceiptFault>,
    ) -> Result<(WorkingState, Option<Ran>), Halt> {
        let (state, outcome) = self.end_by_fault(block, state, &receipt, fault)?;
        Ok((state, Some((receipt, outcome))))
    }

    /// Prepares code. Code that a process died with is left to the receipt, whose mark can end it; so is a panic.
    fn prepare_code(&self, code: &[u8], visibility: Visibility) -> Result<(), HostFault> {
        let work = Work::Deploy(CryptoHash::hash_bytes(code));
        let marked = Marked::begin(&*self.watch, work)?;
        if marked.care == Care::Ordinary {
            let prepare = || {
                self.machine.prepare(code, visibility);
                Ok(())
            };
            drop(ending::catch(prepare));
        }
        Ok(())
    }

    /// Prepares the code that a transaction deploys before it waits for the chain and the chain for it, if its signer could
    /// pay for it now: whether the transaction is valid is decided again where it is made a receipt.
    fn prepare(&self, offer: &Offer<'_>) -> Result<(), HostFault> {
        let deploys = offer.actions().iter().filter_map(|action| match action {
            Action::DeployModule { mode, code, .. } => Some((mode.visibility, code)),
            _ => None,
        });
        let mut deploys = deploys.peekable();
        if deploys.peek().is_none() {
            return Ok(());
        }
        let mut state = self.state()?;
        let block = Time::OfHeight.after(&state.head()?);
        if convert(&self.schedule, &mut state, block, offer).is_err() {
            return Ok(());
        }
        for (visibility, code) in deploys {
            match code {
                Code::Bytes(code) => self.prepare_code(code, visibility)?,
                Code::Hash { hash, bytes } => {
                    if let Some(code) = self.state()?.code(hash)?
                        && code.len() as u64 == *bytes
                    {
                        self.prepare_code(&code, visibility)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn record_of(
    offer: &Offer<'_>,
    start: &TransactionStart,
    block: Block,
    bytes: &[u8],
) -> TransactionRecord {
    TransactionRecord {
        hash: start.hash,
        signer: offer.signer().clone(),
        receiver: offer.receiver().clone(),
        bytes: bytes.to_vec(),
        block_height: block.height,
        block_hash: CryptoHash::default(),
        receipt: start.receipt,
        gas_burnt: start.gas_burnt,
        tokens_burnt: start.tokens_burnt,
    }
}
