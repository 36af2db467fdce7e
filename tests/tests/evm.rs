//! Ethereum's own state tests, with every frame compiled and none interpreted.
//!
//! The test command runs all of them. They are read from the folder that COTENANT_EVM_VECTORS names.

use cotenant_host::engine::EngineKind;
use evm_driver::ModuleOptions;
use evm_driver::statetest::{self, Options, Report, TestFile};
use std::path::PathBuf;

/// Cases of Cancun in the archive, the five that revm's own runner leaves out not counted.
const CANCUN_CASES: u64 = 19_960;
const CANCUN: &str = "general-state-tests-cancun.tar.xz";
/// Cases filled for Prague from Ethereum's executable specification.
const PRAGUE_CASES: u64 = 3_230;
const PRAGUE: &str = "state-tests-prague.tar.xz";

/// Where the tests are; none, and a word about it, where nobody said and they are not beside the project.
fn archive(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("COTENANT_EVM_VECTORS").map(PathBuf::from);
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/evm"));
    let archive = folder.clone().unwrap_or(beside).join(name);
    let missing = format!(
        "{} is not there. Ethereum's state tests are read from the folder that COTENANT_EVM_VECTORS \
         names ({}): put {name} into it, an archive of state tests in the format of \
         github.com/ethereum/tests (MIT).",
        archive.display(),
        folder.as_ref().map_or_else(|| "it is unset".into(), |folder| folder.display().to_string()),
    );
    if folder.is_none() && !archive.is_file() {
        eprintln!("no state tests run: {missing}");
        return None;
    }
    assert!(archive.is_file(), "{missing}");
    Some(archive)
}

fn options(modules: ModuleOptions) -> Options {
    Options {
        fork: None,
        filter: None,
        interpret: false,
        modules,
        threads: std::thread::available_parallelism().map_or(1, |threads| threads.get().min(8)),
    }
}

fn compiled() -> ModuleOptions {
    ModuleOptions::new(EngineKind::Wasmi)
}

fn run(files: &[TestFile], modules: ModuleOptions) -> Report {
    let report = statetest::run_files(files, &options(modules), &|_, _| {}).unwrap();
    let shown: Vec<_> = report.failures.iter().take(20).collect();
    assert!(report.failures.is_empty(), "{} failed, the first: {shown:#?}", report.failed);
    report
}

#[test]
fn every_state_test_passes_with_every_frame_compiled() {
    let Some(archive) = archive(CANCUN) else { return };
    let report = run(&statetest::read(&[archive]).unwrap(), compiled());
    assert_eq!((report.passed, report.failed), (CANCUN_CASES, 0));
    assert_eq!(report.interpreted_frames, 0, "{:?}", report.refused);
    assert!(report.compiled_frames > report.passed / 2, "{}", report.compiled_frames);
    // Two files that revm leaves out, and forks before Cancun.
    assert_eq!(report.skipped, 5 + 473, "{:#?}", report.skips);
}

#[test]
fn every_state_test_of_prague_passes_with_every_frame_compiled() {
    let Some(archive) = archive(PRAGUE) else { return };
    let report = run(&statetest::read(&[archive]).unwrap(), compiled());
    assert_eq!((report.passed, report.failed), (PRAGUE_CASES, 0));
    assert_eq!(report.interpreted_frames, 0, "{:?}", report.refused);
}

/// The form of code whose Wasm would be out of proportion to it, in every twentieth file.
#[test]
fn state_tests_pass_in_the_compact_form() {
    let Some(archive) = archive(CANCUN) else { return };
    let files = statetest::read(&[archive]).unwrap();
    let slow = ["stTimeConsuming", "vmPerformance", "Loop"];
    let quick = files.into_iter().filter(|file| !slow.iter().any(|text| file.name.contains(text)));
    let some: Vec<_> = quick.step_by(20).collect();
    let report = run(&some, ModuleOptions { compact: true, ..compiled() });
    assert!(report.passed > 500, "{}", report.passed);
    assert_eq!(report.interpreted_frames, 0, "{:?}", report.refused);
}

/// revm's interpreter in the place of each module, over the same messages: what fails here is the parent's fault,
/// what fails above alone is the compiler's. A tenth of the files, without those that take long.
#[test]
fn the_parent_alone_passes_a_tenth_of_the_state_tests() {
    let Some(archive) = archive(CANCUN) else { return };
    let files = statetest::read(&[archive]).unwrap();
    let slow = ["stTimeConsuming", "vmPerformance"];
    let quick = files.into_iter().filter(|file| !slow.iter().any(|text| file.name.contains(text)));
    let tenth: Vec<_> = quick.step_by(10).collect();
    let report = run(&tenth, ModuleOptions { reference: true, ..compiled() });
    assert!(report.passed > 1_000, "{}", report.passed);
    assert_eq!(report.compiled_frames, 0);
    assert!(report.yields > report.passed, "{}", report.yields);
}
