//! Counts operators as they are executed, the way the host prices them: one each, two for wide arithmetic, none
//! for what only gives structure, and for a call one for each 8 bytes of the frame. Bulk operations cost their
//! bytes besides; those are not counted here.

use evm_to_wasm::runtime::Signature;
use wasm_encoder::{Function, InstructionSink, ValType};
use wasmparser::{BinaryReader, FunctionBody, Operator};

fn price(operator: &Operator<'_>) -> i64 {
    match operator {
        Operator::Block { .. } | Operator::Loop { .. } | Operator::End | Operator::Else => 0,
        Operator::I64Add128 | Operator::I64Sub128 | Operator::I64MulWideU => 2,
        _ => 1,
    }
}

/// Bytes of a frame besides its locals.
const FRAME: u32 = 64;

fn add(text: &mut Vec<u8>, global: u32, price: i64) {
    InstructionSink::new(text).global_get(global).i64_const(price).i64_add().global_set(global);
}

/// The same body, adding what it executes to the i64 of `global`.
pub fn counted(body: &Function, signature: &Signature, global: u32) -> Function {
    let size = |kind: ValType| if kind == ValType::I32 { 4 } else { 8 };
    let mut frame = FRAME + signature.params.iter().map(|kind| size(*kind)).sum::<u32>();
    let bytes = body.clone().into_raw_body();
    let parsed = FunctionBody::new(BinaryReader::new(&bytes, 0));
    let locals = parsed.get_locals_reader().expect("locals").into_iter().map(|group| {
        let (count, kind) = group.expect("a group");
        let kind = match kind {
            wasmparser::ValType::I32 => ValType::I32,
            _ => ValType::I64,
        };
        frame += count * size(kind);
        (count, kind)
    });
    let mut counted = Function::new(locals.collect::<Vec<_>>());
    let mut entry = Vec::new();
    add(&mut entry, global, i64::from(frame.div_ceil(8)));
    counted.raw(entry);
    let mut operators = parsed.get_operators_reader().expect("operators");
    while !operators.eof() {
        let start = operators.original_position();
        let operator = operators.read().expect("an operator");
        let mut text = Vec::new();
        if price(&operator) > 0 {
            add(&mut text, global, price(&operator));
        }
        text.extend(&bytes[start..operators.original_position()]);
        counted.raw(text);
    }
    counted
}
