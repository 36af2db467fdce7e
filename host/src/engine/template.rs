//! The first state of a native instance, besides its memory: copied back when the instance is reset.
//!
//! wasmer keeps the globals of an instance, the definitions of its tables and memories, and the elements of tables of fixed
//! size in one piece; the elements of other tables are a piece each. A reset copies them all from where they were copied to when
//! the instance was made, so it costs what as many bytes cost.
//!
//! Segments that a guest drops: wasmer forgets them for good. So its instances do not hear of it: the functions that their code
//! calls to drop a segment and to read from one are ours, and remember what was dropped until the reset.
//!
//! One of the places with `unsafe` (architecture, invariant 2).
#![allow(unsafe_code)]

use cotenant_gas::export;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ptr::NonNull;
use wasmer_vm::{
    StoreObject, StoreObjects, Trap, TrapCode, VMBuiltinFunctionIndex, VMContext, VMInstance,
    VMTable, VMTableDefinition, libcalls,
};

/// The first state of one instance. It lies in the same place as long as the instance lives.
pub(super) struct Template {
    /// Where wasmer keeps what changes.
    place: NonNull<u8>,
    first: Box<[u8]>,
    /// Tables that the module's code can write to, with the offset of their definitions in `first`.
    tables: Vec<TableTemplate>,
}

struct TableTemplate {
    offset: usize,
    elements: Box<[usize]>,
}

impl Template {
    /// The state of an instance that was just made. `writes_tables`: the module's code can write to tables.
    pub(super) fn of(vm: &VMInstance, writes_tables: bool) -> Self {
        let offsets = vm.vmoffsets();
        let start = offsets.vmctx_tables_begin() as usize;
        let end = offsets.vmctx_builtin_functions_begin() as usize;
        // SAFETY: tables, elements, memories and globals lie between these offsets, in this order, behind the context
        // of every instance.
        let (place, first) = unsafe {
            let place = vm.vmctx_ptr().cast::<u8>().add(start);
            let bytes = std::slice::from_raw_parts(place, end - start);
            (NonNull::new_unchecked(place), Box::from(bytes))
        };
        let mut template = Self { place, first, tables: Vec::new() };
        if writes_tables {
            let bytes = usize::from(offsets.size_of_vmtable_definition());
            for index in 0..offsets.num_local_tables() as usize {
                let offset = index * bytes;
                // SAFETY: a definition says where its table's elements are, each a pointer or null, and how many.
                let elements = unsafe {
                    let definition = template.definition(offset).as_ref();
                    let count = definition.current_elements as usize;
                    std::slice::from_raw_parts(definition.base.cast::<usize>(), count).into()
                };
                template.tables.push(TableTemplate { offset, elements });
            }
        }
        template
    }

    fn definition(&self, offset: usize) -> NonNull<VMTableDefinition> {
        // SAFETY: the offset is that of a table's definition.
        unsafe { self.place.add(offset).cast() }
    }

    /// Bytes that it keeps.
    pub(super) fn bytes(&self) -> usize {
        let elements = self.tables.iter().map(|table| size_of_val(&*table.elements));
        self.first.len() + elements.sum::<usize>()
    }

    /// Puts the instance, which is not running, back into its first state.
    pub(super) fn restore(&mut self, objects: &mut StoreObjects) -> bool {
        for index in 0..self.tables.len() {
            let TableTemplate { offset, elements } = &self.tables[index];
            let (offset, count) = (*offset, elements.len());
            let definition = self.definition(offset);
            // SAFETY: the definition lives as long as the instance.
            if unsafe { definition.as_ref() }.current_elements as usize != count {
                let Some(table) = VMTable::list_mut(objects).get_mut(index) else { return false };
                let (ty, style) = (*table.ty(), table.style().clone());
                // SAFETY: the definition is this table's.
                match unsafe { VMTable::from_definition(&ty, &style, definition) } {
                    Ok(fresh) => *table = fresh,
                    Err(_) => return false,
                }
                let bytes = size_of::<VMTableDefinition>();
                // SAFETY: the definition has so many bytes, and lies at this offset of the piece.
                let fresh =
                    unsafe { std::slice::from_raw_parts(definition.as_ptr().cast::<u8>(), bytes) };
                self.first[offset..offset + bytes].copy_from_slice(fresh);
            }
            let elements = &self.tables[index].elements;
            // SAFETY: the table has as many elements as it had when they were copied.
            unsafe {
                let base = definition.as_ref().base.cast::<usize>();
                base.copy_from_nonoverlapping(elements.as_ptr(), count);
            }
        }
        // SAFETY: the piece is as long as its copy, which lies elsewhere.
        unsafe {
            self.place.as_ptr().copy_from_nonoverlapping(self.first.as_ptr(), self.first.len());
        }
        true
    }
}

/// Where the gas meter of an instance lives. Valid as long as the instance.
pub(super) fn gas_of(vm: &VMInstance) -> NonNull<u64> {
    meter_global(vm, 0)
}

/// Where an instance says that it accesses a table. Valid as long as the instance.
pub(super) fn table_access_of(vm: &VMInstance) -> NonNull<u32> {
    meter_global(vm, 3)
}

/// Where the meters' global of this number lives.
fn meter_global<T>(vm: &VMInstance, number: usize) -> NonNull<T> {
    let offsets = vm.vmoffsets();
    let index = offsets.num_local_globals() as usize - export::METER_GLOBALS + number;
    let offset = offsets.vmctx_globals_begin() as usize
        + index * usize::from(offsets.size_of_vmglobal_local());
    // SAFETY: the meter adds its globals behind the module's own, and a context is not at address 0.
    unsafe { NonNull::new_unchecked(vm.vmctx_ptr().cast::<u8>().add(offset).cast()) }
}

/// The segments that the guest of an instance has dropped.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    any: Cell<bool>,
    data: RefCell<BTreeSet<u32>>,
    elements: RefCell<BTreeSet<u32>>,
}

impl Dropped {
    /// Brings them back.
    pub(super) fn reset(&self) {
        if self.any.replace(false) {
            self.data.borrow_mut().clear();
            self.elements.borrow_mut().clear();
        }
    }

    fn note(&self, segments: &RefCell<BTreeSet<u32>>, segment: u32) {
        wasmer_vm::on_host_stack(|| segments.borrow_mut().insert(segment));
        self.any.set(true);
    }

    fn has(&self, segments: &RefCell<BTreeSet<u32>>, segment: u32) -> bool {
        self.any.get() && segments.borrow().contains(&segment)
    }
}

/// Lets the code of an instance call our functions where it drops segments or reads from them.
///
/// # Safety
/// `F` finds, from the context of this instance, what lives as long as it.
pub(super) unsafe fn keep_segments<F: Find>(vm: &VMInstance) {
    let offsets = vm.vmoffsets();
    let ours = [
        (VMBuiltinFunctionIndex::get_data_drop_index(), data_drop::<F> as *const () as usize),
        (VMBuiltinFunctionIndex::get_elem_drop_index(), elem_drop::<F> as *const () as usize),
        (VMBuiltinFunctionIndex::get_memory_init_index(), memory_init::<F> as *const () as usize),
        (VMBuiltinFunctionIndex::get_table_init_index(), table_init::<F> as *const () as usize),
    ];
    for (index, function) in ours {
        let offset = offsets.vmctx_builtin_function(index) as usize;
        // SAFETY: every context has a function's address at this offset, and ours have the signatures of those that
        // they stand for.
        unsafe { vm.vmctx_ptr().cast::<u8>().add(offset).cast::<usize>().write(function) };
    }
}

/// Finds what an instance has dropped.
pub(super) trait Find {
    /// # Safety
    /// Only for the context of an instance that [`keep_segments`] was called for, while it runs.
    unsafe fn dropped<'a>(context: *mut VMContext) -> &'a Dropped;
}

unsafe extern "C" fn data_drop<F: Find>(context: *mut VMContext, segment: u32) {
    // SAFETY: code of the instance calls this with its own context.
    let dropped = unsafe {
        super::signal::check_room();
        F::dropped(context)
    };
    dropped.note(&dropped.data, segment);
}

unsafe extern "C" fn elem_drop<F: Find>(context: *mut VMContext, segment: u32) {
    // SAFETY: as above.
    let dropped = unsafe {
        super::signal::check_room();
        F::dropped(context)
    };
    dropped.note(&dropped.elements, segment);
}

/// A dropped segment has no bytes: whoever reads any is out of bounds.
unsafe extern "C" fn memory_init<F: Find>(
    context: *mut VMContext,
    memory: u32,
    segment: u32,
    to: u32,
    from: u32,
    length: u32,
) {
    // SAFETY: as above; only guest frames are on the stack that a trap abandons.
    unsafe {
        super::signal::check_room();
        let dropped = F::dropped(context);
        if (from | length) != 0 && dropped.has(&dropped.data, segment) {
            wasmer_vm::raise_lib_trap(without_backtrace(TrapCode::HeapAccessOutOfBounds));
        }
        libcalls::wasmer_vm_memory32_init(context, memory, segment, to, from, length);
    }
}

/// A dropped segment has no elements: whoever reads any is out of bounds.
unsafe extern "C" fn table_init<F: Find>(
    context: *mut VMContext,
    table: u32,
    segment: u32,
    to: u32,
    from: u32,
    length: u32,
) {
    // SAFETY: as above.
    unsafe {
        super::signal::check_room();
        let dropped = F::dropped(context);
        if (from | length) != 0 && dropped.has(&dropped.elements, segment) {
            wasmer_vm::raise_lib_trap(without_backtrace(TrapCode::TableAccessOutOfBounds));
        }
        libcalls::wasmer_vm_table_init(context, table, segment, to, from, length);
    }
}

fn without_backtrace(trap_code: TrapCode) -> Trap {
    Trap::Lib { trap_code, backtrace: backtrace::Backtrace::from(Vec::new()) }
}
