//! A transaction from its fields to its result.

use crate::code;
use crate::database::{self, World};
use crate::modules::{Mode, Modules};
use crate::precompiles::HostPrecompiles;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::convert::Infallible;
use cotenant_guest::near;
use engine_abi::state::Config;
use engine_abi::{Counts, Log, RESULT_VERSION, Status, TransactionResult};
use evm_parent::{EthContext, ParentEvm, spec_of_fork};
use evm_to_wasm::Fork;
use revm::bytecode::opcode::EXTCODECOPY;
use revm::context::result::{EVMError, ExecutionResult, HaltReason};
use revm::context::{BlockEnv, CfgEnv, Context, ContextSetters, Journal, JournalTr, TxEnv};
use revm::handler::evm::FrameTr;
use revm::handler::{EthFrame, EvmTr, Handler};
use revm::interpreter::instructions::host::extcodecopy;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{Instruction, InstructionContext, InstructionResult};
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, B256, U256};

type Evm = ParentEvm<World, HostPrecompiles, Modules>;
type EvmFailure = EVMError<Infallible>;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Logs of NEAR's that a transaction writes at most, and their bytes together: NEAR's limits are 100 and 16 KiB a
/// call.
const LOGS_MAX: usize = 50;
const LOG_BYTES_MAX: usize = 8_192;

/// Whether the sender is known to be who it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// By a signature: nonce and price are what was signed.
    Signed,
    /// By the NEAR account that calls: the nonce is whatever the account has.
    Account,
    /// Not at all: a view.
    Anybody,
}

/// Runs a transaction and writes what it changes, unless it is a view.
pub fn execute(config: &Config, transaction: TxEnv, sender: Sender) -> TransactionResult {
    let mode = if sender == Sender::Anybody { Mode::View } else { Mode::Call };
    let codes = Rc::default();
    let world = World::new(config.chain_id, Rc::clone(&codes));
    let spec = spec(config);
    // Fees are for the account that brought the transaction.
    let beneficiary = match sender {
        Sender::Signed => caller(),
        Sender::Account => transaction.caller,
        Sender::Anybody => Address::ZERO,
    };
    let mut evm = Evm::new(
        context(config, spec, world, sender, beneficiary),
        HostPrecompiles::new(config.fork),
        Modules::new(mode, codes),
        1,
    );
    let gas = evm.instructions().gas_table()[usize::from(EXTCODECOPY)];
    evm.instructions().insert_instruction(EXTCODECOPY, Instruction::new(ext_code_copy), gas);
    evm.context().set_tx(transaction);
    let outcome = Mainnet.run(&mut evm);
    evm.end_transaction();
    let tally = evm.take_tally();
    let faults = evm.source().take_faults();
    let counts = Counts {
        compiled_frames: tally.compiled_frames,
        interpreted_frames: tally.interpreted_frames,
        yields: tally.yields,
        faults,
    };
    match outcome {
        Ok(result) => {
            if mode == Mode::Call {
                let changes = evm.finalize();
                evm.context().journaled_state.database.commit(changes);
            }
            done(result, counts)
        }
        Err(EVMError::Transaction(error)) => invalid(error.to_string()),
        Err(EVMError::Header(error)) => invalid(error.to_string()),
        Err(EVMError::Custom(error)) => cotenant_guest::panic(&error),
        Err(_) => cotenant_guest::panic("ERR_ENGINE: revm failed"),
    }
}

/// The result of a transaction that is none.
pub fn invalid(reason: String) -> TransactionResult {
    TransactionResult {
        version: RESULT_VERSION,
        status: Status::Invalid(reason),
        output: Vec::new(),
        gas_used: 0,
        refund: 0,
        logs: Vec::new(),
        created: None,
        counts: Counts::default(),
    }
}

fn spec(config: &Config) -> SpecId {
    spec_of_fork(match config.fork {
        engine_abi::Fork::Cancun => Fork::Cancun,
        engine_abi::Fork::Prague => Fork::Prague,
        engine_abi::Fork::Osaka => Fork::Osaka,
    })
}

fn context(
    config: &Config,
    spec: SpecId,
    world: World,
    sender: Sender,
    beneficiary: Address,
) -> EthContext<World> {
    let mut rules = CfgEnv::<SpecId>::default();
    rules.set_spec_and_mainnet_gas_params(spec);
    rules.chain_id = config.chain_id;
    rules.tx_gas_limit_cap = Some(u64::MAX);
    rules.disable_nonce_check = sender != Sender::Signed;
    rules.disable_eip3607 = sender == Sender::Anybody;
    let mut block = BlockEnv {
        number: U256::from(near::block_index()),
        timestamp: U256::from(near::block_timestamp() / SECOND),
        gas_limit: u64::MAX,
        basefee: 0,
        prevrandao: Some(B256::try_from(near::random_seed().as_slice()).unwrap_or_default()),
        beneficiary,
        ..BlockEnv::default()
    };
    block.set_blob_excess_gas_and_price(0, rules.blob_base_fee_update_fraction());
    let mut journal = Journal::new(world);
    journal.set_spec_id(spec);
    Context {
        tx: TxEnv::default(),
        block,
        cfg: rules,
        journaled_state: journal,
        chain: (),
        local: Default::default(),
        error: Ok(()),
    }
}

/// The EVM address of the NEAR account that calls.
pub fn caller() -> Address {
    address_of(&near::predecessor_account_id())
}

/// The EVM address of a NEAR account: the last 20 bytes of the Keccak-256 of its name, as on Aurora.
pub fn address_of(account: &[u8]) -> Address {
    Address::from_word(near::keccak256(account).into())
}

/// revm's mainnet, but for the account of a beneficiary who gets nothing: it is not even read.
struct Mainnet;

impl Handler for Mainnet {
    type Evm = Evm;
    type Error = EvmFailure;
    type HaltReason = HaltReason;

    fn reward_beneficiary(
        &self,
        evm: &mut Evm,
        result: &mut <EthFrame<EthInterpreter> as FrameTr>::FrameResult,
    ) -> Result<(), EvmFailure> {
        // The base fee is zero, so the price is the beneficiary's alone.
        if evm.context().tx.gas_price == 0 {
            return Ok(());
        }
        revm::handler::post_execution::reward_beneficiary(evm.ctx(), result.gas())
            .map_err(From::from)
    }
}

/// EXTCODECOPY of an interpreted frame: revm's, of the bytes and not of their placeholder.
fn ext_code_copy(
    context: InstructionContext<'_, EthContext<World>, EthInterpreter>,
) -> Result<(), InstructionResult> {
    let InstructionContext { interpreter, host } = context;
    // The address is on top of the stack.
    if let Ok(address) = interpreter.stack.peek(0) {
        let address = Address::from_word(address.into());
        if let Some(account) = host.journaled_state.inner.state.get_mut(&address) {
            let hash = account.info.code_hash;
            let code = &mut account.info.code;
            if code.as_ref().is_some_and(code::is_placeholder) {
                *code = Some(code::body(hash));
            }
        }
    }
    let codes = host.journaled_state.database.codes();
    codes.borrow_mut().with_bytes = true;
    let result = extcodecopy(InstructionContext { interpreter, host });
    codes.borrow_mut().with_bytes = false;
    result
}

fn done(result: ExecutionResult, counts: Counts) -> TransactionResult {
    let gas = *result.gas();
    let created = result.created_address().map(Address::into_array);
    let status = match &result {
        ExecutionResult::Success { .. } => Status::Success,
        ExecutionResult::Revert { .. } => Status::Revert,
        ExecutionResult::Halt { reason, .. } => Status::Halt(format!("{reason:?}")),
    };
    let logs = match &result {
        ExecutionResult::Success { logs, .. } => logs.iter().map(own_log).collect(),
        _ => Vec::new(),
    };
    TransactionResult {
        version: RESULT_VERSION,
        status,
        output: result.output().map(|output| output.to_vec()).unwrap_or_default(),
        gas_used: gas.tx_gas_used(),
        refund: gas.final_refunded(),
        logs,
        created,
        counts,
    }
}

fn own_log(log: &revm::primitives::Log) -> Log {
    Log {
        address: log.address.into_array(),
        topics: log.topics().iter().map(|topic| topic.0).collect(),
        data: log.data.data.to_vec(),
    }
}

/// Writes the logs of a transaction into NEAR's, as far as its limits go: `evm:` and the borsh of the log in base64,
/// because NEAR's price of a log is by the letter. The result has them all.
pub fn log(result: &TransactionResult) {
    let mut room = LOG_BYTES_MAX;
    for (index, log) in result.logs.iter().enumerate() {
        let bytes = database::encode(log);
        if index >= LOGS_MAX || bytes.len() > room {
            near::log(&format!("evm: {} more in the result", result.logs.len() - index));
            return;
        }
        room -= bytes.len();
        near::log_bytes(&base64(&bytes));
    }
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |word: u32, place: u32| DIGITS[(word >> (18 - 6 * place)) as usize & 63];
    let mut line = Vec::with_capacity(4 + bytes.len().div_ceil(3) * 4);
    line.extend_from_slice(b"evm:");
    let (chunks, rest) = bytes.as_chunks::<3>();
    for [first, second, third] in chunks {
        let word = u32::from_be_bytes([0, *first, *second, *third]);
        line.extend_from_slice(&[digit(word, 0), digit(word, 1), digit(word, 2), digit(word, 3)]);
    }
    match rest {
        [first] => {
            let word = u32::from_be_bytes([0, *first, 0, 0]);
            line.extend_from_slice(&[digit(word, 0), digit(word, 1), b'=', b'=']);
        }
        [first, second] => {
            let word = u32::from_be_bytes([0, *first, *second, 0]);
            line.extend_from_slice(&[digit(word, 0), digit(word, 1), digit(word, 2), b'=']);
        }
        _ => {}
    }
    line
}
