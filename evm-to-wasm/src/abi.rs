//! The frame ABI between a compiled contract and its parent.
//!
//! A message is a *head* in borsh, of a size that depends on nothing but the variant, and a *tail* whose
//! lengths the head gives. All numbers are little-endian; a word of the EVM is four limbs, the lowest first,
//! and so are addresses, hashes, topics and salts: a module never swaps bytes to read one.
//!
//! **Byte strings travel backwards**, the last byte first: calldata, return data, code, init code, output,
//! data of logs. A module keeps the EVM's memory backwards, so they go in and out as they are, and what one
//! compiled contract passes to another is never turned at all. [`backwards`] turns a string.
//!
//! | message | travels as | tail |
//! |---|---|---|
//! | [`FrameInput`] | arguments of the first resume | blob hashes, 32 zero bytes, calldata |
//! | [`Request`] | what `callback_into` yields, or the module's result | see its variants |
//! | [`Answer`] | what the parent resumes with | see its variants |
//!
//! The module keeps the slots it has touched and defers its writes and logs to the next request that shows
//! them to somebody else: a call, a create, the end. A revert or an exceptional halt sends none. After a call
//! that was not static it forgets present values and keeps originals and warmth; after a static one, all.
//!
//! The last request of a frame is its result: [`Request::Done`] or [`Request::SelfDestruct`]. A module may return it, or
//! yield it and so offer to run another frame of the same contract: the answer is the [`FrameInput`] of that one. Of
//! the frame before nothing is left by then that could be observed. A module that is not resumed is closed.
//!
//! A frame that its parent ends is closed without an answer. A module that breaks this ends exceptionally.

use alloc::vec::Vec;

use borsh::{BorshDeserialize, BorshSerialize};

/// Version of everything on this page; a module refuses an input of any other.
pub const FRAME_ABI_VERSION: u32 = 3;

/// The largest gas that a module counts. What a frame has beyond it is passed beside ([`FrameInput::gas_beyond`]).
pub const GAS_MAX: u64 = i64::MAX as u64;

/// A word of the EVM: 256 bits in four limbs, the lowest first.
pub type Word = [u64; 4];

/// An address as the EVM has it on its stack: the low 160 bits of a word. The parent sets the upper bits to
/// zero in what it sends and ignores them in what it gets.
pub type Address = Word;

/// A hash as the EVM has it on its stack.
pub type Hash = Word;

/// The word with these 32 bytes, written from the highest to the lowest.
#[must_use]
pub fn word(bytes: [u8; 32]) -> Word {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_be_bytes(*chunk);
    }
    limbs
}

/// The 32 bytes of a word, written from the highest to the lowest.
#[must_use]
pub fn word_bytes(word: Word) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (limb, chunk) in word.iter().rev().zip(bytes.as_chunks_mut::<8>().0) {
        *chunk = limb.to_be_bytes();
    }
    bytes
}

/// The word of an address of 20 bytes.
#[must_use]
pub fn address(bytes: [u8; 20]) -> Address {
    let mut padded = [0; 32];
    padded[12..].copy_from_slice(&bytes);
    word(padded)
}

/// The 20 bytes of an address; the upper 96 bits of the word are ignored.
#[must_use]
pub fn address_bytes(address: Address) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&word_bytes(address)[12..]);
    bytes
}

/// A byte string in the order in which it travels, or back: the last byte first.
#[must_use]
pub fn backwards(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

/// Zero bytes before calldata in the tail of a [`FrameInput`]: a word that begins at calldata's last byte can
/// be loaded whole.
pub const CALLDATA_PADDING: usize = 32;

/// Fields that a module declares it reads, one bit each; a parent may leave the others zero.
pub mod reads {
    /// [`BlockEnvironment`](super::BlockEnvironment), all but the blob base fee.
    pub const BLOCK: u32 = 1;
    /// [`TransactionEnvironment`](super::TransactionEnvironment).
    pub const TRANSACTION: u32 = 1 << 1;
    /// Blob hashes and the blob base fee.
    pub const BLOBS: u32 = 1 << 2;
}

/// What a frame of the EVM starts with. Its fields have constant offsets ([`offset`]), so that compiled code
/// loads them without decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FrameInput {
    /// [`FRAME_ABI_VERSION`].
    pub version: u32,
    /// 1 in a static frame, else 0.
    pub is_static: u32,
    /// EVM gas of the frame, at most [`GAS_MAX`].
    pub gas: u64,
    /// CALLVALUE.
    pub value: Word,
    /// The block.
    pub block: BlockEnvironment,
    /// The transaction.
    pub transaction: TransactionEnvironment,
    /// ADDRESS: whose storage and balance.
    pub address: Address,
    /// CALLER.
    pub caller: Address,
    /// EVM gas that the frame has beyond [`gas`](Self::gas). A module adds it where the gas itself shows (GAS) and
    /// nowhere else: no frame uses 2^63 gas but by calls, after which the parent divides anew ([`Left`]).
    pub gas_beyond: u64,
    /// Bytes of EVM memory that the frame may have, a multiple of 32, at most [`MEMORY_MAX`]. It halts exceptionally
    /// beyond.
    pub memory_max: u32,
    /// Bytes of logs that may still be written: the data, and 32 for each topic. A LOG beyond halts exceptionally.
    pub log_room: u32,
    /// Blob hashes in the tail, a word each.
    pub blob_hashes: u32,
    /// Bytes of calldata in the tail, backwards, after the blob hashes and [`CALLDATA_PADDING`] zero bytes.
    pub calldata_bytes: u32,
}

/// No gas and nothing else, with as much memory and logs as can be said.
impl Default for FrameInput {
    fn default() -> Self {
        Self {
            version: 0,
            is_static: 0,
            gas: 0,
            value: Word::default(),
            block: BlockEnvironment::default(),
            transaction: TransactionEnvironment::default(),
            address: Address::default(),
            caller: Address::default(),
            gas_beyond: 0,
            memory_max: MEMORY_MAX,
            log_room: u32::MAX,
            blob_hashes: 0,
            calldata_bytes: 0,
        }
    }
}

/// The largest [`FrameInput::memory_max`]: all the linear memory that a module may have, which it never has for EVM
/// memory alone.
pub const MEMORY_MAX: u32 = 2_048 * 65_536;

/// What the EVM tells of the block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockEnvironment {
    /// NUMBER.
    pub number: Word,
    /// TIMESTAMP, in seconds.
    pub timestamp: Word,
    /// PREVRANDAO, or DIFFICULTY before the merge.
    pub prevrandao: Word,
    /// BASEFEE, in wei.
    pub base_fee: Word,
    /// BLOBBASEFEE, in wei.
    pub blob_base_fee: Word,
    /// GASLIMIT, in EVM gas.
    pub gas_limit: u64,
    /// CHAINID.
    pub chain_id: u64,
    /// COINBASE.
    pub coinbase: Address,
}

/// What the EVM tells of the transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TransactionEnvironment {
    /// GASPRICE, in wei.
    pub gas_price: Word,
    /// ORIGIN.
    pub origin: Address,
}

/// Offsets of the fields of [`FrameInput`], in bytes.
#[allow(missing_docs, reason = "named after the fields")]
pub mod offset {
    pub const VERSION: usize = 0;
    pub const IS_STATIC: usize = 4;
    pub const GAS: usize = 8;
    pub const VALUE: usize = 16;
    pub const BLOCK: usize = 48;
    pub const BLOCK_NUMBER: usize = BLOCK;
    pub const BLOCK_TIMESTAMP: usize = BLOCK + 32;
    pub const BLOCK_PREVRANDAO: usize = BLOCK + 64;
    pub const BLOCK_BASE_FEE: usize = BLOCK + 96;
    pub const BLOCK_BLOB_BASE_FEE: usize = BLOCK + 128;
    pub const BLOCK_GAS_LIMIT: usize = BLOCK + 160;
    pub const BLOCK_CHAIN_ID: usize = BLOCK + 168;
    pub const BLOCK_COINBASE: usize = BLOCK + 176;
    pub const TRANSACTION: usize = BLOCK + 208;
    pub const TRANSACTION_GAS_PRICE: usize = TRANSACTION;
    pub const TRANSACTION_ORIGIN: usize = TRANSACTION + 32;
    pub const ADDRESS: usize = TRANSACTION + 64;
    pub const CALLER: usize = ADDRESS + 32;
    pub const GAS_BEYOND: usize = CALLER + 32;
    pub const MEMORY_MAX: usize = GAS_BEYOND + 8;
    pub const LOG_ROOM: usize = MEMORY_MAX + 4;
    pub const BLOB_HASHES: usize = LOG_ROOM + 4;
    pub const CALLDATA_BYTES: usize = BLOB_HASHES + 4;
    /// Where the tail begins: the size of the head.
    pub const TAIL: usize = CALLDATA_BYTES + 4;
}

/// How many deferred effects a request's tail begins with, in this order: logs (a [`LogHead`], its topics, its
/// data), storage writes (slot and value, a word each), transient writes (the same).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Effects {
    /// Logs since the last flush, in order.
    pub logs: u32,
    /// Storage writes since the last flush, one a slot, in the order of the first write to each.
    pub storage_writes: u32,
    /// Transient writes since the last flush, likewise.
    pub transient_writes: u32,
}

/// What a frame has left when another one has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Left {
    /// EVM gas with what the other one gave back, at most [`GAS_MAX`].
    pub gas: u64,
    /// EVM gas beyond that, as [`FrameInput::gas_beyond`].
    pub gas_beyond: u64,
    /// As [`FrameInput::log_room`].
    pub log_room: u32,
}

impl Left {
    /// So much gas, and room for any log.
    #[must_use]
    pub fn of(gas: u64) -> Self {
        Self { gas: gas.min(GAS_MAX), gas_beyond: gas.saturating_sub(GAS_MAX), log_room: u32::MAX }
    }
}

/// The head of a log; `topics` words and `data_bytes` bytes, backwards, follow it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LogHead {
    /// Topics, at most four.
    pub topics: u32,
    /// Bytes of data.
    pub data_bytes: u32,
}

/// Which instruction of the CALL family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum CallKind {
    /// CALL.
    Call,
    /// CALLCODE.
    CallCode,
    /// DELEGATECALL.
    DelegateCall,
    /// STATICCALL.
    StaticCall,
}

/// How a frame ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Halt {
    /// STOP or RETURN.
    Success,
    /// REVERT.
    Revert,
    /// Any exceptional halt: all gas is gone.
    Exceptional,
}

/// What a module asks of its parent, or ends with. `gas_left` is after all that the module charges itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Request {
    /// The first touch of a storage slot, by SLOAD or SSTORE. No tail; answered by [`Answer::Slot`].
    SLoad {
        /// The slot.
        slot: Word,
    },
    /// The first touch of a transient slot. No tail; answered by [`Answer::Word`].
    TLoad {
        /// The slot.
        slot: Word,
    },
    /// The first BALANCE of an address, or SELFBALANCE. No tail; answered by [`Answer::Balance`].
    Balance {
        /// The address.
        address: Address,
    },
    /// The first EXTCODE* of an address. No tail; answered by [`Answer::Code`].
    ExtCode {
        /// The address.
        address: Address,
        /// 1 if the bytes are wanted, 0 if length and hash will do.
        with_bytes: u32,
    },
    /// BLOCKHASH of a block within reach. No tail; answered by [`Answer::Word`].
    BlockHash {
        /// Number of the block.
        number: u64,
    },
    /// The CALL family. Tail: effects, then input. Answered by [`Answer::Returned`].
    Call {
        /// Which instruction.
        kind: CallKind,
        /// EVM gas left in the frame.
        gas_left: u64,
        /// EVM gas asked for; `u64::MAX` for as much or more.
        gas_asked: u64,
        /// Whom.
        address: Address,
        /// Value, zero where the instruction has none.
        value: Word,
        /// Effects in the tail.
        effects: Effects,
        /// Bytes of EVM memory: MSIZE.
        memory_bytes: u32,
        /// Bytes of input in the tail.
        input_bytes: u32,
    },
    /// CREATE and CREATE2. Tail: effects, then init code. Answered by [`Answer::Created`].
    Create {
        /// 1 for CREATE2, which has a salt, 0 for CREATE.
        with_salt: u32,
        /// The salt.
        salt: Word,
        /// EVM gas left in the frame.
        gas_left: u64,
        /// Value.
        value: Word,
        /// Effects in the tail.
        effects: Effects,
        /// Bytes of EVM memory: MSIZE.
        memory_bytes: u32,
        /// Bytes of init code in the tail.
        init_code_bytes: u32,
    },
    /// SELFDESTRUCT, which ends the frame: its result. Tail: effects.
    SelfDestruct {
        /// EVM gas left in the frame.
        gas_left: u64,
        /// The frame's own refund, in EVM gas.
        refund: i64,
        /// Who gets the balance.
        beneficiary: Address,
        /// Effects in the tail.
        effects: Effects,
    },
    /// The end of the frame: its result. Tail: effects, then output.
    Done {
        /// How it ended.
        halt: Halt,
        /// EVM gas left in the frame.
        gas_left: u64,
        /// The frame's own refund, in EVM gas; it may be negative.
        refund: i64,
        /// Effects in the tail; none unless it succeeded.
        effects: Effects,
        /// Bytes of output in the tail.
        output_bytes: u32,
    },
    /// Effects before they are due, so that none of them has to be kept. Tail: effects. Answered by [`Answer::Word`] with
    /// zero. If the frame reverts or halts later they are undone like those that it sent with a call.
    Flush {
        /// Effects in the tail.
        effects: Effects,
    },
}

/// What a parent answers. Cold: the first touch in the transaction, which the module charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Answer {
    /// To [`Request::SLoad`]. No tail.
    Slot {
        /// The value now.
        present: Word,
        /// The value at the start of the transaction (EIP-2200).
        original: Word,
        /// 1 if the slot was cold.
        cold: u32,
    },
    /// To [`Request::TLoad`], [`Request::BlockHash`] and [`Request::Flush`]. No tail.
    Word(Word),
    /// To [`Request::Balance`]. No tail.
    Balance {
        /// The balance, in wei.
        balance: Word,
        /// 1 if the account was cold.
        cold: u32,
    },
    /// To [`Request::ExtCode`]. Tail: the code, backwards, if its bytes were wanted.
    Code {
        /// Hash of the code, zero for an account that is none.
        hash: Hash,
        /// Bytes of code, whether or not they are in the tail.
        code_bytes: u32,
        /// 1 if the account was cold.
        cold: u32,
    },
    /// To [`Request::Call`]. Tail: return data.
    Returned {
        /// 1 if the call succeeded.
        success: u32,
        /// What this frame has left.
        left: Left,
        /// Bytes of return data in the tail.
        data_bytes: u32,
    },
    /// To [`Request::Create`]. Tail: return data, which only a revert has.
    Created {
        /// The new contract, zero if there is none.
        address: Address,
        /// What this frame has left.
        left: Left,
        /// Bytes of return data in the tail.
        data_bytes: u32,
    },
}

#[cfg(test)]
mod tests;
