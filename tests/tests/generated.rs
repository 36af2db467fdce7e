//! Generated modules and call programs on both engines: wasm-smith's modules, public and private, end alike with equal gas;
//! the model's programs do what the model says. No panic, no fault of the host, no difference.
//!
//! `COTENANT_CASES` says how many (the whole is a million), `COTENANT_SEED` the first seed, `COTENANT_THREADS` on how many
//! threads. Each case has a seed of its own, so that one can be run alone.

use cotenant_gas::Schedule;
use cotenant_host::exec;
use cotenant_tests::fuzzing;
use cotenant_tests::seed::{cases, given, seed};
use cotenant_tests::smith::{Shape, module};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Cases of a run of the test command.
const CASES: u32 = 100;
const THREADS: u32 = 2;
/// Cases between two lines of progress.
const PROGRESS: u64 = 1_000;

#[derive(Default)]
struct Counts {
    programs: AtomicU64,
    modules: AtomicU64,
    /// Randomness in which wasm-smith found no module.
    none: AtomicU64,
}

fn run(schedule: &Arc<Schedule>, seed: u64, counts: &Counts) {
    let mut rng = StdRng::seed_from_u64(seed);
    if rng.random_bool(0.5) {
        counts.programs.fetch_add(1, Ordering::Relaxed);
        return fuzzing::run("calls", &seed.to_le_bytes());
    }
    let shape = Shape {
        floats: rng.random_bool(0.5),
        imports: rng.random_bool(0.5),
        references: rng.random_ratio(1, 4),
        private: rng.random_bool(0.7),
    };
    let Ok(code) = module(schedule, shape, &mut rng) else {
        counts.none.fetch_add(1, Ordering::Relaxed);
        return;
    };
    counts.modules.fetch_add(1, Ordering::Relaxed);
    fuzzing::run("deploy", &[&[u8::from(!shape.private)], code.as_slice()].concat());
}

#[test]
fn generated_modules_and_programs_do_the_same_on_both_engines() {
    let (start, seed, cases) = (Instant::now(), seed(), u64::from(cases(CASES)));
    let schedule = Schedule::for_protocol(88).unwrap();
    let (next, counts) = (AtomicU64::new(0), Counts::default());
    let case = || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= cases {
            return false;
        }
        if number > 0 && number.is_multiple_of(PROGRESS) {
            eprintln!("{number} of {cases} cases from seed {seed} in {:?}", start.elapsed());
        }
        let seed = seed.wrapping_add(number);
        let ran = catch_unwind(AssertUnwindSafe(|| run(&schedule, seed, &counts)));
        assert!(
            ran.is_ok(),
            "case of seed {seed}: COTENANT_SEED={seed} COTENANT_CASES=1 runs it alone"
        );
        true
    };
    std::thread::scope(|scope| {
        for _ in 0..given("COTENANT_THREADS").unwrap_or(THREADS) {
            scope.spawn(|| while case() {});
        }
    });
    let [programs, modules, none] = [&counts.programs, &counts.modules, &counts.none]
        .map(|count| count.load(Ordering::Relaxed));
    println!(
        "{programs} programs, {modules} modules ({none} without one) from seed {seed} in {:?}, {} given up",
        start.elapsed(),
        exec::gave_up_count()
    );
}
