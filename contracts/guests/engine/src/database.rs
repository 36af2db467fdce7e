//! The world of the EVM in the account's storage: revm reads it through [`World`], and what a transaction changed
//! is written by [`commit`].

use crate::code;
use alloc::vec::Vec;
use borsh::BorshDeserialize;
use core::convert::Infallible;
use cotenant_guest::near;
use engine_abi::state::{self, Account as Record};
use evm_parent::LogMeter;
use revm::database_interface::Database;
use revm::primitives::{Address, AddressMap, B256, KECCAK_EMPTY, U256};
use revm::state::{Account, AccountId, AccountInfo, Bytecode};

/// The state before a transaction, as revm asks for it.
pub struct World {
    chain_id: u64,
    codes: code::Shared,
    logs: LogMeter,
}

impl World {
    /// The world of a chain; what is found of promoted code goes to `codes`, logs are counted by `logs`.
    pub fn new(chain_id: u64, codes: code::Shared, logs: LogMeter) -> Self {
        Self { chain_id, codes, logs }
    }

    /// What counts logs.
    pub fn logs(&self) -> LogMeter {
        self.logs.clone()
    }

    /// What is known of code.
    pub fn codes(&self) -> code::Shared {
        self.codes.clone()
    }
}

impl Database for World {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        let record = match found(address) {
            Found::Nothing => return Ok(None),
            // Empty, which to the EVM is as good as none (EIP-161), but with the incarnation of what comes next.
            Found::Forgotten(incarnation) => {
                Record { code_hash: KECCAK_EMPTY.0, incarnation, ..Record::default() }
            }
            Found::Account(record) => record,
        };
        Ok(Some(AccountInfo {
            balance: U256::from_be_bytes(record.balance),
            nonce: record.nonce,
            code_hash: record.code_hash.into(),
            account_id: AccountId::new(record.incarnation as usize),
            code: None,
        }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.codes.borrow_mut().load(hash))
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Infallible> {
        Ok(storage(address, 0, slot))
    }

    fn storage_by_account_id(
        &mut self,
        address: Address,
        account: AccountId,
        slot: U256,
    ) -> Result<U256, Infallible> {
        Ok(storage(address, incarnation(Some(account)), slot))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        Ok(block_hash(self.chain_id, number))
    }
}

/// What is stored of an address.
pub enum Found {
    /// Nothing.
    Nothing,
    /// No account, but there was one: the incarnation of the next.
    Forgotten(u32),
    /// An account.
    Account(Record),
}

/// What is stored of an address.
pub fn found(address: Address) -> Found {
    let Some(bytes) = near::storage_read(&state::account_key(&address.into_array())) else {
        return Found::Nothing;
    };
    if let Ok(incarnation) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Found::Forgotten(u32::from_le_bytes(incarnation));
    }
    match Record::try_from_slice(&bytes) {
        Ok(record) => Found::Account(record),
        Err(_) => cotenant_guest::panic("ERR_STATE: an account's record is none"),
    }
}

/// An account as it is stored.
pub fn account(address: Address) -> Option<Record> {
    match found(address) {
        Found::Account(record) => Some(record),
        Found::Nothing | Found::Forgotten(_) => None,
    }
}

/// Stores an account. Of one that is empty nothing stays but its incarnation.
pub fn set_account(address: Address, record: &Record) {
    let is_empty =
        record.nonce == 0 && record.balance == [0; 32] && record.code_hash == KECCAK_EMPTY.0;
    if is_empty {
        forget(address, record.incarnation);
    } else {
        near::storage_write(&state::account_key(&address.into_array()), &encode(record));
    }
}

/// Forgets an account, but not which storages were its own: what comes there again must not find them.
pub fn forget(address: Address, incarnation: u32) {
    let key = state::account_key(&address.into_array());
    if incarnation == 0 {
        near::storage_remove(&key);
    } else {
        near::storage_write(&key, &incarnation.to_le_bytes());
    }
}

/// The value of a slot.
pub fn storage(address: Address, incarnation: u32, slot: U256) -> U256 {
    let key = state::slot_key(&address.into_array(), incarnation, &slot.to_be_bytes());
    match near::storage_read(&key) {
        Some(value) => U256::try_from_be_slice(&value).unwrap_or_default(),
        None => U256::ZERO,
    }
}

/// The value of a slot of an account as it is now, in its bytes.
pub fn slot(address: Address, slot: [u8; 32]) -> [u8; 32] {
    match account(address) {
        Some(account) => {
            storage(address, account.incarnation, U256::from_be_bytes(slot)).to_be_bytes()
        }
        None => [0; 32],
    }
}

/// Sets the value of a slot.
pub fn set_storage(address: Address, incarnation: u32, slot: U256, value: U256) {
    let key = state::slot_key(&address.into_array(), incarnation, &slot.to_be_bytes());
    if value.is_zero() {
        near::storage_remove(&key);
    } else {
        near::storage_write(&key, &value.to_be_bytes_trimmed_vec());
    }
}

/// What BLOCKHASH answers: there are no blocks here, so it is the hash of what names one, as Aurora has it.
pub fn block_hash(chain_id: u64, number: u64) -> B256 {
    const PREFIX: u8 = 0;
    let mut name = Vec::from([PREFIX]);
    name.extend_from_slice(&U256::from(chain_id).to_be_bytes::<32>());
    name.extend_from_slice(&near::current_account_id());
    name.extend_from_slice(&number.to_be_bytes());
    near::sha256(&name).into()
}

/// Writes what a transaction changed.
pub fn commit(changes: &AddressMap<Account>) {
    for (address, account) in changes {
        if account.is_touched() {
            commit_account(*address, account);
        }
    }
}

fn commit_account(address: Address, account: &Account) {
    // The journal has each account as it was read: what has not changed is not written.
    let before = account.original_info();
    let is_new = account.is_loaded_as_not_existing();
    // EIP-161; and EIP-6780: what is destroyed was created by the same transaction and has stored nothing.
    if account.is_selfdestructed() || account.is_empty() {
        // What was forgotten before is forgotten already.
        if !is_new && !before.is_empty() {
            forget(address, self::incarnation(before.account_id));
        }
        return;
    }
    let incarnation = self::incarnation(account.info.account_id);
    for (slot, value) in account.changed_storage_slots() {
        set_storage(address, incarnation, *slot, value.present_value);
    }
    let info = &account.info;
    let same_code = !is_new && before.code_hash == info.code_hash;
    let same_storage = self::incarnation(before.account_id) == incarnation;
    if same_code && same_storage && (before.nonce, before.balance) == (info.nonce, info.balance) {
        return;
    }
    if let Some(bytecode) = info.code.as_ref().filter(|_| !same_code) {
        if info.code_hash != KECCAK_EMPTY {
            code::store(info.code_hash, bytecode);
        }
    }
    let record = Record {
        nonce: info.nonce,
        balance: info.balance.to_be_bytes(),
        code_hash: info.code_hash.0,
        incarnation,
    };
    set_account(address, &record);
}

/// revm's hint of an account is the incarnation of its storage here.
fn incarnation(account: Option<AccountId>) -> u32 {
    account.map_or(0, |account| account.get() as u32)
}

/// Borsh of a record.
pub fn encode(record: &impl borsh::BorshSerialize) -> Vec<u8> {
    match borsh::to_vec(record) {
        Ok(bytes) => bytes,
        Err(_) => cotenant_guest::panic("ERR_STATE: a record is too long"),
    }
}
