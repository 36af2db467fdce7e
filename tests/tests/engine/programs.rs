//! Programs of the EVM, written by hand.

use engine_abi::{Address, Word};
use revm::bytecode::opcode::*;

/// A word with a small number.
pub fn word(number: u64) -> Word {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&number.to_be_bytes());
    word
}

/// A word with an address.
pub fn word_of(address: Address) -> Word {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&address);
    word
}

/// Adds one to slot 0, logs the old value under the topic 5 and returns old and new.
pub fn counter() -> Vec<u8> {
    vec![
        PUSH0, SLOAD, DUP1, PUSH0, MSTORE, // memory 0: the old value
        PUSH1, 1, ADD, DUP1, PUSH0, SSTORE, PUSH1, 32, MSTORE, // memory 32: the new one
        PUSH1, 5, PUSH1, 32, PUSH0, LOG1, // logs memory 0
        PUSH1, 64, PUSH0, RETURN,
    ]
}

/// Calls back and forth: with `n` and a peer it stores `n` at slot `n`, and unless `n` is 0 calls the peer with `n - 1`
/// and itself as the peer. It returns one more than the peer did. `nops` makes it another contract.
pub fn ping_pong(nops: usize) -> Vec<u8> {
    let mut code = vec![JUMPDEST; nops];
    let end = nops + 43;
    code.extend([
        PUSH0,
        CALLDATALOAD,
        DUP1,
        DUP1,
        SSTORE, // n
        DUP1,
        ISZERO,
        PUSH2,
        (end >> 8) as u8,
        end as u8,
        JUMPI, // n
        PUSH1,
        1,
        SWAP1,
        SUB,
        PUSH0,
        MSTORE, // memory 0: n - 1
        ADDRESS,
        PUSH1,
        32,
        MSTORE, // memory 32: this
        PUSH1,
        32,
        PUSH0,
        PUSH1,
        64,
        PUSH0,
        PUSH0,
        PUSH1,
        32,
        CALLDATALOAD,
        GAS,
        CALL,
        POP,
        PUSH0,
        MLOAD,
        PUSH1,
        1,
        ADD, // what it returned, and one
    ]);
    while code.len() < end {
        code.push(JUMPDEST);
    }
    code.extend([JUMPDEST, PUSH0, MSTORE, PUSH1, 32, PUSH0, RETURN]);
    code
}

/// Stores 7 at slot 1 and calls the address in its input with no input and 60,000 gas; stores whether that succeeded at slot 2,
/// logs what it returned, and returns it.
pub fn caller() -> Vec<u8> {
    vec![
        PUSH1,
        7,
        PUSH1,
        1,
        SSTORE, //
        PUSH0,
        PUSH0,
        PUSH0,
        PUSH0,
        PUSH0,
        PUSH0,
        CALLDATALOAD,
        PUSH2,
        0xea,
        0x60,
        CALL,
        PUSH1,
        2,
        SSTORE, //
        RETURNDATASIZE,
        PUSH0,
        PUSH0,
        RETURNDATACOPY, //
        RETURNDATASIZE,
        PUSH0,
        LOG0,
        RETURNDATASIZE,
        PUSH0,
        RETURN,
    ]
}

/// Calls the address in calldata twice, with all gas, and keeps in slots 1 and 2 whether that went well.
pub fn calls_twice() -> Vec<u8> {
    let call = |slot| {
        [PUSH0, PUSH0, PUSH0, PUSH0, PUSH0, PUSH0, CALLDATALOAD, GAS, CALL, PUSH1, slot, SSTORE]
    };
    [call(1), call(2)].concat()
}

/// Stores, logs, and reverts with a word.
pub fn reverter() -> Vec<u8> {
    vec![
        PUSH1, 9, PUSH1, 3, SSTORE, PUSH0, PUSH0, LOG0, //
        PUSH4, 0xde, 0xad, 0xbe, 0xef, PUSH0, MSTORE, PUSH1, 32, PUSH0, REVERT,
    ]
}

/// Destroys itself in favour of its caller.
pub fn destroyer() -> Vec<u8> {
    vec![PUSH1, 1, PUSH0, SSTORE, CALLER, SELFDESTRUCT]
}

/// Stores, then halts exceptionally.
pub fn invalid() -> Vec<u8> {
    vec![PUSH1, 1, PUSH0, SSTORE, INVALID]
}

/// Calls itself with all gas, counts how deep it came in slot 0, and returns how far from here.
pub fn recursive() -> Vec<u8> {
    vec![
        PUSH0, SLOAD, PUSH1, 1, ADD, PUSH0, SSTORE, //
        PUSH1, 32, PUSH0, PUSH0, PUSH0, PUSH0, ADDRESS, GAS, CALL, POP, //
        PUSH0, MLOAD, PUSH1, 1, ADD, PUSH0, MSTORE, PUSH1, 32, PUSH0, RETURN,
    ]
}

/// Creates a contract that has `runtime` as its code (at most 32 bytes), calls it, and returns its address.
/// With `salt` by CREATE2.
pub fn creator(runtime: &[u8], salt: Option<u8>) -> Vec<u8> {
    let init = initcode(runtime);
    let mut code = Vec::new();
    for (index, chunk) in init.chunks(32).enumerate() {
        let mut padded = [0; 32];
        padded[..chunk.len()].copy_from_slice(chunk);
        code.push(PUSH32);
        code.extend(padded);
        code.extend([PUSH1, 32 * index as u8, MSTORE]);
    }
    if let Some(salt) = salt {
        code.extend([PUSH1, salt]);
    }
    code.extend([PUSH1, init.len() as u8, PUSH0, PUSH0]);
    code.push(if salt.is_some() { CREATE2 } else { CREATE });
    code.extend([DUP1, PUSH0, SSTORE]);
    code.extend([DUP1, PUSH0, PUSH0, PUSH0, PUSH0, PUSH0, DUP6, GAS, CALL, PUSH1, 1, SSTORE]);
    code.extend([POP, PUSH0, MSTORE, PUSH1, 32, PUSH0, RETURN]);
    code
}

/// Code that creates a contract with this code, at most 255 bytes of it.
pub fn initcode(runtime: &[u8]) -> Vec<u8> {
    let length = runtime.len() as u8;
    let mut code =
        vec![PUSH1, length, PUSH1, 11, PUSH0, CODECOPY, PUSH1, length, PUSH0, RETURN, STOP];
    code.extend(runtime);
    code
}

/// Hands its input to the contract at `address` by `opcode` (DELEGATECALL or STATICCALL) and returns or reverts with
/// what that gave.
pub fn proxy(address: Address, opcode: u8) -> Vec<u8> {
    let mut code =
        vec![CALLDATASIZE, PUSH0, PUSH0, CALLDATACOPY, PUSH0, PUSH0, CALLDATASIZE, PUSH0, PUSH20];
    code.extend(address);
    code.extend([GAS, opcode, RETURNDATASIZE, PUSH0, PUSH0, RETURNDATACOPY]);
    let end = code.len() as u8 + 7;
    code.extend([PUSH1, end, JUMPI, RETURNDATASIZE, PUSH0, REVERT, JUMPDEST]);
    code.extend([JUMPDEST, RETURNDATASIZE, PUSH0, RETURN]);
    code
}

/// Asks about an address in its input: balance, code size, code hash, and its first 32 bytes of code.
pub fn inspector() -> Vec<u8> {
    vec![
        PUSH0,
        CALLDATALOAD,
        BALANCE,
        PUSH0,
        MSTORE, //
        PUSH0,
        CALLDATALOAD,
        EXTCODESIZE,
        PUSH1,
        32,
        MSTORE, //
        PUSH0,
        CALLDATALOAD,
        EXTCODEHASH,
        PUSH1,
        64,
        MSTORE, //
        PUSH1,
        32,
        PUSH0,
        PUSH1,
        96,
        PUSH0,
        CALLDATALOAD,
        EXTCODECOPY, //
        PUSH1,
        128,
        PUSH0,
        RETURN,
    ]
}

/// Transient storage, MCOPY, SELFBALANCE, hashes, divisions: a bit of everything.
pub fn medley() -> Vec<u8> {
    vec![
        PUSH1,
        3,
        PUSH1,
        1,
        TSTORE,
        PUSH1,
        1,
        TLOAD,
        PUSH0,
        MSTORE, //
        PUSH1,
        32,
        PUSH0,
        PUSH1,
        32,
        MCOPY,
        PUSH1,
        64,
        PUSH0,
        KECCAK256,
        PUSH1,
        64,
        MSTORE, //
        PUSH1,
        7,
        PUSH1,
        64,
        MLOAD,
        MOD,
        PUSH1,
        96,
        MSTORE, //
        SELFBALANCE,
        CALLVALUE,
        ADD,
        CHAINID,
        XOR,
        PUSH1,
        128,
        MSTORE, //
        PUSH1,
        5,
        PUSH1,
        64,
        MLOAD,
        PUSH1,
        96,
        MLOAD,
        MULMOD,
        PUSH1,
        160,
        MSTORE, //
        PUSH1,
        192,
        PUSH0,
        RETURN,
    ]
}

/// Calls the address in its input, then asks about it as [`inspector`] does.
pub fn call_and_inspect() -> Vec<u8> {
    let call = [PUSH0, PUSH0, PUSH0, PUSH0, PUSH0, PUSH0, CALLDATALOAD, GAS, CALL, POP];
    [call.as_slice(), &inspector()].concat()
}
