//! A look at the blocks before they are interpreted: which jumps are static by what their own block pushes, which
//! blocks never come to a dynamic jump, which targets are functions, and which of those are worth a copy at
//! each call.
//!
//! Nothing here has to be right for the interpretation to be: it only decides what is kept apart.

use alloc::vec::Vec;

use super::effects::Effects;
use crate::blocks::{Blocks, End};
use crate::graph::Mixed;
use crate::opcode::Op;

/// Instructions of a function with a copy at each call, with those of the functions that it calls.
const COPIED_MAX: u32 = 72;
/// Copies may have so many instructions in all, beside a copy of the whole contract.
const COPIES_MIN: u32 = 600;

/// What the look found.
#[derive(Debug)]
pub struct Functions {
    /// Whether no dynamic jump can be reached from the block: where it goes does not depend on the stack.
    pub closed: Vec<bool>,
    /// Whether several jumps lead to the block, and it comes to a dynamic one: a function perhaps.
    pub shared: Vec<bool>,
    /// Whether each call of the function gets a copy of it.
    pub copied: Vec<bool>,
    /// Whether the block calls no copies: where it returns to is not known in it.
    pub plain: Vec<bool>,
}

/// What a block does to the stack that matters for jumps.
#[derive(Debug, Default)]
struct Local {
    /// Where its jump leads, if the block itself pushes that.
    target: Option<u32>,
    /// Whether its jump goes where the block does not say.
    dynamic: bool,
    /// Blocks whose places it pushes and leaves on the stack: return addresses perhaps.
    left: Vec<u32>,
}

impl Functions {
    /// Looks at all blocks.
    pub fn find(blocks: &Blocks<'_>, effects: &Effects) -> Self {
        let locals: Vec<Local> =
            (0..blocks.blocks.len()).map(|index| local(blocks, effects, index)).collect();
        let closed = closed(blocks, &locals);
        let count = blocks.blocks.len();
        let mut jumps = alloc::vec![0_u32; count];
        for (block, local) in blocks.blocks.iter().zip(&locals) {
            if let (End::Jump, Some(target)) = (block.end, local.target) {
                jumps[target as usize] += 1;
            }
        }
        let shared: Vec<bool> =
            (0..count).map(|block| jumps[block] > 1 && !closed[block]).collect();
        let copied = copied(blocks, &locals, &closed, &shared, &jumps);
        Self { closed, shared, copied, plain: alloc::vec![false; count] }
    }

    /// Whether there is any function to copy.
    pub fn any_copied(&self) -> bool {
        self.copied.contains(&true)
    }

    /// Copies fewer; whether that changes anything.
    pub fn copy_less(&mut self, mixed: &Mixed) -> bool {
        let mut less = false;
        for function in &mixed.functions {
            less |= core::mem::replace(&mut self.copied[*function as usize], false);
        }
        for caller in &mixed.callers {
            less |= !core::mem::replace(&mut self.plain[*caller as usize], true);
        }
        less
    }

    /// Copies none.
    pub fn copy_none(&mut self) {
        self.copied.fill(false);
    }
}

fn local(blocks: &Blocks<'_>, effects: &Effects, index: usize) -> Local {
    let block = &blocks.blocks[index];
    let place = |word: Option<u32>| blocks.target(u64::from(word?)).map(|target| target.block);
    let mut stack = effects.pushed(index as u32).map(place);
    let mut found = Local::default();
    if matches!(block.end, End::Jump | End::Jumpi) {
        // A constant that is no JUMPDEST halts: it is not taken for a dynamic jump.
        let code = blocks.of(block);
        let pushed = code.len().checked_sub(2).map(|place| code[place].row.op) == Some(Op::Push);
        found.target = stack.next().flatten();
        found.dynamic = found.target.is_none() && !pushed;
        if block.end == End::Jumpi {
            stack.next();
        }
    }
    found.left = stack.flatten().collect();
    found.left.reverse();
    found
}

/// Where control may go without looking at the stack.
fn successors<'a>(
    blocks: &'a Blocks<'_>,
    locals: &'a [Local],
    block: u32,
) -> impl Iterator<Item = u32> + 'a {
    let falls = matches!(blocks.blocks[block as usize].end, End::Fall | End::Jumpi);
    let next = if falls { blocks.fall(block).map(|target| target.block) } else { None };
    locals[block as usize].target.into_iter().chain(next)
}

fn closed(blocks: &Blocks<'_>, locals: &[Local]) -> Vec<bool> {
    let count = locals.len();
    let mut predecessors: Vec<Vec<u32>> = alloc::vec![Vec::new(); count];
    let mut closed = alloc::vec![true; count];
    let mut open = Vec::new();
    for block in 0..count as u32 {
        for next in successors(blocks, locals, block) {
            predecessors[next as usize].push(block);
        }
        if locals[block as usize].dynamic {
            closed[block as usize] = false;
            open.push(block);
        }
    }
    while let Some(block) = open.pop() {
        for before in core::mem::take(&mut predecessors[block as usize]) {
            if core::mem::replace(&mut closed[before as usize], false) {
                open.push(before);
            }
        }
    }
    closed
}

/// Chooses the functions to copy, the small ones first, as long as there is room.
fn copied(
    blocks: &Blocks<'_>,
    locals: &[Local],
    closed: &[bool],
    shared: &[bool],
    jumps: &[u32],
) -> Vec<bool> {
    let count = locals.len();
    let mut sizes = Sizes { blocks, locals, closed, shared, of: alloc::vec![Size::Unknown; count] };
    let mut candidates: Vec<(u32, u32)> = Vec::new();
    for block in 0..count as u32 {
        if shared[block as usize]
            && let Some(size) = sizes.of(block, 0)
        {
            candidates.push((size, block));
        }
    }
    candidates.sort_unstable();
    let mut room = COPIES_MIN + blocks.instructions.len() as u32;
    let mut copied = alloc::vec![false; count];
    for (size, block) in candidates {
        let cost = size.saturating_mul(jumps[block as usize] - 1);
        if cost > room {
            continue;
        }
        if sizes.callees(block).iter().all(|callee| copied[*callee as usize]) {
            room -= cost;
            copied[block as usize] = true;
        }
    }
    copied
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Unknown,
    /// Being computed: a recursion.
    Open,
    Known(u32),
    TooLarge,
}

struct Sizes<'a, 'b> {
    blocks: &'a Blocks<'b>,
    locals: &'a [Local],
    closed: &'a [bool],
    shared: &'a [bool],
    of: Vec<Size>,
}

impl Sizes<'_, '_> {
    /// Instructions of a copy of the function at a block, if it is small enough.
    fn of(&mut self, function: u32, depth: u32) -> Option<u32> {
        match self.of[function as usize] {
            Size::Known(size) => return Some(size),
            Size::Open | Size::TooLarge => return None,
            Size::Unknown if depth > 16 => return None,
            Size::Unknown => {}
        }
        self.of[function as usize] = Size::Open;
        let size = self.measure(function, depth);
        self.of[function as usize] = size.map_or(Size::TooLarge, Size::Known);
        size
    }

    fn measure(&mut self, function: u32, depth: u32) -> Option<u32> {
        let (own, callees) = self.body(function)?;
        let mut size = 0;
        for block in own {
            let range = &self.blocks.blocks[block as usize].instructions;
            size += range.end - range.start;
        }
        for callee in callees {
            size += self.of(callee, depth + 1)?;
        }
        (size <= COPIED_MAX).then_some(size)
    }

    fn callees(&self, function: u32) -> Vec<u32> {
        self.body(function).map(|(_, callees)| callees).unwrap_or_default()
    }

    /// Blocks of a function, and the functions that it calls, each as often as it does.
    fn body(&self, function: u32) -> Option<(Vec<u32>, Vec<u32>)> {
        let mut own = alloc::vec![function];
        let mut callees = Vec::new();
        let mut place = 0;
        while let Some(block) = own.get(place).copied() {
            place += 1;
            let local = &self.locals[block as usize];
            let ends = self.blocks.blocks[block as usize].end;
            if own.len() > COPIED_MAX as usize || (local.dynamic && ends == End::Jumpi) {
                return None;
            }
            let calls = ends == End::Jump;
            let next =
                successors(self.blocks, self.locals, block).chain(local.left.iter().copied());
            for next in next {
                if self.closed[next as usize] {
                    continue;
                }
                if calls && local.target == Some(next) && self.shared[next as usize] {
                    callees.push(next);
                } else if !own.contains(&next) {
                    own.push(next);
                }
            }
        }
        Some((own, callees))
    }
}
