//! Structured control flow for one part, as a list of steps: where blocks and loops open and close, where
//! bodies, branches and edges are.
//!
//! After Ramsey, "Beyond Relooper" (2022): a node that several edges lead to gets a `block` around what its
//! immediate dominator emits; a node that an edge of its own leads back to gets a `loop`; every other node is
//! emitted where its only edge is. The dispatcher is the root of the dominator tree, a `loop` around it all.

use alloc::vec::Vec;

use crate::blocks::End;
use crate::flow::{Flow, NONE};
use crate::graph::{Edge, Graph, Jump};
use crate::ir::Ir;

/// A step of emission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opens a loop whose head is the node.
    Loop(u32),
    /// Opens a block whose end is where the node begins.
    Block(u32),
    /// Closes a block, a loop or an `if`.
    End,
    /// Jumps to the node that the dispatcher's register names.
    Dispatch,
    /// The items of a node.
    Body(u32),
    /// Opens an `if`: the JUMPI of the node jumps, or does not.
    If(u32, bool),
    /// An edge and the branch that it takes; where the branch is left out, the target follows.
    Edge {
        /// From where.
        from: u32,
        /// To where.
        edge: Edge,
        /// Whether the target follows.
        inline: bool,
    },
    /// What ends a node, where that is neither an edge nor a branch.
    Terminate(u32),
    /// The dynamic jump of a node.
    Jump(u32),
}

/// What the scripts of all parts are made from.
#[derive(Debug)]
pub struct Outline {
    /// How many edges lead forwards to each node.
    entries: Vec<u32>,
    /// Nodes that several edges lead to, by their immediate dominator, in order.
    children: Vec<Vec<u32>>,
    /// Nodes of each part that the dispatcher dominates immediately, in order.
    roots: Vec<Vec<u32>>,
}

impl Outline {
    /// Looks at all nodes.
    pub fn new(graph: &Graph, flow: &Flow, ir: &Ir) -> Self {
        let count = graph.nodes.len();
        let mut entries = alloc::vec![0_u32; count];
        let mut children: Vec<Vec<u32>> = alloc::vec![Vec::new(); count];
        let mut roots: Vec<Vec<u32>> = alloc::vec![Vec::new(); flow.parts as usize];
        for node in &flow.order {
            for edge in live_edges(graph, ir, *node) {
                let stays = flow.part[*node as usize] == flow.part[edge.node as usize];
                if stays && flow.before(*node, edge.node) {
                    entries[edge.node as usize] += 1;
                }
            }
        }
        for node in &flow.order {
            let merges = graph.nodes[*node as usize].dispatched || entries[*node as usize] > 1;
            match flow.dominators.immediate[*node as usize] {
                NONE => roots[flow.part[*node as usize] as usize].push(*node),
                dominator if merges => children[dominator as usize].push(*node),
                _ => {}
            }
        }
        Self { entries, children, roots }
    }
}

/// The steps of a part.
pub fn script(graph: &Graph, flow: &Flow, ir: &Ir, outline: &Outline, part: u32) -> Vec<Step> {
    let Outline { entries, children, roots } = outline;
    let roots = &roots[part as usize];
    let mut out = Vec::new();
    let mut tasks = match roots.as_slice() {
        // A routine has no dispatcher.
        [root] if graph.nodes[*root as usize].enters => alloc::vec![Task::Tree(*root)],
        _ => alloc::vec![Task::Root],
    };
    while let Some(task) = tasks.pop() {
        let start = tasks.len();
        match task {
            Task::Step(step) => out.push(step),
            Task::Root => {
                for node in roots.iter().rev() {
                    tasks.push(Task::Step(Step::Block(*node)));
                }
                tasks.push(Task::Step(Step::Dispatch));
                for node in roots {
                    tasks.push(Task::Step(Step::End));
                    tasks.push(Task::Tree(*node));
                }
            }
            Task::Tree(node) => {
                let inner = &children[node as usize];
                let is_loop = flow.loops[node as usize];
                if is_loop {
                    tasks.push(Task::Step(Step::Loop(node)));
                }
                for child in inner.iter().rev() {
                    tasks.push(Task::Step(Step::Block(*child)));
                }
                tasks.push(Task::Step(Step::Body(node)));
                tasks.push(Task::Leave(node));
                for child in inner {
                    tasks.push(Task::Step(Step::End));
                    tasks.push(Task::Tree(*child));
                }
                if is_loop {
                    tasks.push(Task::Step(Step::End));
                }
            }
            Task::Leave(node) => {
                let shape = &graph.nodes[node as usize];
                let follows = |edge: Edge| {
                    flow.before(node, edge.node)
                        && entries[edge.node as usize] == 1
                        && !graph.nodes[edge.node as usize].dispatched
                };
                let mut edge_tasks = |edge: Edge| {
                    let inline = follows(edge);
                    tasks.push(Task::Step(Step::Edge { from: node, edge, inline }));
                    if inline {
                        tasks.push(Task::Tree(edge.node));
                    }
                };
                match (leaves(graph, ir, node), &shape.jump, shape.fall) {
                    (Leaves::Ends, _, _) => tasks.push(Task::Step(Step::Terminate(node))),
                    (Leaves::Falls, _, Some(fall)) => edge_tasks(fall),
                    (Leaves::Jumps, Some(Jump::Static(edge)), _) => edge_tasks(*edge),
                    (Leaves::Branches, Some(Jump::Static(edge)), Some(fall)) => {
                        // What is small or branches away goes into the `if`.
                        let taken = !follows(*edge) || (follows(fall) && edge.node < fall.node);
                        let (first, second) = if taken { (*edge, fall) } else { (fall, *edge) };
                        tasks.push(Task::Step(Step::If(node, taken)));
                        let mut arm = |edge: Edge| {
                            let inline = follows(edge);
                            tasks.push(Task::Step(Step::Edge { from: node, edge, inline }));
                            if inline {
                                tasks.push(Task::Tree(edge.node));
                            }
                        };
                        arm(first);
                        tasks.push(Task::Step(Step::End));
                        let inline = follows(second);
                        tasks.push(Task::Step(Step::Edge { from: node, edge: second, inline }));
                        if inline {
                            tasks.push(Task::Tree(second.node));
                        }
                    }
                    (Leaves::Branches, _, Some(fall)) => {
                        tasks.push(Task::Step(Step::If(node, true)));
                        tasks.push(Task::Step(Step::Jump(node)));
                        tasks.push(Task::Step(Step::End));
                        let inline = follows(fall);
                        tasks.push(Task::Step(Step::Edge { from: node, edge: fall, inline }));
                        if inline {
                            tasks.push(Task::Tree(fall.node));
                        }
                    }
                    _ => tasks.push(Task::Step(Step::Jump(node))),
                }
            }
        }
        tasks[start..].reverse();
    }
    out
}

enum Task {
    Root,
    Tree(u32),
    Leave(u32),
    Step(Step),
}

/// How control leaves a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// It does not: the frame ends.
    Ends,
    /// By falling.
    Falls,
    /// By its jump.
    Jumps,
    /// By one of both.
    Branches,
}

/// How control leaves `node`, with what is known of its condition.
pub fn leaves(graph: &Graph, ir: &Ir, node: u32) -> Leaves {
    let body = &ir.bodies[node as usize];
    let shape = &graph.nodes[node as usize];
    if body.halts {
        return Leaves::Ends;
    }
    match body.end {
        End::Fall if shape.fall.is_some() => Leaves::Falls,
        End::Jump => Leaves::Jumps,
        End::Jumpi => {
            let condition = ir.range(body.operands[1]);
            if condition.high.is_zero() {
                // A JUMPI is the last instruction of the code perhaps; then a STOP follows.
                if shape.fall.is_some() { Leaves::Falls } else { Leaves::Ends }
            } else if !condition.low.is_zero() || shape.fall.is_none() {
                Leaves::Jumps
            } else {
                Leaves::Branches
            }
        }
        _ => Leaves::Ends,
    }
}

/// Edges that control can take.
pub fn live_edges(graph: &Graph, ir: &Ir, node: u32) -> impl Iterator<Item = Edge> {
    let shape = &graph.nodes[node as usize];
    let jump = match &shape.jump {
        Some(Jump::Static(edge)) => Some(*edge),
        _ => None,
    };
    let (jump, fall) = match leaves(graph, ir, node) {
        Leaves::Ends => (None, None),
        Leaves::Falls => (None, shape.fall),
        Leaves::Jumps => (jump, None),
        Leaves::Branches => (jump, shape.fall),
    };
    jump.into_iter().chain(fall)
}
