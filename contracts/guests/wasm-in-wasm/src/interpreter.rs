//! One method of one module, interpreted. The module sees the core functions of a private module and nothing
//! else; all it leaves is its result or a message.

use std::collections::BTreeMap;

use wasmi::{Caller, Engine, Error, Extern, Linker, Memory, Module, Store};

/// What the host functions share: the input, the registers, what the module returned.
#[derive(Default)]
struct Frame {
    input: Vec<u8>,
    registers: BTreeMap<u64, Vec<u8>>,
    result: Vec<u8>,
}

/// Runs `method` of `module` with `input` and gives what it returned, or why it did not.
pub fn run(module: &[u8], method: &str, input: &[u8]) -> Result<Vec<u8>, String> {
    let engine = Engine::default();
    let module = Module::new(&engine, module).map_err(|error| error.to_string())?;
    let mut store = Store::new(&engine, Frame { input: input.to_vec(), ..Frame::default() });
    let mut linker = Linker::new(&engine);
    define(&mut linker).map_err(|error| error.to_string())?;
    let instance =
        linker.instantiate_and_start(&mut store, &module).map_err(|error| error.to_string())?;
    let method =
        instance.get_typed_func::<(), ()>(&store, method).map_err(|error| error.to_string())?;
    method.call(&mut store, ()).map_err(|error| error.to_string())?;
    Ok(store.into_data().result)
}

/// The core functions, with NEAR's signatures.
fn define(linker: &mut Linker<Frame>) -> Result<(), wasmi::errors::LinkerError> {
    linker
        .func_wrap("env", "input", |mut caller: Caller<'_, Frame>, register: u64| {
            let frame = caller.data_mut();
            let input = frame.input.clone();
            frame.registers.insert(register, input);
        })?
        .func_wrap("env", "register_len", |caller: Caller<'_, Frame>, register: u64| -> u64 {
            caller.data().registers.get(&register).map_or(u64::MAX, |bytes| bytes.len() as u64)
        })?
        .func_wrap("env", "read_register", read_register)?
        .func_wrap(
            "env",
            "value_return",
            |mut caller: Caller<'_, Frame>, length: u64, pointer: u64| {
                let value = bytes(&caller, length, pointer)?;
                caller.data_mut().result = value;
                Ok::<(), Error>(())
            },
        )?
        .func_wrap(
            "env",
            "panic_utf8",
            |caller: Caller<'_, Frame>, length: u64, pointer: u64| -> Result<(), Error> {
                Err(Error::new(String::from_utf8_lossy(&bytes(&caller, length, pointer)?)))
            },
        )?
        .func_wrap("env", "abort", |_: u32, _: u32, line: u32, column: u32| -> Result<(), Error> {
            Err(Error::new(format!("aborted at {line}:{column}")))
        })?
        .func_wrap(
            "env",
            "callback",
            |mut caller: Caller<'_, Frame>, _: u64, _: u64, register: u64| {
                caller.data_mut().registers.insert(register, Vec::new());
            },
        )?
        .func_wrap("env", "callback_into", |_: u64, _: u64, _: u64, _: u64| -> u64 { 0 })?
        .func_wrap("env", "pending_into", |_: u64, _: u64| -> u64 { 0 })?;
    Ok(())
}

fn read_register(mut caller: Caller<'_, Frame>, register: u64, pointer: u64) -> Result<(), Error> {
    let memory = memory(&caller)?;
    let (memory, frame) = memory.data_and_store_mut(&mut caller);
    let Some(bytes) = frame.registers.get(&register) else {
        return Err(Error::new("the register is empty"));
    };
    let target = range(bytes.len() as u64, pointer)
        .and_then(|range| memory.get_mut(range))
        .ok_or_else(outside)?;
    target.copy_from_slice(bytes);
    Ok(())
}

/// A copy of bytes of the module's memory.
fn bytes(caller: &Caller<'_, Frame>, length: u64, pointer: u64) -> Result<Vec<u8>, Error> {
    let memory = memory(caller)?.data(caller);
    range(length, pointer)
        .and_then(|range| memory.get(range))
        .map(<[u8]>::to_vec)
        .ok_or_else(outside)
}

fn memory(caller: &Caller<'_, Frame>) -> Result<Memory, Error> {
    caller
        .get_export("memory")
        .and_then(Extern::into_memory)
        .ok_or_else(|| Error::new("the module exports no memory"))
}

fn range(length: u64, pointer: u64) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(pointer).ok()?;
    Some(start..start.checked_add(usize::try_from(length).ok()?)?)
}

fn outside() -> Error {
    Error::new("outside of the memory")
}
