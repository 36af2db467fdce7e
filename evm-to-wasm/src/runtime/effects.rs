//! The outbox: logs as they are made, and the messages that take them and the deferred writes along.
//!
//! A message is put together in place. Logs stand in the outbox in the form in which they travel; writes and
//! the payload are put behind them, the head before them.

use super::cache::{KEY, NEXT, VALUE};
use super::code::{Code, Local};
use super::layout::{Global, INPUT_AT, MESSAGE_AT};
use super::{Function, Import};
use crate::abi::offset;

/// Room for the head of a message before the logs, in bytes.
pub(super) const HEAD_ROOM: u32 = 104;
/// Smallest outbox, without the room for a head.
const SMALLEST_OUTBOX: u32 = 512;
/// Bytes of the head of a log.
const LOG_HEAD: u32 = 8;
/// Bytes of a write: slot and value.
const WRITE: u32 = 64;
/// Bytes of effects in the outbox and on the lists of writes with which they are sent before they are due; with a log that
/// is as long as a frame's memory may be on a chain, and a head, they fit a message of 4 MiB.
const FLUSHED: u32 = 1 << 20;
/// Bytes of effects and payload together in one message.
const MESSAGE_ROOM: u32 = (4 << 20) - (64 << 10);
/// Head of a flush: its size and tag, and the answer's.
const FLUSH_HEAD: u32 = 13;
const FLUSH_TAG: u32 = 9;
const WORD_TAG: u32 = 1;
const WORD_ANSWER: u32 = 33;
/// Gas for a byte of a log (Yellow Paper, appendix G).
const LOG_BYTE: i64 = 8;

/// LOG0 to LOG4: 8 gas a byte, memory; the rest is charged by its section. The address where its topics belong.
pub(super) fn log(c: &mut Code<'_>) {
    let (gas, topics) = (c.parameter(), c.parameter());
    let (offset, length) = (c.parameter_word(), c.parameter_word());
    let [from, size, at, to] = [c.int(), c.int(), c.int(), c.int()];
    let nothing = |c: &mut Code<'_>| {
        c.i(0);
    };
    c.i(INPUT_AT).load32(offset::IS_STATIC as u32).halt_if(nothing);
    c.get(gas).get_word(offset).get_word(length).call(Function::MemoryRange);
    c.set(gas).set(size).set(from);
    c.get(gas).get(size).i64_extend_i32_u().l(LOG_BYTE).i64_mul().i64_sub().tee(gas);
    c.l(0).i64_lt_s().halt_if(nothing);
    // The gas pays for the bytes, so that they are far from 2^32.
    c.get(topics).i(5).i32_shl().get(size).i32_add().tee(to);
    c.i(INPUT_AT).load32(offset::LOG_ROOM as u32).i32_gt_u().halt_if(nothing);
    c.i(INPUT_AT).i(INPUT_AT).load32(offset::LOG_ROOM as u32).get(to).i32_sub();
    c.store32(offset::LOG_ROOM as u32);
    c.flush_above(FLUSHED, |c| {
        c.get(to);
    });
    c.i32_eqz().halt_if(nothing);
    c.get(to).i(LOG_HEAD).i32_add();
    c.call(Function::Reserve).i32_eqz().halt_if(nothing);
    c.get_global(Global::OutboxEnd).tee(at).get(topics).store32(0);
    c.get(at).get(size).store32(4);
    c.get(at).get(topics).i(5).i32_shl().i32_add().i(LOG_HEAD).i32_add().set(to);
    c.get_global(Global::Top).get(from).i32_sub().get(size).i32_sub().set(from);
    c.copy_data(to, from, size);
    c.get(to).get(size).i32_add().set_global(Global::OutboxEnd);
    c.get_global(Global::Logs).i(1).i32_add().set_global(Global::Logs);
    c.get(at).i(LOG_HEAD).i32_add().get(gas);
}

/// Makes room in the outbox for so many bytes after the logs; 0 if there is none.
pub(super) fn reserve(c: &mut Code<'_>) {
    let size = c.parameter();
    let [used, room, start] = [c.int(), c.int(), c.int()];
    c.get(size).get_global(Global::OutboxLimit).get_global(Global::OutboxEnd).i32_sub();
    c.i32_le_u().get_global(Global::Outbox).i32_eqz().i32_eqz().i32_and().if_();
    c.i(1).return_().end();
    c.get_global(Global::OutboxEnd).get_global(Global::Outbox).i32_sub().set(used);
    // The last on the heap grows where it is, if the heap does.
    c.get_global(Global::OutboxLimit).get_global(Global::HeapEnd).i32_eq().if_();
    {
        c.get(used).i(2).i32_shr_u().get(size).i32_add().i(SMALLEST_OUTBOX).i32_add().tee(room);
        c.call(Function::Allocate).tee(start).get_global(Global::OutboxLimit).i32_eq().if_();
        c.get(start).get(room).i32_add().set_global(Global::OutboxLimit).i(1).return_().end();
    }
    c.end();
    c.get(used).get(size).i32_add().i(1).i32_shl().i(SMALLEST_OUTBOX).i32_add().tee(room);
    c.i(HEAD_ROOM).i32_add().call(Function::Allocate).tee(start).i32_eqz().if_();
    {
        c.get(used).get(size).i32_add().tee(room);
        c.i(HEAD_ROOM).i32_add().call(Function::Allocate).tee(start).i32_eqz().if_();
        c.i(0).return_().end();
    }
    c.end();
    c.get(start).i(HEAD_ROOM).i32_add().tee(start);
    c.get_global(Global::Outbox).get(used).memory_copy();
    c.get(start).set_global(Global::Outbox);
    c.get(start).get(used).i32_add().set_global(Global::OutboxEnd);
    c.get(start).get(room).i32_add().set_global(Global::OutboxLimit);
    c.i(1);
}

/// Puts the deferred writes behind the logs and leaves room for a payload of so many bytes: the address after
/// the writes, 0 if there is no memory.
pub(super) fn gather(c: &mut Code<'_>) {
    let payload = c.parameter();
    let [at, entry, count] = [c.int(), c.int(), c.int()];
    c.get_global(Global::Writes).get_global(Global::Transients).i32_add().i(WRITE).i32_mul();
    c.get(payload).i32_add().call(Function::Reserve).i32_eqz().if_();
    c.i(0).return_().end();
    c.get_global(Global::OutboxEnd).set(at);
    for (first, writes) in
        [(Global::FirstWrite, Global::Writes), (Global::FirstTransient, Global::Transients)]
    {
        c.get_global(writes).tee(count).if_();
        c.get_global(first).set(entry);
        let again = c.loop_();
        for limb in 0..4 {
            c.get(at).get(entry).load64(KEY + 8 * limb).store64(8 * limb);
            c.get(at).get(entry).load64(VALUE + 8 * limb).store64(32 + 8 * limb);
        }
        c.get(at).i(WRITE).i32_add().set(at).get(entry).load32(NEXT).set(entry);
        c.get(count).i(1).i32_sub().tee(count).br_if(again);
        c.end().end();
    }
    c.get(at);
}

/// Sends the effects before they are due: 1, or 0 if there is no memory for the message.
pub(super) fn flush(c: &mut Code<'_>) {
    let [at, head] = [c.int(), c.int()];
    c.i(0).call(Function::Gather).tee(at).i32_eqz().if_();
    c.i(0).return_().end();
    c.get_global(Global::Outbox).i(FLUSH_HEAD).i32_sub().tee(head).i(FLUSH_TAG).store8(0);
    c.store_effects(head, 1);
    c.get(at).get(head).i32_sub().i64_extend_i32_u().get(head).i64_extend_i32_u();
    c.l(i64::from(MESSAGE_AT)).l(i64::from(WORD_ANSWER)).import(Import::CallbackInto);
    c.l(i64::from(WORD_ANSWER)).i64_eq().i32_eqz();
    c.i(MESSAGE_AT).load8(0).i(WORD_TAG).i32_ne().i32_or().if_();
    c.call(Function::BadAnswer).end();
    c.forget_effects();
    c.i(1);
}

impl Code<'_> {
    /// Sends the effects if there are any and they would be more than so many bytes with what is pushed: 1 on the stack, or 0
    /// if there is no memory for that.
    pub(super) fn flush_above(&mut self, most: u32, more: impl Fn(&mut Self)) {
        let (bytes, done) = (self.int(), self.int());
        self.i(1).set(done);
        self.get_global(Global::Writes).get_global(Global::Transients).i32_add();
        self.i(WRITE).i32_mul().get_global(Global::OutboxEnd).i32_add();
        self.get_global(Global::Outbox).i32_sub().tee(bytes).if_();
        self.get(bytes);
        more(self);
        self.i32_add().i(most).i32_gt_u().if_();
        self.call(Function::FlushEffects).set(done).end().end();
        self.get(done);
    }

    /// The same for a message with a payload of so many bytes.
    pub(super) fn flush_before(&mut self, payload: Local) {
        self.flush_above(MESSAGE_ROOM, |c| {
            c.get(payload);
        });
    }

    /// The same for effects that wait for their message.
    pub(super) fn flush_many(&mut self) {
        self.flush_above(FLUSHED, |c| {
            c.i(0);
        });
    }

    /// Copies so many bytes: mostly a word, which a bulk operation would take four times as much for.
    pub(super) fn copy_data(&mut self, to: Local, from: Local, size: Local) {
        self.get(size).i(32).i32_eq().if_();
        for limb in 0..4 {
            self.get(to).get(from).load64(8 * limb).store64(8 * limb);
        }
        self.else_().get(to).get(from).get(size).memory_copy().end();
    }

    /// Stores the counts of the effects in the outbox at `head + offset`.
    pub(super) fn store_effects(&mut self, head: Local, offset: u32) -> &mut Self {
        self.get(head).get_global(Global::Logs).store32(offset);
        self.get(head).get_global(Global::Writes).store32(offset + 4);
        self.get(head).get_global(Global::Transients).store32(offset + 8)
    }

    /// Forgets the effects: they were sent.
    pub(super) fn forget_effects(&mut self) {
        self.get_global(Global::Logs).get_global(Global::Writes).i32_or();
        self.get_global(Global::Transients).i32_or().if_();
        for count in [Global::Logs, Global::Writes, Global::Transients] {
            self.i(0).set_global(count);
        }
        self.get_global(Global::Outbox).set_global(Global::OutboxEnd);
        self.get_global(Global::Flush).i(1).i32_add().set_global(Global::Flush);
        self.end();
    }
}
