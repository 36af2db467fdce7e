//! Arithmetic of the EVM's words at compile time: what constant folding and ranges are made of.
//!
//! Every operation is total and wraps as the Yellow Paper has it. Division is by shift and subtract: it
//! runs once an instruction, at most.

/// 256 bits in four limbs, the lowest first.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Word(pub [u64; 4]);

impl Ord for Word {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl PartialOrd for Word {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl core::fmt::Debug for Word {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

impl core::fmt::Display for Word {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0[1] | self.0[2] | self.0[3] == 0 && self.0[0] < 1024 {
            return write!(f, "{}", self.0[0]);
        }
        let mut started = false;
        f.write_str("0x")?;
        for limb in self.0.iter().rev() {
            if started {
                write!(f, "{limb:016x}")?;
            } else if *limb != 0 {
                write!(f, "{limb:x}")?;
                started = true;
            }
        }
        Ok(())
    }
}

impl From<u64> for Word {
    fn from(value: u64) -> Self {
        Self([value, 0, 0, 0])
    }
}

impl From<bool> for Word {
    fn from(value: bool) -> Self {
        Self::from(u64::from(value))
    }
}

impl Word {
    /// 0.
    pub const ZERO: Self = Self([0; 4]);
    /// 2^256 - 1.
    pub const MAX: Self = Self([u64::MAX; 4]);

    /// The value, if it is below 2^64.
    pub fn as_u64(self) -> Option<u64> {
        (self.0[1] | self.0[2] | self.0[3] == 0).then_some(self.0[0])
    }

    /// Bits up to the highest that is set.
    pub fn bits(self) -> u32 {
        for place in (0..4).rev() {
            if self.0[place] != 0 {
                return 64 * (place as u32 + 1) - self.0[place].leading_zeros();
            }
        }
        0
    }

    /// 2^`bits` - 1; everything from 256 on.
    pub fn mask(bits: u32) -> Self {
        if bits >= 256 {
            return Self::MAX;
        }
        Self::from(1).shl(bits).sub(Self::from(1))
    }

    /// Whether it is zero.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Whether the sign bit of two's complement is set.
    pub fn is_negative(self) -> bool {
        self.0[3] >> 63 == 1
    }

    /// Sum and whether it wrapped.
    pub fn add_carry(self, other: Self) -> (Self, bool) {
        let mut out = [0; 4];
        let mut carry = false;
        for (place, limb) in out.iter_mut().enumerate() {
            let (sum, first) = self.0[place].overflowing_add(other.0[place]);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = first | second;
        }
        (Self(out), carry)
    }

    /// ADD.
    pub fn add(self, other: Self) -> Self {
        self.add_carry(other).0
    }

    /// SUB.
    pub fn sub(self, other: Self) -> Self {
        self.add(other.not()).add(Self([1, 0, 0, 0]))
    }

    /// Product and whether it is 2^256 or more.
    pub fn mul_overflow(self, other: Self) -> (Self, bool) {
        let mut wide = [0_u64; 8];
        for i in 0..4 {
            let mut carry = 0_u128;
            for j in 0..4 {
                let sum = u128::from(self.0[i]) * u128::from(other.0[j])
                    + u128::from(wide[i + j])
                    + carry;
                wide[i + j] = sum as u64;
                carry = sum >> 64;
            }
            wide[i + 4] = carry as u64;
        }
        let high = wide[4] | wide[5] | wide[6] | wide[7];
        (Self([wide[0], wide[1], wide[2], wide[3]]), high != 0)
    }

    /// MUL.
    pub fn mul(self, other: Self) -> Self {
        self.mul_overflow(other).0
    }

    /// Quotient and remainder; both zero for a divisor of zero.
    pub fn div_rem(self, divisor: Self) -> (Self, Self) {
        if divisor.is_zero() {
            return (Self::ZERO, Self::ZERO);
        }
        if let (Some(a), Some(b)) = (self.as_u64(), divisor.as_u64()) {
            return (Self::from(a / b), Self::from(a % b));
        }
        let (mut quotient, mut rest) = (Self::ZERO, Self::ZERO);
        for bit in (0..self.bits()).rev() {
            let wrapped = rest.is_negative();
            rest = rest.shl(1);
            rest.0[0] |= self.bit(bit);
            if wrapped || rest >= divisor {
                rest = rest.sub(divisor);
                quotient.0[(bit / 64) as usize] |= 1 << (bit % 64);
            }
        }
        (quotient, rest)
    }

    fn bit(self, bit: u32) -> u64 {
        self.0[(bit / 64) as usize] >> (bit % 64) & 1
    }

    fn negate(self) -> Self {
        Self::ZERO.sub(self)
    }

    fn magnitude(self) -> Self {
        if self.is_negative() { self.negate() } else { self }
    }

    /// SDIV.
    pub fn sdiv(self, other: Self) -> Self {
        let quotient = self.magnitude().div_rem(other.magnitude()).0;
        if self.is_negative() == other.is_negative() { quotient } else { quotient.negate() }
    }

    /// SMOD: the sign is the dividend's.
    pub fn smod(self, other: Self) -> Self {
        let rest = self.magnitude().div_rem(other.magnitude()).1;
        if self.is_negative() { rest.negate() } else { rest }
    }

    /// NOT.
    pub fn not(self) -> Self {
        Self(self.0.map(|limb| !limb))
    }

    /// AND.
    pub fn and(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    /// OR.
    pub fn or(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// XOR.
    pub fn xor(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] ^ other.0[i]))
    }

    /// Shifted left; zero from 256 on.
    pub fn shl(self, by: u32) -> Self {
        if by >= 256 {
            return Self::ZERO;
        }
        let (limbs, bits) = ((by / 64) as usize, by % 64);
        Self(core::array::from_fn(|i| {
            let at = |k: usize| if i >= k { self.0[i - k] } else { 0 };
            let low = if bits == 0 { 0 } else { at(limbs + 1) >> (64 - bits) };
            at(limbs) << bits | low
        }))
    }

    /// Shifted right; zero from 256 on.
    pub fn shr(self, by: u32) -> Self {
        if by >= 256 {
            return Self::ZERO;
        }
        let (limbs, bits) = ((by / 64) as usize, by % 64);
        Self(core::array::from_fn(|i| {
            let at = |k: usize| if i + k < 4 { self.0[i + k] } else { 0 };
            let high = if bits == 0 { 0 } else { at(limbs + 1) << (64 - bits) };
            at(limbs) >> bits | high
        }))
    }

    /// Shifted right with the sign.
    pub fn sar(self, by: u32) -> Self {
        if !self.is_negative() {
            return self.shr(by);
        }
        self.not().shr(by).not()
    }

    /// A shift amount: everything from 256 on is 256.
    pub fn shift_amount(self) -> u32 {
        self.as_u64().map_or(256, |by| by.min(256) as u32)
    }

    /// SIGNEXTEND from byte `index`.
    pub fn signextend(index: Self, value: Self) -> Self {
        match index.as_u64() {
            Some(index) if index < 31 => {
                let by = 256 - 8 * (index as u32 + 1);
                value.shl(by).sar(by)
            }
            _ => value,
        }
    }

    /// BYTE: byte `index` from the left.
    pub fn byte(index: Self, value: Self) -> Self {
        match index.as_u64() {
            Some(index) if index < 32 => value.shr(248 - 8 * index as u32).and(Self::from(0xff)),
            _ => Self::ZERO,
        }
    }

    /// SLT.
    pub fn slt(self, other: Self) -> bool {
        match (self.is_negative(), other.is_negative()) {
            (true, false) => true,
            (false, true) => false,
            _ => self < other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Word;

    #[test]
    fn division_undoes_multiplication() {
        let a = Word([0x0123_4567_89ab_cdef, 7, u64::MAX, 3]);
        let b = Word([5, 9, 0, 0]);
        let (quotient, rest) = a.div_rem(b);
        assert_eq!(quotient.mul(b).add(rest), a);
        assert!(rest < b);
        assert_eq!(Word::MAX.div_rem(Word([1, 0, 0, 1 << 63])).0, Word::from(1));
        assert_eq!(a.div_rem(Word::ZERO), (Word::ZERO, Word::ZERO));
    }

    #[test]
    fn shifts_and_signs() {
        let minus_one = Word::MAX;
        assert_eq!(minus_one.sar(255), Word::MAX);
        assert_eq!(minus_one.shr(255), Word::from(1));
        assert_eq!(Word::from(1).shl(255).sdiv(minus_one), Word::from(1).shl(255));
        assert_eq!(Word::signextend(Word::from(0), Word::from(0x80)), Word::from(0x7f).not());
        assert_eq!(Word::byte(Word::from(31), Word::from(0x1234)), Word::from(0x34));
        assert_eq!(Word::mask(65), Word([u64::MAX, 1, 0, 0]));
    }
}
