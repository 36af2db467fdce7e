//! What has been computed and accessed on every way to a node: equal instructions are one, memory is touched once.

use super::Builder;
use crate::access::AccessSize;
use crate::flow::NONE;
use crate::ir::{Def, V};
use crate::range::Range;
use crate::runtime::layout;
use crate::word::Word;

/// Offsets of memory beyond which a frame halts.
const MEMORY_MAX: Word = Word([layout::MAXIMUM_PAGES * layout::PAGE as u64, 0, 0, 0]);
/// Rooms in which equal instructions and accesses are looked for, from the inside out.
const ROOMS_MAX: usize = 4;

impl Builder<'_, '_> {
    /// Memory that is touched at the entry of a node, whichever way it is entered.
    pub(super) fn enter_memory(&mut self, node: u32) {
        let place = node as usize;
        // The entry of the contract comes before everything; here it does unless something leads back to it.
        let least =
            if node > 0 && self.flow.order.first() == Some(&0) { self.touched[0] } else { 0 };
        let mut touched: Option<u64> = None;
        if !self.graph.nodes[place].dispatched {
            for from in &self.flow.predecessors[place] {
                // What comes backwards has been here.
                if self.flow.before(*from, node) {
                    let there = self.touched[*from as usize];
                    touched = Some(touched.map_or(there, |other| other.min(there)));
                }
            }
        }
        self.touched[place] = touched.unwrap_or(least).max(least);
    }

    /// Notes an access to memory: whether it is to what is touched already, and what it says about its offset.
    pub(super) fn access(&mut self, value: V, offset: V, size: AccessSize) {
        let size = size.bytes();
        let place = self.node as usize;
        if let Some(word) = self.ir.as_const(offset) {
            let Some(end) = word.as_u64().and_then(|at| at.checked_add(size)) else { return };
            if end <= self.touched[place] {
                self.ir.touched.insert(value);
            } else if end < 1 << 31 {
                self.touched[place] = end;
            }
            return;
        }
        let root = self.ir.root(offset);
        let found = self.rooms_around().find_map(|room| {
            let is_it = |place| matches!(self.accesses[place as usize], (there, of, _) if there == room && of == root);
            self.accessed.find(self.hash_of_access(room, root), is_it)
        });
        let known = found.map_or(0, |place| self.accesses[place as usize].2);
        if known >= size {
            self.ir.touched.insert(value);
        } else {
            let room = self.rooms[self.node as usize];
            self.accessed.insert(self.hash_of_access(room, root), self.accesses.len() as u32);
            self.accesses.push((room, root, size));
        }
        self.refine(root, Range::up_to(MEMORY_MAX));
    }

    pub(super) fn hash_of_access(&self, room: u32, root: V) -> u32 {
        self.seed.hash([u64::from(room), u64::from(root.0)])
    }

    /// Notes an access to so many bytes: one of any length says where it is.
    pub(super) fn access_range(&mut self, offset: V, length: V) {
        if !self.ir.range(length).low.is_zero() && self.ir.as_const(offset).is_none() {
            self.refine(self.ir.root(offset), Range::up_to(MEMORY_MAX));
        }
    }

    /// What a room computes and accesses has been computed and accessed in every node of it, and of the rooms in
    /// it: nodes that always follow each other share one, and are in that of their dominator if it is in
    /// their region.
    pub(super) fn enter_room(&mut self, node: u32, before: Option<u32>) {
        let place = node as usize;
        let flow = self.flow;
        let in_region = |other: &u32| flow.head.get(*other as usize) == Some(&flow.head[place]);
        if let Some(before) = before.filter(in_region) {
            self.rooms[place] = self.rooms[before as usize];
            return;
        }
        self.rooms[place] = node;
        let dominator = Some(flow.dominators.immediate[place]).filter(in_region);
        self.outer[place] = dominator.map_or(NONE, |dominator| self.rooms[dominator as usize]);
    }

    /// The room in hand and those around it, as far as somebody looks.
    pub(super) fn rooms_around(&self) -> impl Iterator<Item = u32> {
        let around = |room: &u32| Some(self.outer[*room as usize]).filter(|room| *room != NONE);
        core::iter::successors(Some(self.rooms[self.node as usize]), around).take(ROOMS_MAX)
    }

    pub(super) fn hash_of(&self, room: u32, byte: u8, operands: &[V]) -> u32 {
        let start = u64::from(room) << 8 | u64::from(byte);
        let numbers = operands.iter().map(|operand| u64::from(operand.0));
        self.seed.hash([start].into_iter().chain(numbers))
    }

    /// Whether a value is this instruction, in that room.
    pub(super) fn is_same(&self, value: V, room: u32, byte: u8, operands: &[V]) -> bool {
        self.rooms[self.ir.homes[value.0 as usize] as usize] == room
            && matches!(self.ir.def(value), Def::Inst { byte: other, .. } if *other == byte)
            && self.ir.arguments_of(value) == operands
    }
}
