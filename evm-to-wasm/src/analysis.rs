//! Where jumps go and how high the stack is: abstract interpretation of the blocks, to a fixpoint.
//!
//! An abstract stack has, from the top down, what is known of each entry: nothing, a constant, a set of
//! constants. A jump to a known place with a possible return address on the stack is taken for a *call*: what
//! is below that address is put aside with the call site, and the callee sees the address as "the return of
//! one of these sites", above a tail that is "the stack of one of these sites". When it jumps there, each
//! site gets its own stack back. So functions are interpreted once for all their callers and returns still go
//! where they belong, recursion included. If it was no call nothing is lost: who reaches into the tail gets
//! what the sites have in common.
//!
//! States of a block are kept apart by the entries above the tail. A jump that stays unknown may go to every
//! JUMPDEST with any stack. Time is bounded by steps per instruction; past them only a PUSH right before a
//! jump is seen ([`coarse`]).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::blocks::{Blocks, End, Instruction};
use crate::opcode::{Op, arity};

/// Entries that are followed, from the top.
const STACK_FOLLOWED: usize = 160;
/// Members of a set; a larger one is unknown.
const SET_MAX: usize = 1_024;
/// Shapes of the stack that a block is interpreted with; more are joined.
const SHAPES_MAX: u32 = 12;
/// Steps for each instruction of the code.
const STEPS: u64 = 64;
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
    /// One of an interned set of constants.
    Set(u32),
    /// The return address of the call site that the tail is of.
    Return,
}

/// What is below the entries that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// Nothing: the bottom of the stack.
    Bottom,
    /// What one of an interned set of call sites has below the return address.
    Sites(u32),
    /// Anything.
    Unknown,
}

/// An abstract stack.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    /// Entries, the top last.
    entries: Vec<Known>,
    /// What is below them.
    tail: Tail,
    /// Heights that the stack may have.
    heights: (u16, u16),
}

/// A call: a block that jumps with a return address on the stack.
#[derive(Debug)]
struct Site {
    /// The block.
    block: u32,
    /// The return address.
    returns: u32,
    /// The stack below it.
    below: Shape,
    /// States that have looked at `below`.
    users: Vec<u32>,
}

/// Where a jump goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goes {
    /// To these constants, of which some may lead nowhere: that halts.
    To(Vec<u32>),
    /// Anywhere.
    Anywhere,
}

/// A block with a stack.
#[derive(Clone, Debug)]
pub struct State {
    /// The block.
    pub block: u32,
    /// Heights that the stack may have at its entry.
    pub heights: (u16, u16),
    /// Where its JUMP or JUMPI goes.
    pub jump: Option<Goes>,
    /// Whether it falls into the next block.
    pub falls: bool,
    shape: Shape,
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
}

/// Interprets `blocks`.
pub fn analyse(blocks: &Blocks<'_>) -> Analysis {
    let budget = blocks.instructions.len() as u64 * STEPS + 20_000;
    Interpreter::new(blocks).run(budget).unwrap_or_else(|| coarse(blocks))
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
                    let pc = blocks.immediate(push).as_u64().and_then(|pc| u32::try_from(pc).ok());
                    Goes::To(pc.into_iter().collect())
                }
            }
        });
        // The first block has the height of the entry only if nothing comes back to it.
        let heights = if index == 0 && !block.jumpdest { (0, 0) } else { (0, STACK_LIMIT) };
        states.push(State {
            block: index,
            heights,
            jump,
            falls: matches!(block.end, End::Fall | End::Jumpi),
            shape: Shape { entries: Vec::new(), tail: Tail::Unknown, heights },
            visits: 0,
            queued: false,
        });
    }
    Analysis { states, any_jump: true }
}

struct Interpreter<'a, 'b> {
    blocks: &'b Blocks<'a>,
    states: Vec<State>,
    /// The state for each block and number of entries.
    keys: BTreeMap<(u32, u32), u32>,
    shapes: Vec<u32>,
    sets: Interner,
    sites: Vec<Site>,
    /// The site for each block, return address and number of entries below it.
    site_keys: BTreeMap<(u32, u32, u32), u32>,
    queue: VecDeque<u32>,
    any_jump: bool,
    steps: u64,
}

impl<'a, 'b> Interpreter<'a, 'b> {
    fn new(blocks: &'b Blocks<'a>) -> Self {
        Self {
            blocks,
            states: Vec::new(),
            keys: BTreeMap::new(),
            shapes: alloc::vec![0; blocks.blocks.len()],
            sets: Interner::default(),
            sites: Vec::new(),
            site_keys: BTreeMap::new(),
            queue: VecDeque::new(),
            any_jump: false,
            steps: 0,
        }
    }

    fn run(mut self, budget: u64) -> Option<Analysis> {
        if !self.blocks.blocks.is_empty() {
            let entries = Vec::new();
            self.enter(0, Shape { entries, tail: Tail::Bottom, heights: (0, 0) });
        }
        while let Some(index) = self.queue.pop_front() {
            self.states[index as usize].queued = false;
            self.interpret(index);
            if self.steps > budget {
                return None;
            }
        }
        for state in &mut self.states {
            state.heights = state.shape.heights;
        }
        Some(Analysis { states: self.states, any_jump: self.any_jump })
    }

    /// Joins a stack into the state of `block` that has so many entries.
    fn enter(&mut self, block: u32, mut shape: Shape) {
        self.steps += 4 + shape.entries.len() as u64 / 4;
        if shape.entries.len() > STACK_FOLLOWED {
            self.truncate(&mut shape, STACK_FOLLOWED);
        }
        let mut key = (block, shape.entries.len() as u32);
        if !self.keys.contains_key(&key) {
            let shapes = &mut self.shapes[block as usize];
            *shapes += 1;
            if *shapes > SHAPES_MAX {
                // All further ones are joined with the one that has the fewest entries.
                let first = self.keys.range((block, 0)..).next().map(|(key, _)| *key);
                if let Some(least) = first.filter(|least| least.0 == block) {
                    let (mut shape, keep) = if least.1 < key.1 {
                        key = least;
                        let keep = least.1 as usize;
                        (shape, keep)
                    } else {
                        let keep = shape.entries.len();
                        (shape, keep)
                    };
                    self.truncate(&mut shape, keep);
                    shape.tail = Tail::Unknown;
                    self.forget_returns(&mut shape);
                    return self.enter_at(key, shape);
                }
            }
        }
        self.enter_at(key, shape);
    }

    fn enter_at(&mut self, key: (u32, u32), shape: Shape) {
        let index = if let Some(index) = self.keys.get(&key) {
            *index
        } else {
            let index = self.states.len() as u32;
            self.keys.insert(key, index);
            self.states.push(State {
                block: key.0,
                heights: shape.heights,
                jump: None,
                falls: false,
                shape: shape.clone(),
                visits: 0,
                queued: false,
            });
            index
        };
        let place = index as usize;
        let mut mine = self.states[place].shape.clone();
        let visits = self.states[place].visits;
        let changed = self.join(&mut mine, shape, visits > 6) || visits == 0;
        self.states[place].shape = mine;
        if changed {
            self.enqueue(index);
        }
    }

    fn enqueue(&mut self, index: u32) {
        if !self.states[index as usize].queued {
            self.states[index as usize].queued = true;
            self.queue.push_back(index);
        }
    }

    /// Joins a stack into another one; whether that knows less than before.
    fn join(&mut self, mine: &mut Shape, mut other: Shape, often: bool) -> bool {
        let mut changed = false;
        if other.heights.0 < mine.heights.0 {
            mine.heights.0 = other.heights.0;
            changed = true;
        }
        if other.heights.1 > mine.heights.1 {
            // A height that keeps growing is a recursion: it ends at the limit.
            mine.heights.1 = if often { STACK_LIMIT } else { other.heights.1 };
            changed = true;
        }
        let common = mine.entries.len().min(other.entries.len());
        if mine.entries.len() > common {
            self.truncate(mine, common);
            changed = true;
        }
        self.truncate(&mut other, common);
        let tail = match (mine.tail, other.tail) {
            (a, b) if a == b => a,
            (Tail::Sites(a), Tail::Sites(b)) => self.union(a, b).map_or(Tail::Unknown, Tail::Sites),
            _ => Tail::Unknown,
        };
        if tail == Tail::Unknown {
            self.forget_returns(mine);
            self.forget_returns(&mut other);
        }
        for place in 0..common {
            let (a, b) = (mine.entries[place], other.entries[place]);
            if a == b {
                continue;
            }
            let a_known = self.without_return(a, mine.tail);
            let b_known = self.without_return(b, other.tail);
            let joined = self.join_known(a_known, b_known);
            if joined != a {
                mine.entries[place] = joined;
                changed = true;
            }
        }
        if tail != mine.tail {
            mine.tail = tail;
            changed = true;
        }
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
                self.set(union)
            }
        }
    }

    /// Constants that an entry may be, other than a return.
    fn members(&self, known: Known) -> Vec<u32> {
        match known {
            Known::Unknown | Known::Return => Vec::new(),
            Known::Pushed(x) | Known::Number(x) => alloc::vec![x],
            Known::Set(id) => self.sets.list[id as usize].clone(),
        }
    }

    fn set(&mut self, mut members: Vec<u32>) -> Known {
        members.sort_unstable();
        members.dedup();
        self.steps += members.len() as u64 / 2;
        match members.as_slice() {
            [] => Known::Unknown,
            [one] => Known::Pushed(*one),
            _ if members.len() > SET_MAX => Known::Unknown,
            _ => Known::Set(self.sets.intern(members)),
        }
    }

    fn union(&mut self, a: u32, b: u32) -> Option<u32> {
        let mut union = self.sets.list[a as usize].clone();
        union.extend_from_slice(&self.sets.list[b as usize]);
        union.sort_unstable();
        union.dedup();
        self.steps += union.len() as u64 / 2;
        (union.len() <= SET_MAX).then(|| self.sets.intern(union))
    }

    /// An entry as it is without its tail: a return is one of the sites' constants.
    fn without_return(&mut self, known: Known, tail: Tail) -> Known {
        match (known, tail) {
            (Known::Return, Tail::Sites(id)) => {
                let sites = &self.sets.list[id as usize];
                let constants =
                    sites.iter().map(|site| self.sites[*site as usize].returns).collect();
                self.set(constants)
            }
            (Known::Return, _) => Known::Unknown,
            _ => known,
        }
    }

    fn forget_returns(&mut self, shape: &mut Shape) {
        for place in 0..shape.entries.len() {
            shape.entries[place] = self.without_return(shape.entries[place], shape.tail);
        }
    }

    /// Forgets entries below the topmost `count`.
    fn truncate(&mut self, shape: &mut Shape, count: usize) {
        if shape.entries.len() > count {
            self.forget_returns(shape);
            shape.entries.drain(..shape.entries.len() - count);
            shape.tail = Tail::Unknown;
        }
    }

    /// Brings entries down to `depth` from the top into a stack, out of its tail if need be.
    fn reach(&mut self, shape: &mut Shape, depth: usize, user: u32) {
        while shape.entries.len() < depth {
            self.forget_returns(shape);
            let Tail::Sites(id) = shape.tail else {
                let missing = depth - shape.entries.len();
                shape.entries.splice(0..0, core::iter::repeat_n(Known::Unknown, missing));
                return;
            };
            let mut below: Option<Shape> = None;
            for site in self.sets.list[id as usize].clone() {
                self.use_site(site, user);
                let other = self.sites[site as usize].below.clone();
                match &mut below {
                    None => below = Some(other),
                    Some(mine) => {
                        self.join(mine, other, false);
                    }
                }
            }
            let Some(mut below) = below else { return };
            if below.entries.is_empty() && below.tail == shape.tail {
                // A recursion that never gets to the bottom.
                below.tail = Tail::Unknown;
            }
            shape.tail = below.tail;
            shape.entries.splice(0..0, below.entries);
            if shape.entries.len() > 4 * STACK_FOLLOWED {
                self.truncate(shape, depth.max(STACK_FOLLOWED));
            }
        }
    }

    fn use_site(&mut self, site: u32, user: u32) {
        let users = &mut self.sites[site as usize].users;
        self.steps += 1;
        if let Err(place) = users.binary_search(&user) {
            users.insert(place, user);
        }
    }

    fn interpret(&mut self, index: u32) {
        let state = &mut self.states[index as usize];
        state.visits += 1;
        let block_index = state.block;
        let mut shape = state.shape.clone();
        let (low, high) = shape.heights;
        let blocks = self.blocks;
        let block = &blocks.blocks[block_index as usize];
        self.steps += 1 + u64::from(block.instructions.end - block.instructions.start);
        if high < block.need || u32::from(low) + u32::from(block.growth) > 1024 {
            return; // It always under- or overflows.
        }
        let moved = |height: u16| {
            (i32::from(height) + i32::from(block.net)).clamp(0, i32::from(STACK_LIMIT)) as u16
        };
        self.reach(&mut shape, usize::from(block.need), index);
        shape.heights = (moved(low.max(block.need)), moved(high));
        let code = blocks.of(block);
        let ends = matches!(block.end, End::Jump | End::Jumpi);
        for instruction in &code[..code.len() - usize::from(ends)] {
            step(&mut shape.entries, blocks, *instruction);
        }
        let target = ends.then(|| shape.entries.pop().unwrap_or(Known::Unknown));
        if block.end == End::Jumpi {
            shape.entries.pop();
        }
        if matches!(block.end, End::Fall | End::Jumpi)
            && let Some(next) = blocks.fall(block_index)
        {
            self.states[index as usize].falls = true;
            let shape = shape.clone();
            let next_is_target = blocks.blocks[next.block as usize].jumpdest;
            let shape = if next_is_target { self.put_aside(shape, block_index) } else { shape };
            self.enter(next.block, shape);
        }
        if let Some(target) = target {
            let goes = self.jump(target, shape, index);
            self.states[index as usize].jump = Some(goes);
        }
    }

    fn jump(&mut self, target: Known, shape: Shape, index: u32) -> Goes {
        match (target, shape.tail) {
            (Known::Return, Tail::Sites(id)) => {
                let mut to = Vec::new();
                for site in self.sets.list[id as usize].clone() {
                    self.use_site(site, index);
                    to.push(self.give_back(site, &shape));
                }
                to.sort_unstable();
                to.dedup();
                return Goes::To(to);
            }
            (Known::Unknown | Known::Return, _) => {
                self.go_anywhere();
                return Goes::Anywhere;
            }
            _ => {}
        }
        let to = self.members(target);
        let from = self.states[index as usize].block;
        let shape = self.put_aside(shape, from);
        for pc in &to {
            if let Some(target) = self.blocks.target(u64::from(*pc)) {
                self.enter(target.block, shape.clone());
            }
        }
        Goes::To(to)
    }

    fn go_anywhere(&mut self) {
        if self.any_jump {
            return;
        }
        self.any_jump = true;
        for block in 0..self.blocks.blocks.len() as u32 {
            if self.blocks.blocks[block as usize].jumpdest {
                let shape =
                    Shape { entries: Vec::new(), tail: Tail::Unknown, heights: (0, STACK_LIMIT) };
                self.enter(block, shape);
            }
        }
    }

    /// Returns to a site: its own stack, and above it what the callee leaves.
    fn give_back(&mut self, site: u32, shape: &Shape) -> u32 {
        let Site { block, returns, below, .. } = &self.sites[site as usize];
        let (block, returns, mut back) = (*block, *returns, below.clone());
        let above = shape.entries.len() as u16;
        back.heights.0 = (back.heights.0 + above).min(STACK_LIMIT);
        back.heights.1 = (back.heights.1 + above).min(STACK_LIMIT);
        back.entries.extend(shape.entries.iter().map(|entry| match entry {
            Known::Return => Known::Pushed(returns),
            other => *other,
        }));
        if let Some(target) = self.blocks.target(u64::from(returns)) {
            // What returns here may be a callee of somebody further out.
            let back = self.put_aside(back, block);
            self.enter(target.block, back);
        }
        returns
    }

    /// Makes a call site of a jump, if there is a possible return address on the stack.
    fn put_aside(&mut self, mut shape: Shape, block: u32) -> Shape {
        let place = shape.entries.iter().rposition(|entry| {
            matches!(entry, Known::Pushed(pc) if self.blocks.target(u64::from(*pc)).is_some())
        });
        let Some(place) = place else { return shape };
        let Known::Pushed(returns) = shape.entries[place] else { return shape };
        // Above it another return address would lose its tail.
        let above: Vec<Known> = shape.entries[place + 1..].to_vec();
        let mut entries = alloc::vec![Known::Return];
        for entry in above {
            entries.push(self.without_return(entry, shape.tail));
        }
        let heights = shape.heights;
        let gone = entries.len() as u16;
        shape.entries.truncate(place);
        shape.heights = (heights.0.saturating_sub(gone), heights.1.saturating_sub(gone));
        let key = (block, returns, place as u32);
        let site = if let Some(site) = self.site_keys.get(&key) {
            *site
        } else {
            let site = self.sites.len() as u32;
            self.site_keys.insert(key, site);
            self.sites.push(Site { block, returns, below: shape.clone(), users: Vec::new() });
            site
        };
        let mut below = self.sites[site as usize].below.clone();
        if self.join(&mut below, shape, below_often(&self.sites[site as usize])) {
            for user in self.sites[site as usize].users.clone() {
                self.enqueue(user);
            }
        }
        self.sites[site as usize].below = below;
        let id = self.sets.intern(alloc::vec![site]);
        Shape { entries, tail: Tail::Sites(id), heights }
    }
}

/// Sites of recursions grow until they are widened with the states that they come from.
fn below_often(_: &Site) -> bool {
    false
}

/// Sets, each kept once.
#[derive(Debug, Default)]
struct Interner {
    list: Vec<Vec<u32>>,
    ids: BTreeMap<Vec<u32>, u32>,
}

impl Interner {
    fn intern(&mut self, set: Vec<u32>) -> u32 {
        let list = &mut self.list;
        *self.ids.entry(set).or_insert_with_key(|set| {
            list.push(set.clone());
            list.len() as u32 - 1
        })
    }
}

/// Interprets an instruction on entries that are enough for it.
fn step(entries: &mut Vec<Known>, blocks: &Blocks<'_>, instruction: Instruction) {
    let row = instruction.row;
    let n = arity(instruction.byte);
    let top = entries.len();
    match row.op {
        Op::Push => {
            let word = blocks.immediate(instruction).as_u64();
            let known = word.and_then(|word| u32::try_from(word).ok());
            entries.push(known.map_or(Known::Unknown, Known::Pushed));
        }
        Op::Pc => entries.push(Known::Number(instruction.pc)),
        Op::Dup => entries.push(entries[top - n]),
        Op::Swap => entries.swap(top - 1, top - 1 - n),
        Op::Add | Op::Sub | Op::And | Op::Or | Op::Xor | Op::Shl | Op::Shr | Op::Mul => {
            let a = entries.pop().unwrap_or(Known::Unknown);
            let b = entries.pop().unwrap_or(Known::Unknown);
            entries.push(fold(row.op, a, b));
        }
        _ => {
            entries.truncate(top - usize::from(row.pops));
            entries.extend(core::iter::repeat_n(Known::Unknown, usize::from(row.pushes)));
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
    fn a_return_to_two_callers_resolves() {
        // PUSH 6; PUSH f; JUMP (0..5) pad; 6: JUMPDEST PUSH 12 PUSH f JUMP; 12: JUMPDEST STOP; f=14: JUMPDEST JUMP
        let code =
            [0x60, 6, 0x60, 14, 0x56, 0x00, 0x5b, 0x60, 12, 0x60, 14, 0x56, 0x5b, 0x00, 0x5b, 0x56];
        let found = jumps(&code);
        let returns: Vec<_> = found.iter().filter(|(block, _)| *block == 3).collect();
        assert_eq!(returns, [&(3, Goes::To(alloc::vec![6, 12]))]);
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
        assert_eq!(jumps(&[0x60, 4, 0x56, 0x60, 0x5b]), [(0, Goes::To(alloc::vec![4]))]);
    }
}
