//! What the workloads of `cotenant evm bench` ask their parent for: a snapshot of gas, frames, modules and yields,
//! so that a request more shows up for review. They are read from the folder that COTENANT_EVM_VECTORS names.

use cotenant_host::engine::EngineKind;
use evm_driver::bench::cases;
use evm_driver::{ModuleOptions, Modules, spec_of_fork, statetest};
use evm_to_wasm::Fork;
use std::fmt::Write;
use std::path::PathBuf;

fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("COTENANT_EVM_VECTORS").map(PathBuf::from);
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/evm"));
    let folder = named.clone().unwrap_or(beside).join("bench");
    if named.is_none() && !folder.is_dir() {
        eprintln!(
            "no workloads run: {} is not there. They are revmc's and ipsilon's benchmarks (README), in the folder \
             `bench` of the one that COTENANT_EVM_VECTORS names.",
            folder.display()
        );
        return None;
    }
    assert!(folder.is_dir(), "{} is not there", folder.display());
    Some(folder)
}

#[test]
fn yields_of_each_workload() {
    let Some(folder) = folder() else { return };
    let modules = Modules::new(ModuleOptions::new(EngineKind::Wasmi)).unwrap();
    let mut report = String::from("EVM gas, frames, yields: case\n");
    for file in statetest::read(&[folder]).unwrap() {
        for case in cases(&file, spec_of_fork(Fork::Cancun)).unwrap() {
            let peer = case.world.run(&case.transaction, None);
            let ran = case.world.run(&case.transaction, Some(&modules));
            assert_eq!(ran.differences(&peer), Vec::<String>::new(), "{}", case.name);
            let counts = &ran.counts;
            assert_eq!(counts.interpreted_frames, 0, "{}: {:?}", case.name, modules.errors());
            let gas = ran.outcome.map_or(0, |result| result.tx_gas_used());
            let frames = counts.compiled_frames;
            writeln!(report, "{gas:>11} {frames:>4} {:>6}: {}", counts.yields, case.name).unwrap();
        }
    }
    insta::assert_snapshot!(report);
}
