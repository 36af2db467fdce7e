//! Results that fit one limb: expressions that leave an i64 on the stack, or an i32 for a flag.

use super::emitter::Emitter;
use crate::ir::V;
use crate::opcode::Op;
use crate::runtime::{Function, Global, layout};
use crate::word::Word;

impl Emitter<'_> {
    /// Pushes a pure value that fits one limb: an i32 if it is a flag, else an i64.
    pub fn expression(&mut self, value: V) {
        let is_flag = self.ir.range(value).is_flag();
        let Some(op) = self.ir.op(value) else {
            // A constant.
            let word = self.constant(value).unwrap_or_default();
            return if is_flag { self.int(word.0[0] as u32) } else { self.long(word.0[0]) };
        };
        let ir = self.ir;
        let operands = ir.arguments_of(value);
        let is_i32 = match op {
            Op::Lt | Op::Gt | Op::Slt | Op::Sgt | Op::Eq | Op::Iszero => {
                self.comparison(op, operands);
                true
            }
            Op::And | Op::Or | Op::Xor
                if is_flag && operands.iter().all(|operand| ir.range(*operand).is_flag()) =>
            {
                self.flag(operands[0]);
                self.flag(operands[1]);
                match op {
                    Op::And => self.sink().i32_and(),
                    Op::Or => self.sink().i32_or(),
                    _ => self.sink().i32_xor(),
                };
                true
            }
            _ => {
                self.narrow(op, value, operands);
                false
            }
        };
        match (is_i32, is_flag) {
            (false, true) => {
                self.sink().i32_wrap_i64();
            }
            (true, false) => {
                self.sink().i64_extend_i32_u();
            }
            _ => {}
        }
    }

    fn narrow(&mut self, op: Op, value: V, operands: &[V]) {
        let narrow = operands.iter().all(|operand| self.limbs_of(*operand) == 1);
        match (op, operands) {
            (Op::Add | Op::Sub | Op::Mul | Op::And | Op::Or | Op::Xor, &[a, b]) => {
                self.limb(a, 0);
                self.limb(b, 0);
                match op {
                    Op::Add => self.sink().i64_add(),
                    Op::Sub => self.sink().i64_sub(),
                    Op::Mul => self.sink().i64_mul(),
                    Op::And => self.sink().i64_and(),
                    Op::Or => self.sink().i64_or(),
                    _ => self.sink().i64_xor(),
                };
            }
            (Op::Not, &[a]) => {
                self.limb(a, 0);
                self.long(u64::MAX);
                self.sink().i64_xor();
            }
            (Op::Div | Op::Mod, &[a, b]) if narrow && !self.ir.range(b).low.is_zero() => {
                self.limb(a, 0);
                self.limb(b, 0);
                match op {
                    Op::Div => self.sink().i64_div_u(),
                    _ => self.sink().i64_rem_u(),
                };
            }
            (Op::Mod, &[a, b]) if self.constant(b).is_some_and(power_of_two) => {
                let mask = self.constant(b).unwrap_or_default().sub(Word::from(1));
                self.limb(a, 0);
                self.long(mask.0[0]);
                self.sink().i64_and();
            }
            (Op::Shl, &[a, b]) if self.constant(a).is_some() => {
                // The result fits a limb, so the operand does.
                let by = self.constant(a).map_or(0, Word::shift_amount);
                self.limb(b, 0);
                self.long(u64::from(by));
                self.sink().i64_shl();
            }
            (Op::Shr, &[a, b]) if self.constant(a).is_some() => {
                let by = self.constant(a).map_or(0, Word::shift_amount);
                self.shifted_limb(b, by, 0);
            }
            (Op::Byte, &[a, b]) if self.constant(a).is_some() => {
                let index = self.constant(a).and_then(Word::as_u64).map_or(31, |i| i.min(31));
                let bit = 248 - 8 * index as u32;
                self.limb(b, (bit / 64) as usize);
                if !bit.is_multiple_of(64) {
                    self.long(u64::from(bit % 64));
                    self.sink().i64_shr_u();
                }
                if bit % 64 != 56 {
                    self.long(0xff);
                    self.sink().i64_and();
                }
            }
            (Op::Clz, &[a]) => {
                self.word(a);
                self.call(Function::Clz);
            }
            (Op::Calldatasize, _) => {
                self.sink().global_get(Global::CalldataLength.index());
                self.sink().i64_extend_i32_u();
            }
            (Op::Gaslimit | Op::Chainid, _) => {
                let at = layout::INPUT_AT + layout::frame_field(op).map_or(0, |(offset, _)| offset);
                self.int(0);
                self.sink().i64_load(wasm_encoder::MemArg {
                    offset: u64::from(at),
                    align: 0,
                    memory_index: 0,
                });
            }
            _ => {
                self.wide_on_stack(op, value, operands);
                self.sink().drop().drop().drop();
            }
        }
    }

    /// Pushes limb `place` of a value shifted right by a constant.
    pub fn shifted_limb(&mut self, value: V, by: u32, place: usize) {
        let (limbs, bits) = ((by / 64) as usize, by % 64);
        let count = self.limbs_of(value);
        let low = place + limbs;
        if low >= count {
            return self.long(0);
        }
        self.limb(value, low);
        if bits == 0 {
            return;
        }
        self.long(u64::from(bits));
        self.sink().i64_shr_u();
        if low + 1 < count {
            self.limb(value, low + 1);
            self.long(u64::from(64 - bits));
            self.sink().i64_shl().i64_or();
        }
    }

    /// Pushes the i32 of a comparison.
    fn comparison(&mut self, op: Op, operands: &[V]) {
        match (op, operands) {
            (Op::Iszero, &[a]) => {
                if self.ir.range(a).is_flag() {
                    self.flag(a);
                    self.sink().i32_eqz();
                } else {
                    self.any_limb(a, 0);
                    self.sink().i64_eqz();
                }
            }
            (Op::Eq, &[a, b]) => self.equal(a, b),
            (Op::Lt, &[a, b]) => self.less(a, b, false),
            (Op::Gt, &[a, b]) => self.less(b, a, false),
            (Op::Slt, &[a, b]) => self.less(a, b, true),
            (_, &[a, b]) => self.less(b, a, true),
            _ => self.int(0),
        }
    }

    fn equal(&mut self, a: V, b: V) {
        let count = self.limbs_of(a).max(self.limbs_of(b));
        if count == 1 {
            self.limb(a, 0);
            self.limb(b, 0);
            self.sink().i64_eq();
            return;
        }
        self.settle(a);
        self.settle(b);
        let mut some = false;
        for place in 0..count {
            let zero = |e: &Self, v: V| {
                place >= e.limbs_of(v) || e.constant(v).is_some_and(|w| w.0[place] == 0)
            };
            match (zero(self, a), zero(self, b)) {
                (true, true) => continue,
                (true, false) => self.limb(b, place),
                (false, true) => self.limb(a, place),
                _ => {
                    self.limb(a, place);
                    self.limb(b, place);
                    self.sink().i64_xor();
                }
            }
            if some {
                self.sink().i64_or();
            }
            some = true;
        }
        if !some {
            self.long(0);
        }
        self.sink().i64_eqz();
    }

    fn less(&mut self, a: V, b: V, signed: bool) {
        if signed && self.constant(b) == Some(Word::ZERO) {
            self.limb(a, 3);
            self.long(0);
            self.sink().i64_lt_s();
            return;
        }
        let count = if signed { 4 } else { self.limbs_of(a).max(self.limbs_of(b)) };
        if count == 1 {
            self.limb(a, 0);
            self.limb(b, 0);
            self.sink().i64_lt_u();
            return;
        }
        self.settle(a);
        self.settle(b);
        if !signed && self.limbs_of(a) == 1 {
            // Either b is beyond a limb, or the low limbs decide.
            self.limb(a, 0);
            self.limb(b, 0);
            self.sink().i64_lt_u();
            self.any_limb(b, 1);
            self.long(0);
            self.sink().i64_ne().i32_or();
            return;
        }
        if !signed && self.limbs_of(b) == 1 {
            self.limb(a, 0);
            self.limb(b, 0);
            self.sink().i64_lt_u();
            self.any_limb(a, 1);
            self.sink().i64_eqz().i32_and();
            return;
        }
        // low limbs less, or the next equal and those less, and so on upwards.
        self.limb(a, 0);
        self.limb(b, 0);
        self.sink().i64_lt_u();
        for place in 1..count {
            self.limb(a, place);
            self.limb(b, place);
            self.sink().i64_eq().i32_and();
            self.limb(a, place);
            self.limb(b, place);
            if signed && place == 3 {
                self.sink().i64_lt_s();
            } else {
                self.sink().i64_lt_u();
            }
            self.sink().i32_or();
        }
    }
}

pub fn power_of_two(word: Word) -> bool {
    !word.is_zero() && word == Word::from(1).shl(word.bits() - 1)
}
