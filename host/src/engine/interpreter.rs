//! wasmi: the interpreter, and the oracle of the native engines.
//!
//! Its artifact is the metered module with its memory imported: the memory is made here, of address space that is ours to
//! clear. Every instance has a store of its own, and is used again like a native one unless its memory has grown: wasmi
//! takes no pages back.
#![allow(unsafe_code)]

use super::arena::Stacks;
use super::memory::LentMemory;
use super::{
    Calls, Engine, EngineError, EngineKind, Exit, GaveUp, Growth, Guest, Instance, MethodName,
    Module, ModuleFacts, PAGE_BYTES, PooledInstance, Trap, Unwind, pool,
};
use crate::HostFault;
use crate::artifact::AuthenticArtifact;
use cotenant_gas::{export, with_imported_memory};
use cotenant_submodules::table::{HostFunctionId, Width};
use std::ptr::NonNull;
use std::sync::Arc;
use wasmi::{
    Caller, CompilationMode, Config, Error, Extern, ExternType, Func, Global, Memory, MemoryType,
    Mutability, Ref, Store, Table, TrapCode, TypedFunc, Val,
};

/// wasmi's own limits on its stack; the metered stack limit (at least 64 bytes a frame) trips far below.
const RECURSION_MAX: usize = 16_384;
const STACK_HEIGHT_MAX: usize = 64 << 20;

/// Idle stacks that wasmi keeps.
const STACKS_IDLE_MAX: usize = 64;

/// The interpreter.
pub struct InterpreterEngine {
    config: Config,
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
            .set_max_cached_stacks(STACKS_IDLE_MAX)
            .ignore_custom_sections(true);
        Self { config }
    }

    /// Loads a metered module and translates all of it, so that nothing of it can fail to be translated later.
    ///
    /// # Errors
    /// What cannot be translated.
    pub(crate) fn load_eagerly(
        &self,
        artifact: &AuthenticArtifact,
        facts: Arc<ModuleFacts>,
    ) -> Result<Arc<dyn Module>, String> {
        self.load_as(CompilationMode::Eager, artifact, facts)
    }

    /// Every module has an engine of its own: an engine frees nothing of what it translated before it goes.
    fn load_as(
        &self,
        mode: CompilationMode,
        artifact: &AuthenticArtifact,
        facts: Arc<ModuleFacts>,
    ) -> Result<Arc<dyn Module>, String> {
        let code = with_imported_memory(artifact.code()).map_err(|error| error.to_string())?;
        let engine = wasmi::Engine::new(self.config.clone().compilation_mode(mode));
        let module = wasmi::Module::new(&engine, &code).map_err(|error| error.to_string())?;
        let memory = module.imports().find_map(|import| match import.ty() {
            ExternType::Memory(ty) => Some(*ty),
            _ => None,
        });
        let functions = module.imports().filter(|import| import.ty().func().is_some()).count();
        Ok(Arc::new(InterpretedModule {
            asks_to_grow: functions > facts.imports.len() + 2,
            id: pool::new_id(),
            loaded: Arc::new(()),
            engine,
            module,
            memory: memory.ok_or_else(|| "a module without memory".to_owned())?,
            facts,
        }))
    }
}

impl Engine for InterpreterEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Wasmi
    }

    fn fingerprint(&self) -> String {
        "wasmi 2.0.0, memory imported".to_owned()
    }

    fn load(
        &self,
        artifact: &AuthenticArtifact,
        facts: Arc<ModuleFacts>,
    ) -> Result<Arc<dyn Module>, HostFault> {
        self.load_as(CompilationMode::LazyTranslation, artifact, facts).map_err(HostFault::Artifact)
    }
}

struct InterpretedModule {
    id: u64,
    /// Gone with the module: its pools are then dropped.
    loaded: Arc<()>,
    engine: wasmi::Engine,
    module: wasmi::Module,
    memory: MemoryType,
    /// Whether it imports the meters' function that is called before the memory grows.
    asks_to_grow: bool,
    facts: Arc<ModuleFacts>,
}

/// What the host functions of an instance find in its store.
struct Data {
    calls: Option<NonNull<dyn Calls>>,
    memory: Option<Memory>,
    gas: Option<Global>,
    growth: Arc<Growth>,
}

impl wasmi::ResourceLimiter for Data {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool, wasmi_core::LimiterError> {
        Ok(self.growth.allows(desired as u64 / PAGE_BYTES))
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
        usize::MAX
    }
}

impl Module for InterpretedModule {
    fn instance(&self) -> Result<Result<PooledInstance, Trap>, EngineError> {
        let stacks = Stacks::take()?;
        let place = pool::place(self.id, &self.loaded);
        if let Some(instance) = place.take() {
            return Ok(Ok(place.lend(instance, stacks)));
        }
        let made = InterpretedInstance::new(self)?;
        Ok(made.map(|instance| place.lend(Box::new(instance), stacks)))
    }
}

struct InterpretedInstance {
    // Dropped before the memory that it borrows.
    store: Store<Data>,
    lent: LentMemory,
    exports: wasmi::Instance,
    memory: Memory,
    meter: Global,
    /// Says whether a table is accessed.
    table_access: Global,
    /// By name, with the start function under `None`: a module has few that are called.
    methods: Vec<(MethodName, TypedFunc<(), ()>)>,
    facts: Arc<ModuleFacts>,
    first_globals: Vec<(Global, Val)>,
    /// Tables that the module's code can write to, each with a copy of its first elements.
    first_tables: Vec<(Table, Table)>,
}

impl InterpretedInstance {
    fn new(module: &InterpretedModule) -> Result<Result<Self, Trap>, EngineError> {
        let fault = |error: Error| HostFault::Engine(error.to_string());
        let data = Data { calls: None, memory: None, gas: None, growth: Growth::unlimited() };
        let pages = module.memory.maximum().and_then(|pages| u32::try_from(pages).ok());
        let mut lent = LentMemory::reserve(pages.unwrap_or(0))?;
        let mut store = Store::new(&module.engine, data);
        store.limiter(|data| data);
        // SAFETY: the store gets the bytes; it is dropped before the memory, here as well as in the instance.
        let bytes = unsafe { lent.lend() };
        let memory = Memory::new_static(&mut store, module.memory, bytes).map_err(fault)?;
        let mut imports = Vec::with_capacity(module.facts.imports.len() + 4);
        imports.push(Extern::Func(Func::wrap(&mut store, gas_exhausted)));
        imports.push(Extern::Func(Func::wrap(&mut store, stack_exhausted)));
        if module.asks_to_grow {
            imports.push(Extern::Func(Func::wrap(&mut store, memory_growing)));
        }
        for id in &module.facts.imports {
            imports.push(Extern::Func(import(&mut store, *id)?));
        }
        imports.push(Extern::Memory(memory));
        let exports = match wasmi::Instance::new(&mut store, &module.module, &imports) {
            Ok(exports) => exports,
            Err(error) => {
                return match trap_of(&error) {
                    Some(trap) => Ok(Err(trap)),
                    None => Err(fault(error).into()),
                };
            }
        };
        let global = |name| exports.get_global(&store, name);
        let (Some(meter), Some(table_access)) = (global(export::GAS), global(export::TABLE_ACCESS))
        else {
            return Err(HostFault::Artifact("a module without meter".into()).into());
        };
        store.data_mut().memory = Some(memory);
        store.data_mut().gas = Some(meter);
        store.data().growth.reset();
        let globals = exports.exports(&store).filter_map(|export| export.into_global());
        let first_globals = globals
            .filter(|global| global.ty(&store).mutability() == Mutability::Var)
            .map(|global| (global, global.get(&store)))
            .collect();
        let facts = module.facts.clone();
        let mut first_tables = Vec::new();
        if facts.writes_tables && !facts.drops_segments {
            let tables: Vec<Table> =
                exports.exports(&store).filter_map(|export| export.into_table()).collect();
            for table in tables {
                first_tables.push((table, copy_of(&mut store, table).map_err(fault)?));
            }
        }
        Ok(Ok(Self {
            store,
            lent,
            exports,
            memory,
            meter,
            table_access,
            methods: Vec::new(),
            facts,
            first_globals,
            first_tables,
        }))
    }

    /// Whether the operator that trapped accesses a table.
    fn accesses_table(&self) -> bool {
        matches!(self.table_access.get(&self.store), Val::I32(1))
    }

    fn method(&mut self, method: Option<&str>) -> Option<TypedFunc<(), ()>> {
        if let Some((_, function)) = self.methods.iter().find(|(name, _)| name.as_deref() == method)
        {
            return Some(*function);
        }
        let name = match method {
            Some(method) => [export::FUNCTION_PREFIX, method].concat(),
            None => export::START.to_owned(),
        };
        let function = self.exports.get_typed_func(&self.store, &name).ok()?;
        self.methods.push((method.map(Into::into), function));
        Some(function)
    }
}

impl Instance for InterpretedInstance {
    fn run(&mut self, method: Option<&str>, gas: u64, calls: &mut dyn Calls) -> (Exit, u64) {
        let Some(function) = self.method(method) else {
            return (Exit::Trapped(Trap::Unreachable), gas);
        };
        // SAFETY: the lifetime is hidden from wasmi's store. `calls` outlives this function, the pointer is
        // cleared before it returns, and only host functions called inside it follow the pointer.
        self.store.data_mut().calls = Some(unsafe {
            std::mem::transmute::<NonNull<dyn Calls + '_>, NonNull<dyn Calls + 'static>>(
                NonNull::from(calls),
            )
        });
        let meter = self.meter;
        let result = meter
            .set(&mut self.store, Val::I64(gas as i64))
            .map_err(|error| Error::new(error.to_string()))
            .and_then(|()| function.call(&mut self.store, ()));
        self.store.data_mut().calls = None;
        let left = gas_of(meter.get(&self.store));
        let exit = match result.map_err(|error| exit_of(&error)) {
            Ok(()) => Exit::Returned,
            Err(Exit::Trapped(Trap::TableOutOfBounds)) if !self.accesses_table() => {
                Exit::Trapped(Trap::IndirectCallOutOfBounds)
            }
            Err(exit) => exit,
        };
        (exit, left)
    }

    fn pages(&self) -> u32 {
        self.memory.size(&self.store) as u32
    }

    fn growth(&self) -> Arc<Growth> {
        self.store.data().growth.clone()
    }

    fn reset(&mut self, keep_warm: bool) -> bool {
        // wasmi takes back neither pages nor elements, and brings no segment back.
        if self.facts.drops_segments {
            return false;
        }
        for (table, first) in &self.first_tables {
            let elements = first.size(&self.store);
            if table.size(&self.store) != elements
                || Table::copy(&mut self.store, table, 0, first, 0, elements).is_err()
            {
                return false;
            }
        }
        let pages = self.memory.size(&self.store);
        if pages > u64::from(self.facts.initial_pages) {
            return false;
        }
        // SAFETY: the guest has ended, and no reference to its memory outlives a call of `data` or `data_mut`.
        if !unsafe { self.lent.clear((pages * PAGE_BYTES) as usize, keep_warm) } {
            return false;
        }
        self.store.data().growth.reset();
        for (global, value) in &self.first_globals {
            if global.set(&mut self.store, value.clone()).is_err() {
                return false;
            }
        }
        let memory = self.memory.data_mut(&mut self.store);
        self.facts.data.iter().all(|(offset, bytes)| {
            let range = *offset as usize..(*offset as usize).saturating_add(bytes.len());
            memory.get_mut(range).map(|place| place.copy_from_slice(bytes)).is_some()
        })
    }

    fn idle_bytes(&self) -> usize {
        self.facts.shape.interpreted_bytes() + self.lent.warm_bytes()
    }
}

/// A table with the same elements.
fn copy_of(store: &mut Store<Data>, table: Table) -> Result<Table, Error> {
    let ty = table.ty(&store);
    let copy = Table::new(&mut *store, ty, Ref::default_for_ty(ty.element()))?;
    let elements = table.size(&store);
    Table::copy(&mut *store, &copy, 0, &table, 0, elements)?;
    Ok(copy)
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

fn gas_exhausted(caller: Caller<'_, Data>, charge: u64) -> Result<(), Error> {
    cross(caller, |calls, guest| calls.gas_exhausted(charge, guest))
}

fn stack_exhausted(caller: Caller<'_, Data>) -> Result<(), Error> {
    cross(caller, |calls, guest| Err(calls.stack_exhausted(guest)))
}

fn memory_growing(caller: Caller<'_, Data>, pages: u32) -> Result<(), Error> {
    cross(caller, |calls, guest| calls.memory_growing(pages, guest))
}

/// A host function as wasmi imports it.
fn import(store: &mut Store<Data>, id: HostFunctionId) -> Result<Func, HostFault> {
    let row = id.row();
    macro_rules! shapes {
        ($([$($arg:ident: $ty:ident),*] -> $result:ident),* $(,)?) => {
            $(if row.params.iter().map(|p| p.width).eq([$(shape!(@width $ty)),*])
                && row.result == shape!(@result $result)
            {
                return Ok(Func::wrap(
                    store,
                    move |caller: Caller<'_, Data> $(, $arg: $ty)*|
                        -> Result<shape!(@type $result), Error> {
                        let value = cross(caller, |calls, guest| {
                            calls.host_function(id, &[$(u64::from($arg)),*], guest)
                        })?;
                        Ok(shape!(@value $result value))
                    },
                ));
            })*
        };
    }
    for_each_shape!(shapes);
    Err(HostFault::Bug(format!("no shape for the signature of `{}`", row.name)))
}

/// How a run that failed ended. What is no trap of the guest's and no unwinding of ours is a failure of wasmi.
fn exit_of(error: &Error) -> Exit {
    if error.downcast_ref::<Unwound>().is_some() {
        return Exit::Unwound;
    }
    match trap_of(error) {
        Some(trap) => Exit::Trapped(trap),
        None => Exit::GaveUp(GaveUp::Interpreter),
    }
}

/// The trap behind an error of wasmi; `None` if it is not the guest's.
fn trap_of(error: &Error) -> Option<Trap> {
    Some(match error.as_trap_code()? {
        TrapCode::OutOfFuel
        | TrapCode::GrowthOperationLimited
        | TrapCode::OutOfSystemMemory
        | TrapCode::StackOverflow => return None,
        TrapCode::UnreachableCodeReached => Trap::Unreachable,
        TrapCode::MemoryOutOfBounds => Trap::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds => Trap::TableOutOfBounds,
        TrapCode::IndirectCallToNull => Trap::IndirectCallToNull,
        TrapCode::IntegerDivisionByZero => Trap::DivisionByZero,
        TrapCode::IntegerOverflow => Trap::IntegerOverflow,
        TrapCode::BadConversionToInteger => Trap::BadConversion,
        TrapCode::BadSignature => Trap::BadSignature,
    })
}
