//! Compiled frames without native modules: wasmi interprets them inside this contract. The same modules, the same
//! messages; this is what NEAR has without sync calls, and is measured against them.
//!
//! The module of a contract is kept in the state, because a contract cannot read the code of its account.

use crate::code::Shared;
use crate::section::number;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use cotenant_guest::near;
use evm_parent::{Begun, CodeReader, FrameEnd, FrameFault, LiveModule, ModuleSource, Progress};
use revm::interpreter::Interpreter;
use revm::interpreter::interpreter::EthInterpreter;
use revm::primitives::B256;
use wasmi::{
    Caller, CompilationMode, Config, Engine, Error, Extern, Linker, Memory, Module as Compiled,
    Store, TypedResumableCall, TypedResumableCallHostTrap, Val,
};

/// The method that compiled contracts export.
const METHOD: &str = "run";

/// Key of a module's bytes, before the code hash.
const KEY: u8 = b'w';

/// Bytes before the first section of a module, the id of its exports, and one of them: memory 0 as `memory`.
const HEAD_BYTES: usize = 8;
const EXPORTS: u8 = 7;
const MEMORY_EXPORT: &[u8] = b"\x06memory\x02\x00";

/// The register that a module has its input and its hashes in.
const REGISTER: u64 = 0;

/// What the engine asks about a call; here it makes no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Gas is known.
    Call,
    /// It is not.
    View,
}

/// Opens the modules of promoted contracts.
pub struct Modules {
    codes: Shared,
    engine: Engine,
    linker: Linker<Frame>,
    compiled: BTreeMap<B256, Compiled>,
    /// Those that wait for another frame.
    waiting: Vec<Module>,
    faults: Vec<String>,
    /// EVM gas of promoted contracts that ran compiled, and that was interpreted.
    gas: (u64, u64),
}

/// What the host functions of a module share.
#[derive(Default)]
struct Frame {
    register: Vec<u8>,
    /// What it yields, and where the answer goes: pointer and capacity.
    outbox: Vec<u8>,
    into: (u64, u64),
    /// An answer that was too long.
    pending: Vec<u8>,
    result: Vec<u8>,
}

/// A module at work.
pub struct Module {
    store: Store<Frame>,
    memory: Memory,
    state: State,
    code_hash: B256,
}

enum State {
    Fresh(wasmi::TypedFunc<(), ()>),
    Suspended(TypedResumableCallHostTrap<()>),
    Ended,
}

/// What ends a host function that yields.
#[derive(Debug)]
struct Yield;

impl fmt::Display for Yield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("yielded")
    }
}

impl wasmi::errors::HostError for Yield {}

/// Keeps the bytes of a module.
pub fn keep(hash: B256, wasm: &[u8]) {
    let Some(wasm) = with_memory(wasm) else {
        cotenant_guest::panic("ERR_MODULE: it has no exports")
    };
    near::storage_write(&key(hash), &wasm);
}

/// A module that exports its memory: the host reaches it without, an embedder of wasmi does not.
fn with_memory(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut rest = wasm.get(HEAD_BYTES..)?;
    loop {
        let (&id, after) = rest.split_first()?;
        let (length, after) = number(after)?;
        if id != EXPORTS {
            rest = after.get(length..)?;
            continue;
        }
        let (section, after) = after.split_at_checked(length)?;
        let (count, entries) = number(section)?;
        let mut exports = Vec::with_capacity(section.len() + MEMORY_EXPORT.len() + 1);
        push_number(&mut exports, count + 1);
        exports.extend_from_slice(entries);
        exports.extend_from_slice(MEMORY_EXPORT);
        let mut module = wasm[..wasm.len() - rest.len()].to_vec();
        module.push(EXPORTS);
        push_number(&mut module, exports.len());
        module.extend_from_slice(&exports);
        module.extend_from_slice(after);
        return Some(module);
    }
}

/// A number as Wasm has lengths.
fn push_number(to: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn key(hash: B256) -> [u8; 33] {
    let mut key = [KEY; 33];
    key[1..].copy_from_slice(hash.as_slice());
    key
}

impl Modules {
    /// Modules of the code that `codes` finds.
    pub fn new(_: Mode, codes: Shared) -> Self {
        let mut config = Config::default();
        // Nothing is translated that does not run; the modules were validated when they were deployed.
        config.wasm_wide_arithmetic(true).compilation_mode(CompilationMode::Lazy);
        let engine = Engine::new(&config);
        let mut linker = Linker::new(&engine);
        if define(&mut linker).is_err() {
            cotenant_guest::panic("ERR_ENGINE: the functions of modules clash");
        }
        Self {
            codes,
            engine,
            linker,
            compiled: BTreeMap::new(),
            waiting: Vec::new(),
            faults: Vec::new(),
            gas: (0, 0),
        }
    }

    /// EVM gas of promoted contracts that ran compiled, and that was interpreted.
    pub fn promoted_gas(&self) -> (u64, u64) {
        self.gas
    }

    /// What modules did wrong.
    pub fn take_faults(&mut self) -> Vec<String> {
        core::mem::take(&mut self.faults)
    }

    fn open(&mut self, hash: B256) -> Result<Module, String> {
        let shown = |error: Error| error.to_string();
        if !self.compiled.contains_key(&hash) {
            let wasm = near::storage_read(&key(hash)).ok_or("its module is not kept")?;
            let compiled = Compiled::new(&self.engine, &wasm).map_err(shown)?;
            self.compiled.insert(hash, compiled);
        }
        let compiled = &self.compiled[&hash];
        let mut store = Store::new(&self.engine, Frame::default());
        let instance = self.linker.instantiate_and_start(&mut store, compiled).map_err(shown)?;
        let method = instance.get_typed_func(&store, METHOD).map_err(shown)?;
        let memory = instance.get_memory(&store, "memory").ok_or("it exports no memory")?;
        Ok(Module { store, memory, state: State::Fresh(method), code_hash: hash })
    }
}

impl ModuleSource for Modules {
    type Live = Module;

    fn begin(
        &mut self,
        frame: &mut Interpreter<EthInterpreter>,
        _: impl FnOnce(&Interpreter<EthInterpreter>) -> [u8; 4],
        note: &mut u32,
    ) -> Result<Begun<Module>, String> {
        let Some(hash) = frame.bytecode.hash() else { return Ok(Begun::Interpreter) };
        if self.codes.borrow().module(hash).is_none() {
            return Ok(Begun::Interpreter);
        }
        *note = 1;
        if let Some(place) = self.waiting.iter().position(|module| module.code_hash == hash) {
            return Ok(Begun::Module(self.waiting.swap_remove(place)));
        }
        self.open(hash).map(Begun::Module).map_err(|reason| format!("ERR_MODULE: {reason}"))
    }

    fn give_back(&mut self, module: Module, _: u64) {
        self.waiting.push(module);
    }

    fn ended(&mut self, frame: &FrameEnd) {
        let total = if frame.is_compiled { &mut self.gas.0 } else { &mut self.gas.1 };
        *total = total.saturating_add(if frame.note == 0 { 0 } else { frame.gas });
    }

    fn code_reader(&self) -> CodeReader {
        let codes = Rc::clone(&self.codes);
        Rc::new(move |hash, code| codes.borrow_mut().bytes(hash, code))
    }

    fn fault(&mut self, fault: &FrameFault) {
        self.faults.push(fault.to_string());
    }
}

impl LiveModule for Module {
    fn resume(&mut self, bytes: &[u8], said: &mut Vec<u8>) -> Result<Progress, String> {
        let bytes = bytes.to_vec();
        let call = match core::mem::replace(&mut self.state, State::Ended) {
            State::Fresh(method) => {
                self.store.data_mut().register = bytes;
                method.call_resumable(&mut self.store, ())
            }
            State::Suspended(call) => match self.deliver(bytes) {
                Ok(length) => call.resume(&mut self.store, &[Val::I64(length as i64)]),
                Err(error) => Err(error),
            },
            State::Ended => {
                return Err("ERR_ENGINE: a module was resumed after its end".to_string());
            }
        };
        let failed = |reason: String| Ok(Progress::Failed(FrameFault::Failed { reason }));
        match call {
            Ok(TypedResumableCall::Finished(())) => {
                *said = core::mem::take(&mut self.store.data_mut().result);
                Ok(Progress::Done)
            }
            Ok(TypedResumableCall::HostTrap(call)) => {
                if call.host_error().downcast_ref::<Yield>().is_none() {
                    return failed(call.host_error().to_string());
                }
                self.state = State::Suspended(call);
                *said = core::mem::take(&mut self.store.data_mut().outbox);
                Ok(Progress::Yielded)
            }
            Ok(TypedResumableCall::OutOfFuel(_)) => failed("out of fuel".to_string()),
            Err(error) => failed(error.to_string()),
        }
    }
}

impl Module {
    /// An answer into memory, if it fits where it should go; its length.
    fn deliver(&mut self, answer: Vec<u8>) -> Result<u64, Error> {
        let (memory, frame) = self.memory.data_and_store_mut(&mut self.store);
        let (into, capacity) = frame.into;
        let length = answer.len() as u64;
        if length <= capacity {
            target(memory, length, into)?.copy_from_slice(&answer);
        } else {
            frame.pending = answer;
        }
        Ok(length)
    }
}

/// The functions that compiled contracts import, with NEAR's signatures.
fn define(linker: &mut Linker<Frame>) -> Result<(), wasmi::errors::LinkerError> {
    linker
        .func_wrap("env", "input", |_: u64| {})?
        .func_wrap("env", "register_len", |caller: Caller<'_, Frame>, _: u64| -> u64 {
            caller.data().register.len() as u64
        })?
        .func_wrap("env", "read_register", |mut caller: Caller<'_, Frame>, id: u64, to: u64| {
            let memory = memory(&caller)?;
            let (memory, frame) = memory.data_and_store_mut(&mut caller);
            if id != REGISTER {
                return Err(Error::new("there is no such register"));
            }
            target(memory, frame.register.len() as u64, to)?.copy_from_slice(&frame.register);
            Ok(())
        })?
        .func_wrap(
            "env",
            "keccak256",
            |mut caller: Caller<'_, Frame>, len: u64, at: u64, _: u64| {
                let memory = memory(&caller)?;
                let (memory, frame) = memory.data_and_store_mut(&mut caller);
                frame.register = near::keccak256(target(memory, len, at)?).to_vec();
                Ok::<(), Error>(())
            },
        )?
        .func_wrap("env", "value_return", |mut caller: Caller<'_, Frame>, len: u64, at: u64| {
            caller.data_mut().result = copied(&caller, len, at)?;
            Ok::<(), Error>(())
        })?
        .func_wrap("env", "panic_utf8", |caller: Caller<'_, Frame>, len: u64, at: u64| {
            let message = copied(&caller, len, at)?;
            Err::<(), Error>(Error::new(String::from_utf8_lossy(&message)))
        })?
        .func_wrap("env", "callback_into", callback_into)?
        .func_wrap("env", "pending_into", pending_into)?;
    Ok(())
}

fn callback_into(
    mut caller: Caller<'_, Frame>,
    len: u64,
    at: u64,
    into: u64,
    capacity: u64,
) -> Result<u64, Error> {
    let outbox = copied(&caller, len, at)?;
    let frame = caller.data_mut();
    (frame.outbox, frame.into) = (outbox, (into, capacity));
    Err(Error::host(Yield))
}

fn pending_into(mut caller: Caller<'_, Frame>, into: u64, capacity: u64) -> Result<u64, Error> {
    let memory = memory(&caller)?;
    let (memory, frame) = memory.data_and_store_mut(&mut caller);
    let length = frame.pending.len() as u64;
    if length <= capacity {
        target(memory, length, into)?.copy_from_slice(&frame.pending);
        frame.pending = vec![];
    }
    Ok(length)
}

fn copied(caller: &Caller<'_, Frame>, length: u64, at: u64) -> Result<Vec<u8>, Error> {
    let memory = memory(caller)?.data(caller);
    let range = range(length, at).ok_or_else(outside)?;
    memory.get(range).map(<[u8]>::to_vec).ok_or_else(outside)
}

fn memory(caller: &Caller<'_, Frame>) -> Result<Memory, Error> {
    let memory = caller.get_export("memory").and_then(Extern::into_memory);
    memory.ok_or_else(|| Error::new("it exports no memory"))
}

fn target(memory: &mut [u8], length: u64, at: u64) -> Result<&mut [u8], Error> {
    range(length, at).and_then(|range| memory.get_mut(range)).ok_or_else(outside)
}

fn range(length: u64, at: u64) -> Option<Range<usize>> {
    let start = usize::try_from(at).ok()?;
    Some(start..start.checked_add(usize::try_from(length).ok()?)?)
}

fn outside() -> Error {
    Error::new("outside of the memory")
}
