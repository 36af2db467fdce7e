//! The compact form: one function that runs the code an instruction at a time, with the stack in memory.
//!
//! A module in this form is the runtime, this function and the code itself: its size is that of the code, an eighth
//! of it for the JUMPDESTs, and a constant, whatever the code. Every instruction is the runtime function that compiled
//! code calls for it, or a few operators.
//!
//! The code is kept backwards, as everywhere, below it zeros: what a PUSH reads is a word as it is, and behind the end
//! of the code there is a STOP. The data segment ([`segment`]) has the code, a bit for each of its bytes that says whether
//! a jump may go there, and a row for each opcode: its static gas, and the ends between which the stack pointer has to be.

use alloc::vec::Vec;

use super::Function;
use super::code::{Code, Label, Local, Word};
use super::layout::{CODE_SEGMENT, Global, INPUT_AT, OWN_CODE_AT, STACK_AT, frame_field};
use crate::Fork;
use crate::abi::{CallKind, backwards, offset};
use crate::blocks::Blocks;
use crate::opcode::{Op, row, row_in};

/// Zeros below the code: an instruction at its end, and the immediate of a PUSH.
const PADDING: u32 = 64;
/// A row of the table of opcodes: gas, lowest and highest stack pointer.
const ROW: u32 = 12;
const ROW_GAS: u32 = 0;
const ROW_LOW: u32 = 4;
const ROW_HIGH: u32 = 8;
/// Bytes of a word.
const WORD: u32 = 32;
/// Where a full stack ends.
const STACK_END: u32 = STACK_AT + 1_024 * WORD;
/// No stack pointer is as high: the opcode is not defined.
const UNDEFINED: u32 = u32::MAX;

/// Bytes of the bits of JUMPDESTs.
const fn places_bytes(code_bytes: u32) -> u32 {
    code_bytes.div_ceil(8)
}

/// The data segment of a module in this form.
pub(crate) fn segment(blocks: &Blocks<'_>, fork: Fork) -> Vec<u8> {
    let mut out = backwards(blocks.code);
    let mut places = alloc::vec![0_u8; places_bytes(blocks.code.len() as u32) as usize];
    for pc in blocks.jumpdests() {
        places[pc as usize / 8] |= 1 << (pc % 8);
    }
    out.extend(places);
    for byte in 0..=255 {
        let of_row = match row_in(byte, fork) {
            Some(row) if row.op != Op::Invalid => {
                let growth = u32::from(row.pushes.saturating_sub(row.pops));
                let low = STACK_AT + WORD * u32::from(row.pops);
                [u32::from(row.gas), low, STACK_END - WORD * growth]
            }
            _ => [0, UNDEFINED, UNDEFINED],
        };
        out.extend(of_row.iter().flat_map(|field| field.to_le_bytes()));
    }
    out
}

/// The locals that the arms share.
struct Registers {
    gas: Local,
    /// Address above the topmost entry of the stack.
    top: Local,
    /// Address of the lowest entry that the instruction pops: its operands are from here to `top`, and its result goes here.
    base: Local,
    /// Address of the next byte of the code.
    next: Local,
    opcode: Local,
    /// Address of the code's last byte.
    code: Local,
    a: Word,
    b: Word,
    spare: Local,
    pointer: Local,
    again: Label,
    halt: Label,
}

/// Runs the code with the gas of a frame, to the frame's end.
pub(super) fn interpret(c: &mut Code<'_>) {
    let gas = c.parameter();
    let [top, base, next, opcode] = [c.int(), c.int(), c.int(), c.int()];
    let [code, entry, pointer] = [c.int(), c.int(), c.int()];
    let (a, b, spare) = (c.word(), c.word(), c.long());
    let size = c.setup.code_bytes;
    let table = size + places_bytes(size);
    let all = table + 256 * ROW;

    // What was made for an earlier frame is below the heap's start if an input has been put over it.
    c.i(0).load32(OWN_CODE_AT).tee(code).get_global(Global::HeapStart).i32_lt_u().if_();
    c.i(PADDING + all).call(Function::Allocate).tee(code).i32_eqz().if_();
    c.call(Function::Halt).return_().end();
    c.get(code).i(PADDING).i32_add().tee(code).i(0).i(all).memory_init(CODE_SEGMENT);
    c.i(0).get(code).store32(OWN_CODE_AT).end();
    c.i(STACK_AT).set(top);
    c.get(code).i(size).i32_add().i(1).i32_sub().set(next);

    let halt = c.block();
    let again = c.loop_();
    c.get(next).load8(0).tee(opcode).i(ROW).i32_mul().get(code).i32_add().set(entry);
    c.get(next).i(1).i32_sub().set(next);
    // A runtime function that halts the frame leaves negative gas, which is found here.
    c.get(gas).get(entry).load32_long(table + ROW_GAS).i64_sub().tee(gas).l(0).i64_lt_s();
    c.br_if(halt);
    c.get(top).get(entry).load32(table + ROW_LOW).i32_lt_u().br_if(halt);
    c.get(top).get(entry).load32(table + ROW_HIGH).i32_gt_u().br_if(halt);
    c.get(top).i(STACK_AT).i32_add().get(entry).load32(table + ROW_LOW).i32_sub().set(base);

    let mut arms: Vec<Op> = Vec::new();
    let mut arm_of = [None; 256];
    for byte in 0..=255_u8 {
        let Some(op) = row(byte).map(|row| row.op).filter(|op| *op != Op::Invalid) else {
            continue;
        };
        let place = arms.iter().position(|known| *known == op).unwrap_or(arms.len());
        if place == arms.len() {
            arms.push(op);
        }
        arm_of[usize::from(byte)] = Some(place);
    }
    // The first arm is behind the innermost block.
    let mut labels: Vec<Label> = arms.iter().map(|_| c.block()).collect();
    labels.reverse();
    let targets: Vec<Label> =
        arm_of.iter().map(|place| place.map_or(halt, |place| labels[place])).collect();
    c.get(opcode).br_table(targets.iter().copied(), halt);
    let r = Registers { gas, top, base, next, opcode, code, a, b, spare, pointer, again, halt };
    for op in arms {
        c.end();
        arm(c, op, &r);
    }
    c.end().end();
    c.call(Function::Halt);
}

/// What a runtime function takes beside the operands, and gives.
#[derive(Clone, Copy)]
enum Gives {
    /// A word; takes no gas.
    Word,
    /// An i64; takes no gas.
    Long,
    /// A word and gas.
    WordAndGas,
    /// Gas.
    Gas,
}

/// The function that is all of an instruction, its operands being the instruction's.
fn whole(op: Op) -> Option<(Function, usize, Gives)> {
    use Gives::{Gas, Long, Word, WordAndGas};
    Some(match op {
        Op::Mul => (Function::Mul, 2, Word),
        Op::Div => (Function::Div, 2, Word),
        Op::Sdiv => (Function::Sdiv, 2, Word),
        Op::Mod => (Function::Mod, 2, Word),
        Op::Smod => (Function::Smod, 2, Word),
        Op::Addmod => (Function::Addmod, 3, Word),
        Op::Mulmod => (Function::Mulmod, 3, Word),
        Op::Signextend => (Function::SignExtend, 2, Word),
        Op::Byte => (Function::Byte, 2, Word),
        Op::Shl => (Function::Shl, 2, Word),
        Op::Shr => (Function::Shr, 2, Word),
        Op::Sar => (Function::Sar, 2, Word),
        Op::Calldataload => (Function::CalldataLoad, 1, Word),
        Op::Blockhash => (Function::BlockHash, 1, Word),
        Op::Blobhash => (Function::BlobHash, 1, Word),
        Op::Clz => (Function::Clz, 1, Long),
        Op::Returndatasize => (Function::ReturnDataSize, 0, Long),
        Op::Exp => (Function::Exp, 2, WordAndGas),
        Op::Keccak256 => (Function::Keccak, 2, WordAndGas),
        Op::Balance => (Function::Balance, 1, WordAndGas),
        Op::Selfbalance => (Function::SelfBalance, 0, WordAndGas),
        Op::Extcodesize => (Function::ExtCodeSize, 1, WordAndGas),
        Op::Extcodehash => (Function::ExtCodeHash, 1, WordAndGas),
        Op::Mload => (Function::Mload, 1, WordAndGas),
        Op::Sload => (Function::Sload, 1, WordAndGas),
        Op::Tload => (Function::Tload, 1, WordAndGas),
        Op::Mstore => (Function::Mstore, 2, Gas),
        Op::Mcopy => (Function::Mcopy, 3, Gas),
        Op::Calldatacopy => (Function::CalldataCopy, 3, Gas),
        Op::Codecopy => (Function::CodeCopy, 3, Gas),
        Op::Returndatacopy => (Function::ReturnDataCopy, 3, Gas),
        Op::Extcodecopy => (Function::ExtCodeCopy, 4, Gas),
        Op::Sstore => (Function::Sstore, 2, Gas),
        Op::Tstore => (Function::Tstore, 2, Gas),
        _ => return None,
    })
}

/// What an instruction does. Whatever goes on branches to the next one.
fn arm(c: &mut Code<'_>, op: Op, r: &Registers) {
    if let Some((function, operands, gives)) = whole(op) {
        if matches!(gives, Gives::Gas | Gives::WordAndGas) {
            c.get(r.gas);
        }
        r.push_operands(c, operands);
        c.call(function);
        return match gives {
            Gives::Gas => r.pop_all(c.set(r.gas)),
            Gives::Long => r.give_long(c),
            Gives::Word => r.give_word(c),
            Gives::WordAndGas => r.give_word(c.set(r.gas)),
        };
    }
    if let Some((offset, limbs)) = frame_field(op) {
        c.i(INPUT_AT + offset).set(r.pointer);
        c.load_word(r.pointer, 0).set_word(r.a);
        r.a.0[limbs..].iter().for_each(|limb| {
            c.l(0).set(*limb);
        });
        c.get_word(r.a);
        return r.give_word(c);
    }
    match op {
        Op::Add | Op::Sub | Op::And | Op::Or | Op::Xor | Op::Not => limbs(c, op, r),
        Op::Lt | Op::Gt | Op::Slt | Op::Sgt | Op::Eq | Op::Iszero => comparison(c, op, r),
        Op::Push | Op::Dup | Op::Swap => moves(c, op, r),
        Op::Pop => r.pop_all(c),
        Op::Jumpdest => {
            c.br(r.again);
        }
        Op::Jump | Op::Jumpi => jump(c, op, r),
        Op::Mstore8 => {
            c.get(r.gas).load_word(r.base, WORD).get(r.base).load64(0).call(Function::Mstore8);
            r.pop_all(c.set(r.gas));
        }
        Op::Log => log(c, r),
        Op::Call | Op::Callcode | Op::Delegatecall | Op::Staticcall => call(c, op, r),
        Op::Create | Op::Create2 => {
            c.get(r.gas).i(u32::from(op == Op::Create2));
            if op == Op::Create2 {
                r.push_operands(c, 4);
            } else {
                r.push_operands(c, 3);
                c.zero_word();
            }
            r.give_word(c.call(Function::Create).set(r.gas));
        }
        Op::Return | Op::Revert => {
            c.get(r.gas).i(u32::from(op == Op::Revert));
            r.push_operands(c, 2);
            c.call(Function::Finish).l(0).i64_lt_s().br_if(r.halt).return_();
        }
        Op::Selfdestruct => {
            c.get(r.gas);
            r.push_operands(c, 1);
            c.call(Function::SelfDestruct).l(0).i64_lt_s().br_if(r.halt).return_();
        }
        Op::Stop => {
            c.get(r.gas).call(Function::Stop).return_();
        }
        Op::Gas => {
            c.get(r.gas).i(INPUT_AT).load64(offset::GAS_BEYOND as u32).i64_add();
            r.give_long(c);
        }
        Op::Msize => r.give_long(c.get_global(Global::MemorySize).i64_extend_i32_u()),
        Op::Calldatasize => r.give_long(c.get_global(Global::CalldataLength).i64_extend_i32_u()),
        Op::Codesize => {
            let size = c.setup.code_bytes;
            r.give_long(c.l(i64::from(size)));
        }
        Op::Pc => {
            // Where the instruction was: its address less one is the next.
            let size = c.setup.code_bytes;
            c.get(r.code).i(size.wrapping_sub(2)).i32_add().get(r.next).i32_sub();
            r.give_long(c.i64_extend_i32_u());
        }
        _ => {
            c.br(r.halt);
        }
    }
}

impl Registers {
    /// Pushes the operands, of which there are so many, the topmost first.
    fn push_operands(&self, c: &mut Code<'_>, count: usize) {
        for place in (0..count as u32).rev() {
            c.load_word(self.base, WORD * place);
        }
    }

    /// Goes on with the operands popped.
    fn pop_all(&self, c: &mut Code<'_>) {
        c.get(self.base).set(self.top).br(self.again);
    }

    /// Goes on with the word from the Wasm stack in place of the operands.
    fn give_word(&self, c: &mut Code<'_>) {
        c.set_word(self.a).store_word(self.base, 0, self.a);
        c.get(self.base).i(WORD).i32_add().set(self.top).br(self.again);
    }

    /// Goes on with the i64 from the Wasm stack in place of the operands.
    fn give_long(&self, c: &mut Code<'_>) {
        c.l(0).l(0).l(0);
        self.give_word(c);
    }

    /// Both operands into locals, the topmost first.
    fn load_pair(&self, c: &mut Code<'_>) {
        c.load_word(self.base, WORD).set_word(self.a).load_word(self.base, 0).set_word(self.b);
    }
}

/// What works limb by limb.
fn limbs(c: &mut Code<'_>, op: Op, r: &Registers) {
    match op {
        Op::Add => {
            r.load_pair(c);
            c.add_in_place(&r.a.0, &r.b.0, r.spare).get_word(r.a);
        }
        Op::Sub => {
            r.load_pair(c);
            c.subtract(&r.a.0, &r.b.0, &r.a.0, r.spare).get_word(r.a);
        }
        _ => {
            for limb in 0..4 {
                c.get(r.base).load64(8 * limb);
                match op {
                    Op::Not => c.l(-1).i64_xor(),
                    Op::And => c.get(r.base).load64(WORD + 8 * limb).i64_and(),
                    Op::Or => c.get(r.base).load64(WORD + 8 * limb).i64_or(),
                    _ => c.get(r.base).load64(WORD + 8 * limb).i64_xor(),
                };
            }
        }
    }
    r.give_word(c);
}

fn comparison(c: &mut Code<'_>, op: Op, r: &Registers) {
    if op == Op::Iszero {
        c.load_word(r.base, 0).i64_or().i64_or().i64_or().i64_eqz();
        return r.give_long(c.i64_extend_i32_u());
    }
    r.load_pair(c);
    if matches!(op, Op::Slt | Op::Sgt) {
        // With the sign's bit turned they are in order as unsigned words.
        for word in [r.a, r.b] {
            c.get(word[3]).l(i64::MIN).i64_xor().set(word[3]);
        }
    }
    match op {
        Op::Lt | Op::Slt => c.below(r.a, r.b),
        Op::Gt | Op::Sgt => c.below(r.b, r.a),
        _ => {
            for limb in 0..4 {
                c.get(r.a[limb]).get(r.b[limb]).i64_xor();
            }
            c.i64_or().i64_or().i64_or().i64_eqz()
        }
    };
    r.give_long(c.i64_extend_i32_u());
}

/// PUSH, DUP and SWAP, whatever their number.
fn moves(c: &mut Code<'_>, op: Op, r: &Registers) {
    match op {
        Op::Push => {
            // The immediate is a word as it is, the lowest byte at the lowest address.
            for limb in 0..4 {
                c.get(r.top).l(0).store64(8 * limb);
            }
            c.get(r.next).get(r.opcode).i(0x5f).i32_sub().tee(r.pointer).i32_sub().set(r.next);
            c.get(r.top).get(r.next).i(1).i32_add().get(r.pointer).memory_copy();
            c.get(r.top).i(WORD).i32_add().set(r.top);
        }
        Op::Dup => {
            c.load_word(r.base, 0).set_word(r.a).store_word(r.top, 0, r.a);
            c.get(r.top).i(WORD).i32_add().set(r.top);
        }
        _ => {
            c.get(r.top).i(WORD).i32_sub().set(r.pointer);
            c.load_word(r.base, 0).set_word(r.a).load_word(r.pointer, 0).set_word(r.b);
            c.store_word(r.base, 0, r.b).store_word(r.pointer, 0, r.a);
        }
    }
    c.br(r.again);
}

fn jump(c: &mut Code<'_>, op: Op, r: &Registers) {
    let size = c.setup.code_bytes;
    if op == Op::Jumpi {
        c.load_word(r.base, 0).i64_or().i64_or().i64_or().i64_eqz().if_();
        r.pop_all(c);
        c.end();
        c.load_word(r.base, WORD);
    } else {
        c.load_word(r.base, 0);
    }
    c.set_word(r.a).get(r.a[0]).l(i64::from(size)).i64_ge_u();
    c.any(&r.a.0[1..]).i64_eqz().i32_eqz().i32_or().br_if(r.halt);
    c.get(r.a[0]).i32_wrap_i64().tee(r.pointer).i(3).i32_shr_u().get(r.code).i32_add();
    c.load8(size).get(r.pointer).i(7).i32_and().i32_shr_u().i(1).i32_and().i32_eqz();
    c.br_if(r.halt);
    c.get(r.code).i(size.wrapping_sub(1)).i32_add().get(r.pointer).i32_sub().set(r.next);
    r.pop_all(c);
}

fn log(c: &mut Code<'_>, r: &Registers) {
    // The entry with the length; topics are below it.
    c.get(r.top).i(2 * WORD).i32_sub().set(r.pointer);
    c.get(r.opcode).i(0xa0).i32_sub().set(r.opcode);
    c.get(r.gas).get(r.opcode).load_word(r.pointer, WORD).load_word(r.pointer, 0);
    let to = r.top;
    c.call(Function::Log).set(r.gas).set(to).get(r.gas).l(0).i64_lt_s().br_if(r.halt);
    let end = c.block();
    let topic = c.loop_();
    c.get(r.opcode).i32_eqz().br_if(end);
    c.get(r.pointer).i(WORD).i32_sub().set(r.pointer);
    c.load_word(r.pointer, 0).set_word(r.a).store_word(to, 0, r.a);
    c.get(to).i(WORD).i32_add().set(to);
    c.get(r.opcode).i(1).i32_sub().set(r.opcode).br(topic).end().end();
    r.pop_all(c);
}

fn call(c: &mut Code<'_>, op: Op, r: &Registers) {
    let kind = match op {
        Op::Call => CallKind::Call,
        Op::Callcode => CallKind::CallCode,
        Op::Delegatecall => CallKind::DelegateCall,
        _ => CallKind::StaticCall,
    };
    c.get(r.gas).i(kind as u32);
    if matches!(op, Op::Call | Op::Callcode) {
        r.push_operands(c, 7);
    } else {
        c.load_word(r.base, 5 * WORD).load_word(r.base, 4 * WORD).zero_word();
        r.push_operands(c, 4);
    }
    c.call(Function::Call).set(r.gas);
    r.give_long(c.i64_extend_i32_u());
}
