//! Keys of the EVM on the command line, and transactions signed with them.

use crate::failure::Failure;
use alloy_rlp::{BufMut, Encodable, Header};
use anyhow::{Result, anyhow};
use k256::ecdsa::SigningKey;
use revm::context::TxEnv;
use revm::primitives::{Address, B256, TxKind, U256, keccak256};

/// The first keys of anvil and hardhat: everybody knows them, so they are for development alone.
const DEV_KEYS: [&str; 5] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
];

/// Reads a private key: 64 hexadecimal digits, or `dev0` to `dev4`.
pub(crate) fn key(text: &str) -> Result<SigningKey, Failure> {
    let digits = match text.strip_prefix("dev") {
        Some(number) => number.parse().ok().and_then(|number: usize| DEV_KEYS.get(number)).copied(),
        None => Some(text.strip_prefix("0x").unwrap_or(text)),
    };
    let bytes = digits.and_then(|digits| hex::decode(digits).ok());
    bytes.and_then(|bytes| SigningKey::from_slice(&bytes).ok()).ok_or_else(|| {
        // Not what was given: it may be a key with a slip in it.
        Failure::usage("InvalidKey", "--key: this is no private key").with(
            "hint",
            "64 hexadecimal digits, or dev0 to dev4, the first accounts of anvil and hardhat",
        )
    })
}

/// The address of a key: the last 20 bytes of Keccak-256 of the public key.
pub(crate) fn address(key: &SigningKey) -> Address {
    let point = key.verifying_key().to_encoded_point(false);
    Address::from_slice(&keccak256(&point.as_bytes()[1..])[12..])
}

/// Signs a call or a creation as a legacy transaction of a chain (EIP-155).
pub(crate) fn signed(transaction: &TxEnv, chain_id: u64, key: &SigningKey) -> Result<Vec<u8>> {
    let message = encoded(transaction, &[U256::from(chain_id), U256::ZERO, U256::ZERO]);
    let hash: B256 = keccak256(message);
    let (signature, recovery) = key
        .sign_prehash_recoverable(hash.as_slice())
        .map_err(|error| anyhow!("the transaction cannot be signed: {error}"))?;
    let (r, s) = signature.split_bytes();
    let v = U256::from(chain_id) * U256::from(2) + U256::from(35 + u64::from(recovery.is_y_odd()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dev_keys_are_those_of_anvil() {
        let of = |text| address(&key(text).unwrap()).to_string();
        assert_eq!(of("dev0"), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(of("dev1"), "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
        assert_eq!(of("dev4"), "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65");
        for bad in ["dev5", "dev", "0x00", "zz"] {
            assert_eq!(key(bad).unwrap_err().code, "InvalidKey");
        }
    }
}
