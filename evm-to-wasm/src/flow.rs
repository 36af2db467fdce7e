//! The shape of the control flow: order, dominators, loops, regions and parts.
//!
//! The dispatcher is the root of the graph; it leads to every dispatched node. A *region* is a head and what
//! it dominates up to other heads: inside it the height of the stack relative to the head is known and values
//! stay in locals; every edge into a head puts the stack into memory. A *part* is a set of regions that
//! becomes one Wasm function.
//!
//! Afterwards these hold: an edge to a node that is not a head stays in its region; an edge to another part,
//! or against the order to a node that does not dominate its source, leads to a dispatched node; every
//! dispatched node is a head.

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
    /// Part of each node.
    pub part: Vec<u32>,
    /// How many there are.
    pub parts: u32,
    /// Walks over all nodes for regions and their floors.
    passes: u32,
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
                graph.nodes.iter_mut().for_each(|node| node.dispatched = true);
            }
            flow.number(graph);
            flow.dominators = Dominators::new(graph, &flow.predecessors);
            let mut changed = flow.break_irreducible(graph);
            if !changed {
                flow.regions(blocks, graph, limits.single || last_rounds > 0);
                changed = flow.divide(graph, weights, limits);
            }
            if !changed || last_rounds > 1 {
                break;
            }
        }
        flow.find_reads(blocks, graph);
        flow
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
                let mut reads = u32::from(block.need);
                for edge in shape.edges() {
                    let there = self.reads[edge.node as usize];
                    let here = (i64::from(there) - i64::from(block.net)).max(0) as u32;
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
        for root in (0..count as u32).rev() {
            if !graph.nodes[root as usize].dispatched || seen[root as usize] {
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
            graph.nodes.iter().map(|node| node.dispatched || single).collect();
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
                let leaves = self.height[place] + i32::from(block.net);
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
                let reaches = self.height[place] - i32::from(block.consumed);
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
            if !heads[place] && self.height[place] - self.floor[place] > WINDOW_MAX {
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
            if self.place[node] == NONE || self.head[node] as usize != node {
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
        self.parts = part + 1;
        self.part = (0..count)
            .map(|node| match self.head.get(node) {
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
