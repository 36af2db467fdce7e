//! What comes into EVM memory from calldata, return data and code, and their sizes.

use super::Function;
use super::code::{Code, Local, Word};
use super::layout::{CODE_SEGMENT, Global};
use super::memory::charge_copy;

/// CALLDATALOAD: zeros lie beyond the end (`abi::CALLDATA_PADDING`).
pub(super) fn calldata_load(c: &mut Code<'_>) {
    let offset = c.parameter_word();
    let at = c.int();
    c.get(offset[0]).get_global(Global::CalldataLength).i64_extend_i32_u().i64_ge_u();
    c.any(&offset.0[1..]).i64_eqz().i32_eqz().i32_or().if_();
    c.zero_word().return_().end();
    c.get_global(Global::CalldataTop).get(offset[0]).i32_wrap_i64().i32_sub();
    c.i(32).i32_sub().set(at);
    for limb in 0..4 {
        c.get(at).load64(8 * limb);
    }
}

/// CALLDATACOPY.
pub(super) fn calldata_copy(c: &mut Code<'_>) {
    let gas = c.parameter();
    let (to, from, length) = (c.parameter_word(), c.parameter_word(), c.parameter_word());
    c.get(gas).get_global(Global::CalldataTop).get_global(Global::CalldataLength);
    c.get_word(to).get_word(from).get_word(length).call(Function::CopyFrom);
}

/// RETURNDATACOPY: the only copy that halts beyond the end, even of nothing (EIP-211).
pub(super) fn return_data_copy(c: &mut Code<'_>) {
    let gas = c.parameter();
    let (to, from, length) = (c.parameter_word(), c.parameter_word(), c.parameter_word());
    c.beyond_32_bits(from).beyond_32_bits(length).i64_or().i64_eqz().i32_eqz();
    c.get(from[0]).get(length[0]).i64_add();
    c.get_global(Global::ReturnLength).i64_extend_i32_u().i64_gt_u().i32_or().if_();
    c.l(-1).return_().end();
    c.get(gas).get_global(Global::ReturnTop).get_global(Global::ReturnLength);
    c.get_word(to).get_word(from).get_word(length).call(Function::CopyFrom);
}

/// RETURNDATASIZE.
pub(super) fn return_data_size(c: &mut Code<'_>) {
    c.get_global(Global::ReturnLength).i64_extend_i32_u();
}

/// A copy from a string that lies backwards below an address.
pub(super) fn copy_from(c: &mut Code<'_>) {
    let gas = c.parameter();
    let (top, size) = (c.parameter(), c.parameter());
    copy(c, gas, size, |c, from, bytes| {
        c.get(top).get(from).i32_wrap_i64().i32_sub().get(bytes).i32_sub();
        c.get(bytes).memory_copy();
    });
}

/// CODECOPY.
pub(super) fn code_copy(c: &mut Code<'_>) {
    let gas = c.parameter();
    let size = c.int();
    let code_bytes = c.setup.code_bytes;
    c.i(code_bytes).set(size);
    copy(c, gas, size, |c, from, bytes| {
        c.get(size).get(from).i32_wrap_i64().i32_sub().get(bytes).i32_sub();
        c.get(bytes).memory_init(CODE_SEGMENT);
    });
}

/// A copy of what is within `size` bytes, zeros for what is beyond. With the target's address on the stack,
/// `some` copies a number of bytes, its second local (i32), from the offset in its first (i64).
fn copy(c: &mut Code<'_>, gas: Local, size: Local, some: impl FnOnce(&mut Code<'_>, Local, Local)) {
    let (to, from, length): (Word, Word, Word) =
        (c.parameter_word(), c.parameter_word(), c.parameter_word());
    let (start, end, old, bytes) = (c.int(), c.int(), c.int(), c.int());
    c.any(&length.0).i64_eqz().if_();
    c.get(gas).return_().end();
    c.beyond_32_bits(to).beyond_32_bits(length).i64_or().i64_eqz().i32_eqz().if_();
    c.l(-1).return_().end();

    charge_copy(c, gas, length[0]);
    c.get_global(Global::MemorySize).set(old);
    c.get(gas).get(to[0]).get(length[0]).i64_add().call(Function::MemoryTouch);
    c.tee(gas).l(0).i64_lt_s().if_();
    c.get(gas).return_().end();
    c.get(to[0]).i32_wrap_i64().tee(start);
    c.get(length[0]).i32_wrap_i64().i32_add().set(end);

    c.get(from[0]).get(size).i64_extend_i32_u().i64_lt_u();
    c.any(&from.0[1..]).i64_eqz().i32_and().if_();
    {
        c.get(size).get(from[0]).i32_wrap_i64().i32_sub().tee(bytes);
        c.get(length[0]).i32_wrap_i64();
        c.get(bytes).get(length[0]).i32_wrap_i64().i32_lt_u().select();
        c.tee(bytes).get(start).i32_add().set(start);
        c.get_global(Global::Top).get(start).i32_sub();
        some(c, from[0], bytes);
    }
    c.end();

    // What memory did not have before is zero.
    c.get(old).get(end).get(old).get(end).i32_lt_u().select().tee(end).get(start).i32_gt_u().if_();
    c.get_global(Global::Top).get(end).i32_sub().i(0);
    c.get(end).get(start).i32_sub().memory_fill();
    c.end();
    c.get(gas);
}
