//! EVM memory, kept backwards at the top of a region that moves when it has to grow.
//!
//! The byte at EVM address `a` is at `top - 1 - a`; the word at `a` is at `top - 32 - a`, limbs low first.
//! Memory beyond [`Global::MemorySize`] is zero. What is at or above 2^32, or would not fit the module's pages,
//! halts the frame (revm: `MemoryLimitOOG`); which halt it is does not show.

use super::Function;
use super::code::{Code, Local, Word};
use super::layout::{Global, MAXIMUM_PAGES, PAGE};

/// Smallest region of EVM memory, in bytes.
const SMALLEST_REGION: u32 = 4_096;

/// Largest memory that is thought about, in bytes.
const LARGEST: i64 = MAXIMUM_PAGES as i64 * PAGE as i64;

/// Takes bytes from the heap: their address, or 0 if there are none left. They are zero.
pub(super) fn allocate(c: &mut Code<'_>) {
    let size = c.parameter();
    let [start, end, pages] = [c.int(), c.int(), c.int()];
    c.get_global(Global::HeapEnd).tee(start).get(size).i32_add().tee(end);
    c.get_global(Global::HeapLimit).i32_gt_u().if_();
    {
        c.get(end).get_global(Global::HeapLimit).i32_sub().i(PAGE - 1).i32_add();
        c.i(16).i32_shr_u().tee(pages).memory_grow().i(u32::MAX).i32_eq().if_();
        c.i(0).return_().end();
        c.get_global(Global::HeapLimit).get(pages).i(16).i32_shl().i32_add();
        c.set_global(Global::HeapLimit);
    }
    c.end();
    c.get(end).set_global(Global::HeapEnd).get(start);
}

/// Grows memory to `end` bytes and charges for it: 3 gas a word and a 512th of the square of the words
/// (Yellow Paper, appendix G).
pub(super) fn touch(c: &mut Code<'_>) {
    let (gas, end) = (c.parameter(), c.parameter());
    let [words, before] = c.longs();
    let size = c.int();

    c.get(end).get_global(Global::MemorySize).i64_extend_i32_u().i64_le_u().if_();
    c.get(gas).return_().end();
    c.get(end).l(LARGEST).i64_gt_u().if_();
    c.l(-1).return_().end();

    let cost = |c: &mut Code<'_>, words: Local| {
        c.get(words).get(words).i64_mul().l(9).i64_shr_u().get(words).l(3).i64_mul().i64_add();
    };
    c.get(end).l(31).i64_add().l(5).i64_shr_u().set(words);
    c.get_global(Global::MemorySize).i64_extend_i32_u().l(5).i64_shr_u().set(before);
    c.get(gas);
    cost(c, words);
    cost(c, before);
    c.i64_sub().i64_sub().tee(gas).l(0).i64_lt_s().if_();
    c.get(gas).return_().end();

    c.get(words).i32_wrap_i64().i(5).i32_shl().tee(size);
    c.get_global(Global::Top).get_global(Global::MemoryBase).i32_sub().i32_gt_u().if_();
    {
        c.get(size).call(Function::MemoryMove).i32_eqz().if_();
        c.l(-1).return_().end();
    }
    c.end();
    c.get(size).set_global(Global::MemorySize).get(gas);
}

/// Moves memory to a region with room for `size` bytes and as much again; 0 if there is no such region.
pub(super) fn move_memory(c: &mut Code<'_>) {
    let size = c.parameter();
    let [room, base, top] = [c.int(), c.int(), c.int()];
    c.get(size).i(1).i32_shl().set(room);
    c.get(room).i(SMALLEST_REGION).i32_lt_u().if_();
    c.i(SMALLEST_REGION).set(room).end();
    c.get(room).call(Function::Allocate).tee(base).i32_eqz().if_();
    {
        // Then just as much as is needed.
        c.get(size).tee(room).call(Function::Allocate).tee(base).i32_eqz().if_();
        c.i(0).return_().end();
    }
    c.end();
    c.get(base).get(room).i32_add().set(top);
    c.get_global(Global::MemorySize).if_();
    {
        c.get(top).get_global(Global::MemorySize).i32_sub();
        c.get_global(Global::Top).get_global(Global::MemorySize).i32_sub();
        c.get_global(Global::MemorySize).memory_copy();
    }
    c.end();
    c.get(base).set_global(Global::MemoryBase).get(top).set_global(Global::Top).i(1);
}

/// Touches a range: its offset and length as i32, and the gas left. Of no length it touches nothing, wherever
/// it is.
pub(super) fn range(c: &mut Code<'_>) {
    let gas = c.parameter();
    let (offset, length) = (c.parameter_word(), c.parameter_word());
    c.any(&length.0).i64_eqz().if_();
    c.i(0).i(0).get(gas).return_().end();
    c.touch_range(gas, offset, length, |c| {
        c.i(0).i(0);
    });
    c.get(offset[0]).i32_wrap_i64().get(length[0]).i32_wrap_i64().get(gas);
}

/// MLOAD.
pub(super) fn mload(c: &mut Code<'_>) {
    let (gas, offset) = (c.parameter(), c.parameter_word());
    let at = c.int();
    c.touch_fixed(gas, offset, 32, |c| {
        c.zero_word();
    });
    c.address(offset[0], 32).set(at);
    c.load_word(at, 0).get(gas);
}

/// MSTORE.
pub(super) fn mstore(c: &mut Code<'_>) {
    let (gas, offset, value) = (c.parameter(), c.parameter_word(), c.parameter_word());
    let at = c.int();
    c.touch_fixed(gas, offset, 32, |_| {});
    c.address(offset[0], 32).set(at);
    c.store_word(at, 0, value).get(gas);
}

/// MSTORE8.
pub(super) fn mstore8(c: &mut Code<'_>) {
    let (gas, offset, value) = (c.parameter(), c.parameter_word(), c.parameter());
    c.touch_fixed(gas, offset, 1, |_| {});
    c.address(offset[0], 1).get(value).store8_long(0).get(gas);
}

impl Code<'_> {
    /// The four limbs at `at + offset`, on the stack.
    pub(super) fn load_word(&mut self, at: Local, offset: u32) -> &mut Self {
        for limb in 0..4 {
            self.get(at).load64(offset + 8 * limb);
        }
        self
    }

    /// Stores a word at `at + offset`.
    pub(super) fn store_word(&mut self, at: Local, offset: u32, word: Word) -> &mut Self {
        for limb in 0..4 {
            self.get(at).get(word[limb as usize]).store64(offset + 8 * limb);
        }
        self
    }

    /// Leaves on the stack the address of `size` bytes at an EVM address, which are touched.
    pub(super) fn address(&mut self, offset: Local, size: u32) -> &mut Self {
        self.get_global(Global::Top).get(offset).i32_wrap_i64().i32_sub().i(size).i32_sub()
    }

    /// Returns what `nothing` pushes and a negative gas if the condition on the stack holds.
    pub(super) fn halt_if(&mut self, nothing: impl Fn(&mut Self)) -> &mut Self {
        self.if_();
        nothing(self);
        self.l(-1).return_().end()
    }

    /// As [`Self::halt_if`], if gas is negative.
    pub(super) fn halt_without(&mut self, gas: Local, nothing: impl Fn(&mut Self)) -> &mut Self {
        self.get(gas).l(0).i64_lt_s().halt_if(nothing)
    }

    /// Touches `size` bytes at any offset.
    fn touch_fixed(&mut self, gas: Local, offset: Word, size: i64, nothing: impl Fn(&mut Self)) {
        let end = self.long();
        self.beyond_32_bits(offset).i64_eqz().i32_eqz().halt_if(&nothing);
        self.get(offset[0]).l(size).i64_add().tee(end);
        self.get_global(Global::MemorySize).i64_extend_i32_u().i64_gt_u().if_();
        self.get(gas).get(end).call(Function::MemoryTouch).tee(gas);
        self.l(0).i64_lt_s().halt_if(&nothing);
        self.end();
    }

    /// Touches a range that is not empty.
    pub(super) fn touch_range(
        &mut self,
        gas: Local,
        offset: Word,
        length: Word,
        nothing: impl Fn(&mut Self),
    ) {
        self.beyond_32_bits(offset).beyond_32_bits(length).i64_or().i64_eqz().i32_eqz();
        self.halt_if(&nothing);
        self.get(gas).get(offset[0]).get(length[0]).i64_add().call(Function::MemoryTouch);
        self.set(gas).halt_without(gas, nothing);
    }
}
