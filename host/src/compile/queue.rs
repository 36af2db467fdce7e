//! Modules that wait to be compiled: most called first, accounts in turns, so that nobody's modules keep those of others
//! waiting. A plain data structure: it starts nothing and waits for nothing.

use near_account_id::AccountId;
use std::collections::HashMap;
use std::hash::Hash;

/// Modules that wait at most. A module that finds no place comes again with its next call.
const WAITING_MAX: usize = 4_096;

struct Waiting {
    /// Calls so far.
    calls: u64,
    /// Who called first; `None` is an embedder without accounts.
    account: Option<AccountId>,
    /// Position of its arrival.
    arrived: u64,
}

/// A bounded queue of modules with names of type `K`.
pub(crate) struct CompileQueue<K> {
    waiting: HashMap<K, Waiting>,
    /// How many turns each account that waits has had.
    turns: HashMap<Option<AccountId>, u64>,
    arrivals: u64,
    room: usize,
}

impl<K: Clone + Eq + Hash> Default for CompileQueue<K> {
    fn default() -> Self {
        Self::with_room(WAITING_MAX)
    }
}

impl<K: Clone + Eq + Hash> CompileQueue<K> {
    fn with_room(room: usize) -> Self {
        Self { waiting: HashMap::new(), turns: HashMap::new(), arrivals: 0, room }
    }

    /// Counts a call of a module, which joins the queue if it is not there. A full queue drops the module that was called
    /// least, which may be this one.
    pub(crate) fn note_call(&mut self, module: &K, account: Option<&AccountId>, calls: u64) {
        if let Some(waiting) = self.waiting.get_mut(module) {
            waiting.calls = waiting.calls.max(calls);
            return;
        }
        if self.waiting.len() >= self.room {
            let least = self
                .waiting
                .iter()
                .min_by_key(|(_, waiting)| (waiting.calls, std::cmp::Reverse(waiting.arrived)))
                .map(|(module, waiting)| (module.clone(), waiting.calls));
            match least {
                Some((least, fewest)) if fewest < calls => self.remove(&least),
                _ => return,
            }
        }
        let account = account.cloned();
        if !self.turns.contains_key(&account) {
            // A newcomer has had as many turns as the one that is next: neither more nor less right than it.
            let next = self.turns.values().min().copied().unwrap_or(0);
            self.turns.insert(account.clone(), next);
        }
        self.arrivals += 1;
        self.waiting.insert(module.clone(), Waiting { calls, account, arrived: self.arrivals });
    }

    /// Takes the module to compile next: of the account that had the fewest turns, the one called most.
    pub(crate) fn take(&mut self) -> Option<(K, Option<AccountId>)> {
        let turns = |waiting: &Waiting| self.turns.get(&waiting.account).copied().unwrap_or(0);
        let next = self.waiting.iter().min_by_key(|(_, waiting)| {
            (turns(waiting), std::cmp::Reverse(waiting.calls), waiting.arrived)
        });
        let module = next.map(|(module, _)| module.clone())?;
        let account = self.waiting.get(&module).and_then(|waiting| waiting.account.clone());
        *self.turns.entry(account.clone()).or_insert(0) += 1;
        self.remove(&module);
        Some((module, account))
    }

    /// Takes a module out.
    pub(crate) fn remove(&mut self, module: &K) {
        let Some(gone) = self.waiting.remove(module) else { return };
        if self.waiting.is_empty() {
            self.turns.clear();
        } else if self.turns.len() > self.room {
            // Accounts that wait for nothing are forgotten when they are many.
            let waiting: std::collections::HashSet<_> =
                self.waiting.values().map(|waiting| waiting.account.clone()).collect();
            self.turns.retain(|account, _| waiting.contains(account) || *account == gone.account);
        }
    }

    /// Whether a module waits.
    pub(crate) fn contains(&self, module: &K) -> bool {
        self.waiting.contains_key(module)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> AccountId {
        name.parse().unwrap()
    }

    fn drain(queue: &mut CompileQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.take().map(|(module, _)| module)).collect()
    }

    #[test]
    fn the_module_called_most_is_first_and_none_is_there_twice() {
        let mut queue = CompileQueue::default();
        let alice = account("alice.near");
        for (module, calls) in [("a", 1), ("b", 1), ("b", 2), ("c", 1), ("b", 3), ("c", 2)] {
            queue.note_call(&module, Some(&alice), calls);
        }
        assert_eq!(queue.len(), 3);
        assert_eq!(drain(&mut queue), ["b", "c", "a"]);
    }

    #[test]
    fn accounts_take_turns_whatever_they_call() {
        let mut queue = CompileQueue::default();
        let (many, one) = (account("many.near"), account("one.near"));
        for (module, calls) in [("m1", 900), ("m2", 800), ("m3", 700)] {
            queue.note_call(&module, Some(&many), calls);
        }
        assert_eq!(queue.take().unwrap().0, "m1");
        queue.note_call(&"o1", Some(&one), 1);
        queue.note_call(&"o2", Some(&one), 1);
        // The newcomer does not overtake more than its turns.
        assert_eq!(drain(&mut queue), ["m2", "o1", "m3", "o2"]);
    }

    #[test]
    fn an_account_that_comes_back_has_no_more_turns_than_before() {
        let mut queue = CompileQueue::default();
        let (flood, other) = (account("flood.near"), account("other.near"));
        queue.note_call(&"o1", Some(&other), 1);
        queue.note_call(&"o2", Some(&other), 1);
        queue.note_call(&"f1", Some(&flood), 50);
        assert_eq!(queue.take().unwrap().0, "f1");
        // Its queue was empty for a moment: that does not buy it a turn.
        queue.note_call(&"f2", Some(&flood), 50);
        assert_eq!(queue.take().unwrap().0, "o1");
    }

    #[test]
    fn a_full_queue_drops_what_was_called_least() {
        let mut queue = CompileQueue::with_room(2);
        let alice = account("alice.near");
        queue.note_call(&"a", Some(&alice), 1);
        queue.note_call(&"b", Some(&alice), 5);
        queue.note_call(&"c", Some(&alice), 1);
        assert!(!queue.contains(&"c"), "not called more than any that waits");
        queue.note_call(&"c", Some(&alice), 2);
        assert!(queue.contains(&"c") && !queue.contains(&"a"));
        assert_eq!(drain(&mut queue), ["b", "c"]);
    }
}
