//! Promotion, its refusals, its end; the compiler in the engine's account.

use crate::programs::{self, word};
use crate::rig::{CHAIN_ID, OWNER, Rig, compile_for, keccak};
use engine_abi::state::Promotion;
use engine_abi::{Address, Fork, New, Promote, Status};

const ALICE: &str = "alice.near";
const A: Address = [0xa7; 20];

fn args(value: &impl borsh::BorshSerialize) -> Vec<u8> {
    borsh::to_vec(value).unwrap()
}

#[test]
fn a_contract_is_promoted_and_demoted_without_touching_the_engine() {
    let rig = Rig::new(Fork::Cancun);
    let code = programs::counter();
    let hash = keccak(&code);
    rig.set_account(A, &code, &[]);
    let compiled = |rig: &Rig| rig.call(ALICE, A, &[], 100_000).result.counts.compiled_frames;
    assert_eq!(compiled(&rig), 0);
    assert!(rig.promote_compiled(&code));
    let promotion: Option<Promotion> = rig.view("promoted", &hash);
    let promotion = promotion.unwrap();
    assert_eq!((promotion.fork, promotion.code_bytes as usize), (Fork::Cancun, code.len()));
    assert!(!promotion.compiled_here);
    assert_eq!(compiled(&rig), 1);
    // Its code is there as ever.
    assert_eq!(rig.view::<Vec<u8>>("code", &A), code);
    let again = args(&Promote { code_hash: hash, wasm: compile_for(&code, Fork::Cancun) });
    assert!(rig.failure(OWNER, "promote", again).contains("ERR_PROMOTED"));
    rig.run("demote", &hash);
    assert_eq!(compiled(&rig), 0);
    assert_eq!(rig.view::<Option<Promotion>>("promoted", &hash), None);
    assert_eq!(rig.storage_at(A, word(0)), word(3));
    assert!(rig.failure(OWNER, "demote", args(&hash)).contains("ERR_NOT_PROMOTED"));
    assert!(rig.promote_compiled(&code));
    assert_eq!(compiled(&rig), 1);
}

#[test]
fn what_is_no_module_of_the_contract_is_refused() {
    let rig = Rig::permissionless();
    let (code, other) = (programs::counter(), programs::caller());
    let hash = keccak(&code);
    rig.set_account(A, &code, &[]);
    let promote = |wasm: Vec<u8>| args(&Promote { code_hash: hash, wasm });
    let good = compile_for(&code, Fork::Cancun);
    let refused = |wasm: Vec<u8>| rig.failure(OWNER, "promote", promote(wasm));
    assert!(refused(compile_for(&other, Fork::Cancun)).contains("another contract"));
    assert!(refused(compile_for(&code, Fork::Prague)).contains("Prague"));
    assert!(refused(Vec::new()).contains("ERR_MODULE"));
    assert!(refused(b"\0asm\x01\0\0\0".to_vec()).contains("ERR_MODULE"));
    for length in 0..good.len().min(64) {
        assert!(refused(good[..length].to_vec()).contains("ERR_MODULE"));
    }
    // Nobody but the owner brings modules along, whoever may compile.
    assert!(rig.failure(ALICE, "promote", promote(good.clone())).contains("ERR_NOT_ALLOWED"));
    assert!(rig.failure(ALICE, "demote", args(&hash)).contains("ERR_NOT_ALLOWED"));
    assert!(rig.failure(ALICE, "on_promoted", args(&hash)).contains("ERR_NOT_ALLOWED"));
    let account = rig.account().to_owned();
    assert!(rig.failure(&account, "on_promoted", args(&hash)).contains("ERR_NOT_PENDING"));
    let unknown = args(&Promote { code_hash: [9; 32], wasm: good.clone() });
    assert!(rig.failure(OWNER, "promote", unknown).contains("ERR_NO_CODE"));
    // Its section is right, the rest of it is none: the host refuses the deploy, and the contract stays interpreted.
    let mut broken = good;
    broken.truncate(broken.len() - 1);
    if let Ok(value) =
        crate::rig::value(&rig.call_as(OWNER, "promote", promote(broken), crate::rig::NEAR_GAS))
    {
        assert_eq!(value, [0]);
    }
    assert_eq!(rig.view::<Option<Promotion>>("promoted", &hash), None);
    assert_eq!(rig.call(ALICE, A, &[], 100_000).result.status, Status::Success);
    assert!(rig.promote_compiled(&code));
}

#[test]
fn the_account_compiles_what_its_state_has() {
    let code = programs::ping_pong(3);
    let hash = keccak(&code);
    let rig = Rig::permissionless();
    rig.set_account(A, &code, &[]);
    let outcome = rig.call_with_deposit(ALICE, "compile", args(&hash), 10_u128.pow(24));
    assert_eq!(crate::rig::value(&outcome).unwrap(), [1]);
    let promotion: Option<Promotion> = rig.view("promoted", &hash);
    let promotion = promotion.unwrap();
    assert!(promotion.compiled_here);
    // To the byte what the compiler makes anywhere else.
    assert_eq!(rig.module_code(&promotion.namespace), compile_for(&code, Fork::Cancun));
    let ran = rig.call(ALICE, A, &[], 100_000);
    assert_eq!((ran.result.status, ran.result.counts.compiled_frames), (Status::Success, 1));
    // Only the owner may where nobody said otherwise.
    let rig = Rig::new(Fork::Cancun);
    rig.set_account(A, &code, &[]);
    assert!(rig.failure(ALICE, "compile", args(&hash)).contains("ERR_NOT_ALLOWED"));
    assert_eq!(rig.run("compile", &hash), [1]);
}

#[test]
fn an_engine_starts_once() {
    let rig = Rig::new(Fork::Cancun);
    let new = New {
        chain_id: CHAIN_ID,
        owner: ALICE.to_owned(),
        fork: Fork::Osaka,
        permissionless_promote: true,
    };
    assert!(rig.failure(ALICE, "new", args(&new)).contains("ERR_NOT_ALLOWED"));
    assert!(rig.failure(rig.account(), "new", args(&new)).contains("ERR_STARTED"));
}

#[test]
fn code_of_a_promoted_contract_is_seen_by_those_that_are_not() {
    let (code, other) = (programs::counter(), [0xb7; 20]);
    for program in [programs::inspector(), programs::call_and_inspect()] {
        let [before, after] = [false, true].map(|promoted| {
            let rig = Rig::new(Fork::Cancun);
            rig.set_account(other, &code, &[]);
            rig.set_account(A, &program, &[]);
            if promoted {
                assert!(rig.promote_compiled(&code));
            }
            let result = rig.call(ALICE, A, &programs::word_of(other), 200_000).result;
            assert_eq!(result.status, Status::Success);
            (result.output, result.gas_used)
        });
        assert_eq!(before, after);
        let first = code.len().min(32);
        assert_eq!(before.0[96..96 + first], code[..first]);
    }
}
