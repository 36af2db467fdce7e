//! The engine contract on a host: every workload interpreted and compiled, with equal success, output, gas, refund, logs
//! and world, and equal to what revm does natively; signed transactions; promotion; modules that misbehave.

mod both_ways;
mod compiling;
mod misbehaviour;
mod programs;
mod promotion;
mod rig;
mod signed;
mod workloads;

/// Ethereum's vectors, or `None` and a word about it.
fn vectors() -> Option<String> {
    let folder = std::env::var("COTENANT_EVM_VECTORS").ok();
    if folder.is_none() {
        println!("COTENANT_EVM_VECTORS is not set; the README says what it is");
    }
    folder
}
