//! Ethereum's JSON: quantities without leading zeros, bytes with all of theirs.

use crate::rpc::RpcError;
use alloy_primitives::{Address, B256, U256, keccak256};
use k256::ecdsa::VerifyingKey;
use serde_json::Value;

/// The address of a key.
pub(crate) fn address_of(key: &VerifyingKey) -> Address {
    let point = key.to_encoded_point(false);
    Address::from_slice(&keccak256(&point.as_bytes()[1..])[12..])
}

/// Bytes as `0x` and their digits.
pub(crate) fn bytes_hex(bytes: &[u8]) -> Value {
    Value::String(format!("0x{}", hex::encode(bytes)))
}

/// A number.
pub(crate) fn quantity(number: U256) -> Value {
    Value::String(format!("{number:#x}"))
}

/// A number.
pub(crate) fn quantity_u64(number: u64) -> Value {
    Value::String(format!("{number:#x}"))
}

fn digits<'a>(value: &'a Value, what: &str) -> Result<&'a str, RpcError> {
    let text =
        value.as_str().ok_or_else(|| RpcError::params(format!("{what} is no text: {value}")))?;
    text.strip_prefix("0x").ok_or_else(|| RpcError::params(format!("{what} has no 0x: {text}")))
}

/// Bytes.
pub(crate) fn bytes(value: &Value, what: &str) -> Result<Vec<u8>, RpcError> {
    hex::decode(digits(value, what)?).map_err(|error| RpcError::params(format!("{what}: {error}")))
}

/// An address.
pub(crate) fn address(value: &Value) -> Result<Address, RpcError> {
    Address::try_from(bytes(value, "address")?.as_slice())
        .map_err(|_| RpcError::params(format!("an address has 20 bytes: {value}")))
}

/// 32 bytes.
pub(crate) fn word(value: &Value) -> Result<B256, RpcError> {
    B256::try_from(bytes(value, "hash")?.as_slice())
        .map_err(|_| RpcError::params(format!("a hash has 32 bytes: {value}")))
}

/// A number: hexadecimal text, or JSON's own.
pub(crate) fn number(value: &Value) -> Result<U256, RpcError> {
    if let Some(number) = value.as_u64() {
        return Ok(U256::from(number));
    }
    let text = value.as_str().unwrap_or_default();
    let parsed = match text.strip_prefix("0x") {
        Some("") => Ok(U256::ZERO),
        Some(digits) => U256::from_str_radix(digits, 16),
        None => U256::from_str_radix(text, 10),
    };
    parsed.map_err(|_| RpcError::params(format!("{value} is no number")))
}

/// A number that fits 64 bits.
pub(crate) fn number_u64(value: &Value) -> Result<u64, RpcError> {
    u64::try_from(number(value)?).map_err(|_| RpcError::params(format!("{value} is too large")))
}
