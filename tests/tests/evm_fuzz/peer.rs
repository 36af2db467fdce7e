//! One contract in a small world, compiled and interpreted.

use cotenant_host::engine::EngineKind;
use evm_driver::compare::state_differences;
use evm_driver::{ModuleOptions, Modules, World};
use rand::Rng;
use rand::rngs::StdRng;
use revm::context::TxEnv;
use revm::context::result::ExecutionResult;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, Bytes, TxKind, U256, hex};
use std::fmt;
use std::rc::Rc;

/// What a transaction costs at least.
const INTRINSIC_GAS: u64 = 21_000;

/// A contract to run, and what it is called with.
pub struct Subject {
    code: Vec<u8>,
    other: Vec<u8>,
    calldata: Vec<u8>,
    create: bool,
    gas_max: u64,
}

impl Subject {
    pub fn new(code: Vec<u8>) -> Self {
        let (other, calldata) = (Vec::new(), Vec::new());
        Self { code, other, calldata, create: false, gas_max: 400_000 }
    }

    /// The code of another contract, which it may call.
    pub fn other(self, other: Vec<u8>) -> Self {
        Self { other, ..self }
    }

    pub fn calldata(self, calldata: Vec<u8>) -> Self {
        Self { calldata, ..self }
    }

    /// Runs it as init code.
    pub fn create(self) -> Self {
        Self { create: true, ..self }
    }

    pub fn gas_max(self, gas_max: u64) -> Self {
        Self { gas_max, ..self }
    }
}

/// What has been run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub runs: u64,
    pub successes: u64,
    pub reverts: u64,
    pub halts: u64,
    pub compiled_frames: u64,
    pub interpreted_frames: u64,
    pub yields: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, successes, reverts, halts, compiled_frames, interpreted_frames, yields } =
            self;
        write!(
            f,
            "{runs} runs: {successes} successes, {reverts} reverts, {halts} halts; \
             {compiled_frames} frames compiled, {interpreted_frames} interpreted, {yields} yields"
        )
    }
}

pub struct Peer {
    modules: Rc<Modules>,
    tally: Tally,
}

/// Addresses of the world: the contract, the other one, an account without code, the caller.
pub const CONTRACT: u8 = 0xc1;
pub const OTHER: u8 = 0xc2;
pub const PLAIN: u8 = 0xc3;
const CALLER: u8 = 0xca;

/// Addresses are one byte, so that programs push them cheaply, and lie above all precompiles.
fn address(last: u8) -> Address {
    Address::with_last_byte(last)
}

impl Peer {
    /// Compares compiled contracts, or with `reference` the parent alone (`ModuleOptions`).
    pub fn new(reference: bool) -> Self {
        Self::with(ModuleOptions { reference, ..ModuleOptions::new(EngineKind::Wasmi) })
    }

    /// Compares contracts in the compact form.
    pub fn compact() -> Self {
        Self::with(ModuleOptions { compact: true, ..ModuleOptions::new(EngineKind::Wasmi) })
    }

    fn with(options: ModuleOptions) -> Self {
        let options = ModuleOptions { modules_max: 512, ..options };
        Self { modules: Modules::new(options).unwrap(), tally: Tally::default() }
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    pub fn refused(&self) -> Vec<String> {
        self.modules.errors()
    }

    /// How the states after a call of `code` differ, with an account that is there and empty.
    pub fn state_differences(&self, code: &[u8], empty: Option<u8>) -> Vec<String> {
        let mut world = World::new(SpecId::CANCUN);
        world.insert(address(CALLER), U256::from(10).pow(U256::from(24)), 0, Bytes::new());
        world.insert(address(CONTRACT), U256::ZERO, 1, code.to_vec().into());
        if let Some(empty) = empty {
            world.insert(address(empty), U256::ZERO, 0, Bytes::new());
        }
        let transaction = TxEnv {
            caller: address(CALLER),
            gas_limit: 200_000,
            kind: TxKind::Call(address(CONTRACT)),
            ..TxEnv::default()
        };
        let (_, ours) = world.commit(&transaction, Some(&self.modules));
        let (_, theirs) = world.commit(&transaction, None);
        state_differences(&ours, &theirs)
    }

    /// Runs a subject with much gas, then at a few random limits below what that took.
    pub fn check(&mut self, subject: &Subject, random: &mut StdRng, what: &str) {
        let specs = [SpecId::CANCUN, SpecId::PRAGUE, SpecId::OSAKA];
        let spec = specs[random.random_range(0..specs.len())];
        let mut world = World::new(spec);
        world.insert(address(CALLER), U256::from(10).pow(U256::from(24)), 0, Bytes::new());
        world.insert(address(PLAIN), U256::from(3), 0, Bytes::new());
        world.insert(address(OTHER), U256::from(5), 1, subject.other.clone().into());
        if !subject.create {
            world.insert(address(CONTRACT), U256::from(1_000), 1, subject.code.clone().into());
        }
        let value = u64::from(random.random_bool(0.2));
        let used = self.check_at(subject, &world, value, subject.gas_max, what);
        for _ in 0..2 {
            let limit = random.random_range(INTRINSIC_GAS..=used.max(INTRINSIC_GAS + 1));
            self.check_at(subject, &world, value, limit, what);
        }
    }

    fn check_at(
        &mut self,
        subject: &Subject,
        world: &World,
        value: u64,
        gas_limit: u64,
        what: &str,
    ) -> u64 {
        let (kind, data) = match subject.create {
            true => (TxKind::Create, subject.code.clone()),
            false => (TxKind::Call(address(CONTRACT)), subject.calldata.clone()),
        };
        let transaction = TxEnv {
            caller: address(CALLER),
            gas_limit,
            kind,
            data: data.into(),
            value: U256::from(value),
            ..TxEnv::default()
        };
        let ours = world.run(&transaction, Some(&self.modules));
        let theirs = world.run(&transaction, None);
        let differences = ours.differences(&theirs);
        assert!(
            differences.is_empty(),
            "{what}, {:?}, gas {gas_limit}, value {value}, {}:\n{}\ncode {}\nother {}\ncalldata {}",
            world.config.spec(),
            if subject.create { "create" } else { "call" },
            differences.join("\n"),
            hex::encode(&subject.code),
            hex::encode(&subject.other),
            hex::encode(&subject.calldata),
        );
        self.tally.runs += 1;
        self.tally.compiled_frames += ours.counts.compiled_frames;
        self.tally.interpreted_frames += ours.counts.interpreted_frames;
        self.tally.yields += ours.counts.yields;
        match &theirs.outcome {
            Ok(ExecutionResult::Success { .. }) => self.tally.successes += 1,
            Ok(ExecutionResult::Revert { .. }) => self.tally.reverts += 1,
            Ok(ExecutionResult::Halt { .. }) => self.tally.halts += 1,
            // Less gas than the transaction costs before it runs.
            Err(_) => {}
        }
        theirs.outcome.as_ref().map_or(0, |result| result.tx_gas_used())
    }
}
