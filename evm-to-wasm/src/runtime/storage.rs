//! Storage and transient storage: the first touch of a slot asks the parent, what follows stays in the module.
//!
//! Gas and refunds are those of EIP-2200 as EIP-2929 and EIP-3529 changed them (Berlin, London). Writes are put
//! on a list in the order of the first write to each slot and go out with the next flush (`effects`).

use super::Function;
use super::cache::{ANSWER, KEY, Kind, NEXT, VALUE, WRITTEN};
use super::code::{Code, Local};
use super::layout::{
    Global, INPUT_AT, OTHER_ROOTS, STORAGE_ROOTS, STORAGE_ROOTS_AT, TRANSIENT_ROOTS_AT,
};
use crate::abi::offset;

/// A call with less cannot write (EIP-2200: the stipend).
const SENTRY: i64 = 2_300;
/// A warm read, and a write that changes nothing or what was changed before.
const WARM: i64 = 100;
/// SLOAD of a cold slot above the 100 of its section (EIP-2929).
const COLD_SLOAD: i64 = 2_000;
/// SSTORE of a cold slot above all else.
const COLD_SSTORE: i64 = 2_100;
/// From zero, the first time.
const SET: i64 = 20_000;
/// From anything else, the first time.
const RESET: i64 = 2_900;
/// Refund for a slot that becomes zero (EIP-3529).
const CLEARED: i64 = 4_800;

/// The original value in an answer.
const ORIGINAL: u32 = VALUE + 32;
/// Whether it was cold.
const COLD: u32 = ORIGINAL + 32;
/// What SSTORE has found out of an entry: [`KNOWN`] and the bits below; 0 with a new answer.
const STATE: u32 = 124;
const KNOWN: u32 = 1;
/// The value now is not the original one.
const CHANGED: u32 = 2;
/// The original value is zero.
const FROM_ZERO: u32 = 4;
/// Bytes of the answers.
const SLOT_ANSWER: u32 = COLD + 4 - ANSWER;
const WORD_ANSWER: u32 = 33;
/// Bytes of the requests.
const REQUEST: u32 = KEY + 32;

const STORAGE: Kind = Kind { roots_at: STORAGE_ROOTS_AT, roots: STORAGE_ROOTS, tag: 0 };
const TRANSIENT: Kind = Kind { roots_at: TRANSIENT_ROOTS_AT, roots: OTHER_ROOTS, tag: 1 };

/// SLOAD.
pub(super) fn sload(c: &mut Code<'_>) {
    let (gas, slot) = (c.parameter(), c.parameter_word());
    let entry = c.find(STORAGE, slot);
    c.get(entry).i32_eqz().halt_if(|c| {
        c.zero_word();
    });
    c.is_stale(entry).if_();
    c.get(gas).get(entry).l(COLD_SLOAD).call(Function::FetchSlot).tee(gas);
    c.l(0).i64_lt_s().halt_if(|c| {
        c.zero_word();
    });
    c.end();
    c.load_word(entry, VALUE).get(gas);
}

/// Asks for a slot; charges if it is cold and was never touched here.
pub(super) fn fetch_slot(c: &mut Code<'_>) {
    let (gas, entry, cold) = (c.parameter(), c.parameter(), c.parameter());
    c.exchange_fixed(entry, REQUEST, ANSWER, 0, SLOT_ANSWER);
    c.get(entry).i(0).store32(STATE);
    c.get(gas).get(cold).l(0).refresh(entry);
    c.get(entry).load32(COLD).i32_eqz().i32_eqz().i32_and().select().i64_sub();
}

/// SSTORE.
pub(super) fn sstore(c: &mut Code<'_>) {
    let (gas, slot, value) = (c.parameter(), c.parameter_word(), c.parameter_word());
    let state = c.int();
    c.i(INPUT_AT).load32(offset::IS_STATIC as u32);
    c.get(gas).l(SENTRY).i64_le_s().i32_or().halt_if(|_| {});
    let entry = c.find(STORAGE, slot);
    c.get(entry).i32_eqz().halt_if(|_| {});
    c.is_stale(entry).if_();
    c.get(gas).get(entry).l(COLD_SSTORE).call(Function::FetchSlot).tee(gas);
    c.l(0).i64_lt_s().halt_if(|_| {});
    c.end();

    let same = |c: &mut Code<'_>, at: u32| {
        for limb in 0..4 {
            c.get(entry).load64(at + 8 * limb).get(value[limb as usize]).i64_xor();
            if limb > 0 {
                c.i64_or();
            }
        }
        c.i64_eqz();
    };
    let is_zero = |c: &mut Code<'_>, at: u32| {
        for limb in 0..4 {
            c.get(entry).load64(at + 8 * limb);
            if limb > 0 {
                c.i64_or();
            }
        }
        c.i64_eqz();
    };
    let refund = |c: &mut Code<'_>, amount: i64| {
        c.get_global(Global::Refund).l(amount).i64_add().set_global(Global::Refund);
    };

    same(c, VALUE);
    c.if_();
    c.get(gas).l(WARM).i64_sub().return_().end();

    c.get(entry).load32(STATE).tee(state).i32_eqz().if_();
    {
        c.get(entry).i(KNOWN | CHANGED).i(KNOWN);
        for limb in 0..4 {
            c.get(entry).load64(VALUE + 8 * limb).get(entry).load64(ORIGINAL + 8 * limb).i64_xor();
            if limb > 0 {
                c.i64_or();
            }
        }
        c.l(0).i64_ne().select();
        is_zero(c, ORIGINAL);
        c.i(FROM_ZERO).i32_mul().i32_or().tee(state).store32(STATE);
    }
    c.end();
    let set_state = |c: &mut Code<'_>| {
        c.get(entry).get(state).i(CHANGED).i32_xor().store32(STATE);
    };
    c.get(state).i(CHANGED).i32_and().i32_eqz().if_();
    {
        // The first change in the transaction.
        c.get(gas).l(SET).l(RESET).get(state).i(FROM_ZERO).i32_and().select().i64_sub().set(gas);
        c.any(&value.0).i64_eqz().if_();
        refund(c, CLEARED);
        c.end();
        set_state(c);
    }
    c.else_();
    {
        c.get(gas).l(WARM).i64_sub().set(gas);
        c.get(state).i(FROM_ZERO).i32_and().i32_eqz().if_();
        {
            is_zero(c, VALUE);
            c.if_();
            refund(c, -CLEARED);
            c.else_();
            c.any(&value.0).i64_eqz().if_();
            refund(c, CLEARED);
            c.end().end();
        }
        c.end();
        same(c, ORIGINAL);
        c.if_();
        c.get_global(Global::Refund).l(SET - WARM).l(RESET - WARM);
        c.get(state).i(FROM_ZERO).i32_and().select();
        c.i64_add().set_global(Global::Refund);
        set_state(c);
        c.end();
    }
    c.end();

    c.store_word(entry, VALUE, value);
    c.defer(entry, Global::FirstWrite, Global::LastWrite, Global::Writes);
    c.get(gas);
}

/// TLOAD.
pub(super) fn tload(c: &mut Code<'_>) {
    let (gas, slot) = (c.parameter(), c.parameter_word());
    let entry = c.find(TRANSIENT, slot);
    c.get(entry).i32_eqz().halt_if(|c| {
        c.zero_word();
    });
    c.is_stale(entry).if_();
    c.exchange_fixed(entry, REQUEST, ANSWER, 1, WORD_ANSWER);
    c.refresh(entry).drop();
    c.end();
    c.load_word(entry, VALUE).get(gas);
}

/// TSTORE: what was there does not matter.
pub(super) fn tstore(c: &mut Code<'_>) {
    let (gas, slot, value) = (c.parameter(), c.parameter_word(), c.parameter_word());
    c.i(INPUT_AT).load32(offset::IS_STATIC as u32).halt_if(|_| {});
    let entry = c.find(TRANSIENT, slot);
    c.get(entry).i32_eqz().halt_if(|_| {});
    c.refresh(entry).drop();
    c.store_word(entry, VALUE, value);
    c.defer(entry, Global::FirstTransient, Global::LastTransient, Global::Transients);
    c.get(gas);
}

impl Code<'_> {
    /// Puts an entry on a list of writes, unless it is there since the last flush.
    fn defer(&mut self, entry: Local, first: Global, last: Global, count: Global) {
        self.get(entry).load32(WRITTEN).get_global(Global::Flush).i32_ne().if_();
        {
            self.get(entry).get_global(Global::Flush).store32(WRITTEN);
            self.get_global(count).if_();
            self.get_global(last).get(entry).store32(NEXT);
            self.else_();
            self.get(entry).set_global(first).end();
            self.get(entry).set_global(last);
            self.get_global(count).i(1).i32_add().set_global(count);
            self.flush_many();
            self.i32_eqz().halt_if(|_| {});
        }
        self.end();
    }
}
