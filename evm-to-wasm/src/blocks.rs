//! Bytecode in, blocks out: the first two steps of a compilation.
//!
//! A block runs from one place that control can reach to the next, or to an instruction that ends it. Long
//! ones are cut, so that no single block can break a limit of the host. A run of JUMPDESTs is one block, the
//! last of them; who enters it earlier pays for those between ([`Blocks::target`]). Code that nothing can
//! reach (behind a STOP, with no JUMPDEST) makes no block.

use alloc::vec::Vec;
use core::ops::Range;

use crate::opcode::{self, Op, Row};
use crate::word::Word;
use crate::{Fork, Warning};

/// Instructions in a block, at most.
const BLOCK_INSTRUCTIONS_MAX: u32 = 160;

/// "No block here" in [`Blocks::at`].
const NOWHERE: u32 = u32::MAX;

/// An instruction.
#[derive(Clone, Copy, Debug)]
pub struct Instruction {
    /// Where, in bytes.
    pub pc: u32,
    /// Its byte.
    pub byte: u8,
    /// Its row.
    pub row: &'static Row,
}

/// What a block ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The block behind it.
    Fall,
    /// JUMP.
    Jump,
    /// JUMPI, else the block behind it.
    Jumpi,
    /// STOP, or the end of the code.
    Stop,
    /// RETURN.
    Return,
    /// REVERT.
    Revert,
    /// SELFDESTRUCT.
    Selfdestruct,
    /// INVALID, or what the fork does not define.
    Halt,
}

/// Straight-line code.
#[derive(Clone, Debug)]
pub struct Block {
    /// Where it begins, in bytes.
    pub pc: u32,
    /// Where it ends, in bytes.
    pub end_pc: u32,
    /// Its instructions in [`Blocks::instructions`], the one that ends it among them.
    pub instructions: Range<u32>,
    /// Entries that the stack must have.
    pub need: u16,
    /// How far below its entry height it pops or swaps.
    pub consumed: u16,
    /// How far above its entry height the stack grows.
    pub growth: u16,
    /// Height at the end, relative to the entry.
    pub net: i16,
    /// Static EVM gas.
    pub gas: u32,
    /// What it ends with.
    pub end: End,
    /// Whether a jump may come here.
    pub jumpdest: bool,
}

/// A place that control goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Index of the block.
    pub block: u32,
    /// Static gas of the JUMPDESTs between the place and the block.
    pub gas: u32,
}

/// A decoded contract.
#[derive(Debug)]
pub struct Blocks<'a> {
    /// The bytecode.
    pub code: &'a [u8],
    /// Every instruction, in order.
    pub instructions: Vec<Instruction>,
    /// Every block, in order.
    pub blocks: Vec<Block>,
    /// For each byte the block which a jump there enters.
    at: Vec<u32>,
    /// What is odd in it.
    pub warnings: Vec<Warning>,
}

impl<'a> Blocks<'a> {
    /// Decodes `code` under the rules of `fork`.
    pub fn decode(code: &'a [u8], fork: Fork) -> Self {
        let mut decoder = Decoder {
            out: Self {
                code,
                instructions: Vec::with_capacity(code.len()),
                blocks: Vec::new(),
                at: alloc::vec![NOWHERE; code.len()],
                warnings: Vec::new(),
            },
            fork,
            pc: 0,
        };
        decoder.run();
        decoder.out
    }

    /// Where a jump to `pc` leads; none if it halts.
    pub fn target(&self, pc: u64) -> Option<Target> {
        let block = *self.at.get(usize::try_from(pc).ok()?)?;
        let found = self.blocks.get(block as usize)?;
        Some(Target { block, gas: found.pc - pc as u32 })
    }

    /// Whether a jump may go to `pc`.
    pub fn is_place(&self, pc: u32) -> bool {
        self.at.get(pc as usize).is_some_and(|block| *block != NOWHERE)
    }

    /// Every place that a jump may go to, in order.
    pub fn jumpdests(&self) -> impl Iterator<Item = u32> + '_ {
        self.at.iter().enumerate().filter(|(_, block)| **block != NOWHERE).map(|(pc, _)| pc as u32)
    }

    /// Where control goes from the end of `block` by falling; the block behind begins a sled perhaps.
    pub fn fall(&self, block: u32) -> Option<Target> {
        let behind = self.blocks.get(block as usize)?.end_pc;
        let next = self.blocks.get(block as usize + 1)?;
        Some(Target { block: block + 1, gas: next.pc - behind })
    }

    /// The word that a PUSH pushes.
    pub fn immediate(&self, instruction: Instruction) -> Word {
        let start = instruction.pc as usize + 1;
        let bytes = opcode::immediate_bytes(instruction.byte);
        let mut limbs = [0_u64; 4];
        for (place, at) in (start..start + bytes).rev().enumerate() {
            let byte = self.code.get(at).copied().unwrap_or(0);
            limbs[place / 8] |= u64::from(byte) << (8 * (place % 8));
        }
        Word(limbs)
    }

    /// The same, if it fits 32 bits.
    pub fn small_immediate(&self, instruction: Instruction) -> Option<u32> {
        let start = instruction.pc as usize + 1;
        let mut word = 0_u32;
        for place in start..start + opcode::immediate_bytes(instruction.byte) {
            if word >> 24 != 0 {
                return None;
            }
            word = word << 8 | u32::from(self.code.get(place).copied().unwrap_or(0));
        }
        Some(word)
    }

    /// The instructions of a block.
    pub fn of(&self, block: &Block) -> &[Instruction] {
        &self.instructions[block.instructions.start as usize..block.instructions.end as usize]
    }
}

struct Decoder<'a> {
    out: Blocks<'a>,
    fork: Fork,
    pc: usize,
}

impl Decoder<'_> {
    fn run(&mut self) {
        let mut live = true;
        while self.pc < self.out.code.len() {
            let jumpdest = self.out.code[self.pc] == 0x5b;
            if !live && !jumpdest {
                self.skip();
                continue;
            }
            live = self.block();
        }
        if live {
            // Running off the end is a STOP, without gas.
            self.begin(false);
            self.finish(End::Stop);
        }
    }

    fn skip(&mut self) {
        self.pc += 1 + opcode::immediate_bytes(self.out.code[self.pc]);
    }

    fn begin(&mut self, jumpdest: bool) {
        let first = self.out.instructions.len() as u32;
        self.out.blocks.push(Block {
            pc: self.pc.min(self.out.code.len()) as u32,
            end_pc: 0,
            instructions: first..first,
            need: 0,
            consumed: 0,
            growth: 0,
            net: 0,
            gas: 0,
            end: End::Fall,
            jumpdest,
        });
    }

    fn finish(&mut self, end: End) {
        let last = self.out.instructions.len() as u32;
        if let Some(block) = self.out.blocks.last_mut() {
            block.end = end;
            block.instructions.end = last;
            block.end_pc = self.pc.min(self.out.code.len()) as u32;
        }
    }

    /// Decodes a block; whether control may fall out of it.
    fn block(&mut self) -> bool {
        let code = self.out.code;
        let jumpdest = code[self.pc] == 0x5b;
        if jumpdest {
            let index = self.out.blocks.len() as u32;
            self.out.at[self.pc] = index;
            while code.get(self.pc + 1) == Some(&0x5b) {
                self.pc += 1;
                self.out.at[self.pc] = index;
            }
        }
        self.begin(jumpdest);
        let (mut height, mut need, mut consumed, mut growth, mut gas) = (0_i32, 0, 0, 0, 0_u32);
        let mut count = 0;
        let end = loop {
            let Some(&byte) = code.get(self.pc) else { break End::Fall };
            if byte == 0x5b && count > 0 || count >= BLOCK_INSTRUCTIONS_MAX {
                break End::Fall;
            }
            let Some(row) = opcode::row_in(byte, self.fork) else {
                let since = opcode::row(byte).and_then(|row| row.since);
                self.out.warnings.push(Warning::Undefined { at: self.pc, opcode: byte, since });
                self.pc += 1;
                break End::Halt;
            };
            self.out.instructions.push(Instruction { pc: self.pc as u32, byte, row });
            count += 1;
            self.pc += 1 + opcode::immediate_bytes(byte);
            need = need.max(i32::from(row.pops) - height);
            let writes = match row.op {
                Op::Dup => 0,
                _ => i32::from(row.pops),
            };
            consumed = consumed.max(writes - height);
            height += i32::from(row.pushes) - i32::from(row.pops);
            growth = growth.max(height);
            gas += u32::from(row.gas);
            match row.op {
                Op::Jump => break End::Jump,
                Op::Jumpi => break End::Jumpi,
                Op::Stop => break End::Stop,
                Op::Return => break End::Return,
                Op::Revert => break End::Revert,
                Op::Selfdestruct => break End::Selfdestruct,
                Op::Invalid => break End::Halt,
                _ => {}
            }
        };
        self.finish(end);
        if let Some(block) = self.out.blocks.last_mut() {
            block.need = need.max(0) as u16;
            block.consumed = consumed.max(0) as u16;
            block.growth = growth.max(0) as u16;
            block.net = height as i16;
            block.gas = gas;
        }
        matches!(end, End::Fall | End::Jumpi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_end_where_control_does() {
        // PUSH1 4 JUMP STOP JUMPDEST JUMPDEST PUSH1 5b (cut off)
        let blocks = Blocks::decode(&[0x60, 4, 0x56, 0x00, 0x5b, 0x5b, 0x61, 0x5b], Fork::Cancun);
        assert_eq!(blocks.blocks.len(), 3);
        assert_eq!(blocks.blocks[0].end, End::Jump);
        assert_eq!(blocks.target(4), Some(Target { block: 1, gas: 1 }));
        assert_eq!(blocks.target(5), Some(Target { block: 1, gas: 0 }));
        assert_eq!(blocks.target(7), None, "inside push data");
        assert_eq!(blocks.blocks[2].end, End::Stop);
        assert_eq!(blocks.immediate(blocks.instructions[3]), Word::from(0x5b00));
    }

    #[test]
    fn a_block_knows_its_stack() {
        // SWAP2 POP DUP1 ADD
        let blocks = Blocks::decode(&[0x91, 0x50, 0x80, 0x01], Fork::Cancun);
        let block = &blocks.blocks[0];
        assert_eq!((block.need, block.consumed, block.growth, block.net), (3, 3, 0, -1));
    }

    #[test]
    fn undefined_instructions_halt_and_warn() {
        let blocks = Blocks::decode(&[0x1e], Fork::Prague);
        assert_eq!(blocks.blocks[0].end, End::Halt);
        let since = Some(Fork::Osaka);
        assert_eq!(blocks.warnings, [Warning::Undefined { at: 0, opcode: 0x1e, since }]);
        assert!(Blocks::decode(&[0x1e], Fork::Osaka).warnings.is_empty());
    }
}
