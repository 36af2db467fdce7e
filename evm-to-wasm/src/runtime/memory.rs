//! EVM memory: growth and its gas, loads and stores, copies within it.
//!
//! It lies backwards below `Global::Top`, in a region of the heap that is at least as large; what of the
//! region is beyond `Global::MemorySize` is zero.

use super::Function;
use super::code::{Code, Local, Word};
use super::layout::{Global, MAXIMUM_PAGES, PAGE};

/// Bytes of the first region.
const FIRST_REGION: u32 = 4_096;

/// Grows to `end` bytes, rounded up to words, and charges 3 gas a word and a 512th of the square of all
/// words (Yellow Paper, appendix H). Gas that is negative already stays so.
pub(super) fn touch(c: &mut Code<'_>) {
    let (gas, end) = (c.parameter(), c.parameter());
    let (size, region, at) = (c.int(), c.int(), c.int());
    let [words, old] = c.longs();
    c.get(end).get_global(Global::MemorySize).i64_extend_i32_u().i64_le_u().if_();
    c.get(gas).return_().end();
    // No frame has more linear memory; and so nothing below overflows.
    c.get(end).l(MAXIMUM_PAGES as i64 * i64::from(PAGE)).i64_gt_u().if_();
    c.l(-1).return_().end();

    c.get(end).l(31).i64_add().l(5).i64_shr_u().set(words);
    c.get_global(Global::MemorySize).i64_extend_i32_u().l(5).i64_shr_u().set(old);
    c.get(gas).get(words).get(old).i64_sub().l(3).i64_mul().i64_sub();
    c.get(words).get(words).i64_mul().l(9).i64_shr_u().i64_sub();
    c.get(old).get(old).i64_mul().l(9).i64_shr_u().i64_add();
    c.tee(gas).l(0).i64_lt_s().if_();
    c.l(-1).return_().end();

    c.get(words).i32_wrap_i64().i(5).i32_shl().set(size);
    c.get_global(Global::Top).get_global(Global::MemoryBase).i32_sub().set(region);
    c.get(size).get(region).i32_gt_u().if_();
    {
        larger(c, region);
        c.get(size).get(region).get(size).get(region).i32_gt_u().select().set(region);
        c.get(region).i64_extend_i32_u().call(Function::Allocate).tee(at).i32_eqz().if_();
        c.l(-1).return_().end();
        c.get(at).get(region).i32_add().get_global(Global::MemorySize).i32_sub();
        c.get_global(Global::Top).get_global(Global::MemorySize).i32_sub();
        c.get_global(Global::MemorySize).memory_copy();
        c.get(at).get(region).i32_add().set_global(Global::Top);
        c.get(at).set_global(Global::MemoryBase);
    }
    c.end();
    c.get(size).set_global(Global::MemorySize);
    c.get(gas);
}

/// `region` becomes twice itself, or that of the first region.
fn larger(c: &mut Code<'_>, region: Local) {
    c.get(region).i(1).i32_shl().i(FIRST_REGION).get(region).select().set(region);
}

/// Touches a range; gives its offset and length, zeros for one of length zero.
pub(super) fn range(c: &mut Code<'_>) {
    let gas = c.parameter();
    let (offset, length) = (c.parameter_word(), c.parameter_word());
    c.any(&length.0).i64_eqz().if_();
    c.i(0).i(0).get(gas).return_().end();
    c.beyond_32_bits(offset).beyond_32_bits(length).i64_or().i64_eqz().i32_eqz().if_();
    c.i(0).i(0).l(-1).return_().end();
    c.get(offset[0]).i32_wrap_i64().get(length[0]).i32_wrap_i64();
    c.get(gas).get(offset[0]).get(length[0]).i64_add().call(Function::MemoryTouch);
}

/// Charges for the `bytes` from `offset` on, if they are beyond what is there; leaves the function with
/// `results` zero limbs and negative gas if that fails.
fn access(c: &mut Code<'_>, gas: Local, offset: Word, bytes: i64, results: usize) {
    let fail = |c: &mut Code<'_>| {
        for _ in 0..results {
            c.l(0);
        }
        c.l(-1).return_();
    };
    c.beyond_32_bits(offset).i64_eqz().i32_eqz().if_();
    fail(c);
    c.end();
    c.get(offset[0]).l(bytes).i64_add();
    c.get_global(Global::MemorySize).i64_extend_i32_u().i64_gt_u().if_();
    {
        c.get(gas).get(offset[0]).l(bytes).i64_add().call(Function::MemoryTouch);
        c.tee(gas).l(0).i64_lt_s().if_();
        fail(c);
        c.end();
    }
    c.end();
}

/// MLOAD.
pub(super) fn mload(c: &mut Code<'_>) {
    let gas = c.parameter();
    let offset = c.parameter_word();
    let at = c.int();
    access(c, gas, offset, 32, 4);
    c.get_global(Global::Top).get(offset[0]).i32_wrap_i64().i32_sub().i(32).i32_sub().set(at);
    for limb in 0..4 {
        c.get(at).load64(8 * limb);
    }
    c.get(gas);
}

/// MSTORE.
pub(super) fn mstore(c: &mut Code<'_>) {
    let gas = c.parameter();
    let (offset, value) = (c.parameter_word(), c.parameter_word());
    let at = c.int();
    access(c, gas, offset, 32, 0);
    c.get_global(Global::Top).get(offset[0]).i32_wrap_i64().i32_sub().i(32).i32_sub().set(at);
    for limb in 0..4 {
        c.get(at).get(value[limb]).store64(8 * limb as u32);
    }
    c.get(gas);
}

/// MSTORE8.
pub(super) fn mstore8(c: &mut Code<'_>) {
    let gas = c.parameter();
    let offset = c.parameter_word();
    let value = c.parameter();
    access(c, gas, offset, 1, 0);
    c.get_global(Global::Top).get(offset[0]).i32_wrap_i64().i32_sub().i(1).i32_sub();
    c.get(value).store8_long(0).get(gas);
}

/// Charges 3 gas for each word of `length`, below 2^32 (the copying instructions).
pub(super) fn charge_copy(c: &mut Code<'_>, gas: Local, length: Local) {
    c.get(gas).get(length).l(31).i64_add().l(5).i64_shr_u().l(3).i64_mul().i64_sub().set(gas);
}

/// MCOPY.
pub(super) fn mcopy(c: &mut Code<'_>) {
    let gas = c.parameter();
    let (to, from, length) = (c.parameter_word(), c.parameter_word(), c.parameter_word());
    let bytes = c.int();
    c.any(&length.0).i64_eqz().if_();
    c.get(gas).return_().end();
    c.beyond_32_bits(to).beyond_32_bits(from).i64_or().beyond_32_bits(length).i64_or();
    c.i64_eqz().i32_eqz().if_();
    c.l(-1).return_().end();

    charge_copy(c, gas, length[0]);
    c.get(gas).get(to[0]).get(from[0]).get(to[0]).get(from[0]).i64_gt_u().select();
    c.get(length[0]).i64_add().call(Function::MemoryTouch);
    c.tee(gas).l(0).i64_lt_s().if_();
    c.get(gas).return_().end();

    c.get(length[0]).i32_wrap_i64().set(bytes);
    for offset in [to, from] {
        c.get_global(Global::Top).get(offset[0]).i32_wrap_i64().i32_sub().get(bytes).i32_sub();
    }
    c.get(bytes).memory_copy().get(gas);
}
