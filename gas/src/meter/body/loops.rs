//! Inner loops, written twice: with comparisons, and without.
//!
//! When there is gas for every operator of a loop's body, its charges are only subtracted. Nor is the global
//! written there before every access to memory, which would cost more than all comparisons: an access is
//! compared with the end of the memory, and the global written if it is going to trap.

use std::ops::Range;

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{BlockType, ValType};
use wasmparser::{Operator, OperatorsReader};

use super::{Locals, Memory, MeterError, Writer};
use crate::meter::assemble::Unmoved;
use crate::meter::survey::InnerLoop;

/// Loops with more bytes than this are not written twice.
const MAX_TWICE: usize = 4_096;

/// One of the two copies of a loop's body.
#[derive(Clone, Copy)]
pub(super) struct Copy {
    /// Whether its charges have been found to be affordable.
    pub(super) affordable: bool,
    /// How many blocks of the body are open: branches of this depth and more leave the copy.
    pub(super) depth: u32,
}

/// An access to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    /// How many bytes behind its address it ends.
    end: u64,
    /// The type of what it stores.
    value: Option<ValType>,
}

impl Access {
    /// What `operator` reads or writes, if it is a load or a store of a number.
    pub(super) fn of(operator: &Operator<'_>) -> Option<Access> {
        use Operator as O;
        use ValType::{F32, F64, I32, I64};
        let (place, bytes, value) = match operator {
            O::I32Load8S { memarg }
            | O::I32Load8U { memarg }
            | O::I64Load8S { memarg }
            | O::I64Load8U { memarg } => (memarg, 1, None),
            O::I32Load16S { memarg }
            | O::I32Load16U { memarg }
            | O::I64Load16S { memarg }
            | O::I64Load16U { memarg } => (memarg, 2, None),
            O::I32Load { memarg }
            | O::F32Load { memarg }
            | O::I64Load32S { memarg }
            | O::I64Load32U { memarg } => (memarg, 4, None),
            O::I64Load { memarg } | O::F64Load { memarg } => (memarg, 8, None),
            O::I32Store8 { memarg } => (memarg, 1, Some(I32)),
            O::I32Store16 { memarg } => (memarg, 2, Some(I32)),
            O::I32Store { memarg } => (memarg, 4, Some(I32)),
            O::I64Store8 { memarg } => (memarg, 1, Some(I64)),
            O::I64Store16 { memarg } => (memarg, 2, Some(I64)),
            O::I64Store32 { memarg } => (memarg, 4, Some(I64)),
            O::I64Store { memarg } => (memarg, 8, Some(I64)),
            O::F32Store { memarg } => (memarg, 4, Some(F32)),
            O::F64Store { memarg } => (memarg, 8, Some(F64)),
            _ => return None,
        };
        Some(Access { end: place.offset.saturating_add(bytes), value })
    }
}

impl<'a> Writer<'a> {
    /// The body of an inner loop, twice. `operators` is at its start, and at its end afterwards.
    pub(super) fn twice(
        &mut self,
        operators: &mut OperatorsReader<'a>,
        inner: InnerLoop,
    ) -> Result<(), MeterError> {
        let (start, end) = inner.body;
        let points = self.function.points.get(self.point..).unwrap_or_default();
        let inside = points.iter().take_while(|point| point.offset < end);
        let charges = inside.filter(|point| point.charges());
        let all: Vec<u64> = charges.map(|point| point.fee.constant).collect();
        let several = matches!(inner.ty, wasmparser::BlockType::FuncType(_));
        if all.len() < 2 || several || end - start > MAX_TWICE {
            return Ok(());
        }
        if let Memory::Growing = self.function.memory {
            let (local, global) = (self.locals.limit, self.globals.memory_bytes);
            self.sink().global_get(global).local_set(local);
        }
        self.copy_to(start);
        let all = self.sum(&all, start)?;
        let ty = Unmoved.block_type(inner.ty)?;
        let gas = self.locals.gas;
        let first_point = self.point;
        self.sink().local_get(gas).i64_const(all).i64_lt_u().if_(ty);
        self.labels.push(inner.ty != wasmparser::BlockType::Empty);
        self.operators(&mut operators.clone(), end, Some(Copy { affordable: false, depth: 0 }))?;
        self.copy_to(end);
        self.settle();
        self.sink().else_();
        (self.point, self.copied, self.stale) = (first_point, start, true);
        self.operators(operators, end, Some(Copy { affordable: true, depth: 0 }))?;
        self.copy_to(end);
        self.settle();
        self.sink().end();
        self.labels.pop();
        self.stale = true;
        Ok(())
    }

    /// In a copy of a loop's body, branches out of the body have one more block to leave. Before control
    /// flow divides or meets, what is owed has to be paid.
    pub(super) fn branch(
        &mut self,
        operator: &Operator<'_>,
        range: Range<usize>,
        copy: &mut Copy,
    ) -> Result<(), MeterError> {
        let inside = copy.depth;
        let moved = |depth: u32| if depth >= inside { depth + 1 } else { depth };
        match operator {
            Operator::Block { .. } => copy.depth += 1,
            Operator::If { .. } => {
                self.copy_to(range.start);
                self.settle();
                copy.depth += 1;
            }
            Operator::Else | Operator::Return => {
                self.copy_to(range.start);
                self.settle();
            }
            Operator::End => {
                self.copy_to(range.start);
                self.settle();
                copy.depth = inside.saturating_sub(1);
            }
            Operator::Br { relative_depth } => {
                self.copy_to(range.start);
                self.settle();
                self.sink().br(moved(*relative_depth));
                self.copied = range.end;
            }
            Operator::BrIf { relative_depth } => {
                self.copy_to(range.start);
                self.branch_if(moved(*relative_depth));
                self.copied = range.end;
            }
            Operator::BrTable { targets } => {
                let depths = targets.targets().collect::<Result<Vec<u32>, _>>()?;
                self.copy_to(range.start);
                self.settle();
                let default = moved(targets.default());
                self.sink().br_table(depths.into_iter().map(moved), default);
                self.copied = range.end;
            }
            _ => {}
        }
        Ok(())
    }

    /// A conditional branch. If it can, it pays what is owed on its own way only, and the way on goes on
    /// owing.
    fn branch_if(&mut self, depth: u32) {
        let label = self.labels.iter().nth_back(depth as usize);
        if self.owed == 0 || label != Some(&false) {
            self.settle();
            self.sink().br_if(depth);
            return;
        }
        self.sink().if_(BlockType::Empty);
        self.pay_owed();
        self.sink().br(depth + 1).end();
    }

    /// An access in a copy that has been paid for: the global is written only if the access traps.
    pub(super) fn guarded(&mut self, access: &Access, range: Range<usize>) {
        self.copy_to(range.start);
        if !self.stale {
            return;
        }
        let Locals { address, limit, .. } = self.locals;
        let value = access.value.and_then(|ty| self.locals.value(ty));
        if let Some(value) = value {
            self.sink().local_set(value);
        }
        self.sink().local_tee(address);
        match self.function.memory {
            Memory::Fixed { bytes } => match bytes.checked_sub(access.end) {
                // Less than 4 GiB, as `end` is not 0.
                Some(last) => {
                    self.sink().i32_const(last as i32).i32_gt_u();
                }
                None => {
                    self.sink().drop().i32_const(1);
                }
            },
            Memory::Growing => {
                let end = access.end.cast_signed();
                let mut sink = self.sink();
                sink.i64_extend_i32_u().local_get(limit).i64_const(end).i64_sub().i64_gt_s();
            }
        }
        let code = self.function.code.get(range).unwrap_or_default();
        self.sink().if_(BlockType::Empty);
        self.write_global();
        self.sink().local_get(address);
        if let Some(value) = value {
            self.sink().local_get(value);
        }
        self.out.extend_from_slice(code);
        self.sink().unreachable().end().local_get(address);
        if let Some(value) = value {
            self.sink().local_get(value);
        }
    }

    pub(super) fn next_inner_loop(&mut self, start: usize) -> Option<InnerLoop> {
        let inner = self.function.shape.inner_loops.get(self.inner_loop)?;
        (inner.start == start).then(|| {
            self.inner_loop += 1;
            *inner
        })
    }
}
