//! Random call programs on every engine, held against the naive model of the call rules: result, statuses, logs,
//! receipts, state, ledger and call tree are the model's; gas is equal on every engine and has the relations
//! that the rules ask for.

use cotenant_gas::Schedule;
use cotenant_host::deploy::ModuleSource;
use cotenant_host::engine::{EngineKind, give_up_after};
use cotenant_host::exec;
use cotenant_host::registry::Registry;
use cotenant_host::runtime::Status;
use cotenant_host::view::StateView;
use cotenant_host::{Call, FIRST_BALANCE, Host, Options};
use cotenant_submodules::calls::{CallNode, Ending};
use cotenant_submodules::model::{Program, for_each_program};
use cotenant_submodules::{ModuleId, Namespace, SyncExecutionError};
use cotenant_tests::programs::{Case, deploy, module_text, observe, strip};
use cotenant_tests::seed::{cases, seed};
use cotenant_tests::world::{Mixed, Source};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Programs of the generator in a run; those whose outcome depends on the price of a step are passed over.
const CASES: u32 = 750;
/// One program in so many runs on all engines, the others on wasmi: the compiler of cranelift would take most of
/// the time.
const ALL_ENGINES_EVERY: u32 = 4;
/// A native engine is made to give up at one of so many crossings of a program.
const GIVE_UP_CROSSINGS: u32 = 60;
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
        let registry =
            |engines: &[EngineKind]| Arc::new(Registry::in_memory(schedule.clone(), engines));
        (registry(&[EngineKind::Wasmi]), registry(&EngineKind::ALL))
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
        let mut first: Option<(String, String)> = None;
        let mut sources: Vec<(String, EngineKind, Rc<dyn ModuleSource>)> = Vec::new();
        for engine in registry.engines() {
            sources.push((engine.to_string(), engine, Rc::new(Source(registry.clone()))));
        }
        if on_all {
            // Callers and callees on different tiers: a module that is not compiled yet, or gave up.
            let mixed = Mixed { registry: registry.clone(), bit: self.on_all };
            sources.push(("both at once".into(), EngineKind::Cranelift, Rc::new(mixed)));
        }
        for (engine, kind, source) in sources {
            let run = || observe(&case, &self.schedule, source.clone(), account.clone(), kind);
            let gas = run().map_err(|error| format!("{engine}: {error}"))?;
            if kind == EngineKind::Cranelift {
                // Given up in the middle, it is the same call.
                give_up_after(Some(u64::from(self.ran % GIVE_UP_CROSSINGS) + 1));
                let again = run();
                give_up_after(None);
                if again? != gas {
                    return Err("gas of a call that was given up on the way".to_owned());
                }
            }
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
    assert!(exec::gave_up_count() > 0, "no call was given up");
    println!(
        "{} programs ran, {} of them on all engines, in {:?}; frames ended {:?}",
        bench.ran,
        bench.on_all,
        start.elapsed(),
        bench.endings
    );
    assert!(bench.ran >= cases(CASES) / 4, "too many programs were passed over: ran {}", bench.ran);
}

/// The same on a chain: deployed and called by transactions, the outcome committed. Gives why it is not the model's.
fn check_on_a_chain(program: &Program, engine: EngineKind) -> Result<bool, String> {
    let options = Options { engines: vec![engine], ..Options::default() };
    let host = Host::in_memory(&options).map_err(|error| error.to_string())?;
    let limits = host.rules().limits;
    let Some(case) = Case::on_a_chain(program, limits, FIRST_BALANCE / 2) else {
        return Ok(false);
    };
    let module = |namespace: &Namespace| ModuleId {
        account: "alice.near".parse().unwrap(),
        namespace: namespace.clone(),
    };
    for one in &case.program.modules {
        let code = wat::parse_str(module_text(one)).map_err(|error| error.to_string())?;
        let outcome = host.deploy(&module(&one.namespace), one.visibility, &code);
        outcome.map_err(|error| format!("{}: {error}", one.namespace))?;
    }
    let root = &case.program.modules[0].namespace;
    let call = Call::new(module(root), &case.program.root_method)
        .args(case.program.arguments.clone())
        .gas(case.program.gas);
    let outcome = host.call(&call).map_err(|error| error.to_string())?;
    let receipt = outcome.root().ok_or("no root receipt")?;
    let mut tree = receipt.executions[0].tree.clone();
    strip(&mut tree);
    let value = match &receipt.status {
        Status::SuccessValue(value) => Some(value),
        _ => None,
    };
    let state = host.state().map_err(|error| error.to_string())?;
    let mut storage = BTreeMap::new();
    for one in &case.program.modules {
        for key in [b"k", b"l"] {
            let at = module(&one.namespace);
            let value = state.value(&at.account, &at.namespace, key);
            if let Some(value) = value.map_err(|error| error.to_string())? {
                let entries: &mut BTreeMap<_, _> = storage.entry(at.namespace).or_default();
                entries.insert(key.to_vec(), value);
            }
        }
    }
    let expected = &case.expected;
    let equal = tree == expected.tree
        && value == expected.result.as_ref().ok()
        && receipt.logs == expected.logs
        && storage == expected.storage;
    if equal {
        return Ok(true);
    }
    Err(format!("{engine} left {storage:#?}\nand did {receipt:#?}\nthe model says {expected:#?}"))
}

#[test]
fn a_chain_commits_what_the_model_says() {
    let (start, ran, cases) = (Instant::now(), Cell::new(0_u32), cases(CASES) / 5);
    for_each_program(cases, seed(), |program| {
        // Compiling each with cranelift would take most of the time.
        let engine =
            if ran.get().is_multiple_of(4) { EngineKind::Cranelift } else { EngineKind::Wasmi };
        ran.set(ran.get() + u32::from(check_on_a_chain(program, engine)?));
        Ok(())
    });
    println!("{} of {cases} programs ran on a chain in {:?}", ran.get(), start.elapsed());
    assert!(ran.get() >= cases / 4, "too many programs were passed over");
}
