//! NEAR's methods (`rpc.md` 3 to 5, 7, 8): what clients send for each, and what they get.

pub(crate) mod json;
pub(crate) mod params;
mod query;
mod sandbox;

pub(crate) use sandbox::patches as sandbox_patches;

use crate::Node;
use crate::chain::{HEAD, Refused};
use crate::rpc::{Answer, RpcError};
use cotenant_host::near::SignedTransaction;
use cotenant_host::runtime::{BlockHeader, BlockReference, FinalStatus, GAS_PRICE};
use near_primitives_core::hash::CryptoHash;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a transaction that waits for a yield is waited for.
const OUTCOME_WAIT: Duration = Duration::from_secs(10);

/// Reads a transaction of `{signed_tx_base64}` or `[base64]`.
fn signed_of(of: &Value) -> Result<SignedTransaction, RpcError> {
    let text = match of {
        Value::Array(list) => list.first().and_then(Value::as_str),
        other => other.get("signed_tx_base64").and_then(Value::as_str),
    };
    let text = text
        .ok_or_else(|| RpcError::parse("Failed parsing args: missing field `signed_tx_base64`"))?;
    SignedTransaction::of_bytes(&params::bytes(text)?)
        .map_err(|error| RpcError::parse(format!("Failed to decode transaction: {error}")))
}

fn refusal(refused: Refused) -> RpcError {
    match refused {
        Refused::Invalid(invalid) => RpcError::near(
            "INVALID_TRANSACTION",
            json!({}),
            json!({"TxExecutionError": {"InvalidTxError": invalid.to_near()}}),
        ),
        Refused::Fault(fault) => RpcError::internal(fault),
    }
}

fn unknown_transaction(hash: &CryptoHash) -> RpcError {
    let info = json!({"requested_transaction_hash": hash.to_string()});
    RpcError::near("UNKNOWN_TRANSACTION", info, format!("Transaction {hash} doesn't exist"))
}

impl Node {
    /// Answers a method of NEAR that changes something or waits; `None` for those that only read.
    pub(crate) async fn near_async(self: &Arc<Self>, method: &str, of: &Value) -> Option<Answer> {
        Some(match method {
            "send_tx" => self.send_tx(of, false).await,
            "broadcast_tx_commit" => self.send_tx(of, true).await,
            "broadcast_tx_async" => self.send_async(of),
            "tx" => self.transaction_status(of, false).await,
            "tx_status" | "EXPERIMENTAL_tx_status" => self.transaction_status(of, true).await,
            "sandbox_patch_state" => self.patch_state(of).await,
            "sandbox_fast_forward" => self.fast_forward(of).await,
            _ => return None,
        })
    }

    /// Answers a method of NEAR that only reads.
    pub(crate) fn near_read(&self, method: &str, of: &Value) -> Answer {
        match method {
            "status" => self.status(),
            "health" => Ok(Value::Null),
            "block" => {
                let header = self.header(params::block(of)?)?;
                Ok(json::block(&header, self.protocol()))
            }
            "chunk" | "EXPERIMENTAL_chunk" => self.chunk(of),
            "gas_price" => Ok(json!({"gas_price": GAS_PRICE.to_string()})),
            "query"
            | "EXPERIMENTAL_call_function"
            | "EXPERIMENTAL_view_account"
            | "EXPERIMENTAL_view_access_key"
            | "EXPERIMENTAL_view_access_key_list"
            | "EXPERIMENTAL_view_code"
            | "EXPERIMENTAL_view_state" => self.query(method, of),
            "EXPERIMENTAL_receipt" | "receipt" => self.receipt(of),
            "EXPERIMENTAL_protocol_config" => self.protocol_config(),
            "EXPERIMENTAL_genesis_config" | "genesis_config" => self.genesis_config(),
            "validators" | "EXPERIMENTAL_validators_ordered" => Ok(self.validators(method)),
            "EXPERIMENTAL_changes" | "changes" => {
                let header = self.header(params::block(of)?)?;
                Ok(json!({"block_hash": header.hash.to_string(), "changes": []}))
            }
            "EXPERIMENTAL_changes_in_block" | "block_effects" => {
                let header = self.header(params::block(of)?)?;
                Ok(json!({"block_hash": header.hash.to_string(), "changes": []}))
            }
            "network_info" => Ok(json!({
                "active_peers": [],
                "num_active_peers": 0,
                "peer_max_count": 0,
                "sent_bytes_per_sec": 0,
                "received_bytes_per_sec": 0,
                "known_producers": [],
            })),
            "next_light_client_block" => Ok(json!({})),
            "client_config" => Ok(json!({})),
            "maintenance_windows" | "EXPERIMENTAL_maintenance_windows" => Ok(json!([])),
            "cotenant_trace" => self.trace(of),
            _ => Err(RpcError::method_not_found(method)),
        }
    }

    pub(crate) fn protocol(&self) -> u32 {
        self.host.runtime().schedule().protocol
    }

    /// The header of a block.
    pub(crate) fn header(&self, block: BlockReference) -> Result<BlockHeader, RpcError> {
        let unknown = || {
            let what = match block {
                BlockReference::Head => "the head".to_owned(),
                BlockReference::Height(height) => format!("height: {height}"),
                BlockReference::Hash(hash) => format!("hash: {hash}"),
            };
            RpcError::near("UNKNOWN_BLOCK", json!({}), format!("DB Not Found Error: BLOCK {what}"))
        };
        self.host.runtime().header(block)?.ok_or_else(unknown)
    }

    fn status(&self) -> Answer {
        let head = self.header(HEAD)?;
        let first = &self.first;
        Ok(json!({
            "version": {
                "version": env!("CARGO_PKG_VERSION"),
                "build": "cotenant",
                "commit": "cotenant",
                "rustc_version": "1.95.0",
            },
            "chain_id": self.options.chain_id,
            "protocol_version": self.protocol(),
            "latest_protocol_version": self.protocol(),
            "rpc_addr": self.rpc_address(),
            "validators": [{"account_id": "sandbox"}],
            "sync_info": {
                "latest_block_hash": head.hash.to_string(),
                "latest_block_height": head.height,
                "latest_state_root": CryptoHash::default().to_string(),
                "latest_block_time": json::iso_time(head.timestamp),
                "syncing": false,
                "earliest_block_hash": first.hash.to_string(),
                "earliest_block_height": first.height,
                "earliest_block_time": json::iso_time(first.timestamp),
                "epoch_id": head.epoch_id.to_string(),
                "epoch_start_height": 0,
            },
            "validator_account_id": "sandbox",
            "validator_public_key": crate::genesis::PUBLIC_KEY,
            "node_public_key": crate::genesis::PUBLIC_KEY,
            "node_key": null,
            "uptime_sec": self.started.elapsed().as_secs(),
            "genesis_hash": first.hash.to_string(),
            "detailed_debug_status": null,
        }))
    }

    fn chunk(&self, of: &Value) -> Answer {
        let runtime = self.host.runtime();
        let id = match of {
            Value::Array(list) => list.first().cloned().unwrap_or(Value::Null),
            other => other.get("chunk_id").cloned().unwrap_or(Value::Null),
        };
        let record = match &id {
            Value::String(text) => self.block_of_chunk(&params::hash(text)?)?,
            Value::Array(list) => {
                runtime.block(params::block_id(list.first().unwrap_or(&Value::Null))?)?
            }
            _ => runtime.block(params::block(of)?)?,
        };
        let record = record.ok_or_else(|| {
            RpcError::near(
                "UNKNOWN_CHUNK",
                json!({"chunk_hash": id}),
                format!("Chunk Missing (unavailable on the node): {id}"),
            )
        })?;
        let mut transactions = Vec::new();
        for hash in &record.transactions {
            transactions.extend(runtime.transaction(hash)?);
        }
        let mut receipts = Vec::new();
        for id in &record.receipts {
            receipts.extend(runtime.find_receipt(id)?);
        }
        Ok(json::chunk(&record, &transactions, &receipts))
    }

    /// A chunk's hash is made of its block's: the last blocks are tried.
    fn block_of_chunk(
        &self,
        chunk: &CryptoHash,
    ) -> Result<Option<cotenant_host::runtime::BlockRecord>, RpcError> {
        let runtime = self.host.runtime();
        let mut at = runtime.block(HEAD)?;
        for _ in 0..1_024 {
            let Some(record) = at else { return Ok(None) };
            if json::chunk_hash(&record.header.hash) == *chunk {
                return Ok(Some(record));
            }
            if record.header.prev_height >= record.header.height {
                return Ok(None);
            }
            at = runtime.block(BlockReference::Height(record.header.prev_height))?;
        }
        Ok(None)
    }

    fn receipt(&self, of: &Value) -> Answer {
        let id = match of {
            Value::Array(list) => list.first().and_then(Value::as_str).unwrap_or_default(),
            other => params::text(other, "receipt_id")?,
        };
        match self.host.runtime().find_receipt(&params::hash(id)?)? {
            Some(receipt) => Ok(json::receipt(&receipt)),
            None => Err(RpcError::near(
                "UNKNOWN_RECEIPT",
                json!({"receipt_id": id}),
                format!("Receipt with id {id} has never been observed on this node"),
            )),
        }
    }

    fn protocol_config(&self) -> Answer {
        let mut config: Value = serde_json::from_str(include_str!("protocol_config.json"))
            .map_err(RpcError::internal)?;
        config["protocol_version"] = json!(self.protocol());
        config["chain_id"] = json!(self.options.chain_id);
        config["genesis_height"] = json!(self.first.height);
        config["genesis_time"] = json!(json::iso_time(self.first.timestamp));
        Ok(config)
    }

    fn genesis_config(&self) -> Answer {
        let mut config = self.protocol_config()?;
        if let Some(fields) = config.as_object_mut() {
            fields.remove("runtime_config");
            let amounts = ["fishermen_threshold", "max_gas_price", "min_gas_price"];
            for name in amounts {
                if let Some(Value::Number(number)) = fields.get(name) {
                    let text = number.to_string();
                    fields.insert(name.to_owned(), Value::String(text));
                }
            }
            fields.insert("chunk_producer_assignment_changes_limit".to_owned(), json!(5));
            fields.insert("num_chunk_producer_seats".to_owned(), json!(100));
            fields.insert("num_chunk_validator_seats".to_owned(), json!(300));
            fields.insert("total_supply".to_owned(), json!("1000000000000000000000000000000000"));
            fields.insert("use_production_config".to_owned(), json!(false));
            fields.insert("validators".to_owned(), json!([]));
        }
        Ok(config)
    }

    fn validators(&self, method: &str) -> Value {
        let stake = "50000000000000000000000000000000";
        let next = json!({
            "account_id": "sandbox",
            "public_key": crate::genesis::PUBLIC_KEY,
            "stake": stake,
            "shards": [0],
        });
        if method == "EXPERIMENTAL_validators_ordered" {
            return json!([{
                "validator_stake_struct_version": "V1",
                "account_id": "sandbox",
                "public_key": crate::genesis::PUBLIC_KEY,
                "stake": stake,
            }]);
        }
        json!({
            "current_validators": [{
                "account_id": "sandbox",
                "public_key": crate::genesis::PUBLIC_KEY,
                "is_slashed": false,
                "stake": stake,
                "shards": [0],
                "shards_endorsed": [0],
                "num_produced_blocks": 1,
                "num_expected_blocks": 1,
                "num_produced_chunks": 1,
                "num_expected_chunks": 1,
                "num_produced_chunks_per_shard": [1],
                "num_expected_chunks_per_shard": [1],
                "num_produced_endorsements": 0,
                "num_expected_endorsements": 0,
                "num_produced_endorsements_per_shard": [0],
                "num_expected_endorsements_per_shard": [0],
            }],
            "next_validators": [next],
            "current_fishermen": [],
            "next_fishermen": [],
            "current_proposals": [],
            "prev_epoch_kickout": [],
            "epoch_start_height": 0,
            "epoch_height": 0,
        })
    }

    /// Hands a transaction to the chain; the same bytes again are no error.
    async fn send(self: &Arc<Self>, signed: SignedTransaction) -> Result<(), RpcError> {
        let node = self.clone();
        let prepared = tokio::task::spawn_blocking(move || -> Result<_, RpcError> {
            if node.host.runtime().transaction(&signed.hash())?.is_some() {
                return Ok(None);
            }
            node.host.runtime().prepare_signed(&signed)?;
            Ok(Some(signed))
        });
        let Some(signed) = prepared.await.map_err(RpcError::internal)?? else { return Ok(()) };
        self.metrics.transactions.add(1);
        let hash = signed.hash();
        match self.chain.send(signed).await {
            Ok(()) => Ok(()),
            // It was sent twice at once: the other one was first.
            Err(_) if self.host.runtime().transaction(&hash)?.is_some() => Ok(()),
            Err(refused) => Err(refusal(refused)),
        }
    }

    fn send_async(self: &Arc<Self>, of: &Value) -> Answer {
        let signed = signed_of(of)?;
        let hash = signed.hash();
        let node = self.clone();
        tokio::spawn(async move { node.send(signed).await });
        Ok(json!(hash.to_string()))
    }

    async fn send_tx(self: &Arc<Self>, of: &Value, commit: bool) -> Answer {
        let signed = signed_of(of)?;
        let hash = signed.hash();
        if !commit && of.get("wait_until").and_then(Value::as_str) == Some("NONE") {
            let node = self.clone();
            tokio::spawn(async move { node.send(signed).await });
            return Ok(json!({"final_execution_status": "NONE"}));
        }
        self.send(signed).await?;
        self.wait_for_outcome(hash, false).await
    }

    async fn transaction_status(self: &Arc<Self>, of: &Value, receipts: bool) -> Answer {
        let hash = match of {
            Value::Array(list) if list.len() >= 2 => {
                params::hash(list[0].as_str().unwrap_or_default())?
            }
            Value::Array(_) => signed_of(of)?.hash(),
            other if other.get("tx_hash").is_some() => {
                params::hash(params::text(other, "tx_hash")?)?
            }
            other => signed_of(other)?.hash(),
        };
        let wait = of.get("wait_until").and_then(Value::as_str).unwrap_or("EXECUTED_OPTIMISTIC");
        let found = self.look_up(hash).await?;
        match found {
            None => Err(unknown_transaction(&hash)),
            Some(_) if wait == "NONE" => Ok(json!({"final_execution_status": "NONE"})),
            Some(done) => Ok(json::final_outcome(&done, receipts)),
        }
    }

    async fn look_up(self: &Arc<Self>, hash: CryptoHash) -> Result<Option<FinalStatus>, RpcError> {
        let node = self.clone();
        let found = tokio::task::spawn_blocking(move || node.host.runtime().final_status(&hash));
        Ok(found.await.map_err(RpcError::internal)??)
    }

    /// Waits until all receipts have run: at once, unless one waits for a yield.
    async fn wait_for_outcome(self: &Arc<Self>, hash: CryptoHash, receipts: bool) -> Answer {
        let mut blocks = self.chain.blocks();
        let end = Instant::now() + OUTCOME_WAIT;
        loop {
            blocks.borrow_and_update();
            let found = self.look_up(hash).await?.ok_or_else(|| unknown_transaction(&hash))?;
            if found.status.is_some() && found.done {
                return Ok(json::final_outcome(&found, receipts));
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                // What it is at is told all the same where the result is known.
                if found.status.is_some() {
                    return Ok(json::final_outcome(&found, receipts));
                }
                return Err(RpcError {
                    code: -32000,
                    message: "Server error".to_owned(),
                    data: Some(json!("Timeout")),
                    near: Some(Box::new(crate::rpc::NearError {
                        name: "HANDLER_ERROR",
                        cause: "TIMEOUT_ERROR",
                        info: json!({}),
                    })),
                });
            };
            let _ =
                tokio::time::timeout(left.min(Duration::from_millis(250)), blocks.changed()).await;
            let _ = self.chain.look().await;
        }
    }

    /// The call trees of a transaction: what its receipts came to, part by part.
    fn trace(&self, of: &Value) -> Answer {
        let text = match of {
            Value::Array(list) => list.first().and_then(Value::as_str).unwrap_or_default(),
            other => params::text(other, "tx_hash")?,
        };
        let hash = params::hash(text)?;
        let found = self.host.runtime().final_status(&hash)?;
        let found = found.ok_or_else(|| unknown_transaction(&hash))?;
        let receipts: Vec<Value> = found
            .outcomes
            .iter()
            .map(|one| {
                let profile: serde_json::Map<String, Value> =
                    one.profile.iter().map(|(name, gas)| (name.clone(), json!(gas))).collect();
                json!({
                    "receipt_id": one.receipt.id.to_string(),
                    "predecessor_id": one.receipt.predecessor,
                    "receiver_id": one.receipt.receiver,
                    "block_height": one.block_height,
                    "gas_burnt": one.gas_burnt,
                    "gas": profile,
                    "logs": one.logs,
                    "status": json::status(&one.status),
                    "receipt_ids": one.receipt_ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
                })
            })
            .collect();
        Ok(json!({
            "tx_hash": hash.to_string(),
            "gas_burnt": found.transaction.gas_burnt,
            "done": found.done,
            "receipts": receipts,
        }))
    }
}
