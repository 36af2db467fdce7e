//! An allocator for contracts that keep and drop many things: a list of free blocks for each power of two.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;

use crate::allocator::Bump;

/// Bytes of the smallest block, as a power of two.
const SMALLEST: u32 = 4;

/// Sizes of blocks: 16 bytes, 32, and so on.
const CLASSES: usize = 28;

/// Hands out blocks of a power of two of bytes. What is freed is used again for the same size, in a few instructions
/// either way; nothing is ever joined or split.
#[derive(Debug)]
pub struct Pool {
    fresh: Bump,
    /// The first free block of each size, 0 for none; a free block begins with the address of the next.
    free: [Cell<usize>; CLASSES],
}

// SAFETY: wasm32-unknown-unknown without atomics has one thread.
unsafe impl Sync for Pool {}

impl Pool {
    /// An allocator that has not looked at the memory yet.
    #[expect(clippy::new_without_default, reason = "a static wants a const function")]
    pub const fn new() -> Self {
        Self { fresh: Bump::new(), free: [const { Cell::new(0) }; CLASSES] }
    }

    /// Which size of block a layout gets; `None` for more than there is memory.
    fn class(layout: Layout) -> Option<usize> {
        let bytes = layout.size().max(layout.align()).max(1 << SMALLEST);
        let class = (usize::BITS - (bytes - 1).leading_zeros() - SMALLEST) as usize;
        (class < CLASSES).then_some(class)
    }

    /// A block that was freed.
    fn take(&self, class: usize) -> Option<*mut u8> {
        let head = &self.free[class];
        let block = head.get();
        if block == 0 {
            return None;
        }
        // SAFETY: a block in the list is free, at least 16 bytes long, and begins with the next one's address.
        head.set(unsafe { *(block as *const usize) });
        Some(block as *mut u8)
    }

    fn block(class: usize, layout: Layout) -> Layout {
        let bytes = 1_usize << (class as u32 + SMALLEST);
        let align = layout.align().max(1 << SMALLEST);
        // SAFETY: the alignment is a layout's or 16, and a block is at most half of the address space.
        unsafe { Layout::from_size_align_unchecked(bytes, align) }
    }
}

// SAFETY: a block is in a free list or handed out, never both; fresh blocks do not overlap with any.
unsafe impl GlobalAlloc for Pool {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = Self::class(layout) else { return core::ptr::null_mut() };
        match self.take(class) {
            // A block is aligned to 16, or to what its first user wanted.
            Some(block) if block as usize & (layout.align() - 1) == 0 => block,
            // SAFETY: the layout is valid.
            _ => unsafe { self.fresh.alloc(Self::block(class, layout)) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(class) = Self::class(layout) else { return core::ptr::null_mut() };
        if self.free[class].get() == 0 {
            // Memory that nobody had is zero.
            // SAFETY: the layout is valid.
            return unsafe { self.fresh.alloc(Self::block(class, layout)) };
        }
        // SAFETY: the layout is the caller's.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: the block has that many bytes.
            unsafe { core::ptr::write_bytes(block, 0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some(class) = Self::class(layout) else { return };
        let head = &self.free[class];
        // SAFETY: the block is the caller's to give back, and at least 16 bytes long.
        unsafe { *pointer.cast::<usize>() = head.get() };
        head.set(pointer as usize);
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller vouches for `new_size`; the alignment is that of a valid layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        if Self::class(wanted) == Self::class(layout) {
            return pointer;
        }
        // SAFETY: the layout is valid.
        let new = unsafe { self.alloc(wanted) };
        if !new.is_null() {
            let bytes = layout.size().min(new_size);
            // SAFETY: both blocks are live, apart, and at least that long.
            unsafe {
                core::ptr::copy_nonoverlapping(pointer, new, bytes);
                self.dealloc(pointer, layout);
            }
        }
        new
    }
}
