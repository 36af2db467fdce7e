//! The start and the end of a frame, and the next frame of the same module.

use super::code::{Code, Local};
use super::effects::HEAD_ROOM;
use super::layout::{Global, INPUT_AT, MEMO_AT, MESSAGE_AT, PAGE, STORAGE_ROOTS_AT};
use super::{Function, Import};
use crate::abi::{CALLDATA_PADDING, FRAME_ABI_VERSION, Halt, offset};

/// Heads of the last requests: sizes, and tags.
const DONE_HEAD: u32 = 34;
const DONE_TAG: u32 = 8;
const SELF_DESTRUCT_HEAD: u32 = 61;
const SELF_DESTRUCT_TAG: u32 = 7;

/// Room for an input, at least: a frame whose input fits where the first one was takes over what that one has made.
const SMALLEST_INPUT: u32 = 1_024;
/// Highest end of the heap with which a module offers to run another frame.
const LARGEST_HEAP: u32 = 8 * PAGE;
/// EVM memory that is zeroed and used again; the next frame takes new memory in the place of more.
const LARGEST_ZEROED: u32 = 1_024;
/// Bytes of the roots of all trees, which lie side by side, and how many are zeroed at a time.
const ROOTS: u32 = MEMO_AT - STORAGE_ROOTS_AT;
const ZEROED_AT_ONCE: u32 = 64;

/// Reads the input: the gas of the frame, negative if the input is not ours.
pub(super) fn enter(c: &mut Code<'_>) {
    let (length, pages) = (c.long(), c.int());
    let end = c.int();
    c.l(0).import(Import::Input);
    c.l(0).import(Import::RegisterLen).tee(length);
    c.l(i64::from(PAGE - INPUT_AT)).i64_gt_u().if_();
    {
        // Lengths are below 2^32: an argument is no longer than the host allows.
        c.get(length).l(i64::from(INPUT_AT)).i64_add().l(16).i64_shr_u().i32_wrap_i64();
        c.tee(pages).memory_grow().i(u32::MAX).i32_eq().halt_if(|_| {});
        c.get(pages).i(1).i32_add().i(16).i32_shl().set_global(Global::HeapLimit);
    }
    c.end();
    c.l(0).l(i64::from(INPUT_AT)).import(Import::ReadRegister);
    c.get(length).i32_wrap_i64().i(INPUT_AT).i32_add().tee(end).i(INPUT_AT + SMALLEST_INPUT);
    c.get(end)
        .i(INPUT_AT + SMALLEST_INPUT)
        .i32_gt_u()
        .select()
        .tee(end)
        .set_global(Global::HeapStart);
    c.get(end).set_global(Global::HeapEnd);
    c.accept_input(length);
}

/// Yields the result and waits for another frame: 1 and the gas of the next frame, negative if its input is not ours.
/// With much memory used the module rather ends: 0 and anything.
///
/// Whatever depends on the frame is forgotten; hashes that are known, buffers and small EVM memory stay.
pub(super) fn next(c: &mut Code<'_>) {
    let (length, end) = (c.long(), c.int());
    let last = |c: &mut Code<'_>| {
        c.get_global(Global::LastLength).i64_extend_i32_u();
        c.get_global(Global::LastAt).i64_extend_i32_u();
    };
    c.get_global(Global::HeapEnd).i(LARGEST_HEAP).i32_gt_u().if_();
    {
        last(c);
        c.import(Import::ValueReturn).i(0).l(0).return_();
    }
    c.end();
    last(c);
    c.l(i64::from(INPUT_AT)).get_global(Global::HeapLimit).i(INPUT_AT).i32_sub().i64_extend_i32_u();
    c.import(Import::CallbackInto).tee(length).l(i64::from(INPUT_AT)).i64_add();
    c.get_global(Global::HeapLimit).i64_extend_i32_u().i64_gt_u().if_();
    {
        // Lengths are below 2^32: an answer is no longer than the host allows.
        let pages = end;
        c.get(length).l(i64::from(INPUT_AT + PAGE - 1)).i64_add();
        c.get_global(Global::HeapLimit).i64_extend_i32_u().i64_sub().l(16).i64_shr_u();
        c.i32_wrap_i64().tee(pages).memory_grow().i(u32::MAX).i32_eq().if_();
        c.i(1).l(-1).return_().end();
        c.get_global(Global::HeapLimit).get(pages).i(16).i32_shl().i32_add();
        c.set_global(Global::HeapLimit);
        c.l(i64::from(INPUT_AT)).get(length).import(Import::PendingInto).drop();
    }
    c.end();

    c.get(length).i32_wrap_i64().i(INPUT_AT).i32_add().tee(end);
    c.get_global(Global::HeapStart).i32_gt_u().if_();
    {
        // The input reaches into what was made: nothing of that is used again.
        c.get(end).get_global(Global::HeapEnd);
        c.get(end).get_global(Global::HeapEnd).i32_gt_u().select().tee(end);
        c.set_global(Global::HeapStart).get(end).set_global(Global::HeapEnd);
        for buffer in [
            Global::ReturnCapacity,
            Global::CodeCapacity,
            Global::SpongeCapacity,
            Global::Outbox,
            Global::OutboxEnd,
            Global::OutboxLimit,
            Global::Top,
            Global::MemoryBase,
        ] {
            c.i(0).set_global(buffer);
        }
    }
    c.else_();
    {
        // The head of a result was put before its output, and so before the memory it is in.
        let size = c.int();
        c.get_global(Global::MemorySize).i(DONE_HEAD).i32_add().tee(size).i(LARGEST_ZEROED);
        c.i32_gt_u().get(size).get_global(Global::Top).get_global(Global::MemoryBase).i32_sub();
        c.i32_gt_u().i32_or().if_();
        c.i(0).set_global(Global::Top).i(0).set_global(Global::MemoryBase);
        c.else_();
        c.get_global(Global::Top).get(size).i32_sub().i(0).get(size).memory_fill().end();
        c.get_global(Global::Outbox).set_global(Global::OutboxEnd);
    }
    c.end();
    for forgotten in [
        Global::MemorySize,
        Global::ReturnLength,
        Global::Logs,
        Global::Writes,
        Global::Transients,
        Global::CodeOwner,
    ] {
        c.i(0).set_global(forgotten);
    }
    c.l(0).set_global(Global::Refund);
    c.i(STORAGE_ROOTS_AT).set(end);
    let again = c.loop_();
    for at in (0..ZEROED_AT_ONCE).step_by(8) {
        c.get(end).l(0).store64(at);
    }
    c.get(end).i(ZEROED_AT_ONCE).i32_add().tee(end).i(STORAGE_ROOTS_AT + ROOTS).i32_lt_u();
    c.br_if(again).end();
    c.i(1);
    c.accept_input(length);
}

impl Code<'_> {
    /// Takes an input of `length` bytes that has been received: the gas of the frame, on the stack.
    fn accept_input(&mut self, length: Local) {
        let c = self;
        c.get(length).i32_wrap_i64().i(INPUT_AT).i32_add().set_global(Global::CalldataTop);
        c.i(INPUT_AT).load32(offset::CALLDATA_BYTES as u32).set_global(Global::CalldataLength);
        // A negative gas, or that of the frame.
        c.l(-1).i(INPUT_AT).load64(offset::GAS as u32);
        c.i(INPUT_AT).load32(offset::VERSION as u32).i(FRAME_ABI_VERSION).i32_ne();
        c.get(length).i(INPUT_AT).load32_long(offset::CALLDATA_BYTES as u32);
        c.i(INPUT_AT).load32_long(offset::BLOB_HASHES as u32).l(5).i64_shl().i64_add();
        c.l((offset::TAIL + CALLDATA_PADDING) as i64).i64_add().i64_ne().i32_or().select();
    }

    /// Takes note of the frame's result, whose address and length are on the stack.
    fn end_with(&mut self) -> &mut Self {
        self.set_global(Global::LastLength).set_global(Global::LastAt)
    }
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
    c.get(head).get(at).get(size).i32_add().get(head).i32_sub().end_with().get(gas);
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
    c.get(head).get(at).get(head).i32_sub().end_with().get(gas);
}

/// An exceptional halt: no gas, no effects, no output.
pub(super) fn halt(c: &mut Code<'_>) {
    c.i(0).i(DONE_TAG).store8(MESSAGE_AT);
    c.i(0).i(Halt::Exceptional as u32).store8(MESSAGE_AT + 1);
    for limb in 0..4 {
        c.i(0).l(0).store64(MESSAGE_AT + 2 + 8 * limb);
    }
    c.i(MESSAGE_AT).i(DONE_HEAD).end_with();
}

impl Code<'_> {
    /// Whether there is nothing in the outbox and on the lists of writes, on the stack.
    fn has_no_effects(&mut self) -> &mut Self {
        self.get_global(Global::Logs).get_global(Global::Writes).i32_or();
        self.get_global(Global::Transients).i32_or().i32_eqz()
    }
}

const _: () = assert!(DONE_HEAD <= HEAD_ROOM && SELF_DESTRUCT_HEAD <= HEAD_ROOM);
