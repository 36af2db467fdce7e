//! Where jumps go and how high the stack is: abstract interpretation of the blocks, to a fixpoint.
//!
//! An abstract stack has, from the top down, what is known of each entry: nothing, a constant, a set of
//! constants. States are kept apart by *context*: the constants on the stack that could be return addresses,
//! the nearest ones first. With all of them the returns of internal functions resolve exactly; if that
//! takes too many steps, fewer are used, so the time stays linear in the code. A jump that stays unknown
//! may go to every JUMPDEST with any stack.
//!
//! What comes out is a graph of states, many to a block; [`crate::graph`] makes nodes of it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::blocks::{Blocks, End, Target};
use crate::opcode::{Op, arity};

/// Entries that are followed, from the top.
const STACK_FOLLOWED: usize = 160;
/// Constants in a set; a larger one is unknown.
const SET_MAX: usize = 512;
/// Height limit of the EVM's stack.
pub const STACK_LIMIT: u16 = 1024;

/// What is known of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Nothing.
    Unknown,
    /// The constant, as a PUSH left it: it may be a return address.
    Pushed(u32),
    /// The constant, computed.
    Number(u32),
    /// One of an interned set.
    Set(u32),
}

/// Where a jump goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goes {
    /// To these states; the constant that leads to each beside it. A constant that leads nowhere halts.
    To(Vec<(u32, u32)>),
    /// Anywhere.
    Anywhere,
}

/// A block in a context.
#[derive(Clone, Debug)]
pub struct State {
    /// The block.
    pub block: u32,
    /// Heights that the stack may have at its entry.
    pub heights: (u16, u16),
    /// The nearest possible return address on the stack, if there is one.
    pub returns_to: Option<u32>,
    /// Where its JUMP or JUMPI goes.
    pub jump: Option<Goes>,
    /// The state that it falls into.
    pub fall: Option<u32>,
    stack: Vec<Known>,
    visits: u32,
    queued: bool,
}

/// What the interpretation found.
#[derive(Debug)]
pub struct Analysis {
    /// States; the first one is the entry of the contract.
    pub states: Vec<State>,
    /// Whether a jump goes anywhere: every JUMPDEST then has a state with an unknown stack.
    pub any_jump: bool,
    /// For each block the state of an unknown stack, if `any_jump`.
    pub unknown: BTreeMap<u32, u32>,
}

/// Interprets `blocks`.
pub fn analyse(blocks: &Blocks<'_>) -> Analysis {
    let size = blocks.instructions.len() as u64;
    for (contexts, steps) in [(usize::MAX, 40), (4, 24), (2, 24), (1, 24)] {
        let budget = size * steps + 10_000;
        if let Some(found) = Interpreter::new(blocks, contexts).run(budget) {
            return found;
        }
    }
    // Without contexts each entry of a block falls at most a few times.
    if let Some(found) = Interpreter::new(blocks, 0).run(size * 64 + 10_000) {
        return found;
    }
    coarse(blocks)
}

/// What is left when interpretation takes too long: only a PUSH right before a jump is seen.
fn coarse(blocks: &Blocks<'_>) -> Analysis {
    let mut states: Vec<State> = Vec::with_capacity(blocks.blocks.len());
    for index in 0..blocks.blocks.len() as u32 {
        let block = &blocks.blocks[index as usize];
        let code = blocks.of(block);
        let jump = matches!(block.end, End::Jump | End::Jumpi).then(|| {
            let before = code.len().checked_sub(2).map(|place| code[place]);
            match before.filter(|push| push.row.op == Op::Push) {
                None => Goes::Anywhere,
                Some(push) => {
                    let pc = blocks.immediate(push).as_u64();
                    let target = pc.and_then(|pc| Some((pc as u32, blocks.target(pc)?.block)));
                    Goes::To(target.into_iter().collect())
                }
            }
        });
        let fall = matches!(block.end, End::Fall | End::Jumpi)
            .then(|| blocks.fall(index).map(|target| target.block))
            .flatten();
        let heights = if index == 0 { (0, 0) } else { (0, STACK_LIMIT) };
        states.push(State {
            block: index,
            heights,
            returns_to: None,
            jump,
            fall,
            stack: Vec::new(),
            visits: 0,
            queued: false,
        });
    }
    // The first block has the height of the entry only if nothing comes back to it.
    if blocks.blocks.first().is_some_and(|block| block.jumpdest) {
        states[0].heights = (0, STACK_LIMIT);
    }
    let unknown = (0..states.len() as u32)
        .filter(|index| blocks.blocks[*index as usize].jumpdest)
        .map(|index| (index, index))
        .collect();
    Analysis { states, any_jump: true, unknown }
}

struct Interpreter<'a, 'b> {
    blocks: &'b Blocks<'a>,
    contexts: usize,
    states: Vec<State>,
    keys: BTreeMap<(u32, Vec<u32>), u32>,
    sets: Vec<Vec<u32>>,
    set_ids: BTreeMap<Vec<u32>, u32>,
    queue: Vec<u32>,
    any_jump: bool,
    unknown: BTreeMap<u32, u32>,
    steps: u64,
}

impl<'a, 'b> Interpreter<'a, 'b> {
    fn new(blocks: &'b Blocks<'a>, contexts: usize) -> Self {
        Self {
            blocks,
            contexts,
            states: Vec::new(),
            keys: BTreeMap::new(),
            sets: Vec::new(),
            set_ids: BTreeMap::new(),
            queue: Vec::new(),
            any_jump: false,
            unknown: BTreeMap::new(),
            steps: 0,
        }
    }

    fn run(mut self, budget: u64) -> Option<Analysis> {
        if !self.blocks.blocks.is_empty() {
            self.enter(0, Vec::new(), (0, 0));
        }
        while let Some(index) = self.queue.pop() {
            self.states[index as usize].queued = false;
            self.interpret(index);
            if self.steps > budget {
                return None;
            }
        }
        Some(Analysis { states: self.states, any_jump: self.any_jump, unknown: self.unknown })
    }

    /// The state of `block` that a stack leads to, joined with it.
    fn enter(&mut self, block: u32, mut stack: Vec<Known>, heights: (u16, u16)) -> u32 {
        if stack.len() > STACK_FOLLOWED {
            stack.drain(..stack.len() - STACK_FOLLOWED);
        }
        self.steps += 4 + stack.len() as u64 / 4;
        let mut context = Vec::new();
        if self.contexts > 0 {
            for entry in stack.iter().rev() {
                if let Known::Pushed(pc) = *entry
                    && self.blocks.target(u64::from(pc)).is_some()
                {
                    context.push(pc);
                    if context.len() >= self.contexts {
                        break;
                    }
                }
            }
        }
        let returns_to = context.first().copied();
        let states = &mut self.states;
        let index = *self.keys.entry((block, context)).or_insert_with(|| {
            states.push(State {
                block,
                heights,
                returns_to,
                jump: None,
                fall: None,
                stack: stack.clone(),
                visits: 0,
                queued: false,
            });
            states.len() as u32 - 1
        });
        if self.join(index, &stack, heights) && !self.states[index as usize].queued {
            self.states[index as usize].queued = true;
            self.queue.push(index);
        }
        index
    }

    /// Whether the state knows less than before, or has never run.
    fn join(&mut self, index: u32, stack: &[Known], heights: (u16, u16)) -> bool {
        let place = index as usize;
        let mut changed = self.states[place].visits == 0;
        let (mut low, mut high) = self.states[place].heights;
        if heights.0 < low {
            low = heights.0;
            changed = true;
        }
        if heights.1 > high {
            // A height that keeps growing is a recursion: it ends at the limit.
            high = if self.states[place].visits > 6 { STACK_LIMIT } else { heights.1 };
            changed = true;
        }
        self.states[place].heights = (low, high);
        let mut mine = core::mem::take(&mut self.states[place].stack);
        if mine.len() > stack.len() {
            mine.drain(..mine.len() - stack.len());
            changed = true;
        }
        let skip = stack.len() - mine.len();
        for (entry, other) in mine.iter_mut().zip(&stack[skip..]) {
            let joined = self.join_known(*entry, *other);
            if joined != *entry {
                *entry = joined;
                changed = true;
            }
        }
        self.states[place].stack = mine;
        changed
    }

    fn join_known(&mut self, a: Known, b: Known) -> Known {
        if a == b {
            return a;
        }
        match (a, b) {
            (Known::Unknown, _) | (_, Known::Unknown) => Known::Unknown,
            (Known::Pushed(x) | Known::Number(x), Known::Pushed(y) | Known::Number(y))
                if x == y =>
            {
                Known::Number(x)
            }
            // Numbers that change are counters; only pushed ones are worth a set.
            (Known::Number(_), _) | (_, Known::Number(_)) => Known::Unknown,
            _ => {
                let mut union = self.members(a);
                union.extend(self.members(b));
                union.sort_unstable();
                union.dedup();
                self.steps += union.len() as u64 / 2;
                self.intern(union)
            }
        }
    }

    fn members(&self, known: Known) -> Vec<u32> {
        match known {
            Known::Unknown => Vec::new(),
            Known::Pushed(x) | Known::Number(x) => alloc::vec![x],
            Known::Set(id) => self.sets[id as usize].clone(),
        }
    }

    fn intern(&mut self, set: Vec<u32>) -> Known {
        if set.len() > SET_MAX {
            return Known::Unknown;
        }
        let sets = &mut self.sets;
        Known::Set(*self.set_ids.entry(set).or_insert_with_key(|set| {
            sets.push(set.clone());
            sets.len() as u32 - 1
        }))
    }

    fn interpret(&mut self, index: u32) {
        let state = &mut self.states[index as usize];
        state.visits += 1;
        let block_index = state.block;
        let mut stack = Stack { entries: state.stack.clone() };
        let (low, high) = state.heights;
        let blocks = self.blocks;
        let block = &blocks.blocks[block_index as usize];
        self.steps += 1 + u64::from(block.instructions.end - block.instructions.start);
        if high < block.need || u32::from(low) + u32::from(block.growth) > 1024 {
            return; // It always under- or overflows.
        }
        let moved = |height: u16| {
            (i32::from(height) + i32::from(block.net)).clamp(0, i32::from(STACK_LIMIT)) as u16
        };
        let heights = (moved(low.max(block.need)), moved(high));
        let code = blocks.of(block);
        let ends = matches!(block.end, End::Jump | End::Jumpi);
        for instruction in &code[..code.len() - usize::from(ends)] {
            stack.step(blocks, *instruction);
        }
        let jump = ends.then(|| stack.pop());
        if block.end == End::Jumpi {
            stack.pop();
        }
        if let Some(known) = jump {
            let goes = self.jump(known, &stack.entries, heights);
            self.states[index as usize].jump = Some(goes);
        }
        if matches!(block.end, End::Fall | End::Jumpi)
            && let Some(Target { block, .. }) = blocks.fall(block_index)
        {
            let fall = self.enter(block, stack.entries, heights);
            self.states[index as usize].fall = Some(fall);
        }
    }

    fn jump(&mut self, known: Known, stack: &[Known], heights: (u16, u16)) -> Goes {
        if known == Known::Unknown {
            if !self.any_jump {
                self.any_jump = true;
                let jumpdests: Vec<u32> = (0..self.blocks.blocks.len() as u32)
                    .filter(|index| self.blocks.blocks[*index as usize].jumpdest)
                    .collect();
                for block in jumpdests {
                    let state = self.enter(block, Vec::new(), (0, STACK_LIMIT));
                    self.unknown.insert(block, state);
                }
            }
            return Goes::Anywhere;
        }
        let mut to = Vec::new();
        for pc in self.members(known) {
            if let Some(target) = self.blocks.target(u64::from(pc)) {
                to.push((pc, self.enter(target.block, stack.to_vec(), heights)));
            }
        }
        Goes::To(to)
    }
}

/// The abstract stack of a running block; what is below its entries is unknown.
struct Stack {
    entries: Vec<Known>,
}

impl Stack {
    fn pop(&mut self) -> Known {
        self.entries.pop().unwrap_or(Known::Unknown)
    }

    fn reach(&mut self, depth: usize) {
        while self.entries.len() < depth {
            self.entries.insert(0, Known::Unknown);
        }
    }

    fn step(&mut self, blocks: &Blocks<'_>, instruction: crate::blocks::Instruction) {
        let row = instruction.row;
        match row.op {
            Op::Push => {
                let word = blocks.immediate(instruction).as_u64();
                let known = word.and_then(|word| u32::try_from(word).ok());
                self.entries.push(known.map_or(Known::Unknown, Known::Pushed));
            }
            Op::Pc => self.entries.push(Known::Number(instruction.pc)),
            Op::Dup => {
                let n = arity(instruction.byte);
                self.reach(n);
                self.entries.push(self.entries[self.entries.len() - n]);
            }
            Op::Swap => {
                let n = arity(instruction.byte);
                self.reach(n + 1);
                let top = self.entries.len() - 1;
                self.entries.swap(top, top - n);
            }
            Op::Add | Op::Sub | Op::And | Op::Or | Op::Xor | Op::Shl | Op::Shr | Op::Mul => {
                let (a, b) = (self.pop(), self.pop());
                self.entries.push(fold(row.op, a, b));
            }
            _ => {
                for _ in 0..row.pops {
                    self.pop();
                }
                for _ in 0..row.pushes {
                    self.entries.push(Known::Unknown);
                }
            }
        }
    }
}

/// What is known of a small result; 32 bits are enough for places in code.
fn fold(op: Op, a: Known, b: Known) -> Known {
    let value = |known| match known {
        Known::Pushed(x) | Known::Number(x) => Some(u64::from(x)),
        _ => None,
    };
    if op == Op::And {
        // A mask over all of 32 bits keeps what it masks.
        match (value(a), value(b)) {
            (Some(0xffff_ffff), None) => return b,
            (None, Some(0xffff_ffff)) => return a,
            _ => {}
        }
    }
    let (Some(a), Some(b)) = (value(a), value(b)) else { return Known::Unknown };
    let result = match op {
        Op::Add => a.checked_add(b),
        Op::Sub => a.checked_sub(b),
        Op::Mul => a.checked_mul(b),
        Op::And => Some(a & b),
        Op::Or => Some(a | b),
        Op::Xor => Some(a ^ b),
        Op::Shl if a < 32 => Some(b << a),
        Op::Shr => Some(if a < 64 { b >> a } else { 0 }),
        _ => None,
    };
    result.and_then(|result| u32::try_from(result).ok()).map_or(Known::Unknown, Known::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fork;

    fn jumps(code: &[u8]) -> Vec<(u32, Goes)> {
        let blocks = Blocks::decode(code, Fork::Cancun);
        let found = analyse(&blocks);
        found.states.iter().filter_map(|s| Some((s.block, s.jump.clone()?))).collect()
    }

    #[test]
    fn a_return_to_two_callers_resolves_in_each_context() {
        // PUSH 6; PUSH f; JUMP (0..5) pad; 6: JUMPDEST PUSH 12 PUSH f JUMP; 12: JUMPDEST STOP; f=14: JUMPDEST JUMP
        let code =
            [0x60, 6, 0x60, 14, 0x56, 0x00, 0x5b, 0x60, 12, 0x60, 14, 0x56, 0x5b, 0x00, 0x5b, 0x56];
        let found = jumps(&code);
        let returns: Vec<_> = found.iter().filter(|(block, _)| *block == 3).collect();
        assert_eq!(returns.len(), 2);
        assert!(returns.iter().all(|(_, goes)| matches!(goes, Goes::To(to) if to.len() == 1)));
    }

    #[test]
    fn a_jump_to_calldata_goes_anywhere() {
        // JUMPDEST PUSH0 CALLDATALOAD JUMP
        let found = jumps(&[0x5b, 0x5f, 0x35, 0x56]);
        assert!(found.iter().all(|(_, goes)| *goes == Goes::Anywhere));
    }

    #[test]
    fn a_jump_into_push_data_halts() {
        // PUSH 4 JUMP PUSH1 5b
        assert_eq!(jumps(&[0x60, 4, 0x56, 0x60, 0x5b]), [(0, Goes::To(Vec::new()))]);
    }
}
