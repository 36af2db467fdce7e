//! The start and the end of a frame, and the next frame of the same module.

use super::code::{Code, Local};
use super::effects::HEAD_ROOM;
use super::layout::{
    BORDER, Global, INPUT_AT, MESSAGE_AT, OTHER_ROOTS, PAGE, STORAGE_ROOTS, STORAGE_ROOTS_AT,
    TRANSIENT_ROOTS_AT,
};
use super::{Function, Import};
use crate::abi::{CALLDATA_PADDING, FRAME_ABI_VERSION, Halt, offset};

/// Heads of the last requests: sizes, and tags.
const DONE_HEAD: u32 = 34;
const DONE_TAG: u32 = 8;
const SELF_DESTRUCT_HEAD: u32 = 61;
const SELF_DESTRUCT_TAG: u32 = 7;

/// Room for an input, at least: a frame whose input fits where the first one was takes over what that one has made.
const SMALLEST_INPUT: u32 = 1_024;
/// Pages, and bytes of EVM memory, with which a module offers to run another frame at most: what has to be zeroed costs
/// less than another module.
const LARGEST_PAGES: u32 = 8;
const LARGEST_MEMORY: u32 = 8 * 1_024;
/// Roots of all trees, in bytes: those of the other trees lie side by side. How many bytes are zeroed at a time.
const ROOTS: [(u32, u32); 2] =
    [(TRANSIENT_ROOTS_AT, 5 * 4 * OTHER_ROOTS), (STORAGE_ROOTS_AT, 4 * STORAGE_ROOTS)];
const ZEROED_AT_ONCE: u32 = 64;

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
/// With much memory used, or memory that has moved, the module rather ends: 0 and anything.
///
/// Whatever depends on the frame is forgotten; hashes that are known, buffers and the room of EVM memory stay.
pub(super) fn next(c: &mut Code<'_>) {
    let (length, end) = (c.long(), c.int());
    let last = |c: &mut Code<'_>| {
        c.get_global(Global::LastLength).i64_extend_i32_u();
        c.get_global(Global::LastAt).i64_extend_i32_u();
    };
    c.memory_size().i(LARGEST_PAGES).i32_gt_u();
    c.get_global(Global::MemorySize).i(LARGEST_MEMORY).i32_gt_u().i32_or();
    c.get_global(Global::HeapLimit).get_global(Global::MemoryBase).i32_ne().i32_or().if_();
    {
        last(c);
        c.import(Import::ValueReturn).i(0).l(0).return_();
    }
    c.end();
    // Here linear memory is the heap, a gap of zeros, and EVM memory up to the end. The head of a result was put before
    // its output, and so before EVM memory at the lowest: an input that is received ends below that.
    let room = |c: &mut Code<'_>| {
        c.get_global(Global::HeapLimit).i(INPUT_AT + HEAD_ROOM).i32_sub().i64_extend_i32_u();
    };
    last(c);
    c.l(i64::from(INPUT_AT));
    room(c);
    c.import(Import::CallbackInto).tee(length);
    room(c);
    c.i64_gt_u().if_();
    {
        // It does not fit: what there is now becomes heap that is used up, EVM memory begins again at the end of fresh pages.
        // Lengths are below 2^32: an answer is no longer than the host allows.
        let (top, pages) = (c.int(), c.int());
        c.get(length).i32_wrap_i64().i(INPUT_AT).i32_add().tee(end);
        c.get_global(Global::Top).get(end).get_global(Global::Top).i32_gt_u().select().tee(end);
        c.i(BORDER + PAGE - 1).i32_add().i(16).i32_shr_u().memory_size().i32_sub().tee(pages);
        c.memory_grow().i(u32::MAX).i32_eq().if_();
        c.i(1).l(-1).return_().end();
        c.memory_size().i(16).i32_shl().tee(top).memory_top();
        c.get(top).i(BORDER).i32_sub().tee(top).set_global(Global::HeapLimit);
        c.get(top).set_global(Global::MemoryBase);
        c.l(i64::from(INPUT_AT)).get(length).import(Import::PendingInto).drop();
    }
    c.else_();
    {
        let size = c.int();
        c.get_global(Global::MemorySize).i(HEAD_ROOM).i32_add().set(size);
        c.get_global(Global::Top).get(size).i32_sub().i(0).get(size).memory_fill();
        c.get(length).i32_wrap_i64().i(INPUT_AT).i32_add().set(end);
    }
    c.end();
    c.get(end).get_global(Global::HeapStart).i32_gt_u().if_();
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
        ] {
            c.i(0).set_global(buffer);
        }
    }
    c.else_();
    c.get_global(Global::Outbox).set_global(Global::OutboxEnd);
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
    for forgotten in [Global::Words, Global::MemoryCost, Global::Refund] {
        c.l(0).set_global(forgotten);
    }
    for (at, bytes) in ROOTS {
        c.i(at).set(end);
        let again = c.loop_();
        for at in (0..ZEROED_AT_ONCE).step_by(8) {
            c.get(end).l(0).store64(at);
        }
        c.get(end).i(ZEROED_AT_ONCE).i32_add().tee(end).i(at + bytes).i32_lt_u();
        c.br_if(again).end();
    }
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
