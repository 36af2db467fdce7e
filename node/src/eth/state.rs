//! The engine's account: its modules and first records, and its records read natively.

use crate::rpc::RpcError;
use alloy_primitives::{Address, B256, U256, keccak256};
use cotenant_host::runtime::{Patch, RuntimeError};
use cotenant_host::state::{WorkingState, keys};
use cotenant_host::{Host, HostFault};
use cotenant_submodules::{Namespace, Visibility};
use engine_abi::state::{self as abi, Account, Config};
use engine_abi::{
    Fork, LONG_RESULT_VERSION, Log, LongResult, RESULT_VERSION, TransactionResult, View,
};
use near_account_id::AccountId;
use near_primitives_core::hash::CryptoHash;

/// Balance of the engine's account for its storage, in yoctoNEAR.
const ENGINE_BALANCE: u128 = 1_000_000 * 10_u128.pow(24);

/// Wei of each dev account: 10,000 ETH.
const DEV_WEI: u128 = 10_000 * 10_u128.pow(18);

/// What an account is that has nothing.
pub(crate) fn empty_account() -> Account {
    Account { nonce: 0, balance: [0; 32], code_hash: keccak256([]).0, incarnation: 0 }
}

/// An engine: where it is, and how it was started.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) account: AccountId,
    pub(crate) chain_id: u64,
}

impl Engine {
    /// What makes the engine, and funds the dev accounts.
    pub(crate) fn patches(&self, dev: &[Address]) -> Vec<Patch> {
        let id = self.account.clone();
        let module = |name: &str, visibility, code: &[u8]| Patch::Module {
            id: id.clone(),
            namespace: Namespace::from_bytes(name.as_bytes()).unwrap_or(Namespace::DEFAULT),
            visibility,
            code: code.to_vec(),
        };
        let config = Config {
            version: abi::STATE_VERSION,
            chain_id: self.chain_id,
            fork: Fork::Prague,
            permissionless_promote: true,
            owner: self.account.to_string(),
        };
        let mut all = vec![
            Patch::Account {
                id: id.clone(),
                balance: Some(ENGINE_BALANCE),
                locked: None,
                storage_usage: None,
            },
            module("", Visibility::Public, cotenant_contracts::engine()),
            module("evm_precompiles", Visibility::Private, cotenant_contracts::evm_precompiles()),
            module("evm_compiler", Visibility::Private, cotenant_contracts::evm_compiler()),
            self.value(abi::CONFIG_KEY.to_vec(), borsh::to_vec(&config).ok()),
        ];
        let funded = Account { balance: U256::from(DEV_WEI).to_be_bytes(), ..empty_account() };
        all.extend(dev.iter().map(|address| self.account_patch(address, &funded)));
        all
    }

    /// A record of the engine's storage.
    pub(crate) fn value(&self, key: Vec<u8>, value: Option<Vec<u8>>) -> Patch {
        Patch::Value { id: self.account.clone(), namespace: Namespace::DEFAULT, key, value }
    }

    pub(crate) fn account_patch(&self, address: &Address, account: &Account) -> Patch {
        self.value(abi::account_key(&address.0.0).to_vec(), borsh::to_vec(account).ok())
    }

    /// Whether it is there.
    pub(crate) fn is_there(&self, state: &WorkingState) -> Result<bool, HostFault> {
        Ok(self.get(state, abi::CONFIG_KEY)?.is_some())
    }

    fn get(&self, state: &WorkingState, key: &[u8]) -> Result<Option<Vec<u8>>, HostFault> {
        state.get(&keys::storage(&self.account, &Namespace::DEFAULT, key))
    }

    fn put(&self, state: &mut WorkingState, key: &[u8], value: Vec<u8>) {
        state.put(keys::storage(&self.account, &Namespace::DEFAULT, key), value);
    }

    /// An account of the EVM; what has nothing if there is none.
    pub(crate) fn account(&self, state: &WorkingState, of: &Address) -> Result<Account, HostFault> {
        let record = self.get(state, &abi::account_key(&of.0.0))?;
        Ok(match record {
            Some(bytes) if bytes.len() == 4 => Account {
                incarnation: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
                ..empty_account()
            },
            Some(bytes) => borsh::from_slice(&bytes)
                .map_err(|error| HostFault::Bug(format!("a record of the engine: {error}")))?,
            None => empty_account(),
        })
    }

    /// Code of an account.
    pub(crate) fn code(&self, state: &WorkingState, of: &Address) -> Result<Vec<u8>, HostFault> {
        let hash = self.account(state, of)?.code_hash;
        let Some(record) = self.get(state, &abi::code_key(&hash))? else { return Ok(Vec::new()) };
        let body = match abi::promoted(&record) {
            Some((_, Some(code))) => Some(code.to_vec()),
            Some((_, None)) => self.get(state, &abi::body_key(&hash))?,
            None => record.get(1..).map(<[u8]>::to_vec),
        };
        Ok(body.and_then(|body| abi::code::original(&body).map(<[u8]>::to_vec)).unwrap_or_default())
    }

    /// A slot.
    pub(crate) fn slot(
        &self,
        state: &WorkingState,
        of: &Address,
        slot: B256,
    ) -> Result<U256, HostFault> {
        let incarnation = self.account(state, of)?.incarnation;
        let found = self.get(state, &abi::slot_key(&of.0.0, incarnation, &slot.0))?;
        Ok(found.map(|bytes| U256::from_be_slice(&bytes)).unwrap_or_default())
    }

    // ---- overrides: written over a snapshot, or made patches of ----

    pub(crate) fn set_account(&self, state: &mut WorkingState, of: &Address, account: &Account) {
        if let Ok(bytes) = borsh::to_vec(account) {
            self.put(state, &abi::account_key(&of.0.0), bytes);
        }
    }

    /// The record of code, and its key.
    pub(crate) fn code_record(code: &[u8]) -> (B256, Vec<u8>, Vec<u8>) {
        let hash = keccak256(code);
        let mut padded = code.to_vec();
        padded.extend_from_slice(&[0; 33]);
        let mut jumps = vec![0_u8; code.len().div_ceil(8)];
        let mut at = 0;
        while let Some(opcode) = code.get(at) {
            match opcode {
                0x5b => jumps[at / 8] |= 1 << (at % 8),
                0x60..=0x7f => at += usize::from(opcode - 0x5f),
                _ => {}
            }
            at += 1;
        }
        let mut record = vec![abi::PLAIN];
        record.extend(abi::code::encode(code.len(), &padded, &jumps));
        (hash, abi::code_key(&hash.0).to_vec(), record)
    }

    pub(crate) fn set_code(
        &self,
        state: &mut WorkingState,
        of: &Address,
        code: &[u8],
    ) -> Result<(), HostFault> {
        let mut account = self.account(state, of)?;
        let (hash, key, record) = Self::code_record(code);
        account.code_hash = hash.0;
        if !code.is_empty() && self.get(state, &key)?.is_none() {
            self.put(state, &key, record);
        }
        self.set_account(state, of, &account);
        Ok(())
    }

    /// Key and bytes of a slot as the engine keeps them; no bytes for zero.
    pub(crate) fn slot_record(
        of: &Address,
        incarnation: u32,
        slot: B256,
        value: U256,
    ) -> (Vec<u8>, Option<Vec<u8>>) {
        let key = abi::slot_key(&of.0.0, incarnation, &slot.0).to_vec();
        (key, (!value.is_zero()).then(|| value.to_be_bytes_trimmed_vec()))
    }

    pub(crate) fn set_slot(
        &self,
        state: &mut WorkingState,
        of: &Address,
        slot: B256,
        value: U256,
    ) -> Result<(), HostFault> {
        let incarnation = self.account(state, of)?.incarnation;
        let (key, value) = Self::slot_record(of, incarnation, slot, value);
        match value {
            Some(value) => self.put(state, &key, value),
            None => state.delete(keys::storage(&self.account, &Namespace::DEFAULT, &key)),
        }
        Ok(())
    }

    /// Runs a call of which nothing is kept.
    pub(crate) fn view(
        &self,
        host: &Host,
        state: &WorkingState,
        call: &View,
    ) -> Result<TransactionResult, RpcError> {
        let args = borsh::to_vec(call).map_err(RpcError::internal)?;
        let gas = host.runtime().schedule().vm.limit_config.max_gas_burnt.as_gas();
        let ran = host.runtime().view_on(
            state,
            &self.account,
            &Namespace::DEFAULT,
            "evm_view",
            &args,
            gas,
        );
        let ran = ran.map_err(|error| match error {
            RuntimeError::Invalid(invalid) => RpcError::internal(invalid),
            RuntimeError::Fault(fault) => fault.into(),
        })?;
        if let Some(abort) = ran.abort {
            return Err(near_failure(&abort.message));
        }
        result(&ran.return_data.as_value().unwrap_or_default())
            .ok_or_else(|| RpcError::ethereum(-32603, "the engine's result cannot be read"))
    }

    /// The hash of a block, as the engine's BLOCKHASH has it.
    pub(crate) fn block_hash(&self, number: u64) -> B256 {
        let chain_id = U256::from(self.chain_id).to_be_bytes::<32>();
        let parts: [&[u8]; 4] = [&[0], &chain_id, self.account.as_bytes(), &number.to_be_bytes()];
        B256::new(CryptoHash::hash_bytes(&parts.concat()).0)
    }

    /// The address that the engine gives a NEAR account.
    pub(crate) fn address_of(account: &AccountId) -> Address {
        Address::from_slice(&keccak256(account.as_bytes())[12..])
    }
}

/// A result of the engine; of a long one its head.
pub(crate) fn result(bytes: &[u8]) -> Option<TransactionResult> {
    match *bytes.first()? {
        RESULT_VERSION => borsh::from_slice(bytes).ok(),
        LONG_RESULT_VERSION => borsh::from_slice::<LongResult>(bytes).ok().map(|long| long.head),
        _ => None,
    }
}

/// A call that NEAR ended, in Ethereum's form.
pub(crate) fn near_failure(message: &str) -> RpcError {
    if message.contains("ERR_NEAR_GAS") || message.contains("prepaid gas") {
        return RpcError::ethereum(-32000, "out of NEAR gas: 1000 Tgas attached");
    }
    RpcError::ethereum(-32000, format!("the engine failed: {message}"))
}

/// Bloom filter of logs (Yellow Paper 4.3.1).
pub(crate) fn bloom<'a>(logs: impl Iterator<Item = &'a Log>) -> Vec<u8> {
    let mut bloom = vec![0_u8; 256];
    let mut add = |bytes: &[u8]| {
        let hash = keccak256(bytes);
        for pair in 0..3 {
            let bit = (usize::from(hash[2 * pair]) << 8 | usize::from(hash[2 * pair + 1])) & 2_047;
            bloom[255 - bit / 8] |= 1 << (bit % 8);
        }
    };
    for log in logs {
        add(&log.address);
        log.topics.iter().for_each(|topic| add(topic));
    }
    bloom
}
