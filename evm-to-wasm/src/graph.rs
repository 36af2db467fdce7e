//! States in, nodes out: the control-flow graph that is compiled.
//!
//! A node is a block, or one of several copies of a block; the states of a node are joined. Edges whose
//! target is known are edges of the graph, every other jump goes through the dispatcher and makes its
//! targets `dispatched`.
//!
//! Functions of the contract that can become functions of the module are *routines* (`routines`): their nodes are
//! their own, a jump that calls one has a static edge to where it comes back.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::analysis::{Analysis, Called, Goes, STACK_LIMIT, State};
use crate::blocks::{Block, Blocks, End};
use crate::flow::NONE;
use crate::routines::{self, Routine};

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
    /// Back from the routine.
    Return,
}

/// A routine called by the jump of a node, which then has a static edge to where it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The routine: while the graph is drawn the function of the analysis, then a place in [`Graph::routines`].
    pub routine: u32,
    /// Static gas of JUMPDESTs on the way there.
    pub gas: u32,
    /// Entries of the stack that it takes, the return address among them.
    pub takes: u16,
    /// Entries that it gives.
    pub gives: u16,
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
    /// The routine that it belongs to, or [`NONE`].
    pub routine: u32,
    /// Whether that begins here.
    pub enters: bool,
    /// For a node of a routine from which no way leads back to the caller, how many entries it and what comes behind it
    /// read.
    pub closed: Option<u16>,
    /// The call that its jump is.
    pub call: Option<Call>,
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

    /// Whether control comes here from the dispatcher or by a call.
    pub fn is_root(&self) -> bool {
        self.dispatched || self.enters
    }

    /// Height of the stack at the end, relative to the entry of `block`, which is its block.
    pub fn net(&self, block: &Block) -> i32 {
        let call = self.call.map_or(0, |call| i32::from(call.gives) - i32::from(call.takes));
        i32::from(block.net) + call
    }

    /// How far below its entry height it pops or swaps.
    pub fn consumed(&self, block: &Block) -> i32 {
        let call = self.call.map_or(0, |call| i32::from(call.takes) - i32::from(block.net));
        call.max(i32::from(block.consumed))
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
    /// Functions of the contract that become functions of the module, callers before callees.
    pub routines: Vec<Routine>,
}

/// What makes the nodes different from each other: the block, its copy, the owner and the height ([`Pair`]), and for a
/// block that is split one more than the state.
type Key<'a> = (u32, &'a [u32], u32, i32, u32);

/// What the jumps of a node's states have been so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unseen,
    Plain,
    Returns,
    Calls(u32, u32, u32),
}

/// A graph, and what stands against it.
struct Drawn {
    graph: Graph,
    mixed: Mixed,
    /// Functions that are no routines.
    unfit: BTreeSet<u32>,
    /// Blocks whose states had better be a node each.
    divided: BTreeSet<u32>,
    /// Blocks that a dynamic jump leads to in several nodes.
    landed: BTreeSet<u32>,
    /// Instructions of all nodes.
    instructions: usize,
}

/// Which blocks are a node for each of their states, because those go to different places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    No,
    Yes,
    Never,
}

impl Graph {
    /// One node for each copy of a block that the analysis reached, and one more for each routine that it is in. `barred`
    /// are functions, by block and entries, that are not to be routines.
    ///
    /// # Errors
    /// A jump leads to several copies of a block.
    pub fn new(
        blocks: &Blocks<'_>,
        analysis: &Analysis,
        barred: &routines::Barred,
    ) -> Result<Self, Mixed> {
        let mut fit = routines::candidates(analysis, barred);
        // A jump to anywhere finds one node a block.
        let first = if analysis.any_jump { Split::Never } else { Split::No };
        let mut splits = alloc::vec![first; blocks.blocks.len()];
        for state in analysis.states.iter().filter(|state| state.stands_in) {
            // What it does is what other states of its block do.
            splits[state.block as usize] = Split::Never;
        }
        let room = INSTRUCTIONS_MIN + INSTRUCTIONS_FACTOR * blocks.instructions.len();
        let reads = match fit.contains(&true) {
            true => routines::reads(blocks, analysis),
            false => Vec::new(),
        };
        for round in 0.. {
            let owners = Owners { analysis, fit: &fit, reads: &reads };
            let drawn = draw(blocks, &owners, &splits);
            let Drawn { mut graph, mixed, mut unfit, divided, landed, instructions } = drawn;
            // What a jump mixes now it mostly mixes in the end.
            if round == 0 && mixed != Mixed::default() && !analysis.copied_for.is_empty() {
                return Err(mixed);
            }
            let before = splits.clone();
            for block in &divided {
                if splits[*block as usize] == Split::No {
                    splits[*block as usize] =
                        if round < DIVISIONS_MAX { Split::Yes } else { Split::Never };
                }
            }
            for block in &landed {
                if splits[*block as usize] == Split::Yes {
                    splits[*block as usize] = Split::Never;
                }
            }
            if instructions > room || round > SPLITTINGS_MAX {
                splits.fill(Split::Never);
            }
            if splits != before {
                continue;
            }
            // Fewer copies are better than fewer routines.
            if mixed != Mixed::default() && (unfit.is_empty() || !analysis.copied_for.is_empty()) {
                let whole = !fit.contains(&true) && splits.iter().all(|s| *s == Split::Never);
                if analysis.copied_for.is_empty() && !whole {
                    // One node a block: nothing can be mixed.
                    fit.fill(false);
                    splits.fill(Split::Never);
                    continue;
                }
                return Err(mixed);
            }
            if unfit.is_empty() && fit.contains(&true) {
                unfit = routines::settle(blocks, analysis, &fit, &mut graph);
            }
            if unfit.is_empty() {
                return Ok(graph);
            }
            unfit.iter().for_each(|function| fit[*function as usize] = false);
            if round > DRAWINGS_MAX {
                fit.fill(false);
            }
            routines::without_callers(analysis, &mut fit);
        }
        Ok(Self::default())
    }
}

/// Drawings after which no more blocks are split, but those that are.
const DIVISIONS_MAX: u32 = 1;
/// Drawings in which blocks are split, before none is.
const SPLITTINGS_MAX: u32 = 16;
/// Instructions of all nodes with those that are split, times those of the code, and beside that.
const INSTRUCTIONS_FACTOR: usize = 3;
const INSTRUCTIONS_MIN: usize = 1_000;

/// Drawings with fewer routines, before there are none.
const DRAWINGS_MAX: u32 = 28;

/// What makes a node: a state, its owner, and its height relative to the owner's entry. The owner is 0 or one more than
/// the function of the analysis that is to be a routine; the height is 0 if there is none, and where none leads back to
/// the caller.
type Pair = (u32, u32, i32);

/// Tells in which nodes states are.
struct Owners<'a> {
    analysis: &'a Analysis,
    fit: &'a [bool],
    /// Of states from which no dynamic jump is reached, how much they read of the stack.
    reads: &'a [u16],
}

impl<'a> Owners<'a> {
    /// A state that is entered from one with an owner. One from which no dynamic jump is reached is in all
    /// from which it is reached.
    fn pair(&self, index: u32, from: u32) -> Option<Pair> {
        let state = self.analysis.states.get(index as usize)?;
        Some(match state.within {
            _ if state.closed => (index, from, 0),
            Some(function) if self.fit[function as usize] => {
                let takes = self.analysis.functions[function as usize].entries;
                (index, function + 1, state.entries as i32 - takes as i32)
            }
            _ => (index, 0, 0),
        })
    }

    /// All that make nodes.
    fn all(&self) -> Vec<Pair> {
        let analysis = self.analysis;
        let mut pairs: Vec<Pair> = Vec::with_capacity(analysis.states.len());
        let mut closed: BTreeSet<Pair> = BTreeSet::new();
        for (index, state) in analysis.states.iter().enumerate() {
            if !state.closed || index == 0 || analysis.any_jump {
                let pair = self.pair(index as u32, 0);
                closed.extend(pair.filter(|_| state.closed));
                pairs.extend(pair);
            }
        }
        let mut place = 0;
        while let Some(&pair) = pairs.get(place) {
            place += 1;
            let (index, owner, _) = pair;
            let state = &analysis.states[index as usize];
            let mut reach = |next: u32| {
                let there = analysis.states.get(next as usize).is_some_and(|next| next.closed);
                if let Some(next) = self.pair(next, owner).filter(|_| there)
                    && closed.insert(next)
                {
                    pairs.push(next);
                }
            };
            state.falls.into_iter().for_each(&mut reach);
            match (called(state, self.fit), &state.jump) {
                (Some(call), _) => call.landed.iter().copied().for_each(&mut reach),
                (None, Some(Goes::To(to))) if owner == 0 || !state.returns => {
                    to.iter().for_each(|(_, next)| reach(*next));
                }
                _ => {}
            }
        }
        pairs
    }
}

/// The call that the jump of a state is, if it is one of a routine.
fn called<'a>(state: &'a State, fit: &[bool]) -> Option<&'a Called> {
    state.call.as_ref().filter(|call| fit[call.function as usize])
}

fn draw(blocks: &Blocks<'_>, owners: &Owners<'_>, splits: &[Split]) -> Drawn {
    let Owners { analysis, fit, reads } = *owners;
    let pairs = owners.all();
    let key = |(index, owner, height): Pair| -> Key<'_> {
        let state = &analysis.states[index as usize];
        let split = splits[state.block as usize] == Split::Yes && !state.closed;
        let variant = if split { index + 1 } else { 0 };
        (state.block, state.copy.as_slice(), owner, height, variant)
    };
    let mut order: Vec<(Key<'_>, u32)> =
        pairs.iter().zip(0..).map(|(pair, place)| (key(*pair), place)).collect();
    order.sort_unstable();
    let mut reached: Vec<Key<'_>> = Vec::with_capacity(order.len());
    let mut places = alloc::vec![0_u32; pairs.len()];
    // A state that is not closed is in one pair.
    let mut open = alloc::vec![NONE; analysis.states.len()];
    let mut closed: Vec<(u32, u32, u32)> = Vec::new();
    for (key, pair) in order {
        if reached.last() != Some(&key) {
            reached.push(key);
        }
        let place = reached.len() as u32 - 1;
        places[pair as usize] = place;
        let (index, owner, _) = pairs[pair as usize];
        match analysis.states[index as usize].closed {
            true => closed.push((index, owner, place)),
            false => open[index as usize] = place,
        }
    }
    closed.sort_unstable();
    let place_of = |state: u32, from: u32| {
        if !analysis.states.get(state as usize)?.closed {
            return Some(open[state as usize]).filter(|place| *place != NONE);
        }
        let found =
            closed.binary_search_by_key(&(state, from), |(index, owner, _)| (*index, *owner));
        match found {
            Ok(place) => Some(closed[place].2),
            // Another state makes the same node.
            Err(_) => {
                let key = key(owners.pair(state, from)?);
                reached.binary_search(&key).ok().map(|place| place as u32)
            }
        }
    };
    let mut nodes: Vec<Node> = reached
        .iter()
        .map(|(block, _, owner, ..)| Node {
            block: *block,
            heights: (STACK_LIMIT, 0),
            jump: None,
            fall: None,
            dispatched: *block == 0 && *owner == 0,
            routine: owner.wrapping_sub(1),
            enters: false,
            closed: None,
            call: None,
        })
        .collect();
    let edge = |pc: u32, state: u32, from: u32| {
        let target = blocks.target(u64::from(pc))?;
        let node = place_of(state, from)?;
        Some(Edge { pc, node, gas: target.gas })
    };
    let functions_of = |copy: &[u32]| {
        copy.iter()
            .filter_map(|returns| analysis.copied_for.get(returns).copied())
            .collect::<Vec<u32>>()
    };
    let mut mixed = Mixed::default();
    let mut unfit: BTreeSet<u32> = BTreeSet::new();
    let mut jumps: Vec<Option<Vec<Edge>>> = alloc::vec![Some(Vec::new()); nodes.len()];
    let mut kinds = alloc::vec![Kind::Unseen; nodes.len()];
    let mut divided: BTreeSet<u32> = BTreeSet::new();
    let mut landed: BTreeSet<u32> = BTreeSet::new();
    // Whether a jump halts with one stack; with another one it may go somewhere.
    let mut nowhere = alloc::vec![false; nodes.len()];
    for (&(index, from, _), place) in pairs.iter().zip(&places) {
        let state = &analysis.states[index as usize];
        let place = *place as usize;
        if from != 0 && state.closed {
            nodes[place].closed = Some(reads[index as usize]);
        }
        let heights = &mut nodes[place].heights;
        heights.0 = heights.0.min(state.heights.0);
        heights.1 = heights.1.max(state.heights.1);
        // An edge leads to a node of the same routine, or to one of none from none.
        let mut leaves = |to: u32| {
            let to = nodes[to as usize].routine;
            if to != from.wrapping_sub(1) {
                unfit.extend([to, from.wrapping_sub(1)].into_iter().filter(|one| *one != NONE));
            }
        };
        let mut fall = None;
        if let Some(next) = state.falls
            && let Some(target) = blocks.fall(state.block)
            && let Some(node) = place_of(next, from)
        {
            leaves(node);
            let pc = blocks.blocks[target.block as usize].pc;
            fall = Some(Edge { pc, node, gas: target.gas });
        }
        let kind = match (called(state, fit), &state.jump) {
            (_, None) => None,
            (Some(call), _) => {
                let mut first = None;
                for state in &call.landed {
                    let (Some(edges), Some(edge)) =
                        (&mut jumps[place], edge(call.returns, *state, from))
                    else {
                        continue;
                    };
                    leaves(edge.node);
                    if *first.get_or_insert(edge) != edge {
                        landed.insert(nodes[edge.node as usize].block);
                    } else if edges.iter().any(|other| *other != edge) {
                        divided.insert(nodes[place].block);
                    }
                    edges.push(edge);
                }
                Some(Kind::Calls(call.function, call.pc, call.returns))
            }
            (None, Some(_)) if state.returns && from != 0 && !state.closed => Some(Kind::Returns),
            (None, Some(Goes::Anywhere)) => {
                jumps[place] = None;
                Some(Kind::Plain)
            }
            (None, Some(Goes::To(to))) => {
                // What goes to one place with each stack is better off as a node for each.
                let edges = jumps[place].as_ref().map_or(&[][..], Vec::as_slice);
                if let (&[(pc, next)], Some(first)) = (to.as_slice(), edges.first())
                    && edge(pc, next, from).is_some_and(|edge| edge != *first)
                {
                    divided.insert(state.block);
                }
                for (pc, state) in to {
                    match (&mut jumps[place], edge(*pc, *state, from)) {
                        (Some(edges), Some(edge)) => {
                            leaves(edge.node);
                            edges.push(edge);
                        }
                        (_, None) => nowhere[place] = true,
                        _ => {}
                    }
                }
                Some(Kind::Plain)
            }
        };
        if fall.is_some() {
            if nodes[place].fall.is_some_and(|other| Some(other) != fall) {
                // Who cannot be split needs one node to fall into.
                match (splits[state.block as usize], fall) {
                    (Split::No, _) => divided.insert(state.block),
                    (_, Some(fall)) => landed.insert(nodes[fall.node as usize].block),
                    _ => false,
                };
                mixed.functions.extend(functions_of(state.copy.as_slice()));
            }
            nodes[place].fall = fall;
        }
        if let Some(kind) = kind {
            let before = core::mem::replace(&mut kinds[place], kind);
            if before != Kind::Unseen && before != kind {
                divided.insert(state.block);
                // A call may come back to several places.
                let called = |kind| match kind {
                    Kind::Calls(function, pc, _) => Some((function, pc)),
                    _ => None,
                };
                let same = called(before).is_some() && called(before) == called(kind);
                for kind in [before, kind].into_iter().filter(|_| !same) {
                    match kind {
                        Kind::Calls(function, ..) => unfit.extend([function]),
                        Kind::Returns => unfit.extend([from.wrapping_sub(1)]),
                        _ => {}
                    }
                }
            }
        }
    }
    let mut landings: BTreeMap<u32, Edge> = BTreeMap::new();
    let mut land = |edge: Edge| landings.insert(edge.pc, edge).is_none_or(|other| other == edge);
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
        if let Kind::Calls(function, pc, _) = kinds[place] {
            let Some(target) = blocks.target(u64::from(pc)) else { continue };
            let takes = analysis.functions[function as usize].entries as u16;
            nodes[place].call = Some(Call { routine: function, gas: target.gas, takes, gives: 0 });
        }
        nodes[place].jump = Some(match edges {
            _ if kinds[place] == Kind::Returns => Jump::Return,
            // There may be nowhere to go.
            None if blocks.jumpdests().next().is_none() => Jump::Nowhere,
            None => Jump::Anywhere,
            Some(mut edges) => {
                edges.sort_unstable();
                edges.dedup();
                match edges.as_slice() {
                    [] => Jump::Nowhere,
                    [edge] if !nowhere[place] => Jump::Static(*edge),
                    _ if nodes[place].routine != NONE => {
                        // The dispatcher does not lead into routines.
                        unfit.insert(nodes[place].routine);
                        Jump::Anywhere
                    }
                    _ => {
                        let mixes = |edge: &&Edge| !land(**edge);
                        if let Some(edge) = edges.iter().find(mixes) {
                            landed.insert(nodes[edge.node as usize].block);
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
        for (place, (block, ..)) in reached.iter().enumerate() {
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
    let graph = Graph { nodes, landings, routines: Vec::new() };
    let instructions =
        graph.nodes.iter().map(|node| blocks.blocks[node.block as usize].instructions.len()).sum();
    Drawn { graph, mixed, unfit, divided, landed, instructions }
}
