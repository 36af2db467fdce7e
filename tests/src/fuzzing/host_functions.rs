//! NEAR's host functions with any arguments, several in one call, against near-vm-runner.

use crate::corpus;
use crate::oracle::{Observed, Request, Subject};
use cotenant_gas::Schedule;
use cotenant_host::engine::EngineKind;
use cotenant_submodules::table::{HostFunction, Width};
use near_vm_runner::logic::errors::HostError;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Gas of a call.
const GAS: u64 = 100_000_000_000_000;
/// Calls of host functions in one call.
const STEPS: usize = 6;
/// Where the input is put, and what functions answer.
const INPUT: usize = 50_000;
const ANSWERS: usize = 3_000;

/// The functions, and a module that reads the input and makes the calls that it says.
struct Bench {
    functions: Vec<&'static HostFunction>,
    subject: Subject,
}

impl Bench {
    fn new() -> Self {
        let schedule = Schedule::for_protocol(88).unwrap_or_else(|error| panic!("{error}"));
        // Answers that the mock of a chain gives in its own way, and calls that only ever end.
        let own = |name: &str| name == "chain_id" || name.starts_with("promise_yield");
        let functions: Vec<_> = corpus::near_functions(&schedule)
            .filter(|row| !own(row.name) && !row.name.contains("state_init"))
            .collect();
        let code = wat::parse_str(text(&functions)).unwrap_or_else(|error| panic!("{error}"));
        let subject =
            Subject::new(88, &code, &EngineKind::ALL).unwrap_or_else(|error| panic!("{error}"));
        Self { functions, subject }
    }
}

/// A step is a byte for the function and eight for each argument; what is missing is zero.
fn text(functions: &[&HostFunction]) -> String {
    let mut steps = String::new();
    for (index, row) in functions.iter().enumerate() {
        let mut call = format!("(call ${}", row.name);
        for (position, param) in row.params.iter().enumerate() {
            let load = format!("(i64.load offset={} (local.get $at))", 1 + position * 8);
            let _ = match param.width {
                Width::U64 => write!(call, " {load}"),
                Width::U32 => write!(call, " (i32.wrap_i64 {load})"),
            };
        }
        call.push(')');
        let call = match row.result {
            None => call,
            Some(Width::U32) => format!("(i32.store (i32.const {ANSWERS}) {call})"),
            Some(Width::U64) => format!("(i64.store (i32.const {ANSWERS}) {call})"),
        };
        let _ =
            writeln!(steps, "(if (i32.eq (local.get $which) (i32.const {index})) (then {call}))");
    }
    let text = format!(
        "(memory 1) {}
         (func $step (param $at i32) (local $which i32)
           (local.set $which (i32.rem_u (i32.load8_u (local.get $at)) (i32.const {count})))
           {steps})
         (func (export \"run\") (local $n i32)
           (call $input (i64.const 0))
           (call $read_register (i64.const 0) (i64.const {INPUT}))
           (loop $next
             (call $step (i32.add (i32.const {INPUT}) (i32.mul (local.get $n) (i32.const 81))))
             (local.set $n (i32.add (local.get $n) (i32.const 1)))
             (br_if $next (i32.lt_u (local.get $n) (i32.const {STEPS}))))
           (call $value_return (i64.const 1000) (i64.const {ANSWERS})))",
        corpus::data_segments(),
        count = functions.len(),
    );
    format!("(module {} {text})", corpus::imports_of(&text))
}

/// Whether a difference is that of near-vm-runner's mock of a chain alone: it takes method names that are not UTF-8, which a
/// chain refuses. Our engines agree on that.
fn is_the_mocks(differences: &BTreeMap<String, Observed>) -> bool {
    let refused = HostError::InvalidMethodName.to_string();
    let ours: Vec<_> = differences.iter().filter(|(name, _)| *name != "near-vm-runner").collect();
    ours.len() == EngineKind::ALL.len()
        && ours.iter().all(|(_, one)| one.error.as_ref() == Some(&refused) && *one == ours[0].1)
}

thread_local! {
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

/// The input is the calls, 81 bytes each: a function and ten arguments.
pub fn body(input: &[u8]) {
    BENCH.with_borrow_mut(|bench| {
        let bench = bench.get_or_insert_with(Bench::new);
        let input: Vec<u8> = input.iter().copied().take(STEPS * 81).collect();
        let (method, promise_results) = ("run".to_owned(), vec![b"a result".to_vec()]);
        let request = Request { method, input, gas: GAS, view: false, promise_results };
        let differences = bench.subject.differences(&request);
        if is_the_mocks(&differences) {
            return;
        }
        let names: Vec<_> = request.input.chunks(81).filter_map(|step| step.first()).collect();
        let names: Vec<_> = names
            .iter()
            .map(|which| bench.functions[usize::from(**which) % bench.functions.len()].name)
            .collect();
        assert!(differences.is_empty(), "{names:?}: {differences:#?}");
    });
}

/// The good call of each function.
pub fn seeds() -> Vec<Vec<u8>> {
    let bench = Bench::new();
    let mut seeds = Vec::new();
    for (index, row) in bench.functions.iter().enumerate() {
        let Some((_, arguments)) = corpus::good_call(row.name) else { continue };
        let mut seed = vec![index as u8];
        for argument in arguments {
            seed.extend(argument.unwrap_or_default().to_le_bytes());
        }
        seed.resize(81, 0);
        seeds.push(seed);
    }
    // Pairs, so that one finds what the other left.
    let pairs: Vec<_> = seeds.windows(2).map(|pair| pair.concat()).collect();
    seeds.extend(pairs);
    seeds
}
