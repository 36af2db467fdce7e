//! What the frames of a transaction may have besides gas: memory and logs.
//!
//! The EVM bounds both by gas alone, a machine does not. Where they are bounded they are bounded by these numbers, for
//! frames that are interpreted and for compiled ones alike, and a frame that goes beyond halts exceptionally.

use alloc::rc::Rc;
use core::cell::Cell;
use evm_to_wasm::abi::MEMORY_MAX;

/// Bounds of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of EVM memory of one frame, a multiple of 32, at most [`MEMORY_MAX`].
    pub frame_memory: u32,
    /// Bytes that the frames which wait for the running one have, and it itself: EVM memory, and the longest return
    /// data that each has been given.
    pub live_memory: u64,
    /// Bytes of logs, as [`LogMeter`] counts them.
    pub logs: u64,
}

impl Limits {
    /// No bounds but those of a module.
    pub const NONE: Self = Self { frame_memory: MEMORY_MAX, live_memory: u64::MAX, logs: u64::MAX };

    /// Bytes of EVM memory for a frame when others hold so many.
    pub(crate) fn memory_room(&self, held: u64) -> u32 {
        let left = self.live_memory.saturating_sub(held).min(u64::from(self.frame_memory));
        u32::try_from(left).unwrap_or(u32::MAX) & !31
    }
}

/// Bytes of the logs in the journal: of each its data, and 32 for each topic. Shared by those that write logs.
#[derive(Clone, Debug, Default)]
pub struct LogMeter(Rc<Cell<u64>>);

impl LogMeter {
    /// Nothing written yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of a log.
    #[must_use]
    pub fn bytes_of(log: &revm::primitives::Log) -> u64 {
        log.topics().len() as u64 * 32 + log.data.data.len() as u64
    }

    /// Bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.get()
    }

    /// Counts a log: the bytes with it.
    pub fn add(&self, log: &revm::primitives::Log) -> u64 {
        self.0.set(self.0.get() + Self::bytes_of(log));
        self.0.get()
    }

    /// Goes back to what it was before logs that are undone.
    pub(crate) fn reset(&self, bytes: u64) {
        self.0.set(bytes);
    }

    /// Bytes that may still be written, as the ABI has them.
    pub(crate) fn room(&self, limits: &Limits) -> u32 {
        u32::try_from(limits.logs.saturating_sub(self.bytes())).unwrap_or(u32::MAX)
    }
}
