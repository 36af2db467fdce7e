//! Signed transactions: legacy with and without EIP-155, EIP-2930 and EIP-1559, to what revm runs.

use crate::execute::Refusal;
use crate::rlp::{Items, RlpError};
use alloc::format;
use alloc::vec::Vec;
use cotenant_guest::near::{self, Malleable};
use revm::context::TxEnv;
use revm::context::transaction::{AccessList, AccessListItem};
use revm::primitives::{Address, B256, Bytes, TxKind, U256};

/// Types of EIP-2718.
const EIP_2930: u8 = 1;
const EIP_1559: u8 = 2;

/// Items of a legacy transaction before its signature.
const LEGACY_ITEMS: usize = 6;

/// A transaction without its sender, and what its sender has signed.
struct Unsigned {
    transaction: TxEnv,
    recovery: u8,
    signature: [u8; 64],
    hash: [u8; 32],
}

/// Takes the bytes of a signed transaction and finds its sender.
///
/// # Errors
/// What is wrong with them.
pub fn decode(bytes: &[u8]) -> Result<TxEnv, Refusal> {
    let refusal = |reason: &str, code: &str| Refusal { reason: reason.into(), code: code.into() };
    let unsigned = match bytes.split_first() {
        None => return Err(refusal("the transaction is empty", "ERR_EMPTY_TX_INPUT")),
        Some((&EIP_2930, payload)) => typed(EIP_2930, payload),
        Some((&EIP_1559, payload)) => typed(EIP_1559, payload),
        Some((0xc0.., _)) => legacy(bytes),
        Some((0x80.., _)) => Err(Malformed::Rlp(RlpError::Kind)),
        Some((other, _)) => {
            let code = match other {
                3 => "ERR_UNSUPPORTED_TX_EIP4844",
                _ => "ERR_UNKNOWN_TX_TYPE",
            };
            let reason = format!(
                "transactions of type {other} are not taken: legacy, 1 (EIP-2930) and 2 (EIP-1559) are"
            );
            return Err(refusal(&reason, code));
        }
    };
    let Unsigned { mut transaction, recovery, signature, hash } =
        unsigned.map_err(|error| match error {
            Malformed::Rlp(error) => refusal(
                &format!("the transaction is malformed: {}", error.text()),
                "ERR_TX_RLP_DECODE",
            ),
            Malformed::Parity => refusal(
                "the signature is malformed: its parity is neither 0 nor 1, nor 27 or 28, nor that of a chain \
                 (EIP-155)",
                "ERR_INVALID_ECDSA_SIGNATURE",
            ),
        })?;
    // EIP-2: the lower half of s alone.
    let key = near::ecrecover(&hash, &signature, recovery, Malleable::No)
        .ok_or_else(|| refusal("the signature is nobody's", "ERR_INVALID_ECDSA_SIGNATURE"))?;
    transaction.caller = Address::from_word(near::keccak256(&key).into());
    Ok(transaction)
}

enum Malformed {
    Rlp(RlpError),
    Parity,
}

impl From<RlpError> for Malformed {
    fn from(error: RlpError) -> Self {
        Self::Rlp(error)
    }
}

fn legacy(bytes: &[u8]) -> Result<Unsigned, Malformed> {
    let mut items = Items::of(bytes)?;
    let fields = items.rest();
    let nonce = u64::from_be_bytes(items.number()?);
    let gas_price = u128::from_be_bytes(items.number()?);
    let gas_limit = u64::from_be_bytes(items.number()?);
    let kind = kind(&mut items)?;
    let value = U256::from_be_bytes(items.number::<32>()?);
    let data = Bytes::copy_from_slice(items.string()?);
    let signed = &fields[..fields.len() - items.rest().len()];
    let v = u64::from_be_bytes(items.number()?);
    let signature = signature(&mut items)?;
    let (recovery, chain_id) = match v {
        27 | 28 => (v - 27, None),
        35.. => ((v - 35) & 1, Some((v - 35) >> 1)),
        _ => return Err(Malformed::Parity),
    };
    let mut payload = signed.to_vec();
    if let Some(chain_id) = chain_id {
        push_number(&mut payload, chain_id);
        payload.extend([0x80, 0x80]);
    }
    let mut message = Vec::with_capacity(payload.len() + LEGACY_ITEMS);
    push_list(&mut message, &payload);
    let transaction = TxEnv {
        tx_type: 0,
        nonce,
        gas_price,
        gas_limit,
        kind,
        value,
        data,
        chain_id,
        ..TxEnv::default()
    };
    let recovery = recovery as u8;
    Ok(Unsigned { transaction, recovery, signature, hash: near::keccak256(&message) })
}

fn typed(tx_type: u8, payload: &[u8]) -> Result<Unsigned, Malformed> {
    let mut items = Items::of(payload)?;
    let fields = items.rest();
    let chain_id = u64::from_be_bytes(items.number()?);
    let nonce = u64::from_be_bytes(items.number()?);
    let (gas_price, gas_priority_fee) = if tx_type == EIP_1559 {
        let priority = u128::from_be_bytes(items.number()?);
        (u128::from_be_bytes(items.number()?), Some(priority))
    } else {
        (u128::from_be_bytes(items.number()?), None)
    };
    let gas_limit = u64::from_be_bytes(items.number()?);
    let kind = kind(&mut items)?;
    let value = U256::from_be_bytes(items.number::<32>()?);
    let data = Bytes::copy_from_slice(items.string()?);
    let access_list = access_list(items.list()?)?;
    let signed = &fields[..fields.len() - items.rest().len()];
    let recovery = match items.number::<1>()? {
        [parity @ (0 | 1)] => parity,
        _ => return Err(Malformed::Parity),
    };
    let signature = signature(&mut items)?;
    let mut message = Vec::with_capacity(signed.len() + LEGACY_ITEMS);
    message.push(tx_type);
    push_list(&mut message, signed);
    let transaction = TxEnv {
        tx_type,
        nonce,
        gas_price,
        gas_priority_fee,
        gas_limit,
        kind,
        value,
        data,
        access_list,
        chain_id: Some(chain_id),
        ..TxEnv::default()
    };
    Ok(Unsigned { transaction, recovery, signature, hash: near::keccak256(&message) })
}

/// The rest of a transaction.
fn signature(items: &mut Items<'_>) -> Result<[u8; 64], RlpError> {
    let (r, s) = (items.number::<32>()?, items.number::<32>()?);
    items.end()?;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(&s);
    Ok(signature)
}

fn kind(items: &mut Items<'_>) -> Result<TxKind, RlpError> {
    match items.string()? {
        [] => Ok(TxKind::Create),
        address => match address.try_into() {
            Ok(address) => Ok(TxKind::Call(Address::new(address))),
            Err(_) => Err(RlpError::Length),
        },
    }
}

fn access_list(mut items: Items<'_>) -> Result<AccessList, RlpError> {
    let mut list = Vec::new();
    while !items.is_empty() {
        let mut entry = items.list()?;
        let address = Address::new(entry.array()?);
        let mut slots = entry.list()?;
        entry.end()?;
        let mut storage_keys = Vec::new();
        while !slots.is_empty() {
            storage_keys.push(B256::new(slots.array()?));
        }
        list.push(AccessListItem { address, storage_keys });
    }
    Ok(AccessList(list))
}

/// A list of items that are encoded already.
fn push_list(to: &mut Vec<u8>, items: &[u8]) {
    if items.len() < 56 {
        to.push(0xc0 + items.len() as u8);
    } else {
        let length = trimmed(items.len() as u64);
        to.push(0xf7 + length.len() as u8);
        to.extend_from_slice(&length);
    }
    to.extend_from_slice(items);
}

fn push_number(to: &mut Vec<u8>, number: u64) {
    let bytes = trimmed(number);
    match bytes.as_slice() {
        [byte @ 0..0x80] => to.push(*byte),
        bytes => {
            to.push(0x80 + bytes.len() as u8);
            to.extend_from_slice(bytes);
        }
    }
}

/// The bytes of a number without its leading zeros.
fn trimmed(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    bytes[number.leading_zeros() as usize / 8..].to_vec()
}
