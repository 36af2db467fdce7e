//! Where each value lives: nowhere, in the expression that uses it, or in locals.
//!
//! The steps of a part give every item a position. A value lives from its definition to its last use, and to
//! the end of each loop that uses it from outside; locals are handed out by linear scan over these intervals.
//! A phi lives from the first edge that sets it.

use alloc::vec::Vec;

use wasm_encoder::ValType;

use super::script::{Step, live_edges};
use crate::flow::{ALL, Flow};
use crate::graph::Graph;
use crate::ir::{Def, Ir, V};
use crate::opcode::Op;

/// Depth of expressions that are computed where they are used.
const DEPTH_MAX: u8 = 12;

/// Where a value lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Place {
    /// Nobody uses it.
    #[default]
    Nowhere,
    /// A constant, or what is computed anew at each use.
    Anew,
    /// Computed at its only use.
    Inline,
    /// A local of type i32 that is 0 or 1.
    Flag(u32),
    /// Locals of type i64, the lowest limb first; limbs beyond are zero.
    Limbs([u32; 4], u8),
}

/// Which values are used, and how often.
#[derive(Debug)]
pub struct Uses {
    /// Uses by live values, ends and edges.
    pub count: Vec<u32>,
    /// The node of the only use, if it is an item or the end of a node, not an edge.
    pub user: Vec<u32>,
    /// Limbs that are looked at: those above may be left out.
    pub limbs: Vec<u8>,
}

/// No node, or several.
const MANY: u32 = u32::MAX;

impl Uses {
    /// Counts from effects, ends and edges into heads backwards.
    pub fn count(ir: &Ir, graph: &Graph, flow: &Flow) -> Self {
        let size = ir.defs.len();
        let mut uses = Self {
            count: alloc::vec![0; size],
            user: alloc::vec![MANY; size],
            limbs: alloc::vec![0; size],
        };
        let mut open = Vec::new();
        for node in &flow.order {
            let body = &ir.bodies[*node as usize];
            for value in &body.items {
                if !ir.is_removable(*value) {
                    for operand in ir.arguments_of(*value) {
                        uses.used(*operand, *node, 4, &mut open);
                    }
                }
            }
            for value in given(ir, graph, *node) {
                uses.used(*value, MANY, 4, &mut open);
            }
            for operand in consumed_at_end(ir, graph, *node) {
                uses.used(operand, *node, 4, &mut open);
            }
            for edge in live_edges(graph, ir, *node) {
                if flow.is_head(edge.node) {
                    for (_, value) in spilled(ir, *node, flow.reads[edge.node as usize]) {
                        uses.used(value, MANY, 4, &mut open);
                    }
                }
            }
            if leaves_by_dispatcher(graph, ir, *node) {
                for (_, value) in spilled(ir, *node, ALL) {
                    uses.used(value, MANY, 4, &mut open);
                }
            }
        }
        while let Some(value) = open.pop() {
            match ir.def(value) {
                Def::Phi(phi) => {
                    for (_, operand) in &ir.phis[*phi as usize].operands {
                        uses.used(*operand, MANY, 4, &mut open);
                    }
                }
                Def::Same(_) => {
                    // Read wherever it is used: not computed at one of the uses.
                    for _ in 0..2 {
                        uses.used(ir.root(value), MANY, 4, &mut open);
                    }
                }
                _ if ir.is_removable(value) => {
                    let home = ir.homes[value.0 as usize];
                    let arguments = ir.arguments_of(value);
                    // A mask looks at no more than it lets through.
                    let is_mask = ir.op(value) == Some(Op::And)
                        && arguments.iter().any(|operand| ir.as_const(*operand).is_some());
                    let limbs = if is_mask { ir.range(value).limbs() as u8 } else { 4 };
                    for operand in arguments {
                        uses.used(*operand, home, limbs, &mut open);
                    }
                }
                _ => {}
            }
        }
        uses
    }

    fn used(&mut self, value: V, user: u32, limbs: u8, open: &mut Vec<V>) {
        let place = value.0 as usize;
        self.limbs[place] = self.limbs[place].max(limbs);
        self.count[place] += 1;
        if self.count[place] == 1 {
            self.user[place] = user;
            open.push(value);
        } else {
            self.user[place] = MANY;
        }
    }

    /// Whether anything needs it.
    pub fn is_used(&self, value: V) -> bool {
        self.count[value.0 as usize] > 0
    }
}

/// What the end of a node consumes, of what it pops.
pub fn consumed_at_end(ir: &Ir, graph: &Graph, node: u32) -> Vec<V> {
    use super::script::{Leaves, leaves};
    use crate::graph::Jump;
    let body = &ir.bodies[node as usize];
    if body.halts {
        return Vec::new();
    }
    let dynamic = matches!(graph.nodes[node as usize].jump, Some(Jump::Among(_) | Jump::Anywhere));
    match leaves(graph, ir, node) {
        Leaves::Falls => Vec::new(),
        Leaves::Jumps if dynamic => alloc::vec![body.operands[0]],
        Leaves::Jumps => Vec::new(),
        Leaves::Branches if dynamic => body.operands.clone(),
        Leaves::Branches => alloc::vec![body.operands[1]],
        Leaves::Ends if body.end == crate::blocks::End::Jumpi => Vec::new(),
        Leaves::Ends => body.operands.clone(),
    }
}

/// What a node gives back if it ends a routine, the lowest entry first.
pub fn given<'a>(ir: &'a Ir, graph: &Graph, node: u32) -> &'a [V] {
    use super::script::{Leaves, leaves};
    use crate::graph::Jump;
    let shape = &graph.nodes[node as usize];
    let returns = shape.jump == Some(Jump::Return)
        && matches!(leaves(graph, ir, node), Leaves::Jumps | Leaves::Branches);
    match ir.routines.get(shape.routine as usize) {
        Some(routine) if returns => &ir.bodies[node as usize].exit[..routine.given.len()],
        _ => &[],
    }
}

/// Whether a jump of the node goes through the dispatcher whatever its target is.
pub fn leaves_by_dispatcher(graph: &Graph, ir: &Ir, node: u32) -> bool {
    use super::script::{Leaves, leaves};
    use crate::graph::Jump;
    matches!(graph.nodes[node as usize].jump, Some(Jump::Among(_) | Jump::Anywhere))
        && matches!(leaves(graph, ir, node), Leaves::Jumps | Leaves::Branches)
}

/// Entries that an edge into a head puts into memory: those that are not at home, of the topmost that are read there.
pub fn spilled(ir: &Ir, node: u32, reads: u32) -> impl Iterator<Item = (i32, V)> {
    let body = &ir.bodies[node as usize];
    let height = body.floor + body.exit.len() as i32;
    let least = i32::try_from(reads).map_or(i32::MIN, |reads| height - reads);
    body.exit
        .iter()
        .enumerate()
        .map(|(place, value)| (body.floor + place as i32, *value))
        .filter(move |(slot, value)| *slot >= least && *ir.def(ir.root(*value)) != Def::Load(*slot))
}

/// Places of the values of a part, and the locals that it has beyond the first ones.
#[derive(Debug, Default)]
pub struct Places {
    /// Place of each value.
    pub of: Vec<Place>,
    /// Types of the locals from `first` on.
    pub locals: Vec<ValType>,
    /// Interval of each value of the part in hand.
    index: Vec<u32>,
    /// Depth of each expression.
    depth: Vec<u8>,
}

impl Places {
    /// No places yet; constants have none.
    pub fn new(ir: &Ir) -> Self {
        let place_of = |def: &Def| match def {
            Def::Const(_) => Place::Anew,
            _ => Place::Nowhere,
        };
        let count = ir.defs.len();
        Self {
            of: ir.defs.iter().map(place_of).collect(),
            locals: Vec::new(),
            index: alloc::vec![u32::MAX; count],
            depth: alloc::vec![0; count],
        }
    }
}

struct Interval {
    start: u32,
    end: u32,
    value: V,
}

/// Whether the value is cheaper computed again than kept.
fn is_anew(ir: &Ir, value: V) -> bool {
    matches!(ir.def(value), Def::Const(_) | Def::Inst { op: Op::Calldatasize, .. })
}

/// Whether a narrow result is an expression without more than one use of each operand, so that it can stand
/// inside another one.
fn is_expression(ir: &Ir, value: V) -> bool {
    ir.is_pure(value)
        && ir.range(value).limbs() == 1
        && !matches!(ir.op(value), Some(Op::Calldataload) | None)
}

/// Hands out places for the nodes of a script; `first` is the first local free.
pub fn places(
    ir: &Ir,
    graph: &Graph,
    flow: &Flow,
    uses: &Uses,
    script: &[Step],
    first: u32,
    places: &mut Places,
) {
    let mut scan = Scan { ir, loops: Vec::new(), intervals: Vec::new(), places, position: 0 };
    if let Some(Step::Body(node)) = script.iter().find(|step| matches!(step, Step::Body(_)))
        && let Some(routine) = ir.routines.get(graph.nodes[*node as usize].routine as usize)
    {
        // Parameters have the first locals.
        for parameter in routine.parameters.iter().filter(|value| uses.is_used(**value)) {
            scan.define(*parameter);
        }
    }
    scan.run(graph, flow, uses, script);
    scan.assign(uses, first);
}

struct Scan<'a> {
    ir: &'a Ir,
    /// Start, end and parent of each loop, in the order of their starts.
    loops: Vec<(u32, u32, u32)>,
    intervals: Vec<Interval>,
    places: &'a mut Places,
    position: u32,
}

impl Scan<'_> {
    fn run(&mut self, graph: &Graph, flow: &Flow, uses: &Uses, script: &[Step]) {
        let ir = self.ir;
        self.find_loops(script);
        let mut current = u32::MAX;
        let mut next_loop = 0;
        let mut open: Vec<u32> = Vec::new();
        self.position = 0;
        for step in script {
            self.position += 1;
            match step {
                Step::Loop(_) => {
                    open.push(current);
                    current = next_loop;
                    next_loop += 1;
                }
                Step::Block(_) => open.push(current),
                Step::End => current = open.pop().unwrap_or(u32::MAX),
                Step::Dispatch => {}
                Step::If(node, _) => {
                    open.push(current);
                    self.use_of(ir.bodies[*node as usize].operands[1], current);
                }
                Step::Body(node) => {
                    let body = &ir.bodies[*node as usize];
                    for phi in &body.phis {
                        if uses.is_used(*phi) {
                            self.define(*phi);
                        }
                    }
                    for value in &body.items {
                        self.position += 1;
                        let is_same = matches!(ir.def(*value), Def::Same(_));
                        if is_same || (ir.is_removable(*value) && !uses.is_used(*value)) {
                            continue;
                        }
                        if is_anew(ir, *value) {
                            self.places.of[value.0 as usize] = Place::Anew;
                            continue;
                        }
                        if self.is_inline(*value, *node, uses) {
                            self.places.of[value.0 as usize] = Place::Inline;
                            continue;
                        }
                        for operand in ir.arguments_of(*value) {
                            self.use_of(*operand, current);
                        }
                        if uses.is_used(*value) {
                            self.define(*value);
                        }
                    }
                }
                Step::Edge { from, edge, .. } => {
                    if flow.is_head(edge.node) {
                        for (_, value) in spilled(ir, *from, flow.reads[edge.node as usize]) {
                            self.use_of(value, current);
                        }
                    } else {
                        for phi in &ir.bodies[edge.node as usize].phis {
                            if uses.is_used(*phi) {
                                self.define(*phi);
                                if let Some(operand) = phi_operand(ir, *phi, *from) {
                                    self.use_of(operand, current);
                                }
                                // Also the target of an edge backwards is set here.
                                self.extend(*phi, current);
                            }
                        }
                    }
                }
                Step::Terminate(node) => {
                    for operand in consumed_at_end(ir, graph, *node) {
                        self.use_of(operand, current);
                    }
                }
                Step::Jump(node) => {
                    for value in given(ir, graph, *node) {
                        self.use_of(*value, current);
                    }
                    if leaves_by_dispatcher(graph, ir, *node) {
                        self.use_of(ir.bodies[*node as usize].operands[0], current);
                        for (_, value) in spilled(ir, *node, ALL) {
                            self.use_of(value, current);
                        }
                    }
                }
            }
        }
    }

    /// Positions at which loops start and at which the last edge goes back to each.
    fn find_loops(&mut self, script: &[Step]) {
        let mut open: Vec<(u32, Option<u32>)> = Vec::new();
        // Loops that are open, by their heads.
        let mut of_head = alloc::collections::BTreeMap::new();
        let mut position = 0;
        let mut current = u32::MAX;
        for step in script {
            position += 1;
            match step {
                Step::Loop(node) => {
                    open.push((current, Some(*node)));
                    self.loops.push((position, position, current));
                    current = self.loops.len() as u32 - 1;
                    of_head.insert(*node, current);
                }
                Step::Block(_) | Step::If(..) => open.push((current, None)),
                Step::End => {
                    let (before, head) = open.pop().unwrap_or((u32::MAX, None));
                    current = before;
                    if let Some(head) = head {
                        of_head.remove(&head);
                    }
                }
                Step::Body(node) => position += self.ir.bodies[*node as usize].items.len() as u32,
                Step::Edge { edge, .. } => {
                    if let Some(back) = of_head.get(&edge.node) {
                        self.loops[*back as usize].1 = position;
                    }
                }
                _ => {}
            }
        }
    }

    fn is_inline(&mut self, value: V, node: u32, uses: &Uses) -> bool {
        let place = value.0 as usize;
        if uses.count[place] != 1 || uses.user[place] != node || !is_expression(self.ir, value) {
            return false;
        }
        let mut depth = 0;
        for operand in self.ir.arguments_of(value) {
            let operand = self.ir.root(*operand);
            if self.places.of[operand.0 as usize] == Place::Inline {
                depth = depth.max(self.places.depth[operand.0 as usize] + 1);
            }
        }
        self.places.depth[place] = depth;
        depth < DEPTH_MAX
    }

    fn define(&mut self, value: V) {
        if self.places.index[value.0 as usize] == u32::MAX {
            self.places.index[value.0 as usize] = self.intervals.len() as u32;
            let (start, end) = (self.position, self.position);
            self.intervals.push(Interval { start, end, value });
        }
    }

    /// A use at the present position, also by what is computed inside it.
    fn use_of(&mut self, value: V, inside: u32) {
        let mut open = alloc::vec![value];
        while let Some(value) = open.pop() {
            let value = self.ir.root(value);
            match self.places.of[value.0 as usize] {
                Place::Inline => open.extend_from_slice(self.ir.arguments_of(value)),
                Place::Anew => {}
                _ => self.extend(value, inside),
            }
        }
    }

    fn extend(&mut self, value: V, mut inside: u32) {
        let index = self.places.index[value.0 as usize];
        let Some(interval) = self.intervals.get_mut(index as usize) else { return };
        interval.end = interval.end.max(self.position);
        while inside != u32::MAX {
            let (start, end, mut parent) = self.loops[inside as usize];
            // A phi of the loop itself is defined before it, by the edge that enters.
            if interval.start >= start {
                break;
            }
            if self.position <= end {
                interval.end = interval.end.max(end);
            }
            // Nothing goes back any more to loops that end before here: they are passed by from now on.
            while let Some(&(_, end, above)) = self.loops.get(parent as usize)
                && end < self.position
            {
                parent = above;
            }
            self.loops[inside as usize].2 = parent;
            inside = parent;
        }
    }

    fn assign(&mut self, uses: &Uses, first: u32) {
        let ir = self.ir;
        let mut free: [Vec<u32>; 2] = [Vec::new(), Vec::new()];
        let mut order: Vec<u32> = (0..self.intervals.len() as u32).collect();
        order.sort_by_key(|index| self.intervals[*index as usize].start);
        // Ends of live intervals, the next one last.
        let mut ends: alloc::collections::BTreeSet<(u32, u32)> =
            alloc::collections::BTreeSet::new();
        for index in order {
            let (start, end, value) = {
                let interval = &self.intervals[index as usize];
                (interval.start, interval.end, interval.value)
            };
            while let Some((ended, gone)) = ends.first().copied() {
                if ended >= start {
                    break;
                }
                ends.pop_first();
                match self.places.of[self.intervals[gone as usize].value.0 as usize] {
                    Place::Flag(local) => free[0].push(local),
                    Place::Limbs(locals, count) => {
                        free[1].extend(locals[..usize::from(count)].iter().rev());
                    }
                    _ => {}
                }
            }
            let mut take = |kind: usize| {
                free[kind].pop().unwrap_or_else(|| {
                    self.places.locals.push([ValType::I32, ValType::I64][kind]);
                    first + self.places.locals.len() as u32 - 1
                })
            };
            let range = ir.range(value);
            self.places.of[value.0 as usize] = if range.is_flag() {
                Place::Flag(take(0))
            } else {
                let mut count = range.limbs();
                if matches!(ir.def(value), Def::Load(_)) || ir.op(value) == Some(Op::Mload) {
                    count = count.min(usize::from(uses.limbs[value.0 as usize]).max(1));
                }
                let mut locals = [0; 4];
                for local in &mut locals[..count] {
                    *local = take(1);
                }
                Place::Limbs(locals, count as u8)
            };
            ends.insert((end, index));
        }
    }
}

/// Operand of a phi on the edge from a node.
pub fn phi_operand(ir: &Ir, phi: V, from: u32) -> Option<V> {
    match ir.def(phi) {
        Def::Phi(index) => ir.phis[*index as usize]
            .operands
            .iter()
            .find(|(node, _)| *node == from)
            .map(|(_, value)| *value),
        _ => None,
    }
}
