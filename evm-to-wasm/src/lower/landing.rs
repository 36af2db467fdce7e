//! The functions that find the dispatched node for a place in the code: `(pc i64, gas i64) -> (id i32, gas)`.
//!
//! A `br_table` over the bytes of the code, one case a JUMPDEST that a dynamic jump may go to. Who enters a run
//! of JUMPDESTs pays for the rest of it here. What is no such place gives the id -1. Many places make several
//! functions, each of which knows a stretch of the code and asks the next one for what is behind.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use wasm_encoder::{BlockType, Encode};

use crate::graph::Edge;
use crate::sink::Sink;

/// Cases in a function: `br_table` needs a block for each.
const CASES_MAX: usize = 2_000;
/// Bytes of the code from a function's first case to its last, at most: targets of its `br_table`, of which a host
/// takes 50,000.
const STRETCH_MAX: u32 = 32_768;

/// Bodies of the landing functions; `index` is that of the first one, which is the one to call.
pub fn landing(landings: &BTreeMap<u32, Edge>, ids: &[u32], index: u32) -> Vec<Vec<u8>> {
    let all: Vec<(u32, Edge)> = landings.iter().map(|(pc, edge)| (*pc, *edge)).collect();
    let mut chunks: Vec<&[(u32, Edge)]> = Vec::new();
    let mut rest = all.as_slice();
    while let Some((first, _)) = rest.first() {
        let near = rest.partition_point(|(pc, _)| pc - first < STRETCH_MAX);
        let (chunk, behind) = rest.split_at(near.min(CASES_MAX));
        chunks.push(chunk);
        rest = behind;
    }
    let mut out = Vec::new();
    for (place, chunk) in chunks.iter().enumerate() {
        let next = (place + 1 < chunks.len()).then(|| index + place as u32 + 1);
        out.push(function(chunk, ids, next));
    }
    out
}

fn function(chunk: &[(u32, Edge)], ids: &[u32], next: Option<u32>) -> Vec<u8> {
    // Places that lead to the same node with the same gas share a case.
    let mut cases: Vec<(u32, u32)> = Vec::new();
    let mut case_of: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    let first = chunk.first().map_or(0, |(pc, _)| *pc);
    let last = chunk.last().map_or(0, |(pc, _)| *pc);
    let mut table = alloc::vec![u32::MAX; (last - first) as usize + 1];
    for (pc, edge) in chunk {
        // In a run of JUMPDESTs the gas is what is left of it: the case computes it.
        let key = (ids[edge.node as usize], pc + edge.gas);
        let case = *case_of.entry(key).or_insert_with(|| {
            cases.push(key);
            cases.len() as u32 - 1
        });
        table[(pc - first) as usize] = case;
    }
    let mut bytes = Vec::new();
    // No locals of its own.
    0_u32.encode(&mut bytes);
    let mut sink = Sink::new(&mut bytes);
    if let Some(next) = next {
        sink.local_get(0).i64_const(i64::from(last)).i64_gt_u().if_(BlockType::Empty);
        sink.local_get(0).local_get(1).call(next).return_().end();
    }
    sink.local_get(0).i64_const(i64::from(first)).i64_lt_u();
    sink.local_get(0).i64_const(i64::from(last)).i64_gt_u().i32_or().if_(BlockType::Empty);
    sink.i32_const(-1).local_get(1).return_().end();
    let count = cases.len() as u32;
    for _ in 0..=count {
        sink.block(BlockType::Empty);
    }
    sink.local_get(0).i64_const(i64::from(first)).i64_sub().i32_wrap_i64();
    let targets: Vec<u32> =
        table.iter().map(|case| if *case == u32::MAX { count } else { *case }).collect();
    sink.br_table(&targets, count);
    for (id, end) in &cases {
        sink.end();
        sink.i32_const(*id as i32);
        sink.local_get(1).local_get(0).i64_add().i64_const(i64::from(*end)).i64_sub().return_();
    }
    sink.end();
    sink.i32_const(-1).local_get(1).end();
    bytes
}
