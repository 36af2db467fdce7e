//! Idle instances, to be used again: of each module on each thread some, of all threads together a bounded number and a
//! bounded number of bytes. What was used longest ago goes first.
//!
//! An instance in a pool is like new: it was reset before it came here.

use super::Instance;
use super::arena::Stacks;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// Idle instances kept of one module on one thread: an EVM's 1,025 frames fit.
const OF_MODULE_MAX: usize = 1_100;

/// Of those, how many keep what their guests touched resident.
const WARM_MAX: usize = 16;

/// Idle instances of a process.
const INSTANCES_MAX: usize = 4_096;

/// Bytes that they keep.
const BYTES_MAX: usize = 256 << 20;

/// How much is left of either bound when it was passed: one search for what to drop serves many.
const KEPT_PARTS: (usize, usize) = (7, 8);

static INSTANCES: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// Idle instances of this process, and the bytes that they keep.
pub(super) fn idle() -> (usize, usize) {
    (INSTANCES.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed))
}

/// An instance that nobody uses; counted as long as it is one.
struct IdleInstance {
    instance: Option<Box<dyn Instance>>,
    bytes: usize,
}

impl IdleInstance {
    fn new(instance: Box<dyn Instance>) -> Self {
        let bytes = instance.idle_bytes();
        INSTANCES.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(bytes, Ordering::Relaxed);
        Self { instance: Some(instance), bytes }
    }
}

impl Drop for IdleInstance {
    fn drop(&mut self) {
        INSTANCES.fetch_sub(1, Ordering::Relaxed);
        BYTES.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Idle instances of one module on one thread, all of them like new.
struct Pool {
    /// Gone with the module.
    loaded: Weak<()>,
    idle: RefCell<Vec<IdleInstance>>,
    used: Cell<u64>,
}

#[derive(Default)]
struct Pools {
    by_module: BTreeMap<u64, Rc<Pool>>,
    uses: u64,
}

thread_local! {
    static POOLS: RefCell<Pools> = RefCell::default();
}

/// A number for a module that was just loaded: no other has it.
pub(super) fn new_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A module's place among the pools of a thread.
pub(super) struct Place(Rc<Pool>);

/// The place of a module on this thread. `loaded` is dropped with the module, and its instances are then no longer kept.
pub(super) fn place(module: u64, loaded: &Arc<()>) -> Place {
    POOLS.with_borrow_mut(|pools| {
        pools.uses += 1;
        let uses = pools.uses;
        if let Some(pool) = pools.by_module.get(&module) {
            pool.used.set(uses);
            return Place(pool.clone());
        }
        pools.by_module.retain(|_, pool| pool.loaded.strong_count() > 0);
        let pool = Rc::new(Pool {
            loaded: Arc::downgrade(loaded),
            idle: RefCell::default(),
            used: Cell::new(uses),
        });
        pools.by_module.insert(module, pool.clone());
        Place(pool)
    })
}

impl Place {
    /// An idle instance of the module; `None` if there is none.
    pub(super) fn take(&self) -> Option<Box<dyn Instance>> {
        self.0.idle.borrow_mut().pop()?.instance.take()
    }

    /// An instance that comes back here when it is dropped.
    pub(super) fn lend(self, instance: Box<dyn Instance>, stacks: Stacks) -> PooledInstance {
        PooledInstance { instance: Some(instance), pool: self.0, _stacks: stacks }
    }
}

/// An instance that returns to its pool when it is dropped.
pub struct PooledInstance {
    instance: Option<Box<dyn Instance>>,
    pool: Rc<Pool>,
    _stacks: Stacks,
}

impl std::ops::Deref for PooledInstance {
    type Target = dyn Instance;
    fn deref(&self) -> &Self::Target {
        match &self.instance {
            Some(instance) => instance.as_ref(),
            None => unreachable!("the instance leaves only on drop"),
        }
    }
}

impl std::ops::DerefMut for PooledInstance {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match &mut self.instance {
            Some(instance) => instance.as_mut(),
            None => unreachable!("the instance leaves only on drop"),
        }
    }
}

impl Drop for PooledInstance {
    fn drop(&mut self) {
        let Some(mut instance) = self.instance.take() else { return };
        let idle = self.pool.idle.borrow().len();
        // What a panic left behind is not used again.
        if std::thread::panicking()
            || idle >= OF_MODULE_MAX
            || self.pool.loaded.strong_count() == 0
            || !instance.reset(idle < WARM_MAX)
        {
            return;
        }
        self.pool.idle.borrow_mut().push(IdleInstance::new(instance));
        if is_over((1, 1)) {
            evict(KEPT_PARTS);
        }
    }
}

/// Whether more is kept than these parts of what may be.
fn is_over((parts, of): (usize, usize)) -> bool {
    let (instances, bytes) = idle();
    instances > INSTANCES_MAX / of * parts || bytes > BYTES_MAX / of * parts
}

/// Drops idle instances of this thread, those of the module that was used longest ago first, until these parts of what
/// may be kept are left in the process.
fn evict(parts: (usize, usize)) {
    // A thread that ends has no pools any more.
    let _ = POOLS.try_with(|pools| {
        let pools = pools.borrow();
        let mut by_use: Vec<&Rc<Pool>> = pools.by_module.values().collect();
        by_use.sort_unstable_by_key(|pool| pool.used.get());
        for pool in by_use {
            while is_over(parts) {
                let Some(dropped) = pool.idle.borrow_mut().pop() else { break };
                drop(dropped);
            }
        }
    });
}

/// Drops all idle instances of this thread: somebody needs what they hold.
pub(super) fn evict_all() {
    evict((0, 1));
}
