//! Shifts of words, and what picks or spreads bits of one.

use super::Function;
use super::code::{Code, Local, Word};

/// SHL (EIP-145).
pub(super) fn shl(c: &mut Code<'_>) {
    let (shift, value) = (c.parameter_word(), c.parameter_word());
    let rest = c.long();
    beyond_a_word(c, shift);
    c.if_();
    c.zero_word().return_().end();
    whole_limbs(c, shift[0], |c, limbs| {
        for limb in (0..4).rev() {
            if limb >= limbs { c.get(value[limb - limbs]) } else { c.l(0) }.set(value[limb]);
        }
    });
    bits_left(c, shift[0], |c| {
        c.l(64).get(shift[0]).i64_sub().set(rest);
        for limb in (0..4).rev() {
            c.get(value[limb]).get(shift[0]).i64_shl();
            if limb > 0 {
                c.get(value[limb - 1]).get(rest).i64_shr_u().i64_or();
            }
            c.set(value[limb]);
        }
    });
    c.get_word(value);
}

/// SHR (EIP-145).
pub(super) fn shr(c: &mut Code<'_>) {
    right(c, false);
}

/// SAR (EIP-145).
pub(super) fn sar(c: &mut Code<'_>) {
    right(c, true);
}

fn right(c: &mut Code<'_>, signed: bool) {
    let (shift, value) = (c.parameter_word(), c.parameter_word());
    let [rest, sign] = c.longs();
    if signed {
        c.get(value[3]).l(63).i64_shr_s().set(sign);
    }
    // A local nobody sets is zero.
    beyond_a_word(c, shift);
    c.if_();
    for _ in 0..4 {
        c.get(sign);
    }
    c.return_().end();
    whole_limbs(c, shift[0], |c, limbs| {
        for limb in 0..4 {
            if limb + limbs < 4 { c.get(value[limb + limbs]) } else { c.get(sign) }
                .set(value[limb]);
        }
    });
    bits_left(c, shift[0], |c| {
        c.l(64).get(shift[0]).i64_sub().set(rest);
        for limb in 0..4 {
            c.get(value[limb]).get(shift[0]);
            match limb {
                3 if signed => c.i64_shr_s(),
                _ => c.i64_shr_u(),
            };
            if limb < 3 {
                c.get(value[limb + 1]).get(rest).i64_shl().i64_or();
            }
            c.set(value[limb]);
        }
    });
    c.get_word(value);
}

/// Whether a shift is 256 or more, on the stack.
fn beyond_a_word(c: &mut Code<'_>, shift: Word) {
    c.get(shift[0]).l(8).i64_shr_u().any(&shift.0[1..]).i64_or().i64_eqz().i32_eqz();
}

/// Moves by two limbs and by one, as the bits of `shift` say.
fn whole_limbs(c: &mut Code<'_>, shift: Local, by: impl Fn(&mut Code<'_>, usize)) {
    for limbs in [2, 1] {
        c.get(shift).l(64 * limbs as i64).i64_and().i64_eqz().i32_eqz().if_();
        by(c, limbs);
        c.end();
    }
}

/// What is left to shift, unless it is nothing: a shift by 64 would be one by 0.
fn bits_left(c: &mut Code<'_>, shift: Local, by: impl Fn(&mut Code<'_>)) {
    c.get(shift).l(63).i64_and().tee(shift).i64_eqz().i32_eqz().if_();
    by(c);
    c.end();
}

/// SIGNEXTEND: from the top bit of byte `index`, counted from the lowest.
pub(super) fn sign_extend(c: &mut Code<'_>) {
    let (index, value) = (c.parameter_word(), c.parameter_word());
    let [rest, sign, place] = c.longs();
    c.get(index[0]).l(31).i64_ge_u().any(&index.0[1..]).i64_eqz().i32_eqz().i32_or().if_();
    c.get_word(value).return_().end();
    c.get(index[0]).l(3).i64_shr_u().set(place);
    c.l(56).get(index[0]).l(7).i64_and().l(3).i64_shl().i64_sub().set(rest);
    // The limb with the sign, extended; then what is above it.
    pick(c, value, place);
    c.get(rest).i64_shl().get(rest).i64_shr_s().set(rest);
    c.get(rest).l(63).i64_shr_s().set(sign);
    for limb in 0..4 {
        c.get(value[limb]);
        c.get(rest).get(sign).get(place).l(limb as i64).i64_eq().select();
        c.get(place).l(limb as i64).i64_gt_u().select();
    }
}

/// BYTE: counted from the highest.
pub(super) fn byte(c: &mut Code<'_>) {
    let (index, value) = (c.parameter_word(), c.parameter_word());
    let place = c.long();
    c.get(index[0]).l(32).i64_ge_u().any(&index.0[1..]).i64_eqz().i32_eqz().i32_or().if_();
    c.zero_word().return_().end();
    c.l(3).get(index[0]).l(3).i64_shr_u().i64_sub().set(place);
    pick(c, value, place);
    c.l(7).get(index[0]).l(7).i64_and().i64_sub().l(3).i64_shl().i64_shr_u().l(255).i64_and();
    c.l(0).l(0).l(0);
}

/// The limb that `place` says, on the stack.
fn pick(c: &mut Code<'_>, value: Word, place: Local) {
    let bit = |c: &mut Code<'_>, bit: i64| {
        c.get(place).l(bit).i64_and().i32_wrap_i64();
    };
    for pair in [2, 0] {
        c.get(value[pair + 1]).get(value[pair]);
        bit(c, 1);
        c.select();
    }
    bit(c, 2);
    c.select();
}

/// CLZ (EIP-7939): 256 for zero.
pub(super) fn clz(c: &mut Code<'_>) {
    let value = c.parameter_word();
    c.l(256).bit_length(value).i64_sub();
}

/// The eight bytes of a limb, turned.
pub(super) fn byte_swap(c: &mut Code<'_>) {
    let x = c.parameter();
    let masks = c.swap_masks();
    c.get(x).swap_bytes(x, masks);
}

/// A word from 32 bytes, the highest first.
pub(super) fn load_big_endian(c: &mut Code<'_>) {
    let pointer = c.parameter();
    for limb in (0..4).rev() {
        c.get(pointer).load64(8 * limb).call(Function::ByteSwap);
    }
}
