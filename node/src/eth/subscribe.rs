//! `eth_subscribe` on a websocket: new blocks, and logs.

use crate::Node;
use crate::eth::at;
use crate::eth::hex::{self, quantity_u64};
use crate::rpc::{Answer, RpcError};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Subscriptions of one connection at most.
const SUBSCRIPTIONS_MAX: usize = 100;

/// Blocks that are told of at once; who was away longer misses those before.
const BLOCKS_MAX: u64 = 64;

/// What a connection has subscribed to.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    last_id: u64,
    /// The last height that was told of.
    told: u64,
    /// Of each the filter of its logs; `None` for blocks.
    all: BTreeMap<u64, Option<Value>>,
}

impl Subscriptions {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) async fn begin(&mut self, node: &Arc<Node>, params: &Value) -> Answer {
        node.begin_ethereum().await?;
        if self.all.len() >= SUBSCRIPTIONS_MAX {
            let text = format!("a connection has {SUBSCRIPTIONS_MAX} subscriptions at most");
            return Err(RpcError::ethereum(-32000, text));
        }
        let wanted = match at(params, 0).as_str() {
            Some("newHeads") => None,
            Some("logs") => Some(at(params, 1).clone()),
            // Nothing is pending for long enough to tell of.
            Some("newPendingTransactions") => Some(json!({"address": [], "fromBlock": "latest"})),
            other => return Err(RpcError::params(format!("no such subscription: {other:?}"))),
        };
        if self.all.is_empty() {
            self.told = *node.chain.blocks().borrow();
        }
        self.last_id += 1;
        self.all.insert(self.last_id, wanted);
        Ok(quantity_u64(self.last_id))
    }

    pub(crate) fn end(&mut self, params: &Value) -> Value {
        let id = hex::number_u64(at(params, 0)).unwrap_or_default();
        json!(self.all.remove(&id).is_some())
    }

    /// What is new since the last time, as messages.
    pub(crate) async fn news(&mut self, node: &Arc<Node>) -> Vec<Value> {
        let head = *node.chain.blocks().borrow();
        let first = (self.told + 1).max(head.saturating_sub(BLOCKS_MAX));
        self.told = head;
        if first > head {
            return Vec::new();
        }
        let all = self.all.clone();
        let found = node.read(move |node| {
            let mut news = Vec::new();
            let tell = |id: u64, result: Value| {
                json!({
                    "jsonrpc": "2.0",
                    "method": "eth_subscription",
                    "params": {"subscription": quantity_u64(id), "result": result},
                })
            };
            for (id, wanted) in all {
                match wanted {
                    None => {
                        for height in first..=head {
                            let block = node.eth_block(&json!([quantity_u64(height), false]))?;
                            news.push(tell(id, block));
                        }
                    }
                    Some(mut wanted) => {
                        if !wanted.is_object() {
                            wanted = json!({});
                        }
                        wanted["fromBlock"] = quantity_u64(first);
                        wanted["toBlock"] = quantity_u64(head);
                        let logs = node.get_logs(&wanted)?;
                        let logs = logs.as_array().cloned().unwrap_or_default();
                        news.extend(logs.into_iter().map(|log| tell(id, log)));
                    }
                }
            }
            Ok(Value::Array(news))
        });
        match found.await {
            Ok(Value::Array(news)) => news,
            _ => Vec::new(),
        }
    }
}
