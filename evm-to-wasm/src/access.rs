//! What instructions do to EVM memory: the one description of where an access begins and how long it is.
//!
//! The builder (what is touched already), the lowering (checks and charges) and the functions of the runtime read
//! sizes from here alone; [`AccessSize`] cannot be made from a number.

use crate::opcode::Op;
use crate::word::Word;

/// Size of an access whose length is part of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessSize {
    /// MSTORE8.
    Byte,
    /// MLOAD, MSTORE.
    Word,
    /// KECCAK256 of two words: the slot of a mapping's entry.
    Pair,
}

impl AccessSize {
    /// Length, in bytes.
    pub(crate) const fn bytes(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Word => 32,
            Self::Pair => 64,
        }
    }
}

/// Length of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Known from the opcode.
    Fixed(AccessSize),
    /// An operand, by its place.
    Operand(usize),
}

/// An access to EVM memory: the place of the operand that is its offset, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryAccess {
    pub(crate) offset: usize,
    pub(crate) length: Length,
}

const fn access(offset: usize, length: Length) -> MemoryAccess {
    MemoryAccess { offset, length }
}

/// Accesses of an instruction that goes on afterwards, in the order in which they are charged. Calls and creations
/// are the runtime's: they touch memory after the gas for their callee is known (Yellow Paper, appendix H).
pub(crate) const fn accesses(op: Op) -> &'static [MemoryAccess] {
    use Length::{Fixed, Operand};
    match op {
        Op::Mload | Op::Mstore => &const { [access(0, Fixed(AccessSize::Word))] },
        Op::Mstore8 => &const { [access(0, Fixed(AccessSize::Byte))] },
        Op::Keccak256 | Op::Log => &const { [access(0, Operand(1))] },
        Op::Calldatacopy | Op::Codecopy | Op::Returndatacopy => &const { [access(0, Operand(2))] },
        Op::Extcodecopy => &const { [access(1, Operand(3))] },
        Op::Mcopy => &const { [access(0, Operand(2)), access(1, Operand(2))] },
        _ => &[],
    }
}

/// Size of the access of a KECCAK256 whose length is the constant `length`, if it is one that is lowered in place.
pub(crate) fn hashed(length: Option<Word>) -> Option<AccessSize> {
    (length? == Word::from(AccessSize::Pair.bytes())).then_some(AccessSize::Pair)
}
