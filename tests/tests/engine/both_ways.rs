//! The same calls on an engine that interprets and on one whose contracts are promoted.

use crate::programs::word;
use crate::rig::{CHAIN_ID, OWNER, Ran, Rig, sender};
use crate::workloads::{self, Workload};
use engine_abi::{Call, Fork, Status, TransactionResult, View};
use evm_driver::World;
use revm::context::TxEnv;
use revm::context::result::ExecutionResult;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, TxKind, U256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const ALICE: &str = "alice.near";

/// What the EVM shows of a result: everything but how its frames ran. Which exceptional halt it was is not observable.
fn shown(result: &TransactionResult) -> TransactionResult {
    let mut shown = result.clone();
    shown.counts = engine_abi::Counts::default();
    if let Status::Halt(reason) = &mut shown.status {
        reason.clear();
    }
    shown
}

/// Installs a workload's accounts, and modules for all their code if they are to be compiled.
fn install(rig: &Rig, workload: &Workload, compiled: bool) {
    // The sender can pay what its calls transfer.
    rig.mint(sender(ALICE), word(1_000_000_000_000));
    let mut codes = BTreeSet::new();
    for account in &workload.accounts {
        rig.run("set_account", account);
        if !account.code.is_empty() {
            codes.insert(account.code.clone());
        }
    }
    if compiled {
        for code in codes {
            assert!(rig.promote_compiled(&code), "{}: refused", workload.name);
        }
    }
}

/// A result as revm has it natively.
fn native(workload: &Workload) -> Vec<ExecutionResult> {
    let mut world = World::new(SpecId::CANCUN);
    world.config.chain_id = CHAIN_ID;
    let caller = Address::from(sender(ALICE));
    world.block.beneficiary = caller;
    world.insert(caller, U256::from(1_000_000_000_000_u64), 0, Default::default());
    for account in &workload.accounts {
        let address = Address::from(account.address);
        let balance = U256::from_be_bytes(account.balance);
        world.insert(address, balance, account.nonce, account.code.clone().into());
        let slots = account.storage.iter();
        let slots =
            slots.map(|(slot, value)| (U256::from_be_bytes(*slot), U256::from_be_bytes(*value)));
        let plain =
            world.pre.accounts.get_mut(&address).and_then(|account| account.account.as_mut());
        plain.unwrap().storage.extend(slots);
    }
    let mut results = Vec::new();
    for (nonce, call) in workload.calls.iter().enumerate() {
        let transaction = TxEnv {
            caller,
            nonce: nonce as u64,
            kind: TxKind::Call(Address::from(call.to)),
            value: U256::from_be_bytes(call.value),
            data: call.input.clone().into(),
            gas_limit: call.gas_limit,
            chain_id: Some(CHAIN_ID),
            ..TxEnv::default()
        };
        let (ran, state) = world.commit(&transaction, None);
        world.pre = state;
        results.push(ran.outcome.unwrap());
    }
    results
}

fn assert_as_native(name: &str, ours: &TransactionResult, native: &ExecutionResult) {
    let status = matches!(
        (&ours.status, native),
        (Status::Success, ExecutionResult::Success { .. })
            | (Status::Revert, ExecutionResult::Revert { .. })
            | (Status::Halt(_), ExecutionResult::Halt { .. })
    );
    assert!(status, "{name}: {ours:?}, natively {native:?}");
    assert_eq!(ours.gas_used, native.tx_gas_used(), "{name}: gas");
    assert_eq!(ours.refund, native.gas().final_refunded(), "{name}: refund");
    let output = native.output().map(|output| output.to_vec()).unwrap_or_default();
    assert_eq!(ours.output, output, "{name}: output");
    let logs: &[_] = if native.is_success() { native.logs() } else { &[] };
    assert_eq!(ours.logs.len(), logs.len(), "{name}: logs");
    for (ours, native) in ours.logs.iter().zip(logs) {
        assert_eq!(ours.address, native.address.into_array(), "{name}: a log's address");
        assert_eq!(ours.data, native.data.data.to_vec(), "{name}: a log's data");
        let topics: Vec<_> = native.topics().iter().map(|topic| topic.0).collect();
        assert_eq!(ours.topics, topics, "{name}: a log's topics");
    }
}

/// A workload on both engines; what each call did on them.
fn run(workload: &Workload) -> Vec<(Ran, Ran)> {
    let rigs = [false, true].map(|compiled| {
        let rig = Rig::new(Fork::Cancun);
        install(&rig, workload, compiled);
        rig
    });
    let mut pairs = Vec::new();
    for call in &workload.calls {
        let [interpreted, compiled] = [&rigs[0], &rigs[1]]
            .map(|rig| rig.transact(ALICE, "evm_call", borsh::to_vec(call).unwrap()));
        let name = &workload.name;
        assert_eq!(compiled.result.counts.faults, Vec::<String>::new(), "{name}");
        assert_eq!(shown(&interpreted.result), shown(&compiled.result), "{name}");
        assert_eq!(interpreted.result.counts.compiled_frames, 0, "{name}");
        pairs.push((interpreted, compiled));
    }
    let worlds = [&rigs[0], &rigs[1]].map(Rig::world);
    assert_eq!(worlds[0], worlds[1], "{}: the worlds differ", workload.name);
    pairs
}

#[test]
fn programs_do_the_same_interpreted_compiled_and_natively() {
    for workload in workloads::handwritten() {
        let pairs = run(&workload);
        for ((interpreted, _), native) in pairs.iter().zip(native(&workload)) {
            assert_as_native(&workload.name, &interpreted.result, &native);
        }
        let has_code = workload.accounts.iter().any(|account| {
            !account.code.is_empty() && workload.calls.iter().any(|call| call.to == account.address)
        });
        let compiled: u64 = pairs.iter().map(|(_, ran)| ran.result.counts.compiled_frames).sum();
        assert_eq!(has_code, compiled > 0, "{}", workload.name);
    }
}

#[test]
fn precompiles_that_must_succeed_do() {
    for workload in workloads::handwritten() {
        if matches!(workload.name.as_str(), "bn_pairing" | "kzg" | "modexp" | "bn_mul" | "blake2f")
        {
            for (interpreted, _) in run(&workload) {
                let name = &workload.name;
                assert_eq!(interpreted.result.status, Status::Success, "{name}");
                assert!(!interpreted.result.output.is_empty(), "{name}");
            }
        }
    }
}

#[test]
fn contracts_of_the_field_do_the_same_interpreted_and_compiled() {
    let Some(folder) = crate::vectors() else { return };
    for workload in workloads::fixtures(&folder) {
        for (_, compiled) in run(&workload) {
            assert!(compiled.result.counts.compiled_frames > 0, "{}", workload.name);
        }
    }
}

#[test]
fn a_view_shows_what_a_call_would_do_and_changes_nothing() {
    let rig = Rig::new(Fork::Cancun);
    let to = [0x33; 20];
    rig.set_account(to, &crate::programs::counter(), &[(word(0), word(41))]);
    for compiled in [false, true] {
        if compiled {
            assert!(rig.promote_compiled(&crate::programs::counter()));
        }
        let before = rig.world();
        let view =
            View { from: [7; 20], to, value: [0; 32], input: Vec::new(), gas_limit: 100_000 };
        let result: TransactionResult = rig.view("evm_view", &view);
        assert_eq!(result.status, Status::Success);
        assert_eq!(result.output, [word(41), word(42)].concat());
        assert_eq!(result.counts.compiled_frames, u64::from(compiled));
        assert_eq!(rig.world(), before);
    }
}

/// NEAR gas and yields of a few calls, for review.
#[test]
fn gas_of_both_ways() {
    let mut report = String::new();
    for workload in workloads::handwritten() {
        if !matches!(workload.name.as_str(), "counter" | "a_b_a" | "medley" | "create") {
            continue;
        }
        for (index, (interpreted, compiled)) in run(&workload).iter().enumerate() {
            let _ = writeln!(
                report,
                "{} {index}: evm {}, near {} interpreted, {} compiled, {} frames, {} yields",
                workload.name,
                compiled.result.gas_used,
                interpreted.outcome.gas_total(),
                compiled.outcome.gas_total(),
                compiled.result.counts.compiled_frames,
                compiled.result.counts.yields
            );
        }
    }
    insta::assert_snapshot!("engine_gas", report);
}

/// What the world has is what was put there.
#[test]
fn the_owner_sets_accounts_as_a_whole() {
    let rig = Rig::new(Fork::Cancun);
    let to = [0x44; 20];
    rig.set_account(to, &[1, 2, 3], &[(word(1), word(2)), (word(3), word(4))]);
    assert_eq!(rig.storage_at(to, word(3)), word(4));
    rig.set_account(to, &[5], &[(word(1), word(9))]);
    assert_eq!((rig.storage_at(to, word(1)), rig.storage_at(to, word(3))), (word(9), word(0)));
    assert_eq!(rig.view::<Vec<u8>>("code", &to), vec![5]);
    rig.mint(to, word(77));
    assert_eq!(rig.view::<[u8; 32]>("balance", &to), word(77));
    assert_eq!(rig.view::<u64>("nonce", &to), 1);
    let world: BTreeMap<_, _> = rig.world();
    assert!(!world.is_empty());
    let call = borsh::to_vec(&Call::default()).unwrap();
    assert!(rig.failure(OWNER, "mint", call.clone()).contains("ERR_ARGUMENTS"));
    let mint = borsh::to_vec(&engine_abi::Mint { address: to, amount: [0xff; 32] }).unwrap();
    assert!(rig.failure(OWNER, "mint", mint.clone()).contains("ERR_OVERFLOW"));
    assert!(rig.failure(ALICE, "mint", mint).contains("ERR_NOT_ALLOWED"));
    let account =
        engine_abi::SetAccount { storage: vec![(word(1), word(1))], ..Default::default() };
    let account = borsh::to_vec(&account).unwrap();
    assert!(rig.failure(OWNER, "set_account", account).contains("ERR_ACCOUNT"));
}
