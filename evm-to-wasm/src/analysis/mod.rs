//! Where jumps go and how high the stack is: abstract interpretation of the blocks, to a fixpoint.
//!
//! An abstract stack has, from the top down, what is known of each entry: nothing, a constant, a set of
//! constants. A jump to a *function* (a place that several jumps lead to, `functions`) with a possible return
//! address on the stack is a call: what is below that address is kept with the call site, and the callee sees
//! the address as "the return of whoever called", above a tail that is "the stack of whoever called". So a
//! function is interpreted once for all its callers, and a return still gives each caller its own stack,
//! recursion included (tabulation: Reps, Horwitz and Sagiv, 1995). Who reaches below its return address is interpreted
//! once for each caller, with the caller's stack.
//!
//! Small functions are not summed up like this but *copied*: their return address stays a constant, marked, and
//! states with other marks are other states, from which the graph makes other nodes.
//!
//! States of a block are kept apart by the number of entries, the places of return addresses among them, and
//! what is below. A jump that stays unknown may go to every JUMPDEST with any stack. Time is bounded by steps per
//! instruction; past them only a PUSH right before a jump is seen ([`coarse`]).

mod calls;
mod effects;
mod functions;
mod heights;
mod keys;
mod known;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::blocks::{Blocks, End};
use crate::opcode::Op;
use crate::table::Seed;
use calls::Callee;
pub use effects::Effects;
pub use functions::Functions;
use heights::Link;
use keys::Keys;
use known::{Known, Sets, Shape, Tail};

/// Entries that are followed, from the top.
const STACK_FOLLOWED: usize = 160;
/// Members of a set; a larger one is unknown.
const SET_MAX: usize = 1_024;
/// Shapes of the stack that a block is interpreted with; what differs in constants only is then joined, and past
/// twice as many everything.
const SHAPES_MAX: u32 = 32;
/// Steps for each instruction of the code.
const STEPS: u64 = 64;
/// Height limit of the EVM's stack.
pub const STACK_LIMIT: u16 = 1024;

/// Where a jump goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goes {
    /// To these constants, and the states they lead to; [`NOWHERE`] halts.
    To(Vec<(u32, u32)>),
    /// Anywhere.
    Anywhere,
}

/// No state.
pub const NOWHERE: u32 = u32::MAX;

/// A block with a stack.
#[derive(Clone, Debug)]
pub struct State {
    /// The block.
    pub block: u32,
    /// Heights that the stack may have at its entry.
    pub heights: (u16, u16),
    /// Where its JUMP or JUMPI goes.
    pub jump: Option<Goes>,
    /// The state of the next block that it falls into, if it does.
    pub falls: Option<u32>,
    /// Which copy of the block this is: the return addresses of the copied functions that it is in.
    pub copy: Vec<u32>,
    /// The function that it is in, a place in [`Analysis::functions`]: below the return address its stack is not known.
    pub within: Option<u32>,
    /// Whether its jump returns from that function.
    pub returns: bool,
    /// The call that its jump is.
    pub call: Option<Called>,
    /// Whether it never comes to a dynamic jump, and so is entered with any stack.
    pub closed: bool,
    /// Entries of its stack that are known.
    pub entries: u32,
    /// Whether other states of its block stand for it, one for each caller.
    pub stands_in: bool,
    shape: Shape,
    links: Vec<Link>,
    /// Calls that its jump is: callee and site.
    calls: Vec<(u32, u32)>,
    queued: bool,
    /// Whether its stack is another one than when it was interpreted.
    changed: bool,
    /// How much of the news of its callee it has seen.
    seen: u32,
}

/// What the interpretation found.
#[derive(Debug)]
pub struct Analysis {
    /// States; the first one is the entry of the contract.
    pub states: Vec<State>,
    /// Whether a jump goes anywhere: every JUMPDEST then has a state with an unknown stack.
    pub any_jump: bool,
    /// The copied function that each return address of copies is of.
    pub copied_for: BTreeMap<u32, u32>,
    /// Functions that are interpreted once for all their callers.
    pub functions: Vec<Interpreted>,
}

/// A call by a jump.
#[derive(Clone, Debug)]
pub struct Called {
    /// The function, a place in [`Analysis::functions`].
    pub function: u32,
    /// Where it begins in the code, as the jump has it.
    pub pc: u32,
    /// The return address.
    pub returns: u32,
    /// States in which it comes back.
    pub landed: Vec<u32>,
}

/// A function that is interpreted once for all its callers.
#[derive(Clone, Copy, Debug)]
pub struct Interpreted {
    /// Its first block.
    pub block: u32,
    /// Entries of the stack that are its own when it is called: the return address and what is above.
    pub entries: u32,
    /// Whether it reads nothing of the stack but those, and each call of it is one for certain. Its return address may
    /// be read, but it leaves it by that alone.
    pub simple: bool,
}

/// Steps that an interpretation may take.
pub fn budget(blocks: &Blocks<'_>) -> u64 {
    blocks.instructions.len() as u64 * STEPS + 20_000
}

/// Interprets `blocks`, with so many steps that are left; none if there are functions to copy and they are too many
/// or come from anywhere.
pub fn analyse(
    blocks: &Blocks<'_>,
    effects: &Effects,
    functions: &Functions,
    seed: Seed,
    left: &mut u64,
) -> Option<Analysis> {
    match Interpreter::new(blocks, effects, functions, seed).run(left) {
        Some(analysis) => Some(analysis),
        None if functions.any_copied() => None,
        None => Some(coarse(blocks)),
    }
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
                    let to = |pc| blocks.target(u64::from(pc)).map_or(NOWHERE, |to| to.block);
                    Goes::To(pc.map(|pc| (pc, to(pc))).into_iter().collect())
                }
            }
        });
        let mut state = State::new(index, Shape::ANY);
        let falls = matches!(block.end, End::Fall | End::Jumpi);
        state.falls = blocks.fall(index).filter(|_| falls).map(|target| target.block);
        state.jump = jump;
        // The first block has the height of the entry only if nothing comes back to it.
        state.heights = if index == 0 && !block.jumpdest { (0, 0) } else { (0, STACK_LIMIT) };
        states.push(state);
    }
    Analysis { states, any_jump: true, copied_for: BTreeMap::new(), functions: Vec::new() }
}

impl State {
    fn new(block: u32, shape: Shape) -> Self {
        let copy = shape.entries.iter().filter_map(|entry| match entry {
            Known::Copied(returns) => Some(*returns),
            _ => None,
        });
        Self {
            block,
            heights: (STACK_LIMIT, 0),
            jump: None,
            falls: None,
            copy: copy.collect(),
            within: match shape.tail {
                Tail::Of(function) => Some(function),
                _ => None,
            },
            returns: false,
            call: None,
            closed: false,
            entries: 0,
            stands_in: false,
            shape,
            links: Vec::new(),
            calls: Vec::new(),
            queued: false,
            changed: true,
            seen: 0,
        }
    }
}

struct Interpreter<'a, 'b> {
    blocks: &'b Blocks<'a>,
    effects: &'b Effects,
    functions: &'b Functions,
    states: Vec<State>,
    /// States by what tells them apart.
    keys: Keys,
    /// How many states each block has.
    shapes: Vec<u32>,
    /// The state of each block that all further shapes are joined with.
    rest: Vec<u32>,
    sets: Sets,
    callees: Vec<Callee>,
    /// Functions by their block, and by the number of entries above the return address.
    callee_keys: BTreeMap<(u32, u32), u32>,
    queue: Vec<u32>,
    any_jump: bool,
    copied_for: BTreeMap<u32, u32>,
    steps: u64,
    /// The state in hand.
    index: u32,
    /// Whether all of it is interpreted, and not just what is news to it.
    whole: bool,
    links: Vec<Link>,
    // Stacks in the making.
    stack: Vec<Known>,
    other: Vec<Known>,
    results: Vec<Known>,
}

impl<'a, 'b> Interpreter<'a, 'b> {
    fn new(
        blocks: &'b Blocks<'a>,
        effects: &'b Effects,
        functions: &'b Functions,
        seed: Seed,
    ) -> Self {
        Self {
            blocks,
            effects,
            functions,
            states: Vec::new(),
            keys: Keys::new(seed),
            shapes: alloc::vec![0; blocks.blocks.len()],
            rest: alloc::vec![NOWHERE; blocks.blocks.len()],
            sets: Sets::default(),
            callees: Vec::new(),
            callee_keys: BTreeMap::new(),
            queue: Vec::new(),
            any_jump: false,
            copied_for: BTreeMap::new(),
            steps: 0,
            index: NOWHERE,
            whole: true,
            links: Vec::new(),
            stack: Vec::new(),
            other: Vec::new(),
            results: Vec::new(),
        }
    }

    /// None if it takes too long, or if copies come from anywhere.
    fn run(mut self, left: &mut u64) -> Option<Analysis> {
        if !self.blocks.blocks.is_empty() {
            self.enter(0, &[], Tail::Bottom);
        }
        let copies = self.functions.any_copied();
        while let Some(index) = self.queue.pop() {
            let state = &mut self.states[index as usize];
            state.queued = false;
            // It may be changed again by itself.
            self.whole = core::mem::replace(&mut state.changed, false);
            self.index = index;
            self.links = core::mem::take(&mut state.links);
            if self.whole {
                self.links.clear();
                state.jump = None;
            }
            self.interpret();
            self.states[index as usize].links = core::mem::take(&mut self.links);
            if self.steps > *left || (self.any_jump && copies) {
                return None;
            }
        }
        *left -= self.steps;
        for state in &mut self.states {
            if let Some(Goes::To(to)) = &mut state.jump {
                to.sort_unstable();
                to.dedup();
            }
        }
        heights::find(self.blocks, &mut self.states, self.any_jump);
        let functions = self.called();
        Some(Analysis {
            states: self.states,
            any_jump: self.any_jump,
            copied_for: self.copied_for,
            functions,
        })
    }

    /// Joins a stack into the state of `block` that is for such stacks.
    fn enter(&mut self, block: u32, entries: &[Known], tail: Tail) -> u32 {
        self.steps += 4 + entries.len() as u64 / 4;
        let (mut entries, mut tail) = (entries, tail);
        if self.functions.closed[block as usize] {
            // Where it goes does not depend on the stack.
            (entries, tail) = (&[], Tail::Unknown);
        }
        let topmost;
        if entries.len() > STACK_FOLLOWED {
            let all = self.without_returns(entries, tail);
            topmost = all;
            (entries, tail) = (&topmost[topmost.len() - STACK_FOLLOWED..], Tail::Unknown);
        }
        let mut found = self.keys.find(block, entries, tail, true);
        // Copies are as many as they are meant to be.
        let many = self.shapes[block as usize];
        if found.is_none() && many >= SHAPES_MAX && !known::in_copy(entries) {
            found = self.keys.find(block, entries, tail, false);
            if found.is_none() && many >= 2 * SHAPES_MAX {
                return self.enter_rest(block, entries, tail);
            }
        }
        match found {
            Some(index) => {
                self.join(index, entries);
                index
            }
            None => {
                let shape = Shape { entries: entries.to_vec(), tail };
                let index = self.state(block, shape);
                self.keys.add(index);
                index
            }
        }
    }

    /// Joins a stack into the state for all that is left.
    fn enter_rest(&mut self, block: u32, entries: &[Known], tail: Tail) -> u32 {
        let entries = self.without_returns(entries, tail);
        let index = self.rest[block as usize];
        if index == NOWHERE {
            let index = self.state(block, Shape { entries, tail: Tail::Unknown });
            self.rest[block as usize] = index;
            return index;
        }
        let mine = &mut self.states[index as usize].shape.entries;
        let common = mine.len().min(entries.len());
        if mine.len() > common {
            mine.drain(..mine.len() - common);
            self.changed(index);
        }
        self.join(index, &entries[entries.len() - common..]);
        index
    }

    fn state(&mut self, block: u32, shape: Shape) -> u32 {
        let index = self.states.len() as u32;
        let state = State::new(block, shape);
        self.shapes[block as usize] += u32::from(state.copy.is_empty());
        self.states.push(state);
        self.enqueue(index);
        index
    }

    /// Has a state interpreted again, all of it.
    fn changed(&mut self, index: u32) {
        self.states[index as usize].changed = true;
        self.enqueue(index);
    }

    fn enqueue(&mut self, index: u32) {
        if !self.states[index as usize].queued {
            self.states[index as usize].queued = true;
            self.queue.push(index);
        }
    }

    /// Joins a stack into that of a state, which has as many entries.
    fn join(&mut self, index: u32, other: &[Known]) {
        let mut mine = core::mem::take(&mut self.states[index as usize].shape.entries);
        let changed = self.join_entries(&mut mine, other);
        self.states[index as usize].shape.entries = mine;
        if changed {
            self.changed(index);
        }
    }

    /// Joins entries into others; whether those know less than before.
    fn join_entries(&mut self, mine: &mut [Known], other: &[Known]) -> bool {
        let mut changed = false;
        for (a, b) in mine.iter_mut().zip(other) {
            if a == b {
                continue;
            }
            let joined = self.join_known(*a, *b);
            changed |= joined != *a;
            *a = joined;
        }
        changed
    }

    /// What two entries have in common. Only places in the code are worth a set.
    fn join_known(&mut self, a: Known, b: Known) -> Known {
        if a == b {
            return a;
        }
        match (a, b) {
            (Known::Pushed(x) | Known::Number(x), Known::Pushed(y) | Known::Number(y))
                if x == y =>
            {
                Known::Number(x)
            }
            (Known::Pushed(_) | Known::Set(_), Known::Pushed(_) | Known::Set(_)) => {
                let mut union = self.members(a);
                union.extend(self.members(b));
                self.set(union)
            }
            _ => Known::Unknown,
        }
    }

    /// Constants that an entry may be, other than a return.
    fn members(&self, known: Known) -> Vec<u32> {
        match known {
            Known::Unknown | Known::Return => Vec::new(),
            Known::Pushed(x) | Known::Number(x) | Known::Copied(x) => alloc::vec![x],
            Known::Set(id) => self.sets.members(id).to_vec(),
        }
    }

    fn set(&mut self, mut members: Vec<u32>) -> Known {
        members.sort_unstable();
        members.dedup();
        self.steps += members.len() as u64 / 2;
        let places = members.iter().all(|pc| self.blocks.target(u64::from(*pc)).is_some());
        match members.as_slice() {
            [] => Known::Unknown,
            [one] => Known::Pushed(*one),
            _ if members.len() > SET_MAX || !places => Known::Unknown,
            _ => Known::Set(self.sets.intern(members)),
        }
    }

    /// An entry as it is without its tail: a return is one of the callers' constants.
    fn without_return(&mut self, known: Known, tail: Tail) -> Known {
        match (known, tail) {
            (Known::Return, Tail::Of(callee)) => {
                self.look_at(callee);
                let sites = &self.callees[callee as usize].sites;
                let constants = sites.iter().map(|site| site.returns).collect();
                self.set(constants)
            }
            (Known::Return, _) => Known::Unknown,
            _ => known,
        }
    }

    fn without_returns(&mut self, entries: &[Known], tail: Tail) -> Vec<Known> {
        entries.iter().map(|entry| self.without_return(*entry, tail)).collect()
    }

    fn interpret(&mut self) {
        let mut stack = core::mem::take(&mut self.stack);
        let state = &mut self.states[self.index as usize];
        state.calls.clear();
        let State { block, ref shape, .. } = *state;
        let tail = shape.tail;
        stack.clear();
        stack.extend_from_slice(&shape.entries);
        self.interpret_block(block, &mut stack, tail);
        self.stack = stack;
    }

    fn interpret_block(&mut self, block_index: u32, stack: &mut Vec<Known>, tail: Tail) {
        let blocks = self.blocks;
        let block = &blocks.blocks[block_index as usize];
        self.steps += 1 + u64::from(block.instructions.end - block.instructions.start);
        if stack.len() < usize::from(block.need) {
            match tail {
                // It always underflows.
                Tail::Bottom => return,
                Tail::Of(callee) => return self.split(block_index, callee, stack),
                Tail::Unknown => known::reach(stack, usize::from(block.need)),
            }
        }
        self.effects.apply(block_index, stack, &mut self.results);
        let ends = matches!(block.end, End::Jump | End::Jumpi);
        let target = ends.then(|| stack.pop().unwrap_or(Known::Unknown));
        if block.end == End::Jumpi {
            stack.pop();
        }
        if matches!(block.end, End::Fall | End::Jumpi)
            && let Some(next) = blocks.fall(block_index)
        {
            let next = self.enter(next.block, stack, tail);
            self.link(next, self.index, i32::from(block.net));
            self.states[self.index as usize].falls = Some(next);
        }
        if let Some(target) = target {
            let calls = block.end == End::Jump;
            let goes = self.jump(target, stack, tail, i32::from(block.net), calls);
            self.states[self.index as usize].jump = Some(goes);
        }
    }

    /// Notes that a state is entered with the height of another one's entry, and so much more.
    fn link(&mut self, to: u32, from: u32, delta: i32) {
        if to != NOWHERE {
            self.links.push(Link { to, from, delta });
        }
    }

    fn jump(&mut self, target: Known, stack: &[Known], tail: Tail, net: i32, calls: bool) -> Goes {
        let mut to = Vec::new();
        self.states[self.index as usize].returns = target == Known::Return;
        match (target, tail) {
            (Known::Return, Tail::Of(callee)) => {
                self.gives(callee, stack.len() as u32);
                // Sorted in the end: there may be thousands, and one more each time.
                if let Some(Goes::To(before)) = &mut self.states[self.index as usize].jump {
                    to = core::mem::take(before);
                }
                let mut back = core::mem::take(&mut self.other);
                for site in self.news(callee) {
                    let returns = self.callees[callee as usize].sites[site as usize].returns;
                    let (tail, from, height) = self.restored(callee, site, stack, &mut back);
                    let state = self.land(returns, &back, tail);
                    self.link(state, from, height);
                    to.push((returns, state));
                    self.landed(callee, site, state);
                }
                self.other = back;
            }
            (Known::Unknown | Known::Return, _) => {
                self.go_anywhere();
                return Goes::Anywhere;
            }
            (Known::Pushed(pc) | Known::Number(pc) | Known::Copied(pc), _) => {
                to = alloc::vec![(pc, self.go(pc, stack, tail, net, calls))];
            }
            (Known::Set(_), _) => {
                for pc in self.members(target) {
                    to.push((pc, self.go(pc, stack, tail, net, calls)));
                }
            }
        }
        Goes::To(to)
    }

    /// Follows a jump of the state in hand to one place.
    fn go(&mut self, pc: u32, stack: &[Known], tail: Tail, net: i32, calls: bool) -> u32 {
        let state =
            if calls { self.call(pc, stack, tail, net) } else { self.land(pc, stack, tail) };
        self.link(state, self.index, net);
        state
    }

    fn land(&mut self, pc: u32, stack: &[Known], tail: Tail) -> u32 {
        match self.blocks.target(u64::from(pc)) {
            Some(target) => self.enter(target.block, stack, tail),
            None => NOWHERE,
        }
    }

    fn go_anywhere(&mut self) {
        if self.any_jump {
            return;
        }
        self.any_jump = true;
        for block in 0..self.blocks.blocks.len() as u32 {
            if self.blocks.blocks[block as usize].jumpdest {
                self.enter(block, &[], Tail::Unknown);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fork;

    fn jumps(code: &[u8]) -> Vec<(u32, Option<Vec<u32>>)> {
        let blocks = Blocks::decode(code, Fork::Cancun);
        let effects = Effects::new(&blocks);
        let mut functions = Functions::find(&blocks, &effects);
        functions.copy_none();
        let found =
            analyse(&blocks, &effects, &functions, Seed::new(1), &mut budget(&blocks)).unwrap();
        let jump = |jump: Goes| match jump {
            Goes::To(to) => Some(to.into_iter().map(|(pc, _)| pc).collect()),
            Goes::Anywhere => None,
        };
        found.states.into_iter().filter_map(|s| Some((s.block, jump(s.jump?)))).collect()
    }

    #[test]
    fn a_return_to_two_callers_resolves() {
        // PUSH 6; PUSH f; JUMP (0..5) pad; 6: JUMPDEST PUSH 12 PUSH f JUMP; 12: JUMPDEST STOP; f=14: JUMPDEST JUMP
        let code =
            [0x60, 6, 0x60, 14, 0x56, 0x00, 0x5b, 0x60, 12, 0x60, 14, 0x56, 0x5b, 0x00, 0x5b, 0x56];
        let found = jumps(&code);
        let returns: Vec<_> = found.iter().filter(|(block, _)| *block == 3).collect();
        assert_eq!(returns, [&(3, Some(alloc::vec![6, 12]))]);
    }

    #[test]
    fn a_copied_function_returns_to_its_caller() {
        let code =
            [0x60, 6, 0x60, 14, 0x56, 0x00, 0x5b, 0x60, 12, 0x60, 14, 0x56, 0x5b, 0x00, 0x5b, 0x56];
        let blocks = Blocks::decode(&code, Fork::Cancun);
        let effects = Effects::new(&blocks);
        let functions = Functions::find(&blocks, &effects);
        let found =
            analyse(&blocks, &effects, &functions, Seed::new(1), &mut budget(&blocks)).unwrap();
        let copies: Vec<_> = found.states.iter().filter(|state| state.block == 3).collect();
        assert_eq!(copies.len(), 2);
        for state in copies {
            let Some(Goes::To(to)) = &state.jump else { panic!("{state:?}") };
            assert_eq!(to.iter().map(|(pc, _)| *pc).collect::<Vec<_>>(), state.copy);
        }
    }

    #[test]
    fn a_jump_to_calldata_goes_anywhere() {
        // JUMPDEST PUSH0 CALLDATALOAD JUMP
        let found = jumps(&[0x5b, 0x5f, 0x35, 0x56]);
        assert!(found.iter().all(|(_, goes)| goes.is_none()));
    }

    #[test]
    fn a_jump_into_push_data_halts() {
        // PUSH 4 JUMP PUSH1 5b
        assert_eq!(jumps(&[0x60, 4, 0x56, 0x60, 0x5b]), [(0, Some(alloc::vec![4]))]);
    }

    #[test]
    fn heights_add_up_over_calls_and_stop_at_the_limit() {
        // 0: PUSH0 JUMPDEST(1) PUSH0 PUSH1 1 JUMP: grows for ever.
        let blocks = Blocks::decode(&[0x5f, 0x5b, 0x5f, 0x60, 1, 0x56], Fork::Cancun);
        let effects = Effects::new(&blocks);
        let functions = Functions::find(&blocks, &effects);
        let found =
            analyse(&blocks, &effects, &functions, Seed::new(1), &mut budget(&blocks)).unwrap();
        let (mut low, mut high) = (STACK_LIMIT, 0);
        for state in found.states.iter().filter(|state| state.block == 1) {
            low = low.min(state.heights.0);
            high = high.max(state.heights.1);
        }
        assert_eq!((low, high), (1, STACK_LIMIT));
    }
}
