//! The stacks that guests and their host functions run on: how much of each may be touched, and the bound over all.
//!
//! A stack begins with little that can be touched; the rest is protected. The signal handler opens more when it is hit, which
//! is how it is counted, and what was opened is given back and protected again before the stack is used by another. The
//! lowest part of a guest's stack is never for guest code (the yellow zone): what the guest calls may need it.
//!
//! One of the places with `unsafe` (architecture, invariant 2).
#![allow(unsafe_code)]

use corosensei::stack::{DefaultStack, Stack, StackPointer};
use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::LazyLock;

/// Address space of a guest's native stack.
pub(super) const GUEST_STACK_BYTES: usize = 4 << 20;

/// The yellow zone: guest code that reaches it gives up. What a guest calls finds at least so much below it.
const YELLOW_BYTES: usize = 128 << 10;

/// The part of the yellow zone that opens for what a guest calls. The rest opens only for what finds itself below the
/// zone's upper end and gives up there.
const YELLOW_UPPER_BYTES: usize = 64 << 10;

/// What of a stack can be touched at first.
const FIRST_BYTES: usize = 64 << 10;

/// Address space of a fiber's stack: NEAR's host functions run on it.
const FIBER_STACK_BYTES: usize = 1 << 20;

/// What the stacks of a thread may be opened by beyond their first bytes, all together: with the first bytes of two stacks for
/// each of 1,025 frames these are 256 MiB.
const OPENED_MAX: usize = 128 << 20;

thread_local! {
    /// Bytes that stacks in use on this thread were opened by.
    static OPENED: Cell<usize> = const { Cell::new(0) };
    /// The fiber that runs, if one does.
    static FIBER: Cell<*const Bounds> = const { Cell::new(std::ptr::null()) };
}

static PAGE_BYTES: LazyLock<usize> = LazyLock::new(|| {
    // SAFETY: asks the kernel for a number.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4_096)
});

/// Where a stack is. Addresses; a stack grows downwards.
#[derive(Debug)]
pub(super) struct Bounds {
    /// The end of it.
    base: Cell<usize>,
    /// The lowest byte, above the guard page.
    limit: Cell<usize>,
    /// The lowest byte that may be touched now.
    open: Cell<usize>,
}

/// For whom a stack is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// For guest code, which may be abandoned.
    Guest,
    /// For code of the host's, which may not.
    Host,
}

impl Bounds {
    pub(super) const fn unknown() -> Self {
        Self { base: Cell::new(0), limit: Cell::new(0), open: Cell::new(0) }
    }

    fn first(&self) -> usize {
        self.base.get() - FIRST_BYTES
    }

    /// Whether an address is in the part that is protected, or in the guard page below the stack.
    pub(super) fn is_closed(&self, address: usize) -> bool {
        let limit = self.limit.get();
        limit != 0 && (limit - *PAGE_BYTES..self.open.get()).contains(&address)
    }

    /// The upper end of a guest stack's yellow zone.
    fn yellow(&self) -> usize {
        self.limit.get() + YELLOW_BYTES
    }

    /// Whether what a guest calls has room at `address`.
    pub(super) fn has_room(&self, address: usize) -> bool {
        address >= self.yellow()
    }

    /// Opens the stack down to `address` at least. Async-signal-safe. False if it must not be, or cannot.
    pub(super) fn open(&self, address: usize, need: Need, yellow: bool) -> bool {
        let (base, limit, open) = (self.base.get(), self.limit.get(), self.open.get());
        let lowest = match (yellow, need) {
            (true, Need::Guest) => limit + YELLOW_BYTES,
            (true, Need::Host) if address >= limit + YELLOW_UPPER_BYTES => {
                limit + YELLOW_UPPER_BYTES
            }
            _ => limit,
        };
        if address < lowest || address >= open {
            return false;
        }
        // Twice as much as there is: a deep recursion is opened in a few steps.
        let wanted = open.saturating_sub(base - open).min(address & !(*PAGE_BYTES - 1));
        let to = match need {
            Need::Guest => wanted.max(lowest),
            // All of the zone that is meant for it, and no more than it asks for above.
            Need::Host if yellow && address < limit + YELLOW_BYTES => lowest,
            Need::Host => wanted.max(if yellow { limit + YELLOW_BYTES } else { limit }),
        };
        let opened = OPENED.get() + (open - to);
        if need == Need::Guest && opened > OPENED_MAX {
            return false;
        }
        if !protect(to, open, libc::PROT_READ | libc::PROT_WRITE) {
            return false;
        }
        OPENED.set(opened);
        self.open.set(to);
        true
    }

    /// Gives back what was opened, and protects it. The stack is not in use.
    pub(super) fn close(&self) {
        let (open, first) = (self.open.get(), self.first());
        if self.base.get() == 0 || open >= first {
            return;
        }
        // What stays open is found protected or is opened again: only the count depends on it.
        close_range(open, first);
        OPENED.set(OPENED.get().saturating_sub(first - open));
        self.open.set(first);
    }

    /// Learns the bounds of the stack of wasmer's that this is called on, near its base, and protects what is not
    /// open at first.
    ///
    /// # Safety
    /// Called on a stack of [`GUEST_STACK_BYTES`] that begins less than a page above `here`, an address in the frame of
    /// the caller.
    pub(super) unsafe fn enter_guest_stack(&self, here: usize) {
        let base = (here | (*PAGE_BYTES - 1)) + 1;
        self.base.set(base);
        self.limit.set(base - GUEST_STACK_BYTES);
        self.open.set(self.first());
        let first = self.first() as *mut u64;
        let mark = *PROTECTED ^ base as u64;
        // SAFETY: the lowest word of what is open at first; the frames of the caller are far above.
        unsafe {
            if first.read_volatile() != mark {
                close_range(self.limit.get(), self.first());
                first.write_volatile(mark);
            }
        }
    }
}

/// What stands at the lowest word that is open of a stack whose rest is protected: wasmer keeps its idle stacks where we cannot
/// see them. A guest that overwrites it causes one call of the kernel.
static PROTECTED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("protected"));

/// Whether more is open than may be: nothing new begins then.
pub(super) fn is_exhausted() -> bool {
    OPENED.get() > OPENED_MAX
}

/// Takes away part of a stack, and its pages: it is mapped anew, without any rights. What `mprotect` closes stays a
/// mapping of its own beside the guard page, as the kernel keeps it accounted for; this one becomes one with it.
fn close_range(from: usize, to: usize) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the range is part of a stack of ours that is not in use, and stays part of its reservation.
    from >= to
        || unsafe {
            let start = from as *mut libc::c_void;
            libc::mmap(start, to - from, libc::PROT_NONE, flags, -1, 0) == start
        }
}

/// Changes the protection of part of a stack. Async-signal-safe.
fn protect(from: usize, to: usize, protection: libc::c_int) -> bool {
    // SAFETY: the range is part of a stack of ours, and what is protected is not in use.
    from >= to || unsafe { libc::mprotect(from as *mut libc::c_void, to - from, protection) == 0 }
}

/// Opens the stack of the fiber that runs for what hits its protected part. False if that is not what was hit.
pub(super) fn open_fiber(address: usize) -> bool {
    let fiber = FIBER.get();
    // SAFETY: a fiber's bounds live as long as it runs.
    !fiber.is_null()
        && unsafe { (*fiber).is_closed(address) && (*fiber).open(address, Need::Host, false) }
}

/// The stack of a fiber.
pub(crate) struct FiberStack {
    stack: DefaultStack,
    bounds: Rc<Bounds>,
}

/// The way to a fiber's stack while a coroutine owns it.
#[derive(Clone)]
pub(crate) struct FiberBounds(Rc<Bounds>);

impl FiberStack {
    /// A new one, protected except for its first bytes.
    ///
    /// # Errors
    /// When there is no address space for it.
    pub(crate) fn new() -> std::io::Result<Self> {
        super::signal::install();
        let stack = DefaultStack::new(FIBER_STACK_BYTES)?;
        let bounds = Bounds::unknown();
        bounds.base.set(stack.base().get());
        bounds.limit.set(stack.base().get() - FIBER_STACK_BYTES);
        bounds.open.set(bounds.first());
        if !close_range(bounds.limit.get(), bounds.first()) {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self { stack, bounds: Rc::new(bounds) })
    }

    pub(crate) fn bounds(&self) -> FiberBounds {
        FiberBounds(self.bounds.clone())
    }

    /// Gives back what it was opened by.
    pub(crate) fn trim(&self) {
        self.bounds.close();
    }
}

impl Drop for FiberStack {
    fn drop(&mut self) {
        self.trim();
    }
}

impl FiberBounds {
    /// Runs `f`, which switches to the fiber and comes back.
    pub(crate) fn enter<T>(&self, f: impl FnOnce() -> T) -> T {
        struct Left(*const Bounds);
        impl Drop for Left {
            fn drop(&mut self) {
                FIBER.set(self.0);
            }
        }
        let _left = Left(FIBER.replace(Rc::as_ptr(&self.0)));
        f()
    }
}

// SAFETY: a stack of corosensei's own, whose guard page is there, and more is protected above it; the handler opens that.
unsafe impl Stack for FiberStack {
    fn base(&self) -> StackPointer {
        self.stack.base()
    }

    fn limit(&self) -> StackPointer {
        self.stack.limit()
    }
}
