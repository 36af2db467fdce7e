//! Every way of asking for a module that a frame may not reach: all kinds of callers, of callees, all bits of the
//! grants, both interfaces.

use super::{Method, Module, Program, Step};
use crate::calls::{CallLimits, Ledger, LedgerLimits};
use crate::{Grants, Namespace, Visibility};
use std::collections::BTreeMap;

/// Bits of grants that are asked with: all that mean something, and some that mean nothing.
const BITS: [u64; 4] = [32, 48, 1 << 63, u64::MAX];
/// What is asked for: a public module, private ones that require more and more, the root's own module (which has a live
/// frame), a public caller's own, nobody, and what is no name.
const CALLEES: [&str; 9] = ["pub", "none", "crypto", "log", "all", "", "p", "nobody", "NO/PE"];
/// What a private caller was granted; it needs `nested` to ask at all. The last bit is none that it gets.
const GRANTED: [u64; 5] = [0b1000, 0b1001, 0b1100, 0b1111, 0b1_1111];

/// Who asks.
#[derive(Clone, Copy)]
enum Caller {
    /// The root frame.
    Root,
    /// A public module that the root opened by handle.
    Public,
    /// A public module that the root started by NEP-481's function.
    Named,
    /// A private module that was granted these bits.
    Private(u64),
}

/// One account, and the names of the methods of its first module that each ask in another way.
pub fn account() -> (Program, Vec<String>) {
    let mut roots = Vec::new();
    let callers = [Caller::Root, Caller::Public, Caller::Named];
    for caller in callers.into_iter().chain(GRANTED.map(Caller::Private)) {
        for (name, steps) in questions() {
            let through = |namespace: &str, grants| {
                vec![open(namespace, &name, grants, 1), resume(1), Step::Return(Vec::new())]
            };
            let (prefix, steps) = match caller {
                Caller::Root => ("r".to_owned(), steps),
                Caller::Public => ("p".to_owned(), through("p", Grants::PUBLIC.bits())),
                Caller::Named => ("n".to_owned(), vec![start("p", &name)]),
                Caller::Private(granted) => (format!("q{granted}"), through("q", granted)),
            };
            roots.push(Method { name: format!("{prefix}_{name}"), steps });
        }
    }
    let names = roots.iter().map(|method| method.name.clone()).collect();
    roots.push(answer());
    let asks = || questions().map(|(name, steps)| Method { name, steps });
    let mut modules = vec![
        module("", Visibility::Public, 0, roots),
        module("p", Visibility::Public, 0, asks().chain([answer()]).collect()),
        module("q", Visibility::Private, 0, asks().collect()),
        module("pub", Visibility::Public, 0, vec![answer()]),
    ];
    for (name, requires) in [("none", 0), ("crypto", 1), ("log", 4), ("all", 15)] {
        modules.push(module(name, Visibility::Private, requires, vec![answer()]));
    }
    let ledger = LedgerLimits { logs: 100, log_bytes: 1_000, receipts: 100 };
    let program = Program {
        modules,
        root_method: String::new(),
        arguments: Vec::new(),
        gas: 1_000_000,
        limits: CallLimits::standard(ledger),
        ledger: Ledger { balance: 50, storage_usage: 100_000, ..Ledger::default() },
        storage: BTreeMap::new(),
    };
    (program, names)
}

/// Methods that ask for each callee with all bits, and by NEP-481's functions.
fn questions() -> impl Iterator<Item = (String, Vec<Step>)> {
    CALLEES.into_iter().enumerate().flat_map(|(at, callee)| {
        let opens = (0..32).chain(BITS).enumerate().map(move |(bits_at, bits)| {
            let steps = vec![open(callee, "m", bits, 0), resume(0), Step::Close { slot: 0 }];
            (format!("o{at}_{bits_at}"), steps)
        });
        // Started, answered, and answered once more when it has ended.
        let again = Step::NepResume { namespace: callee.as_bytes().to_vec(), bytes: vec![1] };
        opens.chain([(format!("s{at}"), vec![start(callee, "m"), again.clone(), again])])
    })
}

/// What every callee does: it yields, so that it is live, and returns.
fn answer() -> Method {
    Method { name: "m".to_owned(), steps: vec![Step::Yield(vec![7]), Step::Return(vec![8])] }
}

fn open(namespace: &str, method: &str, grants: u64, slot: usize) -> Step {
    let (namespace, method) = (namespace.as_bytes().to_vec(), method.to_owned());
    Step::Open { namespace, method, gas: 0, depth: u64::MAX, grants, slot }
}

fn resume(slot: usize) -> Step {
    Step::Resume { slot, bytes: vec![1] }
}

fn start(namespace: &str, method: &str) -> Step {
    let (namespace, method) = (namespace.as_bytes().to_vec(), method.to_owned());
    Step::NepStart { namespace, method, bytes: vec![1], gas: 0 }
}

fn module(name: &str, visibility: Visibility, requires: u64, methods: Vec<Method>) -> Module {
    Module {
        namespace: name.parse::<Namespace>().unwrap_or_default(),
        visibility,
        requires_besides: Grants::from_bits(requires).unwrap_or(Grants::NONE),
        memory_bytes: 100,
        methods,
    }
}
