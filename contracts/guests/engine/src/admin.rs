//! What the owner does to the world by hand.

use crate::code;
use crate::database::{self, Found};
use cotenant_guest::panic;
use engine_abi::state::Account as Record;
use engine_abi::{Mint, SetAccount};
use revm::primitives::{Address, Bytes, KECCAK_EMPTY, U256, keccak256};
use revm::state::Bytecode;

/// Adds wei to an account.
pub fn mint(arguments: &Mint) {
    let address = Address::from(arguments.address);
    let empty =
        |incarnation| Record { code_hash: KECCAK_EMPTY.0, incarnation, ..Record::default() };
    let mut record = match database::found(address) {
        Found::Account(record) => record,
        Found::Forgotten(incarnation) => empty(incarnation),
        Found::Nothing => empty(0),
    };
    let balance = U256::from_be_bytes(record.balance);
    let Some(balance) = balance.checked_add(U256::from_be_bytes(arguments.amount)) else {
        panic("ERR_OVERFLOW: the balance would not fit 256 bits")
    };
    record.balance = balance.to_be_bytes();
    database::set_account(address, &record);
}

/// Makes an account what it shall be, whatever it was.
pub fn set_account(arguments: SetAccount) {
    let SetAccount { address, code, storage, nonce, balance } = arguments;
    // An account that may become empty is forgotten, and must not leave slots behind.
    if code.is_empty() && nonce == 0 && !storage.is_empty() {
        panic("ERR_ACCOUNT: an account with storage has code or a nonce");
    }
    let address = Address::from(address);
    let incarnation = match database::found(address) {
        Found::Account(before) => before.incarnation + 1,
        Found::Forgotten(incarnation) => incarnation,
        Found::Nothing => 0,
    };
    let mut code_hash = KECCAK_EMPTY;
    if !code.is_empty() {
        code_hash = keccak256(&code);
        let code = Bytes::from(code);
        // What begins like a delegation (EIP-7702) and is none is code like any other.
        let bytecode =
            Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
        code::store(code_hash, &bytecode);
    }
    for (slot, value) in storage {
        let (slot, value) = (U256::from_be_bytes(slot), U256::from_be_bytes(value));
        database::set_storage(address, incarnation, slot, value);
    }
    let record = Record { nonce, balance, code_hash: code_hash.0, incarnation };
    database::set_account(address, &record);
}
