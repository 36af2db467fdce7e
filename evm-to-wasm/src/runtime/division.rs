//! Division of words and of products: Knuth's algorithm D over limbs of 64 bits with reciprocals instead of
//! divisions (Möller and Granlund, "Improved division by invariant integers", 2011; its algorithms by number).
//!
//! A divisor is shifted left until its top bit is set, the dividend with it. One step brings the remainder so
//! far, as long as the divisor, and one more limb of the dividend to a digit of the quotient and a new
//! remainder. Division by zero gives zero (Yellow Paper, H.2).

use super::Function;
use super::arithmetic::reduce;
use super::code::{Code, Local, Word};

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

/// A step for a divisor of two to four limbs. `remainder`, as long as the divisor, and `next` become
/// `quotient` and `remainder`. `full` tells that the upper two limbs of the remainder can be those of the divisor.
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
    let u0 = if n > 2 { remainder[n - 3] } else { next };
    let [low, t, carry, _] = by.temporary;

    let full = full && n > 2;
    let done = full.then(|| c.block());
    if full {
        c.get(u2).get(d1).i64_eq().get(u1).get(d0).i64_eq().i32_and().if_();
        largest_digit(c, by, remainder, next, quotient);
        c.br(done.expect("just opened"));
        c.end();
    }

    // Algorithm 5: three limbs by two.
    c.get(by.reciprocal).get(u2).i64_mul_wide_u().get(u1).get(u2).i64_add128();
    c.set(quotient).set(low);
    c.get(u0).get(u1).get(quotient).get(d1).i64_mul().i64_sub();
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

    if n > 2 {
        // The digit times the lower limbs of the divisor leaves the lower limbs of the remainder.
        for place in 0..n - 2 {
            let limb = if place == 0 { next } else { remainder[place - 1] };
            c.get(by.limbs[place]).get(quotient).i64_mul_wide_u();
            if place > 0 {
                c.get(carry).l(0).i64_add128();
            }
            c.set(carry).set(t);
            c.get(carry).get(limb).get(t).i64_lt_u().i64_extend_i32_u().i64_add().set(carry);
            c.get(limb).get(t).i64_sub().set(limb);
        }
        c.get(u2).i64_eqz().get(u1).get(carry).i64_lt_u().i32_and().set_flag(by);
        c.get(u1).get(u2).get(carry).l(0).i64_sub128().set(u2).set(u1);
        // Limbs of the remainder in their new places: each is one higher than where it came from.
        let mut moved: Vec4 = Vec4::default();
        moved.push(next);
        for &limb in &remainder[..n - 3] {
            moved.push(limb);
        }
        moved.push(u1);
        moved.push(u2);
        let moved = moved.limbs();
        c.get_flag(by).if_();
        c.get(quotient).l(1).i64_sub().set(quotient);
        c.add_in_place(moved, by.limbs, carry);
        c.end();
        for &limb in moved {
            c.get(limb);
        }
        for &limb in remainder.iter().rev() {
            c.set(limb);
        }
    } else {
        // `u1` and `u2` are the remainder's own places.
    }
    if full {
        c.end();
    }
}
