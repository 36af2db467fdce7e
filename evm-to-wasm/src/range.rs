//! What is known of a value: the smallest and the largest word that it can be.
//!
//! Everything here is conservative: a result that is not listed may be any word.

use core::fmt;

use crate::opcode::Op;
use crate::word::Word;

/// An interval of words, both ends included, unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Smallest.
    pub low: Word,
    /// Largest.
    pub high: Word,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low.is_zero() && self.high == Word::mask(self.high.bits()) {
            return write!(f, "{} bits", self.high.bits());
        }
        write!(f, "{} to {}", self.low, self.high)
    }
}

impl Range {
    /// Any word.
    pub const FULL: Self = Self { low: Word::ZERO, high: Word::MAX };

    /// One word.
    pub fn exactly(word: Word) -> Self {
        Self { low: word, high: word }
    }

    /// Everything below 2^`bits`.
    pub fn bits(bits: u32) -> Self {
        Self { low: Word::ZERO, high: Word::mask(bits) }
    }

    /// Everything up to `high`.
    pub fn up_to(high: Word) -> Self {
        Self { low: Word::ZERO, high }
    }

    /// Limbs that may be other than zero, at least 1.
    pub fn limbs(self) -> usize {
        (self.high.bits().div_ceil(64) as usize).max(1)
    }

    /// Whether it is 0 or 1.
    pub fn is_flag(self) -> bool {
        self.high <= Word::from(1)
    }

    /// What is in both; `self` if nothing is.
    pub fn meet(self, other: Self) -> Self {
        let both = Self { low: self.low.max(other.low), high: self.high.min(other.high) };
        if both.low <= both.high { both } else { self }
    }

    /// What is in either.
    pub fn union(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// Whether all of `other` is in it.
    pub fn contains(self, other: Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }

    /// The only word it can be.
    pub fn only(self) -> Option<Word> {
        (self.low == self.high).then_some(self.low)
    }
}

/// What an instruction gives for operands in these ranges, the top of the stack first.
pub fn result(op: Op, a: Range, b: Range, c: Range) -> Range {
    match op {
        Op::Add => {
            let (low, _) = a.low.add_carry(b.low);
            match a.high.add_carry(b.high) {
                (high, false) => Range { low, high },
                _ => Range::FULL,
            }
        }
        Op::Sub if a.low >= b.high => Range { low: a.low.sub(b.high), high: a.high.sub(b.low) },
        Op::Mul => match a.high.mul_overflow(b.high) {
            (high, false) => Range { low: a.low.mul(b.low), high },
            _ => Range::FULL,
        },
        Op::Div if b.low.is_zero() => Range::up_to(a.high),
        Op::Div => Range { low: a.low.div_rem(b.high).0, high: a.high.div_rem(b.low).0 },
        Op::Mod if b.high.is_zero() => Range::exactly(Word::ZERO),
        Op::Mod => Range::up_to(a.high.min(b.high.sub(Word::from(1)))),
        Op::Addmod | Op::Mulmod if c.high.is_zero() => Range::exactly(Word::ZERO),
        Op::Addmod | Op::Mulmod => Range::up_to(c.high.sub(Word::from(1))),
        Op::Sdiv if !a.high.is_negative() && !b.high.is_negative() => result(Op::Div, a, b, c),
        Op::Smod if !a.high.is_negative() && !b.high.is_negative() => result(Op::Mod, a, b, c),
        Op::Lt if a.high < b.low => Range::exactly(Word::from(1)),
        Op::Lt if a.low >= b.high => Range::exactly(Word::ZERO),
        Op::Gt => result(Op::Lt, b, a, c),
        Op::Slt if !a.high.is_negative() && !b.high.is_negative() => result(Op::Lt, a, b, c),
        Op::Sgt => result(Op::Slt, b, a, c),
        Op::Eq if a.high < b.low || b.high < a.low => Range::exactly(Word::ZERO),
        Op::Iszero if !a.low.is_zero() => Range::exactly(Word::ZERO),
        Op::Lt | Op::Slt | Op::Eq | Op::Iszero => Range::bits(1),
        Op::And => Range::up_to(a.high.min(b.high)),
        Op::Or | Op::Xor => {
            let high = Word::mask(a.high.bits().max(b.high.bits()));
            let low = if op == Op::Or { a.low.max(b.low) } else { Word::ZERO };
            Range { low, high }
        }
        Op::Not => Range { low: a.high.not(), high: a.low.not() },
        Op::Byte => Range::bits(8),
        Op::Shl => match a.only() {
            Some(by) if b.high.bits() + by.shift_amount() <= 256 => {
                let by = by.shift_amount();
                Range { low: b.low.shl(by), high: b.high.shl(by) }
            }
            _ => Range::FULL,
        },
        Op::Shr => {
            let low = b.low.shr(a.high.shift_amount());
            Range { low, high: b.high.shr(a.low.shift_amount()) }
        }
        Op::Sar if !b.high.is_negative() => result(Op::Shr, a, b, c),
        Op::Signextend => match a.only().and_then(Word::as_u64) {
            Some(index) if index < 31 && b.high.bits() < 8 * (index as u32 + 1) => b,
            _ => Range::FULL,
        },
        Op::Clz => Range::up_to(Word::from(256)),
        Op::Address | Op::Origin | Op::Caller | Op::Coinbase | Op::Create | Op::Create2 => {
            Range::bits(160)
        }
        Op::Gaslimit | Op::Chainid => Range::bits(64),
        // Gas fits 63 bits, memory and what is copied through it far less.
        Op::Gas => Range::bits(64),
        Op::Msize | Op::Calldatasize | Op::Codesize | Op::Returndatasize | Op::Extcodesize => {
            Range::bits(32)
        }
        Op::Call | Op::Callcode | Op::Delegatecall | Op::Staticcall => Range::bits(1),
        _ => Range::FULL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(low: u64, high: u64) -> Range {
        Range { low: Word::from(low), high: Word::from(high) }
    }

    #[test]
    fn sums_of_narrow_values_do_not_wrap() {
        let wide = result(Op::Add, Range::bits(64), Range::bits(64), Range::FULL);
        assert_eq!(wide.limbs(), 2);
        assert_eq!(result(Op::Add, Range::FULL, range(1, 1), Range::FULL), Range::FULL);
        assert_eq!(result(Op::Sub, range(5, 9), range(2, 3), Range::FULL), range(2, 7));
        assert_eq!(result(Op::Sub, range(1, 9), range(2, 3), Range::FULL), Range::FULL);
    }

    #[test]
    fn comparisons_of_apart_ranges_are_known() {
        assert_eq!(result(Op::Lt, range(1, 4), range(5, 9), Range::FULL), range(1, 1));
        assert_eq!(result(Op::Gt, range(1, 5), range(5, 9), Range::FULL), range(0, 0));
        let not_small = result(Op::Not, Range::bits(64), Range::FULL, Range::FULL);
        assert_eq!(result(Op::Gt, Range::bits(64), not_small, Range::FULL), range(0, 0));
    }
}
