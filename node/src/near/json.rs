//! What NEAR's RPC shows of transactions, receipts, outcomes, blocks (views of near-primitives 0.38).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cotenant_host::action::{Action, Code, NamespaceScope, Permission};
use cotenant_host::near::{Delegate, SignedTransaction};
use cotenant_host::runtime::{
    ActionReceipt, BlockHeader, BlockRecord, FinalStatus, GAS_PRICE, OutcomeRecord, Receipt,
    ReceiptBody, Status, TransactionRecord,
};
use cotenant_host::state::AccessKey;
use cotenant_submodules::Visibility;
use near_crypto::{KeyType, Signature};
use near_primitives_core::hash::CryptoHash;
use serde_json::{Value, json};

/// The hash of nothing, which stands for roots that this node does not have.
const ZERO: &str = "11111111111111111111111111111111";

/// Base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn amount(yoctonear: u128) -> Value {
    Value::String(yoctonear.to_string())
}

fn call(method: String, args: &[u8], gas: u64, deposit: u128) -> Value {
    json!({"FunctionCall": {
        "method_name": method,
        "args": base64(args),
        "gas": gas,
        "deposit": amount(deposit),
    }})
}

/// An action as NEAR shows it. Actions that NEAR does not have are shown as the calls of the reserved methods that they come of.
pub(crate) fn action(action: &Action) -> Value {
    match action {
        Action::CreateAccount => json!("CreateAccount"),
        Action::DeployModule { namespace, mode, code } => {
            let hash = match code {
                Code::Bytes(code) => CryptoHash::hash_bytes(code),
                Code::Hash { hash, .. } => *hash,
            };
            if namespace.is_default() && mode.visibility == Visibility::Public {
                return json!({"DeployContract": {"code": base64(hash.as_bytes())}});
            }
            let method = match mode.visibility {
                Visibility::Public => "@deploy",
                Visibility::Private => "@deploy_private",
            };
            call(format!("{method}:{namespace}"), hash.as_bytes(), 0, 0)
        }
        Action::RemoveModule { namespace, keep_storage } => {
            let args = json!({"keep_storage": keep_storage}).to_string();
            call(format!("@remove:{namespace}"), args.as_bytes(), 0, 0)
        }
        Action::FunctionCall { method, args, deposit, gas, .. } => {
            call(method.clone(), args, *gas, *deposit)
        }
        Action::Transfer { deposit } => json!({"Transfer": {"deposit": amount(*deposit)}}),
        Action::Stake { amount: stake, public_key } => {
            json!({"Stake": {"stake": amount(*stake), "public_key": public_key.to_string()}})
        }
        Action::AddKey { public_key, permission: of } => json!({"AddKey": {
            "public_key": public_key.to_string(),
            "access_key": {"nonce": 0, "permission": permission(of)},
        }}),
        Action::DeleteKey { public_key } => {
            json!({"DeleteKey": {"public_key": public_key.to_string()}})
        }
        Action::DeleteAccount { beneficiary } => {
            json!({"DeleteAccount": {"beneficiary_id": beneficiary}})
        }
        Action::Delegate(delegate) => delegated(delegate),
        Action::ResumeYield { .. } => json!("CreateAccount"),
        Action::Unsupported { name, deposit } => {
            call(format!("@unsupported:{name}"), &[], 0, *deposit)
        }
    }
}

fn delegated(delegate: &Delegate) -> Value {
    let actions: Vec<Value> = delegate.actions.iter().map(action).collect();
    json!({"Delegate": {
        "delegate_action": {
            "sender_id": delegate.sender,
            "receiver_id": delegate.receiver,
            "actions": actions,
            "nonce": delegate.nonce,
            "max_block_height": delegate.max_block_height,
            "public_key": delegate.public_key.to_string(),
        },
        "signature": delegate.signature.to_string(),
    }})
}

/// What a key may do; `namespaces` is ours.
pub(crate) fn permission(permission: &Permission) -> Value {
    let Permission::FunctionCall { allowance, receiver, methods, namespaces } = permission else {
        return json!("FullAccess");
    };
    let mut fields = json!({
        "allowance": allowance.map(amount),
        "receiver_id": receiver,
        "method_names": methods,
    });
    if let NamespaceScope::Listed(listed) = namespaces {
        fields["namespaces"] = listed.iter().map(|one| json!(one.as_str())).collect();
    }
    json!({"FunctionCall": fields})
}

/// An access key, without where it was read.
pub(crate) fn access_key(key: &AccessKey) -> Value {
    json!({"nonce": key.nonce, "permission": permission(&key.permission)})
}

/// A receipt, whole.
pub(crate) fn receipt(receipt: &Receipt) -> Value {
    let body = match &receipt.body {
        ReceiptBody::Actions(body) => json!({"Action": action_receipt(body)}),
        ReceiptBody::Data { data_id, data } | ReceiptBody::Resume { data_id, data } => {
            json!({"Data": {
                "data_id": data_id.to_string(),
                "data": data.as_ref().map(|data| base64(data)),
                "is_promise_resume": matches!(receipt.body, ReceiptBody::Resume { .. }),
            }})
        }
    };
    json!({
        "predecessor_id": receipt.predecessor,
        "receiver_id": receipt.receiver,
        "receipt_id": receipt.id.to_string(),
        "priority": 0,
        "receipt": body,
    })
}

fn action_receipt(body: &ActionReceipt) -> Value {
    let actions: Vec<Value> = body.actions.iter().map(action).collect();
    let inputs: Vec<String> = body.inputs.iter().map(ToString::to_string).collect();
    let outputs: Vec<Value> = body
        .outputs
        .iter()
        .map(|one| json!({"data_id": one.data_id.to_string(), "receiver_id": one.receiver}))
        .collect();
    json!({
        "signer_id": body.signer,
        "signer_public_key": body.signer_key.to_string(),
        "gas_price": amount(body.gas_price),
        "output_data_receivers": outputs,
        "input_data_ids": inputs,
        "actions": actions,
        "is_promise_yield": false,
    })
}

/// How a receipt ended, in NEAR's words.
pub(crate) fn status(status: &Status) -> Value {
    match status {
        Status::SuccessValue(value) => json!({"SuccessValue": base64(value)}),
        Status::SuccessReceipt(id) => json!({"SuccessReceiptId": id.to_string()}),
        Status::Failure(failure) => json!({"Failure": failure.to_near()}),
    }
}

fn profile(profile: &[(String, u64)]) -> Value {
    let parts = profile.iter().map(|(name, gas)| {
        json!({
            "cost_category": "WASM_HOST_COST",
            "cost": name.to_uppercase().replace([' ', '-'], "_"),
            "gas_used": gas.to_string(),
        })
    });
    parts.collect()
}

fn outcome(one: &OutcomeRecord) -> Value {
    let receipts: Vec<String> = one.receipt_ids.iter().map(ToString::to_string).collect();
    json!({
        "proof": [],
        "block_hash": one.block_hash.to_string(),
        "id": one.receipt.id.to_string(),
        "outcome": {
            "logs": one.logs,
            "receipt_ids": receipts,
            "gas_burnt": one.gas_burnt,
            "tokens_burnt": amount(one.tokens_burnt),
            "executor_id": one.receipt.receiver,
            "status": status(&one.status),
            "metadata": {"version": 3, "gas_profile": profile(&one.profile)},
        },
    })
}

/// The signature of a signed transaction: its last bytes.
fn signature(signed: &SignedTransaction) -> Option<Signature> {
    let bytes = signed.bytes();
    let length = match signed.public_key().key_type() {
        KeyType::ED25519 => 65,
        _ => 66,
    };
    borsh::from_slice(bytes.get(bytes.len().checked_sub(length)?..)?).ok()
}

fn transaction(record: &TransactionRecord) -> Value {
    let Ok(signed) = SignedTransaction::of_bytes(&record.bytes) else {
        // Nobody signed it: the embedder's own.
        return json!({
            "signer_id": record.signer,
            "public_key": format!("ed25519:{ZERO}"),
            "nonce": 0,
            "receiver_id": record.receiver,
            "actions": [],
            "priority_fee": 0,
            "signature": no_signature(),
            "hash": record.hash.to_string(),
        });
    };
    transaction_of(&signed)
}

fn no_signature() -> String {
    format!("ed25519:{}", "1".repeat(64))
}

/// A signed transaction.
pub(crate) fn transaction_of(signed: &SignedTransaction) -> Value {
    let actions: Vec<Value> = signed.actions().iter().map(action).collect();
    json!({
        "signer_id": signed.signer(),
        "public_key": signed.public_key().to_string(),
        "nonce": signed.nonce(),
        "receiver_id": signed.receiver(),
        "actions": actions,
        "priority_fee": 0,
        "signature": signature(signed).map_or_else(no_signature, |one| one.to_string()),
        "hash": signed.hash().to_string(),
    })
}

/// The end of what a meta transaction carries, where it alone is in its transaction: that is what its sender wants to know.
fn carried(done: &FinalStatus) -> Option<&Status> {
    let root = done.outcomes.first()?;
    let ReceiptBody::Actions(body) = &root.receipt.body else { return None };
    let [Action::Delegate(_)] = body.actions.as_slice() else { return None };
    let Status::SuccessValue(_) = root.status else { return None };
    let mut id = *root.receipt_ids.first()?;
    loop {
        match &done.outcomes.iter().find(|one| one.receipt.id == id)?.status {
            Status::SuccessReceipt(next) => id = *next,
            end => return Some(end),
        }
    }
}

/// A transaction and what came of it: `FinalExecutionOutcomeView`, with the receipts if they are asked for.
pub(crate) fn final_outcome(done: &FinalStatus, with_receipts: bool) -> Value {
    let record = &done.transaction;
    let result = match (carried(done).or(done.status.as_ref()), done.outcomes.is_empty()) {
        (Some(end), _) => status(end),
        (None, true) => json!("NotStarted"),
        (None, false) => json!("Started"),
    };
    let outcomes: Vec<Value> = done.outcomes.iter().map(outcome).collect();
    let mut answer = json!({
        "status": result,
        "transaction": transaction(record),
        "transaction_outcome": {
            "proof": [],
            "block_hash": record.block_hash.to_string(),
            "id": record.hash.to_string(),
            "outcome": {
                "logs": [],
                "receipt_ids": [record.receipt.to_string()],
                "gas_burnt": record.gas_burnt,
                "tokens_burnt": amount(record.tokens_burnt),
                "executor_id": record.signer,
                "status": {"SuccessReceiptId": record.receipt.to_string()},
                "metadata": {"version": 1, "gas_profile": null},
            },
        },
        "receipts_outcome": outcomes,
        "final_execution_status": if done.done { "FINAL" } else { "INCLUDED_FINAL" },
    });
    if with_receipts {
        answer["receipts"] = done.outcomes.iter().map(|one| receipt(&one.receipt)).collect();
    }
    answer
}

/// The hash of a block's only chunk.
pub(crate) fn chunk_hash(block: &CryptoHash) -> CryptoHash {
    CryptoHash::hash_bytes(&[block.as_bytes().as_slice(), b"chunk"].concat())
}

fn chunk_header(header: &BlockHeader) -> Value {
    json!({
        "rent_paid": "0",
        "validator_reward": "0",
        "validator_proposals": [],
        "signature": no_signature(),
        "chunk_hash": chunk_hash(&header.hash).to_string(),
        "prev_block_hash": header.prev_hash.to_string(),
        "outcome_root": ZERO,
        "prev_state_root": ZERO,
        "encoded_merkle_root": ZERO,
        "encoded_length": 8,
        "height_created": header.height,
        "height_included": header.height,
        "shard_id": 0,
        "gas_used": 0,
        "gas_limit": 1_000_000_000_000_000_u64,
        "balance_burnt": "0",
        "outgoing_receipts_root": ZERO,
        "tx_root": ZERO,
        "congestion_info": {
            "allowed_shard": 0,
            "buffered_receipts_gas": "0",
            "delayed_receipts_gas": "0",
            "receipt_bytes": 0,
        },
        "bandwidth_requests": {"V1": {"requests": []}},
    })
}

/// A block: `BlockView`. Roots are zeroes: there are no proofs.
pub(crate) fn block(header: &BlockHeader, protocol: u32) -> Value {
    json!({
        "author": "sandbox",
        "header": {
            "height": header.height,
            "prev_height": header.prev_height,
            "epoch_id": header.epoch_id.to_string(),
            "next_epoch_id": header.next_epoch_id.to_string(),
            "hash": header.hash.to_string(),
            "prev_hash": header.prev_hash.to_string(),
            "prev_state_root": ZERO,
            "block_body_hash": ZERO,
            "chunk_receipts_root": ZERO,
            "chunk_headers_root": ZERO,
            "chunk_tx_root": ZERO,
            "outcome_root": ZERO,
            "chunks_included": 1,
            "challenges_root": ZERO,
            "timestamp": header.timestamp,
            "timestamp_nanosec": header.timestamp.to_string(),
            "random_value": header.random.to_string(),
            "validator_proposals": [],
            "chunk_mask": [true],
            "gas_price": GAS_PRICE.to_string(),
            "block_ordinal": header.height.saturating_add(1),
            "rent_paid": "0",
            "validator_reward": "0",
            "total_supply": "1000000000000000000000000000000000",
            "challenges_result": [],
            "last_final_block": header.prev_hash.to_string(),
            "last_ds_final_block": header.prev_hash.to_string(),
            "next_bp_hash": ZERO,
            "block_merkle_root": ZERO,
            "epoch_sync_data_hash": null,
            "approvals": [],
            "signature": no_signature(),
            "latest_protocol_version": protocol,
            "chunk_endorsements": [[]],
            "shard_split": null,
        },
        "chunks": [chunk_header(header)],
    })
}

/// A block's chunk: `ChunkView`.
pub(crate) fn chunk(
    record: &BlockRecord,
    transactions: &[TransactionRecord],
    receipts: &[Receipt],
) -> Value {
    let transactions: Vec<Value> = transactions.iter().map(transaction).collect();
    let receipts: Vec<Value> = receipts.iter().map(receipt).collect();
    json!({
        "author": "sandbox",
        "header": chunk_header(&record.header),
        "transactions": transactions,
        "receipts": receipts,
    })
}

/// A time as ISO 8601 with nanoseconds, as NEAR's `status` says it.
pub(crate) fn iso_time(nanos: u64) -> String {
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years (Howard Hinnant's `civil_from_days`).
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:09}Z")
}

#[cfg(test)]
mod tests {
    use super::iso_time;

    #[test]
    fn times_are_of_the_calendar() {
        assert_eq!(iso_time(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(iso_time(1_767_225_600_000_000_001), "2026-01-01T00:00:00.000000001Z");
        assert_eq!(iso_time(1_709_164_800_000_000_000), "2024-02-29T00:00:00.000000000Z");
    }
}
