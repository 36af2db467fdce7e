//! For looking at what the steps make of a contract.
use crate::*;
extern crate std;
use std::println;

#[test]
fn look() {
    let Ok(path) = std::env::var("LOOK") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.trim().trim_start_matches("0x");
    let code: alloc::vec::Vec<u8> = (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2*i..2*i+2], 16).unwrap()).collect();
    let blocks = blocks::Blocks::decode(&code, Fork::Cancun);
    let t = std::time::Instant::now();
    let a = analysis::analyse(&blocks);
    println!("blocks {} states {} any {} {:?}", blocks.blocks.len(), a.states.len(), a.any_jump, t.elapsed());
    for s in &a.states { if s.jump == Some(analysis::Goes::Anywhere) { println!("{:x} {:?} {:?}", blocks.blocks[s.block as usize].pc, s.heights, s.falls); } }
}
