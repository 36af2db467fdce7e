//! Call programs of the model's generator, on both engines, against the naive model.

use crate::programs::{Case, deploy, observe};
use crate::world::Source;
use cotenant_gas::Schedule;
use cotenant_host::engine::EngineKind;
use cotenant_host::registry::Registry;
use cotenant_submodules::model::for_each_program;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Programs before a registry is thrown away.
const PROGRAMS: u32 = 100;

struct Bench {
    schedule: Arc<Schedule>,
    registry: Arc<Registry>,
    programs: u32,
}

impl Bench {
    fn new() -> Self {
        let schedule = Schedule::for_protocol(88).unwrap_or_else(|error| panic!("{error}"));
        let registry = Arc::new(Registry::in_memory(schedule.clone(), &EngineKind::ALL));
        Self { schedule, registry, programs: 0 }
    }

    fn registry(&mut self) -> Arc<Registry> {
        self.programs += 1;
        if self.programs.is_multiple_of(PROGRAMS) {
            let registry = Registry::in_memory(self.schedule.clone(), &EngineKind::ALL);
            self.registry = Arc::new(registry);
        }
        self.registry.clone()
    }
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench::new());
}

/// The input is the seed of a program.
pub fn body(input: &[u8]) {
    let mut seed = [0; 8];
    let length = input.len().min(8);
    seed[..length].copy_from_slice(&input[..length]);
    for_each_program(1, u64::from_le_bytes(seed), |program| {
        let Some(case) = Case::new(program) else { return Ok(()) };
        let (schedule, registry) =
            BENCH.with_borrow_mut(|bench| (bench.schedule.clone(), bench.registry()));
        let account = Rc::new(deploy(&registry, &case.program)?);
        let mut first = None;
        for engine in EngineKind::ALL {
            let source = Rc::new(Source(registry.clone()));
            let gas = observe(&case, &schedule, source, account.clone(), engine)?;
            if *first.get_or_insert_with(|| gas.clone()) != gas {
                return Err(format!("gas differs on {engine}:\n{gas}\n{first:?}"));
            }
        }
        Ok(())
    });
}

/// A few numbers.
pub fn seeds() -> Vec<Vec<u8>> {
    (0..16_u64)
        .map(|seed| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes().to_vec())
        .collect()
}
