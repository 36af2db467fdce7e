//! An Ethereum chain inside an account.
#![no_std]

extern crate alloc;

mod code;
mod database;
mod execute;
mod keccak;
mod modules;
mod precompiles;

use alloc::string::ToString;
use borsh::BorshDeserialize;
use cotenant_guest::{input, near, panic, value_return};
use engine_abi::state::{CONFIG_KEY, Config};
use engine_abi::{Call, New};
use revm::context::TxEnv;
use revm::primitives::{Address, TxKind, U256};

cotenant_guest::bare_module!();

/// Starts the engine, once.
#[unsafe(no_mangle)]
pub extern "C" fn new() {
    let arguments: New = arguments();
    if near::storage_has_key(CONFIG_KEY) {
        panic("ERR_STARTED: the engine was started before");
    }
    let config = Config {
        version: 1,
        chain_id: arguments.chain_id,
        fork: arguments.fork,
        permissionless_promote: arguments.permissionless_promote,
        owner: arguments.owner,
    };
    near::storage_write(CONFIG_KEY, &database::encode(&config));
}

/// A call by the EVM address of the NEAR account that calls.
#[unsafe(no_mangle)]
pub extern "C" fn call() {
    let arguments: Call = arguments();
    let config = config();
    let transaction = TxEnv {
        caller: execute::caller(),
        kind: TxKind::Call(Address::from(arguments.to)),
        value: U256::from_be_bytes(arguments.value),
        data: arguments.input.into(),
        gas_limit: arguments.gas_limit,
        chain_id: Some(config.chain_id),
        ..TxEnv::default()
    };
    let result = execute::execute(&config, transaction, execute::Sender::Account);
    value_return(&database::encode(&result));
}

fn arguments<T: BorshDeserialize>() -> T {
    match T::try_from_slice(&input()) {
        Ok(arguments) => arguments,
        Err(error) => panic(&error.to_string()),
    }
}

fn config() -> Config {
    let Some(bytes) = near::storage_read(CONFIG_KEY) else {
        panic("ERR_NOT_STARTED: call `new` first")
    };
    match Config::try_from_slice(&bytes) {
        Ok(config) => config,
        Err(_) => panic("ERR_STATE: the configuration is none"),
    }
}
