//! ADDMOD and MULMOD. A contract that computes modulo something mostly does it modulo the same word a thousand
//! times, so what division needs of a modulus is kept once it has come up often enough.
//!
//! The product `x` of any two words is brought below the modulus `m` in two steps. Its upper three limbs are
//! replaced by as many products with powers of two modulo `m`, which leaves `r < 2^320 + 3 2^64 m`. Then multiples
//! of `m` are subtracted, whose number comes from a product with a reciprocal and is never too large: first of
//! `8 d`, where `d` is `m` shifted left until its top bit is set, then of `m`. Whether the second number can be
//! one too small is seen in its fraction.
//!
//! With `V` of [`Known`], `2^319 / d - 2 <= V <= 2^319 / d`:
//! - `r < 2^322`, so `w = floor(r / 2^258)` is a limb; `u = floor(w V / 2^64)` is at most `r / (8 d)` and above it
//!   less 4: one for `w`, two for `V`, one for itself. What is left is below `32 d < 2^261`.
//! - Of that, `floor(rest / 2^197) V / 2^64` is at most `rest 2^58 / d` and above it less 4, in the same way.

use super::Function;
use super::arithmetic::product;
use super::code::{Code, Local, Word};
use super::layout::MODULUS_AT;

/// What is kept of a modulus: offsets from [`MODULUS_AT`] in limbs.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Known {
    /// The modulus that came up last.
    Modulus = 0,
    /// How often, one after the other.
    Times = 4,
    /// Whether all below is known.
    Ready = 5,
    /// The reciprocal of `d`.
    V = 6,
    /// 58 less the bits by which `d` is shifted.
    Shift = 7,
    /// 2^320, 2^384 and 2^448 modulo `m`.
    Powers = 8,
    /// `2^320 - 8 d`, five limbs.
    Large = 20,
    /// `2^256 - m`.
    Small = 25,
    End = 29,
}

/// Bytes of what is kept.
pub(super) const MODULUS_BYTES: u32 = 8 * Known::End as u32;

/// From how many times on it pays to know a modulus.
const TIMES: u32 = 6;

/// A modulus is known only with an upper limb of more bits than this: then the second number is below 2^37, and its
/// fraction has at least 26 bits.
const TOP_BITS: i64 = 32;

const fn at(known: Known, limb: u32) -> u32 {
    MODULUS_AT + 8 * (known as u32 + limb)
}

/// MULMOD.
pub(super) fn mulmod(c: &mut Code<'_>) {
    let (a, b, modulus) = (c.parameter_word(), c.parameter_word(), c.parameter_word());
    let x: [Local; 8] = c.longs();
    let [number, scaled] = c.longs();

    for (place, &limb) in modulus.0.iter().enumerate() {
        c.get(limb).known(Known::Modulus, place as u32).i64_xor();
        if place > 0 {
            c.i64_or();
        }
    }
    c.i64_eqz().i(0).load32(at(Known::Ready, 0)).i32_and().i32_eqz().if_();
    c.get_word(modulus).call(Function::ModulusSeen);
    c.get_word(a).get_word(b).get_word(modulus).call(Function::MulmodOnce).return_().end();

    product(c, a, b, &x);
    for row in 0..3 {
        let by = x[5 + row as usize];
        let powers = |c: &mut Code<'_>, limb| {
            c.known(Known::Powers, 4 * row + limb);
        };
        c.add_product(by, &powers, &x[..4]);
        c.l(0).get(x[4]).l(0).i64_add128();
        if row > 0 {
            c.get(x[5]).i64_add();
        }
        // The multiplier of the first row is where the carry goes.
        c.set_all(&x[..6]);
    }

    // u, and what is left of r without so many times 8 d.
    c.get(x[5]).l(62).i64_shl().get(x[4]).l(2).i64_shr_u().i64_or();
    c.known(Known::V, 0).i64_mul_wide_u().set(number).drop();
    let large = |c: &mut Code<'_>, limb| {
        c.known(Known::Large, limb);
    };
    c.add_product(number, &large, &x[..4]);
    c.get(number).known(Known::Large, 4).i64_mul().i64_add().get(x[4]).i64_add();
    c.set_all(&x[..5]);

    c.get(x[4]).l(59).i64_shl().get(x[3]).l(5).i64_shr_u().i64_or();
    c.known(Known::V, 0).i64_mul_wide_u().set(scaled).drop();
    let small = |c: &mut Code<'_>, limb| {
        c.known(Known::Small, limb);
    };
    let rest = |c: &mut Code<'_>| {
        c.add_product(number, &small, &x[..3]);
        c.get(number).known(Known::Small, 3).i64_mul().i64_add().get(x[3]).i64_add();
    };
    c.get(scaled).l(4).i64_add().known(Known::Shift, 0).i64_shr_u();
    c.get(scaled).known(Known::Shift, 0).i64_shr_u().tee(number).i64_ne().if_();
    {
        // One more leaves next to nothing, or that much less than nothing.
        c.get(number).l(1).i64_add().set(number);
        rest(c);
        c.set_all(&x[..4]).get(x[3]).l(0).i64_lt_s().if_();
        c.add_in_place(&x[..4], &modulus.0, scaled).end();
        for &limb in &x[..4] {
            c.get(limb);
        }
        c.return_();
    }
    c.end();
    rest(c);
}

/// Counts how often a modulus comes up, and gets to know it.
pub(super) fn modulus_seen(c: &mut Code<'_>) {
    let modulus = c.parameter_word();
    let power = c.word();
    let [shift, borrow] = c.longs();
    let divisor: [Local; 5] = c.longs();

    c.get(modulus[3]).l(TOP_BITS).i64_shr_u().i64_eqz().if_();
    c.return_().end();
    for (place, &limb) in modulus.0.iter().enumerate() {
        c.get(limb).known(Known::Modulus, place as u32).i64_xor();
        if place > 0 {
            c.i64_or();
        }
    }
    c.i64_eqz().i32_eqz().if_();
    {
        for (place, &limb) in modulus.0.iter().enumerate() {
            c.i(0).get(limb).store64(at(Known::Modulus, place as u32));
        }
        c.i(0).i(0).store32(at(Known::Times, 0));
        c.i(0).i(0).store32(at(Known::Ready, 0)).return_();
    }
    c.end();
    c.i(0).i(0).load32(at(Known::Times, 0)).i(1).i32_add().store32(at(Known::Times, 0));
    c.i(0).load32(at(Known::Times, 0)).i(TIMES).i32_ne().if_();
    c.return_().end();

    // 2^256 - m, which is 2^256 modulo m once it is reduced; then times 2^64, three times.
    c.get_word(modulus).set_word(power);
    c.negate(power, borrow);
    for limb in 0..4 {
        c.i(0).get(power[limb]).store64(at(Known::Small, limb as u32));
    }
    c.get_word(power).get_word(modulus).call(Function::Mod).set_word(power);
    for row in 0..3 {
        c.get_word(power).l(0).l(1).l(0).l(0).get_word(modulus).call(Function::MulmodOnce);
        c.set_word(power);
        for limb in 0..4 {
            c.i(0).get(power[limb]).store64(at(Known::Powers, 4 * row + limb as u32));
        }
    }
    let factor = borrow;
    c.get(modulus[3]).i64_clz().set(shift);
    c.shift_left(&modulus.0, shift, factor, &divisor[..4]);
    // The reciprocal of the upper two limbs has one bit more and is at most 2^192 / (d3, d2) - 2^64.
    c.i(0).get(divisor[3]).get(divisor[2]).call(Function::ReciprocalOfTwo);
    c.l(1).i64_shr_u().l(i64::MIN).i64_add().l(1).i64_sub().store64(at(Known::V, 0));
    c.i(0).l(58).get(shift).i64_sub().store64(at(Known::Shift, 0));
    // 8 d, then the negative.
    c.get(divisor[3]).l(61).i64_shr_u().set(divisor[4]);
    for limb in (0..4).rev() {
        c.get(divisor[limb]).l(3).i64_shl();
        if limb > 0 {
            c.get(divisor[limb - 1]).l(61).i64_shr_u().i64_or();
        }
        c.set(divisor[limb]);
    }
    for (limb, &part) in divisor.iter().enumerate() {
        c.l(0).l(0).get(part).l(0).i64_sub128();
        if limb > 0 {
            c.get(borrow).get(borrow).i64_add128();
        }
        c.set(borrow).set(part);
        c.i(0).get(part).store64(at(Known::Large, limb as u32));
    }
    c.i(0).i(1).store32(at(Known::Ready, 0));
}

/// ADDMOD: of two operands below the modulus the sum is below twice the modulus.
pub(super) fn addmod(c: &mut Code<'_>) {
    let (a, b, modulus) = (c.parameter_word(), c.parameter_word(), c.parameter_word());
    let [carry, low] = c.longs();
    reduce(c, a, modulus);
    reduce(c, b, modulus);
    let sum = a;
    c.get(a[0]).l(0).get(b[0]).l(0).i64_add128();
    for limb in 1..4 {
        c.l(0).get(a[limb]).l(0).i64_add128().get(b[limb]).l(0).i64_add128();
    }
    c.set(carry).set_word(sum);
    // Mostly the upper limbs decide. A modulus of zero: the operands became zero.
    c.get(carry).i64_eqz().get(sum[3]).get(modulus[3]).i64_lt_u().i32_and().if_();
    c.get_word(sum).return_().end();
    // The difference counts if the sum left 256 bits or nothing is borrowed.
    let difference = b;
    c.subtract(&sum.0, &modulus.0, &difference.0, low);
    c.get(carry).get(low).i64_add().l(0).i64_ge_s().if_();
    c.get_word(difference).return_().end();
    c.get_word(sum);
}

/// Takes `word` modulo `modulus`, unless it is below it already.
pub(super) fn reduce(c: &mut Code<'_>, word: Word, modulus: Word) {
    // Mostly the upper limbs decide.
    c.get(word[3]).get(modulus[3]).i64_ge_u().if_();
    c.below(word, modulus).i32_eqz().if_();
    c.get_word(word).get_word(modulus).call(Function::Mod).set_word(word);
    c.end().end();
}

/// MULMOD by `2^256 - small`, where `small` is one limb: what is above 256 bits comes back `small` times. The result
/// is on the stack, `x` is the product and overwritten.
pub(super) fn fold(c: &mut Code<'_>, x: &[Local; 8], small: Local, carry: Local) {
    let (low, high) = x.split_at(4);
    c.get(high[0]).get(small).i64_mul_wide_u().get(low[0]).l(0).i64_add128();
    for limb in 1..4 {
        c.l(0).get(high[limb]).get(small).i64_mul_wide_u().i64_add128();
        c.get(low[limb]).l(0).i64_add128();
    }
    c.set_all(&x[..5]);
    c.get(high[0]).get(small).i64_mul_wide_u().get(low[0]).l(0).i64_add128();
    for &limb in &low[1..] {
        c.l(0).get(limb).l(0).i64_add128();
    }
    c.set(carry).set_all(low);
    // Then the sum has wrapped, and is below 2^128.
    c.get(carry).i64_eqz().i32_eqz().if_();
    c.get(low[0]).get(low[1]).get(small).l(0).i64_add128().set(low[1]).set(low[0]).end();
    // At least the modulus?
    c.get(low[1]).get(low[2]).i64_and().get(low[3]).i64_and().l(-1).i64_eq();
    c.get(low[0]).get(small).i64_add().get(small).i64_lt_u().i32_and().if_();
    c.get(low[0]).get(small).i64_add().l(0).l(0).l(0).return_().end();
    for &limb in low {
        c.get(limb);
    }
}

impl Code<'_> {
    /// A limb of what is known, on the stack.
    fn known(&mut self, known: Known, limb: u32) -> &mut Self {
        self.i(0).load64(at(known, limb))
    }

    /// Leaves on the stack the limbs of `addend` plus `by` times as many limbs of a constant, and the limb above.
    fn add_product(
        &mut self,
        by: Local,
        constant: &impl Fn(&mut Self, u32),
        addend: &[Local],
    ) -> &mut Self {
        for (limb, &addend) in addend.iter().enumerate() {
            if limb > 0 {
                self.l(0);
            }
            self.get(by);
            constant(self, limb as u32);
            self.i64_mul_wide_u();
            if limb > 0 {
                self.i64_add128();
            }
            self.get(addend).l(0).i64_add128();
        }
        self
    }

    /// Sets locals from the stack, the last from its top.
    pub(super) fn set_all(&mut self, locals: &[Local]) -> &mut Self {
        for &local in locals.iter().rev() {
            self.set(local);
        }
        self
    }
}

const _: () = assert!(MODULUS_AT + MODULUS_BYTES <= super::layout::MESSAGE_AT);
