//! Heights of the stack: intervals over the states, along the ways that the interpretation found.

use alloc::vec::Vec;

use super::{STACK_LIMIT, State};
use crate::blocks::Blocks;

/// Times that an interval grows before it is taken for one without end.
const GROWTHS_MAX: u8 = 12;

/// A way into a state.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The state.
    pub to: u32,
    /// The state whose height at its entry decides: the one before, or the caller if it is a return.
    pub from: u32,
    /// How much higher the stack is than there.
    pub delta: i32,
}

/// Fills in the heights of all states; if `any_jump`, those whose block starts with a JUMPDEST may have any.
pub fn find(blocks: &Blocks<'_>, states: &mut [State], any_jump: bool) {
    // The ways from each state, one behind the other: those of a state end where those of the next begin.
    let mut ends = alloc::vec![0_u32; states.len() + 1];
    for link in states.iter().flat_map(|state| &state.links) {
        ends[link.from as usize] += 1;
    }
    let mut count = 0;
    for end in &mut ends {
        count += core::mem::replace(end, count);
    }
    let mut ways = alloc::vec![(0_u32, 0_i32); count as usize];
    for link in states.iter().flat_map(|state| &state.links) {
        let end = &mut ends[link.from as usize];
        ways[*end as usize] = (link.to, link.delta);
        *end += 1;
    }
    let mut growths = alloc::vec![0_u8; states.len()];
    let mut open: Vec<u32> = Vec::new();
    for (index, state) in states.iter_mut().enumerate() {
        if any_jump && blocks.blocks[state.block as usize].jumpdest {
            state.heights = (0, STACK_LIMIT);
            open.push(index as u32);
        } else if index == 0 {
            state.heights = (0, 0);
            open.push(0);
        }
    }
    while let Some(index) = open.pop() {
        let State { block, heights: (low, high), .. } = states[index as usize];
        let block = &blocks.blocks[block as usize];
        let (low, high) =
            (low.max(block.need), high.min(STACK_LIMIT - block.growth.min(STACK_LIMIT)));
        if low > high {
            // It always under- or overflows.
            continue;
        }
        let start = index.checked_sub(1).map_or(0, |before| ends[before as usize]);
        for &(to, delta) in &ways[start as usize..ends[index as usize] as usize] {
            let moved =
                |height: u16| (i32::from(height) + delta).clamp(0, i32::from(STACK_LIMIT)) as u16;
            let (low, high) = (moved(low), moved(high));
            let state = &mut states[to as usize];
            let before = state.heights;
            let mut after = (before.0.min(low), before.1.max(high));
            if after == before {
                continue;
            }
            growths[to as usize] = growths[to as usize].saturating_add(1);
            if growths[to as usize] > GROWTHS_MAX {
                if after.0 < before.0 {
                    after.0 = 0;
                }
                if after.1 > before.1 {
                    after.1 = STACK_LIMIT;
                }
            }
            state.heights = after;
            open.push(to);
        }
    }
    // States that always come after a halt are not reached; they keep an interval that is one.
    for state in states {
        if state.heights.0 > state.heights.1 {
            state.heights = (STACK_LIMIT, STACK_LIMIT);
        }
    }
}
