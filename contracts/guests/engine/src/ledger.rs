//! Which frames of promoted contracts run compiled: those where it pays.
//!
//! To open a module, to begin a frame in it and to answer each of its requests costs NEAR gas that an interpreted frame
//! does not cost; to interpret costs more for each instruction. A frame of three instructions is dearer compiled. So each
//! transaction keeps a ledger of what its compiled frames have won and lost, by estimates. All of them follow from the
//! transaction and the state alone: the EVM gas that frames used and what for, the requests they made, the length of
//! code. NEAR gas that is left, or used, is not among them: the same transaction runs the same way however much is attached.
//!
//! - A module is opened at the cost of a credit that the transaction begins with, a hundredth of what the least
//!   transaction costs, and that grows with the EVM gas it uses. What compiled frames win is added, what they lose taken
//!   away.
//! - Long code need not be read if its module runs: that pays for the first open.
//! - What a frame of a contract came to speaks for the next one with the same selector.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use evm_parent::FrameEnd;
use revm::primitives::B256;

/// Millions of NEAR gas, the unit of the ledger.
type Mgas = i64;

/// To open a module and to begin the first frame in it, beside [`FRAME`].
const OPEN: Mgas = 12_000;

/// To run a frame in a module, beside its requests.
const FRAME: Mgas = 3_000;

/// To answer a request of a module rather than to serve the instruction in the interpreter.
const REQUEST: Mgas = 2_400;

/// What a unit of EVM gas that went into computing costs more interpreted.
const PER_GAS: Mgas = 8;

/// What code costs to be read for itself, and each byte of it with its jump table.
const READ: Mgas = 56_000;
const READ_THOUSAND_BYTES: Mgas = 6_300;

/// What a transaction may lose by frames of which nothing is known, at its beginning, and for each 1,024 of EVM gas.
const CREDIT: Mgas = 25_000;
const CREDIT_FOR_THOUSAND: Mgas = 50;

/// The most that an estimate counts, so that sums stay far from the ends of their type.
const MOST: Mgas = 1 << 50;

/// Gas that a frame which was interpreted after all has to use to be judged anew: so many times what it used when it was
/// measured, and so much.
const OTHER_TIMES: u64 = 2;
const OTHER_GAS: u64 = 2_000;

/// The wins and losses of a transaction.
#[derive(Debug)]
pub struct Ledger {
    credit: Mgas,
    entries: Vec<Entry>,
    /// Which of them was looked up last.
    last: usize,
    /// What frames of a contract whose code was not read have lost.
    lost: BTreeMap<B256, Mgas>,
    /// EVM gas of promoted contracts that ran compiled, and interpreted.
    pub compiled_gas: u64,
    pub interpreted_gas: u64,
}

/// A promoted contract and a selector that frames of it were called with.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub code_hash: B256,
    selector: [u8; 4],
    pub code_bytes: u32,
    /// Whether its frames can run by the module at all.
    may_run: bool,
    /// What the last compiled frame came to.
    seen: Option<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    won: Mgas,
    gas: u64,
}

/// A frame of a promoted contract that is about to begin.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub gas: u64,
    /// Whether a module of the contract waits for a frame.
    pub has_module: bool,
    /// Whether the code has been read.
    pub has_body: bool,
}

impl Ledger {
    /// Of a transaction of which nothing has run.
    pub fn new() -> Self {
        Self {
            credit: CREDIT,
            entries: Vec::new(),
            last: 0,
            lost: BTreeMap::new(),
            compiled_gas: 0,
            interpreted_gas: 0,
        }
    }

    /// The number of a contract and a selector, if a frame of them was noted; most follow one of the same.
    pub fn find(&mut self, code_hash: B256, selector: [u8; 4]) -> Option<usize> {
        let is_it =
            |entry: &Entry| entry.selector == selector && same(&entry.code_hash, &code_hash);
        if !self.entries.get(self.last).is_some_and(is_it) {
            self.last = self.entries.iter().position(is_it)?;
        }
        Some(self.last)
    }

    /// Notes a promoted contract and a selector: their number.
    pub fn note(
        &mut self,
        code_hash: B256,
        selector: [u8; 4],
        code_bytes: u32,
        may_run: bool,
    ) -> usize {
        self.last = self.entries.len();
        self.entries.push(Entry { code_hash, selector, code_bytes, may_run, seen: None });
        self.last
    }

    /// Whether a frame of these is interpreted wherever its code is at hand: it cannot run compiled, or did and lost.
    pub fn gave_up(&self, number: usize) -> bool {
        self.entries
            .get(number)
            .is_none_or(|entry| !entry.may_run || entry.seen.is_some_and(|seen| seen.won < 0))
    }

    /// Decides whether a frame runs compiled, and takes note of what that costs.
    pub fn takes(&mut self, number: usize, frame: &Candidate) -> bool {
        let Some(entry) = self.entries.get(number).filter(|entry| entry.may_run) else {
            return false;
        };
        let price = if frame.has_module { 0 } else { OPEN };
        let most = mgas(frame.gas).saturating_mul(PER_GAS).min(MOST) - FRAME;
        let expected = entry.seen.map_or(0, |seen| seen.won).min(most) - price;
        if !frame.has_body {
            let read = READ + READ_THOUSAND_BYTES * i64::from(entry.code_bytes) / 1_000;
            let lost = self.lost.entry(entry.code_hash).or_default();
            *lost -= expected.min(0);
            return *lost <= read;
        }
        let takes = match entry.seen {
            Some(_) => expected >= 0,
            // A frame in a module that is open risks little.
            None => most >= price && self.credit >= price + FRAME,
        };
        if takes {
            self.credit -= price;
        }
        takes
    }

    /// Takes note of a frame that has ended. Its note is one more than the number of its contract and selector.
    pub fn ended(&mut self, frame: &FrameEnd) {
        if !frame.has_halted {
            let thousands = mgas(frame.gas >> 10);
            self.credit = (self.credit + CREDIT_FOR_THOUSAND * thousands).min(MOST);
        }
        let number = (frame.note as usize).wrapping_sub(1);
        let Some(entry) = self.entries.get_mut(number) else { return };
        if !frame.is_compiled {
            self.interpreted_gas = self.interpreted_gas.saturating_add(frame.gas);
            let is_other = |seen: Seen| {
                frame.gas > seen.gas.saturating_mul(OTHER_TIMES).saturating_add(OTHER_GAS)
            };
            if !frame.has_halted && entry.seen.is_some_and(is_other) {
                entry.seen = None;
            }
            return;
        }
        self.compiled_gas = self.compiled_gas.saturating_add(frame.gas);
        // The gas of a halt says nothing: all of it is gone.
        let computed =
            if frame.has_halted { 0 } else { mgas(frame.gas.saturating_sub(frame.world_gas)) };
        let won = computed.saturating_mul(PER_GAS).min(MOST)
            - FRAME
            - REQUEST.saturating_mul(mgas(frame.requests));
        entry.seen = Some(Seen { won, gas: frame.gas });
        self.credit = (self.credit + won).clamp(-MOST, MOST);
    }
}

/// A number as one of the ledger's.
fn mgas(number: u64) -> Mgas {
    i64::try_from(number).unwrap_or(MOST).min(MOST)
}

/// Whether hashes are equal, by words: the comparison of bytes that a contract has goes byte by byte.
pub fn same(one: &B256, other: &B256) -> bool {
    let (ones, _) = one.0.as_chunks::<8>();
    let (others, _) = other.0.as_chunks::<8>();
    ones.iter()
        .zip(others)
        .all(|(one, other)| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other))
}
