//! What a call did: as JSON with stable field names (they are documented in the help of `call`), and as
//! tables for people.

mod print;

pub(crate) use print::{call_tree, key_values, receipts, receipts_of, table};

use crate::failure::Failure;
use crate::text;
use cotenant_host::exec::Abort;
use cotenant_host::runtime::{FeeItem, ReceiptOutcome, Status, TransactionOutcome};
use cotenant_submodules::calls::{CallNode, Ending};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A call by transaction.
#[derive(Debug, Serialize)]
pub(crate) struct CallReport {
    pub(crate) ok: bool,
    pub(crate) transaction: String,
    pub(crate) result: Value,
    pub(crate) result_base64: String,
    pub(crate) abort: Option<Abort>,
    pub(crate) error: Option<Failure>,
    pub(crate) gas_vm: u64,
    pub(crate) gas_used: u64,
    pub(crate) gas_total: u64,
    pub(crate) logs: Vec<String>,
    pub(crate) receipts: Vec<ReceiptReport>,
    pub(crate) tree: Option<TreeReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) other_receipts: Vec<ReceiptReport>,
}

/// A transaction that calls nothing.
#[derive(Debug, Serialize)]
pub(crate) struct TransactionReport {
    pub(crate) ok: bool,
    pub(crate) transaction: String,
    pub(crate) gas_total: u64,
    pub(crate) receipts: Vec<ReceiptReport>,
    pub(crate) error: Option<Failure>,
}

/// A view.
#[derive(Debug, Serialize)]
pub(crate) struct ViewReport {
    pub(crate) ok: bool,
    pub(crate) result: Value,
    pub(crate) result_base64: String,
    pub(crate) abort: Option<Abort>,
    pub(crate) error: Option<Failure>,
    pub(crate) gas_vm: u64,
    pub(crate) logs: Vec<String>,
    pub(crate) tree: TreeReport,
}

/// A receipt.
#[derive(Debug, Serialize)]
pub(crate) struct ReceiptReport {
    pub(crate) id: String,
    pub(crate) predecessor: String,
    pub(crate) receiver: String,
    pub(crate) block_height: u64,
    pub(crate) status: StatusReport,
    pub(crate) gas_burnt: u64,
    pub(crate) gas_vm: u64,
    pub(crate) fees: Vec<FeeItem>,
    pub(crate) tokens_burnt: String,
    pub(crate) logs: Vec<String>,
}

/// How a receipt ended, in NEAR's form.
#[derive(Debug, Serialize)]
pub(crate) enum StatusReport {
    SuccessValue(String),
    SuccessReceiptId(String),
    Failure { code: String, message: String, action_index: Option<u64> },
}

/// A frame of the call tree.
#[derive(Debug, Serialize)]
pub(crate) struct TreeReport {
    pub(crate) namespace: String,
    pub(crate) visibility: String,
    pub(crate) method: String,
    pub(crate) count: u64,
    pub(crate) ending: &'static str,
    pub(crate) error: Option<String>,
    pub(crate) gas_burnt: u64,
    pub(crate) gas_used: u64,
    pub(crate) loading: u64,
    pub(crate) wasm: u64,
    pub(crate) memory: u64,
    pub(crate) host: Vec<HostReport>,
    pub(crate) yields: u64,
    pub(crate) reverted_logs: Vec<String>,
    pub(crate) texts_dropped: u64,
    pub(crate) callees: Vec<TreeReport>,
}

/// Calls of one host function in a frame.
#[derive(Debug, Serialize)]
pub(crate) struct HostReport {
    pub(crate) name: &'static str,
    pub(crate) calls: u64,
    pub(crate) gas: u64,
}

impl CallReport {
    /// The report of a transaction with one function call; `None` if its receipt did not run.
    pub(crate) fn of(outcome: &TransactionOutcome) -> Option<Self> {
        let root = outcome.root()?;
        let call = root.executions.first();
        let abort = match (&root.status, call.and_then(|call| call.abort.clone())) {
            (_, Some(abort)) => Some(abort),
            // The call itself was fine, but its receipt was not.
            (Status::Failure(failure), None) => Some(Abort {
                code: failure.code.clone(),
                message: failure.message.clone(),
                module: call.map(|call| call.namespace.to_string()).unwrap_or_default(),
            }),
            _ => None,
        };
        let result = match outcome.status() {
            Some(Status::SuccessValue(bytes)) if abort.is_none() => bytes.as_slice(),
            _ => &[],
        };
        Some(Self {
            ok: abort.is_none(),
            transaction: outcome.hash.to_string(),
            result: text::decoded(result),
            result_base64: text::base64(result),
            abort,
            error: None,
            gas_vm: call.map_or(0, |call| call.gas_vm),
            gas_used: call.map_or(0, |call| call.gas_used),
            gas_total: outcome.gas_total(),
            logs: root.logs.clone(),
            receipts: outcome.receipts.iter().map(ReceiptReport::of).collect(),
            tree: call.map(|call| TreeReport::of(&call.tree)),
            other_receipts: outcome.others.iter().map(ReceiptReport::of).collect(),
        })
    }
}

impl TransactionReport {
    /// The report of a transaction; its error is that of the receipt it became.
    pub(crate) fn of(outcome: &TransactionOutcome) -> Self {
        let error = match outcome.root().map(|root| &root.status) {
            Some(Status::Failure(failure)) => Some(Failure::of_receipt(failure)),
            _ => None,
        };
        Self {
            ok: error.is_none(),
            transaction: outcome.hash.to_string(),
            gas_total: outcome.gas_total(),
            receipts: outcome.receipts.iter().map(ReceiptReport::of).collect(),
            error,
        }
    }
}

impl ReceiptReport {
    pub(crate) fn of(receipt: &ReceiptOutcome) -> Self {
        Self {
            id: receipt.id.to_string(),
            predecessor: receipt.predecessor.to_string(),
            receiver: receipt.receiver.to_string(),
            block_height: receipt.block_height,
            status: match &receipt.status {
                Status::SuccessValue(bytes) => StatusReport::SuccessValue(text::base64(bytes)),
                Status::SuccessReceipt(id) => StatusReport::SuccessReceiptId(id.to_string()),
                Status::Failure(failure) => StatusReport::Failure {
                    code: failure.code.clone(),
                    message: failure.message.clone(),
                    action_index: failure.action_index,
                },
            },
            gas_burnt: receipt.gas_burnt,
            gas_vm: receipt.gas_vm,
            fees: merged(&receipt.fees),
            tokens_burnt: receipt.tokens_burnt.to_string(),
            logs: receipt.logs.clone(),
        }
    }
}

/// One item a name.
fn merged(fees: &[FeeItem]) -> Vec<FeeItem> {
    let mut position = BTreeMap::new();
    let mut merged: Vec<FeeItem> = Vec::new();
    for fee in fees {
        let at = *position.entry(fee.name.as_str()).or_insert_with(|| {
            merged.push(FeeItem { name: fee.name.clone(), gas: 0 });
            merged.len() - 1
        });
        merged[at].gas = merged[at].gas.saturating_add(fee.gas);
    }
    merged
}

impl TreeReport {
    // A tree is as deep as the limit on nested calls at most, so recursion over it is bounded.
    pub(crate) fn of(node: &CallNode) -> Self {
        let (ending, error) = match &node.ending {
            Ending::Returned => ("returned", None),
            Ending::Failed(error) => ("failed", Some(error.to_string())),
            Ending::Closed => ("closed", None),
        };
        let host = node.split.host.iter();
        Self {
            namespace: node.namespace.to_string(),
            visibility: node.visibility.to_string(),
            method: node.method.clone(),
            count: node.count,
            ending,
            error,
            gas_burnt: node.gas_burnt,
            gas_used: node.gas_used,
            loading: node.split.loading,
            wasm: node.split.wasm,
            memory: node.split.memory,
            host: host
                .map(|(name, host)| HostReport { name, calls: host.calls, gas: host.gas })
                .collect(),
            yields: node.yields,
            reverted_logs: node.reverted_logs.clone(),
            texts_dropped: node.texts_dropped,
            callees: node.callees.iter().map(Self::of).collect(),
        }
    }
}
