//! Random programs, biased to what is interesting: several live handles, re-entry, small gas, wrong states.

use super::{Method, Module, Program, SLOTS, Step};
use crate::calls::{CallLimits, Ledger, LedgerLimits};
use crate::{Grants, Namespace, Visibility};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::collections::BTreeMap;

const METHODS: [&str; 3] = ["m0", "m1", "m2"];
const MAIN: &str = "main";

/// Runs a check over random programs; panics with the seed and the smallest program that fails it.
///
/// # Panics
/// When the check fails.
pub fn for_each_program(cases: u32, seed: u64, check: impl Fn(&Program) -> Result<(), String>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let checked = TestRunner::new_with_rng(config, rng)
        .run(&any_program(), |program| check(&program).map_err(TestCaseError::fail));
    match checked {
        Ok(()) => {}
        Err(TestError::Fail(reason, program)) => {
            panic!("seed {seed}: {}\n{program:#?}", reason.message())
        }
        Err(TestError::Abort(reason)) => panic!("seed {seed}: aborted: {}", reason.message()),
    }
}

/// A random program, small enough to read.
pub fn any_program() -> impl Strategy<Value = Program> {
    let gas = prop_oneof![1 => 0..400_u64, 4 => 400..4_000_u64, 6 => 4_000..40_000_u64];
    let modules = (
        any_module("", Just(Visibility::Public)),
        any_module("a", Just(Visibility::Public)),
        any_module("b", Just(Visibility::Private)),
        any_module("c", select(vec![Visibility::Public, Visibility::Private])),
    );
    let balance = prop_oneof![1 => 0..15_u128, 2 => 15..80_u128];
    let main = (any_main(), vec(any::<u8>(), 0..3));
    (modules, main, (gas, balance), any_limits(), any_storage()).prop_map(
        |((mut root, a, b, c), (main, arguments), (gas, balance), limits, storage)| {
            root.methods.push(Method { name: MAIN.to_owned(), steps: main });
            Program {
                modules: vec![root, a, b, c],
                root_method: MAIN.to_owned(),
                arguments,
                gas,
                limits,
                ledger: Ledger { balance, storage_usage: 100_000, ..Ledger::default() },
                storage,
            }
        },
    )
}

fn any_limits() -> impl Strategy<Value = CallLimits> {
    let ledger = (2..12_u64, 4..50_u64, 2..8_u64)
        .prop_map(|(logs, log_bytes, receipts)| LedgerLimits { logs, log_bytes, receipts });
    (1..6_u32, 1..10_u32, 300..2_500_u64, ledger).prop_map(
        |(depth_max, live_max, memory_bytes_max, ledger)| CallLimits {
            depth_max,
            live_max,
            memory_bytes_max,
            ledger,
        },
    )
}

fn any_storage() -> impl Strategy<Value = BTreeMap<Namespace, BTreeMap<Vec<u8>, Vec<u8>>>> {
    let entries = proptest::collection::btree_map(any_key(), vec(any::<u8>(), 1..3), 1..3);
    let namespaces = select(vec!["", "a", "c"]).prop_map(namespace);
    proptest::collection::btree_map(namespaces, entries, 0..3)
}

fn namespace(text: &str) -> Namespace {
    Namespace::from_bytes(text.as_bytes()).unwrap_or_default()
}

fn any_module(
    name: &'static str,
    visibility: impl Strategy<Value = Visibility>,
) -> impl Strategy<Value = Module> {
    let methods = vec(any_steps(), 1..=METHODS.len());
    let besides = prop_oneof![6 => Just(0), 1 => 0..4_u64];
    (visibility, methods, besides, 0..300_u64).prop_map(
        move |(visibility, methods, besides, memory_bytes)| {
            let keep = |step: &Step| visibility == Visibility::Public || !step.is_public_only();
            let methods = METHODS.into_iter().zip(methods).map(|(name, steps)| Method {
                name: name.to_owned(),
                steps: steps.into_iter().filter(keep).collect(),
            });
            Module {
                namespace: namespace(name),
                visibility,
                requires_besides: Grants::from_bits(besides).unwrap_or(Grants::NONE),
                memory_bytes,
                methods: methods.collect(),
            }
        },
    )
}

/// Steps of the root: mostly without those that end it, so that what its callees do is seen.
fn any_main() -> impl Strategy<Value = Vec<Step>> {
    let steps = vec(any_steps(), 1..4).prop_map(|parts| parts.concat());
    (steps, prop::bool::weighted(0.1)).prop_map(|(steps, may_end)| {
        let ends = |step: &Step| {
            matches!(step, Step::Yield(_) | Step::Trap | Step::Panic(_) | Step::Return(_))
        };
        steps.into_iter().filter(|step| may_end || !ends(step)).collect()
    })
}

/// Steps come in groups, so that what belongs together is often together.
fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let group = prop_oneof![
        6 => any_step().prop_map(|step| vec![step]),
        4 => (any_open(), 1..4_usize, any_bytes(), any::<bool>()).prop_map(|(open, times, bytes, close)| {
            let slot = match &open {
                Step::Open { slot, .. } => *slot,
                _ => 0,
            };
            let mut steps = vec![open];
            steps.extend((0..times).map(|_| Step::Resume { slot, bytes: bytes.clone() }));
            steps.extend(close.then_some(Step::Close { slot }));
            steps
        }),
        1 => (any_key(), any_bytes(), any_bytes()).prop_map(|(key, value, bytes)| vec![
            Step::Write { key: key.clone(), value: Some(value) },
            Step::Yield(bytes),
            Step::Read { key },
        ]),
        1 => (any_promise(), any_bytes()).prop_map(|(promise, bytes)| vec![
            promise,
            Step::Yield(bytes),
            Step::ReadGas,
        ]),
        // A callee suspended below a frame that is suspended itself: what it reserved is held from both.
        1 => (any_open_into(0), any_bytes()).prop_map(|(open, bytes)| vec![
            open,
            Step::Resume { slot: 0, bytes: bytes.clone() },
            Step::Yield(bytes),
            Step::ReadGas,
        ]),
        // What closing the one gives back must not raise the other's limit.
        1 => (any_open_into(0), any_open_into(1), any_bytes()).prop_map(|(first, second, bytes)| vec![
            first,
            Step::Resume { slot: 0, bytes: bytes.clone() },
            second,
            Step::Resume { slot: 1, bytes: bytes.clone() },
            Step::Close { slot: 0 },
            Step::Resume { slot: 1, bytes },
        ]),
    ];
    vec(group, 0..7).prop_map(|groups| groups.concat())
}

fn any_step() -> impl Strategy<Value = Step> {
    let gas = prop_oneof![16 => 0..60_u64, 4 => 60..600_u64, 1 => Just(u64::MAX)];
    prop_oneof![
        2 => gas.prop_map(Step::Burn),
        6 => (any_key(), proptest::option::weighted(0.8, any_bytes()))
            .prop_map(|(key, value)| Step::Write { key, value }),
        4 => any_key().prop_map(|key| Step::Read { key }),
        3 => "[a-d]{0,6}".prop_map(Step::Log),
        3 => any_promise(),
        3 => Just(Step::ReadGas),
        1 => (0..400_u64).prop_map(Step::Grow),
        6 => any_bytes().prop_map(Step::Yield),
        5 => any_open(),
        8 => (0..SLOTS, any_bytes()).prop_map(|(slot, bytes)| Step::Resume { slot, bytes }),
        2 => (0..SLOTS).prop_map(|slot| Step::Close { slot }),
        3 => (any_namespace(), any_method(), any_bytes(), any_gas())
            .prop_map(|(namespace, method, bytes, gas)| Step::NepStart { namespace, method, bytes, gas }),
        2 => (any_namespace(), any_bytes())
            .prop_map(|(namespace, bytes)| Step::NepResume { namespace, bytes }),
        1 => Just(Step::Trap),
        1 => "[a-z]{0,4}".prop_map(Step::Panic),
        1 => any_bytes().prop_map(Step::Return),
    ]
}

fn any_promise() -> impl Strategy<Value = Step> {
    let receiver = select(vec!["bob.near", "carol.near"]);
    (receiver, any_method(), 0..300_u64, 0..12_u128, any::<bool>()).prop_map(
        |(receiver, method, gas, deposit, after_last)| Step::CreatePromise {
            receiver: receiver.to_owned(),
            method,
            gas,
            deposit,
            after_last,
        },
    )
}

fn any_open() -> impl Strategy<Value = Step> {
    (0..SLOTS).prop_flat_map(any_open_into)
}

fn any_open_into(slot: usize) -> impl Strategy<Value = Step> {
    let depth = prop_oneof![6 => Just(u64::MAX), 1 => 0..3_u64];
    let grants = prop_oneof![
        1 => Just(0), 2 => Just(0b1111), 5 => Just(0b1_1111), 3 => 0..32_u64, 1 => 32..64_u64, 1 => any::<u64>()
    ];
    (any_namespace(), any_method(), any_gas(), depth, grants).prop_map(
        move |(namespace, method, gas, depth, grants)| Step::Open {
            namespace,
            method,
            gas,
            depth,
            grants,
            slot,
        },
    )
}

fn any_namespace() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        8 => Just("a"), 8 => Just("b"), 8 => Just("c"), 4 => Just(""),
        1 => Just("nobody"), 1 => Just("NO/PE"),
    ];
    text.prop_map(|text| text.as_bytes().to_vec())
}

fn any_method() -> impl Strategy<Value = String> {
    let name = prop_oneof![5 => Just("m0"), 3 => Just("m1"), 1 => Just("m2"), 1 => Just("none")];
    name.prop_map(str::to_owned)
}

fn any_gas() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0), 4 => 1..300_u64, 6 => 300..3_000_u64, 1 => Just(u64::MAX)]
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    select(vec![b"k".to_vec(), b"l".to_vec()])
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..3)
}
