//! The one table of opcodes: what each is called, what it pops and pushes, what a section charges for it,
//! since when it exists, and which family it belongs to. Decoding, stack analysis, gas sections, the
//! intermediate form and lowering read it; nothing repeats it.
//!
//! Gas is the static part of `docs/spec/evm.md`, section 2 (EIP-150, 1884, 2929, 3855, 5656); what
//! depends on operands is charged by the runtime function.

use crate::Fork;

/// What an instruction does, as far as the passes tell instructions apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named after the instructions")]
pub enum Op {
    // Pure: the result depends on the operands alone.
    Add,
    Mul,
    Sub,
    Div,
    Sdiv,
    Mod,
    Smod,
    Addmod,
    Mulmod,
    Signextend,
    Lt,
    Gt,
    Slt,
    Sgt,
    Eq,
    Iszero,
    And,
    Or,
    Xor,
    Not,
    Byte,
    Shl,
    Shr,
    Sar,
    Clz,
    // Constant for the whole frame.
    Address,
    Origin,
    Caller,
    Callvalue,
    Calldataload,
    Calldatasize,
    Gasprice,
    Coinbase,
    Timestamp,
    Number,
    Prevrandao,
    Gaslimit,
    Chainid,
    Basefee,
    Blobbasefee,
    Codesize,
    // Reads of the frame or of the world; charges or yields.
    Exp,
    Keccak256,
    Balance,
    Selfbalance,
    Extcodesize,
    Extcodehash,
    Blockhash,
    Blobhash,
    Returndatasize,
    Msize,
    Gas,
    Mload,
    Sload,
    Tload,
    // Effects.
    Mstore,
    Mstore8,
    Mcopy,
    Calldatacopy,
    Codecopy,
    Returndatacopy,
    Extcodecopy,
    Sstore,
    Tstore,
    Log,
    Create,
    Create2,
    Call,
    Callcode,
    Delegatecall,
    Staticcall,
    // Stack and control.
    Pop,
    Push,
    Dup,
    Swap,
    Pc,
    Jumpdest,
    Jump,
    Jumpi,
    Stop,
    Return,
    Revert,
    Invalid,
    Selfdestruct,
}

/// How the passes treat an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Foldable, movable, removable.
    Pure,
    /// A value of the frame: as pure, but not foldable.
    Frame,
    /// Stays where it is, in order with the others of this kind and with effects.
    Read,
    /// Stays where it is.
    Effect,
    /// Moves entries of the stack; leaves no instruction behind.
    Stack,
    /// Ends a block.
    Control,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Mnemonic.
    pub name: &'static str,
    /// What it does.
    pub op: Op,
    /// Entries popped. DUP and SWAP have what they need at least, see `pushes`.
    pub pops: u8,
    /// Entries pushed.
    pub pushes: u8,
    /// EVM gas that its section charges.
    pub gas: u16,
    /// First fork that has it; none for those older than Cancun.
    pub since: Option<Fork>,
    /// How the passes treat it.
    pub family: Family,
}

impl Row {
    /// Whether `fork` has the instruction.
    pub fn is_in(&self, fork: Fork) -> bool {
        self.since.is_none_or(|since| since <= fork)
    }

    /// Whether it needs the exact gas left, which its section has therefore to charge before it.
    pub fn needs_exact_gas(&self) -> bool {
        matches!(
            self.op,
            Op::Gas
                | Op::Sstore
                | Op::Create
                | Op::Create2
                | Op::Call
                | Op::Callcode
                | Op::Delegatecall
                | Op::Staticcall
        )
    }
}

/// The row of a byte; none if no supported fork defines it.
pub fn row(byte: u8) -> Option<&'static Row> {
    let place = INDEX[byte as usize];
    (place != 0).then(|| &ROWS[place as usize - 1].1)
}

/// The row of a byte under `fork`.
pub fn row_in(byte: u8, fork: Fork) -> Option<&'static Row> {
    row(byte).filter(|row| row.is_in(fork))
}

/// Bytes of immediate data behind an opcode: PUSH1 to PUSH32.
pub const fn immediate_bytes(byte: u8) -> usize {
    if byte >= 0x60 && byte <= 0x7f { byte as usize - 0x5f } else { 0 }
}

/// `n` of PUSHn, DUPn, SWAPn and LOGn.
pub const fn arity(byte: u8) -> usize {
    match byte {
        0x5f..=0x7f => byte as usize - 0x5f,
        0x80..=0x8f => byte as usize - 0x7f,
        0x90..=0x9f => byte as usize - 0x8f,
        0xa0..=0xa4 => byte as usize - 0xa0,
        _ => 0,
    }
}

const fn r(name: &'static str, op: Op, pops: u8, pushes: u8, gas: u16, family: Family) -> Row {
    Row { name, op, pops, pushes, gas, since: None, family }
}

const fn since(fork: Fork, row: Row) -> Row {
    Row { since: Some(fork), ..row }
}

const fn push(name: &'static str) -> Row {
    r(name, Op::Push, 0, 1, 3, Family::Stack)
}

const fn dup(n: u8, name: &'static str) -> Row {
    r(name, Op::Dup, n, n + 1, 3, Family::Stack)
}

const fn swap(n: u8, name: &'static str) -> Row {
    r(name, Op::Swap, n + 1, n + 1, 3, Family::Stack)
}

const fn log(n: u8, name: &'static str) -> Row {
    r(name, Op::Log, n + 2, 0, 375 * (n as u16 + 1), Family::Effect)
}

use Family::{Control, Effect, Frame, Pure, Read, Stack};

#[rustfmt::skip]
const ROWS: &[(u8, Row)] = &[
    (0x00, r("STOP", Op::Stop, 0, 0, 0, Control)),
    (0x01, r("ADD", Op::Add, 2, 1, 3, Pure)),
    (0x02, r("MUL", Op::Mul, 2, 1, 5, Pure)),
    (0x03, r("SUB", Op::Sub, 2, 1, 3, Pure)),
    (0x04, r("DIV", Op::Div, 2, 1, 5, Pure)),
    (0x05, r("SDIV", Op::Sdiv, 2, 1, 5, Pure)),
    (0x06, r("MOD", Op::Mod, 2, 1, 5, Pure)),
    (0x07, r("SMOD", Op::Smod, 2, 1, 5, Pure)),
    (0x08, r("ADDMOD", Op::Addmod, 3, 1, 8, Pure)),
    (0x09, r("MULMOD", Op::Mulmod, 3, 1, 8, Pure)),
    (0x0a, r("EXP", Op::Exp, 2, 1, 10, Read)),
    (0x0b, r("SIGNEXTEND", Op::Signextend, 2, 1, 5, Pure)),
    (0x10, r("LT", Op::Lt, 2, 1, 3, Pure)),
    (0x11, r("GT", Op::Gt, 2, 1, 3, Pure)),
    (0x12, r("SLT", Op::Slt, 2, 1, 3, Pure)),
    (0x13, r("SGT", Op::Sgt, 2, 1, 3, Pure)),
    (0x14, r("EQ", Op::Eq, 2, 1, 3, Pure)),
    (0x15, r("ISZERO", Op::Iszero, 1, 1, 3, Pure)),
    (0x16, r("AND", Op::And, 2, 1, 3, Pure)),
    (0x17, r("OR", Op::Or, 2, 1, 3, Pure)),
    (0x18, r("XOR", Op::Xor, 2, 1, 3, Pure)),
    (0x19, r("NOT", Op::Not, 1, 1, 3, Pure)),
    (0x1a, r("BYTE", Op::Byte, 2, 1, 3, Pure)),
    (0x1b, r("SHL", Op::Shl, 2, 1, 3, Pure)),
    (0x1c, r("SHR", Op::Shr, 2, 1, 3, Pure)),
    (0x1d, r("SAR", Op::Sar, 2, 1, 3, Pure)),
    (0x1e, since(Fork::Osaka, r("CLZ", Op::Clz, 1, 1, 5, Pure))), // EIP-7939
    (0x20, r("KECCAK256", Op::Keccak256, 2, 1, 30, Read)),
    (0x30, r("ADDRESS", Op::Address, 0, 1, 2, Frame)),
    (0x31, r("BALANCE", Op::Balance, 1, 1, 100, Read)),
    (0x32, r("ORIGIN", Op::Origin, 0, 1, 2, Frame)),
    (0x33, r("CALLER", Op::Caller, 0, 1, 2, Frame)),
    (0x34, r("CALLVALUE", Op::Callvalue, 0, 1, 2, Frame)),
    (0x35, r("CALLDATALOAD", Op::Calldataload, 1, 1, 3, Frame)),
    (0x36, r("CALLDATASIZE", Op::Calldatasize, 0, 1, 2, Frame)),
    (0x37, r("CALLDATACOPY", Op::Calldatacopy, 3, 0, 3, Effect)),
    (0x38, r("CODESIZE", Op::Codesize, 0, 1, 2, Frame)),
    (0x39, r("CODECOPY", Op::Codecopy, 3, 0, 3, Effect)),
    (0x3a, r("GASPRICE", Op::Gasprice, 0, 1, 2, Frame)),
    (0x3b, r("EXTCODESIZE", Op::Extcodesize, 1, 1, 100, Read)),
    (0x3c, r("EXTCODECOPY", Op::Extcodecopy, 4, 0, 100, Effect)),
    (0x3d, r("RETURNDATASIZE", Op::Returndatasize, 0, 1, 2, Read)),
    (0x3e, r("RETURNDATACOPY", Op::Returndatacopy, 3, 0, 3, Effect)),
    (0x3f, r("EXTCODEHASH", Op::Extcodehash, 1, 1, 100, Read)),
    (0x40, r("BLOCKHASH", Op::Blockhash, 1, 1, 20, Read)),
    (0x41, r("COINBASE", Op::Coinbase, 0, 1, 2, Frame)),
    (0x42, r("TIMESTAMP", Op::Timestamp, 0, 1, 2, Frame)),
    (0x43, r("NUMBER", Op::Number, 0, 1, 2, Frame)),
    (0x44, r("PREVRANDAO", Op::Prevrandao, 0, 1, 2, Frame)),
    (0x45, r("GASLIMIT", Op::Gaslimit, 0, 1, 2, Frame)),
    (0x46, r("CHAINID", Op::Chainid, 0, 1, 2, Frame)),
    (0x47, r("SELFBALANCE", Op::Selfbalance, 0, 1, 5, Read)),
    (0x48, r("BASEFEE", Op::Basefee, 0, 1, 2, Frame)),
    (0x49, r("BLOBHASH", Op::Blobhash, 1, 1, 3, Read)),
    (0x4a, r("BLOBBASEFEE", Op::Blobbasefee, 0, 1, 2, Frame)),
    (0x50, r("POP", Op::Pop, 1, 0, 2, Stack)),
    (0x51, r("MLOAD", Op::Mload, 1, 1, 3, Read)),
    (0x52, r("MSTORE", Op::Mstore, 2, 0, 3, Effect)),
    (0x53, r("MSTORE8", Op::Mstore8, 2, 0, 3, Effect)),
    (0x54, r("SLOAD", Op::Sload, 1, 1, 100, Read)),
    (0x55, r("SSTORE", Op::Sstore, 2, 0, 0, Effect)),
    (0x56, r("JUMP", Op::Jump, 1, 0, 8, Control)),
    (0x57, r("JUMPI", Op::Jumpi, 2, 0, 10, Control)),
    (0x58, r("PC", Op::Pc, 0, 1, 2, Stack)),
    (0x59, r("MSIZE", Op::Msize, 0, 1, 2, Read)),
    (0x5a, r("GAS", Op::Gas, 0, 1, 2, Read)),
    (0x5b, r("JUMPDEST", Op::Jumpdest, 0, 0, 1, Control)),
    (0x5c, r("TLOAD", Op::Tload, 1, 1, 100, Read)),
    (0x5d, r("TSTORE", Op::Tstore, 2, 0, 100, Effect)),
    (0x5e, r("MCOPY", Op::Mcopy, 3, 0, 3, Effect)),
    (0x5f, r("PUSH0", Op::Push, 0, 1, 2, Stack)),
    (0x60, push("PUSH1")), (0x61, push("PUSH2")), (0x62, push("PUSH3")), (0x63, push("PUSH4")),
    (0x64, push("PUSH5")), (0x65, push("PUSH6")), (0x66, push("PUSH7")), (0x67, push("PUSH8")),
    (0x68, push("PUSH9")), (0x69, push("PUSH10")), (0x6a, push("PUSH11")), (0x6b, push("PUSH12")),
    (0x6c, push("PUSH13")), (0x6d, push("PUSH14")), (0x6e, push("PUSH15")), (0x6f, push("PUSH16")),
    (0x70, push("PUSH17")), (0x71, push("PUSH18")), (0x72, push("PUSH19")), (0x73, push("PUSH20")),
    (0x74, push("PUSH21")), (0x75, push("PUSH22")), (0x76, push("PUSH23")), (0x77, push("PUSH24")),
    (0x78, push("PUSH25")), (0x79, push("PUSH26")), (0x7a, push("PUSH27")), (0x7b, push("PUSH28")),
    (0x7c, push("PUSH29")), (0x7d, push("PUSH30")), (0x7e, push("PUSH31")), (0x7f, push("PUSH32")),
    (0x80, dup(1, "DUP1")), (0x81, dup(2, "DUP2")), (0x82, dup(3, "DUP3")), (0x83, dup(4, "DUP4")),
    (0x84, dup(5, "DUP5")), (0x85, dup(6, "DUP6")), (0x86, dup(7, "DUP7")), (0x87, dup(8, "DUP8")),
    (0x88, dup(9, "DUP9")), (0x89, dup(10, "DUP10")), (0x8a, dup(11, "DUP11")),
    (0x8b, dup(12, "DUP12")), (0x8c, dup(13, "DUP13")), (0x8d, dup(14, "DUP14")),
    (0x8e, dup(15, "DUP15")), (0x8f, dup(16, "DUP16")),
    (0x90, swap(1, "SWAP1")), (0x91, swap(2, "SWAP2")), (0x92, swap(3, "SWAP3")),
    (0x93, swap(4, "SWAP4")), (0x94, swap(5, "SWAP5")), (0x95, swap(6, "SWAP6")),
    (0x96, swap(7, "SWAP7")), (0x97, swap(8, "SWAP8")), (0x98, swap(9, "SWAP9")),
    (0x99, swap(10, "SWAP10")), (0x9a, swap(11, "SWAP11")), (0x9b, swap(12, "SWAP12")),
    (0x9c, swap(13, "SWAP13")), (0x9d, swap(14, "SWAP14")), (0x9e, swap(15, "SWAP15")),
    (0x9f, swap(16, "SWAP16")),
    (0xa0, log(0, "LOG0")), (0xa1, log(1, "LOG1")), (0xa2, log(2, "LOG2")),
    (0xa3, log(3, "LOG3")), (0xa4, log(4, "LOG4")),
    (0xf0, r("CREATE", Op::Create, 3, 1, 0, Effect)),
    (0xf1, r("CALL", Op::Call, 7, 1, 100, Effect)),
    (0xf2, r("CALLCODE", Op::Callcode, 7, 1, 100, Effect)),
    (0xf3, r("RETURN", Op::Return, 2, 0, 0, Control)),
    (0xf4, r("DELEGATECALL", Op::Delegatecall, 6, 1, 100, Effect)),
    (0xf5, r("CREATE2", Op::Create2, 4, 1, 0, Effect)),
    (0xfa, r("STATICCALL", Op::Staticcall, 6, 1, 100, Effect)),
    (0xfd, r("REVERT", Op::Revert, 2, 0, 0, Control)),
    (0xfe, r("INVALID", Op::Invalid, 0, 0, 0, Control)),
    (0xff, r("SELFDESTRUCT", Op::Selfdestruct, 1, 0, 5000, Control)),
];

/// Place in [`ROWS`] plus one; zero for bytes without a row.
const INDEX: [u8; 256] = {
    let mut index = [0; 256];
    let mut place = 0;
    while place < ROWS.len() {
        index[ROWS[place].0 as usize] = place as u8 + 1;
        place += 1;
    }
    index
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_byte() {
        for (byte, wanted) in ROWS {
            assert_eq!(row(*byte).map(|row| row.name), Some(wanted.name));
        }
        assert_eq!(ROWS.len(), 150);
        assert!(row(0x0c).is_none());
    }

    #[test]
    fn clz_is_osakas() {
        assert!(row_in(0x1e, Fork::Prague).is_none());
        assert!(row_in(0x1e, Fork::Osaka).is_some());
    }
}
