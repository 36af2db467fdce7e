//! Steps of a part in, its body out: blocks, loops, edges, jumps, ends.

use alloc::vec::Vec;

use wasm_encoder::BlockType;

use super::emitter::{Callee, DONE, ENDED, Emitter, GAS, ID, Label, STACK};
use super::places::{Place, given, phi_operand, spilled};
use super::script::Step;
use crate::blocks::End;
use crate::flow::{ALL, Flow};
use crate::graph::{Edge, Graph, Jump};
use crate::ir::{RoutineValues, V};
use crate::range::Range;
use crate::runtime::Function;

/// Jumps among so many targets compare, those among more ask the landing function.
const COMPARED_MAX: usize = 4;

/// What a part is a part of.
#[derive(Debug)]
pub struct Whole<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Its shape.
    pub flow: &'a Flow,
    /// Id of each node that is dispatched.
    pub ids: &'a [u32],
    /// The part.
    pub part: u32,
    /// Dispatched nodes of the part, in the order of their ids.
    pub dispatched: Vec<u32>,
}

impl Emitter<'_> {
    /// Writes the body of a part.
    pub fn part(&mut self, whole: &Whole<'_>, script: &[Step]) {
        for label in [Label::Leave, Label::Halt] {
            self.sink().block(BlockType::Empty);
            self.open(label);
        }
        self.sink().loop_(BlockType::Empty);
        self.open(Label::Dispatcher);
        self.check_gas();
        self.steps(whole, script);
        self.sink().unreachable();
        self.close();
        self.sink().unreachable();
        self.close();
        // A routine may have ended the frame already.
        self.get(GAS);
        self.long(ENDED);
        self.sink().i64_ne().if_(BlockType::Empty);
        self.open(Label::Other);
        self.call(Function::Halt);
        self.close();
        self.sink().i32_const(DONE);
        self.set(ID);
        self.close();
        self.get(GAS);
        self.get(ID);
        self.get(STACK);
        self.sink().end();
    }

    /// Writes the body of a routine.
    pub fn routine(&mut self, whole: &Whole<'_>, script: &[Step], given: &[Range]) {
        for label in [Label::Leave, Label::Halt] {
            self.sink().block(BlockType::Empty);
            self.open(label);
        }
        self.steps(whole, script);
        self.sink().unreachable();
        self.close();
        self.long(ENDED);
        self.long(u64::MAX);
        self.get(GAS);
        self.long(ENDED);
        self.sink().i64_eq().select();
        self.set(GAS);
        self.close();
        for range in given {
            if range.is_flag() {
                self.int(0);
            } else {
                (0..range.limbs()).for_each(|_| self.long(0));
            }
        }
        self.get(GAS);
        self.sink().end();
    }

    /// Writes the steps, as long as there is room; a body that has none left is thrown away.
    fn steps(&mut self, whole: &Whole<'_>, script: &[Step]) {
        for step in script {
            if self.bytes.len() > self.bytes_left {
                return;
            }
            self.step(whole, *step);
        }
    }

    /// Leaves when the frame has ended.
    fn leave(&mut self) {
        if self.stack == Some(STACK) {
            self.sink().i32_const(DONE);
            self.set(ID);
        } else {
            self.long(ENDED);
            self.set(GAS);
        }
        self.branch(Label::Leave);
    }

    /// Calls a routine; takes its results.
    pub fn call_routine(&mut self, value: V, routine: u32, height: i32) {
        let ir = self.ir;
        let RoutineValues { parameters, given, measured } = &ir.routines[routine as usize];
        self.get(GAS);
        if let (true, Some(stack)) = (measured, self.stack) {
            self.get(stack);
            self.sink().i32_const(height * 32).i32_add();
        }
        for (argument, parameter) in ir.arguments_of(value).iter().zip(parameters) {
            if self.uses.is_used(*parameter) {
                self.push_as(*argument, ir.range(*parameter));
            }
        }
        self.call_to(Callee::Part(self.first_routine + routine));
        self.receive_gas();
        for (place, range) in given.iter().enumerate().rev() {
            self.receive_as(V(value.0 + 1 + place as u32), *range);
        }
    }

    fn step(&mut self, whole: &Whole<'_>, step: Step) {
        match step {
            Step::Loop(node) => {
                self.sink().loop_(BlockType::Empty);
                self.open(Label::Loop(node));
                self.check_gas();
            }
            Step::Block(node) => {
                self.sink().block(BlockType::Empty);
                self.open(Label::Node(node));
            }
            Step::End => self.close(),
            Step::Dispatch => self.dispatch(whole),
            Step::Body(node) => {
                let ir = self.ir;
                for value in &ir.bodies[node as usize].items {
                    self.item(*value);
                }
            }
            Step::If(node, taken) => {
                let condition = self.ir.bodies[node as usize].operands[1];
                if taken {
                    self.flag(condition);
                } else if self.ir.range(condition).is_flag() {
                    self.flag(condition);
                    self.sink().i32_eqz();
                } else {
                    self.settle(condition);
                    self.any_limb(condition, 0);
                    self.sink().i64_eqz();
                }
                self.release_settled();
                self.sink().if_(BlockType::Empty);
                self.open(Label::Other);
            }
            Step::Edge { from, edge, inline } => {
                self.edge(whole, from, edge);
                if !inline {
                    self.go(whole, from, edge.node);
                }
            }
            Step::Jump(node) => self.jump(whole, node),
            Step::Terminate(node) => self.terminate(node),
        }
    }

    fn dispatch(&mut self, whole: &Whole<'_>) {
        let Some(first) = whole.dispatched.first() else {
            self.branch(Label::Leave);
            return;
        };
        let first = whole.ids[*first as usize];
        let leave = self.distance(Label::Leave).unwrap_or(0);
        let targets: Vec<u32> = whole
            .dispatched
            .iter()
            .map(|node| self.distance(Label::Node(*node)).unwrap_or(leave))
            .collect();
        self.get(ID);
        if first > 0 {
            self.int(first);
            self.sink().i32_sub();
        }
        self.sink().br_table(&targets, leave);
    }

    /// What happens on an edge: gas, entries into memory, phis.
    fn edge(&mut self, whole: &Whole<'_>, from: u32, edge: Edge) {
        self.charge(edge.gas);
        if whole.flow.is_head(edge.node) {
            self.spill(from, whole.flow.reads[edge.node as usize]);
            return;
        }
        let ir = self.ir;
        let mut moves: Vec<(V, V)> = Vec::new();
        for phi in &ir.bodies[edge.node as usize].phis {
            if self.place(*phi) == Place::Nowhere {
                continue;
            }
            if let Some(operand) = phi_operand(ir, *phi, from)
                && self.place(operand) != self.place(*phi)
            {
                moves.push((*phi, operand));
            }
        }
        // All are read before the first one is written.
        for (phi, operand) in &moves {
            match self.place(*phi) {
                Place::Flag(_) => self.flag(*operand),
                Place::Limbs(_, count) => {
                    for place in 0..usize::from(count) {
                        self.limb(*operand, place);
                    }
                }
                _ => {}
            }
        }
        for (phi, _) in moves.iter().rev() {
            match self.place(*phi) {
                Place::Flag(local) => self.set(local),
                Place::Limbs(locals, count) => {
                    for place in (0..usize::from(count)).rev() {
                        self.set(locals[place]);
                    }
                }
                _ => {}
            }
        }
    }

    fn charge(&mut self, gas: u32) {
        if gas > 0 {
            self.get(GAS);
            self.long(u64::from(gas));
            self.sink().i64_sub();
            self.set(GAS);
        }
    }

    /// Puts what is not at home and may be read into memory, and the height of the stack into its register.
    fn spill(&mut self, from: u32, reads: u32) {
        let ir = self.ir;
        for (slot, value) in spilled(ir, from, reads) {
            self.store_entry(value, slot);
        }
        self.release_settled();
        let body = &ir.bodies[from as usize];
        let height = body.floor + body.exit.len() as i32;
        if height != 0
            && let Some(stack) = self.stack
        {
            self.get(stack);
            self.sink().i32_const(height * 32).i32_add();
            self.set(stack);
        }
    }

    /// Branches to a node.
    fn go(&mut self, whole: &Whole<'_>, from: u32, to: u32) {
        let label = if whole.flow.before(from, to) { Label::Node(to) } else { Label::Loop(to) };
        if self.distance(label).is_some() {
            self.branch(label);
            return;
        }
        self.int(whole.ids[to as usize]);
        self.set(ID);
        let here = whole.flow.part[to as usize] == whole.part;
        self.branch(if here { Label::Dispatcher } else { Label::Leave });
    }

    fn jump(&mut self, whole: &Whole<'_>, node: u32) {
        let body = &self.ir.bodies[node as usize];
        let Some(&target) = body.operands.first() else { return };
        match &whole.graph.nodes[node as usize].jump {
            None | Some(Jump::Nowhere) => self.branch(Label::Halt),
            Some(Jump::Return) => {
                let ranges = &self.ir.routines[whole.graph.nodes[node as usize].routine as usize];
                for (value, range) in given(self.ir, whole.graph, node).iter().zip(&ranges.given) {
                    self.push_as(*value, *range);
                }
                self.get(GAS);
                self.sink().return_();
            }
            Some(Jump::Static(edge)) => {
                self.edge(whole, node, *edge);
                self.go(whole, node, edge.node);
            }
            Some(Jump::Among(edges)) if edges.len() <= COMPARED_MAX => {
                self.settle(target);
                self.spill(node, ALL);
                for (place, edge) in edges.iter().enumerate() {
                    let last = place + 1 == edges.len();
                    if !last {
                        self.low_int(target);
                        self.int(edge.pc);
                        self.sink().i32_eq().if_(BlockType::Empty);
                        self.open(Label::Other);
                    }
                    self.charge(edge.gas);
                    self.go(whole, node, edge.node);
                    if !last {
                        self.close();
                    }
                }
                self.release_settled();
            }
            Some(jump) => {
                self.settle(target);
                let anywhere = *jump == Jump::Anywhere;
                if anywhere && self.limbs_of(target) > 1 {
                    self.any_limb(target, 1);
                    self.long(0);
                    self.sink().i64_ne();
                    self.branch_if(Label::Halt);
                }
                self.limb(target, 0);
                self.get(GAS);
                self.call_to(Callee::Landing);
                self.set(GAS);
                self.tee(ID);
                if anywhere {
                    self.int(0);
                    self.sink().i32_lt_s();
                    self.branch_if(Label::Halt);
                } else {
                    self.sink().drop();
                }
                self.spill(node, ALL);
                self.branch(Label::Dispatcher);
            }
        }
    }

    fn terminate(&mut self, node: u32) {
        let body = &self.ir.bodies[node as usize];
        if body.halts {
            self.branch(Label::Halt);
            return;
        }
        let operands = &body.operands;
        match (body.end, operands.as_slice()) {
            (End::Return | End::Revert, &[offset, length]) => {
                self.check_gas();
                self.get(GAS);
                self.int(u32::from(body.end == End::Revert));
                self.word(offset);
                self.word(length);
                self.call(Function::Finish);
                self.receive_gas();
            }
            (End::Selfdestruct, &[beneficiary]) => {
                self.check_gas();
                self.get(GAS);
                self.word(beneficiary);
                self.call(Function::SelfDestruct);
                self.receive_gas();
            }
            _ => {
                self.check_gas();
                self.get(GAS);
                self.call(Function::Stop);
            }
        }
        self.leave();
        self.release_settled();
    }
}
