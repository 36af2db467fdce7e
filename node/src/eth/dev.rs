//! What tests ask of a dev chain: `evm_*`, `anvil_*`, `hardhat_*`. Snapshots are heights of the whole chain.

use crate::Node;
use crate::eth::hex::{self, quantity_u64};
use crate::eth::state::Engine;
use crate::eth::{CHAIN_ID, at, lock, refused};
use crate::rpc::{Answer, RpcError};
use alloy_primitives::B256;
use cotenant_host::runtime::Patch;
use serde_json::{Value, json};
use std::sync::Arc;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

impl Node {
    /// Answers a method of a dev chain; `None` for others.
    pub(super) async fn dev_method(
        self: &Arc<Self>,
        method: &str,
        params: &Value,
    ) -> Option<Answer> {
        let (family, name) = method.split_once('_')?;
        if !matches!(family, "evm" | "anvil" | "hardhat") {
            return None;
        }
        Some(match name {
            "snapshot" => self.snapshot().await,
            "revert" => self.revert(at(params, 0)).await,
            "mine" => self.mine(params, family).await,
            "increaseTime" => self.increase_time(at(params, 0)),
            "setNextBlockTimestamp" | "setTime" => match hex::number_u64(at(params, 0)) {
                Ok(time) => {
                    self.chain.clock().set_next(time.saturating_mul(SECOND));
                    Ok(Value::Null)
                }
                Err(error) => Err(error),
            },
            "setBalance" | "setNonce" | "setCode" | "setStorageAt" => self.set(name, params).await,
            "nodeInfo" => self.node_info(),
            "metadata" => Ok(json!({"clientVersion": "cotenant", "chainId": CHAIN_ID})),
            "setAutomine" | "setLoggingEnabled" => Ok(json!(true)),
            "autoImpersonateAccount" | "stopImpersonatingAccount" => Ok(Value::Null),
            _ => Err(RpcError::method_not_found(method)),
        })
    }

    async fn snapshot(self: &Arc<Self>) -> Answer {
        // A block of its own: what is patched after it is taken back too.
        self.chain.skip(1).await.map_err(refused)?;
        let height = self.host.runtime().head()?.height;
        let mut snapshots = lock(&self.eth.snapshots);
        snapshots.push(height);
        Ok(quantity_u64(snapshots.len() as u64))
    }

    async fn revert(self: &Arc<Self>, id: &Value) -> Answer {
        let id = hex::number_u64(id)?;
        let height = {
            let mut snapshots = lock(&self.eth.snapshots);
            let place = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
            let Some(height) = place.and_then(|place| snapshots.get(place).copied()) else {
                return Ok(json!(false));
            };
            // It and those after it cannot be gone back to again.
            snapshots.truncate(place.unwrap_or_default());
            height
        };
        lock(&self.eth.held).clear();
        self.chain.revert(height).await.map_err(refused)?;
        Ok(json!(true))
    }

    async fn mine(self: &Arc<Self>, params: &Value, family: &str) -> Answer {
        let (mut blocks, mut time) = (1, None);
        match (family, at(params, 0)) {
            ("evm", Value::Object(options)) => {
                if let Some(count) = options.get("blocks") {
                    blocks = hex::number_u64(count)?;
                }
                time = options.get("timestamp");
            }
            (_, Value::Null) => {}
            ("evm", _) => time = Some(at(params, 0)),
            (_, count) => blocks = hex::number_u64(count)?,
        }
        if let Some(time) = time {
            self.chain.clock().set_next(hex::number_u64(time)?.saturating_mul(SECOND));
        }
        self.chain.skip(blocks.max(1)).await.map_err(refused)?;
        Ok(json!("0x0"))
    }

    fn increase_time(&self, seconds: &Value) -> Answer {
        let seconds = hex::number_u64(seconds)?;
        self.chain.clock().advance(seconds.saturating_mul(SECOND));
        Ok(quantity_u64(seconds))
    }

    async fn set(self: &Arc<Self>, name: &str, params: &Value) -> Answer {
        let (name, params) = (name.to_owned(), params.clone());
        let node = self.clone();
        let made = tokio::task::spawn_blocking(move || node.patches_of(&name, &params));
        let patches = super::prepared(made.await)?;
        self.chain.patch(patches).await.map_err(refused)?;
        Ok(json!(true))
    }

    fn patches_of(&self, name: &str, params: &Value) -> Result<Vec<Patch>, RpcError> {
        let engine = &self.eth.engine;
        let address = hex::address(at(params, 0))?;
        let mut account = engine.account(&self.host.state()?, &address)?;
        let mut patches = Vec::new();
        match name {
            "setBalance" => account.balance = hex::number(at(params, 1))?.to_be_bytes(),
            "setNonce" => account.nonce = hex::number_u64(at(params, 1))?,
            "setCode" => {
                let code = hex::bytes(at(params, 1), "code")?;
                let (hash, key, record) = Engine::code_record(&code);
                account.code_hash = hash.0;
                if !code.is_empty() {
                    patches.push(engine.value(key, Some(record)));
                }
            }
            _ => {
                let slot = B256::from(hex::number(at(params, 1))?);
                let value = hex::number(at(params, 2))?;
                let (key, value) = Engine::slot_record(&address, account.incarnation, slot, value);
                patches.push(engine.value(key, value));
            }
        }
        patches.push(engine.account_patch(&address, &account));
        Ok(patches)
    }

    fn node_info(&self) -> Answer {
        let head = self.host.runtime().head()?;
        Ok(json!({
            "currentBlockNumber": quantity_u64(head.height),
            "currentBlockTimestamp": head.timestamp / SECOND,
            "hardFork": "prague",
            "environment": {"baseFee": "0x0", "chainId": CHAIN_ID, "gasLimit": quantity_u64(u64::MAX), "gasPrice": "0x0"},
        }))
    }
}
