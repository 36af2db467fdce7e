//! What alloy and hashbrown use of foldhash, with a hash that is short in Wasm.
//!
//! It has no secret, and foldhash's has none in a contract either: whoever chooses keys that collide makes the transaction
//! dearer that has them, and nothing else.
#![no_std]

/// The fast variant, which is the only one here.
pub mod fast {
    use core::hash::{BuildHasher, Hasher};
    use core::marker::PhantomData;

    /// An odd number without pattern: the golden ratio in 64 bits.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    /// Makes hashers that are all alike.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct RandomState;

    impl BuildHasher for RandomState {
        type Hasher = FoldHasher<'static>;

        #[inline]
        fn build_hasher(&self) -> FoldHasher<'static> {
            FoldHasher { state: FACTOR, seed: PhantomData }
        }
    }

    /// A hash in the making.
    #[derive(Clone, Debug)]
    pub struct FoldHasher<'a> {
        state: u64,
        seed: PhantomData<&'a ()>,
    }

    impl FoldHasher<'_> {
        #[inline]
        fn mix(&mut self, word: u64) {
            self.state = (self.state.rotate_left(23) ^ word).wrapping_mul(FACTOR);
        }
    }

    impl Hasher for FoldHasher<'_> {
        #[inline]
        fn write(&mut self, bytes: &[u8]) {
            let (words, rest) = bytes.as_chunks::<8>();
            for word in words {
                self.mix(u64::from_le_bytes(*word));
            }
            for byte in rest {
                self.mix(u64::from(*byte));
            }
        }

        #[inline]
        fn write_u8(&mut self, number: u8) {
            self.mix(u64::from(number));
        }

        #[inline]
        fn write_u16(&mut self, number: u16) {
            self.mix(u64::from(number));
        }

        #[inline]
        fn write_u32(&mut self, number: u32) {
            self.mix(u64::from(number));
        }

        #[inline]
        fn write_u64(&mut self, number: u64) {
            self.mix(number);
        }

        #[inline]
        fn write_usize(&mut self, number: usize) {
            self.mix(number as u64);
        }

        /// The upper half is the better one, and a table of 32 bits looks at the lower.
        #[inline]
        fn finish(&self) -> u64 {
            self.state ^ (self.state >> 32)
        }
    }
}
