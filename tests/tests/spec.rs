//! The suite of the WebAssembly specification, version 2.0: each assertion is a method of a private module, which both
//! engines run with equal results, traps and gas; what must be refused is refused as both kinds. What cannot be run is
//! counted by reason, and the counts are a snapshot.

use cotenant_gas::Schedule;
use cotenant_host::engine::EngineKind;
use cotenant_host::exec::Progress;
use cotenant_host::registry::Registry;
use cotenant_submodules::validate::validate;
use cotenant_submodules::{Grants, Namespace, SyncExecutionError, Visibility};
use cotenant_tests::spec::{Entry, Expect, Left, NOTHING, Script, Step, assemble, read};
use cotenant_tests::world::{Account, World};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Gas of one assertion: the most that a call may burn.
const GAS: u64 = 1_000_000_000_000_000;
/// Gas of its session.
const SESSION_GAS: u64 = 4_000_000_000_000_000_000;
/// Modules before a registry is thrown away.
const MODULES_PER_REGISTRY: usize = 50;
const THREADS: usize = 2;

/// What came of a file.
#[derive(Clone, Debug, Default)]
struct Counts {
    ran: u32,
    refused: u32,
    left: BTreeMap<Left, u32>,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.ran += other.ran;
        self.refused += other.refused;
        for (reason, count) in &other.left {
            *self.left.entry(*reason).or_default() += count;
        }
    }

    fn row(&self) -> String {
        let mut row = format!("{} ran, {} refused as they must be", self.ran, self.refused);
        for (reason, count) in &self.left {
            let _ = write!(row, "; {reason}: {count}");
        }
        row
    }
}

/// How a method ended, and the gas that it took.
type Ending = (Result<(), SyncExecutionError>, u64);

struct Bench {
    schedule: Arc<Schedule>,
    registry: Arc<Registry>,
    deployed: usize,
    counts: Counts,
    wrong: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        let schedule = Schedule::for_protocol(88).unwrap();
        let registry = Arc::new(Registry::in_memory(schedule.clone(), &EngineKind::ALL));
        Self { schedule, registry, deployed: 0, counts: Counts::default(), wrong: Vec::new() }
    }

    fn registry(&mut self) -> Arc<Registry> {
        self.deployed += 1;
        if self.deployed.is_multiple_of(MODULES_PER_REGISTRY) {
            let registry = Registry::in_memory(self.schedule.clone(), &EngineKind::ALL);
            self.registry = Arc::new(registry);
        }
        self.registry.clone()
    }

    fn leave(&mut self, reason: Left) {
        *self.counts.left.entry(reason).or_default() += 1;
    }

    fn run(&mut self, script: &Script) -> Counts {
        self.counts = Counts::default();
        for entry in &script.entries {
            let at = |line: &usize| format!("{}:{line}", script.name);
            match entry {
                Entry::Left { reason, .. } => self.leave(*reason),
                Entry::Refused { line, bytes } => self.refused(&at(line), bytes),
                Entry::TrapsAtStart { line, bytes, message } => {
                    let expect = Expect::Traps(message.clone());
                    self.traps_at_start(&at(line), bytes, &expect);
                }
                Entry::Instance { line, bytes, steps } => {
                    self.instance(&script.name, &at(line), bytes, steps);
                }
            }
        }
        self.counts.clone()
    }

    fn refused(&mut self, at: &str, bytes: &[u8]) {
        self.counts.refused += 1;
        for visibility in [Visibility::Private, Visibility::Public] {
            if self.registry().deploy(bytes, visibility).is_ok() {
                self.wrong.push(format!("{at}: accepted as {visibility:?}"));
            }
        }
    }

    /// Deploys a module; gives the first rule that it breaks.
    fn deploy(&mut self, at: &str, bytes: &[u8]) -> Result<World, Option<&'static str>> {
        validate(bytes, Visibility::Private, &self.schedule.vm)
            .map_err(|rejection| rejection.violations.first().map(|violation| violation.rule))?;
        let registry = self.registry();
        let mut account = Account::default();
        match account.deploy(&registry, Namespace::DEFAULT, Visibility::Private, bytes) {
            Ok(()) => Ok(World::of(self.schedule.clone(), registry, account)),
            Err(error) => {
                self.wrong.push(format!("{at}: {error}"));
                Err(None)
            }
        }
    }

    fn traps_at_start(&mut self, at: &str, bytes: &[u8], expect: &Expect) {
        let Ok(Some(assembled)) = assemble(bytes, &[]) else {
            return self.wrong.push(format!("{at}: cannot be assembled"));
        };
        match self.deploy(at, &assembled.bytes) {
            Ok(world) => self.check(at, &world, NOTHING, expect),
            // Segments that lie outside: what would trap at every start is refused at the deploy.
            Err(Some("data.out_of_bounds" | "elements.out_of_bounds")) => self.counts.refused += 1,
            Err(rule) => self.leave(Left::Refused(rule.unwrap_or_default())),
        }
    }

    fn instance(&mut self, file: &str, at: &str, bytes: &[u8], steps: &[Step]) {
        let Ok(Some(assembled)) = assemble(bytes, steps) else {
            return self.wrong.push(format!("{at}: cannot be assembled"));
        };
        match self.deploy(at, &assembled.bytes) {
            Ok(world) => {
                for (method, step) in &assembled.methods {
                    let at = format!("{file}:{}", step.line);
                    self.check(&at, &world, method, &step.expect);
                }
            }
            Err(rule) => {
                let reason = Left::Refused(rule.unwrap_or_default());
                assembled.methods.iter().for_each(|_| self.leave(reason));
            }
        }
    }

    fn check(&mut self, at: &str, world: &World, method: &str, expect: &Expect) {
        self.counts.ran += 1;
        let endings = EngineKind::ALL.map(|engine| ending(world, engine, method));
        if endings.windows(2).any(|pair| pair[0] != pair[1]) {
            self.wrong.push(format!("{at}: engines differ: {endings:?}"));
        } else if endings[0] == (Err(SyncExecutionError::OutOfGas), GAS) {
            self.counts.ran -= 1;
            self.leave(Left::Unaffordable);
        } else if !is_as_expected(expect, &endings[0].0) {
            self.wrong.push(format!("{at}: expected {expect:?}, found {:?}", endings[0]));
        }
    }
}

fn ending(world: &World, engine: EngineKind, method: &str) -> Ending {
    let session = world.session(engine, SESSION_GAS);
    let mut live = session.open(&Namespace::DEFAULT, method, GAS, Grants::NONE).unwrap();
    let result = match live.resume(Vec::new()).unwrap() {
        Progress::Done(_) => Ok(()),
        Progress::Failed(error) => Err(error),
        Progress::Yielded(_) => panic!("no assertion yields"),
    };
    (result, SESSION_GAS - session.gas_left())
}

/// Whether a method ended as its assertion says. Traps are told by kind.
fn is_as_expected(expect: &Expect, ending: &Result<(), SyncExecutionError>) -> bool {
    use SyncExecutionError::{HostError, WasmTrap};
    match (expect, ending) {
        (Expect::Returns(_), Ok(())) => true,
        (Expect::Traps(message), Err(WasmTrap(kind))) => kinds(message).contains(kind),
        // The metered stack, as near-vm-runner names it.
        (Expect::Exhausts, Err(HostError(name))) => name == "MemoryAccessViolation",
        _ => false,
    }
}

/// The kinds of a trap, in near-vm-runner's order, by the specification's words.
fn kinds(message: &str) -> &'static [u8] {
    let begins = |text: &str| message.starts_with(text);
    if begins("unreachable") {
        &[0]
    } else if begins("indirect call type mismatch") {
        &[1]
    } else if begins("out of bounds") {
        &[2]
    } else if begins("undefined element") {
        &[3]
    } else if begins("integer") || begins("invalid conversion") {
        &[4]
    } else if begins("uninitialized element") {
        &[6]
    } else {
        &[]
    }
}

#[test]
fn the_suite_of_the_specification_passes_on_both_engines() {
    let start = Instant::now();
    let scripts = read().unwrap();
    let (next, results, wrong) =
        (AtomicUsize::new(0), Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut bench = Bench::new();
                while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let counts = bench.run(script);
                    results.lock().unwrap().insert(script.name.clone(), counts);
                }
                wrong.lock().unwrap().append(&mut bench.wrong);
            });
        }
    });
    let (results, wrong) = (results.into_inner().unwrap(), wrong.into_inner().unwrap());
    let mut all = Counts::default();
    let mut table = String::new();
    for (name, counts) in &results {
        all.add(counts);
        let _ = writeln!(table, "{name}: {}", counts.row());
    }
    let _ = writeln!(table, "all {} files: {}", results.len(), all.row());
    println!("{} in {:?}", all.row(), start.elapsed());
    assert!(wrong.is_empty(), "{} wrong: {:#?}", wrong.len(), &wrong[..wrong.len().min(60)]);
    insta::assert_snapshot!("spec", table);
}
