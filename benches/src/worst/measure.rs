//! Nanoseconds and gas: of warm calls, of the first call after a load, of a deploy.

use super::Settings;
use super::recipe::Recipe;
use crate::world::{CALL_GAS, World, context};
use anyhow::{Context as _, Result, anyhow};
use cotenant_gas::Schedule;
use cotenant_host::compile::Compile;
use cotenant_host::engine::EngineKind;
use cotenant_host::registry::Registry;
use cotenant_host::{Host, Options};
use cotenant_submodules::{ModuleId, Visibility};
use near_parameters::ActionCosts;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What a sample took.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Time, not corrected.
    pub nanos: f64,
    /// Gas burnt.
    pub gas: u64,
    /// Calls.
    pub calls: u64,
    /// Of them given up.
    pub gave_up: u64,
}

/// A sample ends after so long, whatever gas it has burnt by then.
const SAMPLE_TIME: Duration = Duration::from_millis(1_500);

/// Calls of a sample that burn next to nothing.
const CALLS_MAX: u64 = 2_000;

/// Processor time that this thread has used. Calls run on one thread, and what else the machine does is not theirs.
fn thread_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

/// What a call pays before its module runs: the receipt and the action. No root call comes without them.
fn receipt_gas(schedule: &Schedule) -> u64 {
    let costs = [ActionCosts::new_action_receipt, ActionCosts::function_call_base];
    costs.iter().map(|cost| schedule.fees.fee(*cost).exec_fee().gas.as_gas()).sum()
}

/// The modules of a recipe, compiled to bytes.
fn compile(recipe: &Recipe) -> Result<Vec<(&'static str, Visibility, Vec<u8>)>> {
    let modules = recipe.modules().into_iter();
    modules
        .map(|module| {
            let code = wat::parse_str(&module.text).with_context(|| {
                format!(
                    "a recipe that is no module: {}",
                    module.text.chars().take(2_000).collect::<String>()
                )
            })?;
            Ok((module.namespace, module.visibility, code))
        })
        .collect()
}

/// The median of a few samples on each engine, after one that does not count.
pub fn warm(recipe: &Recipe, settings: &Settings) -> Result<Vec<(EngineKind, Sample)>> {
    let modules = compile(recipe)?;
    let named: Vec<_> =
        modules.iter().map(|(name, kind, code)| (*name, *kind, code.as_slice())).collect();
    let values =
        HashMap::from([(b"hello".to_vec(), vec![7; 1_000]), (b"large".to_vec(), vec![7; 1 << 20])]);
    let world = World::new(&EngineKind::ALL, &named, values)?;
    let receipt = receipt_gas(&world.schedule);
    let mut found = Vec::new();
    for engine in EngineKind::ALL {
        let one = || {
            sample(settings, |gas| {
                let mut call = context("run", b"input".to_vec());
                call.gas = gas;
                let start = thread_time()?;
                let execution = world.call(engine, call)?;
                let time = thread_time()?.saturating_sub(start);
                // What goes on until its gas is gone can have 1,000 Tgas, beside which its receipt is nothing.
                let burnt = execution.gas_burnt;
                let paid = if burnt < gas { burnt + receipt } else { burnt };
                Ok((time, paid, execution.gave_up.is_some()))
            })
        };
        let first = one()?;
        // What is far from its aim needs no more than one look.
        let far = first.nanos * 1e3
            < first.gas as f64 * 0.5 * if engine == EngineKind::Wasmi { 10.0 } else { 1.0 };
        let samples = if far { 1 } else { settings.samples };
        let mut samples = (0..samples).map(|_| one()).collect::<Result<Vec<_>>>()?;
        samples.sort_by(|a, b| (a.nanos / a.gas as f64).total_cmp(&(b.nanos / b.gas as f64)));
        found.push((engine, samples[samples.len() / 2]));
    }
    Ok(found)
}

/// Calls until enough gas is burnt. A call gets what the sample still needs, but enough to begin.
fn sample(
    settings: &Settings,
    mut call: impl FnMut(u64) -> Result<(Duration, u64, bool)>,
) -> Result<Sample> {
    let mut sum = Sample { nanos: 0.0, gas: 0, calls: 0, gave_up: 0 };
    let start = Instant::now();
    while sum.gas < settings.sample_gas && sum.calls < CALLS_MAX && start.elapsed() < SAMPLE_TIME {
        let (time, gas, gave_up) = call(settings.sample_gas.min(CALL_GAS))?;
        sum.nanos += time.as_nanos() as f64;
        sum.gas += gas;
        sum.calls += 1;
        sum.gave_up += u64::from(gave_up);
    }
    if sum.gas == 0 {
        return Err(anyhow!("its calls burn no gas"));
    }
    Ok(sum)
}

/// The first call of a module in a process that has just opened its home: a load and an instance.
pub fn cold(recipe: &Recipe, settings: &Settings) -> Result<Vec<(EngineKind, Sample)>> {
    let modules = compile(recipe)?;
    let account = |namespace: &str| -> Result<ModuleId> {
        let name = if namespace.is_empty() {
            "alice.near".to_owned()
        } else {
            format!("alice.near:{namespace}")
        };
        name.parse().map_err(|error| anyhow!("{name}: {error}"))
    };
    let schedule = Schedule::for_protocol(88)?;
    let receipt = receipt_gas(&schedule);
    let mut found = Vec::new();
    for engine in EngineKind::ALL {
        let folder = tempfile::tempdir()?;
        let options =
            Options { engines: vec![engine], compile: Some(Compile::Wait), ..Options::default() };
        {
            let host = Host::open(folder.path(), &options)?;
            for (namespace, visibility, code) in &modules {
                host.deploy(&account(namespace)?, *visibility, code)?;
            }
        }
        let (root, mut failed) = (account("")?, None);
        let one = sample(settings, |_| {
            let host = Host::open(folder.path(), &options)?;
            let start = thread_time()?;
            let view = host.view(&root, "nothing", &[])?;
            let time = thread_time()?.saturating_sub(start);
            failed = failed.take().or(view.abort);
            Ok((time, view.gas_burnt + receipt, view.gave_up.is_some()))
        })?;
        if let Some(abort) = failed {
            return Err(anyhow!("{}: {}", recipe.name, abort.message));
        }
        found.push((engine, one));
    }
    Ok(found)
}

/// What a deploy takes up to where the module can be called, over what its action costs.
pub fn deploys(recipes: &[Recipe], settings: &Settings) -> Result<Vec<(String, Sample)>> {
    let schedule = Schedule::for_protocol(88)?;
    let shapes = recipes.iter().filter(|recipe| recipe.family == "shapes");
    let mut codes = Vec::new();
    for recipe in shapes {
        let Some((_, _, code)) = compile(recipe)?.into_iter().next() else { continue };
        codes.push((recipe.name.clone(), code));
    }
    codes.push(("counter".to_owned(), cotenant_contracts::counter().to_vec()));
    for attacker in cotenant_contracts::attackers() {
        codes.push((attacker.name.to_owned(), attacker.bytes.to_vec()));
    }
    let fee = |cost: ActionCosts, units: u64| {
        let fee = schedule.fees.fee(cost);
        (fee.exec_fee().gas.as_gas() + fee.send_fee(true).gas.as_gas()) * units
    };
    let mut found = Vec::new();
    for (name, code) in codes {
        // A refused deploy pays as much as one that succeeds.
        let gas = fee(ActionCosts::new_action_receipt, 1)
            + fee(ActionCosts::deploy_contract_base, 1)
            + fee(ActionCosts::deploy_contract_byte, code.len() as u64);
        let one = sample(settings, |_| {
            let registry = Registry::in_memory(schedule.clone(), &[EngineKind::Wasmi]);
            let start = thread_time()?;
            let _ = registry.deploy(&code, Visibility::Public);
            Ok((thread_time()?.saturating_sub(start), gas, false))
        })?;
        found.push((name, one));
    }
    Ok(found)
}
