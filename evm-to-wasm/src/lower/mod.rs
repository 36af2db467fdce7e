//! The intermediate form in, bodies of Wasm functions out, by family of instructions.

mod control;
mod effects;
mod emitter;
mod landing;
mod narrow;
mod places;
mod script;
mod wide;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use wasm_encoder::{Encode, ValType};

use crate::flow::Flow;
use crate::graph::Graph;
use crate::ir::Ir;
use crate::runtime::Function;
use control::Whole;
pub use emitter::Callee;
use emitter::{Emitter, PARAMETERS, resolve_calls};
pub use landing::landing;
use places::{Place, Places, Uses};

/// The body of a part, with callees by name.
#[derive(Debug)]
pub struct PartBody {
    locals: Vec<ValType>,
    bytes: Vec<u8>,
    calls: Vec<(usize, Callee)>,
}

impl PartBody {
    /// Bytes of operators.
    pub fn size(&self) -> usize {
        self.bytes.len() + 4 * self.calls.len()
    }

    /// Locals beside the parameters.
    pub fn locals(&self) -> usize {
        self.locals.len()
    }

    /// The encoded body of the function.
    pub fn encode(&self, index: impl Fn(Callee) -> u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len() + 64);
        let mut groups: Vec<(u32, ValType)> = Vec::new();
        for kind in &self.locals {
            match groups.last_mut() {
                Some((count, last)) if last == kind => *count += 1,
                _ => groups.push((1, *kind)),
            }
        }
        groups.len().encode(&mut out);
        for (count, kind) in groups {
            count.encode(&mut out);
            kind.encode(&mut out);
        }
        out.extend(resolve_calls(&self.bytes, &self.calls, index));
        out
    }
}

/// Accesses to memory at any offset that a part has inline, and one more for each eight of its values.
const WIDE_ACCESSES_INLINE: usize = 64;

/// Values of a part.
fn items(flow: &Flow, ir: &Ir, part: u32) -> usize {
    let nodes = flow.order.iter().filter(|node| flow.part[**node as usize] == part);
    nodes.map(|node| ir.bodies[*node as usize].items.len()).sum()
}

/// Bodies of all parts, and the runtime functions that they need. `ids` has the id of each dispatched node;
/// ids go up with parts. The first body of more than `bytes_max` is the last one.
pub fn lower(
    graph: &Graph,
    flow: &Flow,
    ir: &Ir,
    ids: &[u32],
    bytes_max: usize,
    needed: &mut BTreeSet<Function>,
) -> Vec<PartBody> {
    let uses = Uses::count(ir, graph, flow);
    let mut out = Vec::new();
    let mut of = alloc::vec![Place::Nowhere; ir.defs.len()];
    for (index, def) in ir.defs.iter().enumerate() {
        if matches!(def, crate::ir::Def::Const(_)) {
            of[index] = Place::Anew;
        }
    }
    let mut all = Places { of, locals: Vec::new() };
    for part in 0..flow.parts {
        let script = script::script(graph, flow, ir, part);
        all.locals = Vec::new();
        places::places(ir, graph, flow, &uses, &script, PARAMETERS, &mut all);
        let mut dispatched: Vec<u32> = (0..graph.nodes.len() as u32)
            .filter(|node| {
                graph.nodes[*node as usize].dispatched && flow.part[*node as usize] == part
            })
            .collect();
        dispatched.sort_by_key(|node| ids[*node as usize]);
        let whole = Whole { graph, flow, ids, part, dispatched };
        let mut emitter = Emitter::new(ir, &mut all, needed);
        emitter.wide_accesses_inline = WIDE_ACCESSES_INLINE + items(flow, ir, part) / 8;
        emitter.part(&whole, &script);
        let (bytes, calls) = (emitter.bytes, emitter.calls);
        out.push(PartBody { locals: core::mem::take(&mut all.locals), bytes, calls });
        if out.last().is_some_and(|part| part.size() > bytes_max) {
            break;
        }
    }
    out
}
