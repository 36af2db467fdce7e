//! EVM memory and the heap.
//!
//! The byte at EVM address `a` is at `top - 1 - a`; the word at `a` is at `top - 32 - a`, limbs low first.
//! Memory beyond [`Global::MemorySize`] is zero. What is at or above 2^32, or would not fit the module's pages,
//! halts the frame (revm: `MemoryLimitOOG`); which halt it is does not show.
//!
//! EVM memory grows down from the end of linear memory, the heap up to it: neither has to move before they meet.
//! [`Global::MemoryBase`] and [`Global::HeapLimit`] are where each may go without asking; as long as they are the
//! same address, that is the border in the gap between both, and moves to its middle whenever one is at it. When
//! there is no gap, EVM memory moves to fresh pages, the heap goes on in fresh pages: what it leaves is not zero.

use super::Function;
use super::code::{Code, Local, Word};
use super::layout::{Global, INPUT_AT, PAGE, WINDOW};
use crate::abi::offset;
use crate::access::AccessSize;

/// A moved memory gets what it needs and so many times the bytes that are copied: one that is copied was grown into
/// and most likely grows on. Less where pages run out.
const ROOM: [u32; 3] = [2, 1, 0];

/// Takes bytes from the heap: their address, or 0 if there are none left. They are zero.
pub(super) fn allocate(c: &mut Code<'_>) {
    let size = c.parameter();
    let end = c.int();
    c.get_global(Global::HeapEnd).get(size).i32_add().tee(end);
    c.get_global(Global::HeapLimit).i32_gt_u().if_();
    {
        c.get(size).call(Function::HeapGrow).i32_eqz().if_();
        c.i(0).return_().end();
        c.get_global(Global::HeapEnd).get(size).i32_add().set(end);
    }
    c.end();
    c.get_global(Global::HeapEnd).get(end).set_global(Global::HeapEnd);
}

/// Makes room on the heap for so many bytes, by the border or by pages; 0 if there is none.
pub(super) fn grow_heap(c: &mut Code<'_>) {
    let size = c.parameter();
    let [border, last, pages] = [c.int(), c.int(), c.int()];
    c.get_global(Global::HeapLimit).get_global(Global::MemoryBase).i32_eq().if_();
    {
        // Up to the middle of what is left between them.
        c.get_global(Global::Top).get_global(Global::MemorySize).i32_sub().tee(border);
        c.get_global(Global::HeapEnd).i32_sub().get(size).i32_ge_u().if_();
        c.get_global(Global::HeapEnd).get(size).i32_add().tee(last).get(border).get(last);
        c.i32_sub().i(1).i32_shr_u().i32_add().tee(border).set_global(Global::HeapLimit);
        c.get(border).set_global(Global::MemoryBase).i(1).return_().end();
        // The gap is memory's.
        c.get_global(Global::HeapEnd).set_global(Global::MemoryBase);
    }
    c.end();
    c.memory_size().i(16).i32_shl().set(last);
    // What is before them is of no use, unless it is the end.
    c.get_global(Global::HeapLimit).get(last).i32_ne().if_();
    c.get(last).set_global(Global::HeapEnd).end();
    c.get_global(Global::HeapEnd).get(size).i32_add().get(last).i32_sub().i(PAGE - 1).i32_add();
    c.i(16).i32_shr_u().tee(pages).memory_grow().i(u32::MAX).i32_eq().if_();
    c.get_global(Global::HeapEnd).set_global(Global::HeapLimit).i(0).return_().end();
    c.get(last).get(pages).i(16).i32_shl().i32_add().set_global(Global::HeapLimit).i(1);
}

/// Grows memory to `end` bytes and charges for it: 3 gas a word and a 512th of the square of the words
/// (Yellow Paper, appendix G).
pub(super) fn touch(c: &mut Code<'_>) {
    let (gas, end) = (c.parameter(), c.parameter());
    let [words, cost] = c.longs();
    let size = c.int();

    c.get(end).get_global(Global::MemorySize).i64_extend_i32_u().i64_le_u().if_();
    c.get(gas).return_().end();
    c.get(end).i(INPUT_AT).load32_long(offset::MEMORY_MAX as u32).i64_gt_u().if_();
    c.l(-1).return_().end();

    c.get(end).l(31).i64_add().l(5).i64_shr_u().set(words);
    c.get(gas).get_global(Global::MemoryCost).i64_add();
    c.get(words).get(words).i64_mul().l(9).i64_shr_u().get(words).l(3).i64_mul().i64_add();
    c.tee(cost).i64_sub().tee(gas).l(0).i64_lt_s().if_();
    c.get(gas).return_().end();

    c.get(words).i32_wrap_i64().i(5).i32_shl().tee(size);
    c.get_global(Global::Top).get_global(Global::MemoryBase).i32_sub().i32_gt_u().if_();
    {
        c.get(size).call(Function::MemoryMove).i32_eqz().if_();
        c.l(-1).return_().end();
    }
    c.end();
    c.get(cost).set_global(Global::MemoryCost);
    c.get(size).set_global(Global::MemorySize);
    // At least a word.
    c.get(size).i(31).i32_sub().i64_extend_i32_u().set_global(Global::Words).get(gas);
}

/// Makes room for `size` bytes of memory, by the border or in fresh pages; 0 if there is none.
pub(super) fn move_memory(c: &mut Code<'_>) {
    let size = c.parameter();
    let [border, top, pages] = [c.int(), c.int(), c.int()];
    c.get_global(Global::HeapLimit).get_global(Global::MemoryBase).i32_eq().if_();
    {
        // Down to the middle of what is left between them.
        c.get_global(Global::Top).get_global(Global::HeapEnd).i32_sub().get(size).i32_ge_u().if_();
        c.get_global(Global::Top).get(size).i32_sub().get_global(Global::HeapEnd).i32_sub();
        c.i(1).i32_shr_u().get_global(Global::HeapEnd).i32_add().tee(border);
        c.set_global(Global::HeapLimit).get(border).set_global(Global::MemoryBase);
        c.i(1).return_().end();
    }
    c.end();
    c.memory_size().i(16).i32_shl().set(border);
    let grown = c.block();
    for room in ROOM {
        c.get_global(Global::MemorySize)
            .i(room)
            .i32_mul()
            .get(size)
            .i32_add()
            .i(PAGE - 1)
            .i32_add()
            .i(16)
            .i32_shr_u()
            .tee(pages);
        c.memory_grow().i(u32::MAX).i32_ne().br_if(grown);
    }
    c.i(0).return_().end();
    c.get(border).get(pages).i(16).i32_shl().i32_add().set(top);
    // The heap gets the gap that there was.
    c.get_global(Global::HeapLimit).get_global(Global::MemoryBase).i32_eq().if_();
    c.get_global(Global::Top)
        .get_global(Global::MemorySize)
        .i32_sub()
        .set_global(Global::HeapLimit);
    c.end();
    c.get_global(Global::MemorySize).if_();
    {
        c.get(top).get_global(Global::MemorySize).i32_sub();
        c.get_global(Global::Top).get_global(Global::MemorySize).i32_sub();
        c.get_global(Global::MemorySize).memory_copy();
    }
    c.end();
    c.get(border).set_global(Global::MemoryBase).get(top).memory_top().i(1);
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
    c.touch_fixed(gas, offset, AccessSize::Word, |c| {
        c.zero_word();
    });
    c.address(offset[0], 32).set(at);
    c.load_word(at, 0).get(gas);
}

/// MSTORE.
pub(super) fn mstore(c: &mut Code<'_>) {
    let (gas, offset, value) = (c.parameter(), c.parameter_word(), c.parameter_word());
    let at = c.int();
    c.touch_fixed(gas, offset, AccessSize::Word, |_| {});
    c.address(offset[0], 32).set(at);
    c.store_word(at, 0, value).get(gas);
}

/// MSTORE8.
pub(super) fn mstore8(c: &mut Code<'_>) {
    let (gas, offset, value) = (c.parameter(), c.parameter_word(), c.parameter());
    c.touch_fixed(gas, offset, AccessSize::Byte, |_| {});
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

    /// Touches memory at any offset.
    fn touch_fixed(
        &mut self,
        gas: Local,
        offset: Word,
        size: AccessSize,
        nothing: impl Fn(&mut Self),
    ) {
        self.beyond_32_bits(offset).i64_eqz().i32_eqz().halt_if(&nothing);
        self.get(offset[0]);
        match size {
            AccessSize::Byte => self.get_global(Global::MemorySize).i64_extend_i32_u(),
            AccessSize::Word => self.get_global(Global::Words),
            AccessSize::Pair => {
                self.l(AccessSize::Word.bytes() as i64).i64_add().get_global(Global::Words)
            }
        };
        let size = size.bytes() as i64;
        self.i64_ge_s().if_();
        self.get(gas).get(offset[0]).l(size).i64_add().call(Function::MemoryTouch).tee(gas);
        self.l(0).i64_lt_s().halt_if(&nothing);
        self.end();
    }

    /// Touches a range with an offset and a length below 2^32 that is not empty.
    pub(super) fn touch_near(
        &mut self,
        gas: Local,
        offset: Local,
        length: Local,
        nothing: impl Fn(&mut Self),
    ) {
        self.get(offset).get(length).i64_add();
        self.get_global(Global::MemorySize).i64_extend_i32_u().i64_gt_u().if_();
        self.get(gas).get(offset).get(length).i64_add().call(Function::MemoryTouch).tee(gas);
        self.l(0).i64_lt_s().halt_if(nothing);
        self.end();
    }

    /// Makes the address on the stack the top of memory.
    pub(super) fn memory_top(&mut self) -> &mut Self {
        let top = self.int();
        self.tee(top)
            .set_global(Global::Top)
            .get(top)
            .i(WINDOW)
            .i32_sub()
            .set_global(Global::Window)
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
        self.touch_near(gas, offset[0], length[0], nothing);
    }
}
