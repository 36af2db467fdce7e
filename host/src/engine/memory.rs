//! Linear memory of instances: reserved address space that the kernel fills with zeroes when it is touched, and that
//! is cleared before it is used again. One of the places with `unsafe` (architecture, invariant 2).
#![allow(unsafe_code)]

use super::{Growth, PAGE_BYTES};
use crate::HostFault;
use cotenant_gas::export;
use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::Arc;
use wasmer::sys::Tunables;
use wasmer::sys::vm::{
    LinearMemory, MemoryError, MemoryStyle, VMMemory, VMMemoryDefinition, VMTable,
    VMTableDefinition,
};
use wasmer::{GlobalType, MemoryType, Pages, TableType};
use wasmer_vm::{TableStyle, VMConfig, VMGlobal, VMGlobalDefinition};

/// Address space of one memory of a native instance: all that a 32-bit index with a 32-bit offset can reach, so that
/// the code needs no bounds checks (wasmer's `MemoryStyle::Static`).
const RESERVED_BYTES: usize = (8 << 30) + 65_536;

/// Bytes of an OS page on the machines that `signal.rs` knows. Only speed depends on it.
const OS_PAGE_BYTES: usize = 4_096;

/// How much of a memory is zeroed by us when its instance is reset; the rest is given back to the kernel, which
/// costs a page fault when it is touched again.
const WARM_BYTES_MAX: usize = 128 << 10;

/// Ranges of it: each one more is one more call of the kernel.
const WARM_RANGES_MAX: usize = 4;

/// Regions of ended interpreted instances that a thread keeps, and how much of each stays resident.
const IDLE_REGIONS_MAX: usize = 16;
const IDLE_BYTES_MAX: usize = 16 << 20;

/// Resets after which it is looked up again what the guest touches.
const LOOK_EVERY: u32 = 256;

/// Native stack of one guest. The metered limit of 262,144 bytes trips first on every engine; tests hold
/// that a native frame is never sixteen times its metered one.
pub(super) const WASM_STACK_BYTES: usize = 4 << 20;

/// A reservation of address space.
#[derive(Debug)]
struct Region {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a region is only an address range; who may write to it is decided by the instance that owns it,
// and an instance stays on its thread.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    fn reserve(bytes: usize, protection: libc::c_int) -> Result<Self, MemoryError> {
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
            return Err(MemoryError::Region(std::io::Error::last_os_error().to_string()));
        }
        NonNull::new(base.cast())
            .map(|base| Self { base, bytes })
            .ok_or_else(|| MemoryError::Region("mmap gave null".into()))
    }

    /// Sets what may be done with bytes `from..to`, both multiples of a Wasm page.
    fn protect(&self, from: usize, to: usize, protection: libc::c_int) -> Result<(), MemoryError> {
        if from >= to {
            return Ok(());
        }
        assert!(to <= self.bytes, "a memory never leaves its reservation");
        // SAFETY: the range lies in the reservation, which nothing but this memory uses.
        let failed =
            unsafe { libc::mprotect(self.base.as_ptr().add(from).cast(), to - from, protection) };
        if failed == 0 {
            Ok(())
        } else {
            Err(MemoryError::Region(std::io::Error::last_os_error().to_string()))
        }
    }

    /// Gives pages back; they read as zero when they are touched again.
    fn discard(&self, from: usize, to: usize) -> bool {
        if from >= to {
            return true;
        }
        assert!(to <= self.bytes, "a memory never leaves its reservation");
        // SAFETY: the range lies in the reservation, and the instance that owns it is not running.
        let failed = unsafe {
            libc::madvise(self.base.as_ptr().add(from).cast(), to - from, libc::MADV_DONTNEED)
        };
        failed == 0
    }

    /// Makes `from..to` a mapping of its own in the kernel's books, so that a change of its protection neither
    /// splits its neighbours nor merges with them: a flag that they do not have keeps them apart.
    fn set_apart(&self, from: usize, to: usize) {
        // SAFETY: the range lies in the reservation; the flag only speaks of core dumps. That it may fail costs
        // time alone.
        unsafe {
            libc::madvise(self.base.as_ptr().add(from).cast(), to - from, libc::MADV_DONTDUMP)
        };
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

    /// Zeroes `0..length`, which is committed: what is warm by writing, what is between by giving it back.
    fn clear(&self, length: usize, warmth: Option<&mut Warmth>) -> bool {
        let Some(warmth) = warmth else { return self.discard(0, length) };
        if warmth.resets.is_multiple_of(LOOK_EVERY) {
            warmth.ranges = self.resident(length);
        }
        warmth.resets = warmth.resets.wrapping_add(1);
        let mut at = 0;
        for range in &warmth.ranges {
            if range.end > length {
                break;
            }
            if !self.discard(at, range.start) {
                return false;
            }
            // SAFETY: the range lies below the memory's length, so it is committed; its instance, which owns it,
            // is not running.
            unsafe { self.base.as_ptr().add(range.start).write_bytes(0, range.len()) };
            at = range.end;
        }
        self.discard(at, length)
    }
}

/// What a guest touches, in ascending order: zeroed at a reset instead of discarded.
#[derive(Debug, Default)]
struct Warmth {
    ranges: Vec<std::ops::Range<usize>>,
    resets: u32,
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `reserve` with this length, and whoever could reach it is gone.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// A linear memory as wasmer sees it.
#[derive(Debug)]
struct ReservedMemory {
    region: Arc<Region>,
    ty: MemoryType,
    definition: NonNull<VMMemoryDefinition>,
    growth: Arc<Growth>,
    /// What the memory grew by first is a mapping of its own: most guests grow by the same each time.
    apart: bool,
}

// SAFETY: the definition lies in the instance that owns this memory, and an instance stays on its thread.
unsafe impl Send for ReservedMemory {}
// SAFETY: as above.
unsafe impl Sync for ReservedMemory {}

impl ReservedMemory {
    fn length(&self) -> usize {
        // SAFETY: the definition lives as long as the instance, which owns this memory.
        unsafe { self.definition.as_ref().current_length }
    }
}

impl LinearMemory for ReservedMemory {
    fn ty(&self) -> MemoryType {
        self.ty
    }

    fn size(&self) -> Pages {
        Pages((self.length() as u64 / PAGE_BYTES) as u32)
    }

    fn style(&self) -> MemoryStyle {
        MemoryStyle::Static
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        let before = self.size();
        let refused = MemoryError::CouldNotGrow { current: before, attempted_delta: delta };
        let max = self.ty.maximum.map_or(65_536, |pages| pages.0);
        let allowed = |pages: u32| pages <= max && self.growth.allows(u64::from(pages));
        match before.0.checked_add(delta.0) {
            Some(after) if delta.0 == 0 || allowed(after) => {
                let to = after as usize * PAGE_BYTES as usize;
                let from = self.length();
                self.region.protect(from, to, libc::PROT_READ | libc::PROT_WRITE)?;
                if from < to {
                    self.growth.note();
                }
                if from < to && !self.apart {
                    self.apart = true;
                    self.region.set_apart(from, to);
                }
                // SAFETY: the definition lives as long as the instance; its guest waits for this grow.
                unsafe { self.definition.as_mut().current_length = to };
                Ok(before)
            }
            _ => Err(refused),
        }
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        self.definition
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::UnsupportedOperation { message: "memories are never shared".into() })
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::UnsupportedOperation { message: "memories are never copied".into() })
    }
}

/// The state of an instance that lies outside of our reach until wasmer has made it: recorded while wasmer
/// instantiates, so that the instance can be read and reset without asking wasmer.
#[derive(Debug, Default)]
pub(super) struct Anatomy {
    memory: Option<MemoryAnatomy>,
    globals: Vec<NonNull<VMGlobalDefinition>>,
}

#[derive(Debug)]
struct MemoryAnatomy {
    region: Arc<Region>,
    definition: NonNull<VMMemoryDefinition>,
    growth: Arc<Growth>,
    warmth: Warmth,
}

thread_local! {
    static RECORDING: RefCell<Anatomy> = RefCell::default();
}

impl Anatomy {
    /// Takes what was recorded since the last time.
    pub(super) fn take() -> Self {
        RECORDING.take()
    }

    /// Base and length of the memory.
    pub(super) fn memory(&self) -> (*mut u8, usize) {
        match &self.memory {
            // SAFETY: the definition lives as long as the instance that this anatomy describes.
            Some(memory) => unsafe {
                (memory.region.base.as_ptr(), memory.definition.as_ref().current_length)
            },
            None => (NonNull::dangling().as_ptr(), 0),
        }
    }

    /// How the memory may grow.
    pub(super) fn growth(&self) -> Arc<Growth> {
        self.memory.as_ref().map_or_else(Growth::unlimited, |memory| memory.growth.clone())
    }

    /// Where the gas meter lives. Valid as long as the instance.
    pub(super) fn gas(&self) -> *mut u64 {
        self.globals[self.globals.len() - export::METER_GLOBALS].as_ptr().cast()
    }

    /// Raw values of all globals.
    pub(super) fn read_globals(&self) -> Vec<u128> {
        // SAFETY: the definitions live as long as the instance; each holds a value of at most 16 bytes.
        self.globals.iter().map(|global| unsafe { global.as_ref().val.u128 }).collect()
    }

    /// Sets all globals to values read before.
    pub(super) fn write_globals(&self, values: &[u128]) {
        for (global, value) in self.globals.iter().zip(values) {
            // SAFETY: as in `read_globals`; the instance is not running.
            unsafe { (*global.as_ptr()).val.u128 = *value };
        }
    }

    /// Makes the memory as it was: `initial_pages` of zeroes with the data in place. What is kept warm stays
    /// resident.
    pub(super) fn reset_memory(
        &mut self,
        initial_pages: u32,
        data: &[(u32, Vec<u8>)],
        keep_warm: bool,
    ) -> bool {
        let initial = initial_pages as usize * PAGE_BYTES as usize;
        let (base, length) = self.memory();
        let Some(memory) = &mut self.memory else { return true };
        if !memory.region.clear(length, keep_warm.then_some(&mut memory.warmth)) {
            return false;
        }
        if length > initial && memory.region.protect(initial, length, libc::PROT_NONE).is_err() {
            return false;
        }
        // SAFETY: the definition lives as long as the instance, which is not running.
        unsafe { (*memory.definition.as_ptr()).current_length = initial };
        memory.growth.reset();
        for (offset, bytes) in data {
            let offset = *offset as usize;
            if offset.checked_add(bytes.len()).is_none_or(|end| end > initial) {
                return false;
            }
            // SAFETY: the range was just checked to lie in the committed part of the reservation.
            unsafe { base.add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
        true
    }

    /// Gives back what the memory holds, for an instance that will never run again.
    pub(super) fn abandon(&self) {
        if let Some(memory) = &self.memory {
            memory.region.discard(0, self.memory().1);
        }
    }
}

/// The memory of an interpreted instance: room for all that it may grow to, so that nothing is copied when it grows.
///
/// What is in it at first is anything: wasmi zeroes what an instance starts with and what it grows by.
#[derive(Debug)]
pub(super) struct LentMemory {
    /// Gone when it is dropped.
    region: Option<Region>,
    warmth: Warmth,
}

thread_local! {
    /// Regions that nobody has: to be written to they need no page faults.
    static IDLE: RefCell<Vec<Region>> = const { RefCell::new(Vec::new()) };
}

impl LentMemory {
    /// A memory of so many pages.
    pub(super) fn reserve(pages: u32) -> Result<Self, HostFault> {
        // A mapping has at least a byte.
        let bytes = (pages as usize * PAGE_BYTES as usize).max(OS_PAGE_BYTES);
        let idle = IDLE.with_borrow_mut(|idle| {
            let place = idle.iter().position(|region| region.bytes == bytes)?;
            Some(idle.swap_remove(place))
        });
        let region = match idle {
            Some(region) => region,
            None => Region::reserve(bytes, libc::PROT_READ | libc::PROT_WRITE)?,
        };
        Ok(Self { region: Some(region), warmth: Warmth::default() })
    }

    /// All of its bytes.
    ///
    /// # Safety
    /// Called once, and whoever gets the bytes is dropped before this memory is.
    pub(super) unsafe fn lend(&mut self) -> &'static mut [u8] {
        // SAFETY: the region is readable and writable as a whole, nobody else reaches it, and the caller keeps to
        // its lifetime.
        self.region.as_mut().map_or(&mut [], |region| unsafe {
            std::slice::from_raw_parts_mut(region.base.as_ptr(), region.bytes)
        })
    }

    /// Zeroes the first `length` bytes. What is kept warm stays resident.
    ///
    /// # Safety
    /// Nobody has a reference to the bytes while this runs.
    pub(super) unsafe fn clear(&mut self, length: usize, keep_warm: bool) -> bool {
        let warmth = keep_warm.then_some(&mut self.warmth);
        self.region.as_ref().is_some_and(|region| region.clear(length, warmth))
    }
}

impl Drop for LentMemory {
    fn drop(&mut self) {
        let Some(region) = self.region.take() else { return };
        // A thread that ends has no list any more.
        let _ = IDLE.try_with(|idle| {
            let mut idle = idle.borrow_mut();
            let far =
                region.bytes <= IDLE_BYTES_MAX || region.discard(IDLE_BYTES_MAX, region.bytes);
            if far && idle.len() < IDLE_REGIONS_MAX {
                idle.push(region);
            }
        });
    }
}

/// How wasmer makes memories, globals and stacks for us.
pub(super) struct RecordingTunables {
    config: VMConfig,
}

impl RecordingTunables {
    pub(super) fn new() -> Self {
        Self { config: VMConfig { wasm_stack_size: Some(WASM_STACK_BYTES) } }
    }
}

impl Tunables for RecordingTunables {
    fn memory_style(&self, _memory: &MemoryType) -> MemoryStyle {
        MemoryStyle::Static
    }

    fn table_style(&self, _table: &TableType) -> TableStyle {
        TableStyle::CallerChecksSignature
    }

    fn create_host_memory(
        &self,
        _ty: &MemoryType,
        _style: &MemoryStyle,
    ) -> Result<VMMemory, MemoryError> {
        Err(MemoryError::UnsupportedOperation { message: "memories are never imported".into() })
    }

    unsafe fn create_vm_memory(
        &self,
        ty: &MemoryType,
        _style: &MemoryStyle,
        vm_definition_location: NonNull<VMMemoryDefinition>,
    ) -> Result<VMMemory, MemoryError> {
        let region = Arc::new(Region::reserve(RESERVED_BYTES, libc::PROT_NONE)?);
        let length = ty.minimum.0 as usize * PAGE_BYTES as usize;
        region.protect(0, length, libc::PROT_READ | libc::PROT_WRITE)?;
        // SAFETY: wasmer gives a valid place in the instance it is making.
        unsafe {
            vm_definition_location
                .as_ptr()
                .write(VMMemoryDefinition { base: region.base.as_ptr(), current_length: length });
        }
        let growth = Growth::unlimited();
        RECORDING.with_borrow_mut(|anatomy| {
            anatomy.memory = Some(MemoryAnatomy {
                region: region.clone(),
                definition: vm_definition_location,
                growth: growth.clone(),
                warmth: Warmth::default(),
            });
        });
        let definition = vm_definition_location;
        let memory = ReservedMemory { region, ty: *ty, definition, growth, apart: false };
        Ok(VMMemory(Box::new(memory)))
    }

    fn create_host_table(&self, ty: &TableType, style: &TableStyle) -> Result<VMTable, String> {
        VMTable::new(ty, style)
    }

    unsafe fn create_vm_table(
        &self,
        ty: &TableType,
        style: &TableStyle,
        vm_definition_location: NonNull<VMTableDefinition>,
    ) -> Result<VMTable, String> {
        // SAFETY: passed on as wasmer gave it.
        unsafe { VMTable::from_definition(ty, style, vm_definition_location) }
    }

    unsafe fn create_vm_global(
        &self,
        ty: GlobalType,
        vm_definition_location: NonNull<VMGlobalDefinition>,
    ) -> Result<VMGlobal, String> {
        RECORDING.with_borrow_mut(|anatomy| anatomy.globals.push(vm_definition_location));
        // SAFETY: passed on as wasmer gave it.
        Ok(unsafe { VMGlobal::new_instance(ty, vm_definition_location) })
    }

    fn vmconfig(&self) -> &VMConfig {
        &self.config
    }
}

impl From<MemoryError> for HostFault {
    fn from(error: MemoryError) -> Self {
        HostFault::Engine(error.to_string())
    }
}
