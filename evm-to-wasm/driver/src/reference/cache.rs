//! What a reference module knows of the world: revm's `Host` out of what it was told.

use super::{BadAnswer, address_of};
use evm_parent::wire::{from_address, from_word};
use evm_to_wasm::abi::{Answer, FrameInput, backwards, word_bytes};
use revm::bytecode::opcode as op;
use revm::context_interface::cfg::GasParams;
use revm::context_interface::context::{SStoreResult, SelfDestructResult, StateLoad};
use revm::context_interface::host::LoadError;
use revm::context_interface::journaled_state::AccountInfoLoad;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{Host, Interpreter};
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, B256, BLOCK_HASH_HISTORY, Bytes, Log, U256};
use revm::state::{AccountInfo, Bytecode};
use std::collections::{HashMap, HashSet};

/// A fact to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Slot(U256),
    Transient(U256),
    Balance(Address),
    Code(Address),
    BlockHash(u64),
}

/// A slot of storage.
#[derive(Clone, Copy, Debug)]
struct Slot {
    present: Option<U256>,
    original: U256,
    cold: bool,
}

/// What a frame has been told, and what it has deferred.
pub(super) struct Cache {
    head: FrameInput,
    blob_hashes: Vec<U256>,
    gas_params: GasParams,
    slots: HashMap<U256, Slot>,
    transient: HashMap<U256, U256>,
    balances: HashMap<Address, AccountInfo>,
    codes: HashMap<Address, AccountInfo>,
    /// Whether the instruction that runs looks at code: revm's host is not told.
    looks_at_code: bool,
    /// Accounts whose first touch has still to be paid.
    cold: HashSet<Address>,
    block_hashes: HashMap<u64, B256>,
    logs: Vec<Log>,
    storage_writes: Vec<U256>,
    transient_writes: Vec<U256>,
}

type Writes = Vec<(U256, U256)>;

impl Cache {
    pub(super) fn new(head: &FrameInput, blob_hashes: Vec<U256>, spec: SpecId) -> Self {
        Self {
            head: *head,
            blob_hashes,
            gas_params: GasParams::new_spec(spec),
            slots: HashMap::new(),
            transient: HashMap::new(),
            balances: HashMap::new(),
            codes: HashMap::new(),
            looks_at_code: false,
            cold: HashSet::new(),
            block_hashes: HashMap::new(),
            logs: Vec::new(),
            storage_writes: Vec::new(),
            transient_writes: Vec::new(),
        }
    }

    pub(super) fn gas_params(&self) -> &GasParams {
        &self.gas_params
    }

    /// What has to be asked before an instruction can run.
    pub(super) fn wanted(
        &self,
        opcode: u8,
        interpreter: &Interpreter<EthInterpreter>,
    ) -> Option<Wanted> {
        let top = interpreter.stack.data().last().copied();
        match opcode {
            op::SLOAD | op::SSTORE => {
                let known = |slot: &U256| self.slots.get(slot).is_some_and(|s| s.present.is_some());
                top.filter(|slot| !known(slot)).map(Wanted::Slot)
            }
            op::TLOAD => {
                top.filter(|slot| !self.transient.contains_key(slot)).map(Wanted::Transient)
            }
            op::BALANCE => top
                .map(address_of)
                .filter(|address| !self.balances.contains_key(address))
                .map(Wanted::Balance),
            op::SELFBALANCE => Some(from_address(self.head.address))
                .filter(|address| !self.balances.contains_key(address))
                .map(Wanted::Balance),
            op::EXTCODESIZE | op::EXTCODEHASH | op::EXTCODECOPY => top
                .map(address_of)
                .filter(|address| !self.codes.contains_key(address))
                .map(Wanted::Code),
            op::BLOCKHASH => {
                let (number, now) = (u64::try_from(top?).ok()?, from_word(self.head.block.number));
                let now = u64::try_from(now).unwrap_or(u64::MAX);
                let within = number < now && now - number <= BLOCK_HASH_HISTORY;
                (within && !self.block_hashes.contains_key(&number))
                    .then_some(Wanted::BlockHash(number))
            }
            _ => None,
        }
    }

    /// Is told which instruction runs next.
    pub(super) fn expect(&mut self, opcode: u8) {
        self.looks_at_code = matches!(opcode, op::EXTCODESIZE | op::EXTCODEHASH | op::EXTCODECOPY);
    }

    /// Takes an answer.
    pub(super) fn learn(
        &mut self,
        wanted: Wanted,
        answer: &Answer,
        tail: &[u8],
    ) -> Result<(), BadAnswer> {
        match (wanted, answer) {
            (Wanted::Slot(slot), Answer::Slot { present, original, cold }) => {
                let (present, original) = (Some(from_word(*present)), from_word(*original));
                self.slots.insert(slot, Slot { present, original, cold: *cold != 0 });
            }
            (Wanted::Transient(slot), Answer::Word(word)) => {
                self.transient.insert(slot, from_word(*word));
            }
            (Wanted::Balance(address), Answer::Balance { balance, cold }) => {
                let info = AccountInfo { balance: from_word(*balance), ..AccountInfo::default() };
                self.balances.insert(address, info);
                self.touched(address, *cold);
            }
            (Wanted::Code(address), Answer::Code { hash, code_bytes, cold }) => {
                if tail.len() != *code_bytes as usize {
                    return Err(BadAnswer);
                }
                let code = Some(Bytecode::new_legacy(Bytes::from(backwards(tail))));
                let hash = B256::from(word_bytes(*hash));
                let none = AccountInfo { code: code.clone(), ..AccountInfo::default() };
                // A nonce makes it an account: only its hash and its code are looked at.
                let some = AccountInfo { code_hash: hash, nonce: 1, code, ..none.clone() };
                self.codes.insert(address, if hash.is_zero() { none } else { some });
                self.touched(address, *cold);
                return Ok(());
            }
            (Wanted::BlockHash(number), Answer::Word(word)) => {
                self.block_hashes.insert(number, B256::from(word_bytes(*word)));
            }
            _ => return Err(BadAnswer),
        }
        if tail.is_empty() { Ok(()) } else { Err(BadAnswer) }
    }

    fn touched(&mut self, address: Address, cold: u32) {
        if cold != 0 {
            self.cold.insert(address);
        }
    }

    /// What somebody else may have changed is not known any more.
    pub(super) fn forget(&mut self) {
        self.slots.values_mut().for_each(|slot| slot.present = None);
        self.transient.clear();
        self.balances.clear();
        self.codes.clear();
    }

    /// Takes what has been deferred: logs, storage writes, transient writes.
    pub(super) fn take_effects(&mut self) -> (Vec<Log>, Writes, Writes) {
        let present = |slot: U256| (slot, self.slots.get(&slot).and_then(|slot| slot.present));
        let storage = std::mem::take(&mut self.storage_writes).into_iter().map(present);
        let storage = storage.map(|(slot, value)| (slot, value.unwrap_or_default())).collect();
        let value = |slot: U256| (slot, self.transient.get(&slot).copied().unwrap_or_default());
        let transient = std::mem::take(&mut self.transient_writes).into_iter().map(value).collect();
        (std::mem::take(&mut self.logs), storage, transient)
    }
}

impl Host for Cache {
    fn basefee(&self) -> U256 {
        from_word(self.head.block.base_fee)
    }

    fn blob_gasprice(&self) -> U256 {
        from_word(self.head.block.blob_base_fee)
    }

    fn gas_limit(&self) -> U256 {
        U256::from(self.head.block.gas_limit)
    }

    fn difficulty(&self) -> U256 {
        from_word(self.head.block.prevrandao)
    }

    fn prevrandao(&self) -> Option<U256> {
        Some(from_word(self.head.block.prevrandao))
    }

    fn block_number(&self) -> U256 {
        from_word(self.head.block.number)
    }

    fn timestamp(&self) -> U256 {
        from_word(self.head.block.timestamp)
    }

    fn beneficiary(&self) -> Address {
        from_address(self.head.block.coinbase)
    }

    fn slot_num(&self) -> U256 {
        U256::ZERO
    }

    fn chain_id(&self) -> U256 {
        U256::from(self.head.block.chain_id)
    }

    fn effective_gas_price(&self) -> U256 {
        from_word(self.head.transaction.gas_price)
    }

    fn caller(&self) -> Address {
        from_address(self.head.transaction.origin)
    }

    fn blob_hash(&self, number: usize) -> Option<U256> {
        self.blob_hashes.get(number).copied()
    }

    fn max_initcode_size(&self) -> usize {
        usize::MAX
    }

    fn gas_params(&self) -> &GasParams {
        &self.gas_params
    }

    fn is_amsterdam_eip8037_enabled(&self) -> bool {
        false
    }

    fn block_hash(&mut self, number: u64) -> Option<B256> {
        self.block_hashes.get(&number).copied()
    }

    fn selfdestruct(
        &mut self,
        _: Address,
        _: Address,
        _: bool,
    ) -> Result<StateLoad<SelfDestructResult>, LoadError> {
        Err(LoadError::DBError)
    }

    fn log(&mut self, log: Log) {
        self.logs.push(log);
    }

    fn sstore_skip_cold_load(
        &mut self,
        _: Address,
        key: U256,
        value: U256,
        _: bool,
    ) -> Result<StateLoad<SStoreResult>, LoadError> {
        let slot = self.slots.get_mut(&key).ok_or(LoadError::DBError)?;
        let present = slot.present.replace(value).ok_or(LoadError::DBError)?;
        let result = SStoreResult {
            original_value: slot.original,
            present_value: present,
            new_value: value,
        };
        if !self.storage_writes.contains(&key) {
            self.storage_writes.push(key);
        }
        Ok(StateLoad::new(result, std::mem::take(&mut slot.cold)))
    }

    fn sload_skip_cold_load(
        &mut self,
        _: Address,
        key: U256,
        _: bool,
    ) -> Result<StateLoad<U256>, LoadError> {
        let slot = self.slots.get_mut(&key).ok_or(LoadError::DBError)?;
        let present = slot.present.ok_or(LoadError::DBError)?;
        Ok(StateLoad::new(present, std::mem::take(&mut slot.cold)))
    }

    fn tstore(&mut self, _: Address, key: U256, value: U256) {
        self.transient.insert(key, value);
        if !self.transient_writes.contains(&key) {
            self.transient_writes.push(key);
        }
    }

    fn tload(&mut self, _: Address, key: U256) -> U256 {
        self.transient.get(&key).copied().unwrap_or_default()
    }

    fn load_account_info_skip_cold_load(
        &mut self,
        address: Address,
        _: bool,
        _: bool,
    ) -> Result<AccountInfoLoad<'_>, LoadError> {
        let cold = self.cold.remove(&address);
        let known = if self.looks_at_code { &self.codes } else { &self.balances };
        let info = known.get(&address).ok_or(LoadError::DBError)?;
        Ok(AccountInfoLoad::new(info, cold, info.is_empty()))
    }
}
