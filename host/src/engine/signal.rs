//! Traps of native code when guests run on fibers. One of the three places with `unsafe` (architecture,
//! invariant 2), and the part of it that makes switching stacks sound.
//!
//! wasmer turns a hardware trap into an unwinding with the help of a thread-local pointer, `TRAP_HANDLER`, to
//! a record on the stack of the call that entered the guest last. On fibers the guest that traps need not
//! be the one entered last: a parent may trap while a child that was entered after it is suspended. wasmer
//! then looks at the wrong record and the process dies. (Saving and restoring the pointer around every switch
//! costs two more coroutines a switch; `benches` measures that as the *bracket*.)
//!
//! So hardware traps do not take that way here. Our signal handler runs before wasmer's. For a fault in guest
//! code it lets the thread go on in [`landing`], on the stack of the guest, and that raises the trap as
//! software, the way wasmer's own libcalls do: through `YIELDER`, which wasmer sets and clears around every
//! host function and which is therefore right whatever was switched meanwhile.
//!
//! SAFETY, as an argument that can be checked from this file:
//! 1. `IN_GUEST` is true only between [`enter_guest`] and its drop and outside of [`outside_guest`]: while
//!    guest code (or a trampoline or libcall of wasmer) is on top of the stack. Every host function of ours
//!    runs in `outside_guest`, and fibers switch only inside host functions, so the flag is right after every
//!    switch.
//! 2. A fault with the flag set and the program counter outside of our own executable comes from compiled
//!    code. Between the guest's entry and that code lie only frames that wasmer itself abandons on a trap.
//! 3. `landing` starts 1 KiB below the guest's stack pointer, aligned as after a call. The guest's stack
//!    has that room, because the metered stack limit trips at 256 KiB and the stack has 4 MiB; a fault on the
//!    guard page of the stack itself is left to the handlers before ours.
//! 4. `landing` never returns, so nothing of the interrupted frame is read again.
//! 5. The handler reads two thread-locals without destructors and writes the register state it was given:
//!    both are safe in a signal handler.
//! 6. `TRAP_HANDLER` may point to a finished call while guests of ours run, but then only for faults that are
//!    not a guest's. [`outermost`] restores it before control leaves the host.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Once;
use wasmer_vm::{Trap, TrapCode, VMConfig};

thread_local! {
    static IN_GUEST: Cell<bool> = const { Cell::new(false) };
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

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

/// Marks the entry of a guest; the end of it when dropped.
pub(super) struct InGuest(());

pub(super) fn enter_guest() -> InGuest {
    IN_GUEST.set(true);
    InGuest(())
}

impl Drop for InGuest {
    fn drop(&mut self) {
        IN_GUEST.set(false);
    }
}

/// Runs the body of a host function.
pub(super) fn outside_guest<T>(f: impl FnOnce() -> T) -> T {
    IN_GUEST.set(false);
    let value = f();
    IN_GUEST.set(true);
    value
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
    let config = VMConfig { wasm_stack_size: Some(super::memory::WASM_STACK_BYTES) };
    // SAFETY: there is only `on_host_stack` on the stack that a trap would abandon, and `f` runs on the
    // caller's own stack.
    let result = unsafe { wasmer_vm::catch_traps(None, &config, move || runner(pointer)) };
    match (result, slots.value) {
        (Ok(()), Some(value)) => value,
        _ => unreachable!("nothing in a bracket raises a trap"),
    }
}

unsafe extern "C" {
    /// Start and end of the code of the executable or library that holds this function; from the linker.
    static __executable_start: u8;
    static etext: u8;
}

unsafe extern "C" fn handle(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel hands a handler with SA_SIGINFO valid pointers to both.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext;
        let (pc, sp) = counters(registers);
        let fault = (*info).si_addr() as usize;
        let on_guard_page = matches!(signal, libc::SIGSEGV | libc::SIGBUS)
            && fault.wrapping_sub(sp.wrapping_sub(16_384)) < 32_768;
        let ours = (&raw const __executable_start) as usize..(&raw const etext) as usize;
        if IN_GUEST.get() && !on_guard_page && !ours.contains(&pc) {
            redirect(registers, pc, sp, code_of(signal, pc));
            return;
        }
        chain(signal, info, context);
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
///
/// # Safety
/// `pc` must be the address of the instruction that raised the signal.
unsafe fn code_of(signal: libc::c_int, pc: usize) -> usize {
    match signal {
        libc::SIGSEGV | libc::SIGBUS => TrapCode::HeapAccessOutOfBounds as usize + 1,
        // singlepass writes the code into the operand of the undefined instruction.
        // SAFETY: the instruction at `pc` was just fetched, and these encodings have all the bytes read.
        libc::SIGILL if cfg!(target_arch = "x86_64") => unsafe {
            let byte = |offset: usize| (pc as *const u8).add(offset).read();
            let operand = match (byte(0), byte(1)) {
                (0x0f, 0xb9) => byte(2),
                (0x40..=0x4f, 0x0f) if byte(2) == 0xb9 => byte(3),
                _ => return 0,
            };
            if operand & 0xc0 == 0xc0 { (operand & 0x0f) as usize + 1 } else { 0 }
        },
        _ => 0,
    }
}

/// Raises a trap on the stack of the guest that caused it.
unsafe extern "C" fn landing(pc: usize, code: usize) -> ! {
    // The guest's stack is the guest's: what allocates or recurses runs on the host's.
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
fn counters(registers: &libc::mcontext_t) -> (usize, usize) {
    let register = |name: libc::c_int| registers.gregs[name as usize] as usize;
    (register(libc::REG_RIP), register(libc::REG_RSP))
}

#[cfg(target_arch = "x86_64")]
fn redirect(registers: &mut libc::mcontext_t, pc: usize, sp: usize, code: usize) {
    let mut set = |name: libc::c_int, value: usize| registers.gregs[name as usize] = value as i64;
    set(libc::REG_RIP, landing as *const () as usize);
    // As after a call: a multiple of 16, less the return address.
    set(libc::REG_RSP, ((sp - 1_024) & !15) - 8);
    set(libc::REG_RDI, pc);
    set(libc::REG_RSI, code);
}

#[cfg(target_arch = "aarch64")]
fn counters(registers: &libc::mcontext_t) -> (usize, usize) {
    (registers.pc as usize, registers.sp as usize)
}

#[cfg(target_arch = "aarch64")]
fn redirect(registers: &mut libc::mcontext_t, pc: usize, sp: usize, code: usize) {
    registers.pc = landing as *const () as u64;
    registers.sp = ((sp - 1_024) & !15) as u64;
    registers.regs[0] = pc as u64;
    registers.regs[1] = code as u64;
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the redirection of traps knows x86_64 and aarch64; see `redirect`");
