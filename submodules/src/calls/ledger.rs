//! What all frames of a root call share: one account, one ledger (`docs/spec/calls.md`, section 5).

/// Totals of a root call, over every frame whose effects have not been dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Balance of the account, in yoctoNEAR, deposit included.
    pub balance: u128,
    /// Bytes of storage the account uses.
    pub storage_usage: u64,
    /// Logs written.
    pub logs: u64,
    /// Bytes of logs written.
    pub log_bytes: u64,
    /// Receipts created.
    pub receipts: u64,
}

/// Limits of NEAR that belong to the whole root call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerLimits {
    /// Logs (`max_number_logs`).
    pub logs: u64,
    /// Bytes of logs (`max_total_log_length`).
    pub log_bytes: u64,
    /// Receipts (`max_promises_per_function_call_action`).
    pub receipts: u64,
}

/// A change of the ledger, kept per frame so that it can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LedgerChange {
    /// Balance spent, in yoctoNEAR.
    pub spent: u128,
    /// Bytes of storage added (or, negative, freed).
    pub storage: i64,
    /// Logs written.
    pub logs: u64,
    /// Bytes of logs written.
    pub log_bytes: u64,
    /// Receipts created.
    pub receipts: u64,
}

/// Which limit of the ledger a change breaks; the names are those of NEAR's `HostError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The account has not enough balance.
    #[error("the account's balance does not cover it")]
    BalanceExceeded,
    /// Too many logs.
    #[error("more than {limit} logs in one root call")]
    NumberOfLogsExceeded {
        /// The limit.
        limit: u64,
    },
    /// Too many bytes of logs.
    #[error("more than {limit} bytes of logs in one root call")]
    TotalLogLengthExceeded {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Too many receipts.
    #[error("more than {limit} receipts in one root call")]
    NumberPromisesExceeded {
        /// The limit.
        limit: u64,
    },
}

impl LedgerChange {
    /// Adds a later change.
    pub fn join(&mut self, other: &LedgerChange) {
        self.spent = self.spent.saturating_add(other.spent);
        self.storage = self.storage.saturating_add(other.storage);
        self.logs = self.logs.saturating_add(other.logs);
        self.log_bytes = self.log_bytes.saturating_add(other.log_bytes);
        self.receipts = self.receipts.saturating_add(other.receipts);
    }
}

impl Ledger {
    /// Applies a change if every limit holds; leaves the ledger as it was if not.
    ///
    /// # Errors
    /// The first limit that does not hold: balance, logs, bytes of logs, receipts.
    pub fn apply(
        &mut self,
        change: &LedgerChange,
        limits: &LedgerLimits,
    ) -> Result<(), LedgerError> {
        let balance = self.balance.checked_sub(change.spent).ok_or(LedgerError::BalanceExceeded)?;
        let logs = self.logs.saturating_add(change.logs);
        if logs > limits.logs {
            return Err(LedgerError::NumberOfLogsExceeded { limit: limits.logs });
        }
        let log_bytes = self.log_bytes.saturating_add(change.log_bytes);
        if log_bytes > limits.log_bytes {
            return Err(LedgerError::TotalLogLengthExceeded { limit: limits.log_bytes });
        }
        let receipts = self.receipts.saturating_add(change.receipts);
        if receipts > limits.receipts {
            return Err(LedgerError::NumberPromisesExceeded { limit: limits.receipts });
        }
        let storage_usage = self.storage_usage.saturating_add_signed(change.storage);
        *self = Self { balance, storage_usage, logs, log_bytes, receipts };
        Ok(())
    }

    /// Takes back what a dropped frame changed.
    pub fn take_back(&mut self, change: &LedgerChange) {
        self.balance = self.balance.saturating_add(change.spent);
        self.storage_usage =
            self.storage_usage.saturating_add_signed(change.storage.saturating_neg());
        self.logs = self.logs.saturating_sub(change.logs);
        self.log_bytes = self.log_bytes.saturating_sub(change.log_bytes);
        self.receipts = self.receipts.saturating_sub(change.receipts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: LedgerLimits = LedgerLimits { logs: 2, log_bytes: 10, receipts: 1 };

    #[test]
    fn a_change_that_breaks_a_limit_leaves_the_ledger_as_it_was() {
        let start = Ledger { balance: 5, ..Ledger::default() };
        for (change, error) in [
            (LedgerChange { spent: 6, ..Default::default() }, LedgerError::BalanceExceeded),
            (
                LedgerChange { logs: 3, ..Default::default() },
                LedgerError::NumberOfLogsExceeded { limit: 2 },
            ),
            (
                LedgerChange { log_bytes: 11, ..Default::default() },
                LedgerError::TotalLogLengthExceeded { limit: 10 },
            ),
            (
                LedgerChange { receipts: 2, ..Default::default() },
                LedgerError::NumberPromisesExceeded { limit: 1 },
            ),
        ] {
            let mut ledger = start;
            assert_eq!(ledger.apply(&change, &LIMITS), Err(error));
            assert_eq!(ledger, start);
        }
    }

    #[test]
    fn what_is_taken_back_is_as_if_it_never_was() {
        let start = Ledger { balance: 5, storage_usage: 100, ..Ledger::default() };
        let change = LedgerChange { spent: 3, storage: -40, logs: 1, log_bytes: 9, receipts: 1 };
        let mut ledger = start;
        ledger.apply(&change, &LIMITS).unwrap();
        assert_eq!(ledger.storage_usage, 60);
        ledger.take_back(&change);
        assert_eq!(ledger, start);
    }
}
