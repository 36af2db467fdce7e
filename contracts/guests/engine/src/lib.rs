//! An Ethereum chain inside an account: contracts of the EVM, interpreted by revm or, once promoted, run as native
//! private modules of the same account.
//!
//! Arguments and results are borsh, as `engine_abi` has them; words and addresses are written as Ethereum writes
//! them. A call that cannot be taken ends with a message that begins with a code, and changes nothing.
//!
//! | method | arguments | result | who | may fail with |
//! |---|---|---|---|---|
//! | `new` | `New` | | this account, once | `ERR_STARTED` |
//! | `evm_submit` | a signed transaction, as `eth_sendRawTransaction` takes it | `TransactionResult` | anybody | |
//! | `evm_call` | `Call` | `TransactionResult` | anybody | |
//! | `evm_deploy` | `Deploy` | `TransactionResult` | anybody | |
//! | `evm_view` | `View` | `TransactionResult` | anybody; a view | |
//! | `evm_view_part` | `View`, and `u32`, a number from 0 on | that part of a long result | anybody; a view | `ERR_ARGUMENTS` |
//! | `evm_profile` | `View` | `Profile`, how promoted contracts would run | anybody; a view | `ERR_INVALID` |
//! | `result_part` | a part of a long result | the same | this account | |
//! | `balance` | address | word, wei | a view | |
//! | `nonce` | address | `u64` | a view | |
//! | `code` | address | bytes | a view | |
//! | `storage_at` | `StorageAt` | word | a view | |
//! | `block_hash` | `u64`, number | word | a view | |
//! | `mint` | `Mint` | | the owner | `ERR_OVERFLOW` |
//! | `set_account` | `SetAccount` | | the owner | `ERR_ACCOUNT` |
//! | `promote` | `Promote` | | the owner | `ERR_NO_CODE`, `ERR_NOT_EXECUTED`, `ERR_PROMOTED`, `ERR_PENDING`, `ERR_MODULE` |
//! | `compile` | code hash | | the owner, or anybody if so configured, who pays for the storage | the same, `ERR_COMPILER`, `ERR_DEPOSIT` |
//! | `demote` | code hash | | the owner | `ERR_NOT_PROMOTED` |
//! | `promoted` | code hash | `Option<Promotion>` | a view | |
//! | `migrate` | `Migrate` | `Migrated` | the owner | |
//! | `on_promoted` | code hash | `bool` | this account | `ERR_NOT_PENDING` |
//!
//! Every one of these fails with `ERR_ARGUMENTS` for bytes that are none of its arguments, with `ERR_NOT_STARTED` before
//! `new`, with `ERR_STATE` if its records are not its own, with `ERR_NOT_ALLOWED` for somebody else, and with
//! `ERR_DEPOSIT` if NEAR is attached, which nobody but `compile` has a use for. Those that run transactions fail with
//! `ERR_NEAR_GAS` where the attached gas is not enough and with `ERR_MEMORY` where the memory of a contract is not; what
//! is wrong with a transaction is in its result, `Status::Invalid`.
//!
//! **Aurora's methods** have Aurora's names, bytes and panics (`engine_abi::aurora`): `submit`, `submit_with_args`,
//! `call`, `deploy_code`, `view`, `get_nonce`, `get_balance`, `get_code`, `get_storage_at`, `get_block_hash`, `get_chain_id`,
//! `get_owner`, `get_version`.
//!
//! **Senders.** `evm_call`, `evm_deploy`, `call` and `deploy_code` are transactions of the EVM address of the NEAR account that calls: the last 20 bytes of
//! the Keccak-256 of its name, as on Aurora. Their gas has no price; their nonce counts like any other.
//! **Blocks.** Number, time and prevrandao are those of the NEAR block; the base fee is 0, the coinbase is the EVM address
//! of the account that calls, the gas limit is 2^64 - 1. There are no headers: BLOCKHASH hashes the name of a block.
#![no_std]

extern crate alloc;

mod admin;
mod aurora;
mod code;
mod database;
mod execute;
#[cfg(not(feature = "wasm-in-wasm"))]
mod ledger;
mod limits;
mod migration;
#[cfg(not(feature = "wasm-in-wasm"))]
mod modules;
#[cfg(feature = "wasm-in-wasm")]
#[path = "interpreted_modules.rs"]
mod modules;
mod parts;
mod precompiles;
mod promotion;
mod rlp;
mod section;
mod transaction;

use alloc::format;
use alloc::vec::Vec;
use borsh::BorshDeserialize;
use cotenant_guest::{input, near, panic, value_return};
use engine_abi::state::{CONFIG_KEY, Config, STATE_VERSION};
use engine_abi::{
    Address as AddressBytes, Call, Deploy, LONG_RESULT_VERSION, LongResult, New, Profile, Promote,
    StorageAt, TransactionResult, View,
};
use execute::{Done, Refusal, Sender};
use revm::context::TxEnv;
use revm::primitives::{Address, TxKind, U256};

cotenant_guest::bare_module!(limits::Memory);

/// Starts the engine, once.
#[unsafe(no_mangle)]
pub extern "C" fn new() {
    let arguments: New = arguments();
    refuse_deposit();
    // Whoever starts an engine says whose it is.
    this_account("only this account starts its engine");
    if near::storage_has_key(CONFIG_KEY) {
        panic("ERR_STARTED: the engine was started before");
    }
    let config = Config {
        version: STATE_VERSION,
        chain_id: arguments.chain_id,
        fork: arguments.fork,
        permissionless_promote: arguments.permissionless_promote,
        owner: arguments.owner,
    };
    near::storage_write(CONFIG_KEY, &database::encode(&config));
}

/// A signed transaction.
#[unsafe(no_mangle)]
pub extern "C" fn evm_submit() {
    refuse_deposit();
    let config = config();
    let done = transaction::decode(&input());
    finish(done.and_then(|transaction| execute::execute(&config, transaction, Sender::Signed)));
}

/// A call by the EVM address of the NEAR account that calls.
#[unsafe(no_mangle)]
pub extern "C" fn evm_call() {
    refuse_deposit();
    let Call { to, value, input, gas_limit } = arguments();
    let transaction = own(TxKind::Call(Address::from(to)), value, input, gas_limit);
    finish(execute::execute(&config(), transaction, Sender::Account));
}

/// A creation by the EVM address of the NEAR account that calls.
#[unsafe(no_mangle)]
pub extern "C" fn evm_deploy() {
    refuse_deposit();
    let Deploy { initcode, value, gas_limit } = arguments();
    let transaction = own(TxKind::Create, value, initcode, gas_limit);
    finish(execute::execute(&config(), transaction, Sender::Account));
}

/// A call by anybody, of which nothing is kept.
#[unsafe(no_mangle)]
pub extern "C" fn evm_view() {
    let result = viewed(arguments());
    let bytes = database::encode(&result);
    return_long(&bytes, || database::encode(&shortened(result, &bytes)));
}

/// A part of what such a call comes to.
#[unsafe(no_mangle)]
pub extern "C" fn evm_view_part() {
    let (view, number): (View, u32) = arguments();
    let bytes = database::encode(&viewed(view));
    match parts::part(&bytes, number) {
        Some(part) => value_return(part),
        None => panic("ERR_ARGUMENTS: the result has no such part"),
    }
}

/// How the promoted contracts of such a call ran.
#[unsafe(no_mangle)]
pub extern "C" fn evm_profile() {
    match executed(arguments()) {
        Ok(Done { result, counts, promoted_gas: (compiled_gas, interpreted_gas) }) => {
            value_return(&database::encode(&Profile {
                gas_used: result.gas().tx_gas_used(),
                compiled_gas,
                interpreted_gas,
                compiled_frames: counts.compiled_frames,
                interpreted_frames: counts.interpreted_frames,
            }));
        }
        Err(refusal) => panic(&format!("ERR_INVALID: {}", refusal.reason)),
    }
}

fn executed(view: View) -> Result<Done, Refusal> {
    let View { from, to, value, input, gas_limit } = view;
    let kind = TxKind::Call(Address::from(to));
    let transaction = transaction_of(Address::from(from), kind, value, input, gas_limit);
    execute::execute(&config(), transaction, Sender::Anybody)
}

fn viewed(view: View) -> TransactionResult {
    let done = executed(view);
    if let Ok(done) = &done {
        execute::log(&execute::logs_of(&done.result));
    }
    execute::result_of(done)
}

/// A part of a long result: the value of the receipt that has it as its argument.
#[unsafe(no_mangle)]
pub extern "C" fn result_part() {
    this_account("this is for the parts of a long result");
    value_return(&input());
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
    value_return(&database::slot(Address::from(address), slot));
}

/// What BLOCKHASH answers for a block.
#[unsafe(no_mangle)]
pub extern "C" fn block_hash() {
    value_return(database::block_hash(config().chain_id, arguments()).as_slice());
}

/// Adds wei to an account.
#[unsafe(no_mangle)]
pub extern "C" fn mint() {
    refuse_deposit();
    let arguments = arguments();
    owner(&config());
    admin::mint(&arguments);
}

/// Sets an account.
#[unsafe(no_mangle)]
pub extern "C" fn set_account() {
    refuse_deposit();
    let arguments = arguments();
    owner(&config());
    admin::set_account(arguments);
}

/// Promotes a contract by a module from elsewhere.
#[unsafe(no_mangle)]
pub extern "C" fn promote() {
    refuse_deposit();
    let Promote { code_hash, wasm } = arguments();
    let config = config();
    owner(&config);
    promotion::promote(&config, code_hash.into(), &wasm);
}

/// Promotes a contract by the module that the compiler of this account makes of it.
#[unsafe(no_mangle)]
pub extern "C" fn compile() {
    let config = config();
    let is_owner = near::predecessor_account_id() == config.owner.as_bytes();
    if is_owner {
        refuse_deposit();
    } else if !config.permissionless_promote {
        owner(&config);
    }
    promotion::compile(&config, promotion::hash_of(&input()), is_owner);
}

/// Ends a promotion.
#[unsafe(no_mangle)]
pub extern "C" fn demote() {
    refuse_deposit();
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
    this_account("this is a callback");
    let finished = promotion::finish(promotion::hash_of(&input()));
    value_return(&[u8::from(finished)]);
}

/// Moves what an engine of version 1 left.
#[unsafe(no_mangle)]
pub extern "C" fn migrate() {
    refuse_deposit();
    let arguments = arguments();
    let config = config();
    owner(&config);
    value_return(&database::encode(&migration::migrate(config, &arguments)));
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

/// Returns what came of a transaction, in parts if it is long.
fn finish(done: Result<Done, Refusal>) {
    let result = execute::result_of(done);
    execute::log(&result.logs);
    let bytes = database::encode(&result);
    return_long(&bytes, || {
        parts::send(&bytes);
        database::encode(&shortened(result, &bytes))
    });
}

/// A result that is too long, without what makes it so.
fn shortened(result: TransactionResult, bytes: &[u8]) -> LongResult {
    let head = TransactionResult {
        version: LONG_RESULT_VERSION,
        output: Vec::new(),
        logs: Vec::new(),
        ..result
    };
    LongResult { head, parts: parts::describe(bytes) }
}

/// Returns bytes, or something in their place if they are too long for a call.
fn return_long(bytes: &[u8], instead: impl FnOnce() -> Vec<u8>) {
    if parts::is_long(bytes) { value_return(&instead()) } else { value_return(bytes) }
}

/// That no NEAR is attached: nothing here has a use for it. What a failed call was given comes back.
fn refuse_deposit() {
    if near::attached_deposit() != 0 {
        panic("ERR_DEPOSIT: attach no NEAR");
    }
}

/// That this account itself calls.
fn this_account(why: &str) {
    if near::predecessor_account_id() != near::current_account_id() {
        panic(&format!("ERR_NOT_ALLOWED: {why}"));
    }
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
    config_or("ERR_NOT_STARTED: call `new` first")
}

/// The configuration; a call ends with these words if there is none.
fn config_or(missing: &str) -> Config {
    let Some(bytes) = near::storage_read(CONFIG_KEY) else { panic(missing) };
    match Config::try_from_slice(&bytes) {
        Ok(config) => config,
        Err(_) => panic("ERR_STATE: the configuration is none"),
    }
}
