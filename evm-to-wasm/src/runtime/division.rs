//! Division of words and of products: Knuth's algorithm D over limbs of 64 bits with reciprocals instead of
//! divisions (Möller and Granlund, "Improved division by invariant integers", 2011; its algorithms by number).
//!
//! A divisor is shifted left until its top bit is set, the dividend with it. One step brings the remainder so
//! far, as long as the divisor, and one more limb of the dividend to a digit of the quotient and a new
//! remainder. Division by zero gives zero (Yellow Paper, H.2).

use super::Function;
use super::code::{Code, Local, Word};

/// DIV.
pub(super) fn div(c: &mut Code<'_>) {
    let (a, b) = (c.parameter_word(), c.parameter_word());
    of_limbs(c, a, b, |c| {
        c.i64_div_u();
    });
    c.get_word(a).get_word(b).call(Function::DivRem).drop().drop().drop().drop();
}

/// MOD.
pub(super) fn rem(c: &mut Code<'_>) {
    let (a, b) = (c.parameter_word(), c.parameter_word());
    of_limbs(c, a, b, |c| {
        c.i64_rem_u();
    });
    c.get_word(a).get_word(b).call(Function::DivRem).set_word(a).drop().drop().drop().drop();
    c.get_word(a);
}

/// Where both operands have one limb, leaves the function with what `operator` makes of them.
fn of_limbs(c: &mut Code<'_>, a: Word, b: Word, operator: impl FnOnce(&mut Code<'_>)) {
    c.any(&[a[1], a[2], a[3], b[1], b[2], b[3]]).i64_eqz().if_();
    c.get(b[0]).i64_eqz().if_();
    c.zero_word().return_().end();
    c.get(a[0]).get(b[0]);
    operator(c);
    c.l(0).l(0).l(0).return_().end();
}

/// Quotient and remainder of words.
pub(super) fn div_rem(c: &mut Code<'_>) {
    let (a, b) = (c.parameter_word(), c.parameter_word());
    c.below(a, b).if_();
    c.zero_word().get_word(a).return_().end();
    c.any(&b.0[1..]).i64_eqz().if_();
    {
        c.get(b[0]).l(32).i64_shr_u().i64_eqz().if_();
        by_half_a_limb(c, a, b[0]);
        c.return_().end();
        by_one_limb(c, a, b[0]);
        c.return_();
    }
    c.end();
    c.any(&b.0[2..]).i64_eqz().if_();
    by_two_limbs(c, a, b);
    c.return_().end();
    by_more_limbs(c, a, b);
}

/// By a divisor below 2^32: halves of limbs.
fn by_half_a_limb(c: &mut Code<'_>, a: Word, b: Local) {
    let [remainder, upper, high] = c.longs();
    c.get(b).i64_eqz().if_();
    c.zero_word().zero_word().return_().end();
    for limb in (0..4).rev() {
        c.get(remainder).l(32).i64_shl().get(a[limb]).l(32).i64_shr_u().i64_or().tee(upper);
        c.get(b).i64_div_u().set(high);
        c.get(upper).get(b).i64_rem_u().l(32).i64_shl();
        c.get(a[limb]).l(0xffff_ffff).i64_and().i64_or().tee(upper);
        c.get(b).i64_div_u().get(high).l(32).i64_shl().i64_or().set(a[limb]);
        c.get(upper).get(b).i64_rem_u().set(remainder);
    }
    c.get_word(a).get(remainder).l(0).l(0).l(0);
}

/// By a divisor of one limb, not zero.
fn by_one_limb(c: &mut Code<'_>, a: Word, b: Local) {
    let u: [Local; 5] = c.longs();
    let quotient = c.word();
    let [shift, reciprocal] = c.longs();
    let by = Divisor { limbs: &[b], reciprocal, temporary: c.longs() };
    c.get(b).i64_clz().set(shift);
    c.get(b).get(shift).i64_shl().tee(b).call(Function::Reciprocal).set(reciprocal);
    c.shift_left_wide(&a.0, shift, &u);
    // A dividend of two limbs, which is usual, has two digits.
    c.get(u[4]).get(u[3]).i64_or().i64_eqz().if_();
    c.get(u[2]).set(u[4]).else_();
    step_of_one(c, &by, u[4], u[3], quotient[3]);
    step_of_one(c, &by, u[4], u[2], quotient[2]);
    c.end();
    step_of_one(c, &by, u[4], u[1], quotient[1]);
    step_of_one(c, &by, u[4], u[0], quotient[0]);
    c.get_word(quotient).get(u[4]).get(shift).i64_shr_u().l(0).l(0).l(0);
}

/// By a divisor of two limbs.
fn by_two_limbs(c: &mut Code<'_>, a: Word, b: Word) {
    let u: [Local; 5] = c.longs();
    let quotient = c.word();
    let [shift, reciprocal] = c.longs();
    let d: [Local; 2] = c.longs();
    let by = Divisor { limbs: &d, reciprocal, temporary: c.longs() };
    c.get(b[1]).i64_clz().set(shift);
    c.shift_left(&b.0[..2], shift, &d);
    c.get(d[1]).get(d[0]).call(Function::ReciprocalOfTwo).set(reciprocal);
    c.shift_left_wide(&a.0, shift, &u);
    let remainder = [u[3], u[4]];
    c.any(&remainder).i64_eqz().if_();
    c.get(u[2]).set(u[3]).else_();
    three_by_two(c, &by, remainder, u[2], quotient[2]);
    c.end();
    three_by_two(c, &by, remainder, u[1], quotient[1]);
    three_by_two(c, &by, remainder, u[0], quotient[0]);
    c.get_word(quotient).get_shifted_right(&remainder, shift).l(0).l(0);
}

/// By a divisor of three or four limbs; one of three gets a fourth below it, as the dividend does.
fn by_more_limbs(c: &mut Code<'_>, a: Word, b: Word) {
    let u: [Local; 5] = c.longs();
    let [shift, reciprocal, first, second, zero] = c.longs();
    let three = c.int();
    let d = c.word();
    let by = Divisor { limbs: &d.0, reciprocal, temporary: c.longs() };
    c.get(b[3]).i64_eqz().tee(three).if_();
    c.get(b[2]).set(b[3]).get(b[1]).set(b[2]).get(b[0]).set(b[1]).l(0).set(b[0]).end();
    c.get(b[3]).i64_clz().set(shift);
    c.shift_left(&b.0, shift, &d.0);
    c.get(d[3]).get(d[2]).call(Function::ReciprocalOfTwo).set(reciprocal);
    c.shift_left_wide(&a.0, shift, &u);
    let remainder = step_of_four(c, &by, [u[1], u[2], u[3], u[4]], u[0], first);
    c.get(three).if_();
    {
        let remainder = step_of_four(c, &by, remainder, zero, second);
        c.get(second).get(first).l(0).l(0);
        // The limb below is zero again.
        c.get_shifted_right(&remainder[1..], shift).l(0).return_();
    }
    c.end();
    c.get(first).l(0).l(0).l(0).get_shifted_right(&remainder, shift);
}

/// `floor((2^128 - 1) / d) - 2^64` for a `d` with its top bit set: algorithm 3, its table replaced by the
/// division that made it.
pub(super) fn reciprocal(c: &mut Code<'_>) {
    let d = c.parameter();
    let [d40, v, e] = c.longs();
    c.get(d).l(24).i64_shr_u().l(1).i64_add().set(d40);
    c.l((1 << 19) - 3 * (1 << 8)).get(d).l(55).i64_shr_u().i64_div_u().set(v);
    // v1 = 2^11 v0 - floor(v0^2 d40 / 2^40) - 1
    c.get(v).l(11).i64_shl();
    c.get(v).get(v).i64_mul().get(d40).i64_mul().l(40).i64_shr_u().i64_sub();
    c.l(1).i64_sub().set(v);
    // v2 = 2^13 v1 + floor(v1 (2^60 - v1 d40) / 2^47)
    c.get(v).l(13).i64_shl();
    c.get(v).l(1 << 60).get(v).get(d40).i64_mul().i64_sub().i64_mul();
    c.l(47).i64_shr_u().i64_add().set(v);
    // e = floor(v2 / 2) d0 - v2 d63, with d63 = ceil(d / 2)
    c.get(v).l(1).i64_shr_u().l(0).get(d).l(1).i64_and().i64_sub().i64_and();
    c.get(v).get(d).l(1).i64_shr_u().get(d).l(1).i64_and().i64_add().i64_mul().i64_sub().set(e);
    // v3 = 2^31 v2 + floor(v2 e / 2^65)
    c.get(v).l(31).i64_shl();
    c.get(v).get(e).i64_mul_wide_u().l(1).i64_shr_u().set(e).drop();
    c.get(e).i64_add().set(v);
    // v4 = v3 - floor((v3 + 2^64 + 1) d / 2^64)
    c.get(v).get(d).i64_mul_wide_u().get(d).l(0).i64_add128().set(e).drop();
    c.get(v).get(e).i64_sub().get(d).i64_sub();
}

/// The reciprocal of two limbs, `d1` with its top bit set: algorithm 6.
pub(super) fn reciprocal_of_two(c: &mut Code<'_>) {
    let (d1, d0) = (c.parameter(), c.parameter());
    let [v, p, t0, t1] = c.longs();
    let decrement = |c: &mut Code<'_>| {
        c.get(v).l(1).i64_sub().set(v);
    };
    c.get(d1).call(Function::Reciprocal).tee(v).get(d1).i64_mul().get(d0).i64_add().tee(p);
    c.get(d0).i64_lt_u().if_();
    {
        decrement(c);
        c.get(p).get(d1).i64_ge_u().if_();
        decrement(c);
        c.get(p).get(d1).i64_sub().set(p).end();
        c.get(p).get(d1).i64_sub().set(p).end();
    }
    c.get(v).get(d0).i64_mul_wide_u().set(t1).set(t0);
    c.get(p).get(t1).i64_add().tee(p).get(t1).i64_lt_u().if_();
    {
        decrement(c);
        at_least(c, [t0, p], [d0, d1]);
        c.if_();
        decrement(c);
        c.end().end();
    }
    c.get(v);
}

/// Leaves on the stack whether two limbs, the lower first, are at least two others.
fn at_least(c: &mut Code<'_>, a: [Local; 2], b: [Local; 2]) {
    c.get(a[0]).get(b[0]).i64_ge_u();
    c.get(a[1]).get(b[1]).i64_gt_u();
    c.get(a[1]).get(b[1]).i64_eq().select();
}

/// What the steps of one body share.
struct Divisor<'d> {
    /// Its limbs, the lowest first, the top bit of the last set.
    limbs: &'d [Local],
    /// Reciprocal of its upper limb or two.
    reciprocal: Local,
    /// Free to use.
    temporary: [Local; 4],
}

/// A step for a divisor of one limb: algorithm 4. `remainder` and `next` become `quotient` and `remainder`.
fn step_of_one(c: &mut Code<'_>, by: &Divisor<'_>, remainder: Local, next: Local, quotient: Local) {
    let d = by.limbs[0];
    let [low, r, ..] = by.temporary;
    c.get(by.reciprocal).get(remainder).i64_mul_wide_u();
    c.get(next).get(remainder).i64_add128().l(1).i64_add().set(quotient).set(low);
    c.get(next).get(quotient).get(d).i64_mul().i64_sub().set(r);
    c.get(r).get(low).i64_gt_u().if_();
    c.get(quotient).l(1).i64_sub().set(quotient).get(r).get(d).i64_add().set(r).end();
    c.get(r).get(d).i64_ge_u().if_();
    c.get(quotient).l(1).i64_add().set(quotient).get(r).get(d).i64_sub().set(r).end();
    c.get(r).set(remainder);
}

/// Algorithm 5: three limbs, `next` the lowest, by the upper two of the divisor. The remainder, at the start
/// below these two, becomes the new one.
fn three_by_two(
    c: &mut Code<'_>,
    by: &Divisor<'_>,
    [u1, u2]: [Local; 2],
    next: Local,
    quotient: Local,
) {
    let n = by.limbs.len();
    let (d0, d1) = (by.limbs[n - 2], by.limbs[n - 1]);
    let [low, ..] = by.temporary;
    c.get(by.reciprocal).get(u2).i64_mul_wide_u().get(u1).get(u2).i64_add128();
    c.set(quotient).set(low);
    c.get(next).get(u1).get(quotient).get(d1).i64_mul().i64_sub();
    c.get(d0).get(quotient).i64_mul_wide_u().i64_sub128();
    c.get(d0).get(d1).i64_sub128().set(u2).set(u1);
    c.get(u2).get(low).i64_ge_u().if_();
    c.get(u1).get(u2).get(d0).get(d1).i64_add128().set(u2).set(u1);
    c.else_();
    c.get(quotient).l(1).i64_add().set(quotient).end();
    c.get(u2).get(d1).i64_ge_u().if_();
    at_least(c, [u1, u2], [d0, d1]);
    c.if_();
    c.get(u1).get(u2).get(d0).get(d1).i64_sub128().set(u2).set(u1);
    c.get(quotient).l(1).i64_add().set(quotient).end().end();
}

/// A step for a divisor of four limbs. Gives where the new remainder is; `next` is part of it.
fn step_of_four(
    c: &mut Code<'_>,
    by: &Divisor<'_>,
    [r0, r1, r2, r3]: [Local; 4],
    next: Local,
    quotient: Local,
) -> [Local; 4] {
    let d = by.limbs;
    let [m0, m1, m2, borrow] = by.temporary;
    let remainder = [next, r0, r2, r3];
    let done = c.block();

    // Upper limbs like the divisor's: the digit is the largest. The new remainder is (r - d) 2^64 + next + d,
    // and the upper two limbs of r - d are -1.
    c.get(r3).get(d[3]).i64_eq().get(r2).get(d[2]).i64_eq().i32_and().if_();
    {
        c.get(r0).get(r1).get(d[0]).get(d[1]).i64_sub128().set(r2).set(r0);
        c.l(-1).tee(quotient).set(r3);
        c.add_in_place(&remainder, d, borrow).br(done);
    }
    c.end();

    // A digit that is right or too large by one, then what its product with the lower limbs leaves.
    three_by_two(c, by, [r2, r3], r1, quotient);
    c.get(quotient).get(d[0]).i64_mul_wide_u().set(m1).set(m0);
    c.get(quotient).get(d[1]).i64_mul_wide_u().get(m1).l(0).i64_add128().set(m2).set(m1);
    c.subtract(&[next, r0, r2], &[m0, m1, m2], &[next, r0, r2], borrow);
    c.get(r3).get(borrow).i64_add().tee(m0).get(r3).i64_gt_u().if_();
    {
        c.get(m0).set(r3).get(quotient).l(1).i64_sub().set(quotient);
        c.add_in_place(&remainder, d, borrow).br(done);
    }
    c.end();
    c.get(m0).set(r3);
    c.end();
    remainder
}

/// MULMOD. Modulus and first factor are shifted left by the same number of bits, so that the product needs
/// four steps of one kind for a modulus of any length.
pub(super) fn mulmod(c: &mut Code<'_>) {
    let (a, b, modulus) = (c.parameter_word(), c.parameter_word(), c.parameter_word());
    super::arithmetic::reduce(c, a, modulus);
    super::arithmetic::reduce(c, b, modulus);
    c.any(&modulus.0[1..]).i64_eqz().if_();
    modulo_one_limb(c, a[0], b[0], modulus[0]);
    c.return_().end();

    let (moved, d, factor) = (c.int(), c.word(), c.word());
    let [shift, reciprocal, quotient] = c.longs();
    let by = Divisor { limbs: &d.0, reciprocal, temporary: c.longs() };
    c.get(modulus[3]).i64_eqz().if_();
    {
        let again = c.loop_();
        for word in [a, modulus] {
            c.get(word[2]).set(word[3]).get(word[1]).set(word[2]);
            c.get(word[0]).set(word[1]).l(0).set(word[0]);
        }
        c.get(moved).i(1).i32_add().set(moved);
        c.get(modulus[3]).i64_eqz().br_if(again).end();
    }
    c.end();
    c.get(modulus[3]).i64_clz().set(shift);
    c.shift_left(&modulus.0, shift, &d.0);
    c.shift_left(&a.0, shift, &factor.0);
    c.get(d[3]).get(d[2]).call(Function::ReciprocalOfTwo).set(reciprocal);
    let product = product(c, factor, b);
    let mut remainder = [product[4], product[5], product[6], product[7]];
    for next in (0..4).rev() {
        remainder = step_of_four(c, &by, remainder, product[next], quotient);
    }
    c.get_shifted_right(&remainder, shift).set_word(a);
    c.get(moved).if_();
    {
        let again = c.loop_();
        c.get(a[1]).set(a[0]).get(a[2]).set(a[1]).get(a[3]).set(a[2]).l(0).set(a[3]);
        c.get(moved).i(1).i32_sub().tee(moved).br_if(again).end();
    }
    c.end();
    c.get_word(a);
}

/// The product of two limbs modulo a third, both below it or all zero.
fn modulo_one_limb(c: &mut Code<'_>, a: Local, b: Local, modulus: Local) {
    let [shift, reciprocal, quotient, high] = c.longs();
    let by = Divisor { limbs: &[modulus], reciprocal, temporary: c.longs() };
    c.get(modulus).i64_eqz().if_();
    c.zero_word().return_().end();
    c.get(modulus).i64_clz().set(shift);
    c.get(modulus).get(shift).i64_shl().tee(modulus).call(Function::Reciprocal).set(reciprocal);
    c.get(a).get(shift).i64_shl().get(b).i64_mul_wide_u().set(high).set(b);
    step_of_one(c, &by, high, b, quotient);
    c.get(high).get(shift).i64_shr_u().l(0).l(0).l(0);
}

/// The product of words, row by row, in new locals.
fn product(c: &mut Code<'_>, a: Word, b: Word) -> [Local; 8] {
    let product: [Local; 8] = c.longs();
    let carry = c.long();
    for i in 0..4 {
        for j in 0..4 {
            c.get(a[i]).get(b[j]).i64_mul_wide_u();
            if i > 0 {
                c.get(product[i + j]).l(0).i64_add128();
            }
            if j > 0 {
                c.get(carry).l(0).i64_add128();
            }
            c.set(if j == 3 { product[i + 4] } else { carry }).set(product[i + j]);
        }
    }
    product
}
