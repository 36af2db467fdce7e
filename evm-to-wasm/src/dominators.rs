//! Dominators of a graph, in time near-linear in its edges, whatever its shape.
//!
//! Lengauer and Tarjan, "A Fast Algorithm for Finding Dominators in a Flowgraph", with path compression. Simpler
//! ways to the same answer walk the tree of dominators for every edge, and hostile code makes it a list. The
//! root is the dispatcher: it is no node, leads to every dispatched one, and has number 0 here.

use alloc::vec::Vec;

use crate::flow::NONE;
use crate::graph::Graph;

/// The tree of dominators.
#[derive(Debug, Default)]
pub struct Dominators {
    /// Immediate dominator of each node; `NONE` is the dispatcher.
    pub immediate: Vec<u32>,
    /// Places of a node and of all that it dominates, in a walk over the tree: from, to.
    spans: Vec<(u32, u32)>,
}

impl Dominators {
    /// The dominators of all nodes that the dispatcher leads to. `predecessors` are by edges of the graph.
    pub fn new(graph: &Graph, predecessors: &[Vec<u32>]) -> Self {
        let forest = Forest::new(graph);
        let dominators = forest.dominators(graph, predecessors);
        let (nodes, count) = (&forest.nodes, forest.nodes.len());
        let mut sizes = alloc::vec![1_u32; count];
        for number in (1..count).rev() {
            sizes[dominators[number] as usize] += sizes[number];
        }
        // Where the next one that a number dominates goes.
        let mut next = alloc::vec![1_u32; count];
        let mut spans = alloc::vec![(NONE, NONE); graph.nodes.len()];
        let mut immediate = alloc::vec![NONE; graph.nodes.len()];
        for number in 1..count {
            let above = dominators[number] as usize;
            let from = next[above];
            next[above] += sizes[number];
            next[number] = from + 1;
            let node = nodes[number] as usize;
            spans[node] = (from, from + sizes[number]);
            immediate[node] = nodes[above];
        }
        Self { immediate, spans }
    }

    /// Whether `a` dominates `b`; both are nodes that the dispatcher leads to.
    pub fn dominates(&self, a: u32, b: u32) -> bool {
        let (from, to) = self.spans[a as usize];
        (from..to).contains(&self.spans[b as usize].0)
    }
}

/// A depth-first walk from the dispatcher.
struct Forest {
    /// Nodes by number; the dispatcher is `NONE`.
    nodes: Vec<u32>,
    /// The number before, on the way to each.
    parents: Vec<u32>,
    /// Numbers by node, 0 for one that is not reached.
    numbers: Vec<u32>,
}

impl Forest {
    fn new(graph: &Graph) -> Self {
        let mut forest = Self {
            nodes: alloc::vec![NONE],
            parents: alloc::vec![0],
            numbers: alloc::vec![0; graph.nodes.len()],
        };
        let mut open: Vec<(u32, u32)> = Vec::new();
        for (root, shape) in graph.nodes.iter().enumerate() {
            if shape.is_root() {
                open.push((root as u32, 0));
            }
            while let Some((node, parent)) = open.pop() {
                if forest.numbers[node as usize] != 0 {
                    continue;
                }
                let number = forest.nodes.len() as u32;
                forest.numbers[node as usize] = number;
                forest.nodes.push(node);
                forest.parents.push(parent);
                open.extend(graph.nodes[node as usize].edges().map(|edge| (edge.node, number)));
            }
        }
        forest
    }

    /// Immediate dominators, all in numbers.
    fn dominators(&self, graph: &Graph, predecessors: &[Vec<u32>]) -> Vec<u32> {
        let count = self.nodes.len();
        let mut links = Links {
            ancestors: alloc::vec![NONE; count],
            best: (0..count as u32).collect(),
            semi: (0..count as u32).collect(),
            path: Vec::new(),
        };
        let mut dominators = alloc::vec![0_u32; count];
        // Lists of the numbers with the same semidominator: the first, and the next after each.
        let (mut first, mut after) = (alloc::vec![NONE; count], alloc::vec![NONE; count]);
        for number in (1..count as u32).rev() {
            let place = number as usize;
            let node = self.nodes[place] as usize;
            if graph.nodes[node].is_root() {
                links.semi[place] = 0;
            }
            for predecessor in &predecessors[node] {
                let best = links.eval(self.numbers[*predecessor as usize]);
                links.semi[place] = links.semi[place].min(links.semi[best as usize]);
            }
            let semi = links.semi[place] as usize;
            after[place] = first[semi];
            first[semi] = number;
            let parent = self.parents[place];
            links.ancestors[place] = parent;
            let mut member = core::mem::replace(&mut first[parent as usize], NONE);
            while member != NONE {
                let best = links.eval(member);
                let earlier = links.semi[best as usize] < links.semi[member as usize];
                dominators[member as usize] = if earlier { best } else { parent };
                member = after[member as usize];
            }
        }
        for number in 1..count {
            if dominators[number] != links.semi[number] {
                dominators[number] = dominators[dominators[number] as usize];
            }
        }
        dominators
    }
}

/// The forest of numbers that have been looked at.
struct Links {
    /// A number above each, closer to the root of its tree over time; `NONE` for a root.
    ancestors: Vec<u32>,
    /// On the way to that, the number with the least semidominator.
    best: Vec<u32>,
    /// Semidominators.
    semi: Vec<u32>,
    path: Vec<u32>,
}

impl Links {
    /// The number with the least semidominator from `number` up to below the root of its tree.
    fn eval(&mut self, number: u32) -> u32 {
        let mut top = number;
        loop {
            let ancestor = self.ancestors[top as usize];
            if ancestor == NONE || self.ancestors[ancestor as usize] == NONE {
                break;
            }
            self.path.push(top);
            top = ancestor;
        }
        while let Some(member) = self.path.pop() {
            let place = member as usize;
            let ancestor = self.ancestors[place] as usize;
            let above = self.best[ancestor];
            if self.semi[above as usize] < self.semi[self.best[place] as usize] {
                self.best[place] = above;
            }
            self.ancestors[place] = self.ancestors[ancestor];
        }
        self.best[number as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Edge, Jump, Node};
    use alloc::collections::BTreeMap;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    fn random_graph(random: &mut StdRng) -> Graph {
        let count = random.random_range(1..14);
        let mut edge = |likely: f64| {
            let is_there = random.random_bool(likely);
            let node = random.random_range(0..count);
            is_there.then_some(Edge { pc: 0, node, gas: 0 })
        };
        let nodes = (0..count).map(|place| Node {
            block: place,
            heights: (0, 0),
            jump: edge(0.7).map(Jump::Static),
            fall: edge(0.7),
            dispatched: place == 0 || edge(0.1).is_some(),
            routine: NONE,
            enters: false,
            closed: None,
            call: None,
        });
        Graph { nodes: nodes.collect(), landings: BTreeMap::new(), routines: Vec::new() }
    }

    /// What the dispatcher leads to, if a node is taken out.
    fn reached(graph: &Graph, without: Option<u32>) -> Vec<bool> {
        let mut seen = alloc::vec![false; graph.nodes.len()];
        let roots = (0..graph.nodes.len() as u32).filter(|n| graph.nodes[*n as usize].dispatched);
        let mut open: Vec<u32> = roots.collect();
        while let Some(node) = open.pop() {
            if Some(node) != without && !core::mem::replace(&mut seen[node as usize], true) {
                open.extend(graph.nodes[node as usize].edges().map(|edge| edge.node));
            }
        }
        seen
    }

    #[test]
    fn a_node_dominates_what_cannot_be_reached_without_it() {
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..2_000 {
            let graph = random_graph(&mut random);
            let all = reached(&graph, None);
            let mut predecessors = alloc::vec![Vec::new(); graph.nodes.len()];
            for (place, node) in graph.nodes.iter().enumerate().filter(|(place, _)| all[*place]) {
                node.edges().for_each(|edge| predecessors[edge.node as usize].push(place as u32));
            }
            let found = Dominators::new(&graph, &predecessors);
            for a in (0..graph.nodes.len() as u32).filter(|a| all[*a as usize]) {
                let left = reached(&graph, Some(a));
                let mut above = found.immediate[a as usize];
                while above != NONE {
                    assert!(found.dominates(above, a), "{graph:?}");
                    above = found.immediate[above as usize];
                }
                for b in (0..graph.nodes.len()).filter(|b| all[*b]) {
                    assert_eq!(found.dominates(a, b as u32), !left[b], "{a}, {b}: {graph:?}");
                }
            }
        }
    }
}
