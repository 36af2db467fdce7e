//! One contract: deployed, then called again and again with random values, compiled and interpreted.

use crate::abi;
use cotenant_host::engine::EngineKind;
use evm_driver::workloads::Contract;
use evm_driver::{ModuleOptions, Modules, Ran, World};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use revm::context::TxEnv;
use revm::context::result::ExecutionResult;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, Bytes, TxKind, U256, hex, keccak256};
use serde::Deserialize;
use std::fmt;
use std::rc::Rc;

/// The engine of the modules.
pub const ENGINE: EngineKind = EngineKind::Wasmi;

const CALLER: Address = Address::repeat_byte(0xca);
const INTRINSIC_GAS: u64 = 21_000;

/// Gas of a deployment, and of a call. A call of `Soak` needs more for its buffer alone than one of this has.
const GAS_MAX: u64 = 30_000_000;
const CALL_GAS_MAX: u64 = 2_000_000;

/// A contract by one compiler.
#[derive(Clone, Debug, Deserialize)]
pub struct Specimen {
    pub name: String,
    pub compiler: String,
    /// Types of the constructor's values.
    pub constructor: Vec<String>,
    /// Init code in hexadecimal.
    pub creation: String,
    pub methods: Vec<Method>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Method {
    pub signature: String,
    /// In hexadecimal.
    pub selector: String,
    pub inputs: Vec<String>,
}

impl Specimen {
    /// A contract of `contracts/evm/bytecode`.
    pub fn committed(contract: Contract) -> Self {
        let method = |(signature, selector): (&String, &String)| {
            let inputs = signature.split_once('(').unwrap().1.strip_suffix(')').unwrap();
            let inputs = inputs.split(',').filter(|kind| !kind.is_empty());
            Method {
                signature: signature.clone(),
                selector: selector.clone(),
                inputs: inputs.map(str::to_owned).collect(),
            }
        };
        Self {
            methods: contract.selectors.iter().map(method).collect(),
            constructor: contract.constructor.clone(),
            creation: hex::encode(contract.creation()),
            name: contract.name,
            compiler: contract.compiler,
        }
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
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, successes, reverts, halts, compiled_frames, interpreted_frames } = self;
        write!(
            f,
            "{runs} runs: {successes} successes, {reverts} reverts, {halts} halts; \
             {compiled_frames} frames compiled, {interpreted_frames} interpreted"
        )
    }
}

pub struct Drive {
    modules: Rc<Modules>,
    pub tally: Tally,
}

impl Drive {
    pub fn new() -> Self {
        let modules = Modules::new(ModuleOptions::new(ENGINE)).unwrap();
        Self { modules, tally: Tally::default() }
    }

    pub fn refused(&self) -> Vec<String> {
        self.modules.errors()
    }

    /// Deploys a contract and calls it; each call is also run with less gas than it takes.
    pub fn check(&mut self, specimen: &Specimen, calls: usize) {
        let what = format!("{} by {}", specimen.name, specimen.compiler);
        // Of the name, so that each compiler's code gets the same calls.
        let seed = keccak256(&specimen.name).0;
        let mut random = StdRng::from_seed(seed);
        let mut world = World::new(SpecId::CANCUN);
        world.insert(CALLER, U256::from(10).pow(U256::from(24)), 0, Bytes::new());
        let contract = CALLER.create(0);
        let addresses = [CALLER, contract, Address::repeat_byte(0xb0), Address::ZERO];
        let addresses = addresses.map(|address| address.into_array());
        let values = constructor(&specimen.constructor, &addresses, &mut random);
        let creation = [hex::decode(&specimen.creation).unwrap(), values].concat();
        let deployment = TxEnv {
            caller: CALLER,
            kind: TxKind::Create,
            data: creation.into(),
            gas_limit: GAS_MAX,
            ..TxEnv::default()
        };
        let deployed = self.run(&mut world, &deployment, &what);
        assert!(deployed.is_some_and(|result| result.is_success()), "{what} is not deployed");
        if specimen.methods.is_empty() {
            return;
        }
        for call in 0..calls {
            let method = &specimen.methods[random.random_range(0..specimen.methods.len())];
            let mut data = hex::decode(&method.selector).unwrap();
            data.extend(abi::calldata(&method.inputs, &addresses, &mut random));
            let transaction = TxEnv {
                caller: CALLER,
                kind: TxKind::Call(contract),
                data: data.into(),
                value: U256::from(u64::from(random.random_bool(0.05))),
                nonce: call as u64 + 1,
                gas_limit: CALL_GAS_MAX,
                ..TxEnv::default()
            };
            let what = format!("{what}, call {call}, {}", method.signature);
            self.check_with_less_gas(&world, &transaction, &mut random, &what);
            self.run(&mut world, &transaction, &what);
        }
    }

    fn check_with_less_gas(
        &mut self,
        world: &World,
        transaction: &TxEnv,
        random: &mut StdRng,
        what: &str,
    ) {
        let used = world.run(transaction, None).outcome.map_or(0, |result| result.tx_gas_used());
        let gas_limit = random.random_range(INTRINSIC_GAS..=used.max(INTRINSIC_GAS + 1));
        let less = TxEnv { gas_limit, ..transaction.clone() };
        self.compare(world, &less, what);
    }

    /// Runs a transaction both ways, compares, and goes on from the state after it.
    fn run(
        &mut self,
        world: &mut World,
        transaction: &TxEnv,
        what: &str,
    ) -> Option<ExecutionResult> {
        let ran = self.compare(world, transaction, what);
        world.pre = world.commit(transaction, None).1;
        ran.outcome.ok()
    }

    fn compare(&mut self, world: &World, transaction: &TxEnv, what: &str) -> Ran {
        let ours = world.run(transaction, Some(&self.modules));
        let theirs = world.run(transaction, None);
        let differences = ours.differences(&theirs);
        assert!(
            differences.is_empty(),
            "{what}, gas {}, value {}:\n{}\ncalldata {}",
            transaction.gas_limit,
            transaction.value,
            differences.join("\n"),
            hex::encode(&transaction.data),
        );
        let tally = &mut self.tally;
        tally.runs += 1;
        tally.compiled_frames += ours.counts.compiled_frames;
        tally.interpreted_frames += ours.counts.interpreted_frames;
        match &ours.outcome {
            Ok(ExecutionResult::Success { .. }) => tally.successes += 1,
            Ok(ExecutionResult::Revert { .. }) => tally.reverts += 1,
            Ok(ExecutionResult::Halt { .. }) => tally.halts += 1,
            Err(_) => {}
        }
        ours
    }
}

/// Values with which constructors succeed: two different addresses in their order, small numbers.
fn constructor(types: &[String], addresses: &[[u8; 20]], random: &mut StdRng) -> Vec<u8> {
    let mut values = abi::tuple(types, addresses, random);
    for (position, kind) in types.iter().enumerate() {
        let word = &mut values[position * 32..][..32];
        match kind.as_str() {
            "address" => word.copy_from_slice(&U256::from(0x1000 + position).to_be_bytes::<32>()),
            "uint256" => word.copy_from_slice(&U256::from(7).to_be_bytes::<32>()),
            _ => {}
        }
    }
    values
}
