//! `calls`: what starting, switching and calling cost on cranelift, beside near-vm-runner and corosensei in
//! the same run.

use crate::metering::{self, KernelTimes};
use crate::near::Near;
use crate::stats::{Pair, Spread, nanos_each, pair, sample};
use crate::world::{CALL_GAS, World, namespace, suspended, to_the_end};
use crate::{modules, table};
use anyhow::{Result, bail};
use corosensei::{Coroutine, CoroutineResult};
use cotenant_host::engine::{EngineKind, bracket};
use cotenant_host::exec::{Progress, Session};
use cotenant_submodules::Grants;
use cotenant_submodules::Visibility::{Private, Public};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

const ENGINE: EngineKind = EngineKind::Cranelift;

/// Modules on top of each other for `yield_resume_nested8`.
const NESTED: u64 = 8;

/// Submodules suspended at once.
const LIVE: u64 = 1_000;

/// Operations that one clock reading covers: starts, switches, calls.
const STARTS: u64 = 200;
const SWITCHES: u64 = 2_000;
const CALLS: u64 = 100;

/// The object that `calls --json` prints. Times are medians, in nanoseconds.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Open a private module, resume it, let an empty method return, through pooled instances.
    open_start_return_nanos: f64,
    /// A private module yields eight bytes and gets eight back.
    yield_resume_nanos: f64,
    /// The same through eight modules that hand it on, for each of them.
    yield_resume_nested8_nanos_per_hop: f64,
    /// corosensei alone, no Wasm.
    bare_coroutine_roundtrip_nanos: f64,
    /// A trap record of wasmer's installed and removed, nothing run: what each outermost switch pays.
    bracket_nanos: f64,
    /// Submodules suspended at once.
    live_suspended: u64,
    /// Resident memory that they took, for each: stacks, instance, memory, records.
    rss_bytes_per_suspended: u64,
    /// near-vm-runner, warm, its in-memory cache in use: an empty method.
    near_vm_runner_smallest_call_nanos: f64,
    /// The same module as a public root call here.
    cotenant_smallest_call_nanos: f64,
    /// near-vm-runner, warm: `increment` of the near-sdk counter.
    near_vm_runner_warm_call_nanos: f64,
    /// The same here.
    cotenant_warm_call_nanos: f64,
    /// Gas that the warm call burns, on both.
    warm_call_gas: u64,
    /// Metered over bare time, geometric mean of the kernels.
    metering_overhead_geomean: f64,
    /// The kernels.
    metering: Vec<KernelTimes>,
    /// Every ratio: both sides, taken in turns, and the ratio pair by pair.
    ratios: BTreeMap<&'static str, Pair>,
    /// Median, least and largest of what has no other side.
    spreads: BTreeMap<&'static str, Spread>,
    /// Runs of each measurement.
    runs: usize,
    /// Which engine.
    engine: &'static str,
}

/// Resident bytes of this process. `smaps_rollup` counts; `statm` would be late by some pages a CPU.
fn resident_bytes() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    match kib {
        Some(kib) => Ok(kib * 1_024),
        None => bail!("/proc/self/smaps_rollup has no Rss"),
    }
}

/// Suspends [`LIVE`] modules and gives what each took. To be measured first, before any pool is filled.
fn resident_each(world: &World) -> Result<u64> {
    let (session, name) = (world.session(ENGINE), namespace("pinger"));
    drop(suspended(&session, &name, "ping", &u64::MAX.to_le_bytes())?);
    let mut all = Vec::with_capacity(LIVE as usize);
    let before = resident_bytes()?;
    for _ in 0..LIVE {
        all.push(suspended(&session, &name, "ping", &u64::MAX.to_le_bytes())?);
    }
    let after = resident_bytes()?;
    for live in &mut all {
        if !matches!(live.resume(vec![7; 8])?, Progress::Yielded(_)) {
            bail!("a suspended module did not go on");
        }
    }
    Ok(after.saturating_sub(before) / LIVE)
}

fn start_nanos(world: &World) -> Result<f64> {
    let (session, name) = (world.session(ENGINE), namespace("small"));
    nanos_each(STARTS, || {
        for _ in 0..STARTS {
            to_the_end(&session, &name, "noop", Vec::new())?;
        }
        Ok(())
    })
}

/// Nanoseconds of opening a module, running it to its first yield and dropping it there.
fn close_nanos(world: &World) -> Result<f64> {
    let (session, name) = (world.session(ENGINE), namespace("small"));
    nanos_each(STARTS, || {
        for _ in 0..STARTS {
            drop(suspended(&session, &name, "yields", &[])?);
        }
        Ok(())
    })
}

/// Nanoseconds of a yield's round trip between a session and the top of a stack of modules.
fn yield_nanos(session: &Session, top: &str) -> Result<f64> {
    session.enter(|| {
        let first = (SWITCHES + 1).to_le_bytes();
        let mut live = suspended(session, &namespace(top), "ping", &first)?;
        nanos_each(SWITCHES, || {
            for _ in 0..SWITCHES {
                if !matches!(live.resume(vec![7; 8])?, Progress::Yielded(_)) {
                    bail!("`{top}` stopped yielding");
                }
            }
            Ok(())
        })
    })
}

/// One of the measured paths alone, for a profiler: its nanoseconds, run by run.
pub fn path(name: &str, runs: usize) -> Result<Vec<f64>> {
    let world = submodules()?;
    let mut one: Box<dyn FnMut() -> Result<f64>> = match name {
        "start" => Box::new(|| start_nanos(&world)),
        "yield" => Box::new(|| yield_nanos(&world.session(ENGINE), "pinger")),
        "close" => Box::new(|| close_nanos(&world)),
        "call" => {
            let counter = cotenant_contracts::counter();
            let mut near = Near::new(&world.schedule, counter)?;
            near.burnt("new")?;
            let ours = World::new(&[ENGINE], &[("", Public, counter)], near.storage())?;
            Box::new(move || ours.nanos(ENGINE, "increment", &[], CALLS))
        }
        "hash" => {
            let code = wat::parse_str(modules::HASHER)?;
            let world = World::new(&[ENGINE], &[("hasher", Private, &code)], HashMap::new())?;
            Box::new(move || hash_nanos(&world))
        }
        other => bail!("no path `{other}`: start, yield, close, call or hash"),
    };
    (0..runs).map(|_| one()).collect()
}

/// A granted hash and reading it.
fn hash_nanos(world: &World) -> Result<f64> {
    let session = world.session(ENGINE);
    let mut live = session.open(&namespace("hasher"), "hash", CALL_GAS, Grants::ALL)?;
    nanos_each(1_000, || match live.resume(Vec::new())? {
        Progress::Done(_) => Ok(()),
        other => bail!("the hasher was to return: {other:?}"),
    })
}

fn coroutine_nanos() -> Result<f64> {
    let mut coroutine = Coroutine::new(|yielder, first: u64| {
        let mut sum = first;
        while sum != u64::MAX {
            sum = yielder.suspend(sum);
        }
        sum
    });
    let nanos = nanos_each(SWITCHES, || {
        for value in 0..SWITCHES {
            if let CoroutineResult::Return(_) = coroutine.resume(std::hint::black_box(value)) {
                bail!("the coroutine ended");
            }
        }
        Ok(())
    });
    coroutine.resume(u64::MAX);
    nanos
}

fn bracket_nanos() -> Result<f64> {
    nanos_each(SWITCHES, || {
        for _ in 0..SWITCHES {
            bracket(|| ());
        }
        Ok(())
    })
}

/// The modules that sessions open.
fn submodules() -> Result<World> {
    let small = wat::parse_str(modules::SMALL)?;
    let names: Vec<String> = (1..=NESTED).map(|level| format!("level{level}")).collect();
    let mut forwarders = Vec::new();
    for below in names.iter().skip(1) {
        forwarders.push(wat::parse_str(modules::forwarder(below))?);
    }
    let pinger = cotenant_contracts::pinger();
    let mut all = vec![("small", Private, small.as_slice()), ("pinger", Private, pinger)];
    for (name, code) in names.iter().zip(&forwarders) {
        all.push((name.as_str(), Private, code.as_slice()));
    }
    if let Some(bottom) = names.last() {
        all.push((bottom.as_str(), Private, pinger));
    }
    World::new(&[ENGINE], &all, HashMap::new())
}

fn equal_gas(what: &str, ours: u64, near: u64) -> Result<u64> {
    if ours != near {
        bail!("{what} burns {ours} gas here and {near} on near-vm-runner");
    }
    Ok(ours)
}

/// Measures everything.
pub fn measure(runs: usize) -> Result<Report> {
    let world = submodules()?;
    let rss_bytes_per_suspended = resident_each(&world)?;

    let noop = wat::parse_str(modules::PUBLIC_NOOP)?;
    let root = World::new(&[ENGINE], &[("", Public, &noop)], HashMap::new())?;
    let mut near = Near::new(&world.schedule, &noop)?;
    equal_gas("the empty call", root.burnt(ENGINE, "noop", &[])?, near.burnt("noop")?)?;

    let start = pair(runs, || start_nanos(&world), || near.nanos("noop", CALLS))?;
    let smallest =
        pair(runs, || root.nanos(ENGINE, "noop", &[], CALLS), || near.nanos("noop", CALLS))?;

    let counter = cotenant_contracts::counter();
    let mut near_counter = Near::new(&world.schedule, counter)?;
    near_counter.burnt("new")?;
    let stored = near_counter.storage();
    let ours = World::new(&[ENGINE], &[("", Public, counter)], stored)?;
    let warm_call_gas = equal_gas(
        "`increment`",
        ours.burnt(ENGINE, "increment", &[])?,
        near_counter.burnt("increment")?,
    )?;
    let warm = pair(
        runs,
        || ours.nanos(ENGINE, "increment", &[], CALLS),
        || near_counter.nanos("increment", CALLS),
    )?;

    let switch = pair(runs, || yield_nanos(&world.session(ENGINE), "pinger"), coroutine_nanos)?;
    let nested = pair(
        runs,
        || Ok(yield_nanos(&world.session(ENGINE), "level1")? / NESTED as f64),
        coroutine_nanos,
    )?;
    let bracket = sample(runs, bracket_nanos)?;
    let (metering_overhead_geomean, metering) = metering::measure()?;

    Ok(Report {
        open_start_return_nanos: start.left.median,
        yield_resume_nanos: switch.left.median,
        yield_resume_nested8_nanos_per_hop: nested.left.median,
        bare_coroutine_roundtrip_nanos: switch.right.median,
        bracket_nanos: bracket.median,
        live_suspended: LIVE,
        rss_bytes_per_suspended,
        near_vm_runner_smallest_call_nanos: smallest.right.median,
        cotenant_smallest_call_nanos: smallest.left.median,
        near_vm_runner_warm_call_nanos: warm.right.median,
        cotenant_warm_call_nanos: warm.left.median,
        warm_call_gas,
        metering_overhead_geomean,
        metering,
        ratios: BTreeMap::from([
            ("open_start_return_over_near_smallest_call", start),
            ("cotenant_over_near_smallest_call", smallest),
            ("cotenant_over_near_warm_call", warm),
            ("yield_resume_over_bare_coroutine", switch),
            ("yield_resume_nested8_per_hop_over_bare_coroutine", nested),
        ]),
        spreads: BTreeMap::from([("bracket_nanos", bracket)]),
        runs,
        engine: ENGINE.name(),
    })
}

impl Report {
    /// The report for people.
    pub fn print(&self) {
        let mut rows = vec![table::row(["ns", "median", "min", "max"])];
        let mut ratios = vec![table::row(["ratio", "median", "min", "max"])];
        for (name, one) in &self.ratios {
            let (left, right) = name.split_once("_over_").unwrap_or((name, ""));
            rows.push(one.left.row(left, 0));
            rows.push(one.right.row(&format!("  {right}, beside it"), 0));
            ratios.push(one.ratio.row(name, 3));
        }
        for (name, one) in &self.spreads {
            rows.push(one.row(name, 0));
        }
        for one in &self.metering {
            let pair = &one.metered_over_bare;
            rows.push(pair.left.row(&format!("{} metered", one.kernel), 0));
            rows.push(pair.right.row(&format!("{} bare", one.kernel), 0));
            ratios.push(pair.ratio.row(&format!("{} metered over bare", one.kernel), 3));
        }
        table::print(&rows);
        println!();
        table::print(&ratios);
        println!();
        println!("metering, geometric mean  {:.3}", self.metering_overhead_geomean);
        println!("gas of the warm call      {}", self.warm_call_gas);
        println!(
            "{} suspended at once: {} bytes resident each",
            self.live_suspended, self.rss_bytes_per_suspended
        );
        println!("engine {}, {} runs of each", self.engine, self.runs);
    }
}
