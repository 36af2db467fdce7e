//! What lowering writes with: operators, locals, limbs of values, calls of runtime functions.
//!
//! A part is a Wasm function `(gas i64, id i32, stack i32) -> (gas, id, stack)`: the gas left, the id of the dispatched
//! node to run and of the one to run next ([`DONE`] when the frame has ended), and the height of the EVM stack in
//! bytes. A routine is one `(gas i64, arguments) -> (results, gas)`, with the height behind the gas if it is measured; gas is negative if the frame ends, [`ENDED`] if it
//! has.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use wasm_encoder::ValType;

use super::places::{Place, Places, Uses};
use crate::ir::{Def, Ir, V};
use crate::opcode::Op;
use crate::range::Range;
use crate::runtime::Function;
use crate::sink::{Sink, unsigned};
use crate::word::Word;

/// Local with the gas.
pub const GAS: u32 = 0;
/// Local with the id.
pub const ID: u32 = 1;
/// Local with the height of the stack at the entry of the region, in bytes. In a routine it is right behind the gas,
/// if there.
pub const STACK: u32 = 2;
/// The id when the frame has ended.
pub const DONE: i32 = -1;
/// The gas that a routine gives when it has ended the frame itself. No overdraft comes near it.
pub const ENDED: u64 = 1 << 63;

/// What a call in a part calls, whose index is known at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// A runtime function.
    Runtime(Function),
    /// The function that finds ids: [`super::landing`].
    Landing,
    /// A part: a routine.
    Part(u32),
}

/// Something that a branch can go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Behind all code: returns the registers.
    Leave,
    /// Behind all code: ends the frame exceptionally.
    Halt,
    /// The dispatcher.
    Dispatcher,
    /// The node, at the end of a block.
    Node(u32),
    /// The node, at the start of a loop.
    Loop(u32),
    /// Nothing branches there.
    Other,
}

impl Label {
    /// Where it is looked up; none if nothing branches there. Only one of a kind is open at a time.
    fn key(self) -> Option<usize> {
        match self {
            Self::Leave => Some(0),
            Self::Halt => Some(1),
            Self::Dispatcher => Some(2),
            Self::Node(node) => Some(2 * node as usize + 3),
            Self::Loop(node) => Some(2 * node as usize + 4),
            Self::Other => None,
        }
    }
}

/// Writes the body of a function.
#[derive(Debug)]
pub struct Emitter<'a> {
    /// The form.
    pub ir: &'a Ir,
    /// Where values live.
    pub places: &'a mut Places,
    /// Operators so far.
    pub bytes: Vec<u8>,
    /// Calls: where in `bytes` the index belongs.
    pub calls: Vec<(usize, Callee)>,
    /// Runtime functions needed.
    pub needed: &'a mut BTreeSet<Function>,
    /// Local with the height of the stack at the entry of the region, in bytes; a routine that is not measured has
    /// none.
    pub stack: Option<u32>,
    /// The first local that holds a value.
    pub first: u32,
    /// What is used.
    pub uses: &'a Uses,
    /// Part of the first routine.
    pub first_routine: u32,
    labels: Vec<Label>,
    /// Where in `labels` those that are not `Other` are, plus 1; 0 if they are not open. Hundreds may be.
    open_at: Vec<u32>,
    free: [Vec<u32>; 2],
    settled: Vec<(usize, u32)>,
    /// Accesses to memory at offsets that may be anything.
    pub wide_accesses: usize,
    /// How many of them are inline.
    pub wide_accesses_inline: usize,
    /// Bytes of operators after which the rest is left out.
    pub bytes_left: usize,
    /// Blocks, loops and `if`s so far.
    pub blocks: usize,
}

impl<'a> Emitter<'a> {
    /// An empty body.
    pub fn new(
        ir: &'a Ir,
        places: &'a mut Places,
        needed: &'a mut BTreeSet<Function>,
        uses: &'a Uses,
        stack: Option<u32>,
        first_routine: u32,
    ) -> Self {
        Self {
            ir,
            places,
            bytes: Vec::new(),
            calls: Vec::new(),
            needed,
            stack,
            first: stack.map_or(GAS, |stack| stack) + 1,
            uses,
            first_routine,
            labels: Vec::new(),
            open_at: Vec::new(),
            free: [Vec::new(), Vec::new()],
            settled: Vec::new(),
            wide_accesses: 0,
            wide_accesses_inline: 0,
            bytes_left: usize::MAX,
            blocks: 0,
        }
    }

    /// Where operators go.
    pub fn sink(&mut self) -> Sink<'_> {
        Sink::new(&mut self.bytes)
    }

    /// An i64 constant.
    pub fn long(&mut self, value: u64) {
        self.sink().i64_const(value as i64);
    }

    /// An i32 constant.
    pub fn int(&mut self, value: u32) {
        self.sink().i32_const(value as i32);
    }

    /// Reads a local.
    pub fn get(&mut self, local: u32) {
        self.sink().local_get(local);
    }

    /// Writes a local.
    pub fn set(&mut self, local: u32) {
        self.sink().local_set(local);
    }

    /// Writes a local and leaves the value.
    pub fn tee(&mut self, local: u32) {
        self.sink().local_tee(local);
    }

    /// A local of type i32 for use within one instruction.
    pub fn temporary_int(&mut self) -> u32 {
        self.take(0)
    }

    fn take(&mut self, kind: usize) -> u32 {
        self.free[kind].pop().unwrap_or_else(|| {
            self.places.locals.push([ValType::I32, ValType::I64][kind]);
            self.first + self.places.locals.len() as u32 - 1
        })
    }

    /// Gives a local back.
    pub fn release(&mut self, local: u32) {
        let kind = usize::from(self.places.locals[(local - self.first) as usize] == ValType::I64);
        self.free[kind].push(local);
    }

    /// Gives back the locals of operands that [`Self::settle`] put there.
    pub fn release_settled(&mut self) {
        for (_, local) in core::mem::take(&mut self.settled) {
            self.release(local);
        }
    }

    /// Calls a runtime function.
    pub fn call(&mut self, function: Function) {
        self.needed.insert(function);
        self.call_to(Callee::Runtime(function));
    }

    /// Calls something.
    pub fn call_to(&mut self, callee: Callee) {
        self.bytes.push(0x10);
        self.calls.push((self.bytes.len(), callee));
    }

    // Labels.

    /// Opens a block, loop or `if`, whose operator is written already.
    pub fn open(&mut self, label: Label) {
        self.labels.push(label);
        self.blocks += 1;
        if let Some(key) = label.key() {
            if key >= self.open_at.len() {
                self.open_at.resize(key + 1, 0);
            }
            self.open_at[key] = self.labels.len() as u32;
        }
    }

    /// Closes what was opened last.
    pub fn close(&mut self) {
        if let Some(key) = self.labels.pop().and_then(Label::key) {
            self.open_at[key] = 0;
        }
        self.sink().end();
    }

    /// Distance to a label; none if it is not open.
    pub fn distance(&self, label: Label) -> Option<u32> {
        let place = *self.open_at.get(label.key()?).filter(|place| **place > 0)?;
        Some(self.labels.len() as u32 - place)
    }

    /// Branches to a label that is open.
    pub fn branch(&mut self, label: Label) {
        if let Some(distance) = self.distance(label) {
            self.sink().br(distance);
        } else {
            self.sink().unreachable();
        }
    }

    /// Branches there if the i32 on the stack is not zero.
    pub fn branch_if(&mut self, label: Label) {
        let distance = self.distance(label).unwrap_or(0);
        self.sink().br_if(distance);
    }

    /// Halts if gas is negative.
    pub fn check_gas(&mut self) {
        self.get(GAS);
        self.long(0);
        self.sink().i64_lt_s();
        self.branch_if(Label::Halt);
    }

    /// Takes gas from the stack, and halts if it is negative.
    pub fn receive_gas(&mut self) {
        self.tee(GAS);
        self.long(0);
        self.sink().i64_lt_s();
        self.branch_if(Label::Halt);
    }

    // Values.

    /// Where a value lives.
    pub fn place(&self, value: V) -> Place {
        self.places.of[self.ir.root(value).0 as usize]
    }

    /// Its word, if it is a constant.
    pub fn constant(&self, value: V) -> Option<Word> {
        self.ir.as_const(value)
    }

    /// Limbs that may be other than zero.
    pub fn limbs_of(&self, value: V) -> usize {
        self.ir.range(value).limbs()
    }

    /// Makes sure that reading it twice computes it once.
    pub fn settle(&mut self, value: V) {
        if self.place(value) != Place::Inline {
            return;
        }
        let value = self.ir.root(value);
        self.expression(value);
        let is_flag = self.ir.range(value).is_flag();
        let local = self.take(usize::from(!is_flag));
        self.set(local);
        self.places.of[value.0 as usize] =
            if is_flag { Place::Flag(local) } else { Place::Limbs([local; 4], 1) };
        self.settled.push((value.0 as usize, local));
    }

    /// Pushes limb `place` as an i64.
    pub fn limb(&mut self, value: V, place: usize) {
        if let Some(word) = self.constant(value) {
            return self.long(word.0[place]);
        }
        if place >= self.limbs_of(value) {
            return self.long(0);
        }
        let value = self.ir.root(value);
        match self.place(value) {
            Place::Limbs(locals, count) if place < usize::from(count) => self.get(locals[place]),
            Place::Flag(local) if place == 0 => {
                self.get(local);
                self.sink().i64_extend_i32_u();
            }
            Place::Inline | Place::Anew if place == 0 => {
                self.expression(value);
                if self.ir.range(value).is_flag() {
                    self.sink().i64_extend_i32_u();
                }
            }
            _ => self.long(0),
        }
    }

    /// Pushes the lowest limb as an i32.
    pub fn low_int(&mut self, value: V) {
        if let Some(word) = self.constant(value) {
            return self.int(word.0[0] as u32);
        }
        if self.ir.range(value).is_flag() {
            return self.flag(value);
        }
        self.limb(value, 0);
        self.sink().i32_wrap_i64();
    }

    /// Pushes an i32 that is zero if and only if the value is.
    pub fn flag(&mut self, value: V) {
        if let Some(word) = self.constant(value) {
            return self.int(u32::from(!word.is_zero()));
        }
        if self.ir.range(value).is_flag() {
            match self.place(value) {
                Place::Flag(local) => self.get(local),
                Place::Inline | Place::Anew => self.expression(self.ir.root(value)),
                _ => self.int(0),
            }
            return;
        }
        self.any_limb(value, 0);
        self.long(0);
        self.sink().i64_ne();
    }

    /// Pushes the disjunction of its limbs from `first` on.
    pub fn any_limb(&mut self, value: V, first: usize) {
        let count = self.limbs_of(value);
        self.limb(value, first);
        for place in first + 1..count {
            self.limb(value, place);
            self.sink().i64_or();
        }
    }

    /// Pushes the four limbs, the lowest first.
    pub fn word(&mut self, value: V) {
        for place in 0..4 {
            self.limb(value, place);
        }
    }

    /// Takes four limbs from the stack into the place of a value.
    pub fn receive_word(&mut self, value: V) {
        match self.place(value) {
            Place::Limbs(locals, count) => {
                for place in (0..4).rev() {
                    if place < usize::from(count) {
                        self.set(locals[place]);
                    } else {
                        self.sink().drop();
                    }
                }
            }
            Place::Flag(local) => {
                self.sink().drop().drop().drop();
                self.sink().i32_wrap_i64();
                self.set(local);
            }
            _ => {
                self.sink().drop().drop().drop().drop();
            }
        }
    }

    /// Takes an i64 from the stack into the place of a value that has one limb.
    pub fn receive_long(&mut self, value: V) {
        match self.place(value) {
            Place::Limbs(locals, count) => {
                self.set(locals[0]);
                for place in 1..usize::from(count) {
                    self.long(0);
                    self.set(locals[place]);
                }
            }
            Place::Flag(local) => {
                self.sink().i32_wrap_i64();
                self.set(local);
            }
            _ => {
                self.sink().drop();
            }
        }
    }

    /// Pushes a value as one in a range travels in and out of routines: an i32 for a flag, else its limbs.
    pub fn push_as(&mut self, value: V, range: Range) {
        if range.is_flag() {
            return self.flag(value);
        }
        for place in 0..range.limbs() {
            self.limb(value, place);
        }
    }

    /// Takes what came as [`Self::push_as`] sends it into the place of a value with that range.
    pub fn receive_as(&mut self, value: V, range: Range) {
        match self.place(value) {
            Place::Flag(local) => self.set(local),
            Place::Limbs(locals, count) => {
                for place in (0..usize::from(count)).rev() {
                    self.set(locals[place]);
                }
            }
            _ => {
                let count = if range.is_flag() { 1 } else { range.limbs() };
                (0..count).for_each(|_| {
                    self.sink().drop();
                });
            }
        }
    }

    /// The locals of a value that has more than one limb.
    pub fn locals_of(&self, value: V) -> ([u32; 4], usize) {
        match self.place(value) {
            Place::Limbs(locals, count) => (locals, usize::from(count)),
            _ => ([0; 4], 0),
        }
    }

    /// Computes an item into its place.
    pub fn item(&mut self, value: V) {
        match self.place(value) {
            Place::Inline | Place::Anew => return,
            _ if matches!(self.ir.def(value), Def::Same(_)) => return,
            Place::Nowhere if self.ir.is_removable(value) => return,
            _ => {}
        }
        match *self.ir.def(value) {
            // Results are taken by their call.
            Def::Const(_) | Def::Phi(_) | Def::Same(_) | Def::Parameter(..) | Def::Given(_) => {}
            Def::Call { routine, height, .. } => self.call_routine(value, routine, height),
            Def::Load(slot) => self.load_entry(value, slot),
            Def::Charge(gas) => {
                self.get(GAS);
                self.long(u64::from(gas));
                self.sink().i64_sub();
                self.set(GAS);
            }
            Def::StackCheck { need, growth } => self.check_stack(need, growth),
            Def::Inst { op, byte, .. } => {
                if self.ir.is_pure(value) && self.limbs_of(value) == 1 && op != Op::Calldataload {
                    self.expression(value);
                    match self.place(value) {
                        Place::Flag(local) => self.set(local),
                        Place::Limbs(locals, _) => self.set(locals[0]),
                        _ => {
                            self.sink().drop();
                        }
                    }
                } else if self.ir.is_pure(value) {
                    self.wide(value);
                } else {
                    self.effect(value, op, byte);
                }
            }
        }
        self.release_settled();
    }

    fn check_stack(&mut self, need: i32, growth: i32) {
        let Some(stack) = self.stack else { return };
        if need > 0 {
            self.get(stack);
            self.int(need as u32 * 32);
            self.sink().i32_lt_u();
            self.branch_if(Label::Halt);
        }
        if growth > 0 {
            self.get(stack);
            self.int((1024 - growth.min(1024)) as u32 * 32);
            self.sink().i32_gt_u();
            self.branch_if(Label::Halt);
        }
    }
}

/// A body with the indices of its callees filled in.
pub fn resolve_calls(
    bytes: &[u8],
    calls: &[(usize, Callee)],
    index: impl Fn(Callee) -> u32,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + calls.len() * 2);
    let mut copied = 0;
    for (at, callee) in calls {
        out.extend_from_slice(&bytes[copied..*at]);
        copied = *at;
        unsigned(&mut out, u64::from(index(*callee)));
    }
    out.extend_from_slice(&bytes[copied..]);
    out
}
