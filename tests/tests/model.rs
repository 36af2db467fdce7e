//! Random call programs on every engine, held against the naive model of the call rules: result, statuses, logs,
//! receipts, state, ledger and call tree are the model's; gas is equal on every engine and has the relations
//! that the rules ask for.

use cotenant_gas::Schedule;
use cotenant_host::artifact::MemoryArtifacts;
use cotenant_host::deploy::Registry;
use cotenant_host::engine::EngineKind;
use cotenant_submodules::SyncExecutionError;
use cotenant_submodules::calls::{CallNode, Ending};
use cotenant_submodules::model::{Program, for_each_program};
use cotenant_tests::programs::{Case, deploy, observe};
use cotenant_tests::seed::{cases, seed};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Programs of the generator in a run; those whose outcome depends on the price of a step are passed over.
const CASES: u32 = 1_500;
/// One program in so many runs on all engines, the others on singlepass: the compiler of cranelift and the
/// 64 MiB that wasmi fills with zeros for every public frame would take most of the time.
const ALL_ENGINES_EVERY: u32 = 4;
/// Programs before what was compiled is thrown away.
const PROGRAMS_PER_REGISTRY: u32 = 100;

/// Compiles and runs programs, and counts what it saw.
struct Bench {
    schedule: Arc<Schedule>,
    one: Arc<Registry>,
    all: Arc<Registry>,
    ran: u32,
    on_all: u32,
    endings: BTreeMap<String, u32>,
}

impl Bench {
    fn new() -> Self {
        let schedule = Schedule::for_protocol(88).unwrap();
        let (one, all) = Self::registries(&schedule);
        Self { schedule, one, all, ran: 0, on_all: 0, endings: BTreeMap::new() }
    }

    fn registries(schedule: &Arc<Schedule>) -> (Arc<Registry>, Arc<Registry>) {
        let registry = |engines: &[EngineKind]| {
            let artifacts = Box::new(MemoryArtifacts::default());
            Arc::new(Registry::new(schedule.clone(), engines, artifacts))
        };
        (registry(&[EngineKind::Singlepass]), registry(&EngineKind::ALL))
    }

    fn check(&mut self, program: &Program) -> Result<(), String> {
        let Some(case) = Case::new(program) else { return Ok(()) };
        self.ran += 1;
        if self.ran.is_multiple_of(PROGRAMS_PER_REGISTRY) {
            (self.one, self.all) = Self::registries(&self.schedule);
        }
        let on_all = self.ran.is_multiple_of(ALL_ENGINES_EVERY);
        self.on_all += u32::from(on_all);
        let registry = if on_all { &self.all } else { &self.one };
        let account = Rc::new(deploy(registry, &case.program)?);
        let mut first: Option<(EngineKind, String)> = None;
        for engine in registry.engines() {
            let gas = observe(&case, &self.schedule, registry, account.clone(), engine)?;
            match &first {
                Some((other, expected)) if *expected != gas => {
                    return Err(format!("gas on {engine}:\n{gas}\ngas on {other}:\n{expected}"));
                }
                Some(_) => {}
                None => first = Some((engine, gas)),
            }
        }
        count(&case.expected.tree, &mut self.endings);
        Ok(())
    }
}

fn count(node: &CallNode, endings: &mut BTreeMap<String, u32>) {
    let ending = match &node.ending {
        Ending::Returned => "Returned".to_owned(),
        Ending::Closed => "Closed".to_owned(),
        Ending::Failed(SyncExecutionError::HostError(name)) => name.clone(),
        Ending::Failed(failure) => {
            format!("{failure:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
        }
    };
    *endings.entry(ending).or_default() += 1;
    node.callees.iter().for_each(|callee| count(callee, endings));
}

#[test]
fn every_engine_does_what_the_model_says() {
    let start = Instant::now();
    let bench = RefCell::new(Bench::new());
    for_each_program(cases(CASES), seed(), |program| bench.borrow_mut().check(program));
    let bench = bench.into_inner();
    println!(
        "{} programs ran, {} of them on all engines, in {:?}; frames ended {:?}",
        bench.ran,
        bench.on_all,
        start.elapsed(),
        bench.endings
    );
    assert!(bench.ran >= cases(CASES) / 4, "too many programs were passed over: ran {}", bench.ran);
}
