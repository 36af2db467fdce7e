//! Bytes to a deploy: refused with a report or taken, and what is taken does the same on both engines.

use crate::world::{Account, Source, World, call_context};
use cotenant_gas::Schedule;
use cotenant_host::engine::EngineKind;
use cotenant_host::exec::{self, Progress, Rules};
use cotenant_host::registry::Registry;
use cotenant_submodules::validate::validate;
use cotenant_submodules::{Grants, Namespace, Visibility};
use near_vm_runner::logic::types::ReturnData;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Gas of each method that is called.
const GAS: u64 = 2_000_000_000_000;
/// Methods that are called.
const METHODS: usize = 3;
/// Deploys before a registry is thrown away.
const DEPLOYS: u32 = 200;

struct Bench {
    schedule: Arc<Schedule>,
    rules: Arc<Rules>,
    registry: Arc<Registry>,
    deploys: u32,
}

impl Bench {
    fn new() -> Self {
        let schedule = Schedule::for_protocol(88).unwrap_or_else(|error| panic!("{error}"));
        let registry = Arc::new(Registry::in_memory(schedule.clone(), &EngineKind::ALL));
        Self { rules: Arc::new(Rules::new(schedule.clone())), schedule, registry, deploys: 0 }
    }

    fn check(&mut self, code: &[u8], visibility: Visibility) {
        self.deploys += 1;
        if self.deploys.is_multiple_of(DEPLOYS) {
            self.registry = Arc::new(Registry::in_memory(self.schedule.clone(), &EngineKind::ALL));
        }
        let valid = validate(code, visibility, &self.schedule.vm);
        let mut account = Account::default();
        let deployed = account.deploy(&self.registry, Namespace::DEFAULT, visibility, code);
        match (&valid, deployed) {
            (Err(rejection), Ok(())) => panic!("taken in spite of {rejection}"),
            (Err(rejection), Err(_)) => {
                assert!(!rejection.violations.is_empty(), "refused for no reason");
                return;
            }
            // A later stage may refuse what is valid, with a reason.
            (Ok(_), Err(error)) => {
                assert!(error.to_string().contains("hint:"), "{error}");
                return;
            }
            (Ok(_), Ok(())) => {}
        }
        for method in methods(code) {
            let endings = EngineKind::ALL.map(|engine| match visibility {
                Visibility::Public => self.call(&account, engine, &method),
                Visibility::Private => self.drive(&account, engine, &method),
            });
            assert_eq!(endings[0], endings[1], "{visibility:?} {method}");
        }
    }

    fn call(&self, account: &Account, engine: EngineKind, method: &str) -> String {
        let mut context = call_context(GAS);
        context.method = method.to_owned();
        context.input = b"input".to_vec();
        let source = Rc::new(Source(self.registry.clone()));
        let state = Rc::new(account.clone());
        let ran = exec::execute(&self.rules, state, source, engine, context)
            .unwrap_or_else(|fault| panic!("{engine}: host fault: {fault}"));
        let value = match ran.return_data {
            ReturnData::Value(value) => Some(value),
            _ => None,
        };
        let abort = ran.abort.map(|abort| (abort.code, abort.message));
        format!("{} {} {abort:?} {value:?} {:?}", ran.gas_burnt, ran.gas_used, ran.logs)
    }

    fn drive(&self, account: &Account, engine: EngineKind, method: &str) -> String {
        let world = World::of(self.schedule.clone(), self.registry.clone(), account.clone());
        let session = world.session(engine, GAS);
        let mut endings = Vec::new();
        match session.open(&Namespace::DEFAULT, method, 0, Grants::ALL) {
            Err(refused) => endings.push(refused.to_string()),
            Ok(mut live) => {
                for answer in ["input", "answer", "another"] {
                    let progress = live.resume(answer.as_bytes().to_vec());
                    let more = matches!(progress, Ok(Progress::Yielded(_)));
                    endings.push(format!("{progress:?} {}", session.gas_left()));
                    if !more {
                        break;
                    }
                }
            }
        }
        endings.join(", ")
    }
}

/// Names of some functions that a module exports.
fn methods(code: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(code).flatten() {
        if let wasmparser::Payload::ExportSection(section) = payload {
            let functions = section.into_iter().flatten();
            found.extend(
                functions
                    .filter(|export| export.kind == wasmparser::ExternalKind::Func)
                    .map(|export| export.name.to_owned())
                    .take(METHODS),
            );
        }
    }
    found
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench::new());
}

/// The first bit of the input says as which kind; the rest is the module.
pub fn body(input: &[u8]) {
    let Some((first, code)) = input.split_first() else { return };
    let visibility = if first & 1 == 0 { Visibility::Private } else { Visibility::Public };
    BENCH.with_borrow_mut(|bench| bench.check(code, visibility));
}

/// The attackers that are small, contracts, and modules as text has them.
pub fn seeds() -> Vec<Vec<u8>> {
    let attackers = cotenant_contracts::attackers();
    let small =
        attackers.iter().map(|attacker| &attacker.bytes).filter(|bytes| bytes.len() < 2_000);
    let ours =
        [cotenant_contracts::pinger(), cotenant_contracts::soak(), cotenant_contracts::driver()];
    let codes = small.cloned().chain(ours.map(<[u8]>::to_vec));
    codes.flat_map(|code| [0, 1].map(|kind| [&[kind], code.as_slice()].concat())).collect()
}
