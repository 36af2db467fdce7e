//! Runs compiled modules under wasmi with a parent in memory, and the same bytecode under revm.
//!
//! The parent serves storage, transient storage, balances and code of accounts that do not exist; a program
//! that calls or creates is outside what it can run ([`Outcome::Unsupported`]).
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::{BTreeMap, BTreeSet};

use borsh::BorshDeserialize;
use evm_to_wasm::abi::{self, Answer, Effects, FrameInput, Halt, LogHead, Request, Word};
use evm_to_wasm::{Compiled, Fork, Options};
use revm::context::TxEnv;
use revm::context::result::{ExecutionResult, Output};
use revm::database::InMemoryDB;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, Bytes, TxKind, U256, keccak256};
use revm::state::{AccountInfo, Bytecode};
use revm::{Context, ExecuteEvm, MainBuilder, MainContext};
use wasmi::{Caller, Config, Engine, Extern, Linker, Module, Store};

const CALLER: [u8; 20] = [0x11; 20];
const CONTRACT: [u8; 20] = [0xcc; 20];
const CALLER_BALANCE: u128 = 1 << 100;
/// Page and time limits of a run: fuel of wasmi.
const FUEL: u64 = 1 << 62;

/// What a frame starts from.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub code: Vec<u8>,
    pub calldata: Vec<u8>,
    pub gas: u64,
    pub storage: BTreeMap<u64, u64>,
    pub fork: Fork,
}

/// How a frame ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success {
        gas_left: u64,
        refund: u64,
        output: Vec<u8>,
        storage: BTreeMap<Word, Word>,
        logs: Vec<(Vec<Word>, Vec<u8>)>,
    },
    Revert {
        gas_left: u64,
        output: Vec<u8>,
    },
    Halt,
    Unsupported,
    Trap(String),
}

/// A run, with what it took.
#[derive(Clone, Debug)]
pub struct Run {
    pub outcome: Outcome,
    pub yields: u32,
    pub fuel: u64,
}

fn intrinsic(case: &Case) -> u64 {
    21_000 + case.calldata.iter().map(|byte| if *byte == 0 { 4 } else { 16 }).sum::<u64>()
}

fn capped(refund: i64, case: &Case, gas_left: u64) -> u64 {
    let used = intrinsic(case) + case.gas - gas_left;
    u64::try_from(refund).unwrap_or(0).min(used / 5)
}

struct Parent {
    case: Case,
    input: Vec<u8>,
    storage: BTreeMap<Word, Word>,
    original: BTreeMap<Word, Word>,
    warm: BTreeSet<Word>,
    warm_accounts: BTreeSet<Word>,
    transient: BTreeMap<Word, Word>,
    logs: Vec<(Vec<Word>, Vec<u8>)>,
    pending: Option<Vec<u8>>,
    register: Vec<u8>,
    result: Option<Vec<u8>>,
    /// The state at the start, as long as the first of two equal frames runs, and then the result of that.
    start: Option<Box<State>>,
    first: Option<Vec<u8>>,
    yields: u32,
    fuel_left: u64,
    unsupported: bool,
    panic: Option<String>,
}

/// What a frame may change or warm.
#[derive(Clone)]
struct State {
    storage: BTreeMap<Word, Word>,
    warm: BTreeSet<Word>,
    warm_accounts: BTreeSet<Word>,
}

impl Parent {
    fn effects(&mut self, effects: Effects, tail: &mut &[u8]) {
        let word = |tail: &mut &[u8]| Word::deserialize(tail).expect("a word of a tail");
        for _ in 0..effects.logs {
            let head = LogHead::deserialize(tail).expect("a log");
            let topics = (0..head.topics).map(|_| word(tail)).collect();
            let (data, rest) = tail.split_at(head.data_bytes as usize);
            *tail = rest;
            self.logs.push((topics, abi::backwards(data)));
        }
        for _ in 0..effects.storage_writes {
            let (slot, value) = (word(tail), word(tail));
            self.storage.insert(slot, value);
        }
        for _ in 0..effects.transient_writes {
            let (slot, value) = (word(tail), word(tail));
            self.transient.insert(slot, value);
        }
    }

    /// A frame has ended, and its module offers to run another: the same one runs once more and has to end alike.
    fn next(&mut self, result: &[u8], fuel_left: u64) -> Result<Vec<u8>, wasmi::Error> {
        if let Some(start) = self.start.take() {
            let State { storage, warm, warm_accounts } = *start;
            (self.storage, self.warm, self.warm_accounts) = (storage, warm, warm_accounts);
            self.first = Some(result.to_vec());
            self.fuel_left = fuel_left;
            return Ok(self.input.clone());
        }
        if self.first.as_deref() != Some(result) {
            return Err(wasmi::Error::new("the second frame ends otherwise than the first"));
        }
        self.result = Some(result.to_vec());
        Err(wasmi::Error::new("closed"))
    }

    fn answer(&mut self, request: &[u8], fuel_left: u64) -> Result<Vec<u8>, wasmi::Error> {
        let message = request;
        let mut tail = request;
        let request = Request::deserialize(&mut tail).expect("a request");
        if matches!(request, Request::Done { .. } | Request::SelfDestruct { .. }) {
            return self.next(message, fuel_left);
        }
        self.yields += u32::from(self.start.is_some());
        let answer = match request {
            Request::SLoad { slot } => Answer::Slot {
                present: self.storage.get(&slot).copied().unwrap_or_default(),
                original: self.original.get(&slot).copied().unwrap_or_default(),
                cold: u32::from(self.warm.insert(slot)),
            },
            Request::TLoad { slot } => {
                Answer::Word(self.transient.get(&slot).copied().unwrap_or_default())
            }
            Request::Balance { address } => {
                let address = abi::address(abi::address_bytes(address));
                let balance = if address == abi::address(CALLER) {
                    [CALLER_BALANCE as u64, (CALLER_BALANCE >> 64) as u64, 0, 0]
                } else {
                    [0; 4]
                };
                let cold = u32::from(self.warm_accounts.insert(address));
                Answer::Balance { balance, cold }
            }
            Request::BlockHash { .. } => Answer::Word([0; 4]),
            Request::ExtCode { address, .. } => {
                let address = abi::address(abi::address_bytes(address));
                let cold = u32::from(self.warm_accounts.insert(address));
                if address == abi::address(CONTRACT) {
                    let hash = abi::word(keccak256(&self.case.code).0);
                    let code_bytes = self.case.code.len() as u32;
                    let mut bytes =
                        borsh::to_vec(&Answer::Code { hash, code_bytes, cold }).expect("encodes");
                    bytes.extend(abi::backwards(&self.case.code));
                    return Ok(bytes);
                }
                let hash = if address == abi::address(CALLER) {
                    abi::word(keccak256([]).0)
                } else {
                    [0; 4]
                };
                Answer::Code { hash, code_bytes: 0, cold }
            }
            Request::Call { .. } | Request::Create { .. } => {
                self.unsupported = true;
                return Err(wasmi::Error::new("unsupported"));
            }
            Request::Flush { effects } => {
                self.effects(effects, &mut tail);
                Answer::Word([0; 4])
            }
            Request::Done { .. } | Request::SelfDestruct { .. } => unreachable!("a result"),
        };
        Ok(borsh::to_vec(&answer).expect("encodes"))
    }

    fn outcome(mut self) -> Outcome {
        if self.unsupported {
            return Outcome::Unsupported;
        }
        let Some(result) = self.result.take() else {
            return Outcome::Trap(self.panic.unwrap_or("no result".into()));
        };
        let mut tail = result.as_slice();
        match Request::deserialize(&mut tail) {
            Ok(Request::Done { halt: Halt::Exceptional, .. }) => Outcome::Halt,
            Ok(Request::Done { halt, gas_left, refund, effects, output_bytes }) => {
                self.effects(effects, &mut tail);
                assert_eq!(tail.len(), output_bytes as usize, "the tail is as long as it says");
                let output = abi::backwards(tail);
                if halt == Halt::Revert {
                    assert_eq!(effects, Effects::default(), "a revert has no effects");
                    return Outcome::Revert { gas_left, output };
                }
                let refund = capped(refund, &self.case, gas_left);
                self.storage.retain(|_, value| *value != [0; 4]);
                Outcome::Success {
                    gas_left,
                    refund,
                    output,
                    storage: self.storage,
                    logs: self.logs,
                }
            }
            Ok(Request::SelfDestruct { .. }) => Outcome::Unsupported,
            other => Outcome::Trap(format!("a result that is none: {other:?}")),
        }
    }
}

fn words(storage: &BTreeMap<u64, u64>) -> BTreeMap<Word, Word> {
    storage.iter().map(|(slot, value)| ([*slot, 0, 0, 0], [*value, 0, 0, 0])).collect()
}

/// An engine for modules.
pub fn engine() -> Engine {
    let mut config = Config::default();
    config.wasm_wide_arithmetic(true).wasm_multi_value(true).consume_fuel(true);
    config.set_max_stack_height(1 << 20);
    Engine::new(&config)
}

/// Runs the module of a case.
pub fn run_compiled(engine: &Engine, compiled: &Compiled, case: &Case) -> Run {
    let module = load(engine, compiled);
    run_module(engine, &module, case)
}

/// Loads a compiled contract; a host's meter exports the memory, here it is done by hand.
pub fn load(engine: &Engine, compiled: &Compiled) -> Module {
    let mut out = wasm_encoder::Module::new();
    for payload in wasmparser::Parser::new(0).parse_all(&compiled.wasm) {
        let payload = payload.expect("a valid module");
        if let wasmparser::Payload::ExportSection(section) = payload {
            let mut exports = wasm_encoder::ExportSection::new();
            for export in section {
                let export = export.expect("a valid module");
                exports.export(export.name, wasm_encoder::ExportKind::Func, export.index);
            }
            exports.export("memory", wasm_encoder::ExportKind::Memory, 0);
            out.section(&exports);
        } else if let Some((id, range)) = payload.as_section() {
            out.section(&wasm_encoder::RawSection { id, data: &compiled.wasm[range] });
        }
    }
    Module::new(engine, out.finish()).expect("a valid module")
}

fn memory(caller: &mut Caller<'_, Parent>) -> wasmi::Memory {
    caller.get_export("memory").and_then(Extern::into_memory).expect("a memory")
}

/// Runs a module of a case.
pub fn run_module(engine: &Engine, module: &Module, case: &Case) -> Run {
    let input = FrameInput {
        version: abi::FRAME_ABI_VERSION,
        is_static: 0,
        gas: case.gas,
        value: [0; 4],
        block: abi::BlockEnvironment {
            number: [1, 0, 0, 0],
            timestamp: [1, 0, 0, 0],
            gas_limit: u64::MAX,
            chain_id: 1,
            blob_base_fee: [1, 0, 0, 0],
            ..Default::default()
        },
        transaction: abi::TransactionEnvironment {
            gas_price: [0; 4],
            origin: abi::address(CALLER),
        },
        address: abi::address(CONTRACT),
        caller: abi::address(CALLER),
        blob_hashes: 0,
        calldata_bytes: case.calldata.len() as u32,
        ..FrameInput::default()
    };
    let mut bytes = borsh::to_vec(&input).expect("encodes");
    bytes.extend([0; abi::CALLDATA_PADDING]);
    bytes.extend(abi::backwards(&case.calldata));
    let mut warm_accounts: BTreeSet<Word> =
        [abi::address(CALLER), abi::address(CONTRACT), [0; 4]].into();
    warm_accounts.extend((1..=10_u64).map(|low| [low, 0, 0, 0]));
    if case.fork >= Fork::Prague {
        warm_accounts.extend((11..=17_u64).map(|low| [low, 0, 0, 0]));
    }
    if case.fork >= Fork::Osaka {
        warm_accounts.insert([0x100, 0, 0, 0]);
    }
    let start = State {
        storage: words(&case.storage),
        warm: BTreeSet::new(),
        warm_accounts: warm_accounts.clone(),
    };
    let parent = Parent {
        case: case.clone(),
        input: bytes,
        storage: words(&case.storage),
        original: words(&case.storage),
        warm: BTreeSet::new(),
        warm_accounts,
        transient: BTreeMap::new(),
        logs: Vec::new(),
        pending: None,
        register: Vec::new(),
        result: None,
        start: Some(Box::new(start)),
        first: None,
        yields: 0,
        fuel_left: 0,
        unsupported: false,
        panic: None,
    };
    let mut store = Store::new(engine, parent);
    store.set_fuel(FUEL).expect("fuel is on");
    let mut linker: Linker<Parent> = Linker::new(engine);
    link(&mut linker);
    let instance = linker.instantiate_and_start(&mut store, module).expect("it links");
    let run = instance.get_typed_func::<(), ()>(&store, "run").expect("it has run");
    let ended = run.call(&mut store, ());
    let mut parent = store.into_data();
    let yields = parent.yields;
    let fuel = FUEL - parent.fuel_left;
    // What closes the module after its second frame is an error to wasmi.
    if let Some(error) = ended.as_ref().err().filter(|_| parent.result.is_none()) {
        parent.panic.get_or_insert(error.to_string());
        if !parent.unsupported {
            let trap = Outcome::Trap(parent.panic.unwrap_or_default());
            return Run { outcome: trap, yields, fuel };
        }
    }
    Run { outcome: parent.outcome(), yields, fuel }
}

fn link(linker: &mut Linker<Parent>) {
    let range = |pointer: u64, length: u64| pointer as usize..(pointer + length) as usize;
    let fine = "links once";
    linker
        .func_wrap("env", "input", |mut caller: Caller<'_, Parent>, _: u64| {
            caller.data_mut().register = caller.data().input.clone();
        })
        .expect(fine);
    linker
        .func_wrap("env", "register_len", |caller: Caller<'_, Parent>, _: u64| {
            caller.data().register.len() as u64
        })
        .expect(fine);
    linker
        .func_wrap("env", "read_register", |mut caller: Caller<'_, Parent>, _: u64, at: u64| {
            let memory = memory(&mut caller);
            let register = caller.data().register.clone();
            memory.write(&mut caller, at as usize, &register).map_err(wasmi::Error::new_memory)
        })
        .expect(fine);
    linker
        .func_wrap(
            "env",
            "callback_into",
            move |mut caller: Caller<'_, Parent>,
                  length: u64,
                  at: u64,
                  into: u64,
                  capacity: u64|
                  -> Result<u64, wasmi::Error> {
                let memory = memory(&mut caller);
                let request = memory.data(&caller)[range(at, length)].to_vec();
                let fuel_left = caller.get_fuel().unwrap_or(0);
                let answer = caller.data_mut().answer(&request, fuel_left)?;
                let size = answer.len() as u64;
                if size <= capacity {
                    memory.write(&mut caller, into as usize, &answer).expect("in bounds");
                } else {
                    caller.data_mut().pending = Some(answer);
                }
                Ok(size)
            },
        )
        .expect(fine);
    linker
        .func_wrap(
            "env",
            "pending_into",
            |mut caller: Caller<'_, Parent>, into: u64, capacity: u64| {
                let memory = memory(&mut caller);
                let answer = caller.data_mut().pending.take().expect("something is pending");
                assert!(answer.len() as u64 <= capacity, "room is made first");
                memory.write(&mut caller, into as usize, &answer).expect("in bounds");
                answer.len() as u64
            },
        )
        .expect(fine);
    linker
        .func_wrap(
            "env",
            "value_return",
            move |mut caller: Caller<'_, Parent>, length: u64, at: u64| {
                let memory = memory(&mut caller);
                let result = memory.data(&caller)[range(at, length)].to_vec();
                caller.data_mut().result = Some(result);
            },
        )
        .expect(fine);
    linker
        .func_wrap(
            "env",
            "panic_utf8",
            move |mut caller: Caller<'_, Parent>,
                  length: u64,
                  at: u64|
                  -> Result<(), wasmi::Error> {
                let memory = memory(&mut caller);
                let text = memory.data(&caller)[range(at, length)].to_vec();
                let text = String::from_utf8_lossy(&text).into_owned();
                caller.data_mut().panic = Some(text.clone());
                Err(wasmi::Error::new(text))
            },
        )
        .expect(fine);
    linker
        .func_wrap(
            "env",
            "keccak256",
            move |mut caller: Caller<'_, Parent>, length: u64, at: u64, _: u64| {
                let memory = memory(&mut caller);
                let hash = keccak256(&memory.data(&caller)[range(at, length)]);
                caller.data_mut().register = hash.to_vec();
            },
        )
        .expect(fine);
}

trait NewMemory {
    fn new_memory(error: wasmi::errors::MemoryError) -> wasmi::Error;
}

impl NewMemory for wasmi::Error {
    fn new_memory(error: wasmi::errors::MemoryError) -> wasmi::Error {
        wasmi::Error::new(error.to_string())
    }
}

/// Runs the bytecode of a case under revm.
pub fn run_revm(case: &Case) -> Outcome {
    let mut database = InMemoryDB::default();
    let contract = Address::from(CONTRACT);
    database.insert_account_info(
        contract,
        AccountInfo::default()
            .with_nonce(1)
            .with_code(Bytecode::new_legacy(Bytes::from(case.code.clone()))),
    );
    let caller = AccountInfo::from_balance(U256::from(CALLER_BALANCE));
    database.insert_account_info(Address::from(CALLER), caller);
    for (slot, value) in &case.storage {
        database
            .insert_account_storage(contract, U256::from(*slot), U256::from(*value))
            .expect("in memory");
    }
    let spec = match case.fork {
        Fork::Cancun => SpecId::CANCUN,
        Fork::Prague => SpecId::PRAGUE,
        Fork::Osaka => SpecId::OSAKA,
    };
    let mut evm = Context::mainnet()
        .with_db(database)
        .modify_cfg_chained(|cfg| {
            cfg.set_spec_and_mainnet_gas_params(spec);
            cfg.tx_gas_limit_cap = Some(u64::MAX);
        })
        .modify_block_chained(|block| {
            block.gas_limit = u64::MAX;
            block.basefee = 0;
            block.number = U256::from(1);
            block.timestamp = U256::from(1);
        })
        .build_mainnet();
    let transaction = TxEnv::builder()
        .caller(Address::from(CALLER))
        .kind(TxKind::Call(contract))
        .data(Bytes::from(case.calldata.clone()))
        .gas_limit(case.gas + intrinsic(case))
        .gas_price(0)
        .build()
        .expect("a transaction");
    let limit = case.gas + intrinsic(case);
    let done = evm.transact(transaction).expect("it runs");
    match done.result {
        ExecutionResult::Success { gas, output, logs, .. } => {
            let mut storage = words(&case.storage);
            if let Some(account) = done.state.get(&contract) {
                for (slot, value) in &account.storage {
                    storage.insert(*slot.as_limbs(), *value.present_value().as_limbs());
                }
            }
            storage.retain(|_, value| *value != [0; 4]);
            let logs = logs
                .iter()
                .map(|log| {
                    let topics = log.data.topics().iter().map(|topic| abi::word(topic.0)).collect();
                    (topics, log.data.data.to_vec())
                })
                .collect();
            let Output::Call(output) = output else { return Outcome::Unsupported };
            Outcome::Success {
                gas_left: limit - gas.total_gas_spent(),
                refund: gas.inner_refunded(),
                output: output.to_vec(),
                storage,
                logs,
            }
        }
        ExecutionResult::Revert { gas, output, .. } => {
            Outcome::Revert { gas_left: limit - gas.total_gas_spent(), output: output.to_vec() }
        }
        ExecutionResult::Halt { .. } => Outcome::Halt,
    }
}

/// Compiles and runs a case both ways; panics where they differ.
pub fn compare(engine: &Engine, case: &Case) -> Run {
    let options = Options { fork: case.fork, ..Options::default() };
    let run = run_compiled(engine, &evm_to_wasm::compile(&case.code, &options), case);
    let compact = run_compiled(engine, &evm_to_wasm::compile_compact(&case.code, &options), case);
    if run.outcome != Outcome::Unsupported {
        let expected = run_revm(case);
        // Where the other form halts already, this one may have to call first.
        let same = [&expected, &Outcome::Unsupported].contains(&&compact.outcome);
        if run.outcome != expected || !same {
            eprintln!("{}", evm_to_wasm::print_ir(&case.code, &options));
            panic!(
                "compiled {:?}\ncompact {:?}\nrevm {:?}\ncode {}\ncalldata {}\ngas {} fork {:?} storage {:?}",
                run.outcome,
                compact.outcome,
                expected,
                hex::encode(&case.code),
                hex::encode(&case.calldata),
                case.gas,
                case.fork,
                case.storage,
            );
        }
    }
    run
}
