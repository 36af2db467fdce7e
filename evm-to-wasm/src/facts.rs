//! What a branch says about the values of its condition.
//!
//! `x < y` was false, so `y` is at most `x`; a pointer that passed Solidity's check for overflow fits 64 bits.

use alloc::vec::Vec;

use crate::ir::{Ir, V};
use crate::opcode::Op;
use crate::range::Range;
use crate::word::Word;

/// Nested conditions that are looked into.
const DEPTH_MAX: u32 = 6;

/// What is known where `condition` is not zero (`truth`) or zero: values and ranges that they are in.
pub fn of_condition(ir: &Ir, condition: V, truth: bool) -> Vec<(V, Range)> {
    let mut facts = Vec::new();
    // Twice: a bound of one operand may come from what is learned about the other one.
    for _ in 0..2 {
        learn(ir, condition, truth, 0, &mut facts);
    }
    facts
}

/// The range of a value with what has been learned.
fn range_of(ir: &Ir, value: V, facts: &[(V, Range)]) -> Range {
    let root = ir.root(value);
    facts
        .iter()
        .filter(|(known, _)| *known == root)
        .fold(ir.range(value), |range, (_, fact)| range.meet(*fact))
}

fn learn(ir: &Ir, condition: V, truth: bool, depth: u32, facts: &mut Vec<(V, Range)>) {
    if depth > DEPTH_MAX || ir.as_const(condition).is_some() {
        return;
    }
    let root = ir.root(condition);
    let one = Word::from(1);
    match (ir.op(root), ir.arguments_of(root)) {
        (Some(Op::Iszero), &[x]) => return learn(ir, x, !truth, depth + 1, facts),
        (Some(Op::Or), &[x, y]) if !truth => {
            learn(ir, x, false, depth + 1, facts);
            return learn(ir, y, false, depth + 1, facts);
        }
        (Some(Op::And), &[x, y]) if truth && ir.range(x).is_flag() && ir.range(y).is_flag() => {
            learn(ir, x, true, depth + 1, facts);
            return learn(ir, y, true, depth + 1, facts);
        }
        (Some(op @ (Op::Lt | Op::Gt | Op::Slt | Op::Sgt)), &[x, y]) => {
            let (a, b) = if matches!(op, Op::Lt | Op::Slt) { (x, y) } else { (y, x) };
            let (left, right) = (range_of(ir, a, facts), range_of(ir, b, facts));
            let signed = matches!(op, Op::Slt | Op::Sgt);
            if signed && (left.high.is_negative() || right.high.is_negative()) {
                return;
            }
            if truth {
                if !right.high.is_zero() {
                    put(ir, a, Range::up_to(right.high.sub(one)), facts);
                }
                if left.low != Word::MAX {
                    let low = left.low.add(one);
                    put(ir, b, Range { low, high: Word::MAX }, facts);
                }
            } else {
                put(ir, a, Range { low: right.low, high: Word::MAX }, facts);
                put(ir, b, Range::up_to(left.high), facts);
            }
        }
        (Some(Op::Eq), &[x, y]) if truth => {
            let both = range_of(ir, x, facts).meet(range_of(ir, y, facts));
            put(ir, x, both, facts);
            put(ir, y, both, facts);
        }
        (Some(Op::Sub | Op::Xor), &[x, y]) if !truth => {
            let both = range_of(ir, x, facts).meet(range_of(ir, y, facts));
            put(ir, x, both, facts);
            put(ir, y, both, facts);
        }
        _ => {}
    }
    let itself = if truth { Range { low: one, high: Word::MAX } } else { Range::up_to(Word::ZERO) };
    put(ir, root, itself, facts);
}

fn put(ir: &Ir, value: V, range: Range, facts: &mut Vec<(V, Range)>) {
    if ir.as_const(value).is_none() && range != Range::FULL {
        facts.push((ir.root(value), range));
    }
}
