//! wasmer's own functions that guest code calls, behind a check of the room that they have on the guest's stack.
//!
//! One of the places with `unsafe` (architecture, invariant 2).
#![allow(unsafe_code)]

use super::signal;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmer_vm::{VMBuiltinFunctionIndex, VMInstance};

/// A function of wasmer's: each takes at most six words, and gives at most one, in registers for integers.
type Libcall = unsafe extern "C" fn(usize, usize, usize, usize, usize, usize) -> usize;

/// Functions in front of which a check is put: all of those that the features of our modules can need, which
/// come first among wasmer's.
const CHECKED: usize = 23;

/// Where wasmer's are.
static ORIGINAL: [AtomicUsize; CHECKED] = [const { AtomicUsize::new(0) }; CHECKED];

unsafe extern "C" fn checked<const INDEX: usize>(
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> usize {
    // SAFETY: guest code calls this, and nothing in this frame has to be dropped. The function is the one that wasmer
    // had in this place; registers beyond its parameters are not read.
    unsafe {
        signal::check_room();
        let original = ORIGINAL[INDEX].load(Ordering::Relaxed);
        std::mem::transmute::<usize, Libcall>(original)(a, b, c, d, e, f)
    }
}

/// Puts the check in front of the functions that the code of an instance, which was just made, calls.
pub(super) fn check_all(vm: &VMInstance) {
    macro_rules! checks {
        ($($index:literal)*) => {
            [$(checked::<$index> as *const () as usize),*]
        };
    }
    let ours: [usize; CHECKED] =
        checks!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22);
    debug_assert_eq!(VMBuiltinFunctionIndex::get_table_fill_index().index() as usize, CHECKED - 1);
    let begin = vm.vmoffsets().vmctx_builtin_functions_begin() as usize;
    for (index, function) in ours.into_iter().enumerate() {
        // SAFETY: every context has the addresses of wasmer's functions there, in the order of their numbers.
        unsafe {
            let place = vm.vmctx_ptr().cast::<u8>().add(begin).cast::<usize>().add(index);
            ORIGINAL[index].store(place.read(), Ordering::Relaxed);
            place.write(function);
        }
    }
}
