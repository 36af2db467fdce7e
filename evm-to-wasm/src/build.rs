//! Blocks in, intermediate form out.
//!
//! Nodes are built in order, with a virtual stack: PUSH, DUP and SWAP leave nothing behind. The entries of a
//! head are at home in memory and loaded when they are used; another node with one predecessor takes over its
//! stack, with several it has a phi for each entry between floor and height. Constants fold, and equal pure
//! instructions of a node are one.
//!
//! Gas is charged by section: at the entry of a node, and behind each instruction that needs it exactly.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::blocks::{Block, Blocks, End, Instruction};
use crate::flow::{Flow, NONE};
use crate::graph::Graph;
use crate::ir::{Body, Def, Ir, Phi, V};
use crate::opcode::{Family, Op, Row, arity, row};
use crate::range::{self, Range};
use crate::simplify::{Simpler, simplify};
use crate::word::Word;

/// Builds the form of `graph`.
pub fn build(blocks: &Blocks<'_>, graph: &Graph, flow: &Flow) -> Ir {
    let mut ir = Ir::default();
    let none = Body {
        phis: Vec::new(),
        items: Vec::new(),
        end: End::Halt,
        operands: Vec::new(),
        floor: 0,
        exit: Vec::new(),
        halts: true,
    };
    ir.bodies = alloc::vec![none; graph.nodes.len()];
    let mut builder = Builder {
        blocks,
        graph,
        flow,
        ir,
        constants: BTreeMap::new(),
        checked: alloc::vec![(0, 0); graph.nodes.len()],
        node: 0,
        items: Vec::new(),
        base: 0,
        stack: Vec::new(),
        loads: BTreeMap::new(),
        known: BTreeMap::new(),
    };
    for node in &flow.order {
        builder.node(*node);
    }
    builder.connect();
    builder.ir
}

struct Builder<'a, 'b> {
    blocks: &'b Blocks<'a>,
    graph: &'b Graph,
    flow: &'b Flow,
    ir: Ir,
    constants: BTreeMap<Word, V>,
    /// Entries and room that are known to be there, by node, relative to the head.
    checked: Vec<(i32, i32)>,
    // Of the node in hand.
    node: u32,
    items: Vec<V>,
    /// Height below which entries are at home, relative to the head.
    base: i32,
    /// Entries from `base` up.
    stack: Vec<V>,
    loads: BTreeMap<i32, V>,
    known: BTreeMap<(u8, [V; 3]), V>,
}

impl Builder<'_, '_> {
    fn node(&mut self, node: u32) {
        let place = node as usize;
        self.node = node;
        self.items = Vec::new();
        self.loads.clear();
        self.known.clear();
        let blocks = self.blocks;
        let block = &blocks.blocks[self.graph.nodes[place].block as usize];
        let phis = self.enter(node);
        let halts = self.check_stack(node, block);
        let code = blocks.of(block);
        let mut operands = Vec::new();
        if !halts {
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
                    self.charge(&code[index + 1..]);
                }
            }
        }
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
            let phi = self.ir.phis.len() as u32;
            self.ir.phis.push(Phi { node, slot, operands: Vec::new() });
            let value = self.ir.value(Def::Phi(phi), node, Range::FULL);
            phis.push(value);
            self.stack.push(value);
        }
        phis
    }

    /// Checks what is not known of the height; whether it is known to be wrong.
    fn check_stack(&mut self, node: u32, block: &Block) -> bool {
        let place = node as usize;
        let (low, high) = self.graph.nodes[place].heights;
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
        if gas > 0 {
            self.item(Def::Charge(gas), Range::FULL);
        }
    }

    fn item(&mut self, def: Def, range: Range) -> V {
        let value = self.ir.value(def, self.node, range);
        self.items.push(value);
        value
    }

    fn constant(&mut self, word: Word) -> V {
        let ir = &mut self.ir;
        *self.constants.entry(word).or_insert_with(|| ir.constant(word))
    }

    fn height(&self) -> i32 {
        self.base + self.stack.len() as i32
    }

    fn load(&mut self, slot: i32) -> V {
        if let Some(value) = self.loads.get(&slot) {
            return *value;
        }
        let value = self.item(Def::Load(slot), Range::FULL);
        self.loads.insert(slot, value);
        value
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
        let mut operands = Vec::with_capacity(usize::from(row.pops));
        for _ in 0..row.pops {
            operands.push(self.pop());
        }
        let value = self.compute(instruction.byte, row, &operands);
        if row.pushes > 0 {
            self.stack.push(value);
        }
    }

    fn compute(&mut self, byte: u8, row: &'static Row, operands: &[V]) -> V {
        let pure = matches!(row.family, Family::Pure | Family::Frame);
        if row.op == Op::Codesize {
            return self.constant(Word::from(self.blocks.code.len() as u64));
        }
        if pure {
            match simplify(&self.ir, row.op, operands) {
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
        }
        let mut key = (byte, [V(u32::MAX); 3]);
        if pure {
            for (place, operand) in operands.iter().enumerate() {
                key.1[place] = *operand;
            }
            if let Some(value) = self.known.get(&key) {
                return *value;
            }
        }
        let range_of =
            |place: usize| operands.get(place).map_or(Range::FULL, |v| self.ir.range(*v));
        let range = range::result(row.op, range_of(0), range_of(1), range_of(2));
        let start = self.ir.arguments.len() as u32;
        self.ir.arguments.extend_from_slice(operands);
        let arguments = (start, operands.len() as u8);
        let value = self.item(Def::Inst { byte, op: row.op, arguments }, range);
        if pure {
            self.known.insert(key, value);
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
