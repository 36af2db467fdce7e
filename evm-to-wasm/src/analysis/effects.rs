//! What each block does to an abstract stack, worked out once: a block is interpreted with many stacks, and the
//! functions to copy are chosen in several rounds.

use alloc::vec::Vec;
use core::ops::Range;

use super::known::{Known, fold};
use crate::blocks::{Blocks, End, Instruction};
use crate::opcode::{Op, arity};

/// An entry of the stack in terms of the stack at the block's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// The entry at this depth: 0 is the top.
    Entry(u32),
    /// Whatever was there.
    Is(Known),
    /// An operation in [`Effects::folds`].
    Fold(u32),
}

/// What a block does, all but its JUMP or JUMPI.
#[derive(Clone, Debug)]
struct Effect {
    /// Entries that it takes off.
    takes: u32,
    /// What it leaves in their place.
    leaves: Range<u32>,
    folds: Range<u32>,
}

/// What all blocks do.
#[derive(Debug, Default)]
pub struct Effects {
    of: Vec<Effect>,
    leaves: Vec<Left>,
    folds: Vec<(Op, Left, Left)>,
}

impl Effects {
    /// Works them out.
    pub fn new(blocks: &Blocks<'_>) -> Self {
        let mut effects = Self::default();
        let mut stack = Vec::new();
        for block in &blocks.blocks {
            let code = blocks.of(block);
            let ends = matches!(block.end, End::Jump | End::Jumpi);
            let first = effects.folds.len() as u32;
            stack.clear();
            stack.extend((0..u32::from(block.need)).rev().map(Left::Entry));
            for instruction in &code[..code.len() - usize::from(ends)] {
                effects.step(blocks, *instruction, first, &mut stack);
            }
            let need = u32::from(block.need);
            let kept = (0..need).zip(&stack).take_while(|(place, left)| {
                // What is where it was is not taken off.
                **left == Left::Entry(need - 1 - place)
            });
            let kept = kept.count();
            let start = effects.leaves.len() as u32;
            effects.leaves.extend_from_slice(&stack[kept..]);
            effects.of.push(Effect {
                takes: need - kept as u32,
                leaves: start..effects.leaves.len() as u32,
                folds: first..effects.folds.len() as u32,
            });
        }
        effects
    }

    fn step(
        &mut self,
        blocks: &Blocks<'_>,
        instruction: Instruction,
        first: u32,
        stack: &mut Vec<Left>,
    ) {
        let row = instruction.row;
        let n = arity(instruction.byte);
        let top = stack.len();
        match row.op {
            Op::Push => {
                // Only a place in the code can be a return address.
                stack.push(Left::Is(match blocks.small_immediate(instruction) {
                    Some(word) if blocks.is_place(word) => Known::Pushed(word),
                    Some(word) => Known::Number(word),
                    None => Known::Unknown,
                }));
            }
            Op::Pc => stack.push(Left::Is(Known::Number(instruction.pc))),
            Op::Dup => stack.push(stack[top - n]),
            Op::Swap => stack.swap(top - 1, top - 1 - n),
            Op::Add | Op::Sub | Op::And | Op::Or | Op::Xor | Op::Shl | Op::Shr | Op::Mul => {
                let (a, b) = (stack[top - 1], stack[top - 2]);
                stack.truncate(top - 2);
                stack.push(match (a, b) {
                    (Left::Is(a), Left::Is(b)) => Left::Is(fold(row.op, a, b)),
                    (Left::Is(Known::Unknown), _) | (_, Left::Is(Known::Unknown))
                        if row.op != Op::And =>
                    {
                        Left::Is(Known::Unknown)
                    }
                    _ => {
                        self.folds.push((row.op, a, b));
                        Left::Fold(self.folds.len() as u32 - 1 - first)
                    }
                });
            }
            _ => {
                stack.truncate(top - usize::from(row.pops));
                let pushed = Left::Is(Known::Unknown);
                stack.extend(core::iter::repeat_n(pushed, usize::from(row.pushes)));
            }
        }
    }

    /// Does to a stack what a block does; `results` is for what is in between.
    pub fn apply(&self, block: u32, entries: &mut Vec<Known>, results: &mut Vec<Known>) {
        let Effect { takes, leaves, folds } = &self.of[block as usize];
        let leaves = &self.leaves[leaves.start as usize..leaves.end as usize];
        let folds = &self.folds[folds.start as usize..folds.end as usize];
        results.clear();
        let top = entries.len();
        let value = |left: Left, results: &[Known]| match left {
            Left::Entry(depth) => entries[top - 1 - depth as usize],
            Left::Is(known) => known,
            Left::Fold(place) => results[place as usize],
        };
        for (op, a, b) in folds {
            let result = fold(*op, value(*a, results), value(*b, results));
            results.push(result);
        }
        for left in leaves {
            let result = value(*left, results);
            results.push(result);
        }
        entries.truncate(top - *takes as usize);
        entries.extend_from_slice(&results[folds.len()..]);
    }

    /// Places that the block itself pushes and leaves, from the top down; none for other entries.
    pub fn pushed(&self, block: u32) -> impl Iterator<Item = Option<u32>> + '_ {
        let leaves = self.of[block as usize].leaves.clone();
        let leaves = &self.leaves[leaves.start as usize..leaves.end as usize];
        leaves.iter().rev().map(|left| match left {
            Left::Is(Known::Pushed(word)) => Some(*word),
            _ => None,
        })
    }
}
