//! The methods that bear Aurora's names: they take its bytes, give its bytes and end in its words (`engine_abi::aurora`).

use crate::execute::{self, Done, Refusal, Sender};
use crate::{code, config_or, database, transaction};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use borsh::BorshDeserialize;
use cotenant_guest::{input, panic, value_return};
use engine_abi::aurora::{
    CallArgs, ERR_ARG_PARSE, ERR_BORSH_DESERIALIZE, ERR_INCORRECT_INPUT_LENGTH,
    ERR_STATE_NOT_FOUND, FunctionCallArgsV1, FunctionCallArgsV2, GetStorageAtArgs, ResultLog,
    SUBMIT_RESULT_VERSION, SubmitArgs, SubmitResult, TransactionStatus, ViewCallArgs,
};
use engine_abi::state::Config;
use revm::context::TxEnv;
use revm::context::result::{ExecutionResult, HaltReason, InvalidTransaction, Output};
use revm::primitives::{Address, TxKind, U256};

/// Gas of the transactions that are not signed: all there is, as on Aurora.
const GAS: u64 = u64::MAX;

/// What `get_version` answers: the release of Aurora's engine whose ABI this is.
const VERSION: &[u8] = b"3.10.1";

/// A signed transaction.
#[unsafe(no_mangle)]
pub extern "C" fn submit() {
    crate::refuse_deposit();
    submit_bytes(&config(), &input(), None);
}

/// The same, with the highest price of gas that the sender pays.
#[unsafe(no_mangle)]
pub extern "C" fn submit_with_args() {
    crate::refuse_deposit();
    let config = config();
    let SubmitArgs { tx_data, max_gas_price, .. } = arguments(ERR_ARG_PARSE);
    submit_bytes(&config, &tx_data, max_gas_price);
}

fn submit_bytes(config: &Config, bytes: &[u8], max_gas_price: Option<u128>) {
    let mut transaction = match transaction::decode(bytes) {
        Ok(transaction) => transaction,
        Err(refusal) => panic(&refusal.code),
    };
    if let Some(most) = max_gas_price {
        // The base fee is zero: what is paid is the tip, and at most the fee cap.
        let tip = transaction.gas_priority_fee.unwrap_or(transaction.gas_price);
        transaction.gas_priority_fee = transaction.gas_priority_fee.map(|_| tip.min(most));
        if transaction.gas_priority_fee.is_none() {
            transaction.gas_price = transaction.gas_price.min(most);
        }
    }
    finish(config, transaction, Sender::Signed);
}

/// A call by the EVM address of the NEAR account that calls.
#[unsafe(no_mangle)]
pub extern "C" fn call() {
    crate::refuse_deposit();
    let config = config();
    let Some(call) = CallArgs::deserialize(&input()) else { panic(ERR_BORSH_DESERIALIZE) };
    let (contract, value, input) = match call {
        CallArgs::V2(FunctionCallArgsV2 { contract, value, input }) => (contract, value, input),
        CallArgs::V1(FunctionCallArgsV1 { contract, input }) => (contract, [0; 32], input),
    };
    let transaction = crate::own(TxKind::Call(Address::from(contract)), value, input, GAS);
    finish(&config, transaction, Sender::Account);
}

/// A creation by the EVM address of the NEAR account that calls: the arguments are the init code.
#[unsafe(no_mangle)]
pub extern "C" fn deploy_code() {
    crate::refuse_deposit();
    let config = config();
    finish(&config, crate::own(TxKind::Create, [0; 32], input(), GAS), Sender::Account);
}

/// A call by anybody, of which nothing is kept.
#[unsafe(no_mangle)]
pub extern "C" fn view() {
    let ViewCallArgs { sender, address, amount, input } = arguments(ERR_ARG_PARSE);
    let kind = TxKind::Call(Address::from(address));
    let transaction = crate::transaction_of(Address::from(sender), kind, amount, input, GAS);
    let config = config();
    let done = execute::execute(&config, transaction, Sender::Anybody);
    let status = match done {
        Ok(Done { result, .. }) => status(result),
        Err(refusal) if is_lack_of_funds(&refusal) => TransactionStatus::OutOfFund,
        Err(refusal) => panic(&refusal.code),
    };
    crate::return_long(&database::encode(&status), || panic("ERR_RESULT_LENGTH: use evm_view"));
}

/// The nonce of an account, a word.
#[unsafe(no_mangle)]
pub extern "C" fn get_nonce() {
    let nonce = database::account(address()).map_or(0, |account| account.nonce);
    value_return(&U256::from(nonce).to_be_bytes::<32>());
}

/// The balance of an account, a word.
#[unsafe(no_mangle)]
pub extern "C" fn get_balance() {
    value_return(&database::account(address()).map(|account| account.balance).unwrap_or_default());
}

/// The code of an account, as it is.
#[unsafe(no_mangle)]
pub extern "C" fn get_code() {
    let account = database::account(address());
    let code = account.and_then(|account| code::original(account.code_hash.into()));
    value_return(&code.unwrap_or_default());
}

/// A slot of an account, a word.
#[unsafe(no_mangle)]
pub extern "C" fn get_storage_at() {
    let GetStorageAtArgs { address, key } = arguments(ERR_ARG_PARSE);
    value_return(&database::slot(Address::from(address), key));
}

/// What BLOCKHASH answers for a block.
#[unsafe(no_mangle)]
pub extern "C" fn get_block_hash() {
    let number: u64 = arguments(ERR_ARG_PARSE);
    value_return(database::block_hash(config().chain_id, number).as_slice());
}

/// The chain id, a word.
#[unsafe(no_mangle)]
pub extern "C" fn get_chain_id() {
    value_return(&U256::from(config().chain_id).to_be_bytes::<32>());
}

/// The owner's account id.
#[unsafe(no_mangle)]
pub extern "C" fn get_owner() {
    value_return(config().owner.as_bytes());
}

/// The version of Aurora's engine that this one speaks like.
#[unsafe(no_mangle)]
pub extern "C" fn get_version() {
    value_return(VERSION);
}

/// Runs a transaction and returns what came of it.
fn finish(config: &Config, transaction: TxEnv, sender: Sender) {
    let (caller, nonce, chain_id) = (transaction.caller, transaction.nonce, transaction.chain_id);
    let result = match execute::execute(config, transaction, sender) {
        Ok(Done { result, .. }) => {
            execute::log(&execute::logs_of(&result));
            submit_result(result)
        }
        Err(refusal) if sender == Sender::Account && is_lack_of_funds(&refusal) => SubmitResult {
            version: SUBMIT_RESULT_VERSION,
            status: TransactionStatus::OutOfFund,
            gas_used: 0,
            logs: Vec::new(),
        },
        Err(refusal) => {
            // In Aurora's order: the chain, the nonce, the rest.
            if chain_id.is_some_and(|chain_id| chain_id != config.chain_id) {
                panic("ERR_INVALID_CHAIN_ID");
            }
            let has = database::account(caller).map_or(0, |account| account.nonce);
            if sender == Sender::Signed && has != nonce {
                panic(&format!("ERR_INCORRECT_NONCE: ac: {has}, tx: {nonce}"));
            }
            panic(&refusal.code)
        }
    };
    let bytes = database::encode(&result);
    crate::return_long(&bytes, || {
        let SubmitResult { version, status, gas_used, .. } = result;
        let status = match status {
            TransactionStatus::Revert(_) => TransactionStatus::Revert(Vec::new()),
            _ => TransactionStatus::Succeed(Vec::new()),
        };
        crate::parts::send(&bytes);
        database::encode(&SubmitResult { version, status, gas_used, logs: Vec::new() })
    });
}

/// What came of a transaction in Aurora's form.
fn submit_result(result: ExecutionResult) -> SubmitResult {
    let gas_used = result.gas().tx_gas_used();
    let logs = execute::logs_of(&result).into_iter();
    let logs = logs
        .map(|log| ResultLog { address: log.address, topics: log.topics, data: log.data })
        .collect();
    SubmitResult { version: SUBMIT_RESULT_VERSION, status: status(result), gas_used, logs }
}

fn status(result: ExecutionResult) -> TransactionStatus {
    match result {
        ExecutionResult::Success { output: Output::Call(output), .. } => {
            TransactionStatus::Succeed(output.into())
        }
        ExecutionResult::Success { output: Output::Create(_, created), .. } => {
            TransactionStatus::Succeed(created.map(|created| created.to_vec()).unwrap_or_default())
        }
        ExecutionResult::Revert { output, .. } => TransactionStatus::Revert(output.into()),
        ExecutionResult::Halt { reason, .. } => halted(&reason),
    }
}

fn halted(reason: &HaltReason) -> TransactionStatus {
    match reason {
        HaltReason::OutOfGas(_) => TransactionStatus::OutOfGas,
        HaltReason::OutOfFunds => TransactionStatus::OutOfFund,
        HaltReason::OutOfOffset => TransactionStatus::OutOfOffset,
        HaltReason::CallTooDeep => TransactionStatus::CallTooDeep,
        HaltReason::StackUnderflow => TransactionStatus::StackUnderflow,
        HaltReason::StackOverflow => TransactionStatus::StackOverflow,
        HaltReason::InvalidJump => TransactionStatus::InvalidJump,
        HaltReason::InvalidFEOpcode => TransactionStatus::DesignatedInvalid,
        HaltReason::OpcodeNotFound => TransactionStatus::InvalidCode(0),
        HaltReason::CreateCollision => TransactionStatus::CreateCollision,
        HaltReason::CreateContractSizeLimit | HaltReason::CreateInitCodeSizeLimit => {
            TransactionStatus::CreateContractLimit
        }
        HaltReason::CreateContractStartingWithEF => TransactionStatus::CreateContractStartingWithEF,
        HaltReason::NonceOverflow => TransactionStatus::MaxNonce,
        other => TransactionStatus::Other(format!("{other:?}")),
    }
}

/// Aurora's words for what is wrong with a transaction.
pub fn code_of(error: &InvalidTransaction) -> String {
    match error {
        InvalidTransaction::NonceTooHigh { tx, state }
        | InvalidTransaction::NonceTooLow { tx, state } => {
            return format!("ERR_INCORRECT_NONCE: ac: {state}, tx: {tx}");
        }
        InvalidTransaction::InvalidChainId | InvalidTransaction::MissingChainId => {
            "ERR_INVALID_CHAIN_ID"
        }
        InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
        | InvalidTransaction::GasFloorMoreThanGasLimit { .. } => "ERR_INTRINSIC_GAS",
        InvalidTransaction::PriorityFeeGreaterThanMaxFee => "ERR_MAX_PRIORITY_FEE_GREATER",
        InvalidTransaction::LackOfFundForMaxFee { .. } => OUT_OF_FUND,
        InvalidTransaction::OverflowPaymentInTransaction => "ERR_GAS_ETH_AMOUNT_OVERFLOW",
        InvalidTransaction::RejectCallerWithCode => "ERR_REJECT_CALL_WITH_CODE",
        InvalidTransaction::NonceOverflowInTransaction => "MAX_NONCE",
        InvalidTransaction::CreateInitCodeSizeLimit => "CREATE_CONTRACT_LIMIT",
        other => return other.to_string(),
    }
    .to_string()
}

const OUT_OF_FUND: &str = "ERR_OUT_OF_FUND";

fn is_lack_of_funds(refusal: &Refusal) -> bool {
    refusal.code == OUT_OF_FUND
}

fn address() -> Address {
    match <[u8; 20]>::try_from(input().as_slice()) {
        Ok(address) => Address::from(address),
        Err(_) => panic(ERR_INCORRECT_INPUT_LENGTH),
    }
}

fn arguments<T: BorshDeserialize>(error: &str) -> T {
    match T::try_from_slice(&input()) {
        Ok(arguments) => arguments,
        Err(_) => panic(error),
    }
}

fn config() -> Config {
    config_or(ERR_STATE_NOT_FOUND)
}
