//! The shape of the control flow: order, dominators, loops, regions and parts.
//!
//! The dispatcher is the root of the graph; it leads to every dispatched node. A *region* is a head and what
//! it dominates up to other heads: inside it the height of the stack relative to the head is known and values
//! stay in locals; every edge into a head puts the stack into memory. A *part* is a set of regions that
//! becomes one Wasm function. A routine is a part of its own and one region, whose entries are all in locals; but what
//! never comes back to its caller may be a head in it.
//!
//! Afterwards these hold: an edge to a node that is not a head stays in its region; an edge to another part,
//! or against the order to a node that does not dominate its source, leads to a dispatched node; every
//! dispatched node is a head.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::blocks::Blocks;
use crate::dominators::Dominators;
use crate::graph::{Graph, Jump};

/// Rounds of making more nodes dispatched, before all of them are.
const ROUNDS: usize = 24;
/// Walks over all nodes in them, before all are as well.
const PASSES: u32 = 256;
/// Entries of the stack that a region may hold in locals.
pub const WINDOW_MAX: i32 = 40;
/// Steps for each node in looking what changes in loops.
const LOOP_STEPS: usize = 16;
/// No node.
pub const NONE: u32 = u32::MAX;
/// All entries of the stack.
pub const ALL: u32 = u32::MAX;

/// Limits on parts.
#[derive(Clone, Copy, Debug)]
pub struct PartLimits {
    /// Sum of the weights of its nodes, in estimated bytes of Wasm.
    pub weight: u32,
    /// Dispatched nodes.
    pub dispatched: u32,
    /// Nodes.
    pub nodes: u32,
    /// Whether every node is a head: small regions for small frames.
    pub single: bool,
}

/// The shape of a graph.
#[derive(Debug, Default)]
pub struct Flow {
    /// Reachable nodes in reverse postorder.
    pub order: Vec<u32>,
    /// Place of each node in `order`.
    pub place: Vec<u32>,
    /// Which nodes are on every way to which.
    pub dominators: Dominators,
    /// Head of each node's region.
    pub head: Vec<u32>,
    /// Height of the stack at each node's entry, relative to the entry of its head.
    pub height: Vec<i32>,
    /// Lowest entry that is not in memory at a node's entry, relative to the entry of its head: below it
    /// every entry is at home. At most `height`.
    pub floor: Vec<i32>,
    /// Entries from the top that may be read at a node's entry or later; [`ALL`] if nothing is known.
    pub reads: Vec<u32>,
    /// Predecessors by edges that need no dispatcher.
    pub predecessors: Vec<Vec<u32>>,
    /// Whether a node is the target of an edge from a node that it dominates.
    pub loops: Vec<bool>,
    /// For the head of a loop, the lowest entry that changes in it, relative to the head of its region.
    pub changes: Vec<i32>,
    /// Part of each node.
    pub part: Vec<u32>,
    /// How many there are, those of routines among them.
    pub parts: u32,
    /// Walks over all nodes for regions and their floors.
    pub passes: u32,
    /// Part of the first routine; the others follow in their order.
    pub first_routine: u32,
    /// Routines that cannot be any: the graph has to be drawn without them.
    pub broken: BTreeSet<u32>,
}

impl Flow {
    /// Shapes `graph`, making nodes dispatched where it has to. `weights` are per node.
    pub fn new(
        blocks: &Blocks<'_>,
        graph: &mut Graph,
        weights: &[u32],
        limits: PartLimits,
    ) -> Self {
        let mut flow = Self::default();
        let mut last_rounds = 0;
        for round in 0.. {
            if last_rounds > 0 || round == ROUNDS || flow.passes > PASSES {
                last_rounds += 1;
            }
            if last_rounds == 1 {
                for node in &mut graph.nodes {
                    node.dispatched = node.routine == NONE;
                }
            }
            flow.number(graph);
            flow.dominators = Dominators::new(graph, &flow.predecessors);
            let mut changed = flow.break_irreducible(graph);
            if !changed {
                flow.regions(blocks, graph, limits.single || last_rounds > 0);
                changed = flow.divide(graph, weights, limits);
            }
            if !changed || last_rounds > 1 || !flow.broken.is_empty() {
                break;
            }
        }
        flow.find_reads(blocks, graph);
        flow.find_changes(blocks, graph);
        flow.measure(graph);
        flow
    }

    /// What changes in loops, from their ends backwards; of those beyond the budget nothing is known.
    fn find_changes(&mut self, blocks: &Blocks<'_>, graph: &Graph) {
        let count = graph.nodes.len();
        self.changes = alloc::vec![i32::MIN; count];
        let mut budget = LOOP_STEPS * count;
        let mut seen = alloc::vec![NONE; count];
        for head in &self.order {
            if !self.loops[*head as usize] || self.is_head(*head) {
                continue;
            }
            let mut lowest = i32::MAX;
            let mut open: Vec<u32> = self.predecessors[*head as usize]
                .iter()
                .copied()
                .filter(|from| !self.before(*from, *head))
                .collect();
            seen[*head as usize] = *head;
            open.push(*head);
            while let Some(node) = open.pop() {
                let block = &blocks.blocks[graph.nodes[node as usize].block as usize];
                let reaches =
                    self.height[node as usize] - graph.nodes[node as usize].consumed(block);
                lowest = lowest.min(reaches);
                let before = match node == *head {
                    true => &[][..],
                    false => &self.predecessors[node as usize],
                };
                budget = budget.saturating_sub(1 + before.len());
                if budget == 0 {
                    return;
                }
                if core::mem::replace(&mut seen[node as usize], *head) != *head || node == *head {
                    open.extend(before.iter().filter(|from| seen[**from as usize] != *head));
                }
            }
            self.changes[*head as usize] = lowest;
        }
    }

    /// Has routines told the height of the stack that put entries into memory, and those that call such.
    fn measure(&self, graph: &mut Graph) {
        for node in self.order.iter().rev() {
            // Callees come behind their callers.
            let shape = &graph.nodes[*node as usize];
            let spills = self.is_head(*node) && !shape.enters && self.reads[*node as usize] > 0;
            let calls =
                shape.call.is_some_and(|call| graph.routines[call.routine as usize].measured);
            if let Some(routine) = graph.routines.get_mut(shape.routine as usize) {
                routine.measured |= spills || calls;
            }
        }
    }

    /// How much of the stack is read before the frame ends. Whatever comes to a dynamic jump may read all.
    fn find_reads(&mut self, blocks: &Blocks<'_>, graph: &Graph) {
        self.reads = alloc::vec![0; graph.nodes.len()];
        for round in 0.. {
            let mut changed = false;
            for node in self.order.iter().rev() {
                let shape = &graph.nodes[*node as usize];
                let block = &blocks.blocks[shape.block as usize];
                let dynamic = matches!(shape.jump, Some(Jump::Among(_) | Jump::Anywhere));
                let net = shape.net(block);
                let takes = shape.consumed(block).max(0) as u32;
                let mut reads = u32::from(block.need).max(takes);
                for edge in shape.edges() {
                    let there = self.reads[edge.node as usize];
                    let here = (i64::from(there) - i64::from(net)).max(0) as u32;
                    reads = reads.max(if there == ALL { ALL } else { here });
                }
                if dynamic || reads > 1024 || round > 32 {
                    reads = ALL;
                }
                if self.reads[*node as usize] < reads {
                    self.reads[*node as usize] = reads;
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
    }

    /// Whether `a` comes before `b`.
    pub fn before(&self, a: u32, b: u32) -> bool {
        self.place[a as usize] < self.place[b as usize]
    }

    /// Whether `node` is the head of a region.
    pub fn is_head(&self, node: u32) -> bool {
        self.head[node as usize] == node
    }

    fn number(&mut self, graph: &Graph) {
        let count = graph.nodes.len();
        let mut seen = alloc::vec![false; count];
        let mut postorder = Vec::with_capacity(count);
        // Callees first, so that they come behind their callers.
        let routines = graph.routines.iter().rev().map(|routine| routine.entry);
        let dispatched = |root: &u32| graph.nodes[*root as usize].dispatched;
        for root in routines.chain((0..count as u32).rev().filter(dispatched)) {
            if seen[root as usize] {
                continue;
            }
            seen[root as usize] = true;
            let mut open: Vec<(u32, u8)> = alloc::vec![(root, 0)];
            while let Some((node, next)) = open.last_mut() {
                let edge = graph.nodes[*node as usize].edges().nth(usize::from(*next));
                *next += 1;
                match edge {
                    Some(edge) if !seen[edge.node as usize] => {
                        seen[edge.node as usize] = true;
                        open.push((edge.node, 0));
                    }
                    Some(_) => {}
                    None => {
                        postorder.push(*node);
                        open.pop();
                    }
                }
            }
        }
        postorder.reverse();
        self.place = alloc::vec![NONE; count];
        for (place, node) in postorder.iter().enumerate() {
            self.place[*node as usize] = place as u32;
        }
        self.order = postorder;
        self.predecessors.iter_mut().for_each(Vec::clear);
        self.predecessors.resize(count, Vec::new());
        for node in &self.order {
            for edge in graph.nodes[*node as usize].edges() {
                let list = &mut self.predecessors[edge.node as usize];
                if list.last() != Some(node) {
                    list.push(*node);
                }
            }
        }
    }

    fn break_irreducible(&mut self, graph: &mut Graph) -> bool {
        let mut changed = false;
        self.loops = alloc::vec![false; graph.nodes.len()];
        for node in &self.order {
            for edge in graph.nodes[*node as usize].both_edges().into_iter().flatten() {
                if self.before(*node, edge.node) {
                    continue;
                }
                if self.dominators.dominates(edge.node, *node) {
                    self.loops[edge.node as usize] = true;
                } else if graph.nodes[edge.node as usize].routine != NONE {
                    self.broken.insert(graph.nodes[edge.node as usize].routine);
                } else if !graph.nodes[edge.node as usize].dispatched {
                    graph.nodes[edge.node as usize].dispatched = true;
                    changed = true;
                }
            }
        }
        changed
    }

    /// Heads, heights and floors.
    fn regions(&mut self, blocks: &Blocks<'_>, graph: &Graph, single: bool) {
        let count = graph.nodes.len();
        let mut heads: Vec<bool> =
            graph.nodes.iter().map(|node| node.is_root() || single).collect();
        for round in 0.. {
            let mut changed = false;
            if round == 12 || self.passes > PASSES {
                heads.iter_mut().for_each(|head| *head = true);
            }
            self.passes += 1;
            self.head = alloc::vec![NONE; count];
            self.height = alloc::vec![0; count];
            for node in &self.order {
                let place = *node as usize;
                if heads[place] {
                    self.head[place] = *node;
                }
                // The first predecessor in order decides; those that disagree make it a head below.
                if self.head[place] == NONE {
                    heads[place] = true;
                    self.head[place] = *node;
                    changed = true;
                }
                let block = &blocks.blocks[graph.nodes[place].block as usize];
                let leaves = self.height[place] + graph.nodes[place].net(block);
                for edge in graph.nodes[place].edges() {
                    let to = edge.node as usize;
                    if heads[to] {
                        continue;
                    }
                    if self.head[to] == NONE {
                        self.head[to] = self.head[place];
                        self.height[to] = leaves;
                    } else if self.head[to] != self.head[place] || self.height[to] != leaves {
                        heads[to] = true;
                        changed = true;
                        // Only a later node sees it in this round; another round repairs the rest.
                        if self.before(*node, edge.node) {
                            self.head[to] = edge.node;
                            self.height[to] = 0;
                        }
                    }
                }
            }
            if !changed && !self.floors(blocks, graph, &mut heads) {
                break;
            }
        }
    }

    /// Computes floors; makes heads of nodes above which too much would be in locals.
    fn floors(&mut self, blocks: &Blocks<'_>, graph: &Graph, heads: &mut [bool]) -> bool {
        self.floor = self.height.clone();
        for (node, shape) in graph.nodes.iter().enumerate() {
            // All that a routine has is in locals.
            if let Some(routine) = graph.routines.get(shape.routine as usize) {
                if self.head[node] == routine.entry {
                    self.floor[node] = -routine.takes();
                }
                if heads[node] && !shape.enters && shape.closed.is_none() {
                    self.broken.insert(shape.routine);
                }
            }
        }
        let mut rounds = 0;
        // Nodes whose floor is another one than when it was handed on.
        let mut lowered = alloc::vec![true; graph.nodes.len()];
        loop {
            let mut changed = false;
            for node in &self.order {
                let place = *node as usize;
                if !core::mem::replace(&mut lowered[place], false) {
                    continue;
                }
                let block = &blocks.blocks[graph.nodes[place].block as usize];
                let reaches = self.height[place] - graph.nodes[place].consumed(block);
                let floor = self.floor[place].min(reaches);
                for edge in graph.nodes[place].edges() {
                    let to = edge.node as usize;
                    if !heads[to] && self.floor[to] > floor {
                        self.floor[to] = floor;
                        lowered[to] = true;
                        changed = true;
                    }
                }
            }
            rounds += 1;
            self.passes += 1;
            if !changed {
                break;
            }
            if rounds > 32 {
                heads.iter_mut().for_each(|head| *head = true);
                return true;
            }
        }
        let mut changed = false;
        for node in &self.order {
            let place = *node as usize;
            if !heads[place]
                && (graph.nodes[place].routine == NONE || graph.nodes[place].closed.is_some())
                && self.height[place] - self.floor[place] > WINDOW_MAX
            {
                heads[place] = true;
                changed = true;
            }
        }
        changed
    }

    /// Fills parts with regions in the order of the code; whether an edge between parts made a node
    /// dispatched.
    fn divide(&mut self, graph: &mut Graph, weights: &[u32], limits: PartLimits) -> bool {
        let count = graph.nodes.len();
        let mut changed = false;
        // A region that is too large for any part is cut at its nodes.
        let (mut weight, mut nodes) = (alloc::vec![0_u32; count], alloc::vec![0_u32; count]);
        for node in &self.order {
            let head = self.head[*node as usize] as usize;
            weight[head] += weights[*node as usize];
            nodes[head] += 1;
            if (weight[head] > limits.weight || nodes[head] > limits.nodes)
                && *node as usize != head
            {
                weight[head] = 0;
                nodes[head] = 0;
                let routine = graph.nodes[*node as usize].routine;
                if routine != NONE {
                    self.broken.insert(routine);
                    continue;
                }
                graph.nodes[*node as usize].dispatched = true;
                changed = true;
            }
        }
        if changed {
            return true;
        }
        let mut part_of_head = alloc::vec![0_u32; count];
        let (mut part, mut full, mut ids, mut many) = (0, 0, 0, 0);
        for node in 0..count {
            let routine = graph.nodes[node].routine != NONE;
            if self.place[node] == NONE || self.head[node] as usize != node || routine {
                continue;
            }
            let id = u32::from(graph.nodes[node].dispatched);
            let over = full + weight[node] > limits.weight
                || ids + id > limits.dispatched
                || many + nodes[node] > limits.nodes;
            if over && full > 0 {
                part += 1;
                (full, ids, many) = (0, 0, 0);
            }
            full += weight[node];
            ids += id;
            many += nodes[node];
            part_of_head[node] = part;
        }
        self.first_routine = part + 1;
        self.parts = self.first_routine + graph.routines.len() as u32;
        self.part = (0..count)
            .map(|node| match self.head.get(node) {
                _ if graph.nodes[node].routine != NONE => {
                    self.first_routine + graph.nodes[node].routine
                }
                Some(head) if *head != NONE => part_of_head[*head as usize],
                _ => 0,
            })
            .collect();
        for node in &self.order {
            for edge in graph.nodes[*node as usize].both_edges().into_iter().flatten() {
                let to = &mut graph.nodes[edge.node as usize];
                if self.part[*node as usize] != self.part[edge.node as usize] && !to.dispatched {
                    to.dispatched = true;
                    changed = true;
                }
            }
        }
        changed
    }
}
