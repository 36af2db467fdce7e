//! Parameters of NEAR's methods: objects, and the old positional forms.

use crate::rpc::RpcError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cotenant_host::runtime::BlockReference;
use near_account_id::AccountId;
use near_crypto::PublicKey;
use near_primitives_core::hash::CryptoHash;
use serde_json::Value;

/// A field of the parameters that has to be a text.
pub(crate) fn text<'a>(params: &'a Value, name: &str) -> Result<&'a str, RpcError> {
    params
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| RpcError::parse(format!("Failed parsing args: missing field `{name}`")))
}

/// An account id.
pub(crate) fn account(text: &str) -> Result<AccountId, RpcError> {
    text.parse().map_err(|error| {
        RpcError::parse(format!("Failed parsing args: `{text}` is no account id: {error}"))
    })
}

/// A public key; without a curve it is of ed25519 (py-near).
pub(crate) fn public_key(text: &str) -> Result<PublicKey, RpcError> {
    let with = if text.contains(':') { text.to_owned() } else { format!("ed25519:{text}") };
    with.parse().map_err(|error| {
        RpcError::parse(format!("Failed parsing args: `{text}` is no public key: {error}"))
    })
}

/// A hash.
pub(crate) fn hash(text: &str) -> Result<CryptoHash, RpcError> {
    text.parse().map_err(|error| {
        RpcError::parse(format!("Failed parsing args: `{text}` is no hash: {error}"))
    })
}

/// Bytes in base64, which may be empty.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, RpcError> {
    STANDARD
        .decode(text)
        .map_err(|error| RpcError::parse(format!("Failed to decode base64: {error}")))
}

/// A height or a hash.
pub(crate) fn block_id(id: &Value) -> Result<BlockReference, RpcError> {
    match id {
        Value::Null => Ok(BlockReference::Head),
        Value::Number(height) => height
            .as_u64()
            .map(BlockReference::Height)
            .ok_or_else(|| RpcError::parse(format!("Failed parsing args: {height} is no height"))),
        Value::String(text) => match text.parse::<u64>() {
            Ok(height) => Ok(BlockReference::Height(height)),
            Err(_) if is_finality(text) => Ok(BlockReference::Head),
            Err(_) => Ok(BlockReference::Hash(hash(text)?)),
        },
        other => Err(RpcError::parse(format!("Failed parsing args: {other} is no block id"))),
    }
}

fn is_finality(text: &str) -> bool {
    matches!(text, "final" | "near-final" | "optimistic" | "latest" | "earliest_available")
}

/// The block of `{block_id}`, `{finality}`, `{sync_checkpoint}`, `[id]` or nothing at all.
pub(crate) fn block(params: &Value) -> Result<BlockReference, RpcError> {
    match params {
        Value::Array(list) => block_id(list.first().unwrap_or(&Value::Null)),
        Value::Object(fields) => match fields.get("sync_checkpoint") {
            Some(Value::String(text)) if text == "genesis" => Ok(BlockReference::Height(0)),
            _ => block_id(fields.get("block_id").unwrap_or(&Value::Null)),
        },
        _ => Ok(BlockReference::Head),
    }
}
