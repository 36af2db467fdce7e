//! Ethereum's transactions: their bytes, senders, hashes and JSON. Legacy (with EIP-155 and without), EIP-2930 and EIP-1559.

use crate::eth::hex::{address_of, bytes_hex, quantity, quantity_u64};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::{Decodable, Encodable, Header};
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use serde_json::{Value, json};

/// A transaction that its sender signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) kind: u8,
    pub(crate) chain_id: Option<u64>,
    pub(crate) nonce: u64,
    /// Price of gas, or the most that is paid for it.
    pub(crate) max_fee: U256,
    pub(crate) priority_fee: U256,
    pub(crate) gas_limit: u64,
    pub(crate) to: Option<Address>,
    pub(crate) value: U256,
    pub(crate) input: Bytes,
    pub(crate) access_list: Vec<(Address, Vec<B256>)>,
    pub(crate) odd: bool,
    pub(crate) r: U256,
    pub(crate) s: U256,
    pub(crate) hash: B256,
    pub(crate) from: Address,
}

type Read<T> = Result<T, String>;

fn take<T: Decodable>(rest: &mut &[u8]) -> Read<T> {
    T::decode(rest).map_err(|error| error.to_string())
}

fn list<'a>(rest: &mut &'a [u8]) -> Read<&'a [u8]> {
    Header::decode_bytes(rest, true).map_err(|error| error.to_string())
}

fn recipient(rest: &mut &[u8]) -> Read<Option<Address>> {
    let bytes = Header::decode_bytes(rest, false).map_err(|error| error.to_string())?;
    match bytes.len() {
        0 => Ok(None),
        20 => Ok(Some(Address::from_slice(bytes))),
        other => Err(format!("a recipient of {other} bytes")),
    }
}

fn access_list(rest: &mut &[u8]) -> Read<Vec<(Address, Vec<B256>)>> {
    let mut entries = list(rest)?;
    let mut found = Vec::new();
    while !entries.is_empty() {
        let mut entry = list(&mut entries)?;
        let address = take(&mut entry)?;
        let mut slots = list(&mut entry)?;
        let mut keys = Vec::new();
        while !slots.is_empty() {
            keys.push(take(&mut slots)?);
        }
        found.push((address, keys));
    }
    Ok(found)
}

impl Transaction {
    /// Reads the bytes of `eth_sendRawTransaction`.
    pub(crate) fn of_bytes(raw: &[u8]) -> Read<Self> {
        let kind = match raw.first() {
            None => return Err("no bytes".to_owned()),
            Some(0xc0..) => 0,
            Some(kind @ (1 | 2)) => *kind,
            Some(kind) => return Err(format!("transaction type {kind} not supported")),
        };
        let mut bytes = if kind == 0 { raw } else { &raw[1..] };
        let mut rest = list(&mut bytes)?;
        if !bytes.is_empty() {
            return Err("bytes are left over".to_owned());
        }
        let mut chain_id = if kind == 0 { None } else { Some(take::<u64>(&mut rest)?) };
        let nonce = take(&mut rest)?;
        let priority_fee: U256 = take(&mut rest)?;
        let max_fee = if kind == 2 { take(&mut rest)? } else { priority_fee };
        let gas_limit = take(&mut rest)?;
        let to = recipient(&mut rest)?;
        let value = take(&mut rest)?;
        let input = take(&mut rest)?;
        let access_list = if kind == 0 { Vec::new() } else { access_list(&mut rest)? };
        let v: U256 = take(&mut rest)?;
        let (r, s): (U256, U256) = (take(&mut rest)?, take(&mut rest)?);
        if !rest.is_empty() {
            return Err("fields are left over".to_owned());
        }
        let odd = if kind == 0 {
            let v = u64::try_from(v).map_err(|_| "v is too large".to_owned())?;
            match v {
                27 | 28 => v == 28,
                35.. => {
                    chain_id = Some((v - 35) / 2);
                    (v - 35) % 2 == 1
                }
                _ => return Err(format!("v is {v}")),
            }
        } else {
            v == U256::from(1)
        };
        let mut read = Self {
            kind,
            chain_id,
            nonce,
            max_fee,
            priority_fee,
            gas_limit,
            to,
            value,
            input,
            access_list,
            odd,
            r,
            s,
            hash: keccak256(raw),
            from: Address::ZERO,
        };
        read.from = read.recover()?;
        Ok(read)
    }

    fn recover(&self) -> Read<Address> {
        let signature = [self.r.to_be_bytes::<32>(), self.s.to_be_bytes::<32>()].concat();
        let signature = Signature::from_slice(&signature).map_err(|error| error.to_string())?;
        if signature.normalize_s().is_some() {
            return Err("invalid signature: s is in the upper half (EIP-2)".to_owned());
        }
        let recovery = RecoveryId::new(self.odd, false);
        let hash = self.signing_hash();
        let key = VerifyingKey::recover_from_prehash(hash.as_slice(), &signature, recovery)
            .map_err(|error| format!("invalid signature: {error}"))?;
        Ok(address_of(&key))
    }

    fn fields(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        if self.kind > 0 {
            self.chain_id.unwrap_or(0).encode(&mut fields);
        }
        self.nonce.encode(&mut fields);
        if self.kind == 2 {
            self.priority_fee.encode(&mut fields);
        }
        self.max_fee.encode(&mut fields);
        self.gas_limit.encode(&mut fields);
        match self.to {
            Some(to) => to.encode(&mut fields),
            None => fields.push(alloy_rlp::EMPTY_STRING_CODE),
        }
        self.value.encode(&mut fields);
        self.input.encode(&mut fields);
        if self.kind > 0 {
            let mut entries = Vec::new();
            for (address, keys) in &self.access_list {
                let mut entry = Vec::new();
                address.encode(&mut entry);
                let mut slots = Vec::new();
                keys.iter().for_each(|key| key.encode(&mut slots));
                entry.extend(in_list(&slots));
                entries.extend(in_list(&entry));
            }
            fields.extend(in_list(&entries));
        }
        fields
    }

    fn signing_hash(&self) -> B256 {
        let mut fields = self.fields();
        if let (0, Some(chain_id)) = (self.kind, self.chain_id) {
            chain_id.encode(&mut fields);
            0_u8.encode(&mut fields);
            0_u8.encode(&mut fields);
        }
        keccak256(self.typed(&fields))
    }

    fn typed(&self, fields: &[u8]) -> Vec<u8> {
        let body = in_list(fields);
        if self.kind == 0 { body } else { [&[self.kind], body.as_slice()].concat() }
    }

    /// Signs it, and gives its bytes.
    pub(crate) fn sign(&mut self, key: &SigningKey) -> Read<Vec<u8>> {
        let hash = self.signing_hash();
        let (signature, recovery) =
            key.sign_prehash_recoverable(hash.as_slice()).map_err(|error| error.to_string())?;
        let (r, s) = signature.split_bytes();
        (self.r, self.s) = (U256::from_be_slice(&r), U256::from_be_slice(&s));
        self.odd = recovery.is_y_odd();
        let mut fields = self.fields();
        U256::from(self.v()).encode(&mut fields);
        self.r.encode(&mut fields);
        self.s.encode(&mut fields);
        let raw = self.typed(&fields);
        self.hash = keccak256(&raw);
        self.from = address_of(key.verifying_key());
        Ok(raw)
    }

    fn v(&self) -> u64 {
        match (self.kind, self.chain_id) {
            (0, Some(chain_id)) => chain_id * 2 + 35 + u64::from(self.odd),
            (0, None) => 27 + u64::from(self.odd),
            _ => u64::from(self.odd),
        }
    }

    /// As `eth_getTransactionByHash` shows it; where it is is added by who knows.
    pub(crate) fn to_json(&self) -> Value {
        let mut shown = json!({
            "type": quantity_u64(u64::from(self.kind)),
            "nonce": quantity_u64(self.nonce),
            "gas": quantity_u64(self.gas_limit),
            "gasPrice": quantity(self.max_fee),
            "to": self.to.map(|to| bytes_hex(to.as_slice())),
            "value": quantity(self.value),
            "input": bytes_hex(&self.input),
            "r": quantity(self.r),
            "s": quantity(self.s),
            "v": quantity_u64(self.v()),
            "hash": bytes_hex(self.hash.as_slice()),
            "from": bytes_hex(self.from.as_slice()),
            "blockHash": null,
            "blockNumber": null,
            "transactionIndex": null,
        });
        if let Some(chain_id) = self.chain_id {
            shown["chainId"] = quantity_u64(chain_id);
        }
        if self.kind > 0 {
            shown["yParity"] = quantity_u64(u64::from(self.odd));
            let list = self.access_list.iter().map(|(address, keys)| {
                let keys: Vec<Value> = keys.iter().map(|key| bytes_hex(key.as_slice())).collect();
                json!({"address": bytes_hex(address.as_slice()), "storageKeys": keys})
            });
            shown["accessList"] = list.collect();
        }
        if self.kind == 2 {
            shown["maxFeePerGas"] = quantity(self.max_fee);
            shown["maxPriorityFeePerGas"] = quantity(self.priority_fee);
            shown["gasPrice"] = quantity(self.effective_price());
        }
        shown
    }

    /// What is paid for a unit of gas: the base fee is 0.
    pub(crate) fn effective_price(&self) -> U256 {
        if self.kind == 2 { self.priority_fee.min(self.max_fee) } else { self.max_fee }
    }
}

fn in_list(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 9);
    Header { list: true, payload_length: payload.len() }.encode(&mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_read_again() {
        let key = SigningKey::from_slice(&[7; 32]).expect("a key");
        for kind in [0, 1, 2] {
            let mut made = Transaction {
                kind,
                chain_id: Some(31337),
                nonce: 3,
                max_fee: U256::from(9),
                priority_fee: U256::from(if kind == 2 { 4 } else { 9 }),
                gas_limit: 21_000,
                to: (kind != 1).then_some(Address::repeat_byte(5)),
                value: U256::from(1_000),
                input: Bytes::from_static(b"abc"),
                access_list: if kind == 0 {
                    vec![]
                } else {
                    vec![(Address::ZERO, vec![B256::ZERO])]
                },
                odd: false,
                r: U256::ZERO,
                s: U256::ZERO,
                hash: B256::ZERO,
                from: Address::ZERO,
            };
            let raw = made.sign(&key).expect("signed");
            assert_eq!(Transaction::of_bytes(&raw).expect("read"), made);
            assert!(Transaction::of_bytes(&raw[..raw.len() - 1]).is_err());
            assert!(Transaction::of_bytes(&[raw.as_slice(), &[0]].concat()).is_err());
        }
    }
}
