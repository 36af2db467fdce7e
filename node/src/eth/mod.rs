//! Ethereum's methods over the engine contract (`rpc.md` 9, 10).

mod blocks;
mod call;
mod dev;
pub(crate) mod hex;
mod index;
mod logs;
mod send;
mod state;
mod subscribe;
mod transaction;

pub(crate) use subscribe::Subscriptions;

use crate::Node;
use crate::chain::Refused;
use crate::rpc::{Answer, RpcError};
use alloy_primitives::{Address, B256, U256};
use cotenant_host::runtime::{BlockReference, HistoryError};
use cotenant_host::state::WorkingState;
use hex::{bytes_hex, quantity, quantity_u64};
use index::Index;
use k256::ecdsa::SigningKey;
use near_account_id::AccountId;
use serde_json::{Value, json};
use state::Engine;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::OnceCell;

/// Chain id of a dev chain, as hardhat's and anvil's.
pub(crate) const CHAIN_ID: u64 = 31_337;

/// Private keys of the dev accounts: hardhat's and anvil's mnemonic, which everybody knows.
const DEV_KEYS: [&str; 10] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
];

/// A transaction whose nonce is ahead.
#[derive(Clone, Debug)]
struct Held {
    raw: Vec<u8>,
    transaction: transaction::Transaction,
    since: Instant,
}

/// What the Ethereum side keeps beside the chain.
#[derive(Debug)]
pub(crate) struct Ethereum {
    engine: Engine,
    relayer: AccountId,
    ready: OnceCell<()>,
    keys: Vec<(Address, SigningKey)>,
    index: Mutex<Index>,
    held: Mutex<BTreeMap<(Address, u64), Held>>,
    filters: Mutex<(u64, HashMap<u64, logs::Filter>)>,
    /// One transaction at a time has the relayer's nonce.
    relaying: tokio::sync::Mutex<()>,
    snapshots: Mutex<Vec<u64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ethereum {
    /// An Ethereum side that has not begun.
    pub(crate) fn new(engine: AccountId, relayer: AccountId) -> Self {
        let keys = DEV_KEYS.iter().filter_map(|digits| {
            let key = SigningKey::from_slice(&::hex::decode(digits).ok()?).ok()?;
            Some((hex::address_of(key.verifying_key()), key))
        });
        Self {
            engine: Engine { account: engine, chain_id: CHAIN_ID },
            relayer,
            ready: OnceCell::new(),
            keys: keys.collect(),
            index: Mutex::default(),
            held: Mutex::default(),
            filters: Mutex::default(),
            relaying: tokio::sync::Mutex::default(),
            snapshots: Mutex::default(),
        }
    }

    fn address_of_relayer(&self) -> Address {
        Engine::address_of(&self.relayer)
    }
}

fn refused(refused: Refused) -> RpcError {
    RpcError::ethereum(-32000, refused.to_string())
}

/// The parameter of a place; null if there is none.
fn at(params: &Value, place: usize) -> &Value {
    params.get(place).unwrap_or(&Value::Null)
}

impl Node {
    /// Makes the engine if it is not there yet: at the first request that needs it, or at the start in the background.
    pub(crate) async fn begin_ethereum(self: &Arc<Self>) -> Result<(), RpcError> {
        let began = self.eth.ready.get_or_try_init(|| async {
            let node = self.clone();
            let patches = tokio::task::spawn_blocking(move || -> Result<_, RpcError> {
                let eth = &node.eth;
                if eth.engine.is_there(&node.host.state()?)? {
                    return Ok(None);
                }
                use cotenant_submodules::Visibility::{Private, Public};
                // Compiled beside the chain, which then does not wait for it.
                let codes = [
                    (cotenant_contracts::engine(), Public),
                    (cotenant_contracts::evm_precompiles(), Private),
                    (cotenant_contracts::evm_compiler(), Private),
                ];
                for (code, visibility) in codes {
                    let deployed = node.host.registry().deploy(code, visibility);
                    deployed.map_err(RpcError::internal)?;
                }
                let dev: Vec<Address> = eth.keys.iter().map(|(address, _)| *address).collect();
                Ok(Some(eth.engine.patches(&dev)))
            });
            match prepared(patches.await)? {
                Some(patches) => self.chain.patch(patches).await.map_err(refused),
                None => Ok(()),
            }
        });
        began.await.map(|_| ())
    }

    /// Answers a method of Ethereum.
    pub(crate) async fn ethereum(self: &Arc<Self>, method: &str, params: &Value) -> Answer {
        match method {
            "eth_chainId" => return Ok(quantity_u64(CHAIN_ID)),
            "net_version" => return Ok(json!(CHAIN_ID.to_string())),
            "web3_clientVersion" => {
                return Ok(json!(concat!("cotenant/", env!("CARGO_PKG_VERSION"))));
            }
            "net_listening" => return Ok(json!(true)),
            "net_peerCount" => return Ok(json!("0x0")),
            "eth_syncing" | "eth_mining" => return Ok(json!(false)),
            "eth_protocolVersion" => return Ok(json!("0x41")),
            "eth_gasPrice" | "eth_maxPriorityFeePerGas" | "eth_blobBaseFee" | "eth_hashrate" => {
                return Ok(json!("0x0"));
            }
            "eth_accounts" => {
                let all = self.eth.keys.iter().map(|(address, _)| bytes_hex(address.as_slice()));
                return Ok(all.collect());
            }
            "web3_sha3" => {
                let bytes = hex::bytes(at(params, 0), "data")?;
                return Ok(bytes_hex(alloy_primitives::keccak256(bytes).as_slice()));
            }
            _ => {}
        }
        self.begin_ethereum().await?;
        match method {
            "eth_sendRawTransaction" => {
                self.send_raw(hex::bytes(at(params, 0), "transaction")?).await
            }
            "eth_sendTransaction" => self.send_from(at(params, 0)).await,
            "eth_sign" | "personal_sign" => self.sign_message(method, params),
            _ => {
                if let Some(answer) = self.dev_method(method, params).await {
                    return answer;
                }
                let (method, params) = (method.to_owned(), params.clone());
                self.read(move |node| node.ethereum_read(&method, &params)).await
            }
        }
    }

    fn ethereum_read(&self, method: &str, params: &Value) -> Answer {
        match method {
            "eth_blockNumber" => Ok(quantity_u64(self.eth_height()?)),
            "eth_getBalance" => {
                let account = self.eth_account(at(params, 0), at(params, 1))?;
                Ok(quantity(U256::from_be_bytes(account.balance)))
            }
            "eth_getTransactionCount" => self.transaction_count(params),
            "eth_getCode" => {
                let state = self.eth_state(at(params, 1))?;
                Ok(bytes_hex(&self.eth.engine.code(&state, &hex::address(at(params, 0))?)?))
            }
            "eth_getStorageAt" => {
                let state = self.eth_state(at(params, 2))?;
                let slot = B256::from(hex::number(at(params, 1))?);
                let value = self.eth.engine.slot(&state, &hex::address(at(params, 0))?, slot)?;
                Ok(bytes_hex(&value.to_be_bytes::<32>()))
            }
            "eth_getAccountInfo" => {
                let state = self.eth_state(at(params, 1))?;
                let address = hex::address(at(params, 0))?;
                let account = self.eth.engine.account(&state, &address)?;
                Ok(json!({
                    "nonce": quantity_u64(account.nonce),
                    "balance": quantity(U256::from_be_bytes(account.balance)),
                    "code": bytes_hex(&self.eth.engine.code(&state, &address)?),
                }))
            }
            "eth_call" => self.eth_call(params),
            "eth_estimateGas" => self.estimate_gas(params),
            "eth_createAccessList" => self.create_access_list(params),
            "eth_feeHistory" => self.fee_history(params),
            "eth_getTransactionByHash" => self.transaction_by_hash(params),
            "eth_getTransactionReceipt" => self.transaction_receipt(params),
            "eth_getTransactionByBlockNumberAndIndex" | "eth_getTransactionByBlockHashAndIndex" => {
                self.transaction_at(params)
            }
            "eth_getBlockByNumber" | "eth_getBlockByHash" => self.eth_block(params),
            "eth_getBlockReceipts" => self.block_receipts(params),
            "eth_getBlockTransactionCountByNumber" | "eth_getBlockTransactionCountByHash" => {
                self.block_count(params)
            }
            "eth_getUncleCountByBlockNumber" | "eth_getUncleCountByBlockHash" => Ok(json!("0x0")),
            "eth_getLogs" => self.get_logs(at(params, 0)),
            "eth_newFilter" | "eth_newBlockFilter" | "eth_newPendingTransactionFilter" => {
                self.new_filter(method, at(params, 0))
            }
            "eth_getFilterChanges" | "eth_getFilterLogs" => self.filter_changes(method, params),
            "eth_uninstallFilter" => self.uninstall_filter(params),
            _ => Err(RpcError::method_not_found(method)),
        }
    }

    /// The index, up to the head, and the head's height.
    fn indexed(&self) -> Result<(MutexGuard<'_, Index>, u64), RpcError> {
        let mut index = lock(&self.eth.index);
        let height = index.catch_up(&self.host, &self.eth.engine)?;
        Ok((index, height))
    }

    fn eth_height(&self) -> Result<u64, RpcError> {
        Ok(self.host.runtime().head()?.height)
    }

    /// The height of a block parameter: a tag, a number, `{blockNumber}`, `{blockHash}`, or nothing.
    fn eth_block_height(&self, block: &Value) -> Result<Option<u64>, RpcError> {
        let head = self.eth_height()?;
        match block {
            Value::Null => Ok(Some(head)),
            Value::String(tag) => match tag.as_str() {
                "latest" | "pending" | "safe" | "finalized" => Ok(Some(head)),
                "earliest" => Ok(Some(self.first.height)),
                hash if hash.len() == 66 => Ok(self.height_of_hash(&hex::word(block)?)?),
                _ => Ok(Some(hex::number_u64(block)?)),
            },
            Value::Number(_) => Ok(Some(hex::number_u64(block)?)),
            Value::Object(fields) => match (fields.get("blockNumber"), fields.get("blockHash")) {
                (Some(number), _) => self.eth_block_height(number),
                (None, Some(hash)) => self.height_of_hash(&hex::word(hash)?),
                _ => Err(RpcError::params("a block object has blockNumber or blockHash")),
            },
            other => Err(RpcError::params(format!("{other} is no block"))),
        }
    }

    fn height_of_hash(&self, hash: &B256) -> Result<Option<u64>, RpcError> {
        let head = self.eth_height()?;
        // A hash is made of its number: the last ones are tried.
        let last = head.saturating_sub(20_000);
        Ok((last..=head).rev().find(|number| self.eth.engine.block_hash(*number) == *hash))
    }

    /// The state at a block parameter.
    fn eth_state(&self, block: &Value) -> Result<WorkingState, RpcError> {
        let head = self.eth_height()?;
        let unknown = || RpcError::ethereum(-32000, "header not found");
        let height = self.eth_block_height(block)?.ok_or_else(unknown)?;
        let reference =
            if height == head { BlockReference::Head } else { BlockReference::Height(height) };
        self.host.runtime().state_at(reference).map_err(|error| match error {
            HistoryError::Fault(fault) => fault.into(),
            HistoryError::Unknown { .. } => unknown(),
            gone => RpcError::ethereum(-32000, format!("missing trie node: {gone}")),
        })
    }

    fn eth_account(
        &self,
        address: &Value,
        block: &Value,
    ) -> Result<engine_abi::state::Account, RpcError> {
        let state = self.eth_state(block)?;
        Ok(self.eth.engine.account(&state, &hex::address(address)?)?)
    }

    fn transaction_count(&self, params: &Value) -> Answer {
        let address = hex::address(at(params, 0))?;
        let nonce = self.eth_account(at(params, 0), at(params, 1))?.nonce;
        if at(params, 1).as_str() != Some("pending") {
            return Ok(quantity_u64(nonce));
        }
        let held = lock(&self.eth.held);
        let mut next = nonce;
        while held.contains_key(&(address, next)) {
            next += 1;
        }
        Ok(quantity_u64(next))
    }

    fn fee_history(&self, params: &Value) -> Answer {
        let count = hex::number_u64(at(params, 0))?.clamp(1, 1_024);
        let last = self.eth_block_height(at(params, 1))?.unwrap_or_default();
        let count = count.min(last + 1);
        let percentiles = at(params, 2).as_array().map_or(0, Vec::len);
        let many = |value: Value, number: u64| Value::Array(vec![value; number as usize]);
        let mut history = json!({
            "oldestBlock": quantity_u64(last + 1 - count),
            "baseFeePerGas": many(json!("0x0"), count + 1),
            "gasUsedRatio": many(json!(0.0), count),
            "baseFeePerBlobGas": many(json!("0x0"), count + 1),
            "blobGasUsedRatio": many(json!(0.0), count),
        });
        if percentiles > 0 {
            history["reward"] = many(Value::Array(vec![json!("0x0"); percentiles]), count);
        }
        Ok(history)
    }
}

fn prepared<T>(done: Result<Result<T, RpcError>, tokio::task::JoinError>) -> Result<T, RpcError> {
    done.map_err(RpcError::internal)?
}
