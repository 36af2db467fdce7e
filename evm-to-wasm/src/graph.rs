//! States in, nodes out: the control-flow graph that is compiled.
//!
//! A node is a block, or one of several copies of a block; the states of a node are joined. Edges whose
//! target is known are edges of the graph, every other jump goes through the dispatcher and makes its
//! targets `dispatched`.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::analysis::{Analysis, Goes, STACK_LIMIT};
use crate::blocks::{Blocks, End};

/// A way to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The constant that a jump has for it; the node's place otherwise.
    pub pc: u32,
    /// Where it leads.
    pub node: u32,
    /// Static gas of JUMPDESTs on the way.
    pub gas: u32,
}

/// Where a jump goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jump {
    /// Nowhere: it halts.
    Nowhere,
    /// To one place, whatever is on the stack.
    Static(Edge),
    /// To one of several places. The analysis proves that the target is one of these.
    Among(Vec<Edge>),
    /// To whatever JUMPDEST is on the stack.
    Anywhere,
}

/// A block that is compiled, or a copy of one.
#[derive(Clone, Debug)]
pub struct Node {
    /// The block.
    pub block: u32,
    /// Heights that the stack may have at the entry.
    pub heights: (u16, u16),
    /// Where its JUMP or JUMPI goes.
    pub jump: Option<Jump>,
    /// What it falls into.
    pub fall: Option<Edge>,
    /// Whether the dispatcher has to know it.
    pub dispatched: bool,
}

impl Node {
    /// Edges that need no dispatcher: the jump first.
    pub fn edges(&self) -> impl Iterator<Item = Edge> + '_ {
        self.both_edges().into_iter().flatten()
    }

    /// The same, as far as there are any.
    pub fn both_edges(&self) -> [Option<Edge>; 2] {
        let jump = match &self.jump {
            Some(Jump::Static(edge)) => Some(*edge),
            _ => None,
        };
        [jump, self.fall]
    }
}

/// Why there is no graph: jumps of one node lead to several copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mixed {
    /// Blocks that had better call functions that are not copied.
    pub callers: Vec<u32>,
    /// Functions that had better not be copied.
    pub functions: Vec<u32>,
}

/// The control-flow graph.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Nodes, in the order of their blocks; the first is the entry.
    pub nodes: Vec<Node>,
    /// For each place that a dynamic jump may go to, the edge there.
    pub landings: BTreeMap<u32, Edge>,
}

/// Blocks with their copies that the analysis reached, in order, and which of them each state is of.
fn copies<'a>(blocks: &Blocks<'_>, analysis: &'a Analysis) -> (Vec<(u32, &'a [u32])>, Vec<u32>) {
    let states = &analysis.states;
    // By block, as many as there are: few states have to be compared with each other.
    let mut ends = alloc::vec![0_u32; blocks.blocks.len() + 1];
    for state in states {
        ends[state.block as usize] += 1;
    }
    let mut count = 0;
    for end in &mut ends {
        count += core::mem::replace(end, count);
    }
    let mut order = alloc::vec![0_u32; states.len()];
    for (index, state) in states.iter().enumerate() {
        let end = &mut ends[state.block as usize];
        order[*end as usize] = index as u32;
        *end += 1;
    }
    let mut reached: Vec<(u32, &[u32])> = Vec::with_capacity(states.len());
    let mut place_of = alloc::vec![0_u32; states.len()];
    let mut start = 0;
    for end in ends {
        let Some(of_block) = order.get_mut(start..end as usize) else { break };
        start = end as usize;
        if of_block.len() > 1 {
            of_block.sort_unstable_by_key(|index| states[*index as usize].copy.as_slice());
        }
        for index in of_block {
            let state = &states[*index as usize];
            let key = (state.block, state.copy.as_slice());
            if reached.last() != Some(&key) {
                reached.push(key);
            }
            place_of[*index as usize] = reached.len() as u32 - 1;
        }
    }
    (reached, place_of)
}

impl Graph {
    /// One node for each copy of a block that the analysis reached.
    ///
    /// # Errors
    /// A jump leads to several copies of a block.
    pub fn new(blocks: &Blocks<'_>, analysis: &Analysis) -> Result<Self, Mixed> {
        let (reached, place_of) = copies(blocks, analysis);
        let mut nodes: Vec<Node> = reached
            .iter()
            .map(|(block, _)| Node {
                block: *block,
                heights: (STACK_LIMIT, 0),
                jump: None,
                fall: None,
                dispatched: *block == 0,
            })
            .collect();
        let edge = |pc: u32, state: u32| {
            let target = blocks.target(u64::from(pc))?;
            let node = *place_of.get(state as usize)?;
            Some(Edge { pc, node, gas: target.gas })
        };
        let functions_of = |copy: &[u32]| {
            copy.iter()
                .filter_map(|returns| analysis.copied_for.get(returns).copied())
                .collect::<Vec<u32>>()
        };
        let mut mixed = Mixed::default();
        let mut jumps: Vec<Option<Vec<Edge>>> = alloc::vec![Some(Vec::new()); nodes.len()];
        // Whether a jump halts with one stack; with another one it may go somewhere.
        let mut nowhere = alloc::vec![false; nodes.len()];
        for (state, place) in analysis.states.iter().zip(&place_of) {
            let place = *place as usize;
            let node = &mut nodes[place];
            node.heights.0 = node.heights.0.min(state.heights.0);
            node.heights.1 = node.heights.1.max(state.heights.1);
            if let Some(next) = state.falls
                && let Some(target) = blocks.fall(state.block)
            {
                let pc = blocks.blocks[target.block as usize].pc;
                let fall = Edge { pc, node: place_of[next as usize], gas: target.gas };
                if node.fall.is_some_and(|other| other != fall) {
                    mixed.functions.extend(functions_of(state.copy.as_slice()));
                }
                node.fall = Some(fall);
            }
            match &state.jump {
                None => {}
                Some(Goes::Anywhere) => jumps[place] = None,
                Some(Goes::To(to)) => {
                    for (pc, state) in to {
                        match (&mut jumps[place], edge(*pc, *state)) {
                            (Some(edges), Some(edge)) => edges.push(edge),
                            (_, None) => nowhere[place] = true,
                            _ => {}
                        }
                    }
                }
            }
        }
        let mut landings: BTreeMap<u32, Edge> = BTreeMap::new();
        let mut land =
            |edge: Edge| landings.insert(edge.pc, edge).is_none_or(|other| other == edge);
        for node in &mut nodes {
            // Nothing follows a node whose stack always under- or overflows.
            let block = &blocks.blocks[node.block as usize];
            if node.heights.1 < block.need || node.heights.0 + block.growth > STACK_LIMIT {
                node.fall = None;
            }
        }
        for (place, edges) in jumps.into_iter().enumerate() {
            let block = &blocks.blocks[nodes[place].block as usize];
            let heights = nodes[place].heights;
            let halts = heights.1 < block.need || heights.0 + block.growth > STACK_LIMIT;
            if halts || !matches!(block.end, End::Jump | End::Jumpi) {
                continue;
            }
            nodes[place].jump = Some(match edges {
                // There may be nowhere to go.
                None if blocks.jumpdests().next().is_none() => Jump::Nowhere,
                None => Jump::Anywhere,
                Some(mut edges) => {
                    edges.sort_unstable();
                    edges.dedup();
                    match edges.as_slice() {
                        [] => Jump::Nowhere,
                        [edge] if !nowhere[place] => Jump::Static(*edge),
                        _ => {
                            if edges.iter().any(|edge| !land(*edge)) {
                                let copy = reached[place].1;
                                mixed.functions.extend(functions_of(copy));
                                if copy.is_empty() {
                                    mixed.callers.push(nodes[place].block);
                                }
                            }
                            if nowhere[place] { Jump::Anywhere } else { Jump::Among(edges) }
                        }
                    }
                }
            });
        }
        if analysis.any_jump {
            // A jump from anywhere has no copies: a block is one node.
            let mut node_of = alloc::vec![u32::MAX; blocks.blocks.len()];
            for (place, (block, _)) in reached.iter().enumerate() {
                node_of[*block as usize] = place as u32;
            }
            for pc in blocks.jumpdests() {
                if let Some(target) = blocks.target(u64::from(pc)) {
                    let node = node_of[target.block as usize];
                    land(Edge { pc, node, gas: target.gas });
                }
            }
        }
        for edge in landings.values() {
            nodes[edge.node as usize].dispatched = true;
        }
        if mixed == Mixed::default() { Ok(Self { nodes, landings }) } else { Err(mixed) }
    }
}
