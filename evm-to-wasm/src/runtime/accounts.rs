//! What is known of other accounts and of past blocks: asked once, and again after a call that may have changed it.

use super::cache::{ANSWER, FRESH, KEY, Kind, VALUE};
use super::code::{Code, Local, Word};
use super::layout::{
    BALANCE_ROOTS_AT, BLOCK_ROOTS_AT, CODE_ROOTS_AT, Global, INPUT_AT, OTHER_ROOTS,
};
use super::{Function, Import};
use crate::abi::offset;

/// A cold account above the 100 of its section (EIP-2929).
const COLD: i64 = 2_500;
/// Blocks whose hash can be asked for.
const HISTORY: i64 = 256;

const BALANCE: Kind = Kind { roots_at: BALANCE_ROOTS_AT, roots: OTHER_ROOTS, tag: 2 };
const CODE: Kind = Kind { roots_at: CODE_ROOTS_AT, roots: OTHER_ROOTS, tag: 3 };
const BLOCK: Kind = Kind { roots_at: BLOCK_ROOTS_AT, roots: OTHER_ROOTS, tag: 4 };

/// Whether the balance was cold.
const BALANCE_COLD: u32 = VALUE + 32;
const BALANCE_ANSWER: u32 = BALANCE_COLD + 4 - ANSWER;

/// Whether the bytes are wanted, in the request for a code.
const WITH_BYTES: u32 = KEY + 32;
const CODE_REQUEST: u32 = WITH_BYTES + 4;
/// Where its answer is, and what is in it.
const CODE_ANSWER: u32 = 40;
const CODE_HASH: u32 = CODE_ANSWER + 1;
/// Bytes of the code.
pub(super) const CODE_SIZE: u32 = CODE_HASH + 32;
const CODE_COLD: u32 = CODE_SIZE + 4;
/// Bytes of the head of the answer.
pub(super) const CODE_HEAD: u32 = CODE_COLD + 4 - CODE_ANSWER;
/// [`Global::Generation`] when the bytes came, if the buffer still has them.
const BYTES_FRESH: u32 = 96;

/// BALANCE.
pub(super) fn balance(c: &mut Code<'_>) {
    let (gas, account) = (c.parameter(), c.parameter_word());
    c.clip_address(account);
    let entry = c.find(BALANCE, account);
    c.get(entry).i32_eqz().halt_if(|c| {
        c.zero_word();
    });
    c.is_stale(entry).if_();
    {
        c.exchange_fixed(entry, KEY + 32, ANSWER, 2, BALANCE_ANSWER);
        c.charge_cold(gas, entry, BALANCE_COLD);
        c.halt_without(gas, |c| {
            c.zero_word();
        });
    }
    c.end();
    c.load_word(entry, VALUE).get(gas);
}

/// SELFBALANCE (EIP-1884): as the balance of any other account, and never cold.
pub(super) fn self_balance(c: &mut Code<'_>) {
    let gas = c.parameter();
    let (account, at) = (c.word(), c.int());
    c.i(INPUT_AT).set(at).load_word(at, offset::ADDRESS as u32).set_word(account);
    let entry = c.find(BALANCE, account);
    c.get(entry).i32_eqz().halt_if(|c| {
        c.zero_word();
    });
    c.is_stale(entry).if_();
    c.exchange_fixed(entry, KEY + 32, ANSWER, 2, BALANCE_ANSWER);
    c.refresh(entry).drop().end();
    c.load_word(entry, VALUE).get(gas);
}

/// EXTCODESIZE.
pub(super) fn ext_code_size(c: &mut Code<'_>) {
    let (gas, account) = (c.parameter(), c.parameter_word());
    let entry = c.int();
    c.get(gas).get_word(account).i(0).call(Function::ExtCodeBytes).set(gas).set(entry);
    c.halt_without(gas, |c| {
        c.zero_word();
    });
    c.get(entry).load32_long(CODE_SIZE).l(0).l(0).l(0).get(gas);
}

/// EXTCODEHASH (EIP-1052).
pub(super) fn ext_code_hash(c: &mut Code<'_>) {
    let (gas, account) = (c.parameter(), c.parameter_word());
    let entry = c.int();
    c.get(gas).get_word(account).i(0).call(Function::ExtCodeBytes).set(gas).set(entry);
    c.halt_without(gas, |c| {
        c.zero_word();
    });
    c.load_word(entry, CODE_HASH).get(gas);
}

/// The entry of an account's code, after a cold one was charged. If bytes are wanted they are in the buffer,
/// behind the head of an answer. One code is kept at a time: codes are long and mostly read once.
pub(super) fn ext_code_bytes(c: &mut Code<'_>) {
    let (gas, account, wanted) = (c.parameter(), c.parameter_word(), c.parameter());
    let [capacity, received] = [c.int(), c.int()];
    c.clip_address(account);
    let entry = c.find(CODE, account);
    c.get(entry).i32_eqz().halt_if(|c| {
        c.i(0);
    });
    c.get(wanted).if_();
    {
        let done = c.block();
        c.get(entry).get_global(Global::CodeOwner).i32_eq();
        c.get(entry).load32(BYTES_FRESH).get_global(Global::Generation).i32_eq();
        c.i32_and().br_if(done);
        c.get(entry).i(1).store32(WITH_BYTES);
        c.l(i64::from(CODE_REQUEST)).get(entry).i64_extend_i32_u();
        c.get_global(Global::CodeBuffer).i64_extend_i32_u();
        c.get_global(Global::CodeCapacity).i64_extend_i32_u();
        c.import(Import::CallbackInto).i32_wrap_i64().tee(received);
        c.get_global(Global::CodeCapacity).i32_gt_u().if_();
        {
            c.get(received).i(1).i32_shl().tee(capacity).call(Function::Allocate);
            c.set_global(Global::CodeBuffer).i(0).set_global(Global::CodeCapacity);
            c.get_global(Global::CodeBuffer).i32_eqz().halt_if(|c| {
                c.i(0);
            });
            c.get(capacity).set_global(Global::CodeCapacity);
            c.get_global(Global::CodeBuffer).i64_extend_i32_u();
            c.get(capacity).i64_extend_i32_u().import(Import::PendingInto).drop();
        }
        c.end();
        // The head goes into the entry, as if it had come alone.
        c.get(entry).i(CODE_ANSWER).i32_add().get_global(Global::CodeBuffer).i(CODE_HEAD);
        c.memory_copy();
        c.get(received).get(entry).load32(CODE_SIZE).i(CODE_HEAD).i32_add().i32_ne();
        c.get(entry).load8(CODE_ANSWER).i(3).i32_ne().i32_or().if_();
        c.call(Function::BadAnswer).end();
        c.get(entry).set_global(Global::CodeOwner);
        c.get(entry).get_global(Global::Generation).store32(BYTES_FRESH);
        c.charge_cold(gas, entry, CODE_COLD);
        c.end();
    }
    c.else_();
    c.is_stale(entry).if_();
    {
        c.get(entry).i(0).store32(WITH_BYTES);
        c.exchange_fixed(entry, CODE_REQUEST, CODE_ANSWER, 3, CODE_HEAD);
        c.charge_cold(gas, entry, CODE_COLD);
    }
    c.end().end();
    c.get(entry).get(gas);
}

/// BLOCKHASH: zero for a block that is not one of the last 256.
pub(super) fn block_hash(c: &mut Code<'_>) {
    let number = c.parameter_word();
    let current = INPUT_AT + offset::BLOCK_NUMBER as u32;
    // The current block and later ones have no hash. Before them the distance cannot wrap.
    c.get(number[0]).i(0).load64(current).i64_ge_u();
    c.i(0).load64(current).get(number[0]).i64_sub().l(HISTORY).i64_gt_u().i32_or();
    for limb in 1..4 {
        c.i(0).load64(current + 8 * limb).get(number[limb as usize]).i64_ne().i32_or();
    }
    c.if_();
    c.zero_word().return_().end();
    let entry = c.find(BLOCK, number);
    c.get(entry).i32_eqz().if_();
    c.call(Function::OutOfMemory).end();
    // The hash of a block does not change.
    c.get(entry).load32(FRESH).i32_eqz().if_();
    c.exchange_fixed(entry, KEY + 8, ANSWER, 1, 33);
    c.refresh(entry).drop().end();
    c.load_word(entry, VALUE);
}

impl Code<'_> {
    /// Drops what is above an address.
    pub(super) fn clip_address(&mut self, account: Word) {
        self.get(account[2]).l(0xffff_ffff).i64_and().set(account[2]).l(0).set(account[3]);
    }

    /// Takes note of an answer and charges for an account that is cold and was never asked for here.
    fn charge_cold(&mut self, gas: Local, entry: Local, cold: u32) {
        self.get(gas).l(COLD).l(0).refresh(entry);
        self.get(entry).load32(cold).i32_eqz().i32_eqz().i32_and().select().i64_sub().set(gas);
    }
}
