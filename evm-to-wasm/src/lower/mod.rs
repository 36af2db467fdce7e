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
use crate::ir::{Ir, RoutineValues};
use crate::range::Range;
use crate::runtime::Function;
use control::Whole;
pub use emitter::Callee;
use emitter::{Emitter, GAS, STACK, resolve_calls};
pub use landing::landing;
use places::{Places, Uses};
use script::Outline;

/// The body of a part, with callees by name.
#[derive(Debug)]
pub struct PartBody {
    /// Parameters and results.
    pub signature: (Vec<ValType>, Vec<ValType>),
    /// Routines that it calls, by their parts.
    pub callees: BTreeSet<u32>,
    /// Blocks, loops and `if`s in it.
    pub blocks: usize,
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

/// Bodies of all parts, and the runtime functions that they need. `ids` has the id of each dispatched node;
/// ids go up with parts. The first body of more than `bytes_max` is the last one, and so is the one with which all
/// have more than `bytes_left`; that one is not whole.
pub fn lower(
    graph: &Graph,
    flow: &Flow,
    ir: &Ir,
    ids: &[u32],
    bytes_max: usize,
    mut bytes_left: usize,
    needed: &mut BTreeSet<Function>,
) -> Vec<PartBody> {
    let uses = Uses::count(ir, graph, flow);
    let mut out = Vec::new();
    let mut all = Places::new(ir);
    let outline = Outline::new(graph, flow, ir);
    let mut dispatched: Vec<Vec<u32>> = alloc::vec![Vec::new(); flow.parts as usize];
    let mut items = alloc::vec![0; flow.parts as usize];
    for node in &flow.order {
        let part = flow.part[*node as usize] as usize;
        items[part] += ir.bodies[*node as usize].items.len();
        if graph.nodes[*node as usize].dispatched {
            dispatched[part].push(*node);
        }
    }
    for part in 0..flow.parts {
        let script = script::script(graph, flow, ir, &outline, part);
        all.locals = Vec::new();
        let routine = part.checked_sub(flow.first_routine).map(|place| place as usize);
        let stack = match routine.map(|routine| ir.routines[routine].measured) {
            None => Some(STACK),
            Some(measured) => measured.then_some(GAS + 1),
        };
        let first = stack.unwrap_or(GAS) + 1;
        places::places(ir, graph, flow, &uses, &script, first, &mut all);
        let mut dispatched = core::mem::take(&mut dispatched[part as usize]);
        dispatched.sort_by_key(|node| ids[*node as usize]);
        let whole = Whole { graph, flow, ids, part, dispatched };
        let mut emitter = Emitter::new(ir, &mut all, needed, &uses, stack, flow.first_routine);
        emitter.bytes_left = bytes_left;
        emitter.wide_accesses_inline = WIDE_ACCESSES_INLINE + items[part as usize] / 8;
        let signature = match routine {
            None => {
                emitter.part(&whole, &script);
                let registers = alloc::vec![ValType::I64, ValType::I32, ValType::I32];
                (registers.clone(), registers)
            }
            Some(routine) => {
                let RoutineValues { parameters, given, measured } = &ir.routines[routine];
                emitter.routine(&whole, &script, given);
                let used = parameters.iter().filter(|value| uses.is_used(**value));
                let takes = used.flat_map(|value| types_of(ir.range(*value)));
                let gives = given.iter().flat_map(|range| types_of(*range));
                let gas = [ValType::I64];
                let height = measured.then_some(ValType::I32);
                let takes = gas.into_iter().chain(height).chain(takes);
                (takes.collect(), gives.chain(gas).collect())
            }
        };
        let (bytes, calls, blocks) = (emitter.bytes, emitter.calls, emitter.blocks);
        let callees = calls
            .iter()
            .filter_map(|(_, callee)| match callee {
                Callee::Part(part) => Some(*part),
                _ => None,
            })
            .collect();
        let mut locals = core::mem::take(&mut all.locals);
        // Parameters come first.
        locals.drain(..signature.0.len() - first as usize);
        let body = PartBody { signature, callees, blocks, locals, bytes, calls };
        let size = body.size();
        out.push(body);
        if size > bytes_max || size > bytes_left {
            break;
        }
        bytes_left -= size;
    }
    out
}

/// How a value in a range travels in and out of routines.
fn types_of(range: Range) -> impl Iterator<Item = ValType> {
    let (kind, count) =
        if range.is_flag() { (ValType::I32, 1) } else { (ValType::I64, range.limbs()) };
    core::iter::repeat_n(kind, count)
}
