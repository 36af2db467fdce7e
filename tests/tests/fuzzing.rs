//! A moment of every fuzz target: its seeds, then changes of them. `COTENANT_FUZZ_SECONDS` runs each for longer, `COTENANT_SEED`
//! says with which changes. What coverage guides is in `fuzz/` (`docs/hostile.md`).

use cotenant_tests::fuzzing::{TARGETS, Target, mutate};
use cotenant_tests::seed::seed;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// Inputs that a corpus may hold.
const CORPUS_MAX: usize = 5_000;

fn seconds() -> f64 {
    let given = std::env::var("COTENANT_FUZZ_SECONDS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(0.6)
}

fn check(target: &Target, input: &[u8], seed: u64) {
    if catch_unwind(AssertUnwindSafe(|| (target.body)(input))).is_err() {
        let path = std::env::temp_dir().join(format!("cotenant-fuzz-{}-{seed}", target.name));
        let saved = std::fs::write(&path, input).map(|()| path);
        panic!("target {}, seed {seed}, input {saved:?}", target.name);
    }
}

/// Writes the seeds of a target where `COTENANT_FUZZ_CORPUS` says: what libFuzzer begins with.
fn write_corpus(target: &Target) {
    let Some(folder) = std::env::var_os("COTENANT_FUZZ_CORPUS") else { return };
    // Tests run in the folder of their package, the variable is of the workspace's.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder).join(target.name);
    std::fs::create_dir_all(&folder).unwrap();
    for (number, seed) in (target.seeds)().iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
    }
}

fn run(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    write_corpus(target);
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut corpus = (target.seeds)();
    let (start, limit) = (Instant::now(), Duration::from_secs_f64(seconds()));
    let mut inputs = 0_u64;
    for input in corpus.clone() {
        check(target, &input, seed);
        inputs += 1;
        if start.elapsed() > limit * 2 {
            break;
        }
    }
    let start = Instant::now();
    while start.elapsed() < limit {
        let (Some(one), Some(other)) = (corpus.choose(&mut rng), corpus.choose(&mut rng)) else {
            break;
        };
        let input = mutate(one, other, &mut rng);
        check(target, &input, seed);
        inputs += 1;
        // Changes of changes, without what coverage would say of them.
        if inputs.is_multiple_of(8) && corpus.len() < CORPUS_MAX {
            corpus.push(input);
        }
    }
    println!("{name}: {inputs} inputs, seed {seed}");
}

/// Every target of the library is one of libFuzzer's.
#[test]
fn every_target_is_one_of_libfuzzers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for target in TARGETS {
        let source = folder.join(format!("fuzz_targets/{}.rs", target.name));
        let source = std::fs::read_to_string(source).unwrap();
        assert!(source.contains(&format!("run(\"{}\", input)", target.name)), "{source}");
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
    }
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
}

#[test]
fn any_bytes_are_deployed_or_refused_and_do_the_same_on_both_engines() {
    run("deploy");
}

#[test]
fn any_call_program_does_what_the_model_says() {
    run("calls");
}

#[test]
fn host_functions_with_any_arguments_do_what_near_does() {
    run("host_functions");
}

#[test]
fn any_artifact_costs_time_and_nothing_else() {
    run("artifacts");
}

#[test]
fn any_state_file_is_right_or_damaged() {
    run("state_files");
}

#[test]
fn any_bytecode_does_what_revm_does() {
    run("evm");
}
