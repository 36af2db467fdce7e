//! KECCAK256: Keccak-f[1600] over locals, or the host's function.
//!
//! The permutation is in place (Keccak implementation overview 3.2, section 2.5): lane (x, y) of round r is in
//! the local of N^r (x, y) with N = (1 0; 1 2), so that each row of a round reads and writes the same five
//! locals, nothing moves, and after four rounds all are where they were.
//!
//! Hashes of 64 bytes, the slots of mappings, are remembered: a contract that reads and then writes an entry
//! mostly hashes it twice.

use super::code::{Code, Local};
use super::layout::{Global, MEMO_AT, MEMO_ENTRIES, MEMO_ENTRY, ROUND_CONSTANTS_AT, SPONGE_AT};
use super::{Function, Import};
use crate::Keccak;

/// Bytes of a block: 1600 bits less twice the 256 of the digest.
const RATE: u32 = 136;
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
    let hash = c.word();
    let (source, rest, memo) = (c.int(), c.int(), c.int());

    c.any(&length.0).i64_eqz().if_();
    for limb in EMPTY {
        c.l(limb as i64);
    }
    c.get(gas).return_().end();
    c.touch_range(gas, offset, length, |c| {
        c.zero_word();
    });
    c.get(gas).get(length[0]).l(31).i64_add().l(5).i64_shr_u().l(WORD).i64_mul().i64_sub();
    c.set(gas).halt_without(gas, |c| {
        c.zero_word();
    });
    // The address above the first byte, and below the last.
    c.get_global(Global::Top).get(offset[0]).i32_wrap_i64().i32_sub().set(source);
    c.get(length[0]).i32_wrap_i64().tee(rest).i(64).i32_eq().if_();
    recall(c, source, memo, gas);
    c.end();

    match c.setup.keccak {
        Keccak::Own => {
            c.get(source).get(rest).call(Function::Sponge).set_word(hash);
        }
        Keccak::Host => {
            c.get(source).get(rest).call(Function::HostSponge).set_word(hash);
        }
    }
    c.get(memo).if_();
    remember(c, source, memo, hash);
    c.end();
    c.get_word(hash).get(gas);
}

/// Returns what the memo knows of the 64 bytes below `source`; else `memo` becomes the place for them.
fn recall(c: &mut Code<'_>, source: Local, memo: Local, gas: Local) {
    // The low limbs of both words: mostly an address or a number, and the number of a mapping. Addresses that a
    // compiler or a test made up differ in few bits, so products mix them.
    c.get(source).i(64).i32_sub().tee(source);
    c.load64(32).l(MIX[0]).i64_mul().get(source).load64(0).l(MIX[1]).i64_mul().i64_add();
    c.l(64 - i64::from(MEMO_ENTRIES.ilog2())).i64_shr_u().i32_wrap_i64();
    c.i(MEMO_ENTRY).i32_mul().i(MEMO_AT).i32_add().set(memo);
    // An entry not yet used has a hash of zero.
    c.get(memo).load64(64).i64_eqz().i32_eqz();
    for limb in 0..8 {
        c.get(source).load64(8 * limb).get(memo).load64(8 * limb).i64_xor();
        if limb > 0 {
            c.i64_or();
        }
    }
    c.i64_eqz().i32_and().if_();
    c.load_word(memo, 64).get(gas).return_().end();
    c.get(source).i(64).i32_add().set(source);
}

fn remember(c: &mut Code<'_>, source: Local, memo: Local, hash: super::code::Word) {
    c.get(source).i(64).i32_sub().set(source);
    for limb in 0..8 {
        c.get(memo).get(source).load64(8 * limb).store64(8 * limb);
    }
    c.store_word(memo, 64, hash);
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
    let lanes: [Local; 25] = c.longs();
    let [x, bits] = c.longs();
    let masks = c.swap_masks();
    let (at, last) = (c.int(), c.int());

    // Round constants are written once: they cost more as constants of an unrolled permutation.
    c.i(ROUND_CONSTANTS_AT).load32(0).i32_eqz().if_();
    for (round, &constant) in ROUND_CONSTANTS.iter().enumerate() {
        c.i(ROUND_CONSTANTS_AT).l(constant as i64).store64(8 * round as u32);
    }
    c.end();

    for lane in INVERTED {
        c.l(-1).set(lanes[lane]);
    }
    let absorb = c.loop_();
    {
        c.get(rest).i(RATE).i32_ge_u().if_();
        {
            c.get(source).i(RATE).i32_sub().set(source);
            for lane in 0..17 {
                c.get(source).load64(RATE - 8 - 8 * lane).call(Function::ByteSwap);
                c.get(lanes[lane as usize]).i64_xor().set(lanes[lane as usize]);
            }
            c.get(rest).i(RATE).i32_sub().set(rest);
        }
        c.else_();
        {
            let padded = c.block();
            for lane in 0..17 {
                let here = lanes[lane as usize];
                // The lane in which the input ends: what is left of it, then a bit.
                c.get(rest).i(8).i32_lt_u().if_();
                c.l(1).get(rest).i64_extend_i32_u().l(3).i64_shl().i64_shl().tee(bits);
                c.get(source).i(8).i32_sub().load64(0).call(Function::ByteSwap);
                c.get(bits).l(1).i64_sub().i64_and().i64_or().get(here).i64_xor().set(here);
                c.br(padded).end();
                if lane < 16 {
                    c.get(source).i(8).i32_sub().tee(source).load64(0).swap_bytes(x, masks);
                    c.get(here).i64_xor().set(here);
                    c.get(rest).i(8).i32_sub().set(rest);
                }
            }
            c.end();
            c.get(lanes[16]).l(i64::MIN).i64_xor().set(lanes[16]);
            c.i(1).set(last);
        }
        c.end();
        permute(c, &lanes, at);
        c.get(last).i32_eqz().br_if(absorb);
    }
    c.end();
    for lane in (0..4).rev() {
        c.get(lanes[lane]);
        if INVERTED.contains(&lane) {
            c.invert();
        }
        c.swap_bytes(x, masks);
    }
}

/// How a row of chi is computed from lanes some of which are kept inverted: `x ^ (~y & z)` without the inversion
/// (overview, section 2.2). Inverted at the start and the end are lanes (1, 0), (2, 0), (3, 1), (2, 2), (2, 3), (0, 4).
#[derive(Clone, Copy)]
enum Chi {
    And,
    Or,
    /// With the second operand inverted.
    NotAnd,
    NotOr,
    /// With the third inverted.
    OrNot,
    /// With the first inverted.
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

/// All rounds, four at a time. `at` is free to use.
fn permute(c: &mut Code<'_>, lanes: &[Local; 25], at: Local) {
    // The parities of theta are dead when the first row of chi is due, and their effects live to the last.
    let columns: [Local; 5] = c.longs();
    let effects: [Local; 5] = c.longs();
    let again = c.loop_();
    let mut place: [[usize; 5]; 5] = core::array::from_fn(|y| core::array::from_fn(|x| x + 5 * y));
    for round in 0..4 {
        let lane = |x: usize, y: usize| lanes[place[y][x]];
        for x in 0..5 {
            c.get(lane(x, 0));
            for y in 1..5 {
                c.get(lane(x, y)).i64_xor();
            }
            c.set(columns[x]);
        }
        for x in 0..5 {
            c.get(columns[(x + 4) % 5]).get(columns[(x + 1) % 5]).l(1).i64_rotl().i64_xor();
            c.set(effects[x]);
        }
        let row = columns;
        for (y, chi) in CHI.iter().enumerate() {
            for x in 0..5 {
                // Lane (x, y) goes to (y, 2 x + 3 y): what comes to (x, y) was at (x + 3 y, x).
                let from = (x + 3 * y) % 5;
                c.get(lane(from, x)).get(effects[from]).i64_xor();
                match ROTATIONS[x][from] {
                    0 => c.set(row[x]),
                    rotation => c.l(i64::from(rotation)).i64_rotl().set(row[x]),
                };
            }
            for x in 0..5 {
                c.chi(chi[x], [row[x], row[(x + 1) % 5], row[(x + 2) % 5]]);
                if (x, y) == (0, 0) {
                    c.get(at).load64(ROUND_CONSTANTS_AT + 8 * round).i64_xor();
                }
                c.set(lanes[place[(x + 2 * y) % 5][x]]);
            }
        }
        let before = place;
        place = core::array::from_fn(|y| core::array::from_fn(|x| before[(x + 2 * y) % 5][x]));
    }
    debug_assert_eq!(place[1], [5, 6, 7, 8, 9], "four rounds bring each lane back");
    c.get(at).i(32).i32_add().tee(at).i(192).i32_ne().br_if(again);
    c.end();
    c.i(0).set(at);
}

impl Code<'_> {
    fn invert(&mut self) -> &mut Self {
        self.l(-1).i64_xor()
    }

    fn chi(&mut self, chi: Chi, [first, second, third]: [Local; 3]) {
        self.get(first);
        if matches!(chi, Chi::FlipAnd | Chi::FlipOr) {
            self.invert();
        }
        self.get(second);
        if matches!(chi, Chi::NotAnd | Chi::NotOr) {
            self.invert();
        }
        self.get(third);
        if matches!(chi, Chi::OrNot) {
            self.invert();
        }
        match chi {
            Chi::And | Chi::NotAnd | Chi::FlipAnd => self.i64_and(),
            Chi::Or | Chi::NotOr | Chi::OrNot | Chi::FlipOr => self.i64_or(),
        };
        self.i64_xor();
    }
}
