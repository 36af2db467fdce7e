//! One case: checked against revm, then timed in turns.

use super::handwritten;
use super::{Case, Row};
use crate::counts::Counts;
use crate::frame::Speaker;
use crate::modules::{CompiledModule, ModuleOptions, Modules, Prices, nanos};
use crate::world::Ran;
use cotenant_gas::UnknownProtocol;
use cotenant_host::HostFault;
use cotenant_host::engine::EngineKind;
use cotenant_host::exec::SessionError;
use evm_to_wasm::Keccak;
use revm::context::result::ExecutionResult;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Time that the runs of a case may take; they end there, but not before [`RUNS_MIN`].
const CASE_TIME: Duration = Duration::from_secs(6);

/// The fewest runs of a case, if as many are asked for: there is no median of less.
const RUNS_MIN: usize = 3;

/// Modules to measure with.
pub struct Rig {
    granted: Rc<Modules>,
    own: Rc<Modules>,
    counting: Rc<Modules>,
}

/// Why a case could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// It does not do what revm does.
    #[error("{name}: {}", differences.join("; "))]
    Differs {
        /// Which case.
        name: String,
        /// How it differs.
        differences: Vec<String>,
    },
    /// revm rejects the transaction.
    #[error("{name}: revm rejects the transaction: {reason}")]
    Rejected {
        /// Which case.
        name: String,
        /// Why.
        reason: String,
    },
    /// Frames were interpreted.
    #[error("{name}: {frames} frames were interpreted: {}", reasons.join("; "))]
    Interpreted {
        /// Which case.
        name: String,
        /// How many.
        frames: u64,
        /// Contracts that have no module.
        reasons: Vec<String>,
    },
    /// The host does not start a module that it has run.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The host failed.
    #[error(transparent)]
    Host(#[from] HostFault),
    /// No prices for the host.
    #[error(transparent)]
    Protocol(#[from] UnknownProtocol),
}

impl Rig {
    /// Modules on an engine: with granted keccak, with their own, and some whose gas counts operators.
    ///
    /// # Errors
    /// No prices for the host.
    pub fn new(engine: EngineKind) -> Result<Self, MeasureError> {
        let with = |keccak, prices| {
            Modules::new(ModuleOptions { keccak, prices, ..ModuleOptions::new(engine) })
        };
        Ok(Self {
            granted: with(Keccak::Host, Prices::Near)?,
            own: with(Keccak::Own, Prices::Near)?,
            counting: with(Keccak::Own, Prices::Operators)?,
        })
    }

    /// Measures a case.
    ///
    /// # Errors
    /// It differs from revm, or cannot run.
    pub fn measure(&self, case: &Case, runs: u32) -> Result<Row, MeasureError> {
        let peer = case.world.run(&case.transaction, None);
        let result = match &peer.outcome {
            Ok(result) => result,
            Err(reason) => {
                let (name, reason) = (case.name.clone(), reason.clone());
                return Err(MeasureError::Rejected { name, reason });
            }
        };
        let operators = checked(case, &peer, &self.counting)?.counts.host_gas;
        checked(case, &peer, &self.own)?;
        self.granted.watch();
        let first = checked(case, &peer, &self.granted);
        let opened = self.granted.watched();
        let counts = first?.counts;
        let times = self.times(case, &opened, runs)?;
        Ok(row(case, result, &counts, operators, &opened, &times))
    }

    fn times(
        &self,
        case: &Case,
        opened: &[Rc<CompiledModule>],
        runs: u32,
    ) -> Result<Times, MeasureError> {
        let mut times = Times::default();
        let run = |modules: Option<&Rc<Modules>>| case.world.run(&case.transaction, modules).nanos;
        let program = handwritten::program(&case.name, &case.transaction.data);
        let begun = Instant::now();
        for _ in 0..runs {
            if times.revm.len() >= RUNS_MIN && begun.elapsed() > CASE_TIME {
                break;
            }
            times.revm.push(run(None));
            times.granted.push(run(Some(&self.granted)));
            times.own.push(run(Some(&self.own)));
            times.start.push(starts(&self.granted, opened)?);
            if let Some(program) = &program {
                let start = Instant::now();
                program();
                times.handwritten.push(nanos(start));
            }
        }
        Ok(times)
    }
}

/// Times of all runs.
#[derive(Default)]
struct Times {
    revm: Vec<u64>,
    granted: Vec<u64>,
    own: Vec<u64>,
    start: Vec<u64>,
    handwritten: Vec<u64>,
}

/// Runs a case and compares it with revm. What it compiles on the way is not timed later.
fn checked(case: &Case, peer: &Ran, modules: &Rc<Modules>) -> Result<Ran, MeasureError> {
    let ran = case.world.run(&case.transaction, Some(modules));
    let differences = ran.differences(peer);
    let name = case.name.clone();
    if !differences.is_empty() {
        return Err(MeasureError::Differs { name, differences });
    }
    let frames = ran.counts.interpreted_frames;
    if frames > 0 {
        return Err(MeasureError::Interpreted { name, frames, reasons: modules.errors() });
    }
    Ok(ran)
}

/// Time to start modules and nothing else: a session, in which each is opened and resumed with no gas, so that it halts at its first
/// check, in nanoseconds.
fn starts(modules: &Rc<Modules>, opened: &[Rc<CompiledModule>]) -> Result<u64, MeasureError> {
    let input = evm_parent::input_without_gas();
    let start = Instant::now();
    let session = modules.session();
    session.enter(|| -> Result<(), MeasureError> {
        for module in opened {
            Speaker::open(&session, modules, &module.namespace)?.run_dry(input.clone())?;
        }
        Ok(())
    })?;
    Ok(nanos(start))
}

fn row(
    case: &Case,
    result: &ExecutionResult,
    counts: &Counts,
    wasm_operators: u64,
    opened: &[Rc<CompiledModule>],
    times: &Times,
) -> Row {
    let start_nanos = median(&times.start);
    let revm_nanos = median(&times.revm);
    let compiled_nanos = median(&times.granted).saturating_sub(start_nanos).max(1);
    let own = median(&times.own).saturating_sub(start_nanos).max(1);
    let modules: BTreeMap<_, _> =
        opened.iter().map(|module| (module.namespace.clone(), module)).collect();
    let sum = |of: fn(&CompiledModule) -> u64| modules.values().map(|module| of(module)).sum();
    Row {
        name: case.name.clone(),
        file: case.file.clone(),
        evm_gas: result.tx_gas_used(),
        revm_nanos,
        compiled_nanos,
        compiled_own_keccak_nanos: own,
        handwritten_nanos: (!times.handwritten.is_empty()).then(|| median(&times.handwritten)),
        start_nanos,
        speedup: revm_nanos as f64 / compiled_nanos as f64,
        yields: counts.yields,
        modules: modules.len() as u64,
        bytecode_bytes: sum(|module| module.report.bytecode_bytes as u64),
        wasm_bytes: sum(|module| module.wasm_bytes),
        compile_nanos: sum(|module| module.compile_nanos),
        native_compile_nanos: sum(|module| module.native_compile_nanos),
        wasm_operators,
    }
}

fn median(nanos: &[u64]) -> u64 {
    let mut sorted = nanos.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle)) {
        (1, Some(median)) => *median,
        (_, Some(upper)) => sorted[middle - 1].midpoint(*upper),
        (_, None) => 0,
    }
}
