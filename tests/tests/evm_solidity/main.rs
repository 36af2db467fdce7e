//! What Solidity's and Vyper's compilers make, compiled and interpreted: committed bytecode always, a corpus by
//! compilers of all ages where node is there.
//!
//! Sources, compilers and the build script are in `contracts/evm`. What npm and pip fetch is kept below the target
//! folder.

mod abi;
mod drive;
mod tools;

use drive::{Drive, Specimen};
use evm_driver::workloads::{contracts, workloads};
use evm_driver::{ModuleOptions, Modules};
use revm::primitives::hardfork::SpecId;
use serde::Deserialize;
use tools::tools;

/// Calls of each contract of the corpus, one after the other.
const CALLS: usize = 40;

/// The workloads that need no fixtures.
const WORKLOADS: usize = 9;

#[derive(Deserialize)]
struct Corpus {
    specimens: Vec<Specimen>,
    refused: Vec<String>,
}

#[test]
fn committed_bytecode_is_what_its_sources_compile_to() {
    match tools() {
        Ok(tools) => {
            tools.build(&["--check"]).unwrap();
        }
        Err(reason) => eprintln!("nothing recompiled: {reason}"),
    }
}

#[test]
fn committed_contracts_do_what_revm_does() {
    let specimens: Vec<Specimen> =
        contracts().unwrap().into_values().map(Specimen::committed).collect();
    assert_eq!(specimens.len(), 5);
    check("committed contracts", &specimens, 100);
}

#[test]
fn workloads_do_what_revm_does_and_succeed() {
    let modules = Modules::new(ModuleOptions::new(drive::ENGINE)).unwrap();
    let workloads = workloads(SpecId::CANCUN).unwrap();
    assert_eq!(workloads.len(), WORKLOADS);
    for mut workload in workloads {
        for transaction in &workload.transactions {
            let (ours, after) = workload.world.commit(transaction, Some(&modules));
            let (theirs, _) = workload.world.commit(transaction, None);
            assert_eq!(ours.differences(&theirs), Vec::<String>::new(), "{}", workload.name);
            assert_eq!(ours.counts.interpreted_frames, 0, "{}", workload.name);
            let result = ours.outcome.unwrap();
            assert!(result.is_success(), "{}: {result:?}", workload.name);
            let (gas, yields) = (result.tx_gas_used(), ours.counts.yields);
            println!("{}: {gas} gas, {yields} yields", workload.name);
            workload.world.pre = after;
        }
    }
}

#[test]
fn a_corpus_by_compilers_of_all_ages_does_what_revm_does() {
    let tools = match tools() {
        Ok(tools) => tools,
        Err(reason) => return eprintln!("no corpus: {reason}"),
    };
    let corpus: Corpus = serde_json::from_slice(&tools.corpus()).unwrap();
    println!("refused by their compilers: {}", corpus.refused.join(", "));
    for version in ["0.4.26", "0.5.17", "0.6.12", "0.7.6", "0.8.19", "0.8.37"] {
        let by = format!("solc {version}");
        assert!(corpus.specimens.iter().any(|specimen| specimen.compiler.starts_with(&by)), "{by}");
    }
    check("corpus", &corpus.specimens, CALLS);
}

fn check(what: &str, specimens: &[Specimen], calls: usize) {
    let mut drive = Drive::new();
    for specimen in specimens {
        drive.check(specimen, calls);
    }
    println!("{what}: {} contracts, {}", specimens.len(), drive.tally);
    assert_eq!(drive.tally.interpreted_frames, 0, "{:?}", drive.refused());
    assert!(drive.tally.successes > 0 && drive.tally.reverts > 0, "{}", drive.tally);
}
