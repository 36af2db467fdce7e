//! wasmer: native code by cranelift.
//!
//! All instances of a thread live in one store per compiler, so that wasmer's notion of the executing store
//! never depends on which fiber runs: wasmer keeps a stack of entered stores with a borrow count each, and
//! every switch between two guests of one store happens inside a host function on both sides, so the counts
//! stay balanced. A store never frees what was made in it; it is replaced when enough instances that cannot
//! be reused have piled up and no guest is running.
//!
//! One of the three places with `unsafe` (architecture, invariant 2).
#![allow(unsafe_code)]

use super::memory::{Anatomy, RecordingTunables};
use super::{
    Calls, Engine, EngineKind, Exit, Growth, Guest, Instance, MethodName, Module, ModuleFacts,
    Pool, PooledInstance, Trap, Unwind, signal,
};
use crate::HostFault;
use cotenant_gas::{MeteredModule, export};
use cotenant_submodules::table::{HostFunctionId, Width};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use wasmer::sys::{Cranelift, EngineBuilder, Features, NativeEngineExt};
use wasmer::{AsStoreMut, Function, Imports, RuntimeError, Store, TypedFunction};
use wasmer_vm::TrapCode;

/// Instances that cannot be reused pile up in a store to this number before it is replaced.
const STORE_INSTANCES_MAX: u32 = 4_096;

/// wasmer with one of its compilers.
pub struct NativeEngine {
    kind: EngineKind,
    engine: wasmer::Engine,
}

impl NativeEngine {
    /// The engine of a kind; `None` for the interpreter's.
    pub fn new(kind: EngineKind) -> Option<Self> {
        signal::install();
        let mut features = Features::default();
        features.bulk_memory(true).reference_types(true).multi_value(true);
        let builder = match kind {
            EngineKind::Cranelift => {
                features.wide_arithmetic(true);
                let mut compiler = Cranelift::default();
                compiler.canonicalize_nans(true);
                // For `perf`: where each function of a guest is, in /tmp/perf-PID.map.
                if std::env::var_os("COTENANT_PERF_MAP").is_some() {
                    wasmer::sys::CompilerConfig::enable_perfmap(&mut compiler);
                }
                EngineBuilder::new(compiler)
            }
            EngineKind::Wasmi => return None,
        };
        let mut engine: wasmer::Engine = builder.set_features(Some(features)).engine().into();
        engine.set_tunables(RecordingTunables::new());
        Some(Self { kind, engine })
    }
}

impl Engine for NativeEngine {
    fn kind(&self) -> EngineKind {
        self.kind
    }

    fn fingerprint(&self) -> String {
        let target = self.engine.target();
        format!(
            "wasmer 7.4.2 {} {} {:?}",
            self.kind,
            target.triple(),
            target.cpu_features().iter().collect::<Vec<_>>()
        )
    }

    fn compile(&self, module: &MeteredModule) -> Result<Vec<u8>, String> {
        let module =
            wasmer::Module::from_binary(&self.engine, &module.code).map_err(|e| e.to_string())?;
        module.serialize().map(|bytes| bytes.to_vec()).map_err(|e| e.to_string())
    }

    fn load(&self, artifact: &[u8], facts: Arc<ModuleFacts>) -> Result<Arc<dyn Module>, HostFault> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        // SAFETY: the caller authenticated the artifact and matched its key, which has everything that could
        // change it, so these are bytes that `compile` of this very engine wrote.
        let module = unsafe { wasmer::Module::deserialize(&self.engine, artifact) }
            .map_err(|error| HostFault::Artifact(error.to_string()))?;
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(NativeModule {
            id,
            kind: self.kind,
            engine: self.engine.clone(),
            module,
            facts,
        }))
    }
}

struct NativeModule {
    id: u64,
    kind: EngineKind,
    engine: wasmer::Engine,
    module: wasmer::Module,
    facts: Arc<ModuleFacts>,
}

/// The store of one compiler on one thread, and the idle instances in it by module.
struct Arena {
    store: Rc<RefCell<Store>>,
    pools: BTreeMap<u64, Rc<Pool>>,
    instances: u32,
}

thread_local! {
    static ARENAS: RefCell<BTreeMap<EngineKind, Arena>> = RefCell::default();
}

impl Module for NativeModule {
    fn instance(&self) -> Result<Result<PooledInstance, Trap>, HostFault> {
        let (store, pool) = ARENAS.with_borrow_mut(|arenas| {
            let arena = arenas.entry(self.kind).or_insert_with(|| Arena {
                store: Rc::new(RefCell::new(Store::new(self.engine.clone()))),
                pools: BTreeMap::new(),
                instances: 0,
            });
            if arena.instances >= STORE_INSTANCES_MAX && signal::guests_running() == 0 {
                arena.pools.clear();
                arena.store = Rc::new(RefCell::new(Store::new(self.engine.clone())));
                arena.instances = 0;
            }
            (arena.store.clone(), arena.pools.entry(self.id).or_default().clone())
        });
        if let Some(instance) = pool.take() {
            return Ok(Ok(instance));
        }
        let made = NativeInstance::new(store, &self.module, self.facts.clone())?;
        ARENAS.with_borrow_mut(|arenas| {
            if let Some(arena) = arenas.get_mut(&self.kind) {
                arena.instances += 1;
            }
        });
        Ok(made.map(|instance| PooledInstance::new(Box::new(instance), pool)))
    }
}

/// What the code of an instance finds when it calls out. It lives in a box of its own, so that its address
/// never changes.
struct Link {
    calls: Option<NonNull<dyn Calls>>,
    anatomy: Anatomy,
}

/// wasmer wants what a host function holds on to to be `Send`.
#[derive(Clone, Copy)]
struct LinkPointer(NonNull<Link>);

// SAFETY: the pointer is only followed while the instance runs, which it does on the thread that made it.
unsafe impl Send for LinkPointer {}
// SAFETY: as above.
unsafe impl Sync for LinkPointer {}

impl LinkPointer {
    /// Crosses from a guest into its host, and back.
    fn cross<T>(
        self,
        f: impl FnOnce(&mut dyn Calls, Guest<'_>) -> Result<T, Unwind>,
    ) -> Result<T, RuntimeError> {
        let result = signal::outside_guest(|| {
            // SAFETY: the link outlives the run of its instance, and this is called by code of that instance.
            // Nothing else has a reference to it: the instance is borrowed by `run` alone.
            let link = unsafe { self.0.as_ref() };
            let calls = link.calls?;
            let anatomy = &link.anatomy;
            let (base, length) = anatomy.memory();
            // SAFETY: the memory is committed from base to length, does not move, and its guest waits for us,
            // so nobody writes to it while the slice lives.
            let memory = unsafe { std::slice::from_raw_parts_mut(base, length) };
            // SAFETY: the gas global lives in the instance, whose guest waits for us.
            let gas = unsafe { &mut *anatomy.gas() };
            // SAFETY: `run` keeps what this points to alive and lets nobody else use it until the guest ends.
            Some(f(unsafe { &mut *calls.as_ptr() }, Guest { memory, gas }))
        });
        match result {
            Some(Ok(value)) => Ok(value),
            Some(Err(Unwind)) | None => Err(UNWOUND.clone()),
        }
    }
}

struct NativeInstance {
    store: Rc<RefCell<Store>>,
    exports: wasmer::Instance,
    /// By name, with the start function under `None`: a module has few that are called.
    methods: Vec<(MethodName, TypedFunction<(), ()>)>,
    link: Box<Link>,
    facts: Arc<ModuleFacts>,
    first_globals: Vec<u128>,
    poisoned: bool,
}

impl NativeInstance {
    fn new(
        store: Rc<RefCell<Store>>,
        module: &wasmer::Module,
        facts: Arc<ModuleFacts>,
    ) -> Result<Result<Self, Trap>, HostFault> {
        let mut link = Box::new(Link { calls: None, anatomy: Anatomy::default() });
        let pointer = LinkPointer(NonNull::from(link.as_mut()));
        let made = with_store(&store, |store| {
            let mut imports = Imports::new();
            let internal = export::INTERNAL;
            // A closure that has the pointer is called with less ado than a function with an environment.
            let exhausted = Function::new_typed(store, move |charge: u64| {
                pointer.cross(|calls, guest| calls.gas_exhausted(charge, guest))
            });
            imports.define(internal, export::GAS_EXHAUSTED, exhausted);
            let exhausted = Function::new_typed(store, move || -> Result<(), RuntimeError> {
                pointer.cross(|calls, guest| Err(calls.stack_exhausted(guest)))
            });
            imports.define(internal, export::STACK_EXHAUSTED, exhausted);
            for id in &facts.imports {
                imports.define("env", id.row().name, import(store, pointer, *id)?);
            }
            drop(Anatomy::take());
            Ok::<_, HostFault>(wasmer::Instance::new(store, module, &imports))
        })?;
        link.anatomy = Anatomy::take();
        let exports = match made {
            Ok(exports) => exports,
            Err(wasmer::InstantiationError::Start(error)) => {
                return match trap_of(&error) {
                    Some(trap) => Ok(Err(trap)),
                    None => Err(HostFault::Engine(error.to_string())),
                };
            }
            Err(error) => return Err(HostFault::Engine(error.to_string())),
        };
        let first_globals = link.anatomy.read_globals();
        let methods = Vec::new();
        Ok(Ok(Self { store, exports, methods, link, facts, first_globals, poisoned: false }))
    }

    fn gas(&self) -> *mut u64 {
        self.link.anatomy.gas()
    }

    /// The position of a method among those that were called.
    fn method(&mut self, method: Option<&str>) -> Option<usize> {
        if let Some(at) = self.methods.iter().position(|(name, _)| name.as_deref() == method) {
            return Some(at);
        }
        let name = match method {
            Some(method) => [export::FUNCTION_PREFIX, method].concat(),
            None => export::START.to_owned(),
        };
        let function: TypedFunction<(), ()> = with_store(&self.store, |store| {
            self.exports.exports.get_typed_function(&store.as_store_mut(), &name).ok()
        })?;
        self.methods.push((method.map(Into::into), function));
        Some(self.methods.len() - 1)
    }
}

impl Instance for NativeInstance {
    fn run(&mut self, method: Option<&str>, gas: u64, calls: &mut dyn Calls) -> (Exit, u64) {
        let Some(method) = self.method(method) else {
            return (Exit::Trapped(Trap::Unreachable), gas);
        };
        // SAFETY: the lifetime is hidden from wasmer, which wants 'static. `calls` outlives this function,
        // the pointer is cleared before it returns, and only code that runs inside it follows the pointer.
        self.link.calls = Some(unsafe {
            std::mem::transmute::<NonNull<dyn Calls + '_>, NonNull<dyn Calls + 'static>>(
                NonNull::from(calls),
            )
        });
        // SAFETY: the gas global lives in the instance, which is not running yet.
        unsafe { *self.gas() = gas };
        let result = {
            let _guest = signal::enter_guest();
            let (_, function) = &self.methods[method];
            with_store(&self.store, |store| function.call(store))
        };
        self.link.calls = None;
        // SAFETY: the gas global lives in the instance, which is not running any more.
        let left = unsafe { *self.gas() };
        let exit = match result {
            Ok(()) => Exit::Returned,
            Err(error) => match trap_of(&error) {
                Some(trap) => Exit::Trapped(trap),
                None => Exit::Unwound,
            },
        };
        (exit, left)
    }

    fn pages(&self) -> u32 {
        (self.link.anatomy.memory().1 as u64 / super::PAGE_BYTES) as u32
    }

    fn growth(&self) -> Arc<Growth> {
        self.link.anatomy.growth()
    }

    fn reset(&mut self, keep_warm: bool) -> bool {
        if self.poisoned || !self.facts.reusable {
            self.link.anatomy.abandon();
            return false;
        }
        self.link.anatomy.write_globals(&self.first_globals);
        let Self { facts, link, .. } = self;
        link.anatomy.reset_memory(facts.initial_pages, &facts.data, keep_warm)
    }
}

/// Borrows the store of an arena, also while guests of it are suspended further up.
fn with_store<T>(store: &Rc<RefCell<Store>>, f: impl FnOnce(&mut Store) -> T) -> T {
    // SAFETY: the store is entered recursively: a guest calls a host function, which runs another guest of
    // the same store. wasmer makes room for that (each call pushes an entry with the pointer it was given,
    // and a host function gets its borrow from the top entry); the outer borrow is inside a host function of
    // ours that does not touch the store until the inner call has come back to it.
    f(unsafe { &mut *store.as_ptr() })
}

/// The one error that unwinds guests. wasmer takes a backtrace for each that is made, which would be most of
/// what closing a suspended module costs.
static UNWOUND: LazyLock<RuntimeError> = LazyLock::new(|| RuntimeError::user(Box::new(Unwound)));

/// Carries an unwinding through wasmer.
#[derive(Debug, thiserror::Error)]
#[error("unwound by the host")]
struct Unwound;

/// A host function as wasmer imports it.
fn import(store: &mut Store, link: LinkPointer, id: HostFunctionId) -> Result<Function, HostFault> {
    let row = id.row();
    macro_rules! shapes {
        ($([$($arg:ident: $ty:ident),*] -> $result:ident),* $(,)?) => {
            $(if row.params.iter().map(|p| p.width).eq([$(shape!(@width $ty)),*])
                && row.result == shape!(@result $result)
            {
                return Ok(Function::new_typed(
                    store,
                    move |$($arg: $ty),*| -> Result<shape!(@type $result), RuntimeError> {
                        let value = link.cross(|calls, guest| {
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

/// The trap behind an error of wasmer; `None` if the host unwound the guest.
fn trap_of(error: &RuntimeError) -> Option<Trap> {
    Some(match error.clone().to_trap()? {
        TrapCode::StackOverflow => Trap::StackOverflow,
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
