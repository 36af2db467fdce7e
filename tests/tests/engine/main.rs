//! The engine contract on a host: every workload interpreted and compiled, with equal success, output, gas, refund, logs
//! and world, and equal to what revm does natively; signed transactions; promotion; modules that misbehave.

mod aurora;
mod both_ways;
mod compiling;
mod cost;
#[allow(dead_code, reason = "the fuzzer uses all of it")]
#[path = "../evm_fuzz/generate.rs"]
mod generate;
mod lifetimes;
mod limits;
mod migration;
mod misbehaviour;
mod programs;
mod promotion;
mod rig;
mod sequences;
mod signed;
mod workloads;
mod writer;

/// Whom random programs call: nobody here, or who is.
mod peer {
    pub const CONTRACT: u8 = 0x90;
    pub const OTHER: u8 = 0x91;
    pub const PLAIN: u8 = 0x9f;
}

/// Ethereum's vectors, or `None` and a word about it.
fn vectors() -> Option<String> {
    let folder = std::env::var("COTENANT_EVM_VECTORS").ok();
    if folder.is_none() {
        println!("COTENANT_EVM_VECTORS is not set; the README says what it is");
    }
    folder
}
