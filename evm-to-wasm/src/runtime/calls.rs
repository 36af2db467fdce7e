//! Calls and creations: the deferred effects go out with them, return data comes back.

use super::code::{Code, Local};
use super::effects::HEAD_ROOM;
use super::layout::{Global, INPUT_AT};
use super::{Function, Import};
use crate::abi::{CallKind, offset};

/// Heads of the requests and answers: sizes, and offsets of their fields.
const CALL_HEAD: u32 = 102;
const CREATE_HEAD: u32 = 97;
const RETURNED_HEAD: u32 = 29;
const CREATED_HEAD: u32 = 57;
/// Where [`Left`](crate::abi::Left) is in an answer.
const RETURNED_LEFT: u32 = 5;
const CREATED_LEFT: u32 = 33;
const CALL_TAG: u32 = 5;
const CREATE_TAG: u32 = 6;
const RETURNED_TAG: u32 = 4;
const CREATED_TAG: u32 = 5;

/// What return data is received in at first, in bytes.
const SMALLEST_RETURN: u32 = 256;

/// CALL, CALLCODE, DELEGATECALL and STATICCALL, by [`CallKind`].
pub(super) fn call(c: &mut Code<'_>) {
    let (gas, kind) = (c.parameter(), c.parameter());
    let (asked, account, value) = (c.parameter_word(), c.parameter_word(), c.parameter_word());
    let (input, input_length) = (c.parameter_word(), c.parameter_word());
    let (output, output_length) = (c.parameter_word(), c.parameter_word());
    let [from, size, to, room] = [c.int(), c.int(), c.int(), c.int()];
    let [at, head, received] = [c.int(), c.int(), c.int()];
    let nothing = |c: &mut Code<'_>| {
        c.i(0);
    };

    // A static frame moves no value (EIP-214).
    c.any(&value.0).i64_eqz().i32_eqz().i(INPUT_AT).load32(offset::IS_STATIC as u32).i32_and();
    c.get(kind).i(CallKind::Call as u32).i32_eq().i32_and().halt_if(nothing);
    c.get(gas).get_word(input).get_word(input_length).call(Function::MemoryRange);
    c.set(gas).set(size).set(from).halt_without(gas, nothing);
    c.get(gas).get_word(output).get_word(output_length).call(Function::MemoryRange);
    c.set(gas).set(room).set(to).halt_without(gas, nothing);

    c.payload(from, size, at, nothing);
    c.get_global(Global::Outbox).i(CALL_HEAD).i32_sub().tee(head).i(CALL_TAG).store8(0);
    c.get(head).get(kind).store8(1);
    c.get(head).get(gas).store64(2);
    c.get(head).l(-1).get(asked[0]).any(&asked.0[1..]).i64_eqz().i32_eqz().select().store64(10);
    c.store_word(head, 18, account).store_word(head, 50, value).store_effects(head, 82);
    c.get(head).get_global(Global::MemorySize).store32(94);
    c.get(head).get(size).store32(98);

    c.get(head).get(at).get(size).i32_add().get(head).i32_sub().call(Function::Exchange);
    c.tee(received).i32_eqz().halt_if(nothing);
    c.accept(received, RETURNED_TAG, RETURNED_HEAD);
    // What a static call leaves as it was is still known.
    c.get(kind).i(CallKind::StaticCall as u32).i32_ne();
    c.i(INPUT_AT).load32(offset::IS_STATIC as u32).i32_eqz().i32_and();
    c.get_global(Global::Generation).i32_add().set_global(Global::Generation);

    c.get(room).get_global(Global::ReturnLength);
    c.get(room).get_global(Global::ReturnLength).i32_lt_u().select().tee(room).if_();
    {
        c.get_global(Global::Top).get(to).i32_sub().get(room).i32_sub();
        c.get_global(Global::ReturnTop).get(room).i32_sub().get(room).memory_copy();
    }
    c.end();
    let buffer = received;
    c.get_global(Global::ReturnBuffer).tee(buffer).load32(1).take_left(buffer, RETURNED_LEFT);
}

/// CREATE and CREATE2.
pub(super) fn create(c: &mut Code<'_>) {
    let (gas, with_salt, value) = (c.parameter(), c.parameter(), c.parameter_word());
    let (input, input_length) = (c.parameter_word(), c.parameter_word());
    let salt = c.parameter_word();
    let [from, size, at, head, received] = [c.int(), c.int(), c.int(), c.int(), c.int()];
    let nothing = |c: &mut Code<'_>| {
        c.zero_word();
    };

    c.i(INPUT_AT).load32(offset::IS_STATIC as u32).halt_if(nothing);
    c.get(gas).get_word(input).get_word(input_length).call(Function::MemoryRange);
    c.set(gas).set(size).set(from).halt_without(gas, nothing);

    c.payload(from, size, at, nothing);
    c.get_global(Global::Outbox).i(CREATE_HEAD).i32_sub().tee(head).i(CREATE_TAG).store8(0);
    c.get(head).get(with_salt).store32(1);
    c.store_word(head, 5, salt).get(head).get(gas).store64(37);
    c.store_word(head, 45, value).store_effects(head, 77);
    c.get(head).get_global(Global::MemorySize).store32(89);
    c.get(head).get(size).store32(93);

    c.get(head).get(at).get(size).i32_add().get(head).i32_sub().call(Function::Exchange);
    c.tee(received).i32_eqz().halt_if(nothing);
    c.accept(received, CREATED_TAG, CREATED_HEAD);
    c.get_global(Global::Generation).i(1).i32_add().set_global(Global::Generation);
    let buffer = received;
    c.get_global(Global::ReturnBuffer).set(buffer);
    c.load_word(buffer, 1).take_left(buffer, CREATED_LEFT);
}

/// Sends a message and receives an answer in the return buffer, which grows as needed: the answer's length, 0
/// if there is no memory for it.
pub(super) fn exchange(c: &mut Code<'_>) {
    let (message, length) = (c.parameter(), c.parameter());
    let [received, capacity, buffer] = [c.int(), c.int(), c.int()];
    c.get_global(Global::ReturnCapacity).i32_eqz().if_();
    {
        c.i(SMALLEST_RETURN).call(Function::Allocate).tee(buffer).i32_eqz().if_();
        c.i(0).return_().end();
        c.get(buffer).set_global(Global::ReturnBuffer);
        c.i(SMALLEST_RETURN).set_global(Global::ReturnCapacity);
    }
    c.end();
    c.get(length).i64_extend_i32_u().get(message).i64_extend_i32_u();
    c.get_global(Global::ReturnBuffer).i64_extend_i32_u();
    c.get_global(Global::ReturnCapacity).i64_extend_i32_u();
    c.import(Import::CallbackInto).i32_wrap_i64().tee(received);
    c.get_global(Global::ReturnCapacity).i32_gt_u().if_();
    {
        c.get(received).i(1).i32_shl().i(SMALLEST_RETURN).i32_add().tee(capacity);
        c.call(Function::Allocate).tee(buffer).i32_eqz().if_();
        c.i(0).return_().end();
        c.get(buffer).i64_extend_i32_u().get(capacity).i64_extend_i32_u();
        c.import(Import::PendingInto).drop();
        c.get(buffer).set_global(Global::ReturnBuffer);
        c.get(capacity).set_global(Global::ReturnCapacity);
    }
    c.end();
    c.get(received);
}

/// RETURNDATASIZE (EIP-211).
pub(super) fn return_data_size(c: &mut Code<'_>) {
    c.get_global(Global::ReturnLength).i64_extend_i32_u();
}

impl Code<'_> {
    /// Puts effects and a payload from EVM memory into the outbox; `at` is where the payload is.
    pub(super) fn payload(
        &mut self,
        from: Local,
        size: Local,
        at: Local,
        nothing: impl Fn(&mut Self),
    ) {
        const { assert!(CALL_HEAD <= HEAD_ROOM && CREATE_HEAD <= HEAD_ROOM) };
        self.flush_before(size);
        self.i32_eqz().halt_if(&nothing);
        self.get(size).call(Function::Gather).tee(at).i32_eqz().halt_if(nothing);
        self.get(size).if_();
        self.get(at).get_global(Global::Top).get(from).i32_sub().get(size).i32_sub();
        self.get(size).memory_copy().end();
    }

    /// Takes over what the frame has left, from an offset in an answer: the gas, on the stack.
    fn take_left(&mut self, answer: Local, at: u32) {
        self.i(INPUT_AT).get(answer).load64(at + 8).store64(offset::GAS_BEYOND as u32);
        self.i(INPUT_AT).get(answer).load32(at + 16).store32(offset::LOG_ROOM as u32);
        self.get(answer).load64(at);
    }

    /// Checks an answer in the return buffer; what is behind its head is the return data.
    fn accept(&mut self, received: Local, tag: u32, head: u32) {
        let buffer = self.int();
        self.get_global(Global::ReturnBuffer).tee(buffer).load8(0).i(tag).i32_ne();
        self.get(buffer).load32(head - 4).i(head).i32_add().get(received).i32_ne().i32_or().if_();
        self.call(Function::BadAnswer).end();
        self.get(received).i(head).i32_sub().set_global(Global::ReturnLength);
        self.get(buffer).get(received).i32_add().set_global(Global::ReturnTop);
        self.forget_effects();
    }
}
