//! Results of more than one limb, and the runtime functions that compute words.
//!
//! Additions and subtractions carry through `i64.add128` and `i64.sub128`: the low halves, the carry out of
//! them from their top bits, the high halves, the carry.

use super::emitter::Emitter;
use super::narrow::power_of_two;
use crate::ir::V;
use crate::opcode::Op;
use crate::runtime::{Function, layout};
use crate::word::Word;

impl Emitter<'_> {
    /// Computes a pure value of several limbs into its locals. No local of an operand is one of them.
    pub fn wide(&mut self, value: V) {
        let Some(op) = self.ir.op(value) else { return };
        let ir = self.ir;
        let operands = ir.arguments_of(value);
        for operand in operands {
            self.settle(*operand);
        }
        let (to, count) = self.locals_of(value);
        match (op, operands) {
            (Op::Add, &[a, b]) => self.add(a, b, &to[..count]),
            (Op::Sub, &[a, b]) => self.subtract(a, b, &to[..count]),
            (Op::And | Op::Or | Op::Xor, &[a, b]) => {
                for place in 0..count {
                    self.bitwise(op, a, b, place);
                    self.set(to[place]);
                }
            }
            (Op::Not, &[a]) => {
                for place in 0..count {
                    self.limb(a, place);
                    self.long(u64::MAX);
                    self.sink().i64_xor();
                    self.set(to[place]);
                }
            }
            (Op::Mul, &[a, b]) if self.limbs_of(a) == 1 && self.limbs_of(b) == 1 && count == 2 => {
                self.limb(a, 0);
                self.limb(b, 0);
                self.sink().i64_mul_wide_u();
                self.set(to[1]);
                self.set(to[0]);
            }
            (Op::Shr, &[a, b]) if self.constant(a).is_some() => {
                let by = self.constant(a).map_or(0, Word::shift_amount);
                for place in 0..count {
                    self.shifted_limb(b, by, place);
                    self.set(to[place]);
                }
            }
            (Op::Shl, &[a, b]) if self.constant(a).is_some() => {
                let by = self.constant(a).map_or(0, Word::shift_amount);
                self.shift_left(b, by, &to[..count]);
            }
            (Op::Sar, &[a, b]) if self.constant(a).is_some() => {
                let by = self.constant(a).map_or(0, Word::shift_amount);
                self.shift_right_signed(b, by, &to[..count]);
            }
            (Op::Signextend, &[a, b]) if self.constant(a).is_some() => {
                let index = self.constant(a).map_or(31, |word| word.0[0].min(31)) as u32;
                self.sign_extend(b, index, &to[..count]);
            }
            (Op::Mod, &[a, b]) if self.constant(b).is_some_and(power_of_two) => {
                let mask = self.constant(b).unwrap_or_default().sub(Word::from(1));
                for place in 0..count {
                    self.limb(a, place);
                    self.long(mask.0[place]);
                    self.sink().i64_and();
                    self.set(to[place]);
                }
            }
            _ => {
                self.wide_on_stack(op, value, operands);
                self.receive_word(value);
            }
        }
    }

    /// Pushes the four limbs of a pure result that a runtime function or the frame input gives.
    pub fn wide_on_stack(&mut self, op: Op, _value: V, operands: &[V]) {
        if let Some((offset, limbs)) = layout::frame_field(op) {
            for place in 0..4 {
                if place < limbs {
                    self.int(0);
                    self.sink().i64_load(wasm_encoder::MemArg {
                        offset: u64::from(layout::INPUT_AT + offset) + 8 * place as u64,
                        align: 0,
                        memory_index: 0,
                    });
                } else {
                    self.long(0);
                }
            }
            return;
        }
        let function = match op {
            Op::Mul => Function::Mul,
            Op::Div => Function::Div,
            Op::Sdiv => Function::Sdiv,
            Op::Mod => Function::Mod,
            Op::Smod => Function::Smod,
            Op::Addmod => Function::Addmod,
            Op::Mulmod => Function::Mulmod,
            Op::Signextend => Function::SignExtend,
            Op::Byte => Function::Byte,
            Op::Shl => Function::Shl,
            Op::Shr => Function::Shr,
            Op::Sar => Function::Sar,
            _ => Function::CalldataLoad,
        };
        for operand in operands {
            self.word(*operand);
        }
        self.call(function);
    }

    fn add(&mut self, a: V, b: V, to: &[u32]) {
        self.limb(a, 0);
        if to.len() == 1 {
            self.limb(b, 0);
            self.sink().i64_add();
            return self.set(to[0]);
        }
        self.limb(a, 1);
        self.limb(b, 0);
        self.limb(b, 1);
        self.sink().i64_add128();
        self.set(to[1]);
        self.set(to[0]);
        if to.len() == 2 {
            return;
        }
        // Carry: the top bits of both, or one of them without that of the sum.
        self.carry(a, b, to[1]);
        if to.len() == 3 {
            self.limb(a, 2);
            self.sink().i64_add();
            self.limb(b, 2);
            self.sink().i64_add();
            return self.set(to[2]);
        }
        self.set(to[2]);
        self.limb(a, 2);
        self.limb(a, 3);
        self.limb(b, 2);
        self.limb(b, 3);
        self.sink().i64_add128();
        self.get(to[2]);
        self.long(0);
        self.sink().i64_add128();
        self.set(to[3]);
        self.set(to[2]);
    }

    fn carry(&mut self, a: V, b: V, sum: u32) {
        let narrow =
            |e: &Self, v: V| e.limbs_of(v) < 2 || e.constant(v).is_some_and(|word| word.0[1] == 0);
        if narrow(self, a) && narrow(self, b) {
            return self.long(0);
        }
        if narrow(self, a) || narrow(self, b) {
            // The sum's upper limb is zero only if it wrapped or the operand's was.
            let wide = if narrow(self, a) { b } else { a };
            self.get(sum);
            self.limb(wide, 1);
            self.sink().i64_lt_u().i64_extend_i32_u();
            return;
        }
        self.limb(a, 1);
        self.limb(b, 1);
        self.sink().i64_and();
        self.limb(a, 1);
        self.limb(b, 1);
        self.sink().i64_or();
        self.get(sum);
        self.long(u64::MAX);
        self.sink().i64_xor().i64_and().i64_or();
        self.long(63);
        self.sink().i64_shr_u();
    }

    fn subtract(&mut self, a: V, b: V, to: &[u32]) {
        self.limb(a, 0);
        if to.len() == 1 {
            self.limb(b, 0);
            self.sink().i64_sub();
            return self.set(to[0]);
        }
        self.limb(a, 1);
        self.limb(b, 0);
        self.limb(b, 1);
        self.sink().i64_sub128();
        self.set(to[1]);
        self.set(to[0]);
        if to.len() == 2 {
            return;
        }
        let with_borrow = |e: &mut Self| {
            // a - b borrows if a's low half is less than b's: the difference is then more than a.
            let narrow = e.limbs_of(b) < 2 || e.constant(b).is_some_and(|word| word.0[1] == 0);
            if narrow {
                e.limb(a, 1);
                e.get(to[1]);
                e.sink().i64_lt_u().i64_extend_i32_u();
            } else {
                e.limb(a, 1);
                e.limb(b, 1);
                e.sink().i64_lt_u();
                e.limb(a, 1);
                e.limb(b, 1);
                e.sink().i64_eq();
                e.limb(a, 0);
                e.limb(b, 0);
                e.sink().i64_lt_u().i32_and().i32_or().i64_extend_i32_u();
            }
        };
        if to.len() == 3 {
            self.limb(a, 2);
            self.limb(b, 2);
            self.sink().i64_sub();
            with_borrow(self);
            self.sink().i64_sub();
            return self.set(to[2]);
        }
        with_borrow(self);
        self.set(to[2]);
        self.limb(a, 2);
        self.limb(a, 3);
        self.limb(b, 2);
        self.limb(b, 3);
        self.sink().i64_sub128();
        self.get(to[2]);
        self.long(0);
        self.sink().i64_sub128();
        self.set(to[3]);
        self.set(to[2]);
    }

    /// Pushes one limb of AND, OR or XOR.
    fn bitwise(&mut self, op: Op, a: V, b: V, place: usize) {
        let word = self.constant(a).or(self.constant(b)).map(|word| word.0[place]);
        let other = if self.constant(a).is_some() { b } else { a };
        let beyond = |e: &Self, v: V| place >= e.limbs_of(v);
        match (op, word) {
            (Op::And, Some(0)) => return self.long(0),
            (Op::And, Some(u64::MAX)) | (Op::Or | Op::Xor, Some(0)) => {
                return self.limb(other, place);
            }
            (Op::Or | Op::Xor, None) if beyond(self, a) => return self.limb(b, place),
            (Op::Or | Op::Xor, None) if beyond(self, b) => return self.limb(a, place),
            _ => {}
        }
        self.limb(a, place);
        self.limb(b, place);
        match op {
            Op::And => self.sink().i64_and(),
            Op::Or => self.sink().i64_or(),
            _ => self.sink().i64_xor(),
        };
    }

    fn shift_left(&mut self, value: V, by: u32, to: &[u32]) {
        let (limbs, bits) = ((by / 64) as usize, by % 64);
        let count = self.limbs_of(value);
        for (place, local) in to.iter().enumerate() {
            match place.checked_sub(limbs) {
                Some(from) if from < count || (bits > 0 && from > 0 && from - 1 < count) => {
                    self.limb(value, from);
                    if bits > 0 {
                        self.long(u64::from(bits));
                        self.sink().i64_shl();
                        if from > 0 {
                            self.limb(value, from - 1);
                            self.long(u64::from(64 - bits));
                            self.sink().i64_shr_u().i64_or();
                        }
                    }
                }
                _ => self.long(0),
            }
            self.set(*local);
        }
    }

    fn shift_right_signed(&mut self, value: V, by: u32, to: &[u32]) {
        let by = by.min(255);
        let (limbs, bits) = ((by / 64) as usize, by % 64);
        for (place, local) in to.iter().enumerate() {
            let from = place + limbs;
            if from > 3 {
                self.limb(value, 3);
                self.long(63);
                self.sink().i64_shr_s();
            } else {
                self.limb(value, from);
                if bits > 0 && from == 3 {
                    self.long(u64::from(bits));
                    self.sink().i64_shr_s();
                } else if bits > 0 {
                    self.long(u64::from(bits));
                    self.sink().i64_shr_u();
                    self.limb(value, from + 1);
                    self.long(u64::from(64 - bits));
                    self.sink().i64_shl().i64_or();
                }
            }
            self.set(*local);
        }
    }

    fn sign_extend(&mut self, value: V, index: u32, to: &[u32]) {
        let top = (index / 8) as usize;
        let unused = 64 - 8 * (u64::from(index) % 8 + 1);
        for (place, local) in to.iter().enumerate() {
            if place < top {
                self.limb(value, place);
            } else if place == top {
                self.limb(value, place);
                if unused > 0 {
                    self.long(unused);
                    self.sink().i64_shl();
                    self.long(unused);
                    self.sink().i64_shr_s();
                }
            } else {
                self.get(to[top]);
                self.long(63);
                self.sink().i64_shr_s();
            }
            self.set(*local);
        }
    }
}
