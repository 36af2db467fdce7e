//! Messages of a module taken apart, and what it did written into the journal.
//!
//! Everything here is read from bytes that a module chose: a length that does not fit is a fault of the frame.

use crate::fault::{FrameFault, Malformed};
use evm_to_wasm::abi::{Effects, LogHead, Request, backwards};
use revm::interpreter::Host;
use revm::primitives::{Address, B256, Bytes, Log, LogData, U256};

/// Bytes of a slot and its value.
const WRITE_BYTES: usize = 64;

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

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], FrameFault> {
        let Some((taken, rest)) = self.rest.split_at_checked(bytes) else {
            let missing = bytes - self.rest.len();
            return Err(self.malformed(Malformed::TailShort { missing }));
        };
        self.rest = rest;
        Ok(taken)
    }
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
    pub(crate) fn flush(
        mut self,
        effects: &Effects,
        payload_bytes: u32,
        address: Address,
        is_static: bool,
        host: &mut impl Host,
    ) -> Result<Flushed, FrameFault> {
        let writes = [effects.storage_writes, effects.transient_writes, effects.logs];
        if is_static && writes.iter().any(|count| *count != 0) {
            return Err(FrameFault::out_of_place(&self.request, "a static frame has no effects"));
        }
        for _ in 0..effects.logs {
            let log = self.log(address)?;
            host.log(log);
        }
        let mut database_failed = false;
        for _ in 0..effects.storage_writes {
            let (slot, value) = self.write()?;
            database_failed |= host.sstore(address, slot, value).is_none();
        }
        for _ in 0..effects.transient_writes {
            let (slot, value) = self.write()?;
            host.tstore(address, slot, value);
        }
        let payload = Bytes::from(backwards(self.tail.take(payload_bytes as usize)?));
        self.end()?;
        Ok(Flushed { payload, database_failed })
    }

    fn end(&self) -> Result<(), FrameFault> {
        match self.tail.rest.len() {
            0 => Ok(()),
            extra => Err(self.tail.malformed(Malformed::TailLong { extra })),
        }
    }

    fn write(&mut self) -> Result<(U256, U256), FrameFault> {
        let bytes = self.tail.take(WRITE_BYTES)?;
        let (slot, value) = bytes.split_at(WRITE_BYTES / 2);
        Ok((U256::from_le_slice(slot), U256::from_le_slice(value)))
    }

    fn log(&mut self, address: Address) -> Result<Log, FrameFault> {
        const HEAD_BYTES: usize = 8;
        let mut head = self.tail.take(HEAD_BYTES)?;
        let head: LogHead = borsh::BorshDeserialize::deserialize(&mut head)
            .map_err(|_| self.tail.malformed(Malformed::Head))?;
        if head.topics > TOPICS_MAX {
            return Err(self.tail.malformed(Malformed::Topics { topics: head.topics }));
        }
        let topics = self.tail.take(head.topics as usize * 32)?;
        let topics = topics.chunks_exact(32).map(|topic| B256::from(U256::from_le_slice(topic)));
        let topics = topics.collect();
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
