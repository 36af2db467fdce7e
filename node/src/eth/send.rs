//! Transactions of Ethereum into transactions of NEAR: checked first, held while their nonce is ahead, then submitted by the
//! relayer.

use crate::Node;
use crate::eth::call::invalid;
use crate::eth::hex::{self, bytes_hex};
use crate::eth::state::{near_failure, result};
use crate::eth::transaction::Transaction;
use crate::eth::{CHAIN_ID, Held, at, lock, refused};
use crate::rpc::{Answer, RpcError};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use cotenant_host::near::SignedTransaction;
use cotenant_host::runtime::{BlockReference, Status};
use near_crypto::SecretKey;
use near_primitives_core::hash::CryptoHash;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// NEAR gas that is attached: the most there is.
pub(super) const NEAR_GAS: u64 = 1_000_000_000_000_000;

/// How long a transaction waits whose nonce is ahead.
const HELD_MAX: Duration = Duration::from_secs(60);

/// Transactions that wait at once.
const HELD_COUNT_MAX: usize = 10_000;

impl Node {
    pub(super) async fn send_raw(self: &Arc<Self>, raw: Vec<u8>) -> Answer {
        let transaction = Transaction::of_bytes(&raw).map_err(|error| {
            RpcError::ethereum(-32602, format!("failed to decode signed transaction: {error}"))
        })?;
        if transaction.chain_id.is_some_and(|id| id != CHAIN_ID) {
            return Err(RpcError::ethereum(-32000, "invalid chain id for signer"));
        }
        let hash = transaction.hash;
        let from = transaction.from;
        let node = self.clone();
        let asked = transaction.clone();
        let checked = tokio::task::spawn_blocking(move || node.check_transaction(&asked));
        let nonce = super::prepared(checked.await)?;
        if transaction.nonce > nonce {
            self.hold(raw, transaction)?;
            // What it waits for may have come meanwhile.
            self.release(from).await;
            return Ok(bytes_hex(hash.as_slice()));
        }
        self.submit(raw).await?;
        self.release(from).await;
        Ok(bytes_hex(hash.as_slice()))
    }

    /// Checks what geth's pool checks; gives the sender's nonce.
    fn check_transaction(&self, one: &Transaction) -> Result<u64, RpcError> {
        let account = self.eth.engine.account(&self.host.state()?, &one.from)?;
        if one.nonce < account.nonce {
            return Err(RpcError::ethereum(
                -32000,
                format!("nonce too low: next nonce {}, tx nonce {}", account.nonce, one.nonce),
            ));
        }
        if one.priority_fee > one.max_fee {
            return Err(RpcError::ethereum(
                -32000,
                "max priority fee per gas higher than max fee per gas",
            ));
        }
        let cost = U256::from(one.gas_limit).saturating_mul(one.max_fee).saturating_add(one.value);
        let balance = U256::from_be_bytes(account.balance);
        if balance < cost {
            return Err(RpcError::ethereum(
                -32000,
                format!(
                    "insufficient funds for gas * price + value: balance {balance}, tx cost {cost}"
                ),
            ));
        }
        let data: u64 = one.input.iter().map(|byte| if *byte == 0 { 4 } else { 16 }).sum();
        let creation = if one.to.is_none() { 32_000 } else { 0 };
        if one.gas_limit < 21_000 + data + creation {
            return Err(RpcError::ethereum(-32000, "intrinsic gas too low"));
        }
        Ok(account.nonce)
    }

    fn hold(&self, raw: Vec<u8>, transaction: Transaction) -> Result<(), RpcError> {
        let mut held = lock(&self.eth.held);
        held.retain(|_, one| one.since.elapsed() < HELD_MAX);
        let place = (transaction.from, transaction.nonce);
        if let Some(there) = held.get(&place) {
            if there.transaction.hash == transaction.hash {
                return Err(RpcError::ethereum(-32000, "already known"));
            }
            let least = there.transaction.max_fee * U256::from(110) / U256::from(100);
            if transaction.max_fee <= there.transaction.max_fee || transaction.max_fee < least {
                return Err(RpcError::ethereum(-32000, "replacement transaction underpriced"));
            }
        }
        if held.len() >= HELD_COUNT_MAX {
            return Err(RpcError::ethereum(-32000, "txpool is full"));
        }
        held.insert(place, Held { raw, transaction, since: Instant::now() });
        Ok(())
    }

    /// Submits what has waited for its turn.
    async fn release(self: &Arc<Self>, from: Address) {
        loop {
            let Ok(state) = self.nonce_of(from).await else { return };
            let next = lock(&self.eth.held).remove(&(from, state));
            let Some(next) = next else { return };
            if self.submit(next.raw).await.is_err() {
                return;
            }
        }
    }

    async fn nonce_of(self: &Arc<Self>, from: Address) -> Result<u64, RpcError> {
        let node = self.clone();
        let read = tokio::task::spawn_blocking(move || -> Result<u64, RpcError> {
            Ok(node.eth.engine.account(&node.host.state()?, &from)?.nonce)
        });
        super::prepared(read.await)
    }

    /// One transaction of NEAR for one of Ethereum.
    async fn submit(self: &Arc<Self>, raw: Vec<u8>) -> Result<(), RpcError> {
        let _turn = self.eth.relaying.lock().await;
        let node = self.clone();
        let made = tokio::task::spawn_blocking(move || node.relay(&raw));
        let signed = super::prepared(made.await)?;
        let hash = signed.hash();
        self.chain.send(signed).await.map_err(refused)?;
        let node = self.clone();
        let ended = tokio::task::spawn_blocking(move || node.ended(hash));
        super::prepared(ended.await)
    }

    /// The relayer's transaction.
    fn relay(&self, raw: &[u8]) -> Result<SignedTransaction, RpcError> {
        let key: SecretKey = crate::genesis::SECRET_KEY.parse().map_err(RpcError::internal)?;
        let public_key = key.public_key();
        let state = self.host.state()?;
        let access = state.access_key(&self.eth.relayer, &public_key)?;
        let nonce = access.map_or(0, |access| access.nonce) + 1;
        let head = self.header(BlockReference::Head)?;
        let mut bytes = Vec::with_capacity(raw.len() + 256);
        let method = b"evm_submit".to_vec();
        let parts = (
            self.eth.relayer.as_str(),
            &public_key,
            nonce,
            self.eth.engine.account.as_str(),
            head.hash.0,
            1_u32,
        );
        let action = (2_u8, method, raw.to_vec(), NEAR_GAS, 0_u128);
        borsh::to_writer(&mut bytes, &parts).map_err(RpcError::internal)?;
        borsh::to_writer(&mut bytes, &action).map_err(RpcError::internal)?;
        let signature = key.sign(CryptoHash::hash_bytes(&bytes).as_ref());
        borsh::to_writer(&mut bytes, &signature).map_err(RpcError::internal)?;
        SignedTransaction::of_bytes(&bytes).map_err(RpcError::internal)
    }

    /// Whether the engine took it; why not, in geth's words.
    fn ended(&self, hash: CryptoHash) -> Result<(), RpcError> {
        let done = self.host.runtime().final_status(&hash)?;
        match done.and_then(|done| done.status) {
            Some(Status::SuccessValue(value)) => match result(&value).map(|one| one.status) {
                Some(engine_abi::Status::Invalid(reason)) => Err(invalid(&reason)),
                _ => Ok(()),
            },
            Some(Status::Failure(failure)) => Err(near_failure(&failure.message)),
            _ => Ok(()),
        }
    }

    /// `eth_sendTransaction`, for the accounts whose keys everybody knows.
    pub(super) async fn send_from(self: &Arc<Self>, call: &Value) -> Answer {
        let from = hex::address(call.get("from").unwrap_or(&Value::Null))?;
        let key = self.eth.keys.iter().find(|(address, _)| *address == from);
        let Some((_, key)) = key.cloned() else {
            return Err(RpcError::ethereum(-32000, "unknown account"));
        };
        let field = |name: &str| call.get(name).filter(|value| !value.is_null());
        let gas_limit = match field("gas").or_else(|| field("gasLimit")) {
            Some(gas) => hex::number_u64(gas)?,
            None => {
                let params = json!([call]);
                let estimate = self.read(move |node| node.estimate_gas(&params)).await?;
                hex::number_u64(&estimate)?
            }
        };
        let nonce = match field("nonce") {
            Some(nonce) => hex::number_u64(nonce)?,
            None => self.nonce_of(from).await?,
        };
        let input = field("input").or_else(|| field("data"));
        let mut transaction = Transaction {
            kind: 2,
            chain_id: Some(CHAIN_ID),
            nonce,
            max_fee: U256::ZERO,
            priority_fee: U256::ZERO,
            gas_limit,
            to: field("to").map(hex::address).transpose()?,
            value: field("value").map_or(Ok(U256::ZERO), hex::number)?,
            input: Bytes::from(input.map_or(Ok(Vec::new()), |one| hex::bytes(one, "input"))?),
            access_list: Vec::new(),
            odd: false,
            r: U256::ZERO,
            s: U256::ZERO,
            hash: B256::ZERO,
            from,
        };
        let raw = transaction.sign(&key).map_err(RpcError::internal)?;
        self.send_raw(raw).await
    }

    pub(super) fn sign_message(&self, method: &str, params: &Value) -> Answer {
        let (message, address) = match method {
            "eth_sign" => (at(params, 1), at(params, 0)),
            _ => (at(params, 0), at(params, 1)),
        };
        let (message, address) = (hex::bytes(message, "message")?, hex::address(address)?);
        let key = self.eth.keys.iter().find(|(known, _)| *known == address);
        let Some((_, key)) = key else {
            return Err(RpcError::ethereum(-32000, "unknown account"));
        };
        let head = format!("\x19Ethereum Signed Message:\n{}", message.len());
        let hash = keccak256([head.as_bytes(), &message].concat());
        let (signature, recovery) =
            key.sign_prehash_recoverable(hash.as_slice()).map_err(RpcError::internal)?;
        let mut bytes = signature.to_bytes().to_vec();
        bytes.push(27 + u8::from(recovery.is_y_odd()));
        Ok(bytes_hex(&bytes))
    }
}
