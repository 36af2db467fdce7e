//! Ethereum's transactions by hash and block, and their logs: read from the results of the engine's receipts, never from
//! NEAR's logs, which are cut.

use crate::eth::state::{Engine, result};
use crate::eth::transaction::Transaction;
use alloy_primitives::B256;
use cotenant_host::action::Action;
use cotenant_host::runtime::{BlockReference, OutcomeRecord, ReceiptBody, Status};
use cotenant_host::{Host, HostFault};
use engine_abi::TransactionResult;
use near_primitives_core::hash::CryptoHash;
use std::collections::{BTreeMap, HashMap};

/// A transaction that was included.
#[derive(Clone, Debug)]
pub(crate) struct Included {
    pub(crate) transaction: Transaction,
    pub(crate) result: TransactionResult,
    pub(crate) height: u64,
    pub(crate) index: usize,
    /// Logs of its block before it.
    pub(crate) first_log: usize,
    /// Gas of its block, its own with it.
    pub(crate) cumulative_gas: u64,
    pub(crate) near_transaction: CryptoHash,
    pub(crate) near_receipt: CryptoHash,
    pub(crate) near_gas: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The last block that was read, and its hash.
    read: Option<(u64, CryptoHash)>,
    blocks: BTreeMap<u64, Vec<B256>>,
    by_hash: HashMap<B256, Included>,
}

impl Index {
    /// Reads the blocks since the last time; drops those that were taken back.
    pub(crate) fn catch_up(&mut self, host: &Host, engine: &Engine) -> Result<u64, HostFault> {
        let runtime = host.runtime();
        let Some(head) = runtime.block(BlockReference::Head)? else { return Ok(0) };
        let height = head.header.height;
        if self.read == Some((height, head.header.hash)) {
            return Ok(height);
        }
        if let Some((at, hash)) = self.read {
            let now = runtime.header(BlockReference::Height(at))?;
            if now.is_none_or(|now| now.hash != hash) {
                // Some were taken back: all is read again, which only a test asks for.
                *self = Self::default();
            }
        }
        let from = self.read.map(|(height, _)| height);
        let mut blocks = Vec::new();
        let read = (height, head.header.hash);
        let mut at = Some(head);
        while let Some(block) = at {
            if from.is_some_and(|from| block.header.height <= from) {
                break;
            }
            let (here, before) = (block.header.height, block.header.prev_height);
            blocks.push(block);
            at = if before < here { runtime.block(BlockReference::Height(before))? } else { None };
        }
        for block in blocks.into_iter().rev() {
            for id in &block.receipts {
                if let Some(outcome) = runtime.outcome(id)? {
                    self.add(engine, block.header.height, &outcome);
                }
            }
        }
        self.read = Some(read);
        Ok(height)
    }

    fn add(&mut self, engine: &Engine, height: u64, outcome: &OutcomeRecord) {
        let (ReceiptBody::Actions(body), Status::SuccessValue(value)) =
            (&outcome.receipt.body, &outcome.status)
        else {
            return;
        };
        if outcome.receipt.receiver != engine.account {
            return;
        }
        let [Action::FunctionCall { method, args, .. }] = body.actions.as_slice() else { return };
        if method != "evm_submit" {
            return;
        }
        let (Ok(transaction), Some(result)) = (Transaction::of_bytes(args), result(value)) else {
            return;
        };
        if matches!(result.status, engine_abi::Status::Invalid(_)) {
            return;
        }
        let block = self.blocks.entry(height).or_default();
        let before = block.last().and_then(|hash| self.by_hash.get(hash));
        let first_log = before.map_or(0, |one| one.first_log + one.result.logs.len());
        let cumulative_gas =
            before.map_or(0, |one| one.cumulative_gas).saturating_add(result.gas_used);
        let index = block.len();
        block.push(transaction.hash);
        self.by_hash.insert(
            transaction.hash,
            Included {
                result,
                height,
                index,
                first_log,
                cumulative_gas,
                near_transaction: outcome.receipt.transaction,
                near_receipt: outcome.receipt.id,
                near_gas: outcome.gas_burnt,
                transaction,
            },
        );
    }

    pub(crate) fn get(&self, hash: &B256) -> Option<&Included> {
        self.by_hash.get(hash)
    }

    pub(crate) fn block(&self, height: u64) -> impl Iterator<Item = &Included> {
        self.blocks.get(&height).into_iter().flatten().filter_map(|hash| self.by_hash.get(hash))
    }

    pub(crate) fn range(&self, from: u64, to: u64) -> impl Iterator<Item = &Included> {
        let all = (from <= to).then(|| self.blocks.range(from..=to));
        all.into_iter()
            .flatten()
            .flat_map(|(_, hashes)| hashes)
            .filter_map(|hash| self.by_hash.get(hash))
    }
}
