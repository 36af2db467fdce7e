//! Division of words and of products: Knuth's algorithm D over limbs of 64 bits with reciprocals instead of
//! divisions (Möller and Granlund, "Improved division by invariant integers", 2011; its algorithms by number).
//!
//! A divisor is shifted left until its top bit is set, the dividend with it. One step brings the remainder so
//! far, as long as the divisor, and one more limb of the dividend to a digit of the quotient and a new
//! remainder. Division by zero gives zero (Yellow Paper, H.2).

use super::Function;
use super::arithmetic::product;
use super::code::{Code, Local, Word};
use super::modular::{fold, reduce};

/// What of a division is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Quotient,
    Remainder,
}

/// DIV.
pub(super) fn div(c: &mut Code<'_>) {
    divide(c, Want::Quotient);
}

/// MOD.
pub(super) fn rem(c: &mut Code<'_>) {
    divide(c, Want::Remainder);
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
    temporary: [Local; 3],
}

/// A step for a divisor of one limb: algorithm 4. `remainder` and `next` become `quotient` and `remainder`.
fn step_of_one(c: &mut Code<'_>, by: &Divisor<'_>, remainder: Local, next: Local, quotient: Local) {
    let d = by.limbs[0];
    let [low, ..] = by.temporary;
    c.get(by.reciprocal).get(remainder).i64_mul_wide_u();
    c.get(next).get(remainder).i64_add128().l(1).i64_add().set(quotient).set(low);
    c.get(next).get(quotient).get(d).i64_mul().i64_sub().tee(remainder);
    c.get(low).i64_gt_u().if_();
    c.get(quotient).l(1).i64_sub().set(quotient);
    c.get(remainder).get(d).i64_add().set(remainder).end();
    c.get(remainder).get(d).i64_ge_u().if_();
    c.get(quotient).l(1).i64_add().set(quotient);
    c.get(remainder).get(d).i64_sub().set(remainder).end();
}

/// A step for a divisor of two to four limbs. `remainder`, as long as the divisor and below it, and `next`
/// become `quotient` and `remainder`. `full`: the upper two limbs of both can be the same.
fn step(
    c: &mut Code<'_>,
    by: &Divisor<'_>,
    remainder: &[Local],
    next: Local,
    quotient: Local,
    full: bool,
) {
    let n = by.limbs.len();
    let (d0, d1) = (by.limbs[n - 2], by.limbs[n - 1]);
    let (u1, u2) = (remainder[n - 2], remainder[n - 1]);
    let [low, t, carry] = by.temporary;

    if full {
        c.get(u2).get(d1).i64_eq().get(u1).get(d0).i64_eq().i32_and().if_();
        largest_digit(c, by, remainder, next, quotient);
        c.else_();
    }

    // Algorithm 5: three limbs by two.
    c.get(by.reciprocal).get(u2).i64_mul_wide_u().get(u1).get(u2).i64_add128();
    c.set(quotient).set(low);
    c.get(if n > 2 { remainder[n - 3] } else { next });
    c.get(u1).get(quotient).get(d1).i64_mul().i64_sub();
    c.get(d0).get(quotient).i64_mul_wide_u().i64_sub128();
    c.get(d0).get(d1).i64_sub128().set(u2).set(u1);
    c.get(u2).get(low).i64_ge_u().if_();
    c.get(u1).get(u2).get(d0).get(d1).i64_add128().set(u2).set(u1);
    c.else_();
    c.get(quotient).l(1).i64_add().set(quotient).end();
    c.get(u2).get(d1).i64_ge_u().if_();
    {
        at_least(c, [u1, u2], [d0, d1]);
        c.if_();
        c.get(u1).get(u2).get(d0).get(d1).i64_sub128().set(u2).set(u1);
        c.get(quotient).l(1).i64_add().set(quotient).end();
    }
    c.end();

    // The lower limbs move up by one; the digit times the lower limbs of the divisor leaves them.
    let lower = &remainder[..n - 2];
    for place in (0..lower.len()).rev() {
        c.get(if place == 0 { next } else { lower[place - 1] }).set(lower[place]);
    }
    for (place, &limb) in lower.iter().enumerate() {
        c.get(by.limbs[place]).get(quotient).i64_mul_wide_u();
        if place > 0 {
            c.get(carry).l(0).i64_add128();
        }
        c.set(carry).set(t);
        c.get(carry).get(limb).get(t).i64_lt_u().i64_extend_i32_u().i64_add().set(carry);
        c.get(limb).get(t).i64_sub().set(limb);
    }
    if !lower.is_empty() {
        c.get(u2).i64_eqz().get(u1).get(carry).i64_lt_u().i32_and();
        c.get(u1).get(u2).get(carry).l(0).i64_sub128().set(u2).set(u1);
        c.if_();
        c.get(quotient).l(1).i64_sub().set(quotient);
        c.add_in_place(remainder, by.limbs, carry);
        c.end();
    }
    if full {
        c.end();
    }
}

/// Where the upper two limbs of remainder and divisor are the same the digit is 2^64 - 1, exactly: what is left
/// of the remainder without the divisor times 2^64 is negative and above -2^(64 (n - 1)).
fn largest_digit(
    c: &mut Code<'_>,
    by: &Divisor<'_>,
    remainder: &[Local],
    next: Local,
    quotient: Local,
) {
    let n = remainder.len();
    let [borrow, _, carry] = by.temporary;
    c.l(-1).set(quotient).l(-1).set(remainder[n - 1]);
    if n == 4 {
        c.get(remainder[0]).get(by.limbs[0]).i64_lt_u().i64_extend_i32_u().set(borrow);
        c.get(remainder[1]).get(by.limbs[1]).i64_sub().get(borrow).i64_sub().set(remainder[2]);
    }
    c.get(remainder[0]).get(by.limbs[0]).i64_sub().set(remainder[1]);
    c.get(next).set(remainder[0]);
    c.add_in_place(remainder, by.limbs, carry);
}

/// Division by less than 2^32, not zero: half a limb at a time, by the operator. `quotient` is zero before.
fn short(c: &mut Code<'_>, a: Word, by: Local, quotient: Word, remainder: Local, free: [Local; 3]) {
    let [part, upper, lower] = free;
    let limb = |c: &mut Code<'_>, place: usize| {
        c.get(remainder).l(32).i64_shl().get(a[place]).l(32).i64_shr_u().i64_or().tee(part);
        c.get(by).i64_div_u().set(upper).get(part).get(upper).get(by).i64_mul().i64_sub();
        c.l(32).i64_shl().get(a[place]).l(0xffff_ffff).i64_and().i64_or().tee(part);
        c.get(by).i64_div_u().tee(lower).get(upper).l(32).i64_shl().i64_or().set(quotient[place]);
        c.get(part).get(lower).get(by).i64_mul().i64_sub().set(remainder);
    };
    c.any(&a.0[2..]).i64_eqz().i32_eqz().if_();
    limb(c, 3);
    limb(c, 2);
    c.end();
    // A highest limb below the divisor has no digit.
    c.get(a[1]).get(by).i64_lt_u().get(remainder).i64_eqz().i32_and().if_();
    c.get(a[1]).set(remainder).else_();
    limb(c, 1);
    c.end();
    limb(c, 0);
}

/// The body of DIV and of MOD.
fn divide(c: &mut Code<'_>, want: Want) {
    let (a, b) = (c.parameter_word(), c.parameter_word());
    let [shift, reciprocal] = c.longs();
    let dividend: [Local; 5] = c.longs();
    let divisor: [Local; 4] = c.longs();
    let quotient = c.word();
    let temporary = c.longs();
    let power = c.long();

    c.any(&b.0[1..]).i64_eqz().if_();
    {
        c.get(b[0]).i64_eqz().if_();
        c.zero_word().return_().end();
        c.any(&a.0[1..]).i64_eqz().if_();
        {
            c.get(a[0]).get(b[0]);
            match want {
                Want::Quotient => c.i64_div_u(),
                Want::Remainder => c.i64_rem_u(),
            };
            c.l(0).l(0).l(0).return_().end();
        }
        c.get(b[0]).l(32).i64_shr_u().i64_eqz().if_();
        short(c, a, b[0], quotient, shift, temporary);
        match want {
            Want::Quotient => c.get_word(quotient),
            Want::Remainder => c.get(shift).l(0).l(0).l(0),
        };
        c.return_().end();
        c.get(b[0]).get(b[0]).i64_clz().tee(shift).i64_shl().tee(divisor[0]);
        c.call(Function::Reciprocal).set(reciprocal);
        c.shift_left_wide(&a.0, shift, power, &dividend);
        let by = Divisor { limbs: &divisor[..1], reciprocal, temporary };
        let remainder = dividend[4];
        c.any(&a.0[2..]).i64_eqz().if_();
        c.get(dividend[2]).set(remainder);
        c.else_();
        for place in (2..4).rev() {
            step_of_one(c, &by, remainder, dividend[place], quotient[place]);
        }
        c.end();
        for place in (0..2).rev() {
            step_of_one(c, &by, remainder, dividend[place], quotient[place]);
        }
        match want {
            Want::Quotient => c.get_word(quotient),
            Want::Remainder => c.get(remainder).get(shift).i64_shr_u().l(0).l(0).l(0),
        };
        c.return_();
    }
    c.end();

    for limbs in (2..=4).rev() {
        if limbs > 2 {
            c.get(b[limbs - 1]).i64_eqz().i32_eqz().if_();
        }
        if limbs == 4 {
            // The commonest case of all is that there is nothing to divide.
            c.get(a[3]).get(b[3]).i64_lt_u().if_();
            match want {
                Want::Quotient => c.zero_word(),
                Want::Remainder => c.get_word(a),
            };
            c.return_().end();
        }
        c.get(b[limbs - 1]).i64_clz().set(shift);
        c.shift_left(&b.0[..limbs], shift, power, &divisor[..limbs]);
        c.get(divisor[limbs - 1]).get(divisor[limbs - 2]).call(Function::ReciprocalOfTwo);
        c.set(reciprocal);
        c.shift_left_wide(&a.0, shift, power, &dividend);
        let by = Divisor { limbs: &divisor[..limbs], reciprocal, temporary };
        // The remainder is the top of the dividend. Each step puts its own in the place of the old.
        let remainder = &dividend[5 - limbs..];
        for place in (0..5 - limbs).rev() {
            let first = place == 4 - limbs;
            if first && limbs < 4 {
                // No digit where the dividend is short: its limbs move up.
                c.get(a[3]).i64_eqz().if_();
                for limb in (0..limbs).rev() {
                    c.get(dividend[place + limb]).set(remainder[limb]);
                }
                c.else_();
            }
            step(c, &by, remainder, dividend[place], quotient[place], !first && limbs > 2);
            if first && limbs < 4 {
                c.end();
            }
        }
        match want {
            Want::Quotient => {
                for place in 0..4 {
                    if place < 5 - limbs {
                        c.get(quotient[place])
                    } else {
                        c.l(0)
                    };
                }
            }
            Want::Remainder => {
                c.get_shifted_right(remainder, shift);
                for _ in limbs..4 {
                    c.l(0);
                }
            }
        }
        if limbs > 2 {
            c.return_().end();
        }
    }
}

/// MULMOD by a modulus of which nothing is known: both operands below it make a product that is below its square,
/// so that the digits are as many as the modulus has limbs.
pub(super) fn mulmod_once(c: &mut Code<'_>) {
    let (a, b, modulus) = (c.parameter_word(), c.parameter_word(), c.parameter_word());
    let wide: [Local; 8] = c.longs();
    let shifted: [Local; 9] = c.longs();
    let divisor: [Local; 4] = c.longs();
    let [shift, reciprocal, carry, quotient, power] = c.longs();
    let moved = c.int();

    c.any(&modulus.0).i64_eqz().if_();
    c.zero_word().return_().end();
    // Close below 2^256 there is no need to divide.
    c.get(modulus[1]).get(modulus[2]).i64_and().get(modulus[3]).i64_and().l(-1).i64_eq();
    c.get(modulus[0]).i64_eqz().i32_eqz().i32_and().if_();
    product(c, a, b, &wide);
    c.l(0).get(modulus[0]).i64_sub().set(quotient);
    fold(c, &wide, quotient, carry);
    c.return_().end();
    reduce(c, a, modulus);
    reduce(c, b, modulus);
    product(c, a, b, &wide);

    // A modulus of fewer limbs moves up, and the product with it.
    c.i(0).set(moved);
    let aligned = c.block();
    let again = c.loop_();
    {
        c.get(modulus[3]).i64_eqz().i32_eqz().br_if(aligned);
        for limb in (0..4).rev() {
            if limb > 0 { c.get(modulus[limb - 1]) } else { c.l(0) }.set(modulus[limb]);
        }
        for limb in (0..8).rev() {
            if limb > 0 { c.get(wide[limb - 1]) } else { c.l(0) }.set(wide[limb]);
        }
        c.get(moved).i(1).i32_add().set(moved).br(again);
    }
    c.end().end();

    c.get(modulus[3]).i64_clz().set(shift);
    c.shift_left(&modulus.0, shift, power, &divisor);
    c.get(divisor[3]).get(divisor[2]).call(Function::ReciprocalOfTwo).set(reciprocal);
    // The upper half is below the modulus and so stays in four limbs.
    c.shift_left_wide(&wide, shift, power, &shifted);
    let temporary = [c.long(), c.long(), carry];
    let by = Divisor { limbs: &divisor, reciprocal, temporary };
    let remainder = &shifted[4..8];
    for place in (0..4).rev() {
        // The digits of what moved up are zeros that are not there.
        step(c, &by, remainder, shifted[place], quotient, true);
    }

    let back = c.block();
    let again = c.loop_();
    {
        c.get(moved).i32_eqz().br_if(back);
        c.get(moved).i(1).i32_sub().set(moved);
        for limb in 0..4 {
            if limb < 3 { c.get(remainder[limb + 1]) } else { c.l(0) }.set(remainder[limb]);
        }
        c.br(again);
    }
    c.end().end();
    c.get_shifted_right(remainder, shift);
}
