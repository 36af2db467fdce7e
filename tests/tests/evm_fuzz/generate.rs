//! Bytecode to compare on: programs that get somewhere, and real contracts changed a little.

use super::peer::{CONTRACT, OTHER, PLAIN};
use rand::Rng;
use rand::rngs::StdRng;
use revm::bytecode::opcode as op;
use revm::primitives::{U256, hex};
use std::path::PathBuf;

/// Operations on words: opcode and operands.
pub const OPERATIONS: [(u8, usize); 26] = [
    (op::ADD, 2),
    (op::MUL, 2),
    (op::SUB, 2),
    (op::DIV, 2),
    (op::SDIV, 2),
    (op::MOD, 2),
    (op::SMOD, 2),
    (op::ADDMOD, 3),
    (op::MULMOD, 3),
    (op::EXP, 2),
    (op::SIGNEXTEND, 2),
    (op::LT, 2),
    (op::GT, 2),
    (op::SLT, 2),
    (op::SGT, 2),
    (op::EQ, 2),
    (op::ISZERO, 1),
    (op::AND, 2),
    (op::OR, 2),
    (op::XOR, 2),
    (op::NOT, 1),
    (op::BYTE, 2),
    (op::SHL, 2),
    (op::SHR, 2),
    (op::SAR, 2),
    (op::CLZ, 1),
];

/// Values at which arithmetic goes wrong.
pub fn edges() -> Vec<U256> {
    let mut edges: Vec<U256> = [0_u64, 1, 2, 3, 7, 8, 31, 32, 33, 255, 256, 257, u64::MAX]
        .into_iter()
        .map(U256::from)
        .collect();
    for bit in [63, 64, 127, 128, 160, 191, 192, 254, 255] {
        let power = U256::from(1) << bit;
        edges.extend([power, power - U256::from(1), power + U256::from(1)]);
    }
    edges.extend([U256::MAX, U256::MAX - U256::from(1), U256::MAX << 128, U256::MAX >> 1]);
    edges
}

pub fn bytes(random: &mut StdRng, length_max: usize) -> Vec<u8> {
    let length = random.random_range(0..=length_max);
    (0..length).map(|_| random.random()).collect()
}

fn word(random: &mut StdRng) -> U256 {
    let edges = edges();
    match random.random_range(0..4) {
        0 => U256::from(random.random_range(0..64_u64)),
        1 => edges[random.random_range(0..edges.len())],
        2 => U256::from_limbs(random.random()) >> random.random_range(0..256_usize),
        _ => U256::from_limbs(random.random()),
    }
}

/// The shortest push of a word.
pub fn push(code: &mut Vec<u8>, word: U256) {
    let bytes = word.to_be_bytes::<32>();
    let significant = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    code.push(op::PUSH0 + significant.len() as u8);
    code.extend_from_slice(significant);
}

fn push_small(code: &mut Vec<u8>, number: u64) {
    push(code, U256::from(number));
}

/// Stores the top of the stack at an offset of memory.
fn store(code: &mut Vec<u8>, offset: u64) {
    push_small(code, offset);
    code.push(op::MSTORE);
}

fn return_memory(code: &mut Vec<u8>, length: u64) {
    push_small(code, length);
    code.extend([op::PUSH0, op::RETURN]);
}

/// Some operations on constants and on words of calldata; all results are returned.
pub fn arithmetic(random: &mut StdRng) -> (Vec<u8>, Vec<u8>) {
    let (mut code, mut calldata, mut depth) = (Vec::new(), Vec::new(), 0_usize);
    let results = random.random_range(1..6);
    for result in 0..results {
        for _ in 0..random.random_range(1..8) {
            let (opcode, operands) = OPERATIONS[random.random_range(0..OPERATIONS.len())];
            while depth < operands || random.random_bool(0.3) {
                let word = word(random);
                if random.random_bool(0.5) {
                    push(&mut code, word);
                } else {
                    push_small(&mut code, calldata.len() as u64);
                    code.push(op::CALLDATALOAD);
                    calldata.extend(word.to_be_bytes::<32>());
                }
                depth += 1;
            }
            if depth > 1 && random.random_bool(0.3) {
                code.push(op::SWAP1 + random.random_range(0..(depth - 1).min(16)) as u8);
            }
            code.push(opcode);
            depth = depth - operands + 1;
            if random.random_bool(0.2) {
                code.push(op::DUP1 + random.random_range(0..depth.min(16)) as u8);
                depth += 1;
            }
        }
        store(&mut code, 32 * result);
        depth -= 1;
    }
    return_memory(&mut code, 32 * results);
    (code, calldata)
}

/// Every value of a chunk with every edge value through one operation; the results are hashed together.
pub fn edge_program(
    opcode: u8,
    operands: usize,
    chunk: &[U256],
    edges: &[U256],
    folded: bool,
) -> (Vec<u8>, Vec<u8>) {
    let (mut code, mut calldata) = (Vec::new(), Vec::new());
    let mut operand = |code: &mut Vec<u8>, word: U256| {
        if folded {
            return push(code, word);
        }
        push_small(code, calldata.len() as u64);
        code.push(op::CALLDATALOAD);
        calldata.extend(word.to_be_bytes::<32>());
    };
    let mut at = 0;
    for first in chunk {
        for second in edges {
            if operands == 2 {
                operand(&mut code, *second);
            }
            operand(&mut code, *first);
            code.push(opcode);
            store(&mut code, at);
            at += 32;
            if operands == 1 {
                break;
            }
        }
    }
    return_memory(&mut code, at);
    (code, calldata)
}

/// A random program that mostly keeps to what the stack allows: all kinds of instructions, jumps to places that
/// are there, loops that end, calls to a few accounts.
pub fn program(random: &mut StdRng) -> Vec<u8> {
    let mut writer = Writer { code: Vec::new(), depth: 0, labels: Vec::new(), jumps: Vec::new() };
    for _ in 0..random.random_range(1..60) {
        writer.step(random);
    }
    writer.end(random);
    writer.code
}

struct Writer {
    code: Vec<u8>,
    /// Words on the stack if no jump was taken: a guess that keeps most programs going.
    depth: usize,
    labels: Vec<usize>,
    /// Where a two-byte target has to be filled in.
    jumps: Vec<usize>,
}

impl Writer {
    fn need(&mut self, random: &mut StdRng, words: usize) {
        while self.depth < words {
            self.word(random);
        }
    }

    fn word(&mut self, random: &mut StdRng) {
        match random.random_range(0..10) {
            0 => {
                const READS: [u8; 16] = [
                    op::ADDRESS,
                    op::ORIGIN,
                    op::CALLER,
                    op::CALLVALUE,
                    op::CALLDATASIZE,
                    op::CODESIZE,
                    op::GASPRICE,
                    op::COINBASE,
                    op::TIMESTAMP,
                    op::NUMBER,
                    op::DIFFICULTY,
                    op::CHAINID,
                    op::SELFBALANCE,
                    op::BASEFEE,
                    op::BLOBBASEFEE,
                    op::RETURNDATASIZE,
                ];
                self.code.push(READS[random.random_range(0..READS.len())]);
            }
            1 => self
                .code
                .push([op::GAS, op::PC, op::MSIZE, op::GASLIMIT][random.random_range(0..4)]),
            2 => {
                push_small(&mut self.code, random.random_range(0..80));
                self.code.push(op::CALLDATALOAD);
            }
            3 => push(&mut self.code, word(random)),
            _ => push_small(&mut self.code, random.random_range(0..70)),
        }
        self.depth += 1;
    }

    /// An offset or a length of memory: mostly small, sometimes anything.
    fn small(&mut self, random: &mut StdRng) {
        if random.random_bool(0.02) {
            push(&mut self.code, word(random));
        } else {
            push_small(&mut self.code, random.random_range(0..200));
        }
    }

    fn account(&mut self, random: &mut StdRng) {
        const ACCOUNTS: [u8; 9] = [CONTRACT, OTHER, OTHER, OTHER, PLAIN, 0xee, 2, 4, 5];
        push_small(&mut self.code, u64::from(ACCOUNTS[random.random_range(0..ACCOUNTS.len())]));
    }

    fn op(&mut self, opcode: u8, pops: usize, pushes: usize) {
        self.code.push(opcode);
        self.depth = self.depth.saturating_sub(pops) + pushes;
    }

    fn step(&mut self, random: &mut StdRng) {
        match random.random_range(0..100) {
            0..30 => {
                let (opcode, operands) = OPERATIONS[random.random_range(0..OPERATIONS.len())];
                // CLZ is an exceptional halt before Osaka: not too often.
                if opcode != op::CLZ || random.random_bool(0.2) {
                    self.need(random, operands);
                    self.op(opcode, operands, 1);
                }
            }
            30..38 => {
                self.need(random, 2);
                let reach = self.depth.min(16);
                if random.random_bool(0.5) {
                    self.op(op::DUP1 + random.random_range(0..reach) as u8, 0, 1);
                } else {
                    self.op(op::SWAP1 + random.random_range(0..(reach - 1).max(1)) as u8, 0, 0);
                }
            }
            38..41 => {
                self.need(random, 1);
                self.op(op::POP, 1, 0);
            }
            41..53 => self.memory(random),
            53..65 => self.storage(random),
            65..72 => self.copy(random),
            72..75 => self.log(random),
            75..84 => self.call(random),
            84..86 => self.create(random),
            86..90 => {
                self.account(random);
                const READS: [u8; 3] = [op::BALANCE, op::EXTCODESIZE, op::EXTCODEHASH];
                self.op(READS[random.random_range(0..3)], 0, 1);
            }
            90..91 => {
                push_small(&mut self.code, random.random_range(700..1_010));
                self.op(op::BLOCKHASH, 0, 1);
            }
            91..96 => self.jump(random),
            96..98 => self.loop_of(random),
            98..99 => {
                self.labels.push(self.code.len());
                self.code.push(op::JUMPDEST);
            }
            _ => self.code.push(random.random()),
        }
    }

    fn memory(&mut self, random: &mut StdRng) {
        match random.random_range(0..4) {
            0 => {
                self.small(random);
                self.op(op::MLOAD, 0, 1);
            }
            1 => {
                self.small(random);
                self.small(random);
                self.op(op::KECCAK256, 0, 1);
            }
            2 => {
                self.need(random, 1);
                self.small(random);
                self.op(op::MSTORE8, 1, 0);
            }
            _ => {
                self.need(random, 1);
                self.small(random);
                self.op(op::MSTORE, 1, 0);
            }
        }
    }

    fn storage(&mut self, random: &mut StdRng) {
        let transient = random.random_bool(0.25);
        let (load, save) =
            if transient { (op::TLOAD, op::TSTORE) } else { (op::SLOAD, op::SSTORE) };
        if random.random_bool(0.5) {
            push_small(&mut self.code, random.random_range(0..4));
            self.op(load, 0, 1);
        } else {
            if random.random_bool(0.5) {
                push_small(&mut self.code, random.random_range(0..3));
                self.depth += 1;
            }
            self.need(random, 1);
            push_small(&mut self.code, random.random_range(0..4));
            self.op(save, 1, 0);
        }
    }

    fn copy(&mut self, random: &mut StdRng) {
        for _ in 0..3 {
            self.small(random);
        }
        match random.random_range(0..5) {
            0 => self.code.push(op::CALLDATACOPY),
            1 => self.code.push(op::CODECOPY),
            2 => self.code.push(op::MCOPY),
            3 => {
                self.account(random);
                self.code.push(op::EXTCODECOPY);
            }
            // What is beyond the return data halts: take what is there.
            _ => {
                self.code.truncate(self.code.len().saturating_sub(1));
                self.code.extend([op::POP, op::RETURNDATASIZE, op::PUSH0, op::PUSH0]);
                self.code.push(op::RETURNDATACOPY);
            }
        }
    }

    fn log(&mut self, random: &mut StdRng) {
        let topics = random.random_range(0..5);
        self.need(random, topics);
        self.small(random);
        self.small(random);
        self.op(op::LOG0 + topics as u8, topics, 0);
    }

    fn call(&mut self, random: &mut StdRng) {
        for _ in 0..4 {
            self.small(random);
        }
        let kind = random.random_range(0..4);
        if kind < 2 {
            let value = if random.random_bool(0.3) { random.random_range(0..5) } else { 0 };
            push_small(&mut self.code, value);
        }
        self.account(random);
        match random.random_range(0..3) {
            0 => self.code.push(op::GAS),
            1 => push_small(&mut self.code, random.random_range(0..60_000)),
            _ => push_small(&mut self.code, random.random_range(0..3_000)),
        }
        let kinds = [op::CALL, op::CALLCODE, op::DELEGATECALL, op::STATICCALL];
        self.op(kinds[kind], 0, 1);
    }

    /// Creates a contract from memory, or from a few bytes of init code put there first.
    fn create(&mut self, random: &mut StdRng) {
        let with_salt = random.random_bool(0.5);
        if random.random_bool(0.7) {
            // Returns as many zero bytes as it says: a contract of STOPs.
            let init_code = [op::PUSH1, random.random_range(0..40), op::PUSH0, op::RETURN];
            push(&mut self.code, U256::from_be_slice(&init_code) << 224);
            store(&mut self.code, 0);
        }
        if with_salt {
            push_small(&mut self.code, random.random_range(0..3));
        }
        push_small(&mut self.code, random.random_range(0..36));
        self.code.push(op::PUSH0);
        push_small(&mut self.code, random.random_range(0..2));
        self.op(if with_salt { op::CREATE2 } else { op::CREATE }, 0, 1);
    }

    fn jump(&mut self, random: &mut StdRng) {
        let conditional = random.random_bool(0.7);
        if conditional {
            self.need(random, 1);
        }
        self.code.push(op::PUSH2);
        self.jumps.push(self.code.len());
        self.code.extend([0, 0]);
        if conditional {
            self.op(op::JUMPI, 1, 0);
        } else {
            self.code.push(op::JUMP);
        }
        if random.random_bool(0.7) {
            self.labels.push(self.code.len());
            self.code.push(op::JUMPDEST);
        }
    }

    /// Counts down from a few turns, with something done in each.
    fn loop_of(&mut self, random: &mut StdRng) {
        push_small(&mut self.code, random.random_range(1..20));
        self.depth += 1;
        let start = self.code.len();
        self.code.push(op::JUMPDEST);
        let depth = self.depth;
        self.word(random);
        match random.random_range(0..3) {
            0 => store(&mut self.code, 64),
            1 => {
                push_small(&mut self.code, random.random_range(0..3));
                self.code.push(op::SSTORE);
            }
            _ => self.code.push(op::POP),
        }
        self.depth = depth;
        self.code.extend([op::PUSH1, 1, op::SWAP1, op::SUB, op::DUP1]);
        push_small(&mut self.code, start as u64);
        self.code.push(op::JUMPI);
    }

    fn end(&mut self, random: &mut StdRng) {
        for at in std::mem::take(&mut self.jumps) {
            let target = match self.labels.len() {
                0 => random.random_range(0..self.code.len()),
                labels => self.labels[random.random_range(0..labels)],
            };
            // Forwards unless it is a loop by design: most programs should end.
            let ahead = self.labels.iter().copied().find(|label| *label > at);
            let target = if random.random_bool(0.9) { ahead.unwrap_or(target) } else { target };
            self.code[at..at + 2].copy_from_slice(&(target as u16).to_be_bytes());
        }
        // Everything on the stack is told, so that no value goes uncompared.
        for index in 0..self.depth.min(8) {
            store(&mut self.code, 32 * index as u64);
        }
        match random.random_range(0..10) {
            0 => self.code.extend([op::PUSH1, 64, op::PUSH0, op::REVERT]),
            1 => {
                self.account(random);
                self.code.push(op::SELFDESTRUCT);
            }
            2 => self.code.push(op::STOP),
            3 => {}
            _ => return_memory(&mut self.code, 256),
        }
    }
}

/// Contracts of the benchmark fixtures with their calldata; none where nobody said where the fixtures are and they
/// are not beside the project.
pub fn contracts() -> Vec<(Vec<u8>, Vec<u8>)> {
    let said = std::env::var_os("COTENANT_EVM_VECTORS").map(PathBuf::from);
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/evm"));
    let folder = said.clone().unwrap_or(beside).join("bench/fixtures");
    if said.is_none() && !folder.is_dir() {
        eprintln!("no fixtures in {}: name their folder in COTENANT_EVM_VECTORS", folder.display());
        return Vec::new();
    }
    assert!(
        folder.is_dir(),
        "{} is not there: put revmc's fixtures (github.com/paradigmxyz/revmc, MIT) into bench/fixtures of \
         the folder that COTENANT_EVM_VECTORS names",
        folder.display()
    );
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut contracts = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|it| it == "json")) {
        let fixtures: serde_json::Value =
            serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for fixture in fixtures.as_object().unwrap().values() {
            let calldata = fixture["transaction"][0]["data"].as_str().unwrap();
            for account in fixture["pre"].as_object().unwrap().values() {
                let code = hex::decode(account["code"].as_str().unwrap()).unwrap();
                if !code.is_empty() {
                    contracts.push((code, hex::decode(calldata).unwrap()));
                }
            }
        }
    }
    contracts
}

/// A contract with a few bytes changed, left out, put in or copied.
pub fn mutated(code: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut code = code.to_vec();
    for _ in 0..random.random_range(1..6) {
        if code.is_empty() {
            break;
        }
        // Near the start more often than not: far inside most changes are never run.
        let reach = if random.random_bool(0.5) { code.len().min(200) } else { code.len() };
        let at = random.random_range(0..reach);
        match random.random_range(0..5) {
            0 => code[at] = random.random(),
            1 => code[at] ^= 1 << random.random_range(0..8),
            2 => {
                code.remove(at);
            }
            3 => {
                let (opcode, _) = OPERATIONS[random.random_range(0..OPERATIONS.len())];
                code[at] = opcode;
            }
            _ => {
                let from = random.random_range(0..code.len());
                let length = random.random_range(0..32).min(code.len() - from).min(code.len() - at);
                code.copy_within(from..from + length, at);
            }
        }
    }
    code
}
