//! Messages of a module taken apart, and what it did written into the journal.
//!
//! Everything here is read from bytes that a module chose: a length that does not fit is a fault of the frame.

use crate::fault::{FrameFault, Malformed};
use crate::limits::{Limits, LogMeter};
use crate::meter::Meter;
use crate::serve::EthContext;
use crate::wire::{backwards, hash_at, word_at};
use alloc::vec::Vec;
use evm_to_wasm::abi::{Effects, LogHead, Request};
use revm::context_interface::JournalTr;
use revm::database_interface::Database;
use revm::primitives::{Address, Bytes, Log, LogData, U256};

/// Tag of [`Request::SLoad`], and its size.
const SLOAD_TAG: u8 = 0;
const SLOAD_BYTES: usize = 33;

/// Topics of a log, at most.
const TOPICS_MAX: u32 = 4;

/// A request and the tail that came with it.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) request: Request,
    tail: Tail<'a>,
}

/// The part of a message that has not been read yet.
#[derive(Debug)]
struct Tail<'a> {
    rest: &'a [u8],
    message_bytes: usize,
}

impl<'a> Tail<'a> {
    fn malformed(&self, reason: Malformed) -> FrameFault {
        FrameFault::Malformed { bytes: self.message_bytes, reason }
    }

    fn take_word(&mut self) -> Result<&'a [u8; 32], FrameFault> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            let missing = 32 - self.rest.len();
            return Err(self.malformed(Malformed::TailShort { missing }));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], FrameFault> {
        let Some((taken, rest)) = self.rest.split_at_checked(bytes) else {
            let missing = bytes - self.rest.len();
            return Err(self.malformed(Malformed::TailShort { missing }));
        };
        self.rest = rest;
        Ok(taken)
    }
}

/// The slot that a module asks for, if that is what it yielded: by far the most frequent request.
pub(crate) fn asked_slot(bytes: &[u8]) -> Option<U256> {
    let bytes: &[u8; SLOAD_BYTES] = bytes.try_into().ok()?;
    let (&tag, slot) = bytes.split_first()?;
    (tag == SLOAD_TAG).then(|| slot.first_chunk().map(word_at)).flatten()
}

impl<'a> Message<'a> {
    /// Takes what a module yielded or returned.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, FrameFault> {
        let mut rest = bytes;
        let request = borsh::BorshDeserialize::deserialize(&mut rest);
        let tail = Tail { rest, message_bytes: bytes.len() };
        match request {
            Ok(request) => Ok(Self { request, tail }),
            Err(_) => Err(tail.malformed(Malformed::Head)),
        }
    }

    /// The payload of a message without effects: there may be none.
    pub(crate) fn empty(self) -> Result<(), FrameFault> {
        self.end()
    }

    /// Writes the effects of `address` into the journal and gives the payload behind them.
    ///
    /// In a static frame there may be none: the module should have halted.
    pub(crate) fn flush<DB: Database>(
        mut self,
        effects: &Effects,
        payload_bytes: u32,
        address: Address,
        is_static: bool,
        host: &mut EthContext<DB>,
        bounds: (&Limits, &LogMeter),
        meter: &mut Meter,
    ) -> Result<Flushed, FrameFault> {
        let writes = [effects.storage_writes, effects.transient_writes, effects.logs];
        if is_static && writes.iter().any(|count| *count != 0) {
            return Err(FrameFault::out_of_place(&self.request, "a static frame has no effects"));
        }
        let journal = &mut host.journaled_state;
        for _ in 0..effects.logs {
            let log = self.log(address)?;
            let (limits, logs) = bounds;
            if logs.add(&log) > limits.logs {
                return Err(FrameFault::out_of_place(
                    &self.request,
                    "there is no room for its logs",
                ));
            }
            meter.log(log.topics().len() as u32, log.data.data.len() as u32);
            journal.log(log);
        }
        if effects.storage_writes > 0 {
            // The account of a frame that runs is there.
            let account = journal.inner.get_account_mut(&mut journal.database, address);
            let Some(mut account) = account else { return Ok(Flushed::failed()) };
            for _ in 0..effects.storage_writes {
                let (slot, value) = self.write()?;
                match account.sstore_concrete_error(slot, value, false) {
                    Ok(written) => meter.write(&written.data),
                    Err(error) => {
                        if let (_, Some(error)) = error.into_parts() {
                            host.error = Err(error.into());
                        }
                        return Ok(Flushed::failed());
                    }
                }
            }
        }
        for _ in 0..effects.transient_writes {
            let (slot, value) = self.write()?;
            host.journaled_state.tstore(address, slot, value);
        }
        let payload = Bytes::from(backwards(self.tail.take(payload_bytes as usize)?));
        self.end()?;
        Ok(Flushed { payload, database_failed: false })
    }

    fn end(&self) -> Result<(), FrameFault> {
        match self.tail.rest.len() {
            0 => Ok(()),
            extra => Err(self.tail.malformed(Malformed::TailLong { extra })),
        }
    }

    fn write(&mut self) -> Result<(U256, U256), FrameFault> {
        Ok((word_at(self.tail.take_word()?), word_at(self.tail.take_word()?)))
    }

    fn log(&mut self, address: Address) -> Result<Log, FrameFault> {
        const HEAD_BYTES: usize = 8;
        let mut head = self.tail.take(HEAD_BYTES)?;
        let head: LogHead = borsh::BorshDeserialize::deserialize(&mut head)
            .map_err(|_| self.tail.malformed(Malformed::Head))?;
        if head.topics > TOPICS_MAX {
            return Err(self.tail.malformed(Malformed::Topics { topics: head.topics }));
        }
        let mut topics = Vec::with_capacity(head.topics as usize);
        for _ in 0..head.topics {
            topics.push(hash_at(self.tail.take_word()?));
        }
        let data = Bytes::from(backwards(self.tail.take(head.data_bytes as usize)?));
        Ok(Log { address, data: LogData::new_unchecked(topics, data) })
    }
}

/// What is left of a message when its effects are in the journal.
#[derive(Debug)]
pub(crate) struct Flushed {
    /// The payload, in the order in which it is written.
    pub(crate) payload: Bytes,
    /// The database failed; the journal knows why.
    pub(crate) database_failed: bool,
}

impl Flushed {
    /// Nothing of use, because the database failed.
    fn failed() -> Self {
        Self { payload: Bytes::new(), database_failed: true }
    }
}
