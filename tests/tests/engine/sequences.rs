//! Sequences of transactions on one state, drawn at random: contracts are promoted, demoted and compiled again in between,
//! and everything is as on an engine that only interprets, and as in revm natively.

use crate::programs::{self, word, word_of};
use crate::rig::{CHAIN_ID, OWNER, Rig, compile_for, keccak, sender};
use engine_abi::{Address, Call, Counts, Deploy, Fork, SetAccount, Status, TransactionResult};
use evm_driver::World;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use revm::bytecode::opcode::{DELEGATECALL, STATICCALL};
use revm::context::TxEnv;
use revm::context::result::ExecutionResult;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address as EvmAddress, TxKind, U256};
use std::collections::BTreeMap;

const ALICE: &str = "alice.near";

/// How many sequences the test command runs, and where more are asked for.
const SEQUENCES: u64 = 12;
const MORE: &str = "COTENANT_EVM_SEQUENCES";

/// Transactions of a sequence.
const LENGTH: usize = 12;

/// Accounts of a sequence: any of them may have any code.
const ACCOUNTS: u8 = 6;

fn address(number: u8) -> Address {
    [0x90 + number; 20]
}

/// A program, of a kind that calls others or one that does not.
fn program(random: &mut StdRng) -> Vec<u8> {
    let other = address(random.random_range(0..ACCOUNTS));
    match random.random_range(0..13) {
        0 => programs::counter(),
        1 => programs::ping_pong(random.random_range(0..3)),
        2 => programs::caller(),
        3 => programs::calls_twice(),
        4 => programs::reverter(),
        5 => programs::destroyer(),
        6 => programs::invalid(),
        7 => programs::recursive(),
        8 => programs::creator(&programs::counter(), random.random_bool(0.5).then_some(7)),
        9 => programs::creator(&programs::destroyer(), Some(random.random_range(0..3))),
        10 => {
            programs::proxy(other, if random.random_bool(0.7) { DELEGATECALL } else { STATICCALL })
        }
        11 => programs::call_and_inspect(),
        // Random code of the compiler's fuzzer, but for what differs from block to block.
        _ => crate::generate::program(random).into_iter().map(settled).collect(),
    }
}

/// An opcode, or STOP for one that tells of the block, which natively is another.
fn settled(opcode: u8) -> u8 {
    if matches!(opcode, 0x40..=0x48 | 0x4a) { 0 } else { opcode }
}

/// One engine that promotes, one that does not, and revm.
struct Three {
    promoting: Rig,
    interpreting: Rig,
    world: World,
    nonce: u64,
    codes: BTreeMap<Address, Vec<u8>>,
}

impl Three {
    fn new(random: &mut StdRng) -> Self {
        let mut world = World::new(SpecId::CANCUN);
        world.config.chain_id = CHAIN_ID;
        let caller = EvmAddress::from(sender(ALICE));
        world.block.beneficiary = caller;
        world.block.gas_limit = u64::MAX;
        world.config.tx_gas_limit_cap = Some(u64::MAX);
        world.insert(caller, U256::from(1_000_000_u64), 0, Default::default());
        let [promoting, interpreting] = [(); 2].map(|()| Rig::new(Fork::Cancun));
        for rig in [&promoting, &interpreting] {
            rig.mint(sender(ALICE), word(1_000_000));
        }
        let mut three = Self { promoting, interpreting, world, nonce: 0, codes: BTreeMap::new() };
        for number in 0..ACCOUNTS {
            let code = program(random);
            three.set(address(number), &code);
        }
        three
    }

    fn set(&mut self, address: Address, code: &[u8]) {
        let account = SetAccount {
            address,
            code: code.to_vec(),
            storage: vec![],
            nonce: 1,
            balance: word(1_000),
        };
        self.promoting.run("set_account", &account);
        self.interpreting.run("set_account", &account);
        self.world.insert(address.into(), U256::from(1_000), 1, code.to_vec().into());
        self.codes.insert(address, code.to_vec());
    }

    /// Promotes or demotes a contract, whichever it is not, or compiles it on chain.
    fn promote(&self, random: &mut StdRng) -> String {
        let code = &self.codes[&address(random.random_range(0..ACCOUNTS))];
        let hash = keccak(code);
        let is_promoted: Option<engine_abi::state::Promotion> =
            self.promoting.view("promoted", &hash);
        if is_promoted.is_some() {
            self.promoting.run("demote", &hash);
            return "demote".to_owned();
        }
        if code.is_empty() || code[0] == 0xef {
            return "nothing".to_owned();
        }
        if random.random_bool(0.3) {
            let outcome =
                self.promoting.call_as(OWNER, "compile", hash.to_vec(), crate::rig::NEAR_GAS);
            return format!("compile: {:?}", crate::rig::value(&outcome));
        }
        assert!(self.promoting.promote(hash, &compile_for(code, Fork::Cancun)), "refused");
        "promote".to_owned()
    }

    fn transact(&mut self, random: &mut StdRng, what: &str) {
        let to = address(random.random_range(0..ACCOUNTS));
        let other = word_of(address(random.random_range(0..ACCOUNTS)));
        let input = match random.random_range(0..3) {
            0 => other.to_vec(),
            1 => [word(random.random_range(0..6)), other].concat(),
            _ => crate::generate::bytes(random, 80),
        };
        let value = word(random.random_range(0..3));
        let gas_limit = match random.random_range(0..4) {
            0 => random.random_range(25_000..60_000),
            1 => u64::MAX - random.random_range(0..3),
            _ => random.random_range(60_000..1_500_000),
        };
        // Without a bound on gas there may be none on time.
        let gas_limit = if gas_limit > 1 << 62 && !self.ends(&to) { 1_000_000 } else { gas_limit };
        let creates = random.random_range(0..8) == 0;
        let (method, args, kind, data) = if creates {
            let initcode = programs::initcode(&programs::counter());
            let deploy = Deploy { initcode: initcode.clone(), value, gas_limit: 1_000_000 };
            ("evm_deploy", borsh::to_vec(&deploy).unwrap(), TxKind::Create, initcode)
        } else {
            let call = Call { to, value, input: input.clone(), gas_limit };
            ("evm_call", borsh::to_vec(&call).unwrap(), TxKind::Call(to.into()), input)
        };
        let transaction = TxEnv {
            caller: sender(ALICE).into(),
            nonce: self.nonce,
            kind,
            value: U256::from_be_bytes(value),
            data: data.into(),
            gas_limit: if creates { 1_000_000 } else { gas_limit },
            chain_id: Some(CHAIN_ID),
            ..TxEnv::default()
        };
        let (ran, state) = self.world.commit(&transaction, None);
        let native = ran.outcome.unwrap_or_else(|error| panic!("{what}: {error}"));
        self.world.pre = state;
        self.nonce += 1;
        let [promoted, interpreted] = [&self.promoting, &self.interpreting]
            .map(|rig| rig.transact(ALICE, method, args.clone()).result);
        assert_eq!(promoted.counts.faults, Vec::<String>::new(), "{what}");
        assert_eq!(shown(&promoted), shown(&interpreted), "{what}");
        assert_as_native(what, &interpreted, &native);
        assert_eq!(self.promoting.world(), self.interpreting.world(), "{what}: worlds");
    }

    /// Whether a call of this account ends with any gas, and with little memory: natively nothing else bounds it.
    fn ends(&self, to: &Address) -> bool {
        let code = &self.codes[to];
        [programs::counter(), programs::reverter(), programs::destroyer(), programs::invalid()]
            .contains(code)
    }
}

/// What the EVM shows of a result.
fn shown(result: &TransactionResult) -> TransactionResult {
    let mut shown = TransactionResult { counts: Counts::default(), ..result.clone() };
    if let Status::Halt(reason) = &mut shown.status {
        reason.clear();
    }
    shown
}

fn assert_as_native(what: &str, ours: &TransactionResult, native: &ExecutionResult) {
    let same = matches!(
        (&ours.status, native),
        (Status::Success, ExecutionResult::Success { .. })
            | (Status::Revert, ExecutionResult::Revert { .. })
            | (Status::Halt(_), ExecutionResult::Halt { .. })
    );
    assert!(same, "{what}: {ours:?}, natively {native:?}");
    assert_eq!(ours.gas_used, native.tx_gas_used(), "{what}: gas");
    let output = native.output().map(|output| output.to_vec()).unwrap_or_default();
    assert_eq!(ours.output, output, "{what}: output");
    let logs = if native.is_success() { native.logs().len() } else { 0 };
    assert_eq!(ours.logs.len(), logs, "{what}: logs");
}

#[test]
fn sequences_are_the_same_promoted_or_not_and_natively() {
    let asked = std::env::var(MORE).ok().and_then(|count| count.parse().ok());
    let first: u64 = 0x5e9;
    for seed in first..first + asked.unwrap_or(SEQUENCES) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut three = Three::new(&mut random);
        for step in 0..LENGTH {
            let mut what = format!("seed {seed}, step {step}");
            match random.random_range(0..10) {
                0..4 => what += &format!(", {}", three.promote(&mut random)),
                4 => {
                    let code = program(&mut random);
                    three.set(address(random.random_range(0..ACCOUNTS)), &code);
                }
                _ => {}
            }
            three.transact(&mut random, &what);
        }
    }
    println!("{} sequences from seed {first}; {MORE} asks for more", asked.unwrap_or(SEQUENCES));
}
