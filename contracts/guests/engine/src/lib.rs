//! An Ethereum chain inside an account: contracts of the EVM, interpreted by revm or, once promoted, run as native
//! private modules of the same account.
//!
//! Arguments and results are borsh, as `engine_abi` has them; words and addresses are written as Ethereum writes
//! them. A call that cannot be taken ends with a message that begins with a code, and changes nothing.
//!
//! | method | arguments | result | who | may fail with |
//! |---|---|---|---|---|
//! | `new` | `New` | | anybody, once | `ERR_STARTED` |
//! | `submit` | a signed transaction, as `eth_sendRawTransaction` takes it | `TransactionResult` | anybody | |
//! | `call` | `Call` | `TransactionResult` | anybody | |
//! | `deploy` | `Deploy` | `TransactionResult` | anybody | |
//! | `view` | `View` | `TransactionResult` | anybody; a view | |
//! | `balance` | address | word, wei | a view | |
//! | `nonce` | address | `u64` | a view | |
//! | `code` | address | bytes | a view | |
//! | `storage_at` | `StorageAt` | word | a view | |
//! | `block_hash` | `u64`, number | word | a view | |
//! | `mint` | `Mint` | | the owner | `ERR_OVERFLOW` |
//! | `set_account` | `SetAccount` | | the owner | `ERR_ACCOUNT` |
//! | `promote` | `Promote` | | the owner | `ERR_NO_CODE`, `ERR_PROMOTED`, `ERR_PENDING`, `ERR_MODULE` |
//! | `compile` | code hash | | the owner, or anybody if so configured | the same, `ERR_COMPILER` |
//! | `demote` | code hash | | the owner | `ERR_NOT_PROMOTED` |
//! | `promoted` | code hash | `Option<Promotion>` | a view | |
//! | `on_promoted` | code hash | `bool` | this account | `ERR_NOT_PENDING` |
//!
//! Every method fails with `ERR_ARGUMENTS` for bytes that are none of its arguments, with `ERR_NOT_STARTED` before
//! `new`, with `ERR_STATE` if its records are not its own, and with `ERR_NOT_ALLOWED` for somebody else.
//! `submit`, `call`, `deploy` and `view` fail with `ERR_NEAR_GAS` where the attached gas is not enough; what is wrong
//! with a transaction is in its result, `Status::Invalid`.
//!
//! **Senders.** `call` and `deploy` are transactions of the EVM address of the NEAR account that calls: the last 20 bytes of
//! the Keccak-256 of its name, as on Aurora. Their gas has no price; their nonce counts like any other.
//! **Blocks.** Number, time and prevrandao are those of the NEAR block; the base fee is 0, the coinbase is the EVM address
//! of the account that calls, the gas limit is 2^64 - 1. There are no headers: BLOCKHASH hashes the name of a block.
#![no_std]

extern crate alloc;

mod admin;
mod code;
mod database;
mod execute;
#[cfg(not(feature = "wasm-in-wasm"))]
mod modules;
#[cfg(feature = "wasm-in-wasm")]
#[path = "interpreted_modules.rs"]
mod modules;
mod precompiles;
mod promotion;
mod rlp;
mod section;
mod transaction;

use alloc::format;
use alloc::vec::Vec;
use borsh::BorshDeserialize;
use cotenant_guest::{input, near, panic, value_return};
use engine_abi::state::{CONFIG_KEY, Config};
use engine_abi::{Address as AddressBytes, Call, Deploy, New, Promote, StorageAt, View};
use execute::Sender;
use revm::context::TxEnv;
use revm::primitives::{Address, TxKind, U256};

cotenant_guest::bare_module!(cotenant_guest::pool::Pool);

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

/// A signed transaction.
#[unsafe(no_mangle)]
pub extern "C" fn submit() {
    let config = config();
    finish(&match transaction::decode(&input()) {
        Ok(transaction) => execute::execute(&config, transaction, Sender::Signed),
        Err(reason) => execute::invalid(reason),
    });
}

/// A call by the EVM address of the NEAR account that calls.
#[unsafe(no_mangle)]
pub extern "C" fn call() {
    let Call { to, value, input, gas_limit } = arguments();
    let transaction = own(TxKind::Call(Address::from(to)), value, input, gas_limit);
    finish(&execute::execute(&config(), transaction, Sender::Account));
}

/// A creation by the EVM address of the NEAR account that calls.
#[unsafe(no_mangle)]
pub extern "C" fn deploy() {
    let Deploy { initcode, value, gas_limit } = arguments();
    let transaction = own(TxKind::Create, value, initcode, gas_limit);
    finish(&execute::execute(&config(), transaction, Sender::Account));
}

/// A call by anybody, of which nothing is kept.
#[unsafe(no_mangle)]
pub extern "C" fn view() {
    let View { from, to, value, input, gas_limit } = arguments();
    let kind = TxKind::Call(Address::from(to));
    let transaction = transaction_of(Address::from(from), kind, value, input, gas_limit);
    finish(&execute::execute(&config(), transaction, Sender::Anybody));
}

/// The balance of an account.
#[unsafe(no_mangle)]
pub extern "C" fn balance() {
    let account = database::account(address());
    value_return(&account.map(|account| account.balance).unwrap_or_default());
}

/// The nonce of an account.
#[unsafe(no_mangle)]
pub extern "C" fn nonce() {
    let account = database::account(address());
    value_return(&account.map_or(0, |account| account.nonce).to_le_bytes());
}

/// The code of an account.
#[unsafe(no_mangle)]
pub extern "C" fn code() {
    let account = database::account(address());
    let code = account.and_then(|account| code::original(account.code_hash.into()));
    value_return(&database::encode(&code.unwrap_or_default()));
}

/// A slot of an account.
#[unsafe(no_mangle)]
pub extern "C" fn storage_at() {
    let StorageAt { address, slot } = arguments();
    let address = Address::from(address);
    let incarnation = database::account(address).map_or(0, |account| account.incarnation);
    let value = database::storage(address, incarnation, U256::from_be_bytes(slot));
    value_return(&value.to_be_bytes::<32>());
}

/// What BLOCKHASH answers for a block.
#[unsafe(no_mangle)]
pub extern "C" fn block_hash() {
    value_return(database::block_hash(config().chain_id, arguments()).as_slice());
}

/// Adds wei to an account.
#[unsafe(no_mangle)]
pub extern "C" fn mint() {
    let arguments = arguments();
    owner(&config());
    admin::mint(&arguments);
}

/// Sets an account.
#[unsafe(no_mangle)]
pub extern "C" fn set_account() {
    let arguments = arguments();
    owner(&config());
    admin::set_account(arguments);
}

/// Promotes a contract by a module from elsewhere.
#[unsafe(no_mangle)]
pub extern "C" fn promote() {
    let Promote { code_hash, wasm } = arguments();
    let config = config();
    owner(&config);
    promotion::begin(&config, code_hash.into(), &wasm, false);
}

/// Promotes a contract by the module that the compiler of this account makes of it.
#[unsafe(no_mangle)]
pub extern "C" fn compile() {
    let config = config();
    if !config.permissionless_promote {
        owner(&config);
    }
    promotion::compile(&config, promotion::hash_of(&input()));
}

/// Ends a promotion.
#[unsafe(no_mangle)]
pub extern "C" fn demote() {
    owner(&config());
    promotion::demote(promotion::hash_of(&input()));
}

/// The module of a contract.
#[unsafe(no_mangle)]
pub extern "C" fn promoted() {
    value_return(&database::encode(&promotion::promoted(promotion::hash_of(&input()))));
}

/// The callback of a promotion's deployment.
#[unsafe(no_mangle)]
pub extern "C" fn on_promoted() {
    if near::predecessor_account_id() != near::current_account_id() {
        panic("ERR_NOT_ALLOWED: this is a callback");
    }
    let finished = promotion::finish(promotion::hash_of(&input()));
    value_return(&[u8::from(finished)]);
}

/// A transaction of the account that calls.
fn own(kind: TxKind, value: [u8; 32], data: Vec<u8>, gas_limit: u64) -> TxEnv {
    transaction_of(execute::caller(), kind, value, data, gas_limit)
}

fn transaction_of(
    caller: Address,
    kind: TxKind,
    value: [u8; 32],
    data: Vec<u8>,
    gas_limit: u64,
) -> TxEnv {
    TxEnv {
        caller,
        kind,
        value: U256::from_be_bytes(value),
        data: data.into(),
        gas_limit,
        chain_id: None,
        ..TxEnv::default()
    }
}

fn finish(result: &engine_abi::TransactionResult) {
    execute::log(result);
    value_return(&database::encode(result));
}

/// That the owner calls.
fn owner(config: &Config) {
    if near::predecessor_account_id() != config.owner.as_bytes() {
        panic(&format!("ERR_NOT_ALLOWED: only {} may", config.owner));
    }
}

fn address() -> Address {
    Address::from(arguments::<AddressBytes>())
}

fn arguments<T: BorshDeserialize>() -> T {
    match T::try_from_slice(&input()) {
        Ok(arguments) => arguments,
        Err(error) => panic(&format!("ERR_ARGUMENTS: {error}")),
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
