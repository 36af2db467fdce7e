//! Instructions that read or change the frame and the world: memory inline, everything else through the
//! runtime functions.

use wasm_encoder::{BlockType, MemArg};

use super::emitter::{Emitter, GAS, Label};
use super::places::Place;
use crate::abi::offset;
use crate::access::{AccessSize, hashed};
use crate::ir::V;
use crate::opcode::{Op, arity};
use crate::runtime::{Function, Global, layout};

/// Gas of KECCAK256 for 64 bytes, beside that of its section (Yellow Paper, appendix G).
const HASH_PAIR: u64 = 12;

/// Offsets that no gas can pay for.
const MEMORY_NEVER: u64 = 1 << 40;

const fn at(offset: u64) -> MemArg {
    MemArg { offset, align: 0, memory_index: 0 }
}

/// Where an access to EVM memory goes.
struct Access {
    /// The local that it starts from, or the window ([`Global::Window`]).
    base: Option<u32>,
    /// What is added.
    offset: u64,
}

impl Emitter<'_> {
    /// Computes an instruction that stays where it is.
    pub fn effect(&mut self, value: V, op: Op, byte: u8) {
        let ir = self.ir;
        let operands = ir.arguments_of(value);
        match (op, operands) {
            (Op::Mload, &[offset]) => self.load_word(value, offset),
            (Op::Mstore, &[offset, word]) => self.store_word(value, offset, word),
            (Op::Mstore8, &[offset, word]) => self.store_byte(value, offset, word),
            (Op::Gas, _) => {
                self.check_gas();
                self.get(GAS);
                self.int(0);
                let beyond = u64::from(layout::INPUT_AT) + offset::GAS_BEYOND as u64;
                self.sink().i64_load(at(beyond)).i64_add();
                self.receive_long(value);
            }
            (Op::Msize, _) => {
                self.sink().global_get(Global::MemorySize.index()).i64_extend_i32_u();
                self.receive_long(value);
            }
            (Op::Returndatasize, _) => {
                self.call(Function::ReturnDataSize);
                self.receive_long(value);
            }
            (Op::Keccak256, &[offset, length])
                if hashed(self.constant(length)) == Some(AccessSize::Pair)
                    && self.limbs_of(offset) == 1 =>
            {
                self.hash_pair(value, offset);
            }
            (Op::Blockhash, _) => self.words(Function::BlockHash, operands, value),
            (Op::Blobhash, _) => self.words(Function::BlobHash, operands, value),
            (Op::Log, _) => self.log(operands, arity(byte)),
            (Op::Call | Op::Callcode | Op::Delegatecall | Op::Staticcall, _) => {
                self.call_contract(value, op, operands);
            }
            (Op::Create | Op::Create2, _) => {
                self.check_gas();
                self.get(GAS);
                self.int(u32::from(op == Op::Create2));
                for operand in operands {
                    self.word(*operand);
                }
                if op == Op::Create {
                    self.zero_word();
                }
                self.call(Function::Create);
                self.receive_gas();
                self.receive_word(value);
            }
            _ => self.charging(value, op, operands),
        }
    }

    fn zero_word(&mut self) {
        for _ in 0..4 {
            self.long(0);
        }
    }

    fn words(&mut self, function: Function, operands: &[V], value: V) {
        for operand in operands {
            self.word(*operand);
        }
        self.call(function);
        self.receive_word(value);
    }

    /// Runtime functions that take gas and words and give gas, or a word and gas.
    fn charging(&mut self, value: V, op: Op, operands: &[V]) {
        let (function, gives) = match op {
            Op::Exp => (Function::Exp, true),
            Op::Keccak256 => (Function::Keccak, true),
            Op::Balance => (Function::Balance, true),
            Op::Selfbalance => (Function::SelfBalance, true),
            Op::Extcodesize => (Function::ExtCodeSize, true),
            Op::Extcodehash => (Function::ExtCodeHash, true),
            Op::Sload => (Function::Sload, true),
            Op::Tload => (Function::Tload, true),
            Op::Mcopy => (Function::Mcopy, false),
            Op::Calldatacopy => (Function::CalldataCopy, false),
            Op::Codecopy => (Function::CodeCopy, false),
            Op::Returndatacopy => (Function::ReturnDataCopy, false),
            Op::Extcodecopy => (Function::ExtCodeCopy, false),
            Op::Sstore => (Function::Sstore, false),
            _ => (Function::Tstore, false),
        };
        if op == Op::Sstore {
            // Its sentry looks at the gas left.
            self.check_gas();
        }
        self.get(GAS);
        for operand in operands {
            self.word(*operand);
        }
        self.call(function);
        self.receive_gas();
        if gives {
            self.receive_word(value);
        }
    }

    /// KECCAK256 of 64 bytes: the slot of a mapping's entry.
    fn hash_pair(&mut self, value: V, offset: V) {
        let access = self.address(value, offset, AccessSize::Pair);
        self.get(GAS);
        self.long(HASH_PAIR);
        self.sink().i64_sub();
        self.receive_gas();
        self.base(&access);
        if access.offset > 0 {
            self.int(access.offset as u32);
            self.sink().i32_add();
        }
        self.call(Function::KeccakPair);
        self.receive_word(value);
        self.release_access(&access);
    }

    fn log(&mut self, operands: &[V], topics: usize) {
        for topic in &operands[2..] {
            self.settle(*topic);
        }
        self.get(GAS);
        self.int(topics as u32);
        self.word(operands[0]);
        self.word(operands[1]);
        self.call(Function::Log);
        self.receive_gas();
        let base = self.temporary_int();
        self.set(base);
        for (place, topic) in operands[2..].iter().enumerate() {
            for limb in 0..4 {
                self.get(base);
                self.limb(*topic, limb);
                self.sink().i64_store(at(32 * place as u64 + 8 * limb as u64));
            }
        }
        self.release(base);
    }

    fn call_contract(&mut self, value: V, op: Op, operands: &[V]) {
        self.check_gas();
        self.get(GAS);
        let (kind, has_value) = match op {
            Op::Call => (0, true),
            Op::Callcode => (1, true),
            Op::Delegatecall => (2, false),
            _ => (3, false),
        };
        self.int(kind);
        for (place, operand) in operands.iter().enumerate() {
            if place == 2 && !has_value {
                self.zero_word();
            }
            self.word(*operand);
        }
        self.call(Function::Call);
        self.receive_gas();
        match self.place(value) {
            Place::Flag(local) => self.set(local),
            _ => {
                self.sink().drop();
            }
        }
    }

    /// Pushes whether an access at an offset of one limb reaches beyond the memory that is touched. An offset
    /// whose end would wrap does.
    fn reaches_beyond(&mut self, offset: V, size: AccessSize) {
        self.limb(offset, 0);
        match size {
            AccessSize::Byte => {
                self.sink().global_get(Global::MemorySize.index()).i64_extend_i32_u().i64_ge_u();
            }
            AccessSize::Word => {
                self.sink().global_get(Global::Words.index()).i64_ge_u();
            }
            AccessSize::Pair => {
                // The first word, and the second: where its offset wraps the first is beyond.
                self.sink().global_get(Global::Words.index()).i64_ge_u();
                self.limb(offset, 0);
                self.long(AccessSize::Word.bytes());
                self.sink().i64_add().global_get(Global::Words.index()).i64_ge_u().i32_or();
            }
        }
    }

    /// Touches EVM memory at `offset`: where the lowest of its bytes is in linear memory.
    fn address(&mut self, value: V, offset: V, access_size: AccessSize) -> Access {
        let size = access_size.bytes();
        let touched = self.ir.touched.contains(value);
        if let Some(word) = self.constant(offset) {
            let end = word.as_u64().filter(|offset| *offset < MEMORY_NEVER).map(|at| at + size);
            let Some(end) = end.filter(|end| *end < 1 << 31) else {
                self.branch(Label::Halt);
                return Access { base: None, offset: 0 };
            };
            if !touched {
                self.int(end as u32);
                self.sink().global_get(Global::MemorySize.index()).i32_gt_u();
                self.sink().if_(BlockType::Empty);
                self.open(Label::Other);
                self.get(GAS);
                self.long(end);
                self.touch();
            }
            if let Some(offset) = u64::from(layout::WINDOW).checked_sub(end) {
                return Access { base: None, offset };
            }
            self.sink().global_get(Global::Top.index());
            self.int(end as u32);
            self.sink().i32_sub();
            return self.access(0);
        }
        self.settle(offset);
        if !touched {
            if self.limbs_of(offset) > 1 {
                self.any_limb(offset, 1);
                self.long(0);
                self.sink().i64_ne();
                self.branch_if(Label::Halt);
            }
            self.reaches_beyond(offset, access_size);
            self.sink().if_(BlockType::Empty);
            self.open(Label::Other);
            if self.ir.range(offset).high.bits() > 62 {
                self.limb(offset, 0);
                self.long(MEMORY_NEVER);
                self.sink().i64_ge_u();
                self.branch_if(Label::Halt);
            }
            self.get(GAS);
            self.limb(offset, 0);
            self.long(size);
            self.sink().i64_add();
            self.touch();
        }
        self.sink().global_get(Global::Window.index());
        self.low_int(offset);
        self.sink().i32_sub();
        self.access(u64::from(layout::WINDOW) - size)
    }

    /// An access at an offset from the address on the stack.
    fn access(&mut self, offset: u64) -> Access {
        let base = self.temporary_int();
        self.set(base);
        Access { base: Some(base), offset }
    }

    /// Pushes what an access starts from.
    fn base(&mut self, access: &Access) {
        match access.base {
            Some(base) => self.get(base),
            None => {
                self.sink().global_get(Global::Window.index());
            }
        }
    }

    fn release_access(&mut self, access: &Access) {
        if let Some(base) = access.base {
            self.release(base);
        }
    }

    /// The rest of the slow path: gas and end are on the stack, the `if` is open.
    fn touch(&mut self) {
        self.call(Function::MemoryTouch);
        self.receive_gas();
        self.close();
    }

    /// Whether an access at an offset that may be anything is left to a runtime function: inline it is three times
    /// as long, and code that does nothing else would become too large for a host.
    fn outlined(&mut self, offset: V) -> bool {
        if self.constant(offset).is_some() || self.limbs_of(offset) == 1 {
            return false;
        }
        self.wide_accesses += 1;
        self.wide_accesses > self.wide_accesses_inline
    }

    fn load_word(&mut self, value: V, offset: V) {
        if self.outlined(offset) {
            self.get(GAS);
            self.word(offset);
            self.call(Function::Mload);
            self.receive_gas();
            self.receive_word(value);
            return;
        }
        let access = self.address(value, offset, AccessSize::Word);
        if let Place::Limbs(to, count) = self.place(value) {
            for (place, local) in to[..usize::from(count)].iter().enumerate() {
                self.base(&access);
                self.sink().i64_load(at(access.offset + 8 * place as u64));
                self.set(*local);
            }
        }
        self.release_access(&access);
    }

    fn store_word(&mut self, value: V, offset: V, word: V) {
        if self.outlined(offset) {
            self.get(GAS);
            self.word(offset);
            self.word(word);
            self.call(Function::Mstore);
            self.receive_gas();
            return;
        }
        self.settle(word);
        let access = self.address(value, offset, AccessSize::Word);
        for place in 0..4 {
            self.base(&access);
            self.limb(word, place);
            self.sink().i64_store(at(access.offset + 8 * place as u64));
        }
        self.release_access(&access);
    }

    fn store_byte(&mut self, value: V, offset: V, word: V) {
        self.settle(word);
        let access = self.address(value, offset, AccessSize::Byte);
        self.base(&access);
        self.limb(word, 0);
        self.sink().i64_store8(at(access.offset));
        self.release_access(&access);
    }

    /// Address operand and offset of an entry of the stack.
    fn entry(&mut self, slot: i32) -> u64 {
        let offset = i64::from(layout::STACK_AT) + 32 * i64::from(slot);
        self.get(self.stack.unwrap_or(GAS));
        match u64::try_from(offset) {
            Ok(offset) => offset,
            Err(_) => {
                // More than 128 entries below the head.
                self.int((-32 * slot) as u32);
                self.sink().i32_sub();
                u64::from(layout::STACK_AT)
            }
        }
    }

    /// Loads an entry of the stack from memory.
    pub fn load_entry(&mut self, value: V, slot: i32) {
        let (to, count) = self.locals_of(value);
        for (place, local) in to[..count].iter().enumerate() {
            let offset = self.entry(slot);
            self.sink().i64_load(at(offset + 8 * place as u64));
            self.set(*local);
        }
    }

    /// Puts a value into its entry of the stack.
    pub fn store_entry(&mut self, value: V, slot: i32) {
        self.settle(value);
        for place in 0..4 {
            let offset = self.entry(slot);
            self.limb(value, place);
            self.sink().i64_store(at(offset + 8 * place as u64));
        }
    }
}
