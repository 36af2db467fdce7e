//! `eth_getLogs`, and filters that are asked for what is new.

use crate::Node;
use crate::eth::hex::{self, bytes_hex, quantity_u64};
use crate::eth::{at, lock};
use crate::rpc::{Answer, RpcError};
use alloy_primitives::{Address, B256};
use engine_abi::Log;
use serde_json::{Value, json};

/// Filters at once; the oldest go first.
const FILTERS_MAX: usize = 10_000;

/// What logs are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    addresses: Vec<Address>,
    topics: Vec<Vec<B256>>,
}

/// A filter, and up to where it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    next: u64,
    first: Option<u64>,
    /// Blocks if there is none.
    wanted: Option<Wanted>,
    silent: bool,
}

fn one_or_many<T>(
    value: Option<&Value>,
    read: impl Fn(&Value) -> Result<T, RpcError>,
) -> Result<Vec<T>, RpcError> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        // Nothing among many: everything matches.
        Some(Value::Array(many)) if many.iter().any(Value::is_null) => Ok(Vec::new()),
        Some(Value::Array(many)) => many.iter().map(read).collect(),
        Some(one) => Ok(vec![read(one)?]),
    }
}

impl Wanted {
    fn of(filter: &Value) -> Result<Self, RpcError> {
        let topics = filter.get("topics").and_then(Value::as_array);
        let topics = topics.into_iter().flatten().map(|one| one_or_many(Some(one), hex::word));
        Ok(Self {
            addresses: one_or_many(filter.get("address"), hex::address)?,
            topics: topics.collect::<Result<_, _>>()?,
        })
    }

    fn matches(&self, log: &Log) -> bool {
        let address = self.addresses.is_empty()
            || self.addresses.iter().any(|wanted| wanted.0.0 == log.address);
        let topics = self.topics.iter().enumerate().all(|(place, wanted)| {
            wanted.is_empty()
                || log
                    .topics
                    .get(place)
                    .is_some_and(|topic| wanted.iter().any(|one| one.0 == *topic))
        });
        address && topics
    }
}

impl Node {
    fn logs_between(&self, wanted: &Wanted, from: u64, to: u64) -> Answer {
        let (index, _) = self.indexed()?;
        let mut found = Vec::new();
        for one in index.range(from, to) {
            let time = self.log_time(one.height)?;
            for (place, log) in one.result.logs.iter().enumerate() {
                if wanted.matches(log) {
                    found.push(self.log_of(one, place, log, time));
                }
            }
        }
        Ok(Value::Array(found))
    }

    pub(super) fn get_logs(&self, filter: &Value) -> Answer {
        let wanted = Wanted::of(filter)?;
        if let Some(hash) = filter.get("blockHash").filter(|hash| !hash.is_null()) {
            let height = self.eth_block_height(&json!({"blockHash": hash}))?;
            let height = height.ok_or_else(|| RpcError::ethereum(-32000, "unknown block"))?;
            return self.logs_between(&wanted, height, height);
        }
        let from = self.eth_block_height(filter.get("fromBlock").unwrap_or(&Value::Null))?;
        let to = self.eth_block_height(filter.get("toBlock").unwrap_or(&Value::Null))?;
        self.logs_between(&wanted, from.unwrap_or_default(), to.unwrap_or_default())
    }

    pub(super) fn new_filter(&self, method: &str, filter: &Value) -> Answer {
        let wanted = if method == "eth_newFilter" { Some(Wanted::of(filter)?) } else { None };
        let first = match filter.get("fromBlock") {
            Some(block) if wanted.is_some() => self.eth_block_height(block)?,
            _ => None,
        };
        let next = self.eth_height()? + 1;
        let silent = method == "eth_newPendingTransactionFilter";
        let mut filters = lock(&self.eth.filters);
        filters.0 += 1;
        let id = filters.0;
        if filters.1.len() >= FILTERS_MAX {
            let oldest = filters.1.keys().min().copied();
            oldest.and_then(|oldest| filters.1.remove(&oldest));
        }
        filters.1.insert(id, Filter { next, first, wanted, silent });
        Ok(quantity_u64(id))
    }

    pub(super) fn filter_changes(&self, method: &str, params: &Value) -> Answer {
        let id = hex::number_u64(at(params, 0))?;
        let head = self.eth_height()?;
        let filter = {
            let mut filters = lock(&self.eth.filters);
            let Some(filter) = filters.1.get_mut(&id) else {
                return Err(RpcError::ethereum(-32000, "filter not found"));
            };
            let before = filter.clone();
            if method == "eth_getFilterChanges" {
                filter.next = head + 1;
            }
            before
        };
        match &filter.wanted {
            Some(wanted) if method == "eth_getFilterLogs" => {
                self.logs_between(wanted, filter.first.unwrap_or(filter.next), head)
            }
            Some(wanted) => self.logs_between(wanted, filter.next, head),
            None if filter.silent => Ok(json!([])),
            None => {
                let first = filter.next.max(head.saturating_sub(1_000));
                let hashes = (first..=head)
                    .map(|height| bytes_hex(self.eth.engine.block_hash(height).as_slice()));
                Ok(hashes.collect())
            }
        }
    }

    pub(super) fn uninstall_filter(&self, params: &Value) -> Answer {
        let id = hex::number_u64(at(params, 0))?;
        Ok(json!(lock(&self.eth.filters).1.remove(&id).is_some()))
    }
}
