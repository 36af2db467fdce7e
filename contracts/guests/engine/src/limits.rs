//! What a transaction may have besides gas, and the engine's own memory.
//!
//! The numbers are part of the engine's rules (`docs/evm/engine.md`): they end a frame in the same way whether it is
//! interpreted or compiled, and are far below what the machine has, so that the machine never decides.

use core::alloc::{GlobalAlloc, Layout};
use cotenant_guest::pool::Pool;
use evm_parent::{Limits, LogMeter};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{Instruction, InstructionContext, InstructionResult};

use crate::database::World;
use evm_parent::EthContext;

/// The longest message between the engine and a module, or result of a call: what NEAR allows.
pub const MESSAGE_BYTES: usize = 4 << 20;

/// Bytes of EVM memory of a frame, and of the input of a compiled one: 4 MiB less 64 KiB, so that with what goes along
/// they fit a message. No transaction of 32 million gas has more.
pub const FRAME_BYTES: u32 = (4 << 20) - (64 << 10);

/// Bytes of EVM memory and return data of all frames that are live at a time.
const LIVE_BYTES: u64 = 16 << 20;

/// Bytes of the logs of a transaction: of each its data, and 32 for each topic. No transaction of 33 million gas writes more.
const LOG_BYTES: u64 = 4 << 20;

/// The bounds of every transaction.
pub const LIMITS: Limits =
    Limits { frame_memory: FRAME_BYTES, live_memory: LIVE_BYTES, logs: LOG_BYTES };

/// An allocator that ends the call in words.
pub struct Memory(Pool);

impl Memory {
    /// Of which nothing is used.
    #[expect(clippy::new_without_default, reason = "a static wants a const function")]
    pub const fn new() -> Self {
        Self(Pool::new())
    }

    fn or_end(block: *mut u8) -> *mut u8 {
        if block.is_null() {
            cotenant_guest::panic(
                "ERR_MEMORY: the transaction needs more memory than a contract has; nothing has changed",
            );
        }
        block
    }
}

// SAFETY: everything is the pool's, which is an allocator.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the pool's.
        Self::or_end(unsafe { self.0.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the pool's.
        Self::or_end(unsafe { self.0.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the pool's.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are the pool's.
        Self::or_end(unsafe { self.0.realloc(pointer, layout, new_size) })
    }
}

type Context<'a> = InstructionContext<'a, EthContext<World>, EthInterpreter>;

/// LOG0 to LOG4 of an interpreted frame: revm's, counted.
pub const fn counted_log<const TOPICS: usize>() -> Instruction<EthInterpreter, EthContext<World>> {
    Instruction::new(log::<TOPICS>)
}

fn log<const TOPICS: usize>(context: Context<'_>) -> Result<(), InstructionResult> {
    let InstructionContext { interpreter, host } = context;
    let meter: LogMeter = host.journaled_state.database.logs();
    revm::interpreter::instructions::host::log::<TOPICS, _>(InstructionContext {
        interpreter,
        host: &mut *host,
    })?;
    let written = host.journaled_state.inner.logs.last();
    match written {
        Some(log) if meter.add(log) > LIMITS.logs => Err(InstructionResult::MemoryLimitOOG),
        _ => Ok(()),
    }
}
