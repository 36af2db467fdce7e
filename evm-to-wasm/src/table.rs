//! A hash table from what its owner keeps elsewhere to where that is.
//!
//! Open addressing, without removal. Hashes begin with a seed from the hash of the bytecode ([`Seed`]): who chooses
//! code to have hashes collide chooses other hashes with it.

use alloc::vec::Vec;

/// What hashes of a compilation begin with.
#[derive(Clone, Copy, Debug)]
pub struct Seed(u64);

impl Seed {
    /// From one limb of the code's hash.
    pub fn new(limb: u64) -> Self {
        Self(limb)
    }

    /// The hash of some numbers.
    pub fn hash(self, numbers: impl IntoIterator<Item = u64>) -> u32 {
        let mut hash = self.0;
        for number in numbers {
            hash = (hash ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^= hash >> 32;
        }
        hash as u32
    }
}

/// Places by hash.
#[derive(Debug, Default)]
pub struct Table {
    /// Hash and place, plus 1, of each; 0 where nothing is. A power of two of them, at least half free.
    slots: Vec<u64>,
    count: usize,
}

impl Table {
    /// The place with this hash of which `is_it` holds.
    pub fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut slot = hash as usize;
        loop {
            let found = *self.slots.get(slot & mask)?;
            if found == 0 {
                return None;
            }
            let place = found as u32 - 1;
            if (found >> 32) as u32 == hash && is_it(place) {
                return Some(place);
            }
            slot += 1;
        }
    }

    /// Adds a place that is not there.
    pub fn insert(&mut self, hash: u32, place: u32) {
        if 2 * self.count >= self.slots.len() {
            let larger = alloc::vec![0; (2 * self.slots.len()).max(64)];
            for entry in core::mem::replace(&mut self.slots, larger) {
                if entry != 0 {
                    self.put(entry);
                }
            }
        }
        self.count += 1;
        self.put(u64::from(hash) << 32 | u64::from(place + 1));
    }

    fn put(&mut self, entry: u64) {
        let mask = self.slots.len() - 1;
        let mut slot = (entry >> 32) as usize & mask;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = entry;
    }
}

#[cfg(test)]
mod tests {
    use super::{Seed, Table};

    #[test]
    fn what_was_put_in_is_found_and_nothing_else() {
        let seed = Seed::new(7);
        let mut table = Table::default();
        for place in 0..1_000 {
            // Few hashes: most collide.
            table.insert(seed.hash([u64::from(place % 90)]), place);
        }
        for place in 0..1_000_u32 {
            let hash = seed.hash([u64::from(place % 90)]);
            assert_eq!(table.find(hash, |found| found == place), Some(place));
        }
        assert_eq!(table.find(seed.hash([91]), |_| true), None);
        assert_eq!(Table::default().find(3, |_| true), None);
    }
}
