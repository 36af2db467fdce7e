//! Traps of native code when guests run on fibers, and the end of their stacks. One of the places with `unsafe`
//! (architecture, invariant 2), and the part of it that makes switching stacks sound.
//!
//! wasmer turns a hardware trap into an unwinding with the help of a thread-local pointer, `TRAP_HANDLER`, to
//! a record on the stack of the call that entered the guest last. On fibers the guest that traps need not
//! be the one entered last: a parent may trap while a child that was entered after it is suspended. wasmer
//! then looks at the wrong record and the process dies. (Saving and restoring the pointer around every switch
//! costs two more coroutines a switch; `benches` measures that as the *bracket*.)
//!
//! So hardware traps do not take that way here. Our signal handler runs before wasmer's. For a fault in guest
//! code it lets the thread go on in [`landing`], at the place on the guest's stack where its first frame began, and that raises
//! the trap as software, the way wasmer's own libcalls do: through `YIELDER`, which wasmer sets and clears around
//! every host function and which is therefore right whatever was switched meanwhile.
//!
//! The end of a stack is no trap of a guest's: how much of it a frame takes is the compiler's affair. A guest that reaches it
//! gives up, and the root call runs again on the interpreter.
//!
//! SAFETY, as an argument that can be checked from this file:
//! 1. `GUEST` points to a [`RunningGuest`] only between the guest's entry and its end, and outside of
//!    [`outside_guest`]: while code of that guest (or a trampoline, or a libcall of wasmer's) is on top of the stack. Every host
//!    function of ours runs in `outside_guest`, and fibers switch only inside host functions, which put the pointer back
//!    that they found: so it is right after every switch. The record lives in the frame of [`run_guest`], which waits.
//! 2. A fault is a guest's if its program counter is in the range of the guest's loaded code, which the record has.
//!    Between the guest's entry and that code lie only frames of the guest and of trampolines, for a host function or a libcall
//!    would be on top otherwise: all of them may be abandoned, as wasmer does itself on a trap.
//! 3. `landing` starts where [`enter`], the last frame before the guest's first, has its own: below everything
//!    that is still read (the coroutine's first frame, with the yielder), and as far from the end of the stack as the guest was
//!    when it began. It writes over frames of the guest, and of `enter`, which nobody returns to.
//! 4. A stack that is hit in its protected part is known by its bounds, never by the distance to the stack pointer. Hit by
//!    guest code it is opened or the guest gives up; hit by anything else (a libcall of wasmer's runs on the guest's stack, and its
//!    frames may not be abandoned) it is opened. That it always can be is seen by whoever guest code calls, first thing
//!    ([`check_room`]): if it begins in the yellow zone, nothing of it is run and the guest gives up, which is allowed there,
//!    for only guest frames and the one that checks are on the stack. So what runs has the whole yellow zone, 128 KiB.
//!    Cranelift probes large frames page by page, so no frame steps over the guard page.
//! 5. The handler reads thread-locals without destructors, and records that live as long as these point to them; it calls
//!    `mprotect` and writes the register state it was given: all of this is safe in a signal handler.
//! 6. `TRAP_HANDLER` may point to a finished call while guests of ours run, but then only for faults that are
//!    not a guest's. [`outermost`] restores it before control leaves the host.
#![allow(unsafe_code)]

use super::GaveUp;
use super::stack::{self, Bounds, GUEST_STACK_BYTES, Need};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::Once;
use wasmer_vm::{Trap, TrapCode, VMConfig};

/// A guest that has been entered and has not ended.
struct RunningGuest {
    /// Where its module's code is loaded.
    code: Range<usize>,
    stack: Bounds,
    /// Where [`landing`] starts; 0 before the guest was entered.
    landing: Cell<usize>,
    gave_up: Cell<Option<GaveUp>>,
}

thread_local! {
    static GUEST: Cell<*const RunningGuest> = const { Cell::new(ptr::null()) };
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// Crossings after which the guest on top gives up, for tests.
    static CROSSINGS_LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
}

const CONFIG: VMConfig = VMConfig { wasm_stack_size: Some(GUEST_STACK_BYTES) };

const SIGNALS: [libc::c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

static mut PREVIOUS: [MaybeUninit<libc::sigaction>; 4] = [MaybeUninit::uninit(); 4];

/// Installs the handler, once, in front of wasmer's.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        wasmer_vm::init_traps();
        for (index, signal) in SIGNALS.into_iter().enumerate() {
            // SAFETY: `handle` has the signature that SA_SIGINFO asks for; PREVIOUS is written here alone,
            // before the handler that reads it is in place.
            let failed = unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
                action.sa_sigaction = handle as *const () as usize;
                libc::sigemptyset(&mut action.sa_mask);
                libc::sigaction(signal, ptr::null(), (&raw mut PREVIOUS[index]).cast());
                libc::sigaction(signal, &action, ptr::null_mut())
            };
            assert_eq!(failed, 0, "the kernel takes a handler for signal {signal}");
        }
    });
}

/// How a guest left its stack.
pub(super) enum Left {
    /// It returned, trapped or was unwound.
    Ended(Result<(), Trap>),
    /// It gave up.
    GaveUp(GaveUp),
}

/// Runs `call`, which enters a guest whose code is loaded at `code`, on a stack of its own, to its end.
///
/// # Safety
/// `call` has nothing to drop and calls nothing but code of the guest, which calls nothing but functions of ours that check
/// the room first ([`check_room`]), and everything that `call` points to outlives this.
pub(super) unsafe fn run_guest(code: Range<usize>, call: impl FnOnce() + Copy + 'static) -> Left {
    if stack::is_exhausted() {
        return Left::GaveUp(GaveUp::Stack);
    }
    let guest = RunningGuest {
        code,
        stack: Bounds::unknown(),
        landing: Cell::new(0),
        gave_up: Cell::new(None),
    };
    struct End<'a>(&'a RunningGuest, *const RunningGuest);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            GUEST.set(self.1);
            self.0.stack.close();
        }
    }
    let pointer = ptr::from_ref(&guest);
    let result = {
        let _end = End(&guest, GUEST.get());
        // SAFETY: what a trap abandons is `enter` and what the caller promises. The record outlives the run.
        catch_unwind(AssertUnwindSafe(|| unsafe {
            wasmer_vm::catch_traps(None, &CONFIG, move || enter(pointer, call))
        }))
    };
    match (result, guest.gave_up.get()) {
        (_, Some(reason)) => Left::GaveUp(reason),
        (Ok(result), None) => Left::Ended(result),
        // wasmer had no stack for it.
        (Err(_), None) if guest.landing.get() == 0 => Left::GaveUp(GaveUp::AddressSpace),
        (Err(panic), None) => resume_unwind(panic),
    }
}

/// The last frame before a guest's first.
///
/// # Safety
/// At the base of a guest's stack; the record outlives the run.
#[inline(never)]
unsafe fn enter(guest: *const RunningGuest, call: impl FnOnce()) {
    let place = std::hint::black_box(0_u64);
    let here = (&raw const place) as usize;
    // SAFETY: the caller's promise; wasmer's frames on this stack are two, of some hundred bytes.
    unsafe {
        (*guest).stack.enter_guest_stack(here);
        (*guest).landing.set((here & !15) - 64);
    }
    GUEST.set(guest);
    call();
    GUEST.set(ptr::null());
}

/// First thing in every function that guest code calls: whether it can run.
///
/// # Safety
/// In a function that guest code called, with nothing to be dropped in its frame.
#[inline(always)]
pub(super) unsafe fn check_room() {
    let guest = GUEST.get();
    if guest.is_null() {
        return;
    }
    let place = std::hint::black_box(0_u8);
    // SAFETY: the record lives while the guest runs; only guest frames lie between here and its entry.
    unsafe {
        if !(*guest).stack.has_room((&raw const place) as usize) {
            give_up(guest, GaveUp::Stack);
        }
    }
}

/// # Safety
/// As [`check_room`].
#[cold]
unsafe fn give_up(guest: *const RunningGuest, reason: GaveUp) -> ! {
    // SAFETY: as the caller says.
    unsafe {
        (*guest).gave_up.set(Some(reason));
        GUEST.set(ptr::null());
        wasmer_vm::raise_lib_trap(without_backtrace(TrapCode::StackOverflow))
    }
}

fn without_backtrace(trap_code: TrapCode) -> Trap {
    Trap::Lib { trap_code, backtrace: backtrace::Backtrace::from(Vec::new()) }
}

/// Runs the body of a host function.
pub(super) fn outside_guest<T>(f: impl FnOnce() -> T) -> T {
    let guest = GUEST.replace(ptr::null());
    let value = f();
    GUEST.set(guest);
    value
}

/// Makes the guest that crosses into its host for the `crossings`th time from now on this thread give up, counted over all
/// native guests: for tests. `None` lets none.
#[doc(hidden)]
pub fn give_up_after(crossings: Option<u64>) {
    CROSSINGS_LEFT.set(crossings.unwrap_or(u64::MAX));
}

/// Whether the guest that crosses now is the one to give up; it is then noted.
pub(super) fn is_asked_to_give_up() -> bool {
    let left = CROSSINGS_LEFT.get();
    if left == u64::MAX {
        return false;
    }
    CROSSINGS_LEFT.set(left.saturating_sub(1));
    let guest = GUEST.get();
    if left > 1 || guest.is_null() {
        return false;
    }
    CROSSINGS_LEFT.set(u64::MAX);
    // SAFETY: the record lives while the guest runs.
    unsafe { (*guest).gave_up.set(Some(GaveUp::Asked)) };
    true
}

/// Notes that the guest on top gives up: whatever it does until it ends does not count. For libcalls, which cannot end it.
pub(super) fn note_gave_up(reason: GaveUp) {
    let guest = GUEST.get();
    if !guest.is_null() {
        // SAFETY: the record lives while the guest runs.
        unsafe { (*guest).gave_up.set(Some(reason)) };
    }
}

/// Runs `f`, which enters or resumes guests, so that wasmer's thread-local trap state is afterwards what it
/// was before. Only the outermost entry of a thread pays for it.
pub(crate) fn outermost<T>(f: impl FnOnce() -> T) -> T {
    if INSIDE.replace(true) {
        return f();
    }
    struct Outside;
    impl Drop for Outside {
        fn drop(&mut self) {
            INSIDE.set(false);
        }
    }
    let _outside = Outside;
    bracket(f)
}

/// Runs `f` on this very stack, between the installation of a trap record of wasmer's and its removal.
pub fn bracket<T>(f: impl FnOnce() -> T) -> T {
    struct Slots<F, T> {
        f: Option<F>,
        value: Option<T>,
    }
    fn run<F: FnOnce() -> T, T>(slots: *mut ()) {
        // SAFETY: `bracket` keeps the slots alive until `catch_traps` has returned.
        let slots = unsafe { &mut *slots.cast::<Slots<F, T>>() };
        slots.value = slots.f.take().map(|f| wasmer_vm::on_host_stack(f));
    }
    fn runner<F: FnOnce() -> T, T>(_: &Slots<F, T>) -> fn(*mut ()) {
        run::<F, T>
    }
    let mut slots = Slots { f: Some(f), value: None };
    let runner = runner(&slots);
    let pointer: *mut () = (&raw mut slots).cast();
    // SAFETY: there is only `on_host_stack` on the stack that a trap would abandon, and `f` runs on the
    // caller's own stack.
    let result = unsafe { wasmer_vm::catch_traps(None, &CONFIG, move || runner(pointer)) };
    match (result, slots.value) {
        (Ok(()), Some(value)) => value,
        _ => unreachable!("nothing in a bracket raises a trap"),
    }
}

unsafe extern "C" fn handle(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel hands a handler with SA_SIGINFO valid pointers to both; a record that GUEST points to lives.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext;
        let pc = program_counter(registers);
        let guest = GUEST.get().as_ref();
        let by_guest = guest.is_some_and(|guest| guest.code.contains(&pc));
        if matches!(signal, libc::SIGSEGV | libc::SIGBUS) {
            let fault = (*info).si_addr() as usize;
            if stack::open_fiber(fault) {
                return;
            }
            if let Some(guest) = guest
                && guest.stack.is_closed(fault)
            {
                let need = if by_guest { Need::Guest } else { Need::Host };
                if guest.stack.open(fault, need, true) {
                    return;
                }
                if by_guest {
                    guest.gave_up.set(Some(GaveUp::Stack));
                    let code = TrapCode::StackOverflow as usize + 1;
                    redirect(registers, pc, guest.landing.get(), code);
                    return;
                }
                chain(signal, info, context);
                return;
            }
        }
        match guest {
            Some(guest) if by_guest => {
                redirect(registers, pc, guest.landing.get(), code_of(signal));
            }
            _ => chain(signal, info, context),
        }
    }
}

/// Hands a fault that is not a guest's to whoever was there before.
///
/// # Safety
/// Only for a signal handler with the arguments it was given.
unsafe fn chain(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(index) = SIGNALS.iter().position(|known| *known == signal) else { return };
    // SAFETY: `install` wrote the record before this handler could run.
    unsafe {
        let previous = &*(&raw const PREVIOUS[index]).cast::<libc::sigaction>();
        if previous.sa_sigaction == libc::SIG_DFL || previous.sa_sigaction == libc::SIG_IGN {
            // The faulting instruction runs again and ends the process in the ordinary way.
            libc::sigaction(signal, previous, ptr::null_mut());
        } else if previous.sa_flags & libc::SA_SIGINFO != 0 {
            type Handler =
                unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            let handler = std::mem::transmute::<usize, Handler>(previous.sa_sigaction);
            handler(signal, info, context);
        } else {
            let handler =
                std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(previous.sa_sigaction);
            handler(signal);
        }
    }
}

/// The trap code that a signal stands for, plus one; 0 if only the table of the module knows.
fn code_of(signal: libc::c_int) -> usize {
    match signal {
        libc::SIGSEGV | libc::SIGBUS => TrapCode::HeapAccessOutOfBounds as usize + 1,
        _ => 0,
    }
}

/// Raises a trap on the stack of the guest that caused it.
unsafe extern "C" fn landing(pc: usize, code: usize) -> ! {
    GUEST.set(ptr::null());
    // What allocates runs on the host's stack.
    let trap = wasmer_vm::on_host_stack(|| {
        let signal_trap = (0..=10).filter_map(trap_code).find(|t| *t as usize + 1 == code);
        Trap::wasm(pc, backtrace::Backtrace::from(Vec::new()), signal_trap)
    });
    // SAFETY: this stack holds guest frames alone, which may be abandoned.
    unsafe { wasmer_vm::raise_lib_trap(trap) }
}

fn trap_code(number: u32) -> Option<TrapCode> {
    Some(match number {
        0 => TrapCode::StackOverflow,
        1 => TrapCode::HeapAccessOutOfBounds,
        2 => TrapCode::HeapMisaligned,
        3 => TrapCode::TableAccessOutOfBounds,
        4 => TrapCode::IndirectCallToNull,
        5 => TrapCode::BadSignature,
        6 => TrapCode::IntegerOverflow,
        7 => TrapCode::IntegerDivisionByZero,
        8 => TrapCode::BadConversionToInteger,
        9 => TrapCode::UnreachableCodeReached,
        10 => TrapCode::UnalignedAtomic,
        _ => return None,
    })
}

#[cfg(target_arch = "x86_64")]
fn program_counter(registers: &libc::mcontext_t) -> usize {
    registers.gregs[libc::REG_RIP as usize] as usize
}

/// Lets the thread go on in [`landing`] at `sp`, which is a multiple of 16.
#[cfg(target_arch = "x86_64")]
fn redirect(registers: &mut libc::mcontext_t, pc: usize, sp: usize, code: usize) {
    let mut set = |name: libc::c_int, value: usize| registers.gregs[name as usize] = value as i64;
    set(libc::REG_RIP, landing as *const () as usize);
    // As after a call: a multiple of 16, less the return address.
    set(libc::REG_RSP, sp - 8);
    set(libc::REG_RDI, pc);
    set(libc::REG_RSI, code);
}

#[cfg(target_arch = "aarch64")]
fn program_counter(registers: &libc::mcontext_t) -> usize {
    registers.pc as usize
}

/// Lets the thread go on in [`landing`] at `sp`, which is a multiple of 16.
#[cfg(target_arch = "aarch64")]
fn redirect(registers: &mut libc::mcontext_t, pc: usize, sp: usize, code: usize) {
    registers.pc = landing as *const () as u64;
    registers.sp = sp as u64;
    registers.regs[0] = pc as u64;
    registers.regs[1] = code as u64;
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the redirection of traps knows x86_64 and aarch64; see `redirect`");
