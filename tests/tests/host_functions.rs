//! Every host function of NEAR's, called well and with every kind of bad argument, on every engine: answers, errors,
//! logs and gas are near-vm-runner's, to the unit, at full gas and at random limits below the cost.

use cotenant_gas::Schedule;
use cotenant_host::engine::EngineKind;
use cotenant_submodules::table::HostFunction;
use cotenant_tests::corpus::{ENDS, called, exercise, near_functions};
use cotenant_tests::oracle::{Request, Subject};
use cotenant_tests::seed::rng;
use near_parameters::ExtCosts;
use near_primitives_core::hash::hash;
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeSet;
use std::time::Instant;

const PLENTY: u64 = 300_000_000_000_000;
/// Random gas limits tried for the good call and for each bad one.
const LIMITS: usize = 20;

fn request(method: &str, gas: u64) -> Request {
    Request {
        method: method.to_owned(),
        input: b"some input".to_vec(),
        gas,
        promise_results: vec![b"a result".to_vec()],
        ..Request::default()
    }
}

/// On all engines, or on the native ones: a public call takes 20 ms on wasmi, which runs each method at full gas.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    All,
    Native,
}

fn check(subject: &Subject, name: &str, request: &Request, on: On, wrong: &mut Vec<String>) {
    let chosen = |engine| on == On::All || engine != EngineKind::Wasmi;
    let mut differences = subject.differences_on(request, chosen);
    // A value is a dump of the memory: its hash is enough to see that it differs.
    for observed in differences.values_mut() {
        observed.value = observed.value.as_deref().map(|dump| hash(dump).to_string().into_bytes());
    }
    if !differences.is_empty() {
        let Request { method, gas, view, .. } = request;
        wrong.push(format!("{name}.{method} at {gas} (view: {view}): {differences:#?}"));
    }
}

/// Gives how many runs were compared.
fn compare(row: &HostFunction, rng: &mut StdRng, wrong: &mut Vec<String>) -> usize {
    let exercise = exercise(row).unwrap_or_else(|| panic!("no call of {}", row.name));
    let code = wat::parse_str(&exercise.text).unwrap_or_else(|error| panic!("{error}"));
    let subject = Subject::new(88, &code, &EngineKind::ALL)
        .unwrap_or_else(|error| panic!("{}: {error}", row.name));
    // What every call of the module costs: limits below it would only ever stop the loading.
    let least = subject.observe_near(&request("nothing", PLENTY)).used;
    let mut runs = 0;
    for (number, method) in exercise.methods.iter().enumerate() {
        let full = request(method, PLENTY);
        let outcome = subject.observe_near(&full);
        if number == 0 && outcome.error.is_some() != ENDS.contains(&row.name) {
            wrong.push(format!("{} does not do what it is for: {outcome:?}", row.name));
        }
        check(&subject, row.name, &full, On::All, wrong);
        let mut others = vec![Request { view: true, ..full }];
        let most = outcome.used.max(least);
        others.extend((0..LIMITS).map(|_| request(method, rng.random_range(least..=most))));
        others.push(request(method, rng.random_range(0..=least)));
        for other in &others {
            check(&subject, row.name, other, On::Native, wrong);
        }
        runs += LIMITS + 3;
    }
    runs
}

#[test]
fn every_host_function_costs_and_answers_what_near_says() {
    let start = Instant::now();
    let schedule = Schedule::for_protocol(88).unwrap();
    let mut rng = rng();
    let (mut functions, mut runs, mut wrong) = (0, 0, Vec::new());
    for row in near_functions(&schedule).filter(|row| row.name != "chain_id") {
        functions += 1;
        runs += compare(row, &mut rng, &mut wrong);
    }
    println!("{functions} functions, {runs} runs compared in {:?}", start.elapsed());
    let shown: Vec<_> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} differ, of them {shown:#?}", wrong.len());
}

#[test]
fn the_chain_id_costs_what_near_charges_for_its_length() {
    let schedule = Schedule::for_protocol(88).unwrap();
    let row = near_functions(&schedule).find(|row| row.name == "chain_id").unwrap();
    let exercise = exercise(row).unwrap();
    let code = wat::parse_str(&exercise.text).unwrap();
    let subject = Subject::new(88, &code, &EngineKind::ALL).unwrap();
    let near = subject.observe_near(&request("good", PLENTY));
    // NEAR's mock is called `test`, our chain `cotenant`.
    let price = ExtCosts::write_register_byte.gas(&schedule.vm.ext_costs).as_gas();
    for engine in EngineKind::ALL {
        let ours = subject.observe(engine, &request("good", PLENTY)).unwrap();
        assert_eq!(ours.error, None, "{engine}");
        assert_eq!(ours.burnt, near.burnt + 4 * price, "{engine}");
        assert_eq!(ours.value, near.value, "{engine}");
    }
}

#[test]
fn the_corpus_calls_every_function_of_near_that_the_table_has() {
    let schedule = Schedule::for_protocol(88).unwrap();
    let called: BTreeSet<_> = called().collect();
    for row in near_functions(&schedule) {
        assert!(called.contains(row.name), "no call of {} in tests/src/corpus.rs", row.name);
        assert!(exercise(row).is_some(), "the call of {} has other arguments", row.name);
    }
    for name in called {
        assert!(HostFunction::by_name(name).is_some(), "the table has no {name}");
    }
}
