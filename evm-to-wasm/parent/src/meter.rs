//! What a compiled frame did that its parent can see: requests, gas that paid for the world and not for computing, and the
//! refund that it can have earned.

use revm::context_interface::context::SStoreResult;

/// Prices of EIP-2929, EIP-2200 and EIP-3529, and of LOG, in gas.
const COLD_SLOAD: u64 = 2_100;
const COLD_ACCOUNT: u64 = 2_600;
const WARM: u64 = 100;
const SSTORE_SET: u64 = 20_000;
const SSTORE_RESET: u64 = 2_900;
const REFUND_CLEARED: i64 = 4_800;
const REFUND_SET_BACK: i64 = (SSTORE_SET - WARM) as i64;
const REFUND_RESET_BACK: i64 = (SSTORE_RESET - WARM) as i64;
const LOG: u64 = 375;
const LOG_BYTE: u64 = 8;

/// Counts of one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meter {
    /// Gas that it began with.
    pub(crate) gas_at_start: u64,
    /// Gas that the frames which it called have used.
    pub(crate) callees_gas: u64,
    /// Requests that were answered.
    pub(crate) requests: u64,
    /// Gas of storage, accounts, logs and calls.
    pub(crate) world_gas: u64,
    /// Refunds of the slots that were written, by what they were and have become.
    pub(crate) refund: i64,
}

impl Meter {
    /// Gas that the frame itself has used when it has so much left.
    pub(crate) fn own_gas(&self, left: u64) -> u64 {
        self.gas_at_start.saturating_sub(left).saturating_sub(self.callees_gas)
    }

    pub(crate) fn slot(&mut self, is_cold: bool) {
        self.world_gas += if is_cold { COLD_SLOAD } else { WARM };
    }

    pub(crate) fn account(&mut self, is_cold: bool) {
        self.world_gas += if is_cold { COLD_ACCOUNT } else { WARM };
    }

    pub(crate) fn log(&mut self, topics: u32, bytes: u32) {
        self.world_gas += LOG + LOG * u64::from(topics) + LOG_BYTE * u64::from(bytes);
    }

    /// A slot that was written, once or many times.
    pub(crate) fn write(&mut self, write: &SStoreResult) {
        let SStoreResult { original_value: original, present_value: before, new_value: after } =
            *write;
        if before == after {
            self.world_gas += WARM;
            return;
        }
        self.world_gas += match (before == original, original.is_zero()) {
            (true, true) => SSTORE_SET,
            (true, false) => SSTORE_RESET,
            (false, _) => WARM,
        };
        if original.is_zero() {
            self.refund += if after.is_zero() { REFUND_SET_BACK } else { 0 };
            return;
        }
        self.refund += match (before.is_zero(), after.is_zero()) {
            (false, true) => REFUND_CLEARED,
            (true, false) => -REFUND_CLEARED,
            _ => 0,
        };
        self.refund += if after == original { REFUND_RESET_BACK } else { 0 };
    }

    /// Whether a frame that has used so much gas itself can have earned a refund. What its writes come to is due in any
    /// case; on the way there a slot can have been set to and fro, and each time costs more than it gives back.
    pub(crate) fn may_earn(&self, refund: i64, gas: u64) -> bool {
        let most = self.refund.saturating_add(i64::try_from(gas).unwrap_or(i64::MAX));
        (self.refund..=most).contains(&refund)
    }
}

/// A frame that has ended.
#[derive(Clone, Copy, Debug)]
pub struct FrameEnd {
    /// What the source noted when it began, 0 if nothing.
    pub note: u32,
    /// Whether a module ran it.
    pub is_compiled: bool,
    /// Whether it ended exceptionally: then its gas says nothing of what it did.
    pub has_halted: bool,
    /// EVM gas that it has used itself, without the frames that it called.
    pub gas: u64,
    /// EVM gas of that for storage, accounts, logs and calls, as far as its parent saw; 0 of an interpreted frame.
    pub world_gas: u64,
    /// Requests of its module that were answered.
    pub requests: u64,
}
