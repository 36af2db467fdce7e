//! Linear memories out of the arena, as wasmer and wasmi want to have them. One of the places with `unsafe`
//! (architecture, invariant 2).
#![allow(unsafe_code)]

use super::arena::{Slot, bytes_of};
use super::{GaveUp, Growth, PAGE_BYTES};
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use wasmer::sys::Tunables;
use wasmer::sys::vm::{
    LinearMemory, MemoryError, MemoryStyle, VMMemory, VMMemoryDefinition, VMTable,
    VMTableDefinition,
};
use wasmer::{MemoryType, Pages, TableType};
use wasmer_vm::TableStyle;

thread_local! {
    /// The memory of all native instances of this thread whose memory has no page and never grows.
    static CLOSED: RefCell<Weak<RefCell<Slot>>> = const { RefCell::new(Weak::new()) };
}

fn closed() -> Result<Rc<RefCell<Slot>>, GaveUp> {
    CLOSED.with_borrow_mut(|closed| {
        if let Some(slot) = closed.upgrade() {
            return Ok(slot);
        }
        let slot = Rc::new(RefCell::new(Slot::native(0)?));
        *closed = Rc::downgrade(&slot);
        Ok(slot)
    })
}

/// A linear memory as wasmer sees it.
#[derive(Debug)]
struct NativeMemory {
    slot: Rc<RefCell<Slot>>,
    ty: MemoryType,
    definition: NonNull<VMMemoryDefinition>,
    growth: Arc<Growth>,
}

// SAFETY: the definition and the slot belong to the instance that owns this memory, and an instance stays on its thread.
unsafe impl Send for NativeMemory {}
// SAFETY: as above.
unsafe impl Sync for NativeMemory {}

impl NativeMemory {
    fn length(&self) -> usize {
        // SAFETY: the definition lives as long as the instance, which owns this memory.
        unsafe { self.definition.as_ref().current_length }
    }
}

impl LinearMemory for NativeMemory {
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
                let to = bytes_of(after);
                if self.length() < to && !self.slot.borrow_mut().open(to) {
                    // What the guest is told does not count.
                    super::signal::note_gave_up(GaveUp::AddressSpace);
                    return Err(MemoryError::Region("the kernel opens no more of it".into()));
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

/// The memory of one native instance, as its host sees it.
#[derive(Debug)]
pub(super) struct MemoryParts {
    slot: Rc<RefCell<Slot>>,
    definition: NonNull<VMMemoryDefinition>,
    growth: Arc<Growth>,
    initial: usize,
}

impl MemoryParts {
    /// Base and length. The base stays where it is.
    pub(super) fn bytes(&self) -> (*mut u8, usize) {
        // SAFETY: the definition lives as long as the instance whose memory this is.
        let definition = unsafe { self.definition.as_ref() };
        (definition.base, definition.current_length)
    }

    /// How the memory may grow.
    pub(super) fn growth(&self) -> &Arc<Growth> {
        &self.growth
    }

    /// Bytes that stay resident after a reset that keeps them.
    pub(super) fn warm_bytes(&self) -> usize {
        self.slot.borrow().warm_bytes()
    }

    /// Makes the memory as it was: zeroes of its first length with the data in place. What is kept warm stays resident.
    pub(super) fn reset(&mut self, data: &[(u32, Vec<u8>)], keep_warm: bool) -> bool {
        let (base, length) = self.bytes();
        let mut slot = self.slot.borrow_mut();
        if length > 0 && !slot.clear(length, keep_warm) {
            return false;
        }
        if slot.open_bytes() > self.initial && !slot.open(self.initial) {
            return false;
        }
        // SAFETY: the definition lives as long as the instance, which is not running.
        unsafe { (*self.definition.as_ptr()).current_length = self.initial };
        self.growth.reset();
        for (offset, bytes) in data {
            let offset = *offset as usize;
            if offset.checked_add(bytes.len()).is_none_or(|end| end > self.initial) {
                return false;
            }
            // SAFETY: the range was just checked to lie in the open part of the slot.
            unsafe { base.add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
        true
    }
}

/// Makes the memory of one instance when wasmer asks for it, and remembers where it is.
pub(super) struct MemoryMaker {
    never_used: bool,
    parts: RefCell<Option<MemoryParts>>,
    gave_up: Cell<Option<GaveUp>>,
}

impl MemoryMaker {
    /// `never_used`: the memory has no page, and the module's code never grows it.
    pub(super) fn new(never_used: bool) -> Self {
        Self { never_used, parts: RefCell::default(), gave_up: Cell::new(None) }
    }

    /// Why there was no memory, if there was none.
    pub(super) fn gave_up(&self) -> Option<GaveUp> {
        self.gave_up.get()
    }

    /// The memory that was made.
    pub(super) fn into_parts(self) -> Option<MemoryParts> {
        self.parts.into_inner()
    }
}

impl Tunables for MemoryMaker {
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
        let initial = bytes_of(ty.minimum.0);
        let slot = if self.never_used && initial == 0 {
            closed()
        } else {
            Slot::native(initial).map(|slot| Rc::new(RefCell::new(slot)))
        };
        let slot = slot.map_err(|gave_up| {
            self.gave_up.set(Some(gave_up));
            MemoryError::Region(gave_up.to_string())
        })?;
        let base = slot.borrow().base().as_ptr();
        // SAFETY: wasmer gives a valid place in the instance it is making.
        unsafe {
            vm_definition_location
                .as_ptr()
                .write(VMMemoryDefinition { base, current_length: initial });
        }
        let growth = Growth::unlimited();
        if self.never_used {
            growth.limit(0);
        }
        let definition = vm_definition_location;
        self.parts.replace(Some(MemoryParts {
            slot: slot.clone(),
            definition,
            growth: growth.clone(),
            initial,
        }));
        Ok(VMMemory(Box::new(NativeMemory { slot, ty: *ty, definition, growth })))
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
}

/// The memory of an interpreted instance: room for all that it may grow to, so that nothing is copied when it grows.
#[derive(Debug)]
pub(super) struct LentMemory {
    slot: Slot,
    bytes: usize,
}

impl LentMemory {
    /// A memory of so many pages.
    ///
    /// # Errors
    /// When the kernel gives no address space.
    pub(super) fn reserve(pages: u32) -> Result<Self, GaveUp> {
        let bytes = bytes_of(pages);
        Ok(Self { slot: Slot::lent(bytes)?, bytes })
    }

    /// All of its bytes.
    ///
    /// # Safety
    /// Called once, and whoever gets the bytes is dropped before this memory is.
    pub(super) unsafe fn lend(&mut self) -> &'static mut [u8] {
        // SAFETY: the slot is open as a whole, nobody else reaches it, and the caller keeps to its lifetime.
        unsafe { std::slice::from_raw_parts_mut(self.slot.base().as_ptr(), self.bytes) }
    }

    /// Zeroes the first `length` bytes. What is kept warm stays resident.
    ///
    /// # Safety
    /// Nobody has a reference to the bytes while this runs.
    pub(super) unsafe fn clear(&mut self, length: usize, keep_warm: bool) -> bool {
        self.slot.clear(length, keep_warm)
    }

    /// Bytes that stay resident after a reset that keeps them.
    pub(super) fn warm_bytes(&self) -> usize {
        self.slot.warm_bytes()
    }
}
