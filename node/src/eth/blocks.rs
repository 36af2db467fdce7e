//! Blocks, transactions and receipts as Ethereum shows them.

use crate::Node;
use crate::eth::at;
use crate::eth::hex::{self, bytes_hex, quantity, quantity_u64};
use crate::eth::index::Included;
use crate::eth::state::bloom;
use crate::rpc::{Answer, RpcError};
use alloy_primitives::B256;
use cotenant_host::runtime::BlockReference;
use engine_abi::{Log, Status};
use serde_json::{Value, json};

/// Keccak-256 of the empty list, and of the empty trie.
const NO_UNCLES: &str = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";
const EMPTY_ROOT: &str = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";
const ZERO_WORD: &str = "0x0000000000000000000000000000000000000000000000000000000000000000";

/// The gas limit of a block, as the opcode GASLIMIT has it.
const GAS_LIMIT: u64 = u64::MAX;

impl Node {
    /// Time of a block, in seconds since 1970.
    fn eth_time(&self, height: u64) -> Result<u64, RpcError> {
        let header = self.host.runtime().header(BlockReference::Height(height))?;
        Ok(header.map_or(0, |header| header.timestamp / 1_000_000_000))
    }

    pub(super) fn eth_block(&self, params: &Value) -> Answer {
        let (index, head) = self.indexed()?;
        let Some(height) = self.eth_block_height(at(params, 0))?.filter(|one| *one <= head) else {
            return Ok(Value::Null);
        };
        let included: Vec<&Included> = index.block(height).collect();
        let full = at(params, 1).as_bool().unwrap_or(false);
        let mut transactions = Vec::new();
        for one in &included {
            transactions.push(if full {
                self.placed(one)?
            } else {
                bytes_hex(one.transaction.hash.as_slice())
            });
        }
        let hash = self.eth.engine.block_hash(height);
        let parent = match height.checked_sub(1) {
            Some(parent) => self.eth.engine.block_hash(parent),
            None => B256::ZERO,
        };
        let gas = included.last().map_or(0, |last| last.cumulative_gas);
        let logs = included.iter().flat_map(|one| &one.result.logs);
        Ok(json!({
            "hash": bytes_hex(hash.as_slice()),
            "parentHash": bytes_hex(parent.as_slice()),
            "sha3Uncles": NO_UNCLES,
            "miner": bytes_hex(self.eth.address_of_relayer().as_slice()),
            "stateRoot": EMPTY_ROOT,
            "transactionsRoot": EMPTY_ROOT,
            "receiptsRoot": EMPTY_ROOT,
            "logsBloom": bytes_hex(&bloom(logs)),
            "difficulty": "0x0",
            "number": quantity_u64(height),
            "gasLimit": quantity_u64(GAS_LIMIT),
            "gasUsed": quantity_u64(gas),
            "timestamp": quantity_u64(self.eth_time(height)?),
            "extraData": "0x",
            "mixHash": bytes_hex(hash.as_slice()),
            "nonce": "0x0000000000000000",
            "baseFeePerGas": "0x0",
            "withdrawalsRoot": EMPTY_ROOT,
            "blobGasUsed": "0x0",
            "excessBlobGas": "0x0",
            "parentBeaconBlockRoot": ZERO_WORD,
            "totalDifficulty": "0x0",
            "size": "0x220",
            "uncles": [],
            "transactions": transactions,
            "withdrawals": [],
        }))
    }

    /// A transaction with its place.
    fn placed(&self, one: &Included) -> Answer {
        let mut shown = one.transaction.to_json();
        shown["blockHash"] = bytes_hex(self.eth.engine.block_hash(one.height).as_slice());
        shown["blockNumber"] = quantity_u64(one.height);
        shown["transactionIndex"] = quantity_u64(one.index as u64);
        Ok(shown)
    }

    pub(super) fn transaction_by_hash(&self, params: &Value) -> Answer {
        let hash = hex::word(at(params, 0))?;
        let (index, _) = self.indexed()?;
        if let Some(one) = index.get(&hash) {
            return self.placed(one);
        }
        let held = super::lock(&self.eth.held);
        let waiting = held.values().find(|one| one.transaction.hash == hash);
        Ok(waiting.map_or(Value::Null, |one| one.transaction.to_json()))
    }

    pub(super) fn transaction_at(&self, params: &Value) -> Answer {
        let (index, _) = self.indexed()?;
        let Some(height) = self.eth_block_height(at(params, 0))? else { return Ok(Value::Null) };
        let place = usize::try_from(hex::number_u64(at(params, 1))?).unwrap_or(usize::MAX);
        let found = index.block(height).nth(place);
        found.map_or(Ok(Value::Null), |one| self.placed(one))
    }

    pub(super) fn transaction_receipt(&self, params: &Value) -> Answer {
        let hash = hex::word(at(params, 0))?;
        let (index, _) = self.indexed()?;
        index.get(&hash).map_or(Ok(Value::Null), |one| self.receipt_of(one))
    }

    pub(super) fn block_receipts(&self, params: &Value) -> Answer {
        let (index, head) = self.indexed()?;
        let Some(height) = self.eth_block_height(at(params, 0))?.filter(|one| *one <= head) else {
            return Ok(Value::Null);
        };
        index.block(height).map(|one| self.receipt_of(one)).collect()
    }

    pub(super) fn block_count(&self, params: &Value) -> Answer {
        let (index, head) = self.indexed()?;
        let Some(height) = self.eth_block_height(at(params, 0))?.filter(|one| *one <= head) else {
            return Ok(Value::Null);
        };
        Ok(quantity_u64(index.block(height).count() as u64))
    }

    fn receipt_of(&self, one: &Included) -> Answer {
        let time = self.eth_time(one.height)?;
        let logs: Vec<Value> = one
            .result
            .logs
            .iter()
            .enumerate()
            .map(|(at, log)| self.log_of(one, at, log, time))
            .collect();
        let success = one.result.status == Status::Success;
        Ok(json!({
            "type": quantity_u64(u64::from(one.transaction.kind)),
            "status": if success { "0x1" } else { "0x0" },
            "cumulativeGasUsed": quantity_u64(one.cumulative_gas),
            "logs": logs,
            "logsBloom": bytes_hex(&bloom(one.result.logs.iter())),
            "transactionHash": bytes_hex(one.transaction.hash.as_slice()),
            "transactionIndex": quantity_u64(one.index as u64),
            "blockHash": bytes_hex(self.eth.engine.block_hash(one.height).as_slice()),
            "blockNumber": quantity_u64(one.height),
            "gasUsed": quantity_u64(one.result.gas_used),
            "effectiveGasPrice": quantity(one.transaction.effective_price()),
            "from": bytes_hex(one.transaction.from.as_slice()),
            "to": one.transaction.to.map(|to| bytes_hex(to.as_slice())),
            "contractAddress": one.result.created.filter(|_| success).map(|one| bytes_hex(&one)),
            "nearTransactionHash": one.near_transaction.to_string(),
            "nearReceiptHash": one.near_receipt.to_string(),
            "nearGasBurnt": quantity_u64(one.near_gas),
            "nearGasLimit": quantity_u64(super::send::NEAR_GAS),
        }))
    }

    pub(super) fn log_of(&self, one: &Included, place: usize, log: &Log, time: u64) -> Value {
        let topics: Vec<Value> = log.topics.iter().map(|topic| bytes_hex(topic)).collect();
        json!({
            "address": bytes_hex(&log.address),
            "topics": topics,
            "data": bytes_hex(&log.data),
            "blockHash": bytes_hex(self.eth.engine.block_hash(one.height).as_slice()),
            "blockNumber": quantity_u64(one.height),
            "blockTimestamp": quantity_u64(time),
            "transactionHash": bytes_hex(one.transaction.hash.as_slice()),
            "transactionIndex": quantity_u64(one.index as u64),
            "logIndex": quantity_u64((one.first_log + place) as u64),
            "removed": false,
        })
    }

    pub(super) fn log_time(&self, height: u64) -> Result<u64, RpcError> {
        self.eth_time(height)
    }
}
