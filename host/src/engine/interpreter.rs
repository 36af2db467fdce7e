//! wasmi: the interpreter, and the oracle of the native engines.
//!
//! Its artifact is the metered module itself. Every instance has a store of its own, which costs little.
#![allow(unsafe_code)]

use super::{
    Calls, Engine, EngineKind, Exit, Guest, Instance, Module, ModuleFacts, PAGE_BYTES, Pool,
    PooledInstance, Trap, Unwind,
};
use crate::HostFault;
use cotenant_gas::{MeteredModule, export};
use cotenant_submodules::table::Width;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use wasmi::{
    Caller, Config, Error, FuncType, Global, Linker, Memory, Store, TrapCode, Val, ValType,
};

/// wasmi's own limits on its stack; the metered stack limit (at least 64 bytes a frame) trips far below.
const RECURSION_MAX: usize = 16_384;
const STACK_HEIGHT_MAX: usize = 64 << 20;

/// The interpreter.
pub struct InterpreterEngine {
    engine: wasmi::Engine,
}

impl Default for InterpreterEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl InterpreterEngine {
    /// A new one.
    pub fn new() -> Self {
        let mut config = Config::default();
        config
            .wasm_wide_arithmetic(true)
            .set_max_recursion_depth(RECURSION_MAX)
            .set_max_stack_height(STACK_HEIGHT_MAX)
            .ignore_custom_sections(true);
        Self { engine: wasmi::Engine::new(&config) }
    }
}

impl Engine for InterpreterEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Wasmi
    }

    fn fingerprint(&self) -> String {
        "wasmi 2.0.0".to_owned()
    }

    fn compile(&self, module: &MeteredModule) -> Result<Vec<u8>, String> {
        wasmi::Module::new(&self.engine, &module.code).map_err(|error| error.to_string())?;
        Ok(module.code.clone())
    }

    fn load(&self, artifact: &[u8], facts: Arc<ModuleFacts>) -> Result<Arc<dyn Module>, HostFault> {
        let fault = |error: Error| HostFault::Artifact(error.to_string());
        let module = wasmi::Module::new(&self.engine, artifact).map_err(fault)?;
        let mut linker = Linker::new(&self.engine);
        link(&mut linker, &facts).map_err(fault)?;
        Ok(Arc::new(InterpretedModule { engine: self.engine.clone(), module, linker }))
    }
}

struct InterpretedModule {
    engine: wasmi::Engine,
    module: wasmi::Module,
    linker: Linker<Data>,
}

/// What the host functions of an instance find in its store.
struct Data {
    calls: Option<NonNull<dyn Calls>>,
    memory: Option<Memory>,
    gas: Option<Global>,
    page_limit: Arc<AtomicU32>,
}

impl wasmi::ResourceLimiter for Data {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool, wasmi_core::LimiterError> {
        Ok(desired as u64 / PAGE_BYTES <= u64::from(self.page_limit.load(Ordering::Relaxed)))
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, wasmi_core::LimiterError> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        1
    }
}

impl Module for InterpretedModule {
    fn instance(&self) -> Result<Result<PooledInstance, Trap>, HostFault> {
        let data = Data {
            calls: None,
            memory: None,
            gas: None,
            page_limit: Arc::new(AtomicU32::new(u32::MAX)),
        };
        let mut store = Store::new(&self.engine, data);
        store.limiter(|data| data);
        let exports = match self.linker.instantiate_and_start(&mut store, &self.module) {
            Ok(exports) => exports,
            Err(error) => {
                return match trap_of(&error) {
                    Some(trap) => Ok(Err(trap)),
                    None => Err(HostFault::Engine(error.to_string())),
                };
            }
        };
        store.data_mut().memory = exports.get_memory(&store, export::MEMORY);
        store.data_mut().gas = exports.get_global(&store, export::GAS);
        let instance = InterpretedInstance { store, exports };
        Ok(Ok(PooledInstance::new(Box::new(instance), Rc::new(Pool::default()))))
    }
}

struct InterpretedInstance {
    store: Store<Data>,
    exports: wasmi::Instance,
}

impl Instance for InterpretedInstance {
    fn run(&mut self, method: Option<&str>, gas: u64, calls: &mut dyn Calls) -> (Exit, u64) {
        let name = match method {
            Some(method) => [export::FUNCTION_PREFIX, method].concat(),
            None => export::START.to_owned(),
        };
        let (Some(function), Some(meter)) =
            (self.exports.get_func(&self.store, &name), self.store.data().gas)
        else {
            return (Exit::Trapped(Trap::Unreachable), gas);
        };
        // SAFETY: the lifetime is hidden from wasmi's store. `calls` outlives this function, the pointer is
        // cleared before it returns, and only host functions called inside it follow the pointer.
        self.store.data_mut().calls = Some(unsafe {
            std::mem::transmute::<NonNull<dyn Calls + '_>, NonNull<dyn Calls + 'static>>(
                NonNull::from(calls),
            )
        });
        let result = meter
            .set(&mut self.store, Val::I64(gas as i64))
            .map_err(|error| Error::new(error.to_string()))
            .and_then(|()| function.call(&mut self.store, &[], &mut []));
        self.store.data_mut().calls = None;
        let left = gas_of(meter.get(&self.store));
        let exit = match result {
            Ok(()) => Exit::Returned,
            Err(error) => trap_of(&error).map_or(Exit::Unwound, Exit::Trapped),
        };
        (exit, left)
    }

    fn pages(&self) -> u32 {
        self.store.data().memory.map_or(0, |memory| memory.size(&self.store) as u32)
    }

    fn page_limit(&self) -> Arc<AtomicU32> {
        self.store.data().page_limit.clone()
    }

    fn reset(&mut self, _keep_warm: bool) -> bool {
        false
    }
}

fn gas_of(value: Val) -> u64 {
    match value {
        Val::I64(value) => value as u64,
        _ => 0,
    }
}

/// Carries an unwinding through wasmi.
#[derive(Debug, thiserror::Error)]
#[error("unwound by the host")]
struct Unwound;
impl wasmi::errors::HostError for Unwound {}

/// Crosses from a guest into its host, and back.
fn cross<T>(
    mut caller: Caller<'_, Data>,
    f: impl FnOnce(&mut dyn Calls, Guest<'_>) -> Result<T, Unwind>,
) -> Result<T, Error> {
    let (Some(calls), Some(meter)) = (caller.data().calls, caller.data().gas) else {
        return Err(Error::host(Unwound));
    };
    let mut gas = gas_of(meter.get(&caller));
    // SAFETY: `run` keeps what this points to alive and lets nobody else use it until the guest ends.
    let calls = unsafe { &mut *calls.as_ptr() };
    let result = match caller.data().memory {
        Some(memory) => f(calls, Guest { memory: memory.data_mut(&mut caller), gas: &mut gas }),
        None => f(calls, Guest { memory: &mut [], gas: &mut gas }),
    };
    meter.set(&mut caller, Val::I64(gas as i64)).map_err(|error| Error::new(error.to_string()))?;
    result.map_err(|Unwind| Error::host(Unwound))
}

fn link(linker: &mut Linker<Data>, facts: &ModuleFacts) -> Result<(), Error> {
    linker.func_wrap(
        export::INTERNAL,
        export::GAS_EXHAUSTED,
        |caller: Caller<'_, Data>, charge: u64| {
            cross(caller, |calls, guest| calls.gas_exhausted(charge, guest))
        },
    )?;
    linker.func_wrap(
        export::INTERNAL,
        export::STACK_EXHAUSTED,
        |caller: Caller<'_, Data>| -> Result<(), Error> {
            cross(caller, |calls, guest| Err(calls.stack_exhausted(guest)))
        },
    )?;
    let mut linked: Vec<_> = facts.imports.clone();
    linked.sort_unstable();
    linked.dedup();
    for id in linked {
        let row = id.row();
        let value_type = |width: Width| match width {
            Width::U32 => ValType::I32,
            Width::U64 => ValType::I64,
        };
        let ty = FuncType::new(
            row.params.iter().map(|param| value_type(param.width)),
            row.result.map(value_type),
        );
        linker.func_new("env", row.name, ty, move |caller, params, results| {
            let mut args = [0_u64; 16];
            for (arg, param) in args.iter_mut().zip(params) {
                *arg = match param {
                    Val::I32(value) => u64::from(*value as u32),
                    value => gas_of(value.clone()),
                };
            }
            let args = &args[..params.len()];
            let value = cross(caller, |calls, guest| calls.host_function(id, args, guest))?;
            if let (Some(result), Some(width)) = (results.first_mut(), row.result) {
                *result = match width {
                    Width::U32 => Val::I32(value as i32),
                    Width::U64 => Val::I64(value as i64),
                };
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The trap behind an error of wasmi; `None` if the host unwound the guest.
fn trap_of(error: &Error) -> Option<Trap> {
    Some(match error.as_trap_code()? {
        TrapCode::UnreachableCodeReached
        | TrapCode::OutOfFuel
        | TrapCode::GrowthOperationLimited
        | TrapCode::OutOfSystemMemory => Trap::Unreachable,
        TrapCode::MemoryOutOfBounds => Trap::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds => Trap::TableOutOfBounds,
        TrapCode::IndirectCallToNull => Trap::IndirectCallToNull,
        TrapCode::IntegerDivisionByZero => Trap::DivisionByZero,
        TrapCode::IntegerOverflow => Trap::IntegerOverflow,
        TrapCode::BadConversionToInteger => Trap::BadConversion,
        TrapCode::StackOverflow => Trap::StackOverflow,
        TrapCode::BadSignature => Trap::BadSignature,
    })
}
