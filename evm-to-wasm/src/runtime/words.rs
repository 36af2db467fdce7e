//! Shifts by any number of bits, single bytes, and the order of bytes.

use super::code::{Code, Local, Word};

/// SHL: whole limbs first, by 128 and by 64 bits, then the bits within a limb.
pub(super) fn shl(c: &mut Code<'_>) {
    let (shift, value) = (c.parameter_word(), c.parameter_word());
    let shifted = c.word();
    at_least_256(c, shift);
    c.if_();
    c.zero_word().return_().end();

    for limbs in [2, 1] {
        c.get(shift[0]).l(64 * limbs as i64).i64_and().i32_wrap_i64().if_();
        for limb in (limbs..4).rev() {
            c.get(value[limb - limbs]).set(value[limb]);
        }
        for limb in 0..limbs {
            c.l(0).set(value[limb]);
        }
        c.end();
    }
    c.get(shift[0]).l(63).i64_and().tee(shift[0]).i64_eqz().if_();
    c.get_word(value).return_().end();
    c.shift_left(&value.0, shift[0], &shifted.0);
    c.get_word(shifted);
}

/// SHR.
pub(super) fn shr(c: &mut Code<'_>) {
    right(c, false);
}

/// SAR.
pub(super) fn sar(c: &mut Code<'_>) {
    right(c, true);
}

/// A shift to the right; what comes in from above is zero, or the sign.
fn right(c: &mut Code<'_>, signed: bool) {
    let (shift, value) = (c.parameter_word(), c.parameter_word());
    let fill = c.long();
    if signed {
        c.get(value[3]).l(63).i64_shr_s().set(fill);
    }
    at_least_256(c, shift);
    c.if_();
    c.get(fill).get(fill).get(fill).get(fill).return_().end();

    for limbs in [2, 1] {
        c.get(shift[0]).l(64 * limbs as i64).i64_and().i32_wrap_i64().if_();
        for limb in 0..4 - limbs {
            c.get(value[limb + limbs]).set(value[limb]);
        }
        for limb in 4 - limbs..4 {
            c.get(fill).set(value[limb]);
        }
        c.end();
    }
    c.get(shift[0]).l(63).i64_and().set(shift[0]);
    c.get_shifted_right(&value.0, shift[0]);
    if signed {
        c.drop().get(value[3]).get(shift[0]).i64_shr_s();
    }
}

/// Leaves on the stack, as an i32, whether a word is 256 or more.
fn at_least_256(c: &mut Code<'_>, word: Word) {
    c.get(word[0]).l(8).i64_shr_u().any(&word.0[1..]).i64_or().i64_eqz().i32_eqz();
}

/// SIGNEXTEND: from the byte with this index, the lowest being 0.
pub(super) fn sign_extend(c: &mut Code<'_>) {
    let (index, value) = (c.parameter_word(), c.parameter_word());
    let [place, unused, limb, fill] = c.longs();
    c.get(index[0]).l(31).i64_ge_u().any(&index.0[1..]).i64_eqz().i32_eqz().i32_or().if_();
    c.get_word(value).return_().end();

    c.get(index[0]).l(3).i64_shr_u().set(place);
    // Bits above the byte in its limb.
    c.l(7).get(index[0]).i64_sub().l(7).i64_and().l(3).i64_shl().set(unused);
    get_limb(c, value, place);
    c.get(unused).i64_shl().get(unused).i64_shr_s().tee(limb);
    c.l(63).i64_shr_s().set(fill);
    for at in 0..4 {
        c.get(limb);
        c.get(value[at]).get(fill).get(place).l(at as i64).i64_gt_u().select();
        c.get(place).l(at as i64).i64_eq().select();
    }
}

/// BYTE: the highest byte has index 0.
pub(super) fn byte(c: &mut Code<'_>) {
    let (index, value) = (c.parameter_word(), c.parameter_word());
    let place = c.long();
    c.get(index[0]).l(32).i64_ge_u().any(&index.0[1..]).i64_eqz().i32_eqz().i32_or().if_();
    c.zero_word().return_().end();

    // From below, the byte is number 31 less the index.
    c.l(31).get(index[0]).i64_sub().tee(index[0]).l(3).i64_shr_u().set(place);
    get_limb(c, value, place);
    // A shift takes its amount modulo 64.
    c.get(index[0]).l(3).i64_shl().i64_shr_u().l(255).i64_and();
    c.l(0).l(0).l(0);
}

/// Leaves on the stack the limb of `word` with the index that `place` holds.
fn get_limb(c: &mut Code<'_>, word: Word, place: Local) {
    c.get_word(word);
    for at in (0..3).rev() {
        c.get(place).l(at).i64_eq().select();
    }
}

/// CLZ.
pub(super) fn clz(c: &mut Code<'_>) {
    let value = c.parameter_word();
    c.l(256).bit_length(value).i64_sub();
}

/// Turns a limb.
pub(super) fn byte_swap(c: &mut Code<'_>) {
    let limb = c.parameter();
    let masks = c.swap_masks();
    c.get(limb).swap_bytes(limb, masks);
}

/// A word from 32 bytes of linear memory, the highest first.
pub(super) fn load_big_endian(c: &mut Code<'_>) {
    let pointer = c.parameter();
    let limb = c.long();
    let masks = c.swap_masks();
    for offset in [24, 16, 8, 0] {
        c.get(pointer).load64(offset).swap_bytes(limb, masks);
    }
}
