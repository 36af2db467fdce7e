//! Where things are: linear memory and globals (`docs/spec/evm.md`, section 3).
//!
//! Constants that end in `_AT` are addresses in linear memory; all sizes are in bytes.

use crate::abi::MEMORY_MAX;
use wasm_encoder::{ConstExpr, GlobalSection, GlobalType, ValType};

use crate::abi::offset;
use crate::opcode::Op;

/// Bytes of a Wasm page.
pub const PAGE: u32 = 65_536;
/// Pages a module starts with.
pub const INITIAL_PAGES: u64 = 1;
/// Pages a module may grow to: NEAR's limit, and with it the largest memory of a frame.
pub const MAXIMUM_PAGES: u64 = 2_048;

/// Where the code is that a module in the compact form runs: its address, 0 as long as it is not there.
pub(super) const OWN_CODE_AT: u32 = 0x00f0;
/// What is known of the modulus of MULMOD.
pub(super) const MODULUS_AT: u32 = 0x0100;
/// Requests that have no better place.
pub(super) const MESSAGE_AT: u32 = 0x0400;
/// Round constants of keccak, once they are written.
pub(super) const ROUND_CONSTANTS_AT: u32 = 0x0480;
/// Where keccak turns its input and gets its digest.
pub(super) const SPONGE_AT: u32 = 0x0540;
/// Roots of the trees of storage slots.
pub(super) const STORAGE_ROOTS_AT: u32 = 0x0a00;
/// How many of them, a power of two.
pub(super) const STORAGE_ROOTS: u32 = 256;
/// Roots of the trees of transient slots.
pub(super) const TRANSIENT_ROOTS_AT: u32 = 0x0700;
/// Roots of the trees of accounts whose balance was asked for.
pub(super) const BALANCE_ROOTS_AT: u32 = 0x0740;
/// Roots of the trees of accounts whose code was asked for.
pub(super) const CODE_ROOTS_AT: u32 = 0x0780;
/// Roots of the trees of blocks whose hash was asked for.
pub(super) const BLOCK_ROOTS_AT: u32 = 0x07c0;
/// How many roots the other four have, a power of two.
pub(super) const OTHER_ROOTS: u32 = 16;
/// Memo of hashes of 64 bytes.
pub(super) const MEMO_AT: u32 = 0x0e00;
/// Entries of the memo, a power of two.
pub(super) const MEMO_ENTRIES: u32 = 64;
/// Size of one, a power of two: the 64 bytes, then their hash, and as much that is free.
pub(super) const MEMO_ENTRY: u32 = 128;
/// The EVM stack where it is spilled: 1,024 words, growing up.
pub const STACK_AT: u32 = MEMO_AT + MEMO_ENTRIES * MEMO_ENTRY;
/// The frame input: its head at the offsets of [`crate::abi::offset`], then its tail, then the heap.
pub const INPUT_AT: u32 = STACK_AT + 1_024 * 32;

/// EVM memory is above this address, wherever it is: an offset below it can be in the immediate of an access.
pub const WINDOW: u32 = 0x2000;
/// Bytes of EVM memory before the heap is asked.
pub(super) const BORDER: u32 = 4_096;

/// Index of the passive data segment with the bytes of the code, backwards.
pub const CODE_SEGMENT: u32 = 0;

/// The globals of the runtime, all mutable, in the order of their indices from 0 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Global {
    /// Address above the byte at EVM address 0.
    Top,
    /// Size of EVM memory, a multiple of 32.
    MemorySize,
    /// Lowest address that EVM memory can use without asking.
    MemoryBase,
    /// [`Self::Top`] less [`WINDOW`]: what an access at a constant offset starts from.
    Window,
    /// Below this a word's offset is in EVM memory as it is: its size less 31 (i64), 0 as long as it has none.
    Words,
    /// Gas that EVM memory has cost (i64).
    MemoryCost,
    /// Address above the first byte of calldata.
    CalldataTop,
    /// Bytes of calldata.
    CalldataLength,
    /// Address above the first byte of return data.
    ReturnTop,
    /// Bytes of return data.
    ReturnLength,
    /// Where answers of calls are received.
    ReturnBuffer,
    /// Its size.
    ReturnCapacity,
    /// The frame's own refund, signed, in EVM gas (i64).
    Refund,
    /// First byte of linear memory that nobody has.
    HeapEnd,
    /// Lowest address that the heap cannot use without asking.
    HeapLimit,
    /// Present values are valid in entries that bear this number; counts up with calls that may write.
    Generation,
    /// Entries that bear this number are on the list of writes; counts up with each flush.
    Flush,
    /// First byte of the logs in the outbox, 0 as long as there is no outbox.
    Outbox,
    /// First byte after the logs.
    OutboxEnd,
    /// First byte after the outbox.
    OutboxLimit,
    /// Logs in the outbox.
    Logs,
    /// First entry of the list of storage writes.
    FirstWrite,
    /// Last entry of it.
    LastWrite,
    /// Its length.
    Writes,
    /// First entry of the list of transient writes.
    FirstTransient,
    /// Last entry of it.
    LastTransient,
    /// Its length.
    Transients,
    /// Where the code of another account is received.
    CodeBuffer,
    /// Its size.
    CodeCapacity,
    /// The entry of the account whose code is there.
    CodeOwner,
    /// Where the input of a host's hash is turned.
    SpongeBuffer,
    /// How much fits there.
    SpongeCapacity,
    /// Where the heap begins: the end of the room for inputs.
    HeapStart,
    /// The result of the frame, once it has ended.
    LastAt,
    /// Its size.
    LastLength,
}

impl Global {
    /// All of them, in the order of their indices.
    pub const ALL: [Self; 35] = [
        Self::Top,
        Self::MemorySize,
        Self::MemoryBase,
        Self::Window,
        Self::Words,
        Self::MemoryCost,
        Self::CalldataTop,
        Self::CalldataLength,
        Self::ReturnTop,
        Self::ReturnLength,
        Self::ReturnBuffer,
        Self::ReturnCapacity,
        Self::Refund,
        Self::HeapEnd,
        Self::HeapLimit,
        Self::Generation,
        Self::Flush,
        Self::Outbox,
        Self::OutboxEnd,
        Self::OutboxLimit,
        Self::Logs,
        Self::FirstWrite,
        Self::LastWrite,
        Self::Writes,
        Self::FirstTransient,
        Self::LastTransient,
        Self::Transients,
        Self::CodeBuffer,
        Self::CodeCapacity,
        Self::CodeOwner,
        Self::SpongeBuffer,
        Self::SpongeCapacity,
        Self::HeapStart,
        Self::LastAt,
        Self::LastLength,
    ];

    /// How many there are: the index of the compiler's first own global.
    pub const COUNT: u32 = Self::ALL.len() as u32;

    /// Its index.
    #[must_use]
    pub const fn index(self) -> u32 {
        self as u32
    }

    /// Its type and what it is at the start.
    #[must_use]
    pub fn declaration(self) -> (ValType, ConstExpr) {
        match self {
            Self::Refund | Self::MemoryCost | Self::Words => {
                (ValType::I64, ConstExpr::i64_const(0))
            }
            Self::Top => (ValType::I32, ConstExpr::i32_const(PAGE as i32)),
            Self::Window => (ValType::I32, ConstExpr::i32_const((PAGE - WINDOW) as i32)),
            Self::MemoryBase | Self::HeapLimit => {
                (ValType::I32, ConstExpr::i32_const((PAGE - BORDER) as i32))
            }
            // An entry fresh from the heap bears 0.
            Self::Generation | Self::Flush => (ValType::I32, ConstExpr::i32_const(1)),
            _ => (ValType::I32, ConstExpr::i32_const(0)),
        }
    }
}

/// Declares the runtime's globals; they have to come first.
pub fn declare_globals(section: &mut GlobalSection) {
    for global in Global::ALL {
        let (val_type, initial) = global.declaration();
        section.global(GlobalType { val_type, mutable: true, shared: false }, &initial);
    }
}

/// Where in the frame input an instruction finds its value, and how many limbs it has there.
pub(crate) fn frame_field(op: Op) -> Option<(u32, usize)> {
    let (at, limbs) = match op {
        Op::Address => (offset::ADDRESS, 3),
        Op::Caller => (offset::CALLER, 3),
        Op::Callvalue => (offset::VALUE, 4),
        Op::Origin => (offset::TRANSACTION_ORIGIN, 3),
        Op::Gasprice => (offset::TRANSACTION_GAS_PRICE, 4),
        Op::Coinbase => (offset::BLOCK_COINBASE, 3),
        Op::Timestamp => (offset::BLOCK_TIMESTAMP, 4),
        Op::Number => (offset::BLOCK_NUMBER, 4),
        Op::Prevrandao => (offset::BLOCK_PREVRANDAO, 4),
        Op::Gaslimit => (offset::BLOCK_GAS_LIMIT, 1),
        Op::Chainid => (offset::BLOCK_CHAIN_ID, 1),
        Op::Basefee => (offset::BLOCK_BASE_FEE, 4),
        Op::Blobbasefee => (offset::BLOCK_BLOB_BASE_FEE, 4),
        _ => return None,
    };
    Some((at as u32, limbs))
}

const _: () = assert!(WINDOW < INPUT_AT);
const _: () = assert!(MAXIMUM_PAGES * PAGE as u64 == MEMORY_MAX as u64);
