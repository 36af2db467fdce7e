//! The memory arena of the process: address space for the memories of instances, taken and given back.
//!
//! Takes a wish for a memory; gives a [`Slot`] of zeroes, which returns to the arena when it is dropped. All threads share
//! the one arena. Its numbers are bounded: of slots, of mappings (the kernel allows a process
//! `vm.max_map_count` of them, and an allocator that finds none left ends the process), and of idle slots, which hold
//! address space and no memory. One of the places with `unsafe` (architecture, invariant 2).
#![allow(unsafe_code)]

use super::{GaveUp, PAGE_BYTES};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Address space of one memory of a native instance: all that a 32-bit index with a 32-bit offset can reach, so that
/// the code needs no bounds checks (wasmer's `MemoryStyle::Static`).
const NATIVE_BYTES: usize = (8 << 30) + 65_536;

/// Native slots of a process: 110 of the 128 TiB that 47 bits of address have.
const NATIVE_SLOTS_MAX: usize = 14_000;

/// Idle slots of a kind that the arena keeps: they save the calls of the kernel that make one.
const NATIVE_IDLE_MAX: usize = 1_200;
const LENT_IDLE_MAX: usize = 64;

/// Mappings that are left to the process itself, of those that the kernel allows.
const MAPPINGS_RESERVED: usize = 4_096;

/// What the kernel allows where it does not say.
const MAPPINGS_DEFAULT: usize = 65_530;

/// Mappings of a native slot: what may be used, and the guard behind it.
const SLOT_MAPPINGS: usize = 2;

/// Mappings of the stacks of a running guest: a fiber's and a native one, each with its guard.
const STACK_MAPPINGS: usize = 4;

/// Idle native stacks above which they are given back.
const STACKS_IDLE_MAX: usize = 1_200;

/// Bytes of an OS page on the machines that `signal.rs` knows. Only speed depends on it.
pub(super) const OS_PAGE_BYTES: usize = 4_096;

/// How much of a memory is zeroed by us when its instance is reset; the rest is given back to the kernel, which
/// costs a page fault when it is touched again.
const WARM_BYTES_MAX: usize = 128 << 10;

/// Ranges of it: each one more is one more call of the kernel.
const WARM_RANGES_MAX: usize = 4;

/// Resets after which it is looked up again what the guest touches.
const LOOK_EVERY: u32 = 256;

/// What the arena of the process holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaUse {
    /// Memories of native instances, idle instances included.
    pub native_slots: usize,
    /// Native slots that no instance has.
    pub native_slots_idle: usize,
    /// Memories that are lent to the interpreter.
    pub lent_slots: usize,
    /// Mappings that slots and stacks cause.
    pub mappings: usize,
    /// Idle instances of all threads.
    pub idle_instances: usize,
    /// Bytes that idle instances keep.
    pub idle_bytes: usize,
}

/// What the arena of this process holds now.
pub fn arena_use() -> ArenaUse {
    let arena = lock();
    let (idle_instances, idle_bytes) = super::pool::idle();
    ArenaUse {
        native_slots: arena.native_taken,
        native_slots_idle: arena.native.len(),
        lent_slots: arena.lent_taken,
        mappings: MAPPINGS.load(Ordering::Relaxed),
        idle_instances,
        idle_bytes,
    }
}

#[derive(Default)]
struct Arena {
    native: Vec<Region>,
    native_taken: usize,
    /// The one given back last at the end.
    lent: Vec<Region>,
    lent_taken: usize,
}

static ARENA: LazyLock<Mutex<Arena>> = LazyLock::new(Mutex::default);

fn lock() -> MutexGuard<'static, Arena> {
    ARENA.lock().unwrap_or_else(PoisonError::into_inner)
}

static MAPPINGS: AtomicUsize = AtomicUsize::new(0);

/// Mappings that the arena may cause.
static MAPPINGS_MAX: LazyLock<usize> = LazyLock::new(|| {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    text.trim().parse().unwrap_or(MAPPINGS_DEFAULT).saturating_sub(MAPPINGS_RESERVED)
});

fn take_mappings(count: usize) -> Result<(), GaveUp> {
    let limit = *MAPPINGS_MAX;
    if MAPPINGS.fetch_add(count, Ordering::Relaxed) + count <= limit {
        return Ok(());
    }
    MAPPINGS.fetch_sub(count, Ordering::Relaxed);
    Err(GaveUp::Mappings { limit })
}

fn give_mappings(count: usize) {
    MAPPINGS.fetch_sub(count, Ordering::Relaxed);
}

static GUESTS: AtomicUsize = AtomicUsize::new(0);

/// Pairs of stacks that were mapped for guests and not given back since.
static STACKS: AtomicUsize = AtomicUsize::new(0);

/// The place of a running guest: the mappings of its stacks are counted while it is there.
#[derive(Debug)]
pub(super) struct Stacks(());

impl Stacks {
    /// # Errors
    /// When the kernel allows no more mappings.
    pub(super) fn take() -> Result<Self, GaveUp> {
        let guests = GUESTS.fetch_add(1, Ordering::Relaxed) + 1;
        if guests > STACKS.load(Ordering::Relaxed) {
            if let Err(gave_up) = take_mappings(STACK_MAPPINGS) {
                GUESTS.fetch_sub(1, Ordering::Relaxed);
                return Err(gave_up);
            }
            STACKS.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Self(()))
    }
}

impl Drop for Stacks {
    fn drop(&mut self) {
        let guests = GUESTS.fetch_sub(1, Ordering::Relaxed) - 1;
        let stacks = STACKS.load(Ordering::Relaxed);
        let idle = stacks.saturating_sub(guests);
        // Idle stacks of fibers are bounded by `fiber.rs`; wasmer keeps all that there ever were.
        if idle > STACKS_IDLE_MAX
            && STACKS.compare_exchange(stacks, guests, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            wasmer_vm::drain_stack_pool();
            give_mappings(idle * STACK_MAPPINGS);
        }
    }
}

/// A reservation of address space: the first `open` bytes can be used; never more than `used` could since it was empty.
#[derive(Debug)]
struct Region {
    base: NonNull<u8>,
    bytes: usize,
    open: usize,
    used: usize,
}

// SAFETY: a region is only an address range; who may write to it is decided by the one who has its slot.
unsafe impl Send for Region {}

impl Region {
    fn reserve(bytes: usize, protection: libc::c_int) -> Option<Self> {
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no memory of ours.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                protection,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return None;
        }
        let open = if protection == libc::PROT_NONE { 0 } else { bytes };
        NonNull::new(base.cast()).map(|base| Self { base, bytes, open, used: open })
    }

    /// Makes exactly the first `open` bytes, a multiple of an OS page, usable.
    fn open(&mut self, open: usize) -> bool {
        let (range, protection) = if open > self.open {
            (self.open..open, libc::PROT_READ | libc::PROT_WRITE)
        } else {
            (open..self.open, libc::PROT_NONE)
        };
        if range.is_empty() {
            return true;
        }
        assert!(range.end <= self.bytes, "a memory never leaves its reservation");
        // SAFETY: the range lies in the reservation, which nothing but its slot uses.
        let failed = unsafe {
            libc::mprotect(self.base.as_ptr().add(range.start).cast(), range.len(), protection)
        };
        if failed == 0 {
            self.open = open;
            self.used = self.used.max(open);
        }
        failed == 0
    }

    /// Gives pages back; they read as zero when they are touched again.
    fn discard(&self, from: usize, to: usize) -> bool {
        if from >= to {
            return true;
        }
        assert!(to <= self.bytes, "a memory never leaves its reservation");
        // SAFETY: the range lies in the reservation, and the instance that has its slot is not running.
        let failed = unsafe {
            libc::madvise(self.base.as_ptr().add(from).cast(), to - from, libc::MADV_DONTNEED)
        };
        failed == 0
    }

    /// The ranges of `0..to` that are in memory, as far as they fit what is kept warm. What is missing here is
    /// discarded at a reset, so a wrong answer costs time alone.
    fn resident(&self, to: usize) -> Vec<std::ops::Range<usize>> {
        let mut pages = vec![0_u8; to / OS_PAGE_BYTES];
        // SAFETY: the range lies in the reservation, and the vector has a byte for each of its pages.
        let failed =
            unsafe { libc::mincore(self.base.as_ptr().cast(), to, pages.as_mut_ptr().cast()) };
        let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
        let mut bytes = 0;
        for (index, page) in pages.iter().enumerate() {
            if failed != 0 || page & 1 == 0 {
                continue;
            }
            let start = index * OS_PAGE_BYTES;
            let full = ranges.len() == WARM_RANGES_MAX;
            match ranges.last_mut() {
                // A gap of a few pages is cheaper to zero than to step around.
                Some(last) if start - last.end <= 4 * OS_PAGE_BYTES => {
                    bytes += start + OS_PAGE_BYTES - last.end;
                    last.end = start + OS_PAGE_BYTES;
                }
                _ if full => break,
                _ => {
                    bytes += OS_PAGE_BYTES;
                    ranges.push(start..start + OS_PAGE_BYTES);
                }
            }
            if bytes >= WARM_BYTES_MAX {
                break;
            }
        }
        ranges
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `reserve` with this length, and whoever could reach it is gone.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A native instance's: all that its code can reach, closed behind its end.
    Native,
    /// Lent to the interpreter, which checks bounds: open as a whole.
    Lent,
}

/// The memory of one instance: zeroes at first, and back in the arena when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    /// Gone when the slot is dropped.
    region: Option<Region>,
    kind: Kind,
    /// What the memory grew by first is a mapping of its own: most guests grow by the same each time.
    apart: bool,
    warmth: Warmth,
}

/// What a guest touches, in ascending order: zeroed at a reset instead of discarded.
#[derive(Debug, Default)]
struct Warmth {
    ranges: Vec<std::ops::Range<usize>>,
    resets: u32,
}

impl Slot {
    /// A slot of which a native instance can use the first `open` bytes.
    ///
    /// # Errors
    /// When the arena is full, or the kernel gives nothing.
    pub(super) fn native(open: usize) -> Result<Self, GaveUp> {
        let limit = NATIVE_SLOTS_MAX;
        let mut arena = lock();
        let mut region = match arena.native.pop() {
            Some(region) => region,
            None if arena.native_taken >= limit => return Err(GaveUp::Memories { limit }),
            None => {
                take_mappings(SLOT_MAPPINGS)?;
                let Some(region) = Region::reserve(NATIVE_BYTES, libc::PROT_NONE) else {
                    give_mappings(SLOT_MAPPINGS);
                    return Err(GaveUp::AddressSpace);
                };
                region
            }
        };
        if !region.open(open) {
            give_mappings(SLOT_MAPPINGS);
            return Err(GaveUp::AddressSpace);
        }
        arena.native_taken += 1;
        Ok(Self::of(region, Kind::Native))
    }

    /// A slot of so many bytes for the interpreter.
    ///
    /// # Errors
    /// When the kernel gives nothing.
    pub(super) fn lent(bytes: usize) -> Result<Self, GaveUp> {
        // A mapping has at least a byte.
        let bytes = bytes.max(OS_PAGE_BYTES);
        let mut arena = lock();
        let region = match arena.lent.iter().rposition(|region| region.bytes == bytes) {
            Some(place) => arena.lent.remove(place),
            None => {
                take_mappings(1)?;
                let open = libc::PROT_READ | libc::PROT_WRITE;
                let Some(region) = Region::reserve(bytes, open) else {
                    give_mappings(1);
                    return Err(GaveUp::AddressSpace);
                };
                region
            }
        };
        arena.lent_taken += 1;
        Ok(Self::of(region, Kind::Lent))
    }

    fn of(region: Region, kind: Kind) -> Self {
        Self { region: Some(region), kind, apart: false, warmth: Warmth::default() }
    }

    fn region(&self) -> &Region {
        match &self.region {
            Some(region) => region,
            None => unreachable!("the region leaves only on drop"),
        }
    }

    /// Where its bytes begin.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.region().base
    }

    /// How many bytes can be used.
    pub(super) fn open_bytes(&self) -> usize {
        self.region().open
    }

    /// Makes exactly the first `open` bytes usable; what it grows by is zero.
    pub(super) fn open(&mut self, open: usize) -> bool {
        let Some(region) = self.region.as_mut() else { return false };
        let from = region.open;
        if !region.open(open) {
            return false;
        }
        // A mapping of its own in the kernel's books, so that the next change of its protection neither splits its
        // neighbours nor merges with them: a flag that they do not have keeps them apart.
        if from < open && !self.apart && take_mappings(1).is_ok() {
            self.apart = true;
            // SAFETY: the range lies in the reservation; the flag only speaks of core dumps. That it may fail costs
            // time alone.
            unsafe {
                let start = region.base.as_ptr().add(from).cast();
                libc::madvise(start, open - from, libc::MADV_DONTDUMP);
            }
        }
        true
    }

    /// Zeroes `0..length`, which is open: what is warm by writing, what is between by giving it back. Only for a slot whose
    /// instance is not running.
    pub(super) fn clear(&mut self, length: usize, keep_warm: bool) -> bool {
        let Some(region) = &self.region else { return false };
        if !keep_warm {
            self.warmth = Warmth::default();
            return region.discard(0, length);
        }
        let warmth = &mut self.warmth;
        if warmth.resets.is_multiple_of(LOOK_EVERY) {
            warmth.ranges = region.resident(length);
        }
        warmth.resets = warmth.resets.wrapping_add(1);
        let mut at = 0;
        for range in &warmth.ranges {
            if range.end > length {
                break;
            }
            if !region.discard(at, range.start) {
                return false;
            }
            // SAFETY: the range lies below the memory's length, so it is open; its instance, which has the slot, is
            // not running.
            unsafe { region.base.as_ptr().add(range.start).write_bytes(0, range.len()) };
            at = range.end;
        }
        region.discard(at, length)
    }

    /// Bytes that stay resident after a reset that keeps them.
    pub(super) fn warm_bytes(&self) -> usize {
        self.warmth.ranges.iter().map(ExactSizeIterator::len).sum()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(mut region) = self.region.take() else { return };
        // What is given back holds no memory, so the next one finds zeroes.
        let clean = region.discard(0, region.used);
        region.used = region.open;
        let (own, idle_max) = match self.kind {
            Kind::Native => (SLOT_MAPPINGS, NATIVE_IDLE_MAX),
            Kind::Lent => (1, LENT_IDLE_MAX),
        };
        let mut arena = lock();
        let idle = match self.kind {
            Kind::Native => {
                arena.native_taken -= 1;
                &mut arena.native
            }
            Kind::Lent => {
                arena.lent_taken -= 1;
                &mut arena.lent
            }
        };
        // A slot that was split further goes back to the kernel, and the longest idle one of those too many.
        let mut gone = None;
        let mut mappings = usize::from(self.apart);
        if clean && !self.apart {
            if idle.len() >= idle_max {
                gone = Some(idle.remove(0));
                mappings += own;
            }
            idle.push(region);
        } else {
            mappings += own;
            gone = Some(region);
        }
        drop(arena);
        drop(gone);
        give_mappings(mappings);
    }
}

/// Bytes of so many pages.
pub(super) fn bytes_of(pages: u32) -> usize {
    pages as usize * PAGE_BYTES as usize
}
