//! Constant folding and the identities that compilers of contracts leave behind.
//!
//! One instruction at a time: given its operands, what stands for it. The gas of what is folded is charged
//! all the same.

use crate::ir::{Ir, V};
use crate::opcode::Op;
use crate::range::Range;
use crate::word::Word;

/// What an instruction comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simpler {
    /// Nothing simpler.
    No,
    /// A constant.
    Const(Word),
    /// A value that is there.
    Is(V),
    /// Another instruction; its byte is looked up.
    Is1(u8, V),
    /// Another instruction.
    Is2(u8, V, V),
    /// A shift by a constant.
    Shift(u8, u32, V),
}

/// The value of a pure instruction for constant operands.
pub fn fold(op: Op, a: Word, b: Word, c: Word) -> Option<Word> {
    Some(match op {
        Op::Add => a.add(b),
        Op::Mul => a.mul(b),
        Op::Sub => a.sub(b),
        Op::Div => a.div_rem(b).0,
        Op::Sdiv => a.sdiv(b),
        Op::Mod => a.div_rem(b).1,
        Op::Smod => a.smod(b),
        Op::Signextend => Word::signextend(a, b),
        Op::Lt => (a < b).into(),
        Op::Gt => (a > b).into(),
        Op::Slt => a.slt(b).into(),
        Op::Sgt => b.slt(a).into(),
        Op::Eq => (a == b).into(),
        Op::Iszero => a.is_zero().into(),
        Op::And => a.and(b),
        Op::Or => a.or(b),
        Op::Xor => a.xor(b),
        Op::Not => a.not(),
        Op::Byte => Word::byte(a, b),
        Op::Shl => b.shl(a.shift_amount()),
        Op::Shr => b.shr(a.shift_amount()),
        Op::Sar => b.sar(a.shift_amount()),
        Op::Clz => Word::from(256 - u64::from(a.bits())),
        Op::Addmod if c.is_zero() => Word::ZERO,
        Op::Addmod => match a.add_carry(b) {
            (sum, false) => sum.div_rem(c).1,
            _ => return None,
        },
        Op::Mulmod if c.is_zero() => Word::ZERO,
        Op::Mulmod => match a.mul_overflow(b) {
            (product, false) => product.div_rem(c).1,
            _ => return None,
        },
        _ => return None,
    })
}

/// What `op` of these operands comes down to, if its result is in the range that theirs say.
pub fn simplify(ir: &Ir, op: Op, operands: &[V], result: Range) -> Simpler {
    let operand = |place: usize| operands.get(place).copied();
    let constant = |place| operand(place).and_then(|value| ir.as_const(value));
    let (a, b) = (constant(0), constant(1));
    if operands.iter().all(|value| ir.as_const(*value).is_some())
        && let Some(word) =
            fold(op, a.unwrap_or_default(), b.unwrap_or_default(), constant(2).unwrap_or_default())
    {
        return Simpler::Const(word);
    }
    let range_of = |place| operand(place).map_or(Range::FULL, |value| ir.range(value));
    if let Some(word) = result.only()
        && ir_is_foldable(op)
    {
        return Simpler::Const(word);
    }
    let one = Word::from(1);
    match (op, operands) {
        (Op::Add | Op::Or | Op::Xor, &[x, _]) if b == Some(Word::ZERO) => Simpler::Is(x),
        (Op::Add | Op::Or | Op::Xor, &[_, y]) if a == Some(Word::ZERO) => Simpler::Is(y),
        (Op::Sub, &[x, _]) if b == Some(Word::ZERO) => Simpler::Is(x),
        (Op::Sub | Op::Xor, [x, y]) if ir.root(*x) == ir.root(*y) => Simpler::Const(Word::ZERO),
        (Op::And | Op::Or, [x, y]) if ir.root(*x) == ir.root(*y) => Simpler::Is(*x),
        (Op::Mul | Op::Div | Op::Sdiv, &[x, _]) if b == Some(one) => Simpler::Is(x),
        (Op::Mul, &[_, y]) if a == Some(one) => Simpler::Is(y),
        (Op::Mul, _) if a == Some(Word::ZERO) || b == Some(Word::ZERO) => {
            Simpler::Const(Word::ZERO)
        }
        (Op::Div | Op::Mod | Op::Sdiv | Op::Smod, _) if b == Some(Word::ZERO) => {
            Simpler::Const(Word::ZERO)
        }
        (Op::And, &[x, y]) => match (mask_of(a), mask_of(b)) {
            (Some(bits), _) if range_of(1).high.bits() <= bits => Simpler::Is(y),
            (_, Some(bits)) if range_of(0).high.bits() <= bits => Simpler::Is(x),
            _ => Simpler::No,
        },
        (Op::Eq, [x, y]) if ir.root(*x) == ir.root(*y) => Simpler::Const(one),
        (Op::Eq, &[x, _]) if b == Some(Word::ZERO) => Simpler::Is1(0x15, x),
        (Op::Eq, &[_, y]) if a == Some(Word::ZERO) => Simpler::Is1(0x15, y),
        (Op::Eq, &[x, _]) if b == Some(one) && range_of(0).is_flag() => Simpler::Is(x),
        (Op::Eq, &[_, y]) if a == Some(one) && range_of(1).is_flag() => Simpler::Is(y),
        (Op::Lt | Op::Gt | Op::Slt | Op::Sgt, [x, y]) if ir.root(*x) == ir.root(*y) => {
            Simpler::Const(Word::ZERO)
        }
        (Op::Lt, &[x, _]) if b == Some(one) => Simpler::Is1(0x15, x),
        (Op::Gt, &[_, y]) if a == Some(one) => Simpler::Is1(0x15, y),
        // x < x + y is false only where the sum may wrap.
        (Op::Gt, &[x, sum]) | (Op::Lt, &[sum, x]) if grows(ir, sum, x) => {
            Simpler::Const(Word::ZERO)
        }
        (Op::Iszero, &[x]) => match ir.op(x) {
            Some(Op::Iszero) => {
                let inner = ir.arguments_of(x)[0];
                if ir.range(inner).is_flag() { Simpler::Is(inner) } else { Simpler::No }
            }
            Some(Op::Xor | Op::Sub) => {
                let inner = ir.arguments_of(x);
                Simpler::Is2(0x14, inner[0], inner[1])
            }
            _ => Simpler::No,
        },
        (Op::Byte, _) if a.is_some_and(|index| index >= Word::from(32)) => {
            Simpler::Const(Word::ZERO)
        }
        (Op::Shl | Op::Shr, _) if a.is_some_and(|by| by.shift_amount() == 256) => {
            Simpler::Const(Word::ZERO)
        }
        (Op::Shl | Op::Shr | Op::Sar, &[_, y]) if a == Some(Word::ZERO) => Simpler::Is(y),
        (Op::Sar, &[x, y]) if !range_of(1).high.is_negative() => Simpler::Is2(0x1c, x, y),
        (Op::Sdiv, &[x, y]) if both_positive(range_of(0), range_of(1)) => Simpler::Is2(0x04, x, y),
        (Op::Smod, &[x, y]) if both_positive(range_of(0), range_of(1)) => Simpler::Is2(0x06, x, y),
        (Op::Slt, &[x, y]) if both_positive(range_of(0), range_of(1)) => Simpler::Is2(0x10, x, y),
        (Op::Sgt, &[x, y]) if both_positive(range_of(0), range_of(1)) => Simpler::Is2(0x11, x, y),
        (Op::Signextend, &[_, y]) => match a {
            Some(index)
                if index >= Word::from(31)
                    || range_of(1).high.bits() < 8 * (index.0[0] as u32 + 1) =>
            {
                Simpler::Is(y)
            }
            _ => Simpler::No,
        },
        (Op::Mul, &[x, y]) => match (power_of_two(a), power_of_two(b)) {
            (Some(by), _) => Simpler::Shift(0x1b, by, y),
            (_, Some(by)) => Simpler::Shift(0x1b, by, x),
            _ => Simpler::No,
        },
        (Op::Div, &[product, y]) if factor(ir, product, y).is_some() => {
            factor(ir, product, y).map_or(Simpler::No, Simpler::Is)
        }
        (Op::Shr, &[by, shifted]) if unshifted(ir, by, shifted).is_some() => {
            unshifted(ir, by, shifted).map_or(Simpler::No, Simpler::Is)
        }
        (Op::Div, &[x, _]) => power_of_two(b).map_or(Simpler::No, |by| Simpler::Shift(0x1c, by, x)),
        _ => Simpler::No,
    }
}

fn ir_is_foldable(op: Op) -> bool {
    !matches!(
        op,
        Op::Call | Op::Callcode | Op::Delegatecall | Op::Staticcall | Op::Create | Op::Create2
    )
}

fn both_positive(a: Range, b: Range) -> bool {
    !a.high.is_negative() && !b.high.is_negative()
}

/// Number of bits of a mask of low bits.
fn mask_of(word: Option<Word>) -> Option<u32> {
    word.filter(|word| *word == Word::mask(word.bits())).map(Word::bits)
}

fn power_of_two(word: Option<Word>) -> Option<u32> {
    let word = word?;
    let bits = word.bits();
    (bits > 1 && word == Word::from(1).shl(bits - 1)).then(|| bits - 1)
}

/// Whether `sum` is known to be `x` plus something, without wrapping.
fn grows(ir: &Ir, sum: V, x: V) -> bool {
    let sum = ir.root(sum);
    let operands = ir.arguments_of(sum);
    ir.op(sum) == Some(Op::Add)
        && operands.iter().any(|operand| ir.root(*operand) == ir.root(x))
        && !ir.range(operands[0]).high.add_carry(ir.range(operands[1]).high).1
}

/// The other factor of a product that is known not to wrap, as Solidity's check of a product asks for it.
fn factor(ir: &Ir, product: V, y: V) -> Option<V> {
    let product = ir.root(product);
    let &[p, q] = ir.arguments_of(product) else { return None };
    let wraps = ir.range(p).high.mul_overflow(ir.range(q).high).1;
    if ir.op(product) != Some(Op::Mul) || wraps || ir.range(y).low.is_zero() {
        return None;
    }
    let y = ir.root(y);
    [(p, q), (q, p)].into_iter().find(|(_, known)| ir.root(*known) == y).map(|(other, _)| other)
}

/// What was shifted left before, if no bit left it.
fn unshifted(ir: &Ir, by: V, shifted: V) -> Option<V> {
    let shifted = ir.root(shifted);
    let &[left, value] = ir.arguments_of(shifted) else { return None };
    let by = ir.as_const(by)?;
    let kept = ir.range(value).high.bits() + by.shift_amount() <= 256;
    (ir.op(shifted) == Some(Op::Shl) && ir.as_const(left) == Some(by) && kept).then_some(value)
}
