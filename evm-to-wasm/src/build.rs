//! Blocks in, intermediate form out.
//!
//! Nodes are built in order, with a virtual stack: PUSH, DUP and SWAP leave nothing behind. The entries of a
//! head are at home in memory and loaded when they are used; another node with one predecessor takes over its
//! stack, with several it has a phi for each entry between floor and height. Constants fold, and equal pure
//! instructions are one, of a node and of those on every way to it.
//!
//! Gas is charged by section: at the entry of a node, and behind each instruction that needs it exactly. Nodes that
//! always follow each other share a section.
//!
//! The entries of a routine are parameters, a call of one gives values. What a parameter may be is what the calls pass,
//! which are built before; what a call gives is assumed and checked like the loops' phis below.
//!
//! More is known of a value behind a branch on it ([`facts`]) and behind an access to memory at it, which no gas
//! pays for beyond 2^32: what follows uses a new value that is the same but narrower. The range of a phi is
//! that of its operands. That of a loop's phi is assumed first, as the range with which the loop is entered, and
//! checked at the end; where an edge backwards brings more the form is built again with more assumed.

mod loops;
mod rooms;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::access::{Length, accesses, hashed};
use crate::blocks::{Block, Blocks, End, Instruction};
use crate::facts;
use crate::flow::{Flow, NONE};
use crate::graph::{Call, Graph, Jump};
use crate::ir::{Body, Def, Ir, Phi, RoutineValues, V};
use crate::opcode::{Family, Op, Row, arity, row};
use crate::range::{self, Range};
use crate::routines::Routine;
use crate::simplify::{Simpler, simplify};
use crate::table::{Seed, Table};
use crate::word::Word;
use loops::{Assumed, wider};

/// Rounds of assuming more of the phis of loops, before nothing is assumed of any.
const ROUNDS: u32 = 8;
/// Rounds in which what was not so is assumed a step wider; in later ones nothing is assumed of that phi. The others
/// keep what holds for them.
const STEPPING_ROUNDS: u32 = 2;

/// Builds the form of `graph`.
pub fn build(blocks: &Blocks<'_>, graph: &Graph, flow: &Flow, seed: Seed) -> Ir {
    let unknown = |routine: &Routine| alloc::vec![Range::FULL; routine.gives.into()];
    let mut assumed =
        Assumed { phis: BTreeMap::new(), given: graph.routines.iter().map(unknown).collect() };
    let mut ir = Ir::default();
    for round in 0.. {
        if round == ROUNDS {
            assumed.given.iter_mut().for_each(|given| given.fill(Range::FULL));
        }
        let more;
        (ir, more) = build_once(blocks, graph, flow, seed, ir, assumed, round);
        match more {
            None => break,
            Some(more) => assumed = more,
        }
    }
    ir
}

/// The form, in the room of an earlier one, and more to assume if what was assumed is not so.
fn build_once(
    blocks: &Blocks<'_>,
    graph: &Graph,
    flow: &Flow,
    seed: Seed,
    mut ir: Ir,
    assumed: Assumed,
    round: u32,
) -> (Ir, Option<Assumed>) {
    ir.clear(ir.defs.len().max(blocks.instructions.len()));
    let none = Body {
        phis: Vec::new(),
        items: Vec::new(),
        end: End::Halt,
        operands: Vec::new(),
        floor: 0,
        exit: Vec::new(),
        halts: true,
    };
    ir.bodies.resize(graph.nodes.len(), none);
    ir.routines = assumed
        .given
        .iter()
        .zip(&graph.routines)
        .map(|(given, routine)| RoutineValues {
            parameters: Vec::new(),
            given: given.clone(),
            measured: routine.measured,
        })
        .collect();
    let mut builder = Builder {
        blocks,
        graph,
        flow,
        ir,
        seed,
        constants: Table::default(),
        checked: alloc::vec![(0, 0); graph.nodes.len()],
        node: 0,
        items: Vec::new(),
        base: 0,
        stack: Vec::new(),
        loads: Vec::new(),
        known: Table::default(),
        touched: alloc::vec![0; graph.nodes.len()],
        accessed: Table::default(),
        accesses: Vec::new(),
        rooms: alloc::vec![NONE; graph.nodes.len()],
        outer: alloc::vec![NONE; graph.nodes.len()],
        section: None,
        sections: alloc::vec![None; graph.nodes.len()],
        passed: graph
            .routines
            .iter()
            .map(|routine| alloc::vec![None; routine.takes() as usize])
            .collect(),
        given: graph
            .routines
            .iter()
            .map(|routine| alloc::vec![None; routine.gives.into()])
            .collect(),
        assumed,
        first: round == 0,
        hopeful: round < ROUNDS,
        stepping: round < STEPPING_ROUNDS,
    };
    for node in &flow.order {
        builder.node(*node);
    }
    builder.connect();
    let holds = builder.check() & builder.check_given();
    let more = (!holds).then(|| core::mem::take(&mut builder.assumed));
    (builder.ir, more)
}

struct Builder<'a, 'b> {
    blocks: &'b Blocks<'a>,
    graph: &'b Graph,
    flow: &'b Flow,
    ir: Ir,
    seed: Seed,
    /// Constants.
    constants: Table,
    /// Pure instructions, those of other nodes among them.
    known: Table,
    /// Entries and room that are known to be there, by node, relative to the head.
    checked: Vec<(i32, i32)>,
    // Of the node in hand.
    node: u32,
    items: Vec<V>,
    /// Height below which entries are at home, relative to the head.
    base: i32,
    /// Entries from `base` up.
    stack: Vec<V>,
    /// Entries that have been loaded, in order.
    loads: Vec<(i32, V)>,
    /// Bytes of memory that are known to be touched at the end of each node.
    touched: Vec<u64>,
    /// Accesses to memory: room, root of the offset, size.
    accessed: Table,
    accesses: Vec<(u32, V, u64)>,
    /// Room of each node, named after its first one.
    rooms: Vec<u32>,
    /// The room around each room.
    outer: Vec<u32>,
    /// The charge that is open in the node in hand, and at the end of each node.
    section: Option<V>,
    sections: Vec<Option<V>>,
    /// Ranges of what the calls so far pass to each routine, and of what it gives.
    passed: Vec<Vec<Option<Range>>>,
    given: Vec<Vec<Option<Range>>>,
    assumed: Assumed,
    /// Whether nothing is known yet of what routines give.
    first: bool,
    /// Whether anything is assumed.
    hopeful: bool,
    /// Whether it may be assumed a step wider.
    stepping: bool,
}

impl Builder<'_, '_> {
    fn node(&mut self, node: u32) {
        let place = node as usize;
        self.node = node;
        self.items = Vec::new();
        self.loads.clear();
        let blocks = self.blocks;
        let block = &blocks.blocks[self.graph.nodes[place].block as usize];
        let phis = self.enter(node);
        self.enter_memory(node);
        self.learn_from_branch(node);
        let halts = self.check_stack(node, block);
        let code = blocks.of(block);
        let mut operands = Vec::new();
        if !halts {
            let before = self.only_way(node);
            self.enter_room(node, before);
            self.section = before.and_then(|before| self.sections[before as usize]);
            self.charge(code);
            for (index, instruction) in code.iter().enumerate() {
                let row = instruction.row;
                match row.family {
                    Family::Control => {
                        for _ in 0..row.pops {
                            operands.push(self.pop());
                        }
                    }
                    Family::Stack => self.move_entries(*instruction),
                    _ => self.instruction(*instruction),
                }
                if row.needs_exact_gas() {
                    self.section = None;
                    self.charge(&code[index + 1..]);
                }
            }
        }
        if !halts && let Some(call) = self.graph.nodes[place].call {
            let returns = self.call(call);
            if !matches!(self.graph.nodes[place].jump, Some(Jump::Static(_))) {
                // It comes back to one of several places.
                operands = alloc::vec![returns];
            }
        }
        if !halts && self.graph.nodes[place].jump == Some(Jump::Return) {
            self.give(self.graph.nodes[place].routine);
        }
        self.sections[place] = self.section.filter(|_| !halts);
        self.ir.bodies[place] = Body {
            phis,
            items: core::mem::take(&mut self.items),
            end: if halts { End::Halt } else { block.end },
            operands,
            floor: self.base,
            exit: core::mem::take(&mut self.stack),
            halts: halts || block.end == End::Halt,
        };
    }

    /// Sets up the virtual stack; gives the phis.
    fn enter(&mut self, node: u32) -> Vec<V> {
        let place = node as usize;
        let mut phis = Vec::new();
        self.stack.clear();
        if self.graph.nodes[place].enters {
            self.enter_routine(self.graph.nodes[place].routine);
            return phis;
        }
        if self.flow.is_head(node) {
            self.base = 0;
            self.checked[place] = (0, 0);
            return phis;
        }
        let dominator = self.flow.dominators.immediate[place];
        if dominator != NONE && self.flow.head[dominator as usize] == self.flow.head[place] {
            self.checked[place] = self.checked[dominator as usize];
        }
        let predecessors = &self.flow.predecessors[place];
        if let [single] = predecessors.as_slice() {
            let body = &self.ir.bodies[*single as usize];
            self.base = body.floor;
            self.stack.extend_from_slice(&body.exit);
            return phis;
        }
        self.base = self.flow.floor[place];
        for slot in self.base..self.flow.height[place] {
            if let Some(value) = self.same_on_all_ways(node, slot) {
                self.stack.push(value);
                continue;
            }
            let phi = self.ir.phis.len() as u32;
            self.ir.phis.push(Phi { node, slot, operands: Vec::new() });
            let range = self.phi_range(node, slot);
            let value = self.ir.value(Def::Phi(phi), node, range);
            phis.push(value);
            // What is the same on all ways is not carried along.
            let value = match range.only() {
                Some(word) => self.constant(word),
                None => value,
            };
            self.stack.push(value);
        }
        phis
    }

    /// The stack at the entry of a routine: the return address and the arguments.
    fn enter_routine(&mut self, routine: u32) {
        let passed = core::mem::take(&mut self.passed[routine as usize]);
        self.base = -(passed.len() as i32);
        for (place, range) in passed.iter().enumerate() {
            let range = range.unwrap_or(Range::FULL);
            let value = self.ir.value(Def::Parameter(routine, place as u32), self.node, range);
            self.ir.routines[routine as usize].parameters.push(value);
            let value = match range.only() {
                Some(word) => self.constant(word),
                None => value,
            };
            self.stack.push(value);
        }
        self.passed[routine as usize] = passed;
    }

    /// The call that the end of a node is: takes its arguments from the stack, and leaves the results. Gives the return
    /// address.
    fn call(&mut self, call: Call) -> V {
        self.reach(call.takes.into());
        let height = self.height();
        let arguments = self.stack.split_off(self.stack.len() - usize::from(call.takes));
        for (place, argument) in arguments.iter().enumerate() {
            let range = self.ir.range(*argument);
            if let Some(passed) =
                self.passed.get_mut(call.routine as usize).and_then(|all| all.get_mut(place))
            {
                *passed = Some(passed.map_or(range, |other| other.union(range)));
            }
        }
        if call.gas > 0 {
            self.item(Def::Charge(call.gas), Range::FULL);
        }
        let start = self.ir.arguments.len() as u32;
        self.ir.arguments.extend_from_slice(&arguments);
        let returns = arguments.first().copied().unwrap_or(V(0));
        let arguments = (start, arguments.len() as u8);
        self.item(Def::Call { routine: call.routine, height, arguments }, Range::FULL);
        // The results come right behind the call, with nothing in between.
        let ranges = self.assumed.given[call.routine as usize].clone();
        let results: Vec<V> = ranges
            .iter()
            .enumerate()
            .map(|(place, range)| self.item(Def::Given(place as u32), *range))
            .collect();
        for (value, range) in results.into_iter().zip(ranges) {
            let value = match range.only() {
                Some(word) => self.constant(word),
                None => value,
            };
            self.stack.push(value);
        }
        returns
    }

    /// Notes what a routine gives.
    fn give(&mut self, routine: u32) {
        for (given, value) in self.given[routine as usize].iter_mut().zip(&self.stack) {
            let range = self.ir.range(*value);
            *given = Some(given.map_or(range, |other| other.union(range)));
        }
    }

    /// Whether what was assumed of the results of routines is so, and as much as can be said.
    fn check_given(&mut self) -> bool {
        let mut holds = true;
        for (given, assumed) in self.given.iter().zip(&mut self.assumed.given) {
            for (given, assumed) in given.iter().zip(assumed) {
                let given = given.unwrap_or(Range::FULL);
                if !assumed.contains(given) {
                    *assumed = if self.stepping { assumed.union(given) } else { Range::FULL };
                    holds = false;
                } else if self.first && given != *assumed {
                    *assumed = given;
                    holds = false;
                }
            }
        }
        holds
    }

    /// An entry that is the same value whichever way the node is entered.
    fn same_on_all_ways(&mut self, node: u32, slot: i32) -> Option<V> {
        let mut found: Option<(V, Range)> = None;
        for from in &self.flow.predecessors[node as usize] {
            if !self.flow.before(*from, node) {
                // What the loop does not change comes back as it went in.
                if slot >= self.flow.changes[node as usize] {
                    return None;
                }
                continue;
            }
            let body = &self.ir.bodies[*from as usize];
            if body.halts {
                continue;
            }
            let value = *body.exit.get(usize::try_from(slot - body.floor).ok()?)?;
            let range = self.ir.range(value);
            found = Some(match found {
                None => (value, range),
                Some((other, known)) if self.ir.root(other) == self.ir.root(value) => {
                    let wider = if known.contains(range) { other } else { value };
                    (wider, known.union(range))
                }
                _ => return None,
            });
        }
        let (value, range) = found?;
        Some(if range == self.ir.range(value) { value } else { self.ir.root(value) })
    }

    /// Narrows what the branch into a node says about.
    fn learn_from_branch(&mut self, node: u32) {
        let [from] = *self.flow.predecessors[node as usize] else { return };
        if self.graph.nodes[node as usize].dispatched {
            return;
        }
        let shape = &self.graph.nodes[from as usize];
        let body = &self.ir.bodies[from as usize];
        let falls = shape.fall.is_some_and(|edge| edge.node == node);
        let jumps = match &shape.jump {
            Some(Jump::Static(edge)) => edge.node == node,
            _ => false,
        };
        let (End::Jumpi, [_, condition]) = (body.end, body.operands.as_slice()) else { return };
        if falls == jumps {
            return;
        }
        for (value, range) in facts::of_condition(&self.ir, *condition, jumps) {
            self.refine(value, range);
        }
    }

    /// Uses a narrower value for a root from here on.
    fn refine(&mut self, root: V, range: Range) {
        let mut made: Vec<(V, V)> = Vec::new();
        let mut stack = core::mem::take(&mut self.stack);
        let mut loads = core::mem::take(&mut self.loads);
        for value in stack.iter_mut().chain(loads.iter_mut().map(|(_, value)| value)) {
            if self.ir.root(*value) != root || self.ir.as_const(*value).is_some() {
                continue;
            }
            if let Some((_, narrow)) = made.iter().find(|(wide, _)| wide == value) {
                *value = *narrow;
                continue;
            }
            let before = self.ir.range(*value);
            let mut after = before.meet(range);
            if after.is_flag() && !before.is_flag() && after.only().is_none() {
                // A flag has a local of its own type.
                after = wider(after);
            }
            if after == before {
                continue;
            }
            let narrow = match after.only() {
                Some(word) => self.constant(word),
                None => {
                    let argument = self.ir.arguments.len() as u32;
                    self.ir.arguments.push(*value);
                    self.item(Def::Same(argument), after)
                }
            };
            made.push((*value, narrow));
            *value = narrow;
        }
        self.stack = stack;
        self.loads = loads;
    }

    /// Checks what is not known of the height; whether it is known to be wrong.
    fn check_stack(&mut self, node: u32, block: &Block) -> bool {
        let place = node as usize;
        let (mut low, high) = self.graph.nodes[place].heights;
        if self.graph.nodes[place].routine != NONE {
            // A routine has what it reads.
            low = low.max(block.need.min(high));
        }
        if high < block.need || u32::from(low) + u32::from(block.growth) > 1024 {
            return true;
        }
        let height = self.flow.height[place];
        let (entries, room) = self.checked[place];
        let mut need = 0;
        if low < block.need {
            need = i32::from(block.need) - height;
        }
        let mut growth = 0;
        if u32::from(high) + u32::from(block.growth) > 1024 {
            growth = height + i32::from(block.growth);
        }
        let (need, growth) =
            (if need > entries { need } else { 0 }, if growth > room { growth } else { 0 });
        if need > 0 || growth > 0 {
            self.checked[place] = (entries.max(need), room.max(growth));
            self.item(Def::StackCheck { need, growth }, Range::FULL);
        }
        false
    }

    fn charge(&mut self, code: &[Instruction]) {
        let mut gas = 0;
        for instruction in code {
            gas += u32::from(instruction.row.gas);
            if instruction.row.needs_exact_gas() {
                break;
            }
        }
        // What runs whenever the node before does is charged there.
        if let Some(section) = self.section
            && let Def::Charge(before) = &mut self.ir.defs[section.0 as usize]
        {
            *before += gas;
        } else if gas > 0 {
            self.section = Some(self.item(Def::Charge(gas), Range::FULL));
        }
    }

    /// The node that always goes to this one, which nothing else goes to.
    fn only_way(&self, node: u32) -> Option<u32> {
        let [before] = *self.flow.predecessors[node as usize] else { return None };
        let shape = &self.graph.nodes[before as usize];
        // A routine may end the frame instead.
        if shape.call.is_some() {
            return None;
        }
        let body = &self.ir.bodies[before as usize];
        let falls = shape.fall.filter(|_| body.end != End::Jump);
        let jumps = match shape.jump {
            Some(Jump::Static(edge)) => Some(edge),
            _ => None,
        };
        let edge = match (body.end, body.operands.as_slice()) {
            _ if body.halts || self.graph.nodes[node as usize].dispatched => None,
            (End::Fall, _) => falls,
            (End::Jump, _) => jumps,
            (End::Jumpi, [_, condition]) => match self.ir.range(*condition) {
                range if range.high.is_zero() => falls,
                range if !range.low.is_zero() => jumps,
                _ => None,
            },
            _ => None,
        };
        edge.filter(|edge| edge.node == node).map(|_| before)
    }

    fn item(&mut self, def: Def, range: Range) -> V {
        let value = self.ir.value(def, self.node, range);
        self.items.push(value);
        value
    }

    fn constant(&mut self, word: Word) -> V {
        let hash = self.seed.hash(word.0);
        let ir = &self.ir;
        let is_it = |value| matches!(ir.def(V(value)), Def::Const(other) if *other == word);
        if let Some(value) = self.constants.find(hash, is_it) {
            return V(value);
        }
        let value = self.ir.constant(word);
        self.constants.insert(hash, value.0);
        value
    }

    fn height(&self) -> i32 {
        self.base + self.stack.len() as i32
    }

    fn load(&mut self, slot: i32) -> V {
        match self.loads.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(place) => self.loads[place].1,
            Err(place) => {
                let value = self.item(Def::Load(slot), Range::FULL);
                self.loads.insert(place, (slot, value));
                value
            }
        }
    }

    /// Brings entries down to `depth` from the top into the virtual stack.
    fn reach(&mut self, depth: usize) {
        if self.stack.len() >= depth {
            return;
        }
        let missing = (depth - self.stack.len()) as i32;
        let lower: Vec<V> = (self.base - missing..self.base).map(|slot| self.load(slot)).collect();
        self.stack.splice(0..0, lower);
        self.base -= missing;
    }

    fn pop(&mut self) -> V {
        self.reach(1);
        self.stack.pop().unwrap_or(V(0))
    }

    fn move_entries(&mut self, instruction: Instruction) {
        let n = arity(instruction.byte);
        match instruction.row.op {
            Op::Push => {
                let word = self.blocks.immediate(instruction);
                let value = self.constant(word);
                self.stack.push(value);
            }
            Op::Pc => {
                let value = self.constant(Word::from(u64::from(instruction.pc)));
                self.stack.push(value);
            }
            Op::Pop => {
                if self.stack.pop().is_none() {
                    self.base -= 1;
                }
            }
            Op::Dup => {
                // What is at home stays there.
                let slot = self.height() - n as i32;
                let value = if slot < self.base {
                    self.load(slot)
                } else {
                    self.stack[(slot - self.base) as usize]
                };
                self.stack.push(value);
            }
            _ => {
                self.reach(n + 1);
                let top = self.stack.len() - 1;
                self.stack.swap(top, top - n);
            }
        }
    }

    fn instruction(&mut self, instruction: Instruction) {
        let row = instruction.row;
        // A CALL has seven.
        let mut operands = [V(0); 7];
        let operands = &mut operands[..usize::from(row.pops)];
        for operand in &mut *operands {
            *operand = self.pop();
        }
        let value = self.compute(instruction.byte, row, operands);
        if row.pushes > 0 {
            self.stack.push(value);
        }
    }

    fn compute(&mut self, byte: u8, row: &'static Row, operands: &[V]) -> V {
        let pure = matches!(row.family, Family::Pure | Family::Frame);
        if row.op == Op::Codesize {
            return self.constant(Word::from(self.blocks.code.len() as u64));
        }
        let range_of =
            |place: usize| operands.get(place).map_or(Range::FULL, |v| self.ir.range(*v));
        let range = range::result(row.op, range_of(0), range_of(1), range_of(2));
        let mut hash = 0;
        if pure {
            match simplify(&self.ir, row.op, operands, range) {
                Simpler::No => {}
                Simpler::Const(word) => return self.constant(word),
                Simpler::Is(value) => return value,
                Simpler::Is1(byte, a) => return self.again(byte, &[a]),
                Simpler::Is2(byte, a, b) => return self.again(byte, &[a, b]),
                Simpler::Shift(byte, by, value) => {
                    let by = self.constant(Word::from(u64::from(by)));
                    return self.again(byte, &[by, value]);
                }
            }
            let found = self.rooms_around().find_map(|room| {
                let is_it = |value| self.is_same(V(value), room, byte, operands);
                self.known.find(self.hash_of(room, byte, operands), is_it)
            });
            if let Some(value) = found {
                return V(value);
            }
            hash = self.hash_of(self.rooms[self.node as usize], byte, operands);
        }
        let start = self.ir.arguments.len() as u32;
        self.ir.arguments.extend_from_slice(operands);
        let arguments = (start, operands.len() as u8);
        let value = self.item(Def::Inst { byte, op: row.op, arguments }, range);
        if pure {
            self.known.insert(hash, value.0);
        }
        for access in accesses(row.op) {
            let offset = operands[access.offset];
            match access.length {
                Length::Fixed(size) => self.access(value, offset, size),
                Length::Operand(place) => {
                    let length = operands[place];
                    let hashes = row.op == Op::Keccak256;
                    match hashed(self.ir.as_const(length)).filter(|_| hashes) {
                        Some(size) => self.access(value, offset, size),
                        None => self.access_range(offset, length),
                    }
                }
            }
        }
        value
    }

    fn again(&mut self, byte: u8, operands: &[V]) -> V {
        match row(byte) {
            Some(row) => self.compute(byte, row, operands),
            None => operands[0],
        }
    }

    /// Fills in the operands of phis, and the loads that they need at the end of predecessors.
    fn connect(&mut self) {
        let mut loads: BTreeMap<(u32, i32), V> = BTreeMap::new();
        for phi in 0..self.ir.phis.len() {
            let (node, slot) = (self.ir.phis[phi].node, self.ir.phis[phi].slot);
            let flow = self.flow;
            for from in &flow.predecessors[node as usize] {
                let body = &self.ir.bodies[*from as usize];
                let floor = body.floor;
                let value = if body.halts {
                    continue;
                } else if slot >= floor {
                    body.exit[(slot - floor) as usize]
                } else if let Some(value) = loads.get(&(*from, slot)) {
                    *value
                } else {
                    let value = self.ir.value(Def::Load(slot), *from, Range::FULL);
                    self.ir.bodies[*from as usize].items.push(value);
                    loads.insert((*from, slot), value);
                    value
                };
                self.ir.phis[phi].operands.push((*from, value));
            }
        }
    }
}
