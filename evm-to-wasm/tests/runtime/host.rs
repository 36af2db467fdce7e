//! A module of runtime functions, each exported, and the host that it talks to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use evm_to_wasm::abi::{Answer, FRAME_ABI_VERSION, FrameInput, Request};
use evm_to_wasm::runtime::{
    self, Function, Global, Linked, Setup, Signature, declare_globals, layout,
};
use evm_to_wasm::{Keccak, abi};
use revm::primitives::U256;
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, EntityType, ExportKind, ExportSection,
    FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, Module,
    TypeSection, ValType,
};
use wasmi::{Caller, Engine, Instance, Linker, Memory, Store, Val};

/// Gas of frames that shall have enough.
pub const PLENTY: i64 = 1 << 40;

/// The code that CODECOPY reads.
pub fn code() -> Vec<u8> {
    (0..300_u32).map(|at| (at * 7 + 1) as u8).collect()
}

fn assemble(linked: &Linked, functions: &[Function]) -> Vec<u8> {
    let mut module = Module::new();
    let (mut types, mut kinds) = (TypeSection::new(), BTreeMap::new());
    let mut kind = |signature: Signature| {
        let next = kinds.len() as u32;
        *kinds.entry(signature).or_insert_with_key(|signature| {
            let (params, results) = (signature.params.clone(), signature.results.clone());
            types.ty().function(params, results);
            next
        })
    };
    let mut imports = ImportSection::new();
    for import in linked.imports() {
        imports.import("env", import.name(), EntityType::Function(kind(import.signature())));
    }
    let (mut declared, mut bodies) = (FunctionSection::new(), CodeSection::new());
    for (function, body) in linked.functions() {
        declared.function(kind(function.signature()));
        let signature = function.signature();
        bodies.function(&super::count::counted(body, &signature, Global::COUNT));
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: layout::INITIAL_PAGES,
        maximum: Some(layout::MAXIMUM_PAGES),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut globals = GlobalSection::new();
    declare_globals(&mut globals);
    let kind = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
    globals.global(kind, &ConstExpr::i64_const(0));
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("operators", ExportKind::Global, Global::COUNT);
    for global in Global::ALL {
        exports.export(&format!("{global:?}"), ExportKind::Global, global.index());
    }
    for &function in functions {
        exports.export(&format!("{function:?} "), ExportKind::Func, linked.index(function));
    }
    let mut data = DataSection::new();
    data.passive(abi::backwards(&code()));
    module.section(&types).section(&imports).section(&declared).section(&memories);
    module.section(&globals).section(&exports).section(&DataCountSection { count: 1 });
    module.section(&bodies).section(&data);
    module.finish()
}

/// A module with all functions.
pub fn module(keccak: Keccak) -> Vec<u8> {
    let setup = Setup { keccak, code_bytes: code().len() as u32 };
    let all = |function: &Function| {
        let host = matches!(function, Function::HostSponge);
        host == (keccak == Keccak::Host) || !host && !matches!(function, Function::Sponge)
    };
    let functions: BTreeSet<Function> = Function::ALL.iter().copied().filter(all).collect();
    let linked = runtime::link(&functions, &setup);
    assemble(&linked, &functions.into_iter().collect::<Vec<_>>())
}

fn engine() -> &'static (Engine, [wasmi::Module; 2]) {
    static ENGINE: OnceLock<(Engine, [wasmi::Module; 2])> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = wasmi::Config::default();
        config.wasm_wide_arithmetic(true);
        let engine = Engine::new(&config);
        let modules = [Keccak::Own, Keccak::Host].map(|keccak| {
            wasmi::Module::new(&engine, module(keccak)).expect("the runtime is valid")
        });
        (engine, modules)
    })
}

/// Who answers requests; the tail of the request comes with it.
pub type Parent = Box<dyn FnMut(Request, &[u8]) -> (Answer, Vec<u8>)>;

/// The host's side of a frame.
#[derive(Default)]
pub struct Host {
    input: Vec<u8>,
    registers: BTreeMap<u64, Vec<u8>>,
    pending: Vec<u8>,
    /// The input of the next frame, with which a result is answered.
    pub next: Option<Vec<u8>>,
    parent: Option<Parent>,
    /// What was asked, with the tails.
    pub requests: Vec<(Request, Vec<u8>)>,
    /// What was returned, as bytes.
    pub result: Option<Vec<u8>>,
    /// What the module said when it gave up.
    pub panic: Option<String>,
}

/// A frame that has been entered.
pub struct Frame {
    pub store: Store<Host>,
    instance: Instance,
    memory: Memory,
}

/// An EVM word as the module has it.
pub fn limbs(word: U256) -> [Val; 4] {
    word.into_limbs().map(|limb| Val::I64(limb as i64))
}

/// An input as it travels; its version and lengths are filled in.
pub fn input_bytes(input: FrameInput, blobs: &[U256], calldata: &[u8]) -> Vec<u8> {
    let head = FrameInput {
        version: FRAME_ABI_VERSION,
        blob_hashes: blobs.len() as u32,
        calldata_bytes: calldata.len() as u32,
        ..input
    };
    let mut bytes = borsh::to_vec(&head).expect("it fits");
    blobs.iter().for_each(|blob| bytes.extend(blob.as_le_slice()));
    bytes.extend([0; abi::CALLDATA_PADDING]);
    bytes.extend(abi::backwards(calldata));
    bytes
}

/// Splits a message.
pub fn message(bytes: &[u8]) -> (Request, Vec<u8>) {
    let mut rest = bytes;
    let request = borsh::BorshDeserialize::deserialize(&mut rest).expect("a request");
    (request, rest.to_vec())
}

fn slice(memory: &mut [u8], at: u64, length: u64) -> &mut [u8] {
    &mut memory[at as usize..][..length as usize]
}

fn link(linker: &mut Linker<Host>) -> Result<(), wasmi::Error> {
    fn parts<'c>(caller: &'c mut Caller<'_, Host>) -> (&'c mut [u8], &'c mut Host) {
        let memory = caller.get_export("memory").and_then(|export| export.into_memory());
        memory.expect("the memory").data_and_store_mut(caller)
    }
    fn deliver(memory: &mut [u8], host: &mut Host, bytes: Vec<u8>, into: u64, room: u64) -> u64 {
        let length = bytes.len() as u64;
        slice(memory, into, room);
        if length <= room {
            slice(memory, into, length).copy_from_slice(&bytes);
        } else {
            host.pending = bytes;
        }
        length
    }
    linker.func_wrap("env", "input", |mut caller: Caller<'_, Host>, register: u64| {
        let input = caller.data().input.clone();
        caller.data_mut().registers.insert(register, input);
    })?;
    linker.func_wrap("env", "register_len", |caller: Caller<'_, Host>, register: u64| {
        caller.data().registers[&register].len() as u64
    })?;
    linker.func_wrap(
        "env",
        "read_register",
        |mut caller: Caller<'_, Host>, register: u64, at: u64| {
            let (memory, host) = parts(&mut caller);
            let bytes = &host.registers[&register];
            slice(memory, at, bytes.len() as u64).copy_from_slice(bytes);
        },
    )?;
    linker.func_wrap(
        "env",
        "callback_into",
        |mut caller: Caller<'_, Host>, length: u64, at: u64, into: u64, room: u64| {
            let (memory, host) = parts(&mut caller);
            let (request, tail) = message(slice(memory, at, length));
            host.requests.push((request, tail.clone()));
            if let Some(next) = host.next.take() {
                return deliver(memory, host, next, into, room);
            }
            let parent = host.parent.as_mut().expect("somebody answers");
            let (answer, tail) = parent(request, &tail);
            let bytes = [borsh::to_vec(&answer).expect("it fits"), tail].concat();
            deliver(memory, host, bytes, into, room)
        },
    )?;
    linker.func_wrap(
        "env",
        "pending_into",
        |mut caller: Caller<'_, Host>, into: u64, room: u64| {
            let (memory, host) = parts(&mut caller);
            let bytes = std::mem::take(&mut host.pending);
            deliver(memory, host, bytes, into, room)
        },
    )?;
    linker.func_wrap(
        "env",
        "value_return",
        |mut caller: Caller<'_, Host>, length: u64, at: u64| {
            let (memory, host) = parts(&mut caller);
            host.result = Some(slice(memory, at, length).to_vec());
        },
    )?;
    linker.func_wrap(
        "env",
        "panic_utf8",
        |mut caller: Caller<'_, Host>, length: u64, at: u64| -> Result<(), wasmi::Error> {
            let (memory, host) = parts(&mut caller);
            host.panic = Some(String::from_utf8(slice(memory, at, length).to_vec()).expect("text"));
            Err(wasmi::Error::new("the module gave up"))
        },
    )?;
    linker.func_wrap(
        "env",
        "keccak256",
        |mut caller: Caller<'_, Host>, length: u64, at: u64, register: u64| {
            let (memory, host) = parts(&mut caller);
            let hash = revm::primitives::keccak256(slice(memory, at, length));
            host.registers.insert(register, hash.to_vec());
        },
    )?;
    Ok(())
}

impl Frame {
    /// An instance that has not been entered.
    pub fn instance(keccak: Keccak) -> Self {
        let (engine, modules) = engine();
        let mut store = Store::new(engine, Host::default());
        let mut linker = Linker::new(engine);
        link(&mut linker).expect("each name once");
        let module = &modules[usize::from(keccak == Keccak::Host)];
        let instance = linker.instantiate_and_start(&mut store, module).expect("it is linked");
        let memory = instance.get_memory(&store, "memory").expect("exported");
        Self { store, instance, memory }
    }

    /// A frame without gas to speak of and without anything else.
    pub fn new() -> Self {
        Self::with(FrameInput::default(), &[], &[])
    }

    /// A frame with an input; its version and lengths are filled in.
    pub fn with(input: FrameInput, blobs: &[U256], calldata: &[u8]) -> Self {
        Self::of(Keccak::Own, input, blobs, calldata)
    }

    /// As [`Self::with`], hashing in either way.
    pub fn of(keccak: Keccak, input: FrameInput, blobs: &[U256], calldata: &[u8]) -> Self {
        let mut frame = Self::instance(keccak);
        frame.store.data_mut().input = input_bytes(input, blobs, calldata);
        let results = frame.call(Function::Enter, &[]);
        assert_eq!(results[0].i64(), Some(input.gas as i64));
        frame
    }

    /// Replaces the input, before [`Function::Enter`].
    pub fn set_input(&mut self, bytes: Vec<u8>) {
        self.store.data_mut().input = bytes;
    }

    /// Who answers.
    pub fn serve(
        &mut self,
        parent: impl FnMut(Request, &[u8]) -> (Answer, Vec<u8>) + 'static,
    ) -> &mut Self {
        self.store.data_mut().parent = Some(Box::new(parent));
        self
    }

    /// Calls a function; an error is a trap or the module giving up.
    pub fn try_call(
        &mut self,
        function: Function,
        arguments: &[Val],
    ) -> Result<Vec<Val>, wasmi::Error> {
        let name = format!("{function:?} ");
        let called = self.instance.get_func(&self.store, &name).expect("exported");
        let results = called.ty(&self.store);
        let mut results: Vec<Val> =
            results.results().iter().map(|kind| Val::default_for_ty(*kind)).collect();
        called.call(&mut self.store, arguments, &mut results)?;
        Ok(results)
    }

    /// Calls a function that does not trap.
    pub fn call(&mut self, function: Function, arguments: &[Val]) -> Vec<Val> {
        let results = self.try_call(function, arguments);
        results.unwrap_or_else(|error| panic!("{function:?} {arguments:?}: {error}"))
    }

    /// Calls a function of words alone.
    pub fn words(&mut self, function: Function, words: &[U256]) -> U256 {
        let arguments: Vec<Val> = words.iter().copied().flat_map(limbs).collect();
        word(&self.call(function, &arguments))
    }

    /// Calls a function of gas and words that gives gas.
    pub fn gas(&mut self, function: Function, gas: i64, words: &[U256]) -> i64 {
        let arguments: Vec<Val> =
            [Val::I64(gas)].into_iter().chain(words.iter().copied().flat_map(limbs)).collect();
        last(&self.call(function, &arguments))
    }

    /// Calls a function of gas and words that gives a word and gas.
    pub fn word_and_gas(&mut self, function: Function, gas: i64, words: &[U256]) -> (U256, i64) {
        let arguments: Vec<Val> =
            [Val::I64(gas)].into_iter().chain(words.iter().copied().flat_map(limbs)).collect();
        let results = self.call(function, &arguments);
        (word(&results), last(&results))
    }

    /// Operators that a call executes, counted as in `count`.
    pub fn operators(&mut self, function: Function, arguments: &[Val]) -> i64 {
        let before = self.count();
        self.call(function, arguments);
        self.count() - before
    }

    fn count(&self) -> i64 {
        let global = self.instance.get_global(&self.store, "operators").expect("exported");
        global.get(&self.store).i64().expect("an i64")
    }

    /// A global of the runtime.
    pub fn global(&self, global: Global) -> i64 {
        let global = self.instance.get_global(&self.store, &format!("{global:?}"));
        match global.expect("exported").get(&self.store) {
            Val::I32(value) => i64::from(value as u32),
            Val::I64(value) => value,
            other => panic!("{other:?}"),
        }
    }

    /// EVM memory, in the EVM's order.
    pub fn evm_memory(&self) -> Vec<u8> {
        let top = self.global(Global::Top) as usize;
        let size = self.global(Global::MemorySize) as usize;
        abi::backwards(&self.memory.data(&self.store)[top - size..top])
    }

    /// Puts words at an address of linear memory.
    pub fn put_words(&mut self, at: usize, words: &[U256]) {
        let memory = self.memory.data_mut(&mut self.store);
        for (place, word) in words.iter().enumerate() {
            memory[at + 32 * place..][..32].copy_from_slice(word.as_le_slice());
        }
    }

    /// What the frame ended with.
    pub fn result(&self) -> (Request, Vec<u8>) {
        let [at, length] = [Global::LastAt, Global::LastLength].map(|place| self.global(place));
        assert!(length > 0, "the frame has ended");
        message(&self.memory.data(&self.store)[at as usize..(at + length) as usize])
    }

    /// Number of requests so far.
    pub fn yields(&self) -> usize {
        self.store.data().requests.len()
    }
}

/// The word that results begin with.
pub fn word(results: &[Val]) -> U256 {
    U256::from_limbs(core::array::from_fn(|limb| results[limb].i64().expect("a limb") as u64))
}

/// The gas that results end with.
pub fn last(results: &[Val]) -> i64 {
    results.last().and_then(Val::i64).expect("gas")
}
