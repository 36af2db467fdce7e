//! Which functions of the contract become functions of the module.
//!
//! A *routine* is a function that the analysis interpreted once for all its callers: it is entered by calls alone,
//! reads nothing of the stack below its return address, leaves nothing but a fixed number of results, and
//! comes back to who called. Its nodes are its own, so a block that several functions share is there several times. Its
//! arguments and results travel as Wasm's do, and the caller's stack stays where it is.
//!
//! What can call itself is no routine, so the depth of Wasm's stack is known; nor is what the dispatcher would have
//! to know a node of.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::analysis::{Analysis, Goes, NOWHERE, STACK_LIMIT, State};
use crate::blocks::Blocks;
use crate::flow::WINDOW_MAX;
use crate::graph::{Graph, Jump};

/// Entries that a routine may take, the return address among them.
const TAKEN_MAX: u32 = 17;
/// Entries that it may give.
const GIVEN_MAX: i32 = 12;
/// Routines of a contract.
const ROUTINES_MAX: usize = 2_000;

/// Functions that are not to be routines, by block and entries.
pub type Barred = BTreeSet<(u32, u32)>;

/// A function of the contract that becomes a function of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routine {
    /// Its first node.
    pub entry: u32,
    /// Its first block and the entries that it takes, the return address among them.
    pub called: (u32, u32),
    /// Entries of the stack that it gives.
    pub gives: u16,
    /// Whether the stack may be too high in it, and so it has to know the height.
    pub measured: bool,
}

impl Routine {
    /// Entries that it takes, the return address among them.
    pub fn takes(&self) -> i32 {
        self.called.1 as i32
    }
}

/// Functions that may be routines as far as their states say.
pub fn candidates(analysis: &Analysis, barred: &Barred) -> Vec<bool> {
    let mut fit: Vec<bool> = analysis
        .functions
        .iter()
        .map(|function| {
            let key = (function.block, function.entries);
            let small = function.entries <= TAKEN_MAX;
            function.simple && small && !analysis.any_jump && !barred.contains(&key)
        })
        .collect();
    if fit.iter().filter(|fit| **fit).count() > ROUTINES_MAX {
        fit.fill(false);
    }
    for state in &analysis.states {
        let Some(function) = state.within else { continue };
        let function = function as usize;
        if !fit[function] || state.call.is_some() {
            continue;
        }
        let stays = |next: u32| match analysis.states.get(next as usize) {
            Some(next) => next.closed || next.within == state.within,
            None => true,
        };
        fit[function] = state.falls.is_none_or(stays)
            && match &state.jump {
                None => true,
                Some(Goes::Anywhere) => false,
                Some(_) if state.returns => true,
                Some(Goes::To(to)) => match to.as_slice() {
                    [] => true,
                    [(_, next)] => stays(*next),
                    _ => false,
                },
            };
    }
    without_callers(analysis, &mut fit);
    fit
}

/// Takes out whatever calls what is no routine, or itself.
pub fn without_callers(analysis: &Analysis, fit: &mut [bool]) {
    let count = fit.len();
    let mut callers: Vec<Vec<u32>> = alloc::vec![Vec::new(); count];
    let mut calls = alloc::vec![0_u32; count];
    for state in &analysis.states {
        if let (Some(caller), Some(call)) = (state.within, &state.call) {
            callers[call.function as usize].push(caller);
            calls[caller as usize] += 1;
        }
    }
    // From those that call nothing up: what is left over calls itself, or one that is no routine.
    let mut open: Vec<u32> = (0..count as u32)
        .filter(|function| fit[*function as usize] && calls[*function as usize] == 0)
        .collect();
    let mut sound = alloc::vec![false; count];
    while let Some(function) = open.pop() {
        sound[function as usize] = true;
        for caller in &callers[function as usize] {
            let caller = *caller as usize;
            calls[caller] -= 1;
            if calls[caller] == 0 && fit[caller] {
                open.push(caller as u32);
            }
        }
    }
    fit.copy_from_slice(&sound);
}

/// Checks the nodes of each routine, fills in what the calls give, and numbers the routines; the functions that cannot
/// be routines.
pub fn settle(
    blocks: &Blocks<'_>,
    analysis: &Analysis,
    fit: &[bool],
    graph: &mut Graph,
) -> BTreeSet<u32> {
    let mut unfit = BTreeSet::new();
    let mut entries: BTreeMap<u32, u32> = BTreeMap::new();
    let mut own: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if let Some(function) = fit.get(node.routine as usize).map(|_| node.routine) {
            own.entry(function).or_default().push(index as u32);
            let entry = analysis.functions[function as usize].block;
            if node.block == entry && entries.insert(function, index as u32).is_some() {
                // Several copies of it: which one is called?
                unfit.insert(function);
            }
        }
    }
    // Callees before callers, by their depth.
    let order = callees_first(analysis, fit);
    let mut gives: BTreeMap<u32, (u16, bool)> = BTreeMap::new();
    let mut heights: Vec<Option<i32>> = alloc::vec![None; graph.nodes.len()];
    for function in &order {
        let (Some(entry), Some(own)) = (entries.get(function), own.get(function)) else { continue };
        let mut measured = false;
        for index in own {
            let node = &mut graph.nodes[*index as usize];
            let block = &blocks.blocks[node.block as usize];
            // What overflows always is as good as what may.
            measured |= node.heights.1 + block.growth > STACK_LIMIT;
            if let Some(call) = &mut node.call
                && let Some((given, inner)) = gives.get(&call.routine)
            {
                call.gives = *given;
                measured |= inner;
            }
        }
        let takes = analysis.functions[*function as usize].entries as i32;
        match results(blocks, graph, *entry, takes, &mut heights) {
            Some(given) => {
                gives.insert(*function, (given, measured));
            }
            None => {
                unfit.insert(*function);
            }
        }
    }
    if !unfit.is_empty() {
        return unfit;
    }
    let mut places: BTreeMap<u32, u32> = BTreeMap::new();
    for function in order.iter().rev() {
        let (Some(entry), Some((given, measured))) = (entries.get(function), gives.get(function))
        else {
            continue;
        };
        places.insert(*function, graph.routines.len() as u32);
        let analysed = &analysis.functions[*function as usize];
        let called = (analysed.block, analysed.entries);
        let (gives, measured) = (*given, *measured);
        graph.routines.push(Routine { entry: *entry, called, gives, measured });
        graph.nodes[*entry as usize].enters = true;
    }
    for node in &mut graph.nodes {
        if let Some(place) = places.get(&node.routine) {
            node.routine = *place;
        }
        if let Some(call) = &mut node.call {
            call.gives = gives.get(&call.routine).map_or(0, |(given, _)| *given);
            match places.get(&call.routine) {
                Some(place) => call.routine = *place,
                None => {
                    unfit.insert(call.routine);
                }
            }
        }
    }
    unfit
}

/// Routines in an order in which none comes before one that it calls.
fn callees_first(analysis: &Analysis, fit: &[bool]) -> Vec<u32> {
    let mut callees: Vec<Vec<u32>> = alloc::vec![Vec::new(); fit.len()];
    for state in &analysis.states {
        if let (Some(caller), Some(call)) = (state.within, &state.call) {
            callees[caller as usize].push(call.function);
        }
    }
    let mut order = Vec::new();
    let mut seen = alloc::vec![false; fit.len()];
    for root in 0..fit.len() as u32 {
        let mut open: Vec<(u32, usize)> = Vec::new();
        if fit[root as usize] && !core::mem::replace(&mut seen[root as usize], true) {
            open.push((root, 0));
        }
        while let Some((function, next)) = open.last_mut() {
            match callees[*function as usize].get(*next) {
                Some(callee) => {
                    *next += 1;
                    if fit[*callee as usize]
                        && !core::mem::replace(&mut seen[*callee as usize], true)
                    {
                        open.push((*callee, 0));
                    }
                }
                None => {
                    order.push(*function);
                    open.pop();
                }
            }
        }
    }
    order
}

/// Of states from which no dynamic jump is reached, how many entries they and what comes behind them read.
pub fn reads(blocks: &Blocks<'_>, analysis: &Analysis) -> Vec<u16> {
    let states = &analysis.states;
    let next_of = |state: &State| {
        let to: &[(u32, u32)] = match &state.jump {
            Some(Goes::To(to)) => to,
            _ => &[],
        };
        let jumps = to.iter().map(|(_, next)| *next).filter(|next| *next != NOWHERE);
        jumps.chain(state.falls).collect::<Vec<u32>>()
    };
    let closed = || (0..states.len() as u32).filter(|index| states[*index as usize].closed);
    let mut before: Vec<Vec<u32>> = alloc::vec![Vec::new(); states.len()];
    for index in closed() {
        for next in next_of(&states[index as usize]) {
            before[next as usize].push(index);
        }
    }
    let mut reads = alloc::vec![0_i64; states.len()];
    let mut open: Vec<u32> = closed().collect();
    while let Some(index) = open.pop() {
        let state = &states[index as usize];
        let block = &blocks.blocks[state.block as usize];
        let mut most = i64::from(block.need);
        for next in next_of(state) {
            most = most.max(reads[next as usize] - i64::from(block.net));
        }
        // Beyond that it makes no difference.
        most = most.min(READ_MAX);
        if most > reads[index as usize] {
            reads[index as usize] = most;
            open.extend(&before[index as usize]);
        }
    }
    reads.into_iter().map(|reads| reads as u16).collect()
}

/// Entries that are read, for what is more than a routine has.
const READ_MAX: i64 = 64;

/// How many entries a routine gives; none if its nodes are not what a routine's have to be. `heights` are relative to
/// its entry.
fn results(
    blocks: &Blocks<'_>,
    graph: &Graph,
    entry: u32,
    takes: i32,
    heights: &mut [Option<i32>],
) -> Option<u16> {
    let routine = graph.nodes[entry as usize].routine;
    let mut given: Option<i32> = None;
    let mut open = alloc::vec![entry];
    heights[entry as usize] = Some(0);
    while let Some(index) = open.pop() {
        let node = &graph.nodes[index as usize];
        let block = &blocks.blocks[node.block as usize];
        let height = heights[index as usize]?;
        if let Some(reads) = node.closed {
            // What comes behind does not matter to the caller.
            if node.routine != routine || height + takes < i32::from(reads) {
                return None;
            }
            continue;
        }
        let reaches = height + takes - i32::from(block.need);
        if node.routine != routine || reaches < 0 || height + takes > WINDOW_MAX {
            return None;
        }
        let leaves = height + node.net(block);
        if node
            .call
            .is_some_and(|call| height + i32::from(block.net) + takes < i32::from(call.takes))
        {
            return None;
        }
        match node.jump {
            Some(Jump::Among(_) | Jump::Anywhere) => return None,
            Some(Jump::Return) => {
                let gives = leaves + takes;
                if !(0..=GIVEN_MAX).contains(&gives) || given.is_some_and(|other| other != gives) {
                    return None;
                }
                given = Some(gives);
            }
            _ => {}
        }
        for edge in node.edges() {
            // What comes back to its entry would need that to be a loop as well.
            if edge.node == entry {
                return None;
            }
            match heights[edge.node as usize] {
                None => {
                    heights[edge.node as usize] = Some(leaves);
                    open.push(edge.node);
                }
                Some(there) if there != leaves => {
                    // The lowest one decides whether it is enough.
                    graph.nodes[edge.node as usize].closed?;
                    if leaves < there {
                        heights[edge.node as usize] = Some(leaves);
                        open.push(edge.node);
                    }
                }
                _ => {}
            }
        }
    }
    given.map(|given| given as u16)
}
