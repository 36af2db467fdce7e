//! How many bytes of operands a function holds at once, as finite-wasm counts them for NEAR: 4 for `i32` and
//! `f32`, 8 for everything else, unreachable code not at all.

use wasmparser::{FuncValidator, Operator, ValType, WasmModuleResources};

/// Follows the operand stack of a function through wasmparser's validator.
#[derive(Default)]
pub(super) struct OperandStack {
    /// Bytes of the operands up to and with each position.
    sums: Vec<u64>,
    /// Most bytes seen.
    bytes_max: u64,
    /// Number of control frames when code became unreachable.
    dead_from: Option<u32>,
}

impl OperandStack {
    pub(super) fn clear(&mut self) {
        self.sums.clear();
        self.bytes_max = 0;
        self.dead_from = None;
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// How many operands an operator takes off; to be asked before the validator sees it.
    pub(super) fn taken<T: WasmModuleResources>(
        validator: &FuncValidator<T>,
        operator: &Operator<'_>,
    ) -> usize {
        operator.operator_arity(validator).map_or(0, |(taken, _)| taken as usize)
    }

    /// Follows an operator that the validator has accepted.
    pub(super) fn follow<T: WasmModuleResources>(
        &mut self,
        validator: &FuncValidator<T>,
        taken: usize,
    ) {
        let height = validator.operand_stack_height() as usize;
        self.sums.truncate(self.sums.len().saturating_sub(taken).min(height));
        while self.sums.len() < height {
            let depth = height - self.sums.len() - 1;
            let bytes = match validator.get_operand_type(depth).flatten() {
                Some(ValType::I32 | ValType::F32) => 4,
                Some(ValType::V128) => 16,
                Some(ValType::I64 | ValType::F64 | ValType::Ref(_)) | None => 8,
            };
            self.sums.push(self.sums.last().copied().unwrap_or(0) + bytes);
        }

        let frames = validator.control_stack_height();
        let dead = validator.get_control_frame(0).is_some_and(|frame| frame.unreachable);
        match self.dead_from {
            Some(from) if frames > from || (frames == from && dead) => {}
            _ => self.dead_from = dead.then_some(frames),
        }
        if self.dead_from.is_none() {
            self.bytes_max = self.bytes_max.max(self.sums.last().copied().unwrap_or(0));
        }
    }
}
