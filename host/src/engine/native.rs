//! wasmer: native code by cranelift.
//!
//! A layer over `wasmer_vm`, without wasmer's own store: each instance owns all that was made for it (wasmer's `StoreObjects` and
//! the `VMInstance`), so it is gone when it is dropped, whoever else runs. wasmer's `Store` frees nothing before it is dropped
//! itself, and it keeps a thread-local stack of the stores that are entered, which fibers of several instances would get out of
//! order; here is no such stack, for nothing of wasmer's that is called here looks a store up. What compiled code
//! calls: our host functions, which find their instance by the pointer that wasmer hands them, and
//! wasmer's libcalls, which find it by its context.
//!
//! One of the places with `unsafe` (architecture, invariant 2).
#![allow(unsafe_code)]

use super::arena::Stacks;
use super::memory::{MemoryMaker, MemoryParts};
use super::signal::Left;
use super::stack::GUEST_STACK_BYTES;
use super::template::{self, Dropped, Find, Template};
use super::{
    Calls, Engine, EngineError, EngineKind, Exit, GaveUp, Growth, Guest, Instance, MethodName,
    Module, ModuleFacts, PooledInstance, Trap, Unwind, libcalls, pool, signal,
};
use crate::HostFault;
use crate::artifact::AuthenticArtifact;
use cotenant_gas::export;
use cotenant_submodules::table::{HostFunctionId, Width};
use std::cell::UnsafeCell;
use std::num::NonZero;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use wasmer::sys::{Artifact, Cranelift, EngineBuilder, Features, FunctionExtent, NativeEngineExt};
use wasmer::{FunctionType, RuntimeError, Type};
use wasmer_vm::{
    InternalStoreHandle, MaybeInstanceOwned, StoreObject, StoreObjects, TrapCode,
    VMCallerCheckedAnyfunc, VMConfig, VMContext, VMExtern, VMFunction, VMFunctionBody,
    VMFunctionContext, VMFunctionKind, VMInstance, VMSignatureHash, VMTrampoline,
};

const CONFIG: VMConfig = VMConfig { wasm_stack_size: Some(GUEST_STACK_BYTES) };

/// Methods that an instance remembers the code of; others are looked up at each call.
const METHODS_MAX: usize = 8;

/// Counts up with every change of the compiler's options.
const COMPILER_OPTIONS: u32 = 1;

/// wasmer with cranelift.
pub struct NativeEngine {
    fingerprint: String,
}

impl NativeEngine {
    /// A new one.
    pub(crate) fn new() -> Self {
        signal::install();
        Self { fingerprint: native_fingerprint() }
    }
}

/// How modules are compiled. It is part of the fingerprint by wasmer's version and the target alone: whoever changes the
/// compiler's options here counts up `COMPILER_OPTIONS`.
fn builder(threads: Option<NonZero<usize>>) -> EngineBuilder {
    let mut features = Features::default();
    features.bulk_memory(true).reference_types(true).multi_value(true).wide_arithmetic(true);
    let mut compiler = Cranelift::default();
    compiler.canonicalize_nans(true);
    if let Some(threads) = threads {
        compiler.num_threads(threads);
    }
    // For `perf`: where each function of a guest is, in /tmp/perf-PID.map.
    if std::env::var_os("COTENANT_PERF_MAP").is_some() {
        wasmer::sys::CompilerConfig::enable_perfmap(&mut compiler);
    }
    EngineBuilder::new(compiler).set_features(Some(features))
}

/// Returns the fingerprint of [`NativeEngine`]: everything that could change what the compiler makes.
pub(crate) fn native_fingerprint() -> String {
    let engine: wasmer::Engine = builder(None).engine().into();
    let target = engine.target();
    let features = target.cpu_features().iter().collect::<Vec<_>>();
    let triple = target.triple();
    format!("wasmer 7.4.2 cranelift options {COMPILER_OPTIONS} {triple} {features:?}")
}

/// Compiles a metered module on so many threads, or on as many as there are cores. The engine that does it goes with its result: it would keep the code mapped.
///
/// # Errors
/// Why the compiler refuses it.
pub(crate) fn compile_native(
    metered: &[u8],
    threads: Option<NonZero<usize>>,
) -> Result<Vec<u8>, String> {
    let engine: wasmer::Engine = builder(threads).engine().into();
    let module = wasmer::Module::from_binary(&engine, metered).map_err(|e| e.to_string())?;
    module.serialize().map(|bytes| bytes.to_vec()).map_err(|e| e.to_string())
}

impl Engine for NativeEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Cranelift
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn load(
        &self,
        artifact: &AuthenticArtifact,
        facts: Arc<ModuleFacts>,
    ) -> Result<Arc<dyn Module>, HostFault> {
        // An engine keeps the code that it loaded mapped until it goes: each module has its own.
        let engine: wasmer::Engine = builder(None).engine().into();
        // SAFETY: an authentic artifact was compiled by this process, or its tag and its key fit: the key has everything
        // that could change it, so these are bytes that `compile_native` of this very engine wrote.
        let module = unsafe { wasmer::Module::deserialize(&engine, artifact.code()) }
            .map_err(|error| HostFault::Artifact(error.to_string()))?;
        let code = LoadedCode::new(module, engine)?;
        let imports = link(&code, &facts)?;
        Ok(Arc::new(NativeModule {
            id: pool::new_id(),
            loaded: Arc::new(()),
            code: Arc::new(code),
            imports,
            facts,
        }))
    }
}

/// Code in memory: dropped before the engine that holds the memory.
struct LoadedCode {
    module: wasmer::Module,
    _engine: wasmer::Engine,
    /// Where its functions are, in memory.
    range: Range<usize>,
}

impl LoadedCode {
    fn new(module: wasmer::Module, engine: wasmer::Engine) -> Result<Self, HostFault> {
        let mut code = Self { module, _engine: engine, range: 0..0 };
        let extents = code.artifact()?.finished_function_extents().unwrap_or_default();
        let range = |extent: &FunctionExtent| {
            let start = *extent.ptr as usize;
            start..start + extent.length
        };
        let ranges = extents.iter().map(|(_, extent)| range(extent));
        let joined = ranges.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
        code.range = joined.unwrap_or(0..0);
        Ok(code)
    }

    fn artifact(&self) -> Result<&Artifact, HostFault> {
        let other = || HostFault::Artifact("not made by a native compiler".into());
        self.module.sys_artifact().ok_or_else(other)
    }
}

struct NativeModule {
    id: u64,
    /// Gone with the module: its pools are then dropped.
    loaded: Arc<()>,
    code: Arc<LoadedCode>,
    imports: Vec<Import>,
    facts: Arc<ModuleFacts>,
}

// SAFETY: the pointers in it lead to code of this executable, which is there for everybody.
unsafe impl Send for NativeModule {}
// SAFETY: as above.
unsafe impl Sync for NativeModule {}

impl Module for NativeModule {
    fn instance(&self) -> Result<Result<PooledInstance, Trap>, EngineError> {
        let stacks = Stacks::take()?;
        let place = pool::place(self.id, &self.loaded);
        if let Some(instance) = place.take() {
            return Ok(Ok(place.lend(instance, stacks)));
        }
        let mut made = NativeInstance::new(self);
        if matches!(made, Err(EngineError::GaveUp(_))) {
            pool::evict_all();
            made = NativeInstance::new(self);
        }
        Ok(made?.map(|instance| place.lend(Box::new(instance), stacks)))
    }
}

/// What a module imports, ready to be linked into each of its instances.
struct Import {
    /// `None` for the meters' own.
    id: Option<HostFunctionId>,
    body: *const VMFunctionBody,
    trampoline: VMTrampoline,
    signature: FunctionType,
    hash: VMSignatureHash,
}

/// Finds a function of ours for each import of a module: first the meters' own, then those of the table.
fn link(code: &LoadedCode, facts: &ModuleFacts) -> Result<Vec<Import>, HostFault> {
    let (artifact, info) = (code.artifact()?, code.module.info());
    let internal = [
        (vec![Type::I64], gas_exhausted as *const (), no_call as Call),
        (vec![], stack_exhausted as *const (), no_call as Call),
        (vec![Type::I32], memory_growing as *const (), no_call as Call),
    ];
    let internal = internal
        .into_iter()
        .map(|(params, body, call)| (None, FunctionType::new(params, []), body, call));
    // The last of them is imported by modules whose growth is priced.
    let own = info.num_imported_functions.saturating_sub(facts.imports.len());
    let mut wanted: Vec<_> = internal.take(own.max(2)).collect();
    for id in &facts.imports {
        let row = id.row();
        let value = |width: &Width| match width {
            Width::U32 => Type::I32,
            Width::U64 => Type::I64,
        };
        let params: Vec<Type> = row.params.iter().map(|param| value(&param.width)).collect();
        let results: Vec<Type> = row.result.iter().map(value).collect();
        let (body, call) = host_function(*id)?;
        wanted.push((Some(*id), FunctionType::new(params, results), body, call));
    }
    let declared = info.functions.values().take(info.num_imported_functions);
    let mut imports = Vec::with_capacity(wanted.len());
    for (signature, (id, expected, body, call)) in declared.zip(wanted.drain(..)) {
        if info.signatures[*signature] != expected {
            let name = id.map_or("of the meters", |id| id.row().name);
            return Err(HostFault::Artifact(format!("the import {name} has another signature")));
        }
        imports.push(Import {
            id,
            body: body.cast(),
            // SAFETY: a value of wasmer's is sixteen bytes, aligned to as many, as ours is.
            trampoline: unsafe { std::mem::transmute::<Call, VMTrampoline>(call) },
            signature: expected,
            hash: artifact.signatures()[*signature],
        });
    }
    if imports.len() != info.num_imported_functions || info.imports.len() != imports.len() {
        return Err(HostFault::Artifact("it imports what its facts do not name".into()));
    }
    Ok(imports)
}

/// What the code of an instance finds when it calls out. It lives in a box of its own, so that its address
/// never changes.
struct Link {
    calls: Option<NonNull<dyn Calls>>,
    parts: Option<(MemoryParts, *mut u64)>,
    dropped: Dropped,
}

/// What a host function of an instance is called with.
struct HostImport {
    link: NonNull<Link>,
    id: HostFunctionId,
}

/// Crosses from a guest into its host, and back. A guest that has to be unwound is not returned to.
///
/// # Safety
/// Only for code of the instance that the link belongs to, with nothing but guest frames on its stack.
unsafe fn cross<T>(
    link: NonNull<Link>,
    f: impl FnOnce(&mut dyn Calls, Guest<'_>) -> Result<T, Unwind>,
) -> T {
    // SAFETY: as the caller says; nothing in this frame has to be dropped.
    unsafe { signal::check_room() };
    let result = wasmer_vm::on_host_stack(|| {
        if signal::is_asked_to_give_up() {
            return Ok(Err(Unwind));
        }
        catch_unwind(AssertUnwindSafe(|| {
            signal::outside_guest(|| {
                // SAFETY: the link outlives the run of its instance. Nothing else has a reference to it: the instance
                // is borrowed by `run` alone.
                let link = unsafe { link.as_ref() };
                let (Some(calls), Some((memory, gas))) = (link.calls, &link.parts) else {
                    return Err(Unwind);
                };
                let (base, length) = memory.bytes();
                // SAFETY: the memory is open from base to length, does not move, and its guest waits for us,
                // so nobody writes to it while the slice lives.
                let memory = unsafe { std::slice::from_raw_parts_mut(base, length) };
                // SAFETY: the gas global lives in the instance, whose guest waits for us.
                let gas = unsafe { &mut **gas };
                // SAFETY: `run` keeps what this points to alive and lets nobody else use it until the guest ends.
                f(unsafe { &mut *calls.as_ptr() }, Guest { memory, gas })
            })
        }))
    });
    match result {
        Ok(Ok(value)) => value,
        // SAFETY: the caller says that only guest frames are on this stack, and nothing here is left to be dropped.
        Ok(Err(Unwind)) => unsafe { wasmer_vm::raise_user_trap(Box::new(Unwound)) },
        // SAFETY: as above.
        Err(panic) => unsafe { wasmer_vm::resume_panic(panic) },
    }
}

unsafe extern "C-unwind" fn gas_exhausted(link: NonNull<Link>, charge: u64) {
    // SAFETY: wasmer hands on what `NativeInstance::new` gave it for this instance.
    unsafe { cross(link, |calls, guest| calls.gas_exhausted(charge, guest)) }
}

unsafe extern "C-unwind" fn stack_exhausted(link: NonNull<Link>) {
    // SAFETY: as above.
    unsafe { cross(link, |calls, guest| Err(calls.stack_exhausted(guest))) }
}

unsafe extern "C-unwind" fn memory_growing(link: NonNull<Link>, pages: u32) {
    // SAFETY: as above.
    unsafe { cross(link, |calls, guest| calls.memory_growing(pages, guest)) }
}

impl Find for Link {
    unsafe fn dropped<'a>(context: *mut VMContext) -> &'a Dropped {
        // SAFETY: the first import of every instance is the meters', and was given the link; the context begins with the
        // imported functions.
        unsafe {
            let import = &*context.cast::<wasmer_vm::VMFunctionImport>();
            &(*import.environment.host_env.cast::<Link>()).dropped
        }
    }
}

/// A value as wasmer passes it to a trampoline.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct RawValue([u64; 2]);

/// How a guest's function is called from outside.
type Trampoline = unsafe extern "C" fn(VMFunctionContext, *const VMFunctionBody, *mut RawValue);

/// How a function of ours is called from outside of a guest, for a module that exports what it imports.
type Call = unsafe extern "C" fn(*mut VMContext, *const VMFunctionBody, *mut RawValue);

/// For a function with parameters or a result, which is no method.
unsafe extern "C" fn no_call(_: *mut VMContext, _: *const VMFunctionBody, _: *mut RawValue) {}

/// For a function without parameters and results.
unsafe extern "C" fn call(context: *mut VMContext, body: *const VMFunctionBody, _: *mut RawValue) {
    // SAFETY: such a function takes what wasmer calls its context and nothing else.
    unsafe {
        let body = std::mem::transmute::<*const VMFunctionBody, unsafe extern "C" fn(_)>(body);
        body(context);
    }
}

/// A host function as wasmer imports it, and how it is called from outside.
fn host_function(id: HostFunctionId) -> Result<(*const (), Call), HostFault> {
    let row = id.row();
    macro_rules! shapes {
        ($([$($arg:ident: $ty:ident),*] -> $result:ident),* $(,)?) => {
            $(if row.params.iter().map(|p| p.width).eq([$(shape!(@width $ty)),*])
                && row.result == shape!(@result $result)
            {
                unsafe extern "C-unwind" fn body(
                    import: NonNull<HostImport>,
                    $($arg: $ty),*
                ) -> shape!(@type $result) {
                    // SAFETY: wasmer hands on what `NativeInstance::new` gave it for this instance.
                    let value = unsafe {
                        let HostImport { link, id } = *import.as_ref();
                        cross(link, |calls, guest| {
                            calls.host_function(id, &[$(u64::from($arg)),*], guest)
                        })
                    };
                    shape!(@value $result value)
                }
                let plain = row.params.is_empty() && row.result.is_none();
                return Ok((body as *const (), if plain { call } else { no_call }));
            })*
        };
    }
    for_each_shape!(shapes);
    Err(HostFault::Bug(format!("no shape for the signature of `{}`", row.name)))
}

struct NativeInstance {
    // Dropped before what it points to.
    vm: VMInstance,
    objects: Box<StoreObjects>,
    link: Box<Link>,
    _imports: Box<[HostImport]>,
    template: Template,
    /// Says whether a table is accessed.
    table_access: NonNull<u32>,
    /// By name, with the start function under `None`.
    methods: Vec<(MethodName, VMCallerCheckedAnyfunc)>,
    facts: Arc<ModuleFacts>,
    code: Arc<LoadedCode>,
}

impl NativeInstance {
    fn new(module: &NativeModule) -> Result<Result<Self, Trap>, EngineError> {
        let facts = module.facts.clone();
        let mut objects = Box::<StoreObjects>::default();
        let mut link = Box::new(Link { calls: None, parts: None, dropped: Dropped::default() });
        let pointer = NonNull::from(link.as_mut());
        let ids = module.imports.iter().filter_map(|import| import.id);
        let imports: Box<[HostImport]> = ids.map(|id| HostImport { link: pointer, id }).collect();
        let mut environments = imports.iter();
        let externs: Vec<VMExtern> = module
            .imports
            .iter()
            .map(|import| {
                let host_env = match import.id.and_then(|_| environments.next()) {
                    Some(environment) => std::ptr::from_ref(environment).cast_mut().cast(),
                    None => pointer.as_ptr().cast(),
                };
                let anyfunc = VMCallerCheckedAnyfunc {
                    func_ptr: import.body,
                    type_signature_hash: import.hash,
                    vmctx: VMFunctionContext { host_env },
                    call_trampoline: import.trampoline,
                };
                let function = VMFunction {
                    anyfunc: MaybeInstanceOwned::Host(Box::new(UnsafeCell::new(anyfunc))),
                    signature: import.signature.clone(),
                    kind: VMFunctionKind::Static,
                    // `()` would stand for a function of a guest.
                    host_data: Box::new(OfTheHost),
                };
                VMExtern::Function(InternalStoreHandle::new(&mut objects, function))
            })
            .collect();
        let maker = MemoryMaker::new(facts.initial_pages == 0 && !facts.grows_memory);
        let artifact = module.code.artifact()?;
        let fault = |error: String| EngineError::Fault(HostFault::Engine(error));
        // SAFETY: the artifact was compiled for this machine (its key says so), the imports have its types, and the objects
        // stay where they are as long as the instance.
        let made = unsafe { artifact.instantiate(&maker, &externs, &mut objects) };
        let mut vm = match made {
            Ok(vm) => vm,
            Err(error) => {
                return Err(match maker.gave_up() {
                    Some(gave_up) => EngineError::GaveUp(gave_up),
                    None => fault(error.to_string()),
                });
            }
        };
        // SAFETY: the instance was just made.
        if let Err(error) = unsafe { artifact.finish_instantiation(&CONFIG, None, &mut vm) } {
            return match wasmer::InstantiationError::from(error) {
                wasmer::InstantiationError::Start(error) => match error.clone().to_trap() {
                    Some(code) => Ok(Err(trap_of(code)?)),
                    None => Err(fault(error.to_string())),
                },
                error => Err(fault(error.to_string())),
            };
        }
        let memory = maker.into_parts().ok_or_else(|| fault("a module without memory".into()))?;
        link.parts = Some((memory, template::gas_of(&vm).as_ptr()));
        let table_access = template::table_access_of(&vm);
        libcalls::check_all(&vm);
        if facts.drops_segments {
            // SAFETY: the first import of the instance is the meters', whose environment is the link.
            unsafe { template::keep_segments::<Link>(&vm) };
        }
        let template = Template::of(&vm, facts.writes_tables);
        Ok(Ok(Self {
            vm,
            objects,
            link,
            _imports: imports,
            template,
            table_access,
            methods: Vec::new(),
            facts,
            code: module.code.clone(),
        }))
    }

    fn gas(&self) -> *mut u64 {
        self.link.parts.as_ref().map_or(std::ptr::null_mut(), |(_, gas)| *gas)
    }

    /// The code of a method.
    fn method(&mut self, method: Option<&str>) -> Option<VMCallerCheckedAnyfunc> {
        if let Some((_, code)) = self.methods.iter().find(|(name, _)| name.as_deref() == method) {
            return Some(*code);
        }
        let found = match method {
            Some(method) => self.vm.lookup(&[export::FUNCTION_PREFIX, method].concat()),
            None => self.vm.lookup(export::START),
        };
        let known = self.objects_known();
        let VMExtern::Function(function) = found? else { return None };
        // SAFETY: what the handle leads to lives in the instance, or in the objects.
        let code = unsafe { *function.get(&self.objects).anyfunc.as_ptr().as_ref() };
        // A function that was looked up is no longer needed.
        VMFunction::list_mut(&mut self.objects).truncate(known);
        if self.methods.len() < METHODS_MAX {
            self.methods.push((method.map(Into::into), code));
        }
        Some(code)
    }

    /// How many functions the objects hold without those that were looked up: the imports.
    fn objects_known(&self) -> usize {
        self.vm.module_ref().num_imported_functions
    }
}

/// Says that a function is the host's.
struct OfTheHost;

impl Instance for NativeInstance {
    fn run(&mut self, method: Option<&str>, gas: u64, calls: &mut dyn Calls) -> (Exit, u64) {
        let Some(code) = self.method(method) else {
            return (Exit::Trapped(Trap::Unreachable), gas);
        };
        // SAFETY: the lifetime is hidden from wasmer, which wants 'static. `calls` outlives this function,
        // the pointer is cleared before it returns, and only code that runs inside it follows the pointer.
        self.link.calls = Some(unsafe {
            std::mem::transmute::<NonNull<dyn Calls + '_>, NonNull<dyn Calls + 'static>>(
                NonNull::from(calls),
            )
        });
        let meter = self.gas();
        // SAFETY: the gas global lives in the instance, which is not running yet.
        unsafe { *meter = gas };
        // A method has no parameters and no results.
        let mut values = RawValue([0; 2]);
        let values: *mut RawValue = &raw mut values;
        // SAFETY: the code and its context belong to this instance, whose parts are all there until it is dropped; a
        // trampoline takes the context, the code and a place for values, and what the guest calls checks the room.
        let result = unsafe {
            let VMCallerCheckedAnyfunc { vmctx, call_trampoline, func_ptr, .. } = code;
            let trampoline = std::mem::transmute::<VMTrampoline, Trampoline>(call_trampoline);
            signal::run_guest(self.code.range.clone(), move || trampoline(vmctx, func_ptr, values))
        };
        self.link.calls = None;
        // SAFETY: the gas global lives in the instance, which is not running any more.
        let left = unsafe { *meter };
        // SAFETY: as above.
        let accesses_table = unsafe { *self.table_access.as_ptr() } != 0;
        let exit = match result {
            Left::GaveUp(reason) => Exit::GaveUp(reason),
            Left::Ended(Ok(())) => Exit::Returned,
            Left::Ended(Err(wasmer_vm::Trap::User(_))) => Exit::Unwound,
            Left::Ended(Err(trap)) => match RuntimeError::from(trap).to_trap() {
                Some(TrapCode::TableAccessOutOfBounds) if !accesses_table => {
                    Exit::Trapped(Trap::IndirectCallOutOfBounds)
                }
                Some(code) => trap_of(code).map_or_else(Exit::GaveUp, Exit::Trapped),
                None => Exit::Unwound,
            },
        };
        (exit, left)
    }

    fn pages(&self) -> u32 {
        let length = self.link.parts.as_ref().map_or(0, |(memory, _)| memory.bytes().1);
        (length as u64 / super::PAGE_BYTES) as u32
    }

    fn growth(&self) -> Arc<Growth> {
        match &self.link.parts {
            Some((memory, _)) => memory.growth().clone(),
            None => Growth::unlimited(),
        }
    }

    fn reset(&mut self, keep_warm: bool) -> bool {
        let Self { link, template, objects, facts, .. } = self;
        let Some((memory, _)) = &mut link.parts else { return false };
        link.dropped.reset();
        // The memory first: how long it has become is part of what is restored.
        memory.reset(&facts.data, keep_warm) && template.restore(objects)
    }

    fn idle_bytes(&self) -> usize {
        let memory = self.link.parts.as_ref().map_or(0, |(memory, _)| memory.warm_bytes());
        self.facts.shape.native_bytes() + 2 * self.template.bytes() + memory
    }
}

/// Carries an unwinding through wasmer.
#[derive(Debug, thiserror::Error)]
#[error("unwound by the host")]
struct Unwound;

/// The trap that a code of wasmer's stands for, if it is the guest's.
fn trap_of(code: TrapCode) -> Result<Trap, GaveUp> {
    Ok(match code {
        TrapCode::StackOverflow => return Err(GaveUp::Stack),
        TrapCode::HeapAccessOutOfBounds | TrapCode::HeapMisaligned => Trap::MemoryOutOfBounds,
        TrapCode::TableAccessOutOfBounds => Trap::TableOutOfBounds,
        TrapCode::IndirectCallToNull => Trap::IndirectCallToNull,
        TrapCode::BadSignature => Trap::BadSignature,
        TrapCode::IntegerOverflow => Trap::IntegerOverflow,
        TrapCode::IntegerDivisionByZero => Trap::DivisionByZero,
        TrapCode::BadConversionToInteger => Trap::BadConversion,
        TrapCode::UnreachableCodeReached
        | TrapCode::UnalignedAtomic
        | TrapCode::UncaughtException
        | TrapCode::UninitializedExnRef
        | TrapCode::HostInterrupt
        | TrapCode::ReadonlyTableModified
        | TrapCode::YieldOutsideAsyncContext => Trap::Unreachable,
    })
}
