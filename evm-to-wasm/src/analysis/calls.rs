//! Calls among the states: who calls a function, what it has below the return address, and what comes back.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::known::{self, Known, Shape, Tail};
use super::{Called, Goes, Interpreted, Interpreter, NOWHERE, State};

/// A function with so many entries above its return address.
#[derive(Debug, Default)]
pub struct Callee {
    /// Who calls it.
    pub sites: Vec<Site>,
    /// Sites by state, return address and height.
    pub keys: BTreeMap<(u32, u32, i32), u32>,
    /// Sites that are new or changed, in the order of that.
    pub news: Vec<u32>,
    /// States that give something back to the sites.
    pub givers: Vec<u32>,
    /// States that have looked at the return addresses.
    pub users: Vec<u32>,
    /// Whether some state of it reaches below its return address, or it gives now more and now less.
    reaches_below: bool,
    /// Entries that it gives.
    gives: Option<u32>,
}

/// A call: a state that jumps with a return address on the stack.
#[derive(Debug)]
pub struct Site {
    /// The state.
    pub from: u32,
    /// The return address.
    pub returns: u32,
    /// The stack below it.
    pub below: Shape,
    /// Height of that, relative to the entry of the state.
    pub height: i32,
    /// States that the call comes back to; one more than [`LANDED_MAX`] stand for any.
    landed: Vec<u32>,
}

/// States that one call comes back to, for which it is worth a look whether they are one node.
const LANDED_MAX: usize = 4;

impl Interpreter<'_, '_> {
    /// Has the state in hand interpreted again when a callee gets another site.
    pub fn look_at(&mut self, callee: u32) {
        let users = &mut self.callees[callee as usize].users;
        if let Err(place) = users.binary_search(&self.index) {
            users.insert(place, self.index);
        }
    }

    /// Interprets the block in hand, which reaches below a return address, once for each caller.
    pub fn split(&mut self, block: u32, callee: u32, stack: &[Known]) {
        self.callees[callee as usize].reaches_below = true;
        self.states[self.index as usize].stands_in = true;
        let mut back = core::mem::take(&mut self.other);
        for site in self.news(callee) {
            let (tail, from, height) = self.restored(callee, site, stack, &mut back);
            let to = self.enter(block, &back, tail);
            self.link(to, from, height);
        }
        self.other = back;
    }

    /// Notes that a callee returns with so many entries.
    pub fn gives(&mut self, callee: u32, entries: u32) {
        let callee = &mut self.callees[callee as usize];
        let before = callee.gives.replace(entries);
        callee.reaches_below |= before.is_some_and(|before| before != entries);
    }

    /// Notes where a call comes back to.
    pub fn landed(&mut self, callee: u32, site: u32, state: u32) {
        let landed = &mut self.callees[callee as usize].sites[site as usize].landed;
        if landed.len() <= LANDED_MAX && !landed.contains(&state) {
            landed.push(state);
        }
    }

    /// Notes with the states which calls they are, and gives the functions.
    pub fn called(&mut self) -> Vec<Interpreted> {
        for state in &mut self.states {
            state.closed = self.functions.closed[state.block as usize];
            state.entries = state.shape.entries.len() as u32;
        }
        let mut functions: Vec<Interpreted> = self
            .callees
            .iter()
            .map(|callee| Interpreted {
                block: NOWHERE,
                entries: 0,
                simple: callee.users.is_empty() && !callee.reaches_below,
            })
            .collect();
        for ((block, entries), function) in &self.callee_keys {
            let function = &mut functions[*function as usize];
            (function.block, function.entries) = (*block, *entries);
        }
        for index in 0..self.states.len() {
            let State { calls, jump, .. } = &self.states[index];
            let entry = match jump {
                Some(Goes::To(to)) => match to.as_slice() {
                    &[(pc, entry)] if entry != NOWHERE => Some((pc, entry)),
                    _ => None,
                },
                _ => None,
            };
            let (&[(function, site)], Some((pc, entry))) = (calls.as_slice(), entry) else {
                for (function, _) in calls {
                    functions[*function as usize].simple = false;
                }
                continue;
            };
            let Site { returns, ref landed, .. } =
                self.callees[function as usize].sites[site as usize];
            if self.states[entry as usize].within != Some(function)
                || !(1..=LANDED_MAX).contains(&landed.len())
            {
                functions[function as usize].simple = false;
                continue;
            }
            let call = Called { function, pc, returns, landed: landed.clone() };
            self.states[index].call = Some(call);
        }
        functions
    }

    /// Sites that the state in hand has something to give to.
    pub fn news(&mut self, callee: u32) -> Vec<u32> {
        let Callee { sites, news, givers, .. } = &mut self.callees[callee as usize];
        let state = &mut self.states[self.index as usize];
        let seen = core::mem::replace(&mut state.seen, news.len() as u32);
        if let Err(place) = givers.binary_search(&self.index) {
            givers.insert(place, self.index);
        }
        if self.whole {
            return (0..sites.len() as u32).collect();
        }
        let mut news = news[seen as usize..].to_vec();
        news.sort_unstable();
        news.dedup();
        news
    }

    /// The stack of a caller with what is above it now, the caller's state, and the height relative to it.
    pub fn restored(
        &mut self,
        callee: u32,
        site: u32,
        stack: &[Known],
        back: &mut Vec<Known>,
    ) -> (Tail, u32, i32) {
        let callee = &self.callees[callee as usize];
        let Site { from, returns, below, height, .. } = &callee.sites[site as usize];
        back.clear();
        back.extend_from_slice(&below.entries);
        back.extend(stack.iter().map(|entry| match entry {
            Known::Return => Known::Pushed(*returns),
            other => *other,
        }));
        self.steps += 1 + back.len() as u64 / 4;
        (below.tail, *from, height + stack.len() as i32)
    }

    /// Enters `pc` by a JUMP: a function is called with the topmost return address there is.
    pub fn call(&mut self, pc: u32, stack: &[Known], tail: Tail, net: i32) -> u32 {
        let Some(target) = self.blocks.target(u64::from(pc)) else { return NOWHERE };
        if !self.functions.shared[target.block as usize] {
            return self.enter(target.block, stack, tail);
        }
        let found = stack.iter().enumerate().rev().find_map(|(place, entry)| match entry {
            Known::Pushed(pc) => Some((place, *pc)),
            _ => None,
        });
        let Some((place, returns)) = found else { return self.enter(target.block, stack, tail) };
        let plain = self.functions.plain[self.states[self.index as usize].block as usize];
        let mut entries = core::mem::take(&mut self.other);
        entries.clear();
        let in_copy = known::in_copy(stack);
        let state = if in_copy || (self.functions.copied[target.block as usize] && !plain) {
            // What a copy calls is part of it.
            let outer = stack.iter().find_map(|entry| match entry {
                Known::Copied(returns) => self.copied_for.get(returns).copied(),
                _ => None,
            });
            entries.extend_from_slice(stack);
            entries[place] = Known::Copied(returns);
            self.copied_for.insert(returns, outer.unwrap_or(target.block));
            self.enter(target.block, &entries, tail)
        } else {
            entries.push(Known::Return);
            for entry in &stack[place + 1..] {
                // Above it another return address would lose its tail.
                entries.push(self.without_return(*entry, tail));
            }
            let below = Shape { entries: stack[..place].to_vec(), tail };
            let height = net - entries.len() as i32;
            let key = (target.block, entries.len() as u32);
            let callees = &mut self.callees;
            let callee = *self.callee_keys.entry(key).or_insert_with(|| {
                callees.push(Callee::default());
                callees.len() as u32 - 1
            });
            let landed = Vec::new();
            self.add_site(callee, Site { from: self.index, returns, below, height, landed });
            self.enter(target.block, &entries, Tail::Of(callee))
        };
        self.other = entries;
        state
    }

    /// Adds a site to a callee, or joins it into the same one.
    pub fn add_site(&mut self, callee: u32, site: Site) {
        let Callee { sites, keys, .. } = &mut self.callees[callee as usize];
        let key = (site.from, site.returns, site.height);
        let mut changed = true;
        let count = sites.len() as u32;
        let place = *keys.entry(key).or_insert(count);
        self.states[self.index as usize].calls.push((callee, place));
        match sites.get_mut(place as usize) {
            None => sites.push(site),
            Some(same) => {
                let mut below = core::mem::replace(&mut same.below, Shape::ANY);
                let (tail, entries) = (below.tail, below.entries.len());
                if (tail, entries) == (site.below.tail, site.below.entries.len()) {
                    changed = self.join_entries(&mut below.entries, &site.below.entries);
                } else {
                    // The state is that for all the rest.
                    changed = below != Shape::ANY;
                    below = Shape::ANY;
                }
                self.callees[callee as usize].sites[place as usize].below = below;
            }
        }
        if !changed {
            return;
        }
        self.callees[callee as usize].news.push(place);
        let Callee { givers, users, .. } = &mut self.callees[callee as usize];
        let (givers, users) = (core::mem::take(givers), core::mem::take(users));
        for giver in &givers {
            self.enqueue(*giver);
        }
        for user in &users {
            self.changed(*user);
        }
        let callee = &mut self.callees[callee as usize];
        (callee.givers, callee.users) = (givers, users);
    }
}
