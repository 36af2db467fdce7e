//! Random modules cost on every engine what near-vm-runner charges, to the unit, and end and log alike: at full
//! gas and at random limits below their cost.

use cotenant_gas::Schedule;
use cotenant_host::engine::EngineKind;
use cotenant_tests::oracle::{Request, Subject};
use cotenant_tests::seed::{cases, seed};
use cotenant_tests::smith::{METHODS, Shape, module};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::time::Instant;

/// Modules in a run.
const MODULES: u32 = 200;
/// Gas limits tried for each module, between 0 and its cost.
const LIMITS: usize = 50;
/// One limit in so many runs on wasmi too.
const WASMI_EVERY: usize = 10;
/// Full gas: enough for a million instructions besides loading, so that endless loops end soon.
const FULL_GAS: u64 = 1_500_000_000_000;

#[derive(Debug, Default)]
struct Counts {
    modules: u32,
    refused: BTreeMap<String, u32>,
    runs: u32,
    endings: BTreeMap<String, u32>,
}

/// Compiles for every engine. `None`, and counted, if the module is refused.
fn subject(code: &[u8], counts: &mut Counts) -> Option<Subject> {
    match Subject::new(88, code, &EngineKind::ALL) {
        Ok(subject) => Some(subject),
        Err(reason) => {
            let rule = reason.split_whitespace().take(8).collect::<Vec<_>>().join(" ");
            *counts.refused.entry(rule).or_default() += 1;
            None
        }
    }
}

/// Compares on the native engine, and on wasmi if it is to be slow: a public call takes 20 ms there.
fn compare(
    subject: &Subject,
    request: &Request,
    wasmi: bool,
    what: &str,
    code: &[u8],
    counts: &mut Counts,
) {
    counts.runs += 1;
    let chosen = |engine| wasmi || engine != EngineKind::Wasmi;
    let differences = subject.differences_on(request, chosen);
    if !differences.is_empty() {
        let path = std::env::temp_dir().join(format!("cotenant-{}.wasm", what.replace(' ', "-")));
        let saved = std::fs::write(&path, code).map(|()| path);
        panic!("{what}, {request:?}, module {saved:?}: {differences:#?}");
    }
}

#[test]
fn random_modules_cost_what_near_charges() {
    let start = Instant::now();
    let seed = seed();
    let schedule = Schedule::for_protocol(88).unwrap();
    let mut counts = Counts::default();
    let modules = cases(MODULES);
    for number in 0.. {
        if counts.modules == modules {
            break;
        }
        assert!(number < modules * 3, "most random modules are refused: {counts:?}");
        // Each module has a generator of its own, so that one can be run alone.
        let mut rng = StdRng::seed_from_u64(seed.wrapping_add(u64::from(number)));
        let shape = Shape {
            floats: rng.random_ratio(1, 4),
            imports: rng.random_ratio(1, 2),
            references: rng.random_ratio(1, 4),
            private: false,
        };
        let Ok(code) = module(&schedule, shape, &mut rng) else { continue };
        let Some(subject) = subject(&code, &mut counts) else { continue };
        counts.modules += 1;
        let what = format!("seed {seed} module {number}");
        let full = |method: &str| Request {
            method: method.to_owned(),
            input: b"input".to_vec(),
            gas: FULL_GAS,
            ..Request::default()
        };
        for method in METHODS {
            compare(&subject, &full(method), true, &what, &code, &mut counts);
        }
        let request = full(METHODS[rng.random_range(0..2)]);
        let outcome = subject.observe_near(&request);
        let ending = outcome.error.unwrap_or_else(|| "returned".to_owned());
        let ending = ending.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
        *counts.endings.entry(ending).or_default() += 1;
        for limit in 0..LIMITS {
            let request = Request { gas: rng.random_range(0..=outcome.used), ..request.clone() };
            compare(&subject, &request, limit % WASMI_EVERY == 0, &what, &code, &mut counts);
        }
    }
    println!("{:?}: {counts:#?}", start.elapsed());
}
