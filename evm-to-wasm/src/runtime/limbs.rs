//! Pieces of bodies that work on words limb by limb: any, carry and borrow chains, shifts, comparisons.
//!
//! Carries travel through `i64.add128`: the upper half of a sum of two limbs is its carry. Wide operators are
//! priced as two.

use super::code::{Code, Local, Word};

impl Code<'_> {
    /// The bitwise or of limbs, on the stack: zero if all are.
    pub(super) fn any(&mut self, limbs: &[Local]) -> &mut Self {
        for (place, &limb) in limbs.iter().enumerate() {
            self.get(limb);
            if place > 0 {
                self.i64_or();
            }
        }
        self
    }

    /// Whether a word differs from 64 bits of an offset below 2^32, on the stack as an i64 that is not zero.
    pub(super) fn beyond_32_bits(&mut self, word: Word) -> &mut Self {
        self.get(word[0]).l(32).i64_shr_u().any(&word.0[1..]).i64_or()
    }

    /// Eight bytes turned, from the stack to the stack, with the masks in `masks` and `x` free to use.
    pub(super) fn swap_bytes(&mut self, x: Local, masks: [Local; 2]) -> &mut Self {
        let [bytes, pairs] = masks;
        // Neighbouring bytes, then the four pairs.
        self.tee(x).get(bytes).i64_and().l(8).i64_shl();
        self.get(x).l(8).i64_shr_u().get(bytes).i64_and().i64_or();
        self.tee(x).get(pairs).i64_and().l(48).i64_rotl();
        self.get(x).l(16).i64_rotl().get(pairs).i64_and().i64_or()
    }

    /// Sets the masks of [`Self::swap_bytes`]: constants of ten bytes each.
    pub(super) fn swap_masks(&mut self) -> [Local; 2] {
        let masks = self.longs();
        self.l(0x00ff_00ff_00ff_00ff).set(masks[0]).l(0x0000_ffff_0000_ffff).set(masks[1]);
        masks
    }

    /// `a` becomes `a + b` modulo their size.
    pub(super) fn add_in_place(&mut self, a: &[Local], b: &[Local], carry: Local) -> &mut Self {
        let last = a.len() - 1;
        for (place, (&a, &b)) in a.iter().zip(b).enumerate() {
            match place {
                _ if place == last && place > 0 => {
                    self.get(a).get(b).i64_add().get(carry).i64_add().set(a);
                }
                0 => {
                    self.get(a).l(0).get(b).l(0).i64_add128().set(carry).set(a);
                }
                _ => {
                    self.get(a).l(0).get(b).l(0).i64_add128();
                    self.get(carry).l(0).i64_add128().set(carry).set(a);
                }
            }
        }
        self
    }

    /// `into` becomes `a - b`; `borrow` becomes 0, or -1 if `b` is greater.
    pub(super) fn subtract(
        &mut self,
        a: &[Local],
        b: &[Local],
        into: &[Local],
        borrow: Local,
    ) -> &mut Self {
        for (place, ((&a, &b), &into)) in a.iter().zip(b).zip(into).enumerate() {
            self.get(a).l(0).get(b).l(0).i64_sub128();
            if place > 0 {
                self.get(borrow).get(borrow).i64_add128();
            }
            self.set(borrow).set(into);
        }
        self
    }

    /// Leaves on the stack, as an i32, whether `a` is below `b`, unsigned.
    pub(super) fn below(&mut self, a: Word, b: Word) -> &mut Self {
        // From the lowest limb up: (a < b) or (a = b and the rest is below).
        self.get(a[0]).get(b[0]).i64_lt_u();
        for limb in 1..4 {
            self.get(a[limb]).get(b[limb]).i64_lt_u();
            self.get(a[limb]).get(b[limb]).i64_eq().select();
        }
        self
    }

    /// `word` becomes its negative.
    pub(super) fn negate(&mut self, word: Word, carry: Local) -> &mut Self {
        // The inverse plus one; the carry lives as long as all limbs below are zero.
        self.l(0).get(word[0]).i64_sub().tee(word[0]).i64_eqz().i64_extend_i32_u().set(carry);
        for limb in 1..4 {
            self.get(word[limb]).l(-1).i64_xor().get(carry).i64_add().tee(word[limb]);
            match limb {
                3 => self.drop(),
                _ => self.i64_eqz().i64_extend_i32_u().get(carry).i64_and().set(carry),
            };
        }
        self
    }

    /// `into` becomes `from << shift`, one limb longer than `from`; `shift` is below 64, `power` free to use.
    pub(super) fn shift_left_wide(
        &mut self,
        from: &[Local],
        shift: Local,
        power: Local,
        into: &[Local],
    ) {
        // By a product with a power of two, whose upper half is what leaves the limb: right for 0 too.
        self.l(1).get(shift).i64_shl().set(power);
        for (place, &limb) in from.iter().enumerate() {
            self.get(limb).get(power).i64_mul_wide_u().set(into[place + 1]);
            if place > 0 {
                self.get(into[place]).i64_or();
            }
            self.set(into[place]);
        }
    }

    /// `into` becomes `from << shift` in as many limbs; what leaves it at the top is zero, `power` free to use.
    pub(super) fn shift_left(
        &mut self,
        from: &[Local],
        shift: Local,
        power: Local,
        into: &[Local],
    ) {
        let last = from.len() - 1;
        self.l(1).get(shift).i64_shl().set(power);
        for (place, &limb) in from.iter().enumerate() {
            self.get(limb).get(power);
            if place == last {
                self.i64_mul();
            } else {
                self.i64_mul_wide_u().set(into[place + 1]);
            }
            if place > 0 {
                self.get(into[place]).i64_or();
            }
            self.set(into[place]);
        }
    }

    /// `limbs` shifted right by `shift`, below 64, on the stack.
    pub(super) fn get_shifted_right(&mut self, limbs: &[Local], shift: Local) -> &mut Self {
        let last = limbs.len() - 1;
        for (place, &limb) in limbs.iter().enumerate() {
            self.get(limb).get(shift).i64_shr_u();
            if place < last {
                // By one and by 63 less it: a shift by 64 would be one by 0.
                self.get(limbs[place + 1]).l(1).i64_shl();
                self.l(63).get(shift).i64_sub().i64_shl().i64_or();
            }
        }
        self
    }
}
