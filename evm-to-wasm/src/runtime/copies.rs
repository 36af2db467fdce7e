//! Copies into EVM memory. What travels backwards is copied as it is; what is beyond the end of a source is
//! zero, and costs nothing where memory was not touched before.

use super::Function;
use super::accounts::{CODE_HEAD, CODE_SIZE};
use super::code::{Code, Local, Word};
use super::layout::{CODE_SEGMENT, Global, INPUT_AT};
use crate::abi::offset;

/// Gas for copying a word (Yellow Paper, appendix G).
const COPY: i64 = 3;

/// CALLDATALOAD. Calldata has zeros before its last byte, so a word that begins in it can be loaded.
pub(super) fn calldata_load(c: &mut Code<'_>) {
    let from = c.parameter_word();
    let at = c.int();
    c.get(from[0]).get_global(Global::CalldataLength).i64_extend_i32_u().i64_ge_u();
    c.any(&from.0[1..]).i64_eqz().i32_eqz().i32_or().if_();
    c.zero_word().return_().end();
    c.get_global(Global::CalldataTop).get(from[0]).i32_wrap_i64().i32_sub().i(32).i32_sub();
    c.set(at).load_word(at, 0);
}

/// Where bytes come from.
enum Source {
    /// Linear memory, from the address below this downwards.
    Memory(Local),
    /// The data segment.
    Code,
}

/// CALLDATACOPY.
pub(super) fn calldata_copy(c: &mut Code<'_>) {
    let (gas, to, from, length) = parameters(c);
    let (top, size) = (c.int(), c.long());
    c.get_global(Global::CalldataTop).set(top);
    c.get_global(Global::CalldataLength).i64_extend_i32_u().set(size);
    let before = prepare(c, gas, to, length);
    copy(c, to, from, length, before, size, &Source::Memory(top));
    c.get(gas);
}

/// CODECOPY.
pub(super) fn code_copy(c: &mut Code<'_>) {
    let (gas, to, from, length) = parameters(c);
    let size = c.long();
    let code_bytes = c.setup.code_bytes;
    c.l(i64::from(code_bytes)).set(size);
    let before = prepare(c, gas, to, length);
    copy(c, to, from, length, before, size, &Source::Code);
    c.get(gas);
}

/// RETURNDATACOPY: reading beyond the end halts, even of no length (EIP-211).
pub(super) fn return_data_copy(c: &mut Code<'_>) {
    let (gas, to, from, length) = parameters(c);
    let (top, size) = (c.int(), c.long());
    c.get_global(Global::ReturnTop).set(top);
    c.get_global(Global::ReturnLength).i64_extend_i32_u().set(size);
    c.beyond_32_bits(from).beyond_32_bits(length).i64_or().i64_eqz().i32_eqz();
    c.get(from[0]).get(length[0]).i64_add().get(size).i64_gt_u().i32_or().halt_if(|_| {});
    let before = prepare(c, gas, to, length);
    copy(c, to, from, length, before, size, &Source::Memory(top));
    c.get(gas);
}

/// EXTCODECOPY.
pub(super) fn ext_code_copy(c: &mut Code<'_>) {
    let (gas, account) = (c.parameter(), c.parameter_word());
    let (to, from, length) = (c.parameter_word(), c.parameter_word(), c.parameter_word());
    let (top, size) = (c.int(), c.long());
    // The account is loaded whatever the length.
    c.get(gas).get_word(account).any(&length.0).i64_eqz().i32_eqz();
    c.call(Function::ExtCodeBytes).set(gas).set(top);
    c.halt_without(gas, |_| {});
    c.any(&length.0).i64_eqz().if_();
    c.get(gas).return_().end();
    c.get(top).load32_long(CODE_SIZE).set(size);
    c.get_global(Global::CodeBuffer).i(CODE_HEAD).i32_add();
    c.get(size).i32_wrap_i64().i32_add().set(top);
    let before = prepare(c, gas, to, length);
    copy(c, to, from, length, before, size, &Source::Memory(top));
    c.get(gas);
}

/// MCOPY (EIP-5656).
pub(super) fn mcopy(c: &mut Code<'_>) {
    let (gas, to, from, length) = parameters(c);
    c.any(&length.0).i64_eqz().if_();
    c.get(gas).return_().end();
    c.beyond_32_bits(to).beyond_32_bits(from).i64_or().beyond_32_bits(length).i64_or();
    c.i64_eqz().i32_eqz().halt_if(|_| {});
    charge(c, gas, length);
    let higher = c.long();
    c.get(to[0]).get(from[0]).get(to[0]).get(from[0]).i64_gt_u().select().set(higher);
    c.touch_near(gas, higher, length[0], |_| {});
    for start in [to, from] {
        c.get_global(Global::Top).get(start[0]).get(length[0]).i64_add().i32_wrap_i64().i32_sub();
    }
    c.get(length[0]).i32_wrap_i64().memory_copy().get(gas);
}

fn parameters(c: &mut Code<'_>) -> (Local, Word, Word, Word) {
    (c.parameter(), c.parameter_word(), c.parameter_word(), c.parameter_word())
}

/// Charges for copying a length below 2^32.
fn charge(c: &mut Code<'_>, gas: Local, length: Word) {
    c.get(gas).get(length[0]).l(31).i64_add().l(5).i64_shr_u().l(COPY).i64_mul().i64_sub();
    c.set(gas);
}

/// Returns if there is nothing to copy; else charges and touches where it goes. Gives the local with the size
/// that memory had.
fn prepare(c: &mut Code<'_>, gas: Local, to: Word, length: Word) -> Local {
    let before = c.long();
    c.any(&length.0).i64_eqz().if_();
    c.get(gas).return_().end();
    c.get_global(Global::MemorySize).i64_extend_i32_u().set(before);
    c.beyond_32_bits(length).i64_eqz().i32_eqz().halt_if(|_| {});
    charge(c, gas, length);
    c.touch_range(gas, to, length, |_| {});
    before
}

/// Copies what the source, of `size` bytes, has, and zeroes the rest up to where memory ended `before`.
fn copy(
    c: &mut Code<'_>,
    to: Word,
    from: Word,
    length: Word,
    before: Local,
    size: Local,
    source: &Source,
) {
    let [there, end] = c.longs();
    c.any(&from.0[1..]).i64_eqz().get(from[0]).get(size).i64_lt_u().i32_and().if_();
    {
        c.get(size).get(from[0]).i64_sub().tee(there).get(length[0]);
        c.get(there).get(length[0]).i64_lt_u().select().set(there);
        c.get_global(Global::Top).get(to[0]).get(there).i64_add().i32_wrap_i64().i32_sub();
        match source {
            Source::Memory(top) => c.get(*top),
            Source::Code => c.get(size).i32_wrap_i64(),
        };
        c.get(from[0]).get(there).i64_add().i32_wrap_i64().i32_sub();
        c.get(there).i32_wrap_i64();
        match source {
            Source::Memory(_) => c.memory_copy(),
            Source::Code => c.memory_init(CODE_SEGMENT),
        };
    }
    c.end();
    // From `to + there` to the smaller of `to + length` and `before`.
    c.get(to[0]).get(length[0]).i64_add().tee(end).get(before);
    c.get(end).get(before).i64_lt_u().select().tee(end);
    c.get(to[0]).get(there).i64_add().tee(there).i64_gt_u().if_();
    {
        c.get_global(Global::Top).get(end).i32_wrap_i64().i32_sub().i(0);
        c.get(end).get(there).i64_sub().i32_wrap_i64().memory_fill();
    }
    c.end();
}

/// BLOBHASH: zero beyond the last (EIP-4844).
pub(super) fn blob_hash(c: &mut Code<'_>) {
    let index = c.parameter_word();
    let at = c.int();
    c.get(index[0]).i(INPUT_AT).load32_long(offset::BLOB_HASHES as u32).i64_ge_u();
    c.any(&index.0[1..]).i64_eqz().i32_eqz().i32_or().if_();
    c.zero_word().return_().end();
    c.get(index[0]).i32_wrap_i64().i(5).i32_shl().set(at);
    c.load_word(at, INPUT_AT + offset::TAIL as u32);
}
