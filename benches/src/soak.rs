//! `soak`: the published benchmark at 10,000 loops on near-vm-runner and here, in turns.

use crate::near::Near;
use crate::stats::{Pair, pair};
use crate::world::World;
use anyhow::{Result, bail};
use cotenant_host::engine::EngineKind;
use cotenant_submodules::Visibility;
use serde::Serialize;
use std::collections::HashMap;

const ENGINE: EngineKind = EngineKind::Cranelift;
const LOOPS: &str = "10000";
const METHOD: &str = "cpu_ram_soak";

/// Calls that one clock reading covers.
const CALLS: u64 = 10;

/// The object that `soak --json` prints.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Loops of the benchmark.
    pub loops: u64,
    /// Gas burnt, equal on both.
    pub gas_vm: u64,
    /// Nanoseconds here, there, and the ratio.
    pub cotenant_over_near: Pair,
    /// Runs of each side.
    pub runs: usize,
    /// Our engine.
    pub engine: &'static str,
}

/// Measures it.
pub fn measure(runs: usize) -> Result<Report> {
    let code = cotenant_contracts::soak();
    let world = World::new(&[ENGINE], &[("", Visibility::Public, code)], HashMap::new())?;
    let mut near = Near::new(&world.schedule, code)?;
    near.set_input(LOOPS.as_bytes());
    let gas_vm = near.burnt(METHOD)?;
    let ours = world.burnt(ENGINE, METHOD, LOOPS.as_bytes())?;
    if ours != gas_vm {
        bail!("soak burns {ours} gas here and {gas_vm} on near-vm-runner");
    }
    let cotenant_over_near = pair(
        runs,
        || world.nanos(ENGINE, METHOD, LOOPS.as_bytes(), CALLS),
        || near.nanos(METHOD, CALLS),
    )?;
    let loops = LOOPS.parse()?;
    Ok(Report { loops, gas_vm, cotenant_over_near, runs, engine: ENGINE.name() })
}

impl Report {
    /// What near-vm-runner takes.
    pub fn nanos_near(&self) -> f64 {
        self.cotenant_over_near.right.median
    }

    /// The report for people.
    pub fn print(&self) {
        let Pair { left, right, ratio } = &self.cotenant_over_near;
        crate::table::print(&[
            crate::table::row(["soak at 10,000 loops", "median", "min", "max"]),
            left.row("cotenant, ns", 0),
            right.row("near-vm-runner, ns", 0),
            ratio.row("ratio", 3),
        ]);
        println!("gas_vm {}, engine {}, {} runs", self.gas_vm, self.engine, self.runs);
    }
}
