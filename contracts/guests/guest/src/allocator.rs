//! What a bare module needs to be complete: an allocator and a panic handler, in a few hundred bytes.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;

const PAGE_BYTES: usize = 65_536;

/// Hands out memory upwards from the end of the data and takes back only what was handed out last. The
/// buffers of a call are dropped in about the reverse order of their making, so little is lost; a module
/// that keeps many things alive for long wants another allocator.
#[derive(Debug)]
pub struct Bump {
    /// Address of the first free byte, 0 before the first use.
    next: Cell<usize>,
    /// Address of the end of the memory, 0 before the first use.
    end: Cell<usize>,
}

// SAFETY: wasm32-unknown-unknown without atomics has one thread.
unsafe impl Sync for Bump {}

impl Bump {
    /// An allocator that has not looked at the memory yet.
    #[expect(clippy::new_without_default, reason = "a static wants a const function")]
    pub const fn new() -> Self {
        Self { next: Cell::new(0), end: Cell::new(0) }
    }

    /// Moves the end of what is handed out to `to`, growing the memory if it must; whether that went well.
    fn reach(&self, to: usize) -> bool {
        if to > self.end.get() {
            let pages = (to - self.end.get()).div_ceil(PAGE_BYTES);
            if !grow(pages) {
                return false;
            }
            self.end.set(self.end.get() + pages * PAGE_BYTES);
        }
        self.next.set(to);
        true
    }
}

// SAFETY: addresses only go up, except over a block that was freed, so two live blocks never overlap;
// nothing is handed out beyond the end of the memory.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.end.get() == 0 {
            let (heap_base, end) = bounds();
            self.next.set(heap_base);
            self.end.set(end);
        }
        let start = self.next.get().next_multiple_of(layout.align());
        match start.checked_add(layout.size()) {
            Some(to) if self.reach(to) => start as *mut u8,
            _ => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if pointer as usize + layout.size() == self.next.get() {
            self.next.set(pointer as usize);
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let start = pointer as usize;
        if start + layout.size() == self.next.get() {
            return match start.checked_add(new_size) {
                Some(to) if self.reach(to) => pointer,
                _ => core::ptr::null_mut(),
            };
        }
        if new_size <= layout.size() {
            return pointer;
        }
        // SAFETY: the caller vouches for `new_size`; the alignment is that of a valid layout.
        let new =
            unsafe { self.alloc(Layout::from_size_align_unchecked(new_size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both blocks are live, apart, and at least as long as the old one.
            unsafe { core::ptr::copy_nonoverlapping(pointer, new, layout.size()) };
        }
        new
    }
}

/// Where the heap begins and where the memory ends.
#[cfg(target_arch = "wasm32")]
fn bounds() -> (usize, usize) {
    unsafe extern "C" {
        static __heap_base: u8;
    }
    // The linker defines the symbol; its address is its meaning and nothing is read.
    let heap_base = &raw const __heap_base as usize;
    (heap_base, core::arch::wasm32::memory_size(0) * PAGE_BYTES)
}

#[cfg(target_arch = "wasm32")]
fn grow(pages: usize) -> bool {
    core::arch::wasm32::memory_grow(0, pages) != usize::MAX
}

/// Off wasm32 this allocator has no memory; it exists so that the crate can be checked there.
#[cfg(not(target_arch = "wasm32"))]
fn bounds() -> (usize, usize) {
    (PAGE_BYTES, PAGE_BYTES)
}

#[cfg(not(target_arch = "wasm32"))]
fn grow(_pages: usize) -> bool {
    false
}

/// Completes a `no_std` module: the allocator, and a panic that ends the call with its message where the
/// message is a plain string. Formatting it would cost every module some kilobytes. The allocator is [`Bump`], or the one
/// that is named.
#[macro_export]
macro_rules! bare_module {
    () => {
        $crate::bare_module!($crate::allocator::Bump);
    };
    ($allocator:ty) => {
        #[global_allocator]
        static ALLOCATOR: $allocator = <$allocator>::new();

        #[panic_handler]
        fn on_panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::panic(info.message().as_str().unwrap_or("panicked"))
        }
    };
}
