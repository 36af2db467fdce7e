//! Rows of the benchmark: gas of the first transaction on a fresh engine, time of that and the next ones.
//!
//! Each mode has a host of its own, in which the same workload runs in the same blocks, so that what a contract makes
//! of number and time is the same in all of them.

use super::engine::{CHAIN_ID, EngineContract, WorldState, result_of};
use super::report::{self, Row};
use super::{Mode, SPEC};
use crate::console::Console;
use crate::evm::sign::{key, signed};
use crate::failure::{Exit, Failure};
use anyhow::{Context, Result};
use cotenant_gas::Schedule;
use cotenant_host::engine::EngineKind;
use cotenant_host::runtime::{Block, Status, TransactionOutcome};
use cotenant_host::{Call, Host};
use cotenant_submodules::calls::{CallNode, GasPart, GasProfile};
use cotenant_submodules::{ModuleId, Visibility};
use engine_abi::{Status as EvmStatus, TransactionResult};
use evm_driver::workloads::Workload;
use near_parameters::ExtCosts;
use revm::context::TxEnv;
use revm::context::result::ExecutionResult;
use revm::primitives::{Address, TxKind, U256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time a row may take; the runs end there.
const ROW_TIME: Duration = Duration::from_secs(3);

/// The raised limit of gas, 100,000 Tgas: what is measured beyond a chain's own limit burns less.
const GAS_MAX: u64 = 100_000_000_000_000_000;

/// Bytes of a transaction: the engine with an interpreter in it is larger than NEAR takes.
const TRANSACTION_BYTES_MAX: u64 = 4 << 20;

/// Blocks from the start of one workload to the next. More than all its transactions make.
const BLOCKS: u64 = 1_000_000;

/// An account without code, which a transaction reaches and does nothing at.
const NOBODY: Address = Address::repeat_byte(0xee);

/// The rows so far, and what all modes and engines have to agree in.
pub(super) struct Bench {
    schedule: Arc<Schedule>,
    runs: u32,
    rows: Vec<Row>,
    states: BTreeMap<&'static str, WorldState>,
    gas: BTreeMap<(Mode, &'static str), GasProfile>,
}

/// What transactions burnt, and what came of them.
#[derive(Default)]
struct Burnt {
    profile: GasProfile,
    gas_vm_max: u64,
    evm_gas: u64,
    yields: u64,
    nanos: u64,
    results: Vec<TransactionResult>,
    /// The blocks they were in.
    blocks: Vec<Block>,
}

impl Bench {
    /// A benchmark at the prices of a protocol version.
    pub(super) fn new(protocol: u32, runs: u32) -> Result<Self> {
        let schedule = Schedule::for_protocol(protocol)?;
        let (rows, states, gas) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self { schedule, runs, rows, states, gas })
    }

    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// Measures workloads in a mode on an engine.
    pub(super) fn measure(
        &mut self,
        mode: Mode,
        engine: EngineKind,
        workloads: &[Workload],
        console: &Console,
    ) -> Result<()> {
        let host = Host::in_memory_with(
            self.schedule.with_limits(GAS_MAX, TRANSACTION_BYTES_MAX),
            &[engine],
        )?;
        for workload in workloads {
            let what = format!("{} {} on {engine}", workload.name, mode.name());
            console.detail(format_args!("{what}"));
            let row = match mode {
                Mode::Handwritten => self.handwritten(&host, engine, workload)?,
                Mode::Interpreted | Mode::Compiled | Mode::CompiledWasmInWasm => {
                    Some(self.in_engine(&host, mode, engine, workload).context(what)?)
                }
            };
            self.rows.extend(row);
        }
        Ok(())
    }

    fn in_engine(
        &mut self,
        host: &Host,
        mode: Mode,
        engine: EngineKind,
        workload: &Workload,
    ) -> Result<Row> {
        let position = report::position(workload.name) as u64;
        let account = format!("w{position}.near").parse()?;
        let contract = EngineContract::with(host, account, GAS_MAX, mode, workload)?;
        let height = host.runtime().head()?.height;
        host.runtime().advance_blocks(((position + 1) * BLOCKS).saturating_sub(height))?;
        let mut burnt = self.run(&contract, &workload.transactions)?;
        let expected = natively(workload, &burnt.blocks)?;
        for (ours, theirs) in burnt.results.iter().zip(&expected) {
            check(mode, ours, theirs)?;
        }
        self.agree(workload.name, contract.state()?)?;
        // What a transaction costs that does nothing: who sent it, and its hash, are the engine's work.
        let idle = workload.transactions.iter().map(|transaction| TxEnv {
            kind: TxKind::Call(NOBODY),
            value: U256::ZERO,
            ..transaction.clone()
        });
        contract.fill(workload)?;
        let own = self.run(&contract, &idle.collect::<Vec<_>>())?.profile;
        let own = own.part(GasPart::Crypto);
        burnt.profile = shifted(burnt.profile, GasPart::Crypto, GasPart::Host, own)?;
        let (mut nanos, mut spent) = (vec![burnt.nanos], burnt.nanos);
        while nanos.len() < self.runs as usize && u128::from(spent) < ROW_TIME.as_nanos() {
            // From the same state again, so that each run does the same.
            contract.fill(workload)?;
            nanos.push(self.run(&contract, &workload.transactions)?.nanos);
            spent += nanos.last().copied().unwrap_or(0);
        }
        self.row(workload.name, mode, engine, &burnt, nanos)
    }

    /// That a workload leaves the state that it left in other modes and on other engines.
    fn agree(&mut self, workload: &'static str, state: WorldState) -> Result<()> {
        let agreed = self.states.entry(workload).or_insert_with(|| state.clone());
        if *agreed == state {
            return Ok(());
        }
        let found = differing(agreed, &state);
        Err(wrong("StateDiffers", format!("not the state that others leave: {found}")))
    }

    /// Runs transactions one after the other.
    fn run(&self, contract: &EngineContract<'_>, transactions: &[TxEnv]) -> Result<Burnt> {
        let mut burnt = Burnt::default();
        // The sender of all workloads is the address of the key 1.
        let key = key(&format!("{:064x}", 1))?;
        for transaction in transactions {
            let bytes = signed(transaction, CHAIN_ID, &key)?;
            let start = Instant::now();
            let outcome = contract.submit(bytes, GAS_MAX)?;
            let nanos = u64::try_from(start.elapsed().as_nanos())?;
            let result = result_of("submit", &outcome)?;
            if result.status != EvmStatus::Success {
                return Err(wrong("EvmFailed", format!("{:?}", result.status)));
            }
            burnt.add(&outcome, nanos, hash_read_gas(&self.schedule))?;
            burnt.evm_gas += result.gas_used;
            burnt.yields += result.counts.yields;
            burnt.results.push(result);
        }
        Ok(burnt)
    }

    /// `cpu_ram_soak` in Rust, a private module like a compiled contract; `None` for what was not written by hand.
    fn handwritten(
        &mut self,
        host: &Host,
        engine: EngineKind,
        workload: &Workload,
    ) -> Result<Option<Row>> {
        let Some(loops) = report::soak_loops(workload.name) else { return Ok(None) };
        let parent: ModuleId = "soak.near".parse()?;
        let soak = ModuleId { namespace: "soak".parse()?, ..parent.clone() };
        host.deploy(&parent, Visibility::Public, cotenant_contracts::soak_parent())?;
        host.deploy(&soak, Visibility::Private, cotenant_contracts::soak())?;
        let call = Call::new(parent, "run").args(loops.to_le_bytes()).gas(GAS_MAX);
        let (mut burnt, mut nanos) = (Burnt::default(), Vec::new());
        let start = Instant::now();
        while nanos.is_empty() || (nanos.len() < self.runs as usize && start.elapsed() < ROW_TIME) {
            let start = Instant::now();
            let outcome = host.call(&call)?;
            let time = u64::try_from(start.elapsed().as_nanos())?;
            if outcome.status() != Some(&Status::SuccessValue(loops.to_le_bytes().to_vec())) {
                return Err(wrong("WrongResult", format!("soak by hand: {:?}", outcome.status())));
            }
            if nanos.is_empty() {
                burnt.add(&outcome, time, hash_read_gas(&self.schedule))?;
            }
            nanos.push(time);
        }
        burnt.evm_gas =
            natively(workload, &burnt.blocks)?.iter().map(ExecutionResult::tx_gas_used).sum();
        self.row(workload.name, Mode::Handwritten, engine, &burnt, nanos).map(Some)
    }

    fn row(
        &mut self,
        workload: &'static str,
        mode: Mode,
        engine: EngineKind,
        burnt: &Burnt,
        nanos: Vec<u64>,
    ) -> Result<Row> {
        let known = *self.gas.entry((mode, workload)).or_insert(burnt.profile);
        if known != burnt.profile {
            let message = format!("gas is {:?} on {engine}, elsewhere {known:?}", burnt.profile);
            return Err(wrong("GasDiffersBetweenEngines", message));
        }
        let limit = self.schedule.vm.limit_config.max_total_prepaid_gas.as_gas();
        let over_limit = burnt.gas_vm_max > limit;
        let work = report::Work {
            profile: burnt.profile,
            evm_gas: burnt.evm_gas,
            yields: burnt.yields,
            over_limit,
        };
        Ok(Row::of(workload, mode, engine, &work, nanos))
    }
}

impl Burnt {
    /// Adds a call. Reading a hash is part of hashing, whichever kind of frame reads it.
    fn add(&mut self, outcome: &TransactionOutcome, nanos: u64, hash_read_gas: u64) -> Result<()> {
        let root = outcome.root().context("the receipt did not run")?;
        let mut profile = root.profile();
        let mut nodes: Vec<_> = root.executions.iter().map(|call| &call.tree).collect();
        while let Some(node) = nodes.pop() {
            let from = match node.visibility {
                Visibility::Public => GasPart::Host,
                Visibility::Private => GasPart::Sync,
            };
            let gas = hashes(node) * hash_read_gas;
            profile = shifted(profile, from, GasPart::Crypto, gas)?;
            nodes.extend(&node.callees);
        }
        self.profile += profile;
        self.gas_vm_max = self.gas_vm_max.max(root.gas_vm);
        self.nanos += nanos;
        self.blocks.push(Block::at(root.block_height));
        Ok(())
    }
}

/// Runs a workload on revm in the same blocks.
fn natively(workload: &Workload, blocks: &[Block]) -> Result<Vec<ExecutionResult>> {
    const SECOND: u64 = 1_000_000_000;
    let mut world = workload.world.clone();
    world.config.set_spec_and_mainnet_gas_params(SPEC);
    let mut results = Vec::new();
    for (transaction, block) in workload.transactions.iter().zip(blocks) {
        world.block.number = U256::from(block.height);
        world.block.timestamp = U256::from(block.timestamp / SECOND);
        let (ran, after) = world.commit(transaction, None);
        results.push(ran.outcome.map_err(|reason| wrong("Rejected", reason))?);
        world.pre = after;
    }
    Ok(results)
}

/// That the engine did what revm does, and the way the mode wants it.
fn check(mode: Mode, ours: &TransactionResult, theirs: &ExecutionResult) -> Result<()> {
    let log = |log: &revm::primitives::Log| {
        let topics = log.topics().iter().map(|topic| topic.0).collect();
        engine_abi::Log { address: log.address.into_array(), topics, data: log.data.data.to_vec() }
    };
    let theirs_output = theirs.output().map(|output| output.to_vec()).unwrap_or_default();
    let logs: Vec<_> = theirs.logs().iter().map(log).collect();
    let same = theirs.is_success()
        && (ours.gas_used, &ours.output, &ours.logs)
            == (theirs.tx_gas_used(), &theirs_output, &logs);
    if !same {
        return Err(wrong("ResultDiffers", format!("{ours:?}, revm's is {theirs:?}")));
    }
    let counts = &ours.counts;
    let other_frames = match mode {
        Mode::Interpreted => counts.compiled_frames,
        Mode::Compiled | Mode::CompiledWasmInWasm => counts.interpreted_frames,
        Mode::Handwritten => 0,
    };
    if other_frames > 0 || !counts.faults.is_empty() {
        return Err(wrong("FramesRanOtherwise", format!("{counts:?}")));
    }
    Ok(())
}

/// Counts gas of one part to another.
fn shifted(profile: GasProfile, from: GasPart, to: GasPart, gas: u64) -> Result<GasProfile> {
    let mut shifted = GasProfile::default();
    for part in GasPart::ALL {
        let left = if part == from { gas } else { 0 };
        let rest = profile.part(part).checked_sub(left);
        shifted.count(part, rest.with_context(|| format!("no {gas} gas of {}", part.name()))?);
    }
    shifted.count(to, gas);
    Ok(shifted)
}

/// Hashes of a frame, each of which is read from its register after it.
fn hashes(node: &CallNode) -> u64 {
    let hashing = ["keccak256", "sha256"].iter().filter_map(|name| node.split.host.get(name));
    hashing.map(|usage| usage.calls).sum()
}

/// NEAR's price of reading a hash from a register, in gas.
fn hash_read_gas(schedule: &Schedule) -> u64 {
    let price = |cost: ExtCosts| cost.gas(&schedule.vm.ext_costs).as_gas();
    let bytes = price(ExtCosts::read_register_byte) + price(ExtCosts::write_memory_byte);
    price(ExtCosts::base)
        + price(ExtCosts::read_register_base)
        + price(ExtCosts::write_memory_base)
        + 32 * bytes
}

/// The first record in which two states differ.
fn differing(one: &WorldState, other: &WorldState) -> String {
    let keys = one.keys().chain(other.keys());
    let found = keys.into_iter().find(|key| one.get(*key) != other.get(*key));
    found.map_or_else(String::new, |key| {
        let shown = |state: &WorldState| state.get(key).map(hex::encode);
        format!("{}: {:?} and {:?}", hex::encode(key), shown(one), shown(other))
    })
}

fn wrong(code: &'static str, message: String) -> anyhow::Error {
    Failure::new(Exit::Internal, code, message).into()
}
