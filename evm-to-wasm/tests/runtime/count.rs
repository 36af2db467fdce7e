//! Counts operators as they are executed, the way the host prices them: one each, two for wide arithmetic, none
//! for what only gives structure. Bulk operations cost their bytes besides; those are not counted here.

use wasm_encoder::{Function, InstructionSink};
use wasmparser::{BinaryReader, FunctionBody, Operator};

fn price(operator: &Operator<'_>) -> i64 {
    match operator {
        Operator::Block { .. } | Operator::Loop { .. } | Operator::End | Operator::Else => 0,
        Operator::I64Add128 | Operator::I64Sub128 | Operator::I64MulWideU => 2,
        _ => 1,
    }
}

/// The same body, adding what it executes to the i64 of `global`.
pub fn counted(body: &Function, global: u32) -> Function {
    let bytes = body.clone().into_raw_body();
    let parsed = FunctionBody::new(BinaryReader::new(&bytes, 0));
    let locals = parsed.get_locals_reader().expect("locals").into_iter().map(|group| {
        let (count, kind) = group.expect("a group");
        let kind = match kind {
            wasmparser::ValType::I32 => wasm_encoder::ValType::I32,
            _ => wasm_encoder::ValType::I64,
        };
        (count, kind)
    });
    let mut counted = Function::new(locals.collect::<Vec<_>>());
    let mut operators = parsed.get_operators_reader().expect("operators");
    while !operators.eof() {
        let start = operators.original_position();
        let operator = operators.read().expect("an operator");
        let mut text = Vec::new();
        if price(&operator) > 0 {
            InstructionSink::new(&mut text)
                .global_get(global)
                .i64_const(price(&operator))
                .i64_add()
                .global_set(global);
        }
        text.extend(&bytes[start..operators.original_position()]);
        counted.raw(text);
    }
    counted
}
