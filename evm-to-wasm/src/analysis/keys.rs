//! What tells the states of a block from each other, and the state for each.

use alloc::vec::Vec;

use super::known::{Known, Tail};
use crate::table::{Seed, Table};

/// What tells a stack from others of the same block; possible return addresses are apart, in `marks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    block: u32,
    entries: u32,
    tail: Tail,
}

/// States by their keys.
#[derive(Debug)]
pub struct Keys {
    seed: Seed,
    table: Table,
    /// Key, where its marks are, state.
    list: Vec<(Key, (u32, u32), u32)>,
    /// Possible return addresses: their places, from the top down, and what they are.
    marks: Vec<(u32, u64)>,
    // The key in hand.
    key: Key,
    mine: Vec<(u32, u64)>,
    hash: u32,
}

impl Keys {
    /// No states.
    pub fn new(seed: Seed) -> Self {
        Self {
            seed,
            table: Table::default(),
            list: Vec::new(),
            marks: Vec::new(),
            key: Key { block: 0, entries: 0, tail: Tail::Unknown },
            mine: Vec::new(),
            hash: 0,
        }
    }

    /// Looks for the state of a block with a stack; constants make a difference only if `exact`.
    pub fn find(&mut self, block: u32, entries: &[Known], tail: Tail, exact: bool) -> Option<u32> {
        self.mine.clear();
        for (place, entry) in entries.iter().rev().enumerate() {
            let mark = match entry {
                Known::Unknown | Known::Number(_) | Known::Set(_) => continue,
                Known::Return => 0,
                Known::Copied(pc) => 1 + (u64::from(*pc) << 2),
                Known::Pushed(pc) if exact => 2 + (u64::from(*pc) << 2),
                Known::Pushed(_) => continue,
            };
            self.mine.push((place as u32, mark));
        }
        self.key = Key { block, entries: entries.len() as u32, tail };
        let tail = match tail {
            Tail::Bottom => 0,
            Tail::Of(callee) => 2 + u64::from(callee),
            Tail::Unknown => 1,
        };
        let marks = self.mine.iter().map(|(place, mark)| u64::from(*place) << 40 ^ mark);
        let shape = u64::from(block) << 32 | entries.len() as u64;
        self.hash = self.seed.hash([shape, tail].into_iter().chain(marks));
        let Self { table, list, marks, key, mine, .. } = self;
        let place = table.find(self.hash, |place| {
            let (other, (start, end), _) = &list[place as usize];
            *other == *key && marks[*start as usize..*end as usize] == **mine
        });
        place.map(|place| list[place as usize].2)
    }

    /// Adds the state for the stack that was looked for and not found.
    pub fn add(&mut self, state: u32) {
        let start = self.marks.len() as u32;
        self.marks.extend_from_slice(&self.mine);
        self.table.insert(self.hash, self.list.len() as u32);
        self.list.push((self.key, (start, self.marks.len() as u32), state));
    }
}
