//! Phis of loops: what is assumed of their ranges, whether it is so, and how far counters get.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Builder;
use crate::flow::NONE;
use crate::ir::{Def, Phi, V};
use crate::opcode::Op;
use crate::range::Range;
use crate::word::Word;

/// What all turns of loops together can charge: gas is below 2^63 at the entry of a frame, and may be overdrawn in
/// a turn.
const GAS_MAX: u128 = (1 << 63) + (1 << 32);
/// Bits of the start of a counter, at most, and how far it may count: its end then fits 64.
const COUNTER_BITS: u32 = 62;
const COUNTED_MAX: u64 = 3 << 62;
/// Nodes up to the head of a loop whose gas is added up.
const TURN_NODES_MAX: u32 = 256;

/// What is assumed before it is known.
#[derive(Debug, Default)]
pub(super) struct Assumed {
    /// Ranges assumed for entries of the stack at the head of a loop, by node and entry.
    pub(super) phis: BTreeMap<(u32, i32), Assumption>,
    /// Ranges assumed for what each routine gives.
    pub(super) given: Vec<Vec<Range>>,
}

/// What is assumed of a loop's phi.
#[derive(Clone, Copy, Debug)]
pub(super) struct Assumption {
    /// What comes forwards, and backwards unless it is counted.
    base: Range,
    /// How far what comes backwards may count up from there.
    counted: u64,
}

impl Assumption {
    fn range(self) -> Range {
        match self.counted {
            0 => self.base,
            by => Range { low: self.base.low, high: self.base.high.add(Word::from(by)) },
        }
    }

    /// Counts no more if the end could be beyond 64 bits.
    fn grow(&mut self, base: Range) {
        self.base = base;
        if self.counted > 0 && base.high.bits() > COUNTER_BITS {
            *self = Self { base: Range::FULL, counted: 0 };
        }
    }
}

impl Builder<'_, '_> {
    /// The range of a phi: of what comes forwards, and of what is assumed to come backwards.
    pub(super) fn phi_range(&mut self, node: u32, slot: i32) -> Range {
        let mut forward: Option<Range> = None;
        let mut backward = false;
        for from in &self.flow.predecessors[node as usize] {
            if !self.flow.before(*from, node) {
                backward = true;
                continue;
            }
            let body = &self.ir.bodies[*from as usize];
            if body.halts {
                continue;
            }
            let range = match usize::try_from(slot - body.floor) {
                Ok(place) => body.exit.get(place).map_or(Range::FULL, |v| self.ir.range(*v)),
                Err(_) => Range::FULL,
            };
            forward = Some(forward.map_or(range, |other| other.union(range)));
        }
        let forward = forward.unwrap_or(Range::FULL);
        if !backward {
            return forward;
        }
        if !self.hopeful {
            return Range::FULL;
        }
        // A flag has a local of its own type: a word that comes later would not fit.
        let first = Assumption { base: wider(forward), counted: 0 };
        let assumption = self.assumed.phis.entry((node, slot)).or_insert(first);
        assumption.grow(assumption.base.union(first.base));
        assumption.range()
    }

    /// Whether what was assumed of the phis of loops is so; if not, more is assumed.
    pub(super) fn check(&mut self) -> bool {
        let mut holds = true;
        for phi in 0..self.ir.phis.len() {
            let Phi { node, slot, ref operands } = self.ir.phis[phi];
            let Some(mut assumption) = self.assumed.phis.get(&(node, slot)).copied() else {
                continue;
            };
            if !self.hopeful {
                break;
            }
            for (from, operand) in operands {
                if self.flow.before(*from, node) {
                    continue;
                }
                let range = self.ir.range(*operand);
                let itself = *self.ir.def(self.ir.root(*operand)) == Def::Phi(phi as u32);
                let base = assumption.base;
                if itself || base.contains(range) {
                    continue;
                }
                let counts = self.counts_up(*operand, phi as u32, *from);
                if counts.is_some_and(|by| by <= assumption.counted) {
                    continue;
                }
                holds = false;
                if let Some(by) = counts.filter(|_| base.high.bits() <= COUNTER_BITS) {
                    // Another latch may count in other steps: what is more holds for both.
                    assumption.counted = by;
                    continue;
                }
                let bits = base.union(range).high.bits();
                let steps = [32, 64, 160].into_iter();
                let step = steps.filter(|step| base.high.bits() < *step).find(|step| bits <= *step);
                match step.filter(|_| self.stepping) {
                    Some(step) => assumption.grow(Range::bits(step)),
                    None => assumption = Assumption { base: Range::FULL, counted: 0 },
                }
            }
            self.assumed.phis.insert((node, slot), assumption);
        }
        holds
    }

    /// How far a value can grow that is a phi of a loop plus a constant: gas pays for the turns.
    pub(super) fn counts_up(&self, value: V, phi: u32, latch: u32) -> Option<u64> {
        let ir = &self.ir;
        let value = ir.root(value);
        let (Some(Op::Add), &[a, b]) = (ir.op(value), ir.arguments_of(value)) else { return None };
        let is_phi = |v: V| *ir.def(ir.root(v)) == Def::Phi(phi);
        let step = match (ir.as_const(a), ir.as_const(b)) {
            (Some(step), None) if is_phi(b) => step.as_u64()?,
            (None, Some(step)) if is_phi(a) => step.as_u64()?,
            _ => return None,
        };
        let turn = self.gas_of_turn(ir.phis[phi as usize].node, latch);
        // One turn more may have begun than is paid for.
        let turns = GAS_MAX.checked_div(u128::from(turn))? + 1;
        let by = u64::try_from(turns.checked_mul(u128::from(step))?).ok()?;
        (by < COUNTED_MAX).then_some(by)
    }

    /// Gas of what runs in every turn of a loop that ends with `latch`: of the nodes on all ways from its head there,
    /// which are those that dominate the latch and that the head dominates.
    pub(super) fn gas_of_turn(&self, head: u32, latch: u32) -> u64 {
        let mut sum = 0;
        let mut node = latch;
        for _ in 0..TURN_NODES_MAX {
            let block = self.graph.nodes[node as usize].block;
            sum += u64::from(self.blocks.blocks[block as usize].gas);
            if node == head {
                return sum;
            }
            node = self.flow.dominators.immediate[node as usize];
            if node == NONE {
                break;
            }
        }
        // The head dominates every latch of its loop, however far it is.
        let block = self.graph.nodes[head as usize].block;
        sum + u64::from(self.blocks.blocks[block as usize].gas)
    }
}

/// A range that is not that of a flag.
pub(super) fn wider(range: Range) -> Range {
    Range { low: range.low, high: range.high.max(Word::from(2)) }
}
