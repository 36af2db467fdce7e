//! Signed transactions of the benchmark's sender, whose private key is 1.

use alloy_rlp::{BufMut, Encodable, Header};
use anyhow::{Result, anyhow};
use k256::ecdsa::SigningKey;
use revm::context::TxEnv;
use revm::primitives::{B256, TxKind, U256, keccak256};

/// Signs a call as a legacy transaction of a chain (EIP-155).
pub(super) fn signed(transaction: &TxEnv, chain_id: u64) -> Result<Vec<u8>> {
    let message = encoded(transaction, &[U256::from(chain_id), U256::ZERO, U256::ZERO]);
    let failed = |error| anyhow!("the key 1: {error}");
    let key = SigningKey::from_slice(&U256::ONE.to_be_bytes::<32>()).map_err(failed)?;
    let hash: B256 = keccak256(message);
    let (signature, recovery) = key.sign_prehash_recoverable(hash.as_slice()).map_err(failed)?;
    let (r, s) = signature.split_bytes();
    let v = U256::from(chain_id * 2 + 35 + u64::from(recovery.is_y_odd()));
    Ok(encoded(transaction, &[v, U256::from_be_slice(&r), U256::from_be_slice(&s)]))
}

/// The fields of a transaction, and what comes after them.
fn encoded(transaction: &TxEnv, more: &[U256; 3]) -> Vec<u8> {
    let mut fields = Vec::new();
    transaction.nonce.encode(&mut fields);
    transaction.gas_price.encode(&mut fields);
    transaction.gas_limit.encode(&mut fields);
    match transaction.kind {
        TxKind::Call(address) => address.encode(&mut fields),
        TxKind::Create => fields.put_u8(alloy_rlp::EMPTY_STRING_CODE),
    }
    transaction.value.encode(&mut fields);
    transaction.data.encode(&mut fields);
    more.iter().for_each(|number| number.encode(&mut fields));
    let mut bytes = Vec::new();
    Header { list: true, payload_length: fields.len() }.encode(&mut bytes);
    bytes.extend(fields);
    bytes
}
