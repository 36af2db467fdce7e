//! Contracts as their compiler left them: the records of `contracts/evm/bytecode`.

use revm::primitives::{Address, Bytes, U256, hex};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A compiled contract.
#[derive(Clone, Debug, Deserialize)]
pub struct Contract {
    /// Its name.
    pub name: String,
    /// The compiler and its exact version.
    pub compiler: String,
    /// Types of its constructor's values.
    pub constructor: Vec<String>,
    /// Method identifiers in hexadecimal by signature, as `transfer(address,uint256)`.
    pub selectors: BTreeMap<String, String>,
    creation: String,
    runtime: String,
}

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// It is no record.
    #[error("{name}: no record of a contract: {reason}")]
    Unreadable {
        /// Which one.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// It has no method of this signature.
    #[error("`{name}` has no method `{signature}`")]
    NoMethod {
        /// Which contract.
        name: String,
        /// The signature.
        signature: String,
    },
}

/// A value in calldata.
#[derive(Clone, Debug)]
pub enum Value {
    /// A number.
    Number(U256),
    /// An address.
    Address(Address),
    /// A list of addresses.
    Addresses(Vec<Address>),
    /// A string.
    Text(&'static str),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(U256::from(number))
    }
}

impl From<U256> for Value {
    fn from(number: U256) -> Self {
        Value::Number(number)
    }
}

impl From<Address> for Value {
    fn from(address: Address) -> Self {
        Value::Address(address)
    }
}

macro_rules! record {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../../contracts/evm/bytecode/", $name, ".json")))
    };
}

const RECORDS: [(&str, &str); 5] =
    [record!("Soak"), record!("Token"), record!("Pair"), record!("Router"), record!("Nft")];

/// All contracts, by name.
///
/// # Errors
/// A record is not what `contracts/evm/build.js` writes.
pub fn contracts() -> Result<BTreeMap<&'static str, Contract>, ContractError> {
    let read = |(name, text)| {
        let unreadable = |reason: String| ContractError::Unreadable { name, reason };
        let contract: Contract =
            serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        for code in [&contract.creation, &contract.runtime] {
            hex::decode(code).map_err(|error| unreadable(error.to_string()))?;
        }
        Ok((name, contract))
    };
    RECORDS.into_iter().map(read).collect()
}

impl Contract {
    /// Its init code.
    pub fn creation(&self) -> Bytes {
        hex::decode(&self.creation).unwrap_or_default().into()
    }

    /// Its code as the compiler gives it: where it has immutable values there are zeros.
    pub fn runtime(&self) -> Bytes {
        hex::decode(&self.runtime).unwrap_or_default().into()
    }

    /// Its init code with values for its constructor.
    pub fn creation_with(&self, values: &[Value]) -> Bytes {
        [self.creation().as_ref(), &encode(values)].concat().into()
    }

    /// Calldata of a method.
    ///
    /// # Errors
    /// There is no such method.
    pub fn call(&self, signature: &str, values: &[Value]) -> Result<Bytes, ContractError> {
        let selector = self.selectors.get(signature).and_then(|text| hex::decode(text).ok());
        let missing =
            || ContractError::NoMethod { name: self.name.clone(), signature: signature.to_owned() };
        Ok([selector.ok_or_else(missing)?, encode(values)].concat().into())
    }
}

/// Values in Solidity's ABI: a head of a word each, then what has a length.
fn encode(values: &[Value]) -> Vec<u8> {
    let word = |number: u64| U256::from(number).to_be_bytes::<32>();
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let head_bytes = values.len() as u64 * 32;
    for value in values {
        match value {
            Value::Number(number) => head.extend(number.to_be_bytes::<32>()),
            Value::Address(address) => head.extend(address.into_word()),
            Value::Addresses(list) => {
                head.extend(word(head_bytes + tail.len() as u64));
                tail.extend(word(list.len() as u64));
                list.iter().for_each(|address| tail.extend(address.into_word()));
            }
            Value::Text(text) => {
                head.extend(word(head_bytes + tail.len() as u64));
                tail.extend(word(text.len() as u64));
                tail.extend(text.as_bytes());
                tail.resize(tail.len().next_multiple_of(32), 0);
            }
        }
    }
    [head, tail].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_length_is_behind_the_heads() {
        let values =
            [Value::from(7), Value::Text("abc"), Value::Addresses(vec![Address::repeat_byte(9)])];
        let bytes = encode(&values);
        let word = |at: usize| U256::from_be_slice(&bytes[at * 32..][..32]);
        let heads = [word(0), word(1), word(2)].map(|word| word.to::<u64>());
        assert_eq!(heads, [7, 96, 160]);
        assert_eq!(word(3), U256::from(3));
        assert_eq!(&bytes[128..131], b"abc");
        assert_eq!(word(5), U256::from(1));
        assert_eq!(bytes.len(), 7 * 32);
    }
}
