//! The start and the end of a frame.

use super::code::Code;
use super::effects::HEAD_ROOM;
use super::layout::{BORDER, Global, INPUT_AT, MESSAGE_AT, PAGE};
use super::{Function, Import};
use crate::abi::{CALLDATA_PADDING, FRAME_ABI_VERSION, Halt, offset};

/// Heads of the last requests: sizes, and tags.
const DONE_HEAD: u32 = 34;
const DONE_TAG: u32 = 8;
const SELF_DESTRUCT_HEAD: u32 = 61;
const SELF_DESTRUCT_TAG: u32 = 7;

/// Reads the input: the gas of the frame, negative if the input is not ours.
pub(super) fn enter(c: &mut Code<'_>) {
    let (length, pages) = (c.long(), c.int());
    let end = c.int();
    c.l(0).import(Import::Input);
    c.l(0).import(Import::RegisterLen).tee(length);
    c.l(i64::from(PAGE - BORDER - INPUT_AT)).i64_gt_u().if_();
    {
        // Lengths are below 2^32: an argument is no longer than the host allows.
        c.get(length).l(i64::from(INPUT_AT + BORDER)).i64_add().l(16).i64_shr_u().i32_wrap_i64();
        c.tee(pages).memory_grow().i(u32::MAX).i32_eq().halt_if(|_| {});
        c.get(pages).i(1).i32_add().i(16).i32_shl().tee(end).memory_top();
        c.get(end).i(BORDER).i32_sub().tee(end).set_global(Global::HeapLimit);
        c.get(end).set_global(Global::MemoryBase);
    }
    c.end();
    c.l(0).l(i64::from(INPUT_AT)).import(Import::ReadRegister);
    c.get(length).i32_wrap_i64().i(INPUT_AT).i32_add().tee(end).set_global(Global::CalldataTop);
    c.get(end).set_global(Global::HeapEnd);
    c.i(INPUT_AT).load32(offset::CALLDATA_BYTES as u32).set_global(Global::CalldataLength);

    c.i(INPUT_AT).load32(offset::VERSION as u32).i(FRAME_ABI_VERSION).i32_ne();
    c.get(length);
    c.i(INPUT_AT).load32_long(offset::CALLDATA_BYTES as u32);
    c.i(INPUT_AT).load32_long(offset::BLOB_HASHES as u32).l(5).i64_shl().i64_add();
    c.l((offset::TAIL + CALLDATA_PADDING) as i64).i64_add().i64_ne().i32_or().halt_if(|_| {});
    c.i(INPUT_AT).load64(offset::GAS as u32);
}

/// RETURN and REVERT.
pub(super) fn finish(c: &mut Code<'_>) {
    let (gas, reverts) = (c.parameter(), c.parameter());
    let (offset, length) = (c.parameter_word(), c.parameter_word());
    let [from, size, at, head] = [c.int(), c.int(), c.int(), c.int()];
    c.get(gas).get_word(offset).get_word(length).call(Function::MemoryRange);
    c.set(gas).set(size).set(from).halt_without(gas, |_| {});

    c.has_no_effects().get(reverts).i32_or().if_();
    {
        // The output goes out from where it is, the head before it: nobody needs memory any more.
        c.get_global(Global::Top).get(from).i32_sub().get(size).i32_sub();
        c.i(MESSAGE_AT + DONE_HEAD).get(size).select().tee(at);
        c.i(DONE_HEAD).i32_sub().tee(head).l(0).store64(18);
        c.get(head).i(0).store32(26);
    }
    c.else_();
    {
        c.payload(from, size, at, |_| {});
        c.get_global(Global::Outbox).i(DONE_HEAD).i32_sub().set(head).store_effects(head, 18);
    }
    c.end();
    c.get(head).i(DONE_TAG).store8(0);
    // The order of `Halt`: success, revert.
    c.get(head).get(reverts).store8(1);
    c.get(head).get(gas).store64(2);
    c.get(head).get_global(Global::Refund).store64(10);
    c.get(head).get(size).store32(30);
    c.get(at).get(size).i32_add().get(head).i32_sub().i64_extend_i32_u();
    c.get(head).i64_extend_i32_u().import(Import::ValueReturn).get(gas);
}

/// STOP.
pub(super) fn stop(c: &mut Code<'_>) {
    let gas = c.parameter();
    c.get(gas).i(0).zero_word().zero_word().call(Function::Finish).l(0).i64_lt_s().if_();
    c.call(Function::Halt).end();
}

/// SELFDESTRUCT.
pub(super) fn self_destruct(c: &mut Code<'_>) {
    let (gas, beneficiary) = (c.parameter(), c.parameter_word());
    let [at, head] = [c.int(), c.int()];
    c.i(INPUT_AT).load32(offset::IS_STATIC as u32).halt_if(|_| {});
    c.i(0).call(Function::Gather).tee(at).i32_eqz().halt_if(|_| {});
    c.get_global(Global::Outbox).i(SELF_DESTRUCT_HEAD).i32_sub().tee(head);
    c.i(SELF_DESTRUCT_TAG).store8(0);
    c.get(head).get(gas).store64(1);
    c.get(head).get_global(Global::Refund).store64(9);
    c.store_word(head, 17, beneficiary).store_effects(head, 49);
    c.get(at).get(head).i32_sub().i64_extend_i32_u();
    c.get(head).i64_extend_i32_u().import(Import::ValueReturn).get(gas);
}

/// An exceptional halt: no gas, no effects, no output.
pub(super) fn halt(c: &mut Code<'_>) {
    c.i(0).i(DONE_TAG).store8(MESSAGE_AT);
    c.i(0).i(Halt::Exceptional as u32).store8(MESSAGE_AT + 1);
    for limb in 0..4 {
        c.i(0).l(0).store64(MESSAGE_AT + 2 + 8 * limb);
    }
    c.l(i64::from(DONE_HEAD)).l(i64::from(MESSAGE_AT)).import(Import::ValueReturn);
}

impl Code<'_> {
    /// Whether there is nothing in the outbox and on the lists of writes, on the stack.
    fn has_no_effects(&mut self) -> &mut Self {
        self.get_global(Global::Logs).get_global(Global::Writes).i32_or();
        self.get_global(Global::Transients).i32_or().i32_eqz()
    }
}

const _: () = assert!(DONE_HEAD <= HEAD_ROOM && SELF_DESTRUCT_HEAD <= HEAD_ROOM);
