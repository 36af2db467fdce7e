//! What contracts are measured and compared with: the contracts of `contracts/evm`, deployed and used before.
//!
//! Takes the records of their compiler, and fixtures where there are some; gives [`Workload`]s: a state, and the
//! transactions that run in it one after the other, all of [`SENDER`]. The state is what revm makes of the
//! deployments and the calls before them.

mod contracts;

pub use contracts::{Contract, ContractError, Value, contracts};

use crate::bench::{FixtureError, cases};
use crate::statetest::TestFile;
use crate::world::World;
use revm::context::TxEnv;
use revm::context::result::ExecutionResult;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, Bytes, TxKind, U256, address};
use std::collections::BTreeMap;

/// Who sends all transactions: the address of the private key 1.
pub const SENDER: Address = address!("0x7e5f4552091a69125d5dfcb7b8c2659029395bdf");

/// Who gets what is sent; it has some already.
const RECEIVER: Address = Address::repeat_byte(0xb0);

/// Balance of the sender, in wei.
const WEI: u64 = 1_000_000_000_000_000_000;

/// Gas of each transaction. More than any takes.
const GAS: u64 = 1_000_000_000;

/// Time from each transaction to the next, as on Ethereum.
const BLOCK_SECONDS: u64 = 12;

/// Pairs of the long swap.
const HOPS: usize = 5;

/// Fixtures that are workloads: the file's name without its ending, and the workload's.
pub const FIXTURES: [(&str, &str); 3] =
    [("hash_10k", "hash_10k"), ("erc20_transfer", "erc20_13m"), ("snailtracer", "snailtracer")];

/// Transactions and the state that they start from.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// The state before.
    pub world: World,
    /// One after the other, each of the sender's; nonces count from the sender's.
    pub transactions: Vec<TxEnv>,
}

/// Why there are no workloads.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// A contract's record is wrong.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// A fixture cannot be read.
    #[error(transparent)]
    Fixture(#[from] FixtureError),
    /// A deployment or call before failed.
    #[error("{what}: {reason}")]
    Failed {
        /// What it was.
        what: String,
        /// How it ended.
        reason: String,
    },
}

/// A state in the making.
struct Stage {
    contracts: BTreeMap<&'static str, Contract>,
    world: World,
    nonce: u64,
}

impl Stage {
    fn new(spec: SpecId) -> Result<Self, WorkloadError> {
        let mut world = World::new(spec);
        world.insert(SENDER, U256::from(WEI), 0, Bytes::new());
        Ok(Self { contracts: contracts()?, world, nonce: 0 })
    }

    fn contract(&self, name: &'static str) -> Result<&Contract, ContractError> {
        let missing = ContractError::Unreadable { name, reason: "there is none".to_owned() };
        self.contracts.get(name).ok_or(missing)
    }

    fn transaction(&self, kind: TxKind, data: Bytes) -> TxEnv {
        let nonce = self.nonce;
        TxEnv { caller: SENDER, kind, data, nonce, gas_limit: GAS, ..TxEnv::default() }
    }

    fn run(&mut self, what: &str, transaction: &TxEnv) -> Result<ExecutionResult, WorkloadError> {
        let failed = |reason: String| WorkloadError::Failed { what: what.to_owned(), reason };
        let (ran, after) = self.world.commit(transaction, None);
        let result = ran.outcome.map_err(failed)?;
        if !result.is_success() {
            return Err(failed(format!("{result:?}")));
        }
        self.world.pre = after;
        self.world.block.number += U256::ONE;
        self.world.block.timestamp += U256::from(BLOCK_SECONDS);
        self.nonce += 1;
        Ok(result)
    }

    fn deploy(&mut self, name: &'static str, values: &[Value]) -> Result<Address, WorkloadError> {
        let code = self.contract(name)?.creation_with(values);
        let transaction = self.transaction(TxKind::Create, code);
        self.run(name, &transaction)?;
        Ok(SENDER.create(transaction.nonce))
    }

    fn calling(
        &self,
        name: &'static str,
        to: Address,
        signature: &str,
        values: &[Value],
    ) -> Result<TxEnv, WorkloadError> {
        let data = self.contract(name)?.call(signature, values)?;
        Ok(self.transaction(TxKind::Call(to), data))
    }

    fn call(
        &mut self,
        name: &'static str,
        to: Address,
        signature: &str,
        values: &[Value],
    ) -> Result<(), WorkloadError> {
        let transaction = self.calling(name, to, signature, values)?;
        self.run(signature, &transaction).map(|_| ())
    }

    /// A workload of this state.
    fn workload(&self, name: &'static str, mut transactions: Vec<TxEnv>) -> Workload {
        for (nonce, transaction) in (self.nonce..).zip(&mut transactions) {
            transaction.nonce = nonce;
        }
        Workload { name, world: self.world.clone(), transactions }
    }
}

/// The workloads of `contracts/evm`, under a fork.
///
/// # Errors
/// A record is wrong, or a contract does not do what is asked of it.
pub fn workloads(spec: SpecId) -> Result<Vec<Workload>, WorkloadError> {
    let mut all = soak(spec)?;
    all.extend(token(spec)?);
    all.extend(swaps(spec)?);
    all.extend(nft(spec)?);
    Ok(all)
}

fn soak(spec: SpecId) -> Result<Vec<Workload>, WorkloadError> {
    let mut stage = Stage::new(spec)?;
    let soak = stage.deploy("Soak", &[])?;
    let named = [("soak_1000", 1_000_u64), ("soak_10000", 10_000)];
    let workload = |(name, loops): (&'static str, u64)| {
        let call = stage.calling("Soak", soak, "run(uint256)", &[loops.into()])?;
        Ok(stage.workload(name, vec![call]))
    };
    named.into_iter().map(workload).collect()
}

fn token(spec: SpecId) -> Result<Vec<Workload>, WorkloadError> {
    let mut stage = Stage::new(spec)?;
    let token = stage.deploy("Token", &[Value::Text("Token"), Value::Text("TOK")])?;
    let (mint, transfer) = ("mint(address,uint256)", "transfer(address,uint256)");
    let (approve, from) = ("approve(address,uint256)", "transferFrom(address,address,uint256)");
    stage.call("Token", token, mint, &[SENDER.into(), 1_000_000.into()])?;
    stage.call("Token", token, mint, &[RECEIVER.into(), 1_000_000.into()])?;
    let call = |signature, values: &[Value]| stage.calling("Token", token, signature, values);
    let transfers = call(transfer, &[RECEIVER.into(), 1_000.into()])?;
    let approves = call(approve, &[SENDER.into(), 5_000.into()])?;
    let takes = call(from, &[SENDER.into(), RECEIVER.into(), 5_000.into()])?;
    let mints = call(mint, &[RECEIVER.into(), 1_000.into()])?;
    let asks = call("balanceOf(address)", &[RECEIVER.into()])?;
    Ok(vec![
        stage.workload("erc20_transfer", vec![transfers]),
        stage.workload("erc20_approve_transfer_from", vec![approves, takes]),
        stage.workload("erc20_mint", vec![mints]),
        stage.workload("erc20_balance_of", vec![asks]),
    ])
}

fn swaps(spec: SpecId) -> Result<Vec<Workload>, WorkloadError> {
    const RESERVE: u64 = 1_000_000_000_000;
    const AMOUNT: u64 = 1_000_000;
    let mut stage = Stage::new(spec)?;
    let router = stage.deploy("Router", &[])?;
    let (mint, transfer) = ("mint(address,uint256)", "transfer(address,uint256)");
    let mut tokens = Vec::new();
    for _ in 0..=HOPS {
        let token = stage.deploy("Token", &[Value::Text("Token"), Value::Text("TOK")])?;
        stage.call("Token", token, mint, &[SENDER.into(), (RESERVE * 4).into()])?;
        tokens.push(token);
    }
    let mut pairs = Vec::new();
    for ends in tokens.windows(2) {
        let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let pair = stage.deploy("Pair", &[low.into(), high.into()])?;
        for token in ends {
            stage.call("Token", *token, transfer, &[pair.into(), RESERVE.into()])?;
        }
        stage.call("Pair", pair, "mint(address)", &[SENDER.into()])?;
        pairs.push(pair);
    }
    let unlimited = U256::MAX.into();
    stage.call("Token", tokens[0], "approve(address,uint256)", &[router.into(), unlimited])?;
    let along =
        [Value::Addresses(pairs.clone()), tokens[0].into(), AMOUNT.into(), 1.into(), SENDER.into()];
    let through = [pairs[0].into(), tokens[0].into(), AMOUNT.into(), 1.into(), SENDER.into()];
    let one = "swap(address,address,uint256,uint256,address)";
    let many = "swapAlong(address[],address,uint256,uint256,address)";
    // Once before, so that no slot is written for the first time.
    stage.call("Router", router, many, &along)?;
    let one = stage.calling("Router", router, one, &through)?;
    let many = stage.calling("Router", router, many, &along)?;
    Ok(vec![stage.workload("swap", vec![one]), stage.workload("swap_5", vec![many])])
}

fn nft(spec: SpecId) -> Result<Vec<Workload>, WorkloadError> {
    let mut stage = Stage::new(spec)?;
    let nft = stage.deploy("Nft", &[Value::Text("Nft"), Value::Text("NFT")])?;
    stage.call("Nft", nft, "mint(address)", &[RECEIVER.into()])?;
    let mint = stage.calling("Nft", nft, "mint(address)", &[RECEIVER.into()])?;
    Ok(vec![stage.workload("nft_mint", vec![mint])])
}

/// A fixture of one transaction as a workload, sent by the sender; `None` if it is none of [`FIXTURES`].
///
/// # Errors
/// It is no fixture.
pub fn of_fixture(file: &TestFile, spec: SpecId) -> Result<Option<Workload>, WorkloadError> {
    let stem = file.name.rsplit('/').next().and_then(|name| name.strip_suffix(".json"));
    let Some((_, name)) = FIXTURES.into_iter().find(|(fixture, _)| Some(*fixture) == stem) else {
        return Ok(None);
    };
    let Some(case) = cases(file, spec)?.into_iter().next() else { return Ok(None) };
    let mut world = case.world;
    world.insert(SENDER, U256::from(WEI), 0, Bytes::new());
    let transaction = TxEnv { caller: SENDER, nonce: 0, gas_limit: GAS, ..case.transaction };
    Ok(Some(Workload { name, world, transactions: vec![transaction] }))
}
