//! KECCAK256: Keccak-f[1600] over locals, or the host's function.
//!
//! What an operator costs is the same for all of them, so moving values costs as much as computing. A round goes
//! column by column through its output: then a column's parity, which the next round begins with, is on the stack
//! when its last lane is. A lane in front of chi takes the local of the lane that it is made from, and what comes
//! out goes to a second set of locals; two rounds bring the state back.
//!
//! Hashes of 64 bytes, the slots of mappings, are remembered: a contract that reads and then writes an entry
//! mostly hashes it twice.

use alloc::vec::Vec;

use super::code::{Code, Label, Local};
use super::layout::{Global, MEMO_AT, MEMO_ENTRIES, MEMO_ENTRY, ROUND_CONSTANTS_AT, SPONGE_AT};
use super::{Function, Import};
use crate::Keccak;

/// Bytes of a block: 1600 bits less twice the 256 of the digest.
const RATE: u32 = 136;
/// Lanes of a block.
const LANES: u32 = RATE / 8;
/// Where the constant of the 23rd round is: the last one computes no more than the digest.
const BEFORE_LAST: u32 = 8 * 22;
/// Odd numbers without a pattern: 2^64 over the golden ratio, and over its square, made odd.
const MIX: [i64; 2] = [0x9e37_79b9_7f4a_7c15_u64 as i64, 0x61c8_8646_80b5_83eb];
/// Gas for hashing a word (Yellow Paper, appendix G).
const WORD: i64 = 6;
/// The hash of nothing, limbs low first.
const EMPTY: [u64; 4] =
    [0x7bfa_d804_5d85_a470, 0xe500_b653_ca82_273b, 0x927e_7db2_dcc7_03c0, 0xc5d2_4601_86f7_233c];

/// Round constants (FIPS 202, 3.2.5).
const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// Rotations of lanes, by y and x (FIPS 202, table 2, modulo 64).
const ROTATIONS: [[u8; 5]; 5] = [
    [0, 1, 62, 28, 27],
    [36, 44, 6, 55, 20],
    [3, 10, 43, 25, 39],
    [41, 45, 15, 21, 8],
    [18, 2, 61, 56, 14],
];

/// The body of KECCAK256.
pub(super) fn keccak(c: &mut Code<'_>) {
    let gas = c.parameter();
    let (offset, length) = (c.parameter_word(), c.parameter_word());
    let source = c.int();

    // A length of zero less one is beyond everything.
    c.get(offset[0]).get(length[0]).l(1).i64_sub().i64_or().l(32).i64_shr_u();
    c.any(&offset.0[1..]).i64_or().any(&length.0[1..]).i64_or().i64_eqz().i32_eqz().if_();
    {
        c.any(&length.0).i64_eqz().if_();
        for limb in EMPTY {
            c.l(limb as i64);
        }
        c.get(gas).return_().end();
        c.zero_word().l(-1).return_();
    }
    c.end();
    c.touch_near(gas, offset[0], length[0], |c| {
        c.zero_word();
    });
    c.get(gas).get(length[0]).l(31).i64_add().l(5).i64_shr_u().l(WORD).i64_mul().i64_sub();
    c.tee(gas).l(0).i64_lt_s().halt_if(|c| {
        c.zero_word();
    });
    // The address above the first byte, and below the last.
    c.get_global(Global::Top).get(offset[0]).i32_wrap_i64().i32_sub().set(source);
    c.get(length[0]).l(64).i64_eq().if_();
    c.get(source).i(64).i32_sub().call(Function::KeccakPair).get(gas).return_().end();
    c.get(source).get(length[0]).i32_wrap_i64().sponge().get(gas);
}

/// The hash of the 64 bytes from `source` upwards, that of their words backwards: from the memo, if it is there.
pub(super) fn keccak_pair(c: &mut Code<'_>) {
    let source = c.parameter();
    let entry = c.int();
    // The low limbs of both words: mostly an address or a number, and the number of a mapping. Addresses that a
    // compiler or a test made up differ in few bits, so products mix them.
    c.get(source).load64(32).l(MIX[0]).i64_mul().get(source).load64(0).l(MIX[1]).i64_mul();
    c.i64_add().l(64 - i64::from((MEMO_ENTRIES * MEMO_ENTRY).ilog2())).i64_shr_u();
    c.i32_wrap_i64().i(MEMO_ENTRY * (MEMO_ENTRIES - 1)).i32_and().set(entry);
    for limb in 0..8 {
        c.get(source).load64(8 * limb).get(entry).load64(MEMO_AT + 8 * limb).i64_xor();
        if limb > 0 {
            c.i64_or();
        }
    }
    // An entry not yet used has a hash of zero.
    c.i64_eqz().get(entry).load32(MEMO_AT + 64).i32_eqz().i32_gt_u().if_();
    c.load_word(entry, MEMO_AT + 64).return_().end();
    c.get(source).get(entry).call(Function::KeccakNewPair);
}

/// The same, hashed, and put into the memo at `entry`.
pub(super) fn keccak_new_pair(c: &mut Code<'_>) {
    let (source, entry) = (c.parameter(), c.parameter());
    let hash = c.word();
    c.get(source).i(64).i32_add().i(64).sponge().set_word(hash);
    for limb in 0..8 {
        c.get(entry).get(source).load64(8 * limb).store64(MEMO_AT + 8 * limb);
    }
    c.store_word(entry, MEMO_AT + 64, hash);
    c.get_word(hash);
}

/// The host's hash of the bytes below `source`, turned into a buffer first.
pub(super) fn host_sponge(c: &mut Code<'_>) {
    let (source, length) = (c.parameter(), c.parameter());
    let [buffer, at, end] = [c.int(), c.int(), c.int()];
    let x = c.long();
    let masks = c.swap_masks();
    c.i(SPONGE_AT).set(buffer);
    // Whole limbs are written, the last of them beyond the end.
    c.get(length).i(RATE).i32_gt_u().if_();
    {
        c.get(length).get_global(Global::SpongeCapacity).i32_gt_u().if_();
        {
            c.get(length).i(1).i32_shl().i(8).i32_add().call(Function::Allocate).tee(buffer);
            c.i32_eqz().if_();
            c.call(Function::OutOfMemory).end();
            c.get(length).i(1).i32_shl().set_global(Global::SpongeCapacity);
            c.get(buffer).set_global(Global::SpongeBuffer);
        }
        c.end();
        c.get_global(Global::SpongeBuffer).set(buffer);
    }
    c.end();
    c.get(buffer).tee(at).get(length).i32_add().set(end);
    let again = c.loop_();
    {
        c.get(at).get(source).i(8).i32_sub().tee(source).load64(0).swap_bytes(x, masks);
        c.store64(0);
        c.get(at).i(8).i32_add().tee(at).get(end).i32_lt_u().br_if(again);
    }
    c.end();
    c.get(length).i64_extend_i32_u().get(buffer).i64_extend_i32_u().l(0).import(Import::Keccak256);
    c.l(0).l(i64::from(SPONGE_AT)).import(Import::ReadRegister);
    c.i(SPONGE_AT).call(Function::LoadBigEndian);
}

/// The hash of the bytes below `source`, at least one.
pub(super) fn sponge(c: &mut Code<'_>) {
    let (source, rest) = (c.parameter(), c.parameter());
    let state = State::new(c);
    let lanes = state.even;
    let [part, x] = c.longs();
    let masks = c.swap_masks();
    let (block, whole, exit) = (c.int(), c.int(), c.int());

    // Round constants are written once: they cost more as constants of an unrolled permutation.
    c.i(ROUND_CONSTANTS_AT).load32(0).i32_eqz().if_();
    for (round, &constant) in ROUND_CONSTANTS.iter().enumerate() {
        c.i(ROUND_CONSTANTS_AT).l(constant as i64).store64(8 * round as u32);
    }
    c.end();

    for lane in INVERTED {
        c.l(-1).set(lanes[lane]);
    }
    // No round constant is there.
    c.i(1).set(exit);
    let last = c.block();
    let absorb = c.loop_();
    {
        c.get(source).i(RATE).i32_sub().set(block);
        c.get(rest).i(RATE).i32_ge_u().if_();
        {
            c.i(LANES).set(whole).get(block).set(source);
            c.get(rest).i(RATE).i32_sub().set(rest);
        }
        c.else_();
        {
            // The lane in which the input ends has what is left of it, then a bit.
            let bits = part;
            c.get(rest).i(3).i32_shr_u().set(whole).l(1).set(part);
            c.get(rest).i(7).i32_and().tee(rest).if_();
            c.get(source).get(whole).i(3).i32_shl().i32_sub().i(8).i32_sub().load64(0);
            c.swap_bytes(x, masks);
            c.l(1).get(rest).i64_extend_i32_u().l(3).i64_shl().i64_shl().tee(bits);
            c.l(1).i64_sub().i64_and().get(bits).i64_or().set(part).end();
            c.choose(whole, LANES, |c, lane| {
                let here = lanes[lane as usize];
                c.get(here).get(part).i64_xor().set(here);
            });
            c.get(lanes[16]).l(i64::MIN).i64_xor().set(lanes[16]);
            c.i(BEFORE_LAST).set(exit);
        }
        c.end();
        c.from(whole, LANES, |c, lane| {
            // Many lanes are zero: keys of mappings are short.
            let zero = c.block();
            c.get(block).load64(RATE - 8 - 8 * lane).tee(x).i64_eqz().br_if(zero);
            let here = lanes[lane as usize];
            c.get(x).swap_bytes(x, masks).get(here).i64_xor().set(here).end();
        });
        state.permute(c, exit, last);
        c.br(absorb);
    }
    c.end().end();
    state.squeeze(c);
    for lane in (0..4).rev() {
        c.get(lanes[lane]);
        if INVERTED.contains(&lane) {
            c.invert();
        }
        c.swap_bytes(x, masks);
    }
}

/// How a row of chi is computed from lanes some of which are kept inverted: `x ^ (~y & z)` without the inversion
/// (Keccak implementation overview 3.2, section 2.2). Inverted at the start and the end are lanes (1, 0), (2, 0),
/// (3, 1), (2, 2), (2, 3), (0, 4).
#[derive(Clone, Copy)]
enum Chi {
    And,
    Or,
    /// With the second operand inverted.
    NotAnd,
    NotOr,
    /// With the third inverted.
    OrNot,
    /// With the first inverted, which was the second of the lane before.
    FlipAnd,
    FlipOr,
}

/// By Y and X.
const CHI: [[Chi; 5]; 5] = [
    [Chi::Or, Chi::NotOr, Chi::And, Chi::Or, Chi::And],
    [Chi::Or, Chi::And, Chi::OrNot, Chi::Or, Chi::And],
    [Chi::Or, Chi::And, Chi::NotAnd, Chi::FlipOr, Chi::And],
    [Chi::And, Chi::Or, Chi::NotOr, Chi::FlipAnd, Chi::Or],
    [Chi::NotAnd, Chi::FlipOr, Chi::And, Chi::Or, Chi::And],
];

/// The lanes kept inverted, as x + 5 y.
const INVERTED: [usize; 6] = [1, 2, 8, 12, 17, 20];

/// The locals of the permutation.
struct State {
    /// Lanes before even rounds, as x + 5 y.
    even: [Local; 25],
    /// Lanes before odd rounds.
    odd: [Local; 25],
    /// Parities of columns.
    parities: [Local; 5],
    /// What theta adds to a column.
    effects: [Local; 5],
    /// Inverted lanes for the next output of the last three rows.
    inverted: [Local; 3],
    /// Address of the next round constant, as an offset; 0 between permutations.
    round: Local,
}

impl State {
    fn new(c: &mut Code<'_>) -> Self {
        Self {
            even: c.longs(),
            odd: c.longs(),
            parities: c.longs(),
            effects: c.longs(),
            inverted: c.longs(),
            round: c.int(),
        }
    }

    /// All rounds, two at a time. Branches to `last` before the last round, with the lanes in `odd`, if that
    /// round is the one with its constant at `exit`.
    fn permute(&self, c: &mut Code<'_>, exit: Local, last: Label) {
        for x in 0..5 {
            c.get(self.even[x]);
            for y in 1..5 {
                c.get(self.even[x + 5 * y]).i64_xor();
            }
            c.set(self.parities[x]);
        }
        let again = c.loop_();
        self.round(c, &self.even, &self.odd, 0);
        c.get(self.round).get(exit).i32_eq().br_if(last);
        self.round(c, &self.odd, &self.even, 8);
        c.get(self.round).i(16).i32_add().tee(self.round).i(192).i32_ne().br_if(again);
        c.end();
        c.i(0).set(self.round);
    }

    fn round(&self, c: &mut Code<'_>, from: &[Local; 25], to: &[Local; 25], constant: u32) {
        let mut known = Known::default();
        for x in 0..5 {
            for y in 0..5 {
                self.output(c, from, &mut known, x, y);
                if (x, y) == (0, 0) {
                    c.get(self.round).load64(ROUND_CONSTANTS_AT + constant).i64_xor();
                }
                c.tee(to[x + 5 * y]);
                if y > 0 {
                    c.i64_xor();
                }
            }
            // The parities of this round are dead: its effects are all made for the first column.
            c.set(self.parities[x]);
        }
    }

    /// The last round, from `odd`, as far as the digest needs it.
    fn squeeze(&self, c: &mut Code<'_>) {
        let mut known = Known::default();
        for x in 0..4 {
            self.output(c, &self.odd, &mut known, x, 0);
            if x == 0 {
                c.i(ROUND_CONSTANTS_AT).load64(BEFORE_LAST + 8).i64_xor();
            }
            c.set(self.even[x]);
        }
    }

    /// Leaves lane (x, y) of a round's output on the stack, without the round constant.
    fn output(&self, c: &mut Code<'_>, from: &[Local; 25], known: &mut Known, x: usize, y: usize) {
        let (second, third) = ((x + 1) % 5, (x + 2) % 5);
        let chi = CHI[y][x];
        if matches!(chi, Chi::FlipAnd | Chi::FlipOr) {
            c.get(self.inverted[y - 2]);
        } else {
            self.moved(c, from, known, x, y);
        }
        self.moved(c, from, known, second, y);
        if matches!(chi, Chi::NotAnd | Chi::NotOr) {
            c.invert();
            if matches!(CHI[y][second], Chi::FlipAnd | Chi::FlipOr) {
                c.tee(self.inverted[y - 2]);
            }
        }
        self.moved(c, from, known, third, y);
        match chi {
            Chi::OrNot => c.invert().i64_or(),
            Chi::And | Chi::NotAnd | Chi::FlipAnd => c.i64_and(),
            Chi::Or | Chi::NotOr | Chi::FlipOr => c.i64_or(),
        };
        c.i64_xor();
    }

    /// Leaves lane (x, y) in front of chi on the stack, and in the local of the lane that it is made from: theta,
    /// rho and pi.
    fn moved(&self, c: &mut Code<'_>, from: &[Local; 25], known: &mut Known, x: usize, y: usize) {
        // Lane (x, y) goes to (y, 2 x + 3 y): what comes to (x, y) was at (x + 3 y, x).
        let column = (x + 3 * y) % 5;
        let lane = from[column + 5 * x];
        c.get(lane);
        if core::mem::replace(&mut known.moved[x + 5 * y], true) {
            return;
        }
        if core::mem::replace(&mut known.effects[column], true) {
            c.get(self.effects[column]);
        } else {
            c.get(self.parities[(column + 4) % 5]);
            c.get(self.parities[(column + 1) % 5]).l(1).i64_rotl().i64_xor();
            c.tee(self.effects[column]);
        }
        c.i64_xor();
        match ROTATIONS[x][column] {
            0 => {}
            rotation => {
                c.l(i64::from(rotation)).i64_rotl();
            }
        }
        c.tee(lane);
    }
}

/// What of a round has been computed.
#[derive(Default)]
struct Known {
    effects: [bool; 5],
    moved: [bool; 25],
}

impl Code<'_> {
    /// The hash of the bytes below an address, which is on the stack with their length, by whoever hashes.
    fn sponge(&mut self) -> &mut Self {
        match self.setup.keccak {
            Keccak::Own => self.call(Function::Sponge),
            Keccak::Host => self.call(Function::HostSponge),
        }
    }

    fn invert(&mut self) -> &mut Self {
        self.l(-1).i64_xor()
    }

    /// Does one of `count` things, by the number in a local; nothing if it is as large as `count`.
    fn choose(&mut self, which: Local, count: u32, each: impl Fn(&mut Self, u32)) {
        let done = self.block();
        let ways: Vec<Label> = (0..count).map(|_| self.block()).collect();
        self.get(which).br_table(ways.iter().rev().copied(), done);
        for thing in 0..count {
            self.end();
            each(self, thing);
            self.br(done);
        }
        self.end();
    }

    /// Does as many of `count` things as the number in a local says, the first of them last.
    fn from(&mut self, which: Local, count: u32, each: impl Fn(&mut Self, u32)) {
        let ways: Vec<Label> = (0..=count).map(|_| self.block()).collect();
        // The innermost block is left for all of them, the outermost for none.
        self.get(which).br_table(ways[..count as usize].iter().copied(), ways[count as usize]);
        for thing in (0..count).rev() {
            self.end();
            each(self, thing);
        }
        self.end();
    }
}
