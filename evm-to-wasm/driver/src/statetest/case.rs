//! The cases of one file.
//!
//! What revm's own runner does beside running: gas parameters and blobs a transaction by fork, the block's
//! environment by revm's own types, and a transaction that cannot even be built counts as rejected.

use super::roots::{logs_hash, state_root};
use super::{Failure, Options, Report, TestFile};
use crate::compare::{cut, differences, state_differences};
use crate::modules::Modules;
use crate::world::{Ran, World};
use evm_parent::fork_of;
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::database::CacheState;
use revm::primitives::U256;
use revm::primitives::hardfork::SpecId;
use revm_statetest_types::{SpecName, Test, TestSuite, TestUnit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Bytes of what is said of a failure, at most.
const REASON_BYTES_MAX: usize = 4_096;

/// revm's fork of a name in a fixture; `None` for one that revm leaves out or does not know.
pub fn spec_of(name: &SpecName) -> Option<SpecId> {
    match name {
        SpecName::Constantinople | SpecName::ByzantiumToConstantinopleAt5 | SpecName::Unknown => {
            None
        }
        name => Some(name.to_spec_id()),
    }
}

/// The configuration of a fork and the block of a test under it.
pub fn block_and_config(unit: &TestUnit, spec: SpecId) -> (BlockEnv, CfgEnv) {
    let mut config = CfgEnv::default();
    let chain_id = unit.env.current_chain_id.unwrap_or(U256::ONE);
    config.chain_id = chain_id.try_into().unwrap_or(1);
    config.set_spec_and_mainnet_gas_params(spec);
    // EIP-7691 has nine blobs a block, EIP-7594 six a transaction.
    let blobs = if spec == SpecId::PRAGUE { 9 } else { 6 };
    config.set_max_blobs_per_tx(blobs);
    let block = unit.block_env(&mut config);
    (block, config)
}

/// A file that is left out whole.
pub(super) fn skip_all(file: &TestFile, reason: &str, options: &Options) -> Report {
    let mut report = Report::default();
    let Ok(suite) = serde_json::from_slice::<serde_json::Value>(&file.bytes) else {
        report.failures.push(failure(file, "", 0, "it is not JSON".to_owned()));
        report.failed = 1;
        return report;
    };
    for (name, unit) in suite.as_object().into_iter().flatten() {
        if !wanted(options, file, name) {
            continue;
        }
        let forks = unit.get("post").and_then(serde_json::Value::as_object);
        for (fork, cases) in forks.into_iter().flatten() {
            let spec = serde_json::from_value(fork.clone().into()).ok().as_ref().and_then(spec_of);
            let cases = cases.as_array().map_or(0, Vec::len) as u64;
            match options.fork {
                Some(wanted) if spec != Some(wanted) => {}
                _ if spec.and_then(fork_of).is_none() => {
                    report.skip(file, unsupported(fork), cases);
                }
                _ => report.skip(file, reason.to_owned(), cases),
            }
        }
    }
    report
}

fn wanted(options: &Options, file: &TestFile, test: &str) -> bool {
    options.filter.as_ref().is_none_or(|text| file.name.contains(text) || test.contains(text))
}

fn unsupported(fork: &str) -> String {
    format!("fork {fork}: the compiler knows Cancun, Prague and Osaka")
}

fn failure(file: &TestFile, test: &str, index: usize, reason: String) -> Failure {
    let reason = cut(&reason, REASON_BYTES_MAX).into_owned();
    Failure { file: file.name.clone(), test: test.to_owned(), index, reason }
}

/// Runs all cases of a file.
pub(super) fn run(file: &TestFile, options: &Options, modules: Option<&Rc<Modules>>) -> Report {
    let mut report = Report::default();
    let suite = match serde_json::from_slice::<TestSuite>(&file.bytes) {
        Ok(suite) => suite,
        Err(error) => {
            report.failed = 1;
            report.failures.push(failure(file, "", 0, format!("not a state test: {error}")));
            return report;
        }
    };
    for (name, unit) in &suite.0 {
        if !wanted(options, file, name) {
            continue;
        }
        // revm's types panic on some numbers that make no sense.
        let ran = catch_unwind(AssertUnwindSafe(|| run_unit(file, name, unit, options, modules)));
        report.add(ran.unwrap_or_else(|_| Report {
            failed: 1,
            failures: vec![failure(file, name, 0, "the test panicked".to_owned())],
            ..Report::default()
        }));
    }
    report
}

fn run_unit(
    file: &TestFile,
    name: &str,
    unit: &TestUnit,
    options: &Options,
    modules: Option<&Rc<Modules>>,
) -> Report {
    let mut report = Report::default();
    let pre = unit.state();
    for (fork, tests) in &unit.post {
        let spec = spec_of(fork);
        match (spec, options.fork) {
            (spec, Some(wanted)) if spec != Some(wanted) => continue,
            (Some(spec), _) if fork_of(spec).is_some() => {}
            _ => {
                report.skip(file, unsupported(&format!("{fork:?}")), tests.len() as u64);
                continue;
            }
        }
        let Some(spec) = spec else { continue };
        let (block, config) = block_and_config(unit, spec);
        let world = World { pre: pre.clone(), block, config };
        for (index, test) in tests.iter().enumerate() {
            let case = Case { unit, test, world: &world };
            match case.check(modules, &mut report) {
                Ok(()) => report.passed += 1,
                Err(reason) => {
                    report.failed += 1;
                    report.failures.push(failure(file, name, index, reason));
                }
            }
        }
    }
    report
}

/// One case: a transaction under a fork.
struct Case<'a> {
    unit: &'a TestUnit,
    test: &'a Test,
    world: &'a World,
}

impl Case<'_> {
    fn check(&self, modules: Option<&Rc<Modules>>, report: &mut Report) -> Result<(), String> {
        let expects_exception = self.test.expect_exception.as_deref();
        let transaction = match (self.test.tx_env(self.unit), expects_exception) {
            (Ok(transaction), _) => transaction,
            (Err(_), Some(_)) => return Ok(()),
            (Err(error), None) => return Err(error.to_string()),
        };
        let (ran, post) = self.world.commit(&transaction, modules);
        report.count(&ran.counts);
        let judged = match ran.counts.faults.first() {
            Some(fault) => Err(fault.clone()),
            None => self.judge(&ran, &post, expects_exception),
        };
        judged.map_err(|reason| format!("{reason}{}", self.told_by_revm(&transaction, &ran, &post)))
    }

    fn judge(&self, ran: &Ran, post: &CacheState, exception: Option<&str>) -> Result<(), String> {
        let logs = match (&ran.outcome, exception) {
            (Ok(result), None) => result.logs(),
            (Err(_), Some(_)) => &[],
            (Ok(_), Some(exception)) => {
                return Err(format!("the transaction ran, expected was {exception}"));
            }
            (Err(error), None) => return Err(format!("the transaction was rejected: {error}")),
        };
        let (found, expected) = (logs_hash(logs), self.test.logs);
        if found != expected {
            return Err(format!("hash of the logs is {found}, expected {expected}"));
        }
        let (found, expected) = (state_root(post), self.test.hash);
        if found != expected {
            return Err(format!("root of the state is {found}, expected {expected}"));
        }
        Ok(())
    }

    /// How revm's interpreter differs on the same case: what a person wants to know of a failure.
    fn told_by_revm(&self, transaction: &TxEnv, ran: &Ran, post: &CacheState) -> String {
        if ran.counts.compiled_frames == 0 {
            return String::new();
        }
        let (peer, peers_post) = self.world.commit(transaction, None);
        let mut told = match (&ran.outcome, &peer.outcome) {
            (Ok(ours), Ok(theirs)) => differences(ours, theirs),
            _ => Vec::new(),
        };
        told.extend(state_differences(post, &peers_post));
        told.iter().map(|difference| format!("; {difference}")).collect()
    }
}
