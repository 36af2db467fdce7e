//! Products, sums modulo a word, signed division, powers.

use super::Function;
use super::code::{Code, Local, Word};

/// MUL: the lower half of the product, row by row. A carry stays on the stack, the low half of a pair.
pub(super) fn mul(c: &mut Code<'_>) {
    let (a, b) = (c.parameter_word(), c.parameter_word());
    let [r1, r2, r3] = c.longs();
    c.get(a[0]).get(b[0]).i64_mul_wide_u();
    c.l(0).get(a[0]).get(b[1]).i64_mul_wide_u().i64_add128();
    c.l(0).get(a[0]).get(b[2]).i64_mul_wide_u().i64_add128();
    c.get(a[0]).get(b[3]).i64_mul().i64_add().set(r3).set(r2).set(r1);

    c.get(a[1]).get(b[0]).i64_mul_wide_u().get(r1).l(0).i64_add128();
    c.l(0).get(a[1]).get(b[1]).i64_mul_wide_u().i64_add128().get(r2).l(0).i64_add128();
    c.get(a[1]).get(b[2]).i64_mul().i64_add().get(r3).i64_add().set(r3).set(r2);

    c.get(a[2]).get(b[0]).i64_mul_wide_u().get(r2).l(0).i64_add128();
    c.get(a[2]).get(b[1]).i64_mul().i64_add().get(r3).i64_add();
    c.get(a[3]).get(b[0]).i64_mul().i64_add();
}

/// The whole product of two words.
pub(super) fn product(c: &mut Code<'_>, a: Word, b: Word, into: &[Local; 8]) {
    for row in 0..4 {
        for column in 0..4 {
            if column > 0 {
                c.l(0);
            }
            c.get(a[row]).get(b[column]).i64_mul_wide_u();
            if column > 0 {
                c.i64_add128();
            }
            if row > 0 {
                c.get(into[row + column]).l(0).i64_add128();
            }
        }
        c.set_all(&into[row..row + 5]);
    }
}

/// SDIV: of the absolute values, negative if one operand is (Yellow Paper, H.2).
pub(super) fn sdiv(c: &mut Code<'_>) {
    let (a, b) = (c.parameter_word(), c.parameter_word());
    let [sign, carry] = c.longs();
    c.get(a[3]).get(b[3]).i64_xor().set(sign);
    absolute(c, a, carry);
    absolute(c, b, carry);
    narrow_or(c, a, b, Function::Div);
    signed(c, a, sign, carry);
}

/// SMOD: of the absolute values, with the sign of the dividend.
pub(super) fn smod(c: &mut Code<'_>) {
    let (a, b) = (c.parameter_word(), c.parameter_word());
    let [sign, carry] = c.longs();
    c.get(a[3]).set(sign);
    absolute(c, a, carry);
    absolute(c, b, carry);
    narrow_or(c, a, b, Function::Mod);
    signed(c, a, sign, carry);
}

/// `a` becomes what DIV or MOD gives; most operands have one limb.
fn narrow_or(c: &mut Code<'_>, a: Word, b: Word, function: Function) {
    c.any(&a.0[1..]).any(&b.0[1..]).i64_or().i64_eqz().get(b[0]).i64_eqz().i32_gt_u().if_();
    c.get(a[0]).get(b[0]);
    if function == Function::Div { c.i64_div_u() } else { c.i64_rem_u() }.set(a[0]);
    c.else_();
    c.get_word(a).get_word(b).call(function).set_word(a).end();
}

fn absolute(c: &mut Code<'_>, word: Word, carry: Local) {
    c.get(word[3]).l(0).i64_lt_s().if_();
    c.negate(word, carry);
    c.end();
}

fn signed(c: &mut Code<'_>, word: Word, sign: Local, carry: Local) {
    c.get(sign).l(0).i64_lt_s().if_();
    c.negate(word, carry);
    c.end();
    c.get_word(word);
}

/// EXP: 50 gas a byte of the exponent (EIP-160), then powers of two by a shift, others by squaring.
pub(super) fn exp(c: &mut Code<'_>) {
    let gas = c.parameter();
    let (base, exponent) = (c.parameter_word(), c.parameter_word());
    let result = c.word();
    let (shift, one) = (c.long(), c.long());

    c.get(gas);
    c.bit_length(exponent);
    c.l(7).i64_add().l(3).i64_shr_u().l(50).i64_mul().i64_sub().tee(gas);
    c.l(0).i64_lt_s().if_();
    c.zero_word().get(gas).return_().end();

    // A base that is a power of two.
    c.any(&base.0[1..]).i64_eqz().get(base[0]).i64_popcnt().l(1).i64_eq().i32_and().if_();
    {
        // An exponent of 256 and more shifts everything out, unless the base is one.
        c.any(&exponent.0[1..]).i64_eqz().get(exponent[0]).l(256).i64_lt_u().i32_and().if_();
        c.get(exponent[0]).get(base[0]).i64_ctz().i64_mul().set(shift);
        c.else_();
        c.l(0).l(256).get(base[0]).l(1).i64_eq().select().set(shift);
        c.end();
        c.l(1).get(shift).i64_shl().set(one);
        c.get(shift).l(6).i64_shr_u().set(shift);
        for limb in 0..4 {
            c.get(one).l(0).get(shift).l(limb).i64_eq().select();
        }
        c.get(gas).return_().end();
    }

    c.l(1).set(result[0]);
    let done = c.block();
    let again = c.loop_();
    {
        c.get(exponent[0]).l(1).i64_and().i64_eqz().i32_eqz().if_();
        c.get_word(result).get_word(base).call(Function::Mul).set_word(result).end();
        c.any(&exponent.0[1..]).i64_eqz().if_();
        c.get(exponent[0]).l(1).i64_shr_u().tee(exponent[0]).i64_eqz().br_if(done);
        c.else_();
        for limb in 0..4 {
            c.get(exponent[limb]).l(1).i64_shr_u();
            if limb < 3 {
                c.get(exponent[limb + 1]).l(63).i64_shl().i64_or();
            }
            c.set(exponent[limb]);
        }
        c.end();
        c.get_word(base).get_word(base).call(Function::Mul).set_word(base).br(again);
    }
    c.end().end();
    c.get_word(result).get(gas);
}

impl Code<'_> {
    /// Bits of a word without leading zeros, on the stack.
    pub(super) fn bit_length(&mut self, word: Word) -> &mut Self {
        let length = self.long();
        let done = self.block();
        for limb in (0..4).rev() {
            self.l(64 * (limb as i64 + 1)).get(word[limb]).i64_clz().i64_sub().set(length);
            if limb > 0 {
                self.get(word[limb]).i64_eqz().i32_eqz().br_if(done);
            }
        }
        self.end();
        self.get(length)
    }
}
