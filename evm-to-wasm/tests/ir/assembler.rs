//! Programs as words: names of instructions, `PUSH n` with the shortest PUSH, `:label` for a JUMPDEST with a
//! name and `@label` for a PUSH2 of its place.

use revm::bytecode::opcode::{OPCODE_INFO, OpCodeInfo};
use revm::primitives::U256;
use std::collections::BTreeMap;

const JUMPDEST: u8 = 0x5b;
const PUSH0: u8 = 0x5f;
const PUSH2: u8 = 0x61;

pub fn assemble(program: &str) -> Vec<u8> {
    let (mut code, mut labels, mut uses) = (Vec::new(), BTreeMap::new(), Vec::new());
    let mut words = program.split_whitespace();
    while let Some(word) = words.next() {
        if let Some(label) = word.strip_prefix(':') {
            labels.insert(label, code.len());
            code.push(JUMPDEST);
        } else if let Some(label) = word.strip_prefix('@') {
            uses.push((code.len() + 1, label));
            code.extend([PUSH2, 0, 0]);
        } else if word == "PUSH" {
            let number: U256 = words.next().expect("a number").parse().expect("a number");
            let bytes = number.to_be_bytes_trimmed_vec();
            code.push(PUSH0 + bytes.len() as u8);
            code.extend(bytes);
        } else {
            let named = |info: &Option<OpCodeInfo>| info.is_some_and(|info| info.name() == word);
            let opcode = OPCODE_INFO.iter().position(named);
            code.push(opcode.unwrap_or_else(|| panic!("{word} is no instruction")) as u8);
        }
    }
    for (at, label) in uses {
        let place = labels[label] as u16;
        code[at..at + 2].copy_from_slice(&place.to_be_bytes());
    }
    code
}
