//! A transaction from its fields to its result.

use crate::code;
use crate::database::{self, World};
use crate::limits::{LIMITS, counted_log};
use crate::modules::{Mode, Modules};
use crate::precompiles::HostPrecompiles;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::convert::Infallible;
use core::mem::ManuallyDrop;
use cotenant_guest::near;
use engine_abi::state::Config;
use engine_abi::{Counts, Log, RESULT_VERSION, Status, TransactionResult};
use evm_parent::{EthContext, LogMeter, ParentEvm, spec_of_fork};
use evm_to_wasm::Fork;
use revm::bytecode::opcode::{EXTCODECOPY, LOG0, LOG1, LOG2, LOG3, LOG4};
use revm::context::result::{EVMError, ExecutionResult, HaltReason};
use revm::context::{BlockEnv, CfgEnv, Context, Journal, JournalTr, TxEnv};
use revm::handler::evm::FrameTr;
use revm::handler::instructions::InstructionProvider;
use revm::handler::{EthFrame, EvmTr, Handler};
use revm::interpreter::instructions::gas_table_spec;
use revm::interpreter::instructions::host::extcodecopy;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{
    GasTable, Instruction, InstructionContext, InstructionResult, InstructionTable,
    instruction_table,
};
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, AddressMap, B256, HashSet, U256};

type Evm = ParentEvm<World, HostPrecompiles, Modules, Instructions>;
type EvmFailure = EVMError<Infallible>;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Logs of NEAR's that a transaction writes at most, and their bytes together: NEAR's limits are 100 and 16 KiB a
/// call.
const LOGS_MAX: usize = 50;
const LOG_BYTES_MAX: usize = 8_192;

/// Room for what a transaction changes, before it has to move.
const JOURNAL_ENTRIES: usize = 64;

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

/// What came of a transaction.
pub struct Done {
    /// What revm says.
    pub result: ExecutionResult,
    /// How its frames ran.
    pub counts: Counts,
    /// EVM gas of promoted contracts that ran compiled, and that was interpreted.
    pub promoted_gas: (u64, u64),
}

/// Why something is no transaction.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// For a person.
    pub reason: String,
    /// In Aurora's words.
    pub code: String,
}

/// Runs a transaction and writes what it changes, unless it is a view.
///
/// # Errors
/// It is no transaction of this chain at this time; nothing has changed.
pub fn execute(config: &Config, transaction: TxEnv, sender: Sender) -> Result<Done, Refusal> {
    let mode = if sender == Sender::Anybody { Mode::View } else { Mode::Call };
    let (codes, logs) = (Rc::default(), LogMeter::new());
    let world = World::new(config.chain_id, Rc::clone(&codes), logs.clone());
    let spec = spec(config);
    // Fees are for the account that brought the transaction.
    let beneficiary = match sender {
        Sender::Signed => caller(),
        Sender::Account => transaction.caller,
        Sender::Anybody => Address::ZERO,
    };
    // Nothing of it is dropped: its memory goes with the call's, and modules that wait are closed by the host.
    let mut evm = ManuallyDrop::new(Evm::new(
        context(config, spec, world, transaction, sender, beneficiary),
        Instructions(config.fork),
        HostPrecompiles::new(config.fork),
        Modules::new(mode, codes),
        0,
        LIMITS,
        logs,
    ));
    let outcome = Mainnet.run(&mut evm);
    let tally = evm.take_tally();
    let faults = evm.source().take_faults();
    let promoted_gas = evm.source().promoted_gas();
    let counts = Counts {
        compiled_frames: tally.compiled_frames,
        interpreted_frames: tally.interpreted_frames,
        yields: tally.yields,
        faults,
    };
    match outcome {
        Ok(result) => {
            if mode == Mode::Call {
                database::commit(&ManuallyDrop::new(evm.finalize()));
            }
            Ok(Done { result, counts, promoted_gas })
        }
        Err(EVMError::Transaction(error)) => {
            Err(Refusal { reason: error.to_string(), code: crate::aurora::code_of(&error) })
        }
        Err(EVMError::Header(error)) => {
            Err(Refusal { reason: error.to_string(), code: error.to_string() })
        }
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
    transaction: TxEnv,
    sender: Sender,
    beneficiary: Address,
) -> EthContext<World> {
    let mut rules = CfgEnv::new_with_spec(spec);
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
    journal.inner.journal.reserve(JOURNAL_ENTRIES);
    Context {
        tx: transaction,
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

/// revm's instructions for frames that are interpreted, as tables that are made by the compiler.
struct Instructions(engine_abi::Fork);

/// revm's, but for the one that copies the bytes of code and those that write logs.
static INSTRUCTIONS: InstructionTable<EthInterpreter, EthContext<World>> = {
    let mut table = instruction_table();
    table[EXTCODECOPY as usize] = Instruction::new(ext_code_copy);
    table[LOG0 as usize] = counted_log::<0>();
    table[LOG1 as usize] = counted_log::<1>();
    table[LOG2 as usize] = counted_log::<2>();
    table[LOG3 as usize] = counted_log::<3>();
    table[LOG4 as usize] = counted_log::<4>();
    table
};

static GAS_OF_CANCUN: GasTable = gas_table_spec(SpecId::CANCUN);
static GAS_OF_PRAGUE: GasTable = gas_table_spec(SpecId::PRAGUE);
static GAS_OF_OSAKA: GasTable = gas_table_spec(SpecId::OSAKA);

impl InstructionProvider for Instructions {
    type Context = EthContext<World>;
    type InterpreterTypes = EthInterpreter;

    fn instruction_table(&self) -> &InstructionTable<EthInterpreter, EthContext<World>> {
        &INSTRUCTIONS
    }

    fn gas_table(&self) -> &GasTable {
        match self.0 {
            engine_abi::Fork::Cancun => &GAS_OF_CANCUN,
            engine_abi::Fork::Prague => &GAS_OF_PRAGUE,
            engine_abi::Fork::Osaka => &GAS_OF_OSAKA,
        }
    }
}

/// revm's mainnet, but for the account of a beneficiary who gets nothing: it is not even read.
struct Mainnet;

impl Handler for Mainnet {
    type Evm = Evm;
    type Error = EvmFailure;
    type HaltReason = HaltReason;

    /// revm's, with precompiles as entries of the access list, of no slots: they are as warm there, for less than a set of
    /// their own is.
    fn load_accounts(&self, evm: &mut Evm) -> Result<(), EvmFailure> {
        let (context, precompiles) = evm.ctx_precompiles();
        let mut warm = AddressMap::with_capacity_and_hasher(32, Default::default());
        for address in precompiles.addresses() {
            warm.insert(address, HashSet::default());
        }
        for item in context.tx.access_list.iter() {
            let slots = item.storage_keys.iter().map(|key| U256::from_be_bytes(key.0));
            warm.entry(item.address).or_default().extend(slots);
        }
        let beneficiary = context.block.beneficiary;
        context.journaled_state.warm_coinbase_account(beneficiary);
        context.journaled_state.warm_access_list(warm);
        Ok(())
    }

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
                *code = Some(host.journaled_state.database.codes().borrow_mut().body(hash));
            }
        }
    }
    let codes = host.journaled_state.database.codes();
    codes.borrow_mut().with_bytes = true;
    let result = extcodecopy(InstructionContext { interpreter, host });
    codes.borrow_mut().with_bytes = false;
    result
}

/// What came of a transaction in the engine's own form.
pub fn result_of(done: Result<Done, Refusal>) -> TransactionResult {
    let Done { result, counts, .. } = match done {
        Ok(done) => done,
        Err(refusal) => return invalid(refusal.reason),
    };
    let gas = *result.gas();
    let created = result.created_address().map(Address::into_array);
    let status = match &result {
        ExecutionResult::Success { .. } => Status::Success,
        ExecutionResult::Revert { .. } => Status::Revert,
        ExecutionResult::Halt { reason, .. } => Status::Halt(format!("{reason:?}")),
    };
    TransactionResult {
        version: RESULT_VERSION,
        status,
        logs: logs_of(&result),
        output: result.into_output().map(Vec::from).unwrap_or_default(),
        gas_used: gas.tx_gas_used(),
        refund: gas.final_refunded(),
        created,
        counts,
    }
}

/// The logs of a transaction; none unless it succeeded.
pub fn logs_of(result: &ExecutionResult) -> Vec<Log> {
    match result {
        ExecutionResult::Success { logs, .. } => logs.iter().map(own_log).collect(),
        _ => Vec::new(),
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
pub fn log(logs: &[Log]) {
    let mut room = LOG_BYTES_MAX;
    for (index, log) in logs.iter().enumerate() {
        // What is longer than the room is not even encoded.
        let bytes = if log.data.len() > room { Vec::new() } else { database::encode(log) };
        if index >= LOGS_MAX || bytes.is_empty() || bytes.len() > room {
            near::log(&format!("evm: {} more in the result", logs.len() - index));
            return;
        }
        room -= bytes.len();
        near::log_bytes(&base64(&bytes));
    }
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    static DIGITS: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |[first, second, third]: [u8; 3]| {
        let group = u32::from(first) << 16 | u32::from(second) << 8 | u32::from(third);
        let digit = |shift: u32| u32::from(DIGITS[(group >> shift & 63) as usize]);
        (digit(18) | digit(12) << 8 | digit(6) << 16 | digit(0) << 24).to_le_bytes()
    };
    const PREFIX: &[u8; 4] = b"evm:";
    let mut line = alloc::vec![b'='; PREFIX.len() + bytes.len().div_ceil(3) * 4];
    let (groups, _) = line.as_chunks_mut::<4>();
    let Some((prefix, groups)) = groups.split_first_mut() else { return line };
    *prefix = *PREFIX;
    let (chunks, rest) = bytes.as_chunks::<3>();
    for (group, chunk) in groups.iter_mut().zip(chunks) {
        *group = digits(*chunk);
    }
    let last = groups.last_mut();
    match (last, rest) {
        (Some(last), [first]) => last[..2].copy_from_slice(&digits([*first, 0, 0])[..2]),
        (Some(last), [first, second]) => {
            last[..3].copy_from_slice(&digits([*first, *second, 0])[..3]);
        }
        _ => {}
    }
    line
}
