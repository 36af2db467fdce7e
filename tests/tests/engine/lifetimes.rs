//! Accounts that are removed and made anew, and code that stands for other code.

use crate::programs::{self, word};
use crate::rig::{OWNER, Rig, keccak, sender};
use engine_abi::{Address, Fork, SetAccount, Status};
use revm::bytecode::opcode::*;
use revm::primitives::{Address as EvmAddress, B256};

const ALICE: &str = "alice.near";
const A: Address = [0xa3; 20];
const GAS: u64 = 1_000_000;

/// Returns slot 1.
fn loader() -> Vec<u8> {
    vec![PUSH1, 1, SLOAD, PUSH0, MSTORE, PUSH1, 32, PUSH0, RETURN]
}

fn empty(address: Address) -> SetAccount {
    SetAccount { address, ..SetAccount::default() }
}

/// Makes an account with a slot and takes everything away from it again.
fn made_and_emptied(rig: &Rig, address: Address) {
    rig.set_account(address, &loader(), &[(word(1), word(5))]);
    assert_eq!(rig.call(ALICE, address, &[], GAS).result.output, word(5));
    rig.run("set_account", &empty(address));
}

/// The kinds of ways in which an account comes to be.
#[test]
fn an_account_made_anew_does_not_find_the_storage_of_the_one_before() {
    for fork in [Fork::Cancun, Fork::Prague, Fork::Osaka] {
        let rig = Rig::new(fork);
        // By the owner, with a touch in between (EIP-161), with two, and without.
        for touches in 0..3 {
            made_and_emptied(&rig, A);
            for _ in 0..touches {
                rig.call(ALICE, A, &[], GAS);
            }
            assert_eq!(rig.storage_at(A, word(1)), word(0));
            rig.set_account(A, &loader(), &[]);
            assert_eq!(rig.call(ALICE, A, &[], GAS).result.output, word(0), "{touches} touches");
        }
        // By a transfer, by a mint, and emptied by either again.
        made_and_emptied(&rig, A);
        rig.call(ALICE, A, &[], GAS);
        rig.mint(A, word(3));
        rig.set_account(A, &loader(), &[]);
        assert_eq!(rig.call(ALICE, A, &[], GAS).result.output, word(0), "mint");
        // Its slots of that life count for that life.
        rig.set_account(A, &loader(), &[(word(1), word(6))]);
        assert_eq!(rig.call(ALICE, A, &[], GAS).result.output, word(6));
    }
}

/// A factory whose CREATE2 runs this init code with salt 0.
fn factory(init: &[u8]) -> Vec<u8> {
    let mut code = vec![PUSH32];
    let mut padded = [0; 32];
    padded[32 - init.len()..].copy_from_slice(init);
    code.extend(padded);
    code.extend([PUSH0, MSTORE, PUSH0, PUSH1, init.len() as u8, PUSH1, 32 - init.len() as u8]);
    code.extend([PUSH0, CREATE2, PUSH0, MSTORE, PUSH1, 32, PUSH0, RETURN]);
    code
}

#[test]
fn a_creation_does_not_find_the_storage_of_what_was_there() {
    // Copies slot 1 to slot 0, and one that destroys itself after that.
    let copies = [PUSH1, 1, SLOAD, PUSH0, SSTORE];
    let stays = [copies.as_slice(), &[PUSH1, 1, PUSH0, RETURN]].concat();
    let goes = [copies.as_slice(), &[CALLER, SELFDESTRUCT]].concat();
    for promoted in [false, true] {
        let rig = Rig::new(Fork::Prague);
        for (number, inits) in [[&stays, &stays], [&goes, &stays]].into_iter().enumerate() {
            let at = [0xf0 + number as u8; 20];
            let init = inits[0];
            let code = factory(init);
            rig.set_account(at, &code, &[]);
            if promoted && number == 0 {
                assert!(rig.promote(keccak(&code), &crate::rig::compile_for(&code, Fork::Prague)));
            }
            let child = EvmAddress::from(at).create2(B256::ZERO, keccak(init)).into_array();
            made_and_emptied(&rig, child);
            rig.call(ALICE, child, &[], GAS);
            for _ in 0..2 {
                // The second time of one that stays collides, of one that goes it is made anew.
                assert_eq!(rig.call(ALICE, at, &[], GAS).result.status, Status::Success);
                assert_eq!(rig.storage_at(child, word(0)), word(0));
                assert_eq!(rig.storage_at(child, word(1)), word(0));
            }
            rig.set_account(child, &loader(), &[]);
            assert_eq!(rig.call(ALICE, child, &[], GAS).result.output, word(0));
        }
    }
}

/// EIP-7610 asks about accounts with storage, and neither code nor a nonce. There are none here: the owner cannot make
/// one, and nobody else can at all.
#[test]
fn no_account_has_storage_and_neither_code_nor_nonce() {
    let rig = Rig::new(Fork::Cancun);
    let with_storage = SetAccount { storage: vec![(word(1), word(1))], ..empty(A) };
    let failure = rig.failure(OWNER, "set_account", borsh::to_vec(&with_storage).unwrap());
    assert!(failure.contains("ERR_ACCOUNT"), "{failure}");
}

fn designator(address: Address) -> Vec<u8> {
    [&[0xef, 1, 0], address.as_slice()].concat()
}

#[test]
fn what_frames_do_not_execute_is_not_promoted() {
    let rig = Rig::permissionless();
    let (delegate, delegated) = ([0xc7; 20], [0xd7; 20]);
    let code = programs::counter();
    rig.set_account(delegate, &code, &[]);
    rig.set_account(delegated, &designator(delegate), &[]);
    let before = rig.call(ALICE, delegated, &[], GAS).result;
    assert_eq!(before.status, Status::Success);
    let none: [&[u8]; 5] = [
        &designator(delegate),
        &designator(delegated),
        &designator(delegate)[..22],
        &[0xef],
        &[0xef, 0, 1, 1],
    ];
    for code in none {
        rig.set_account(A, code, &[]);
        for (signer, method) in [("stranger.near", "compile"), (OWNER, "compile")] {
            let failure = rig.failure(signer, method, keccak(code).to_vec());
            assert!(failure.contains("ERR_NOT_EXECUTED"), "{failure}");
        }
        let wasm = crate::rig::compile_for(code, Fork::Cancun);
        let promote = engine_abi::Promote { code_hash: keccak(code), wasm };
        let failure = rig.failure(OWNER, "promote", borsh::to_vec(&promote).unwrap());
        assert!(failure.contains("ERR_NOT_EXECUTED"), "{failure}");
    }
    // The delegate's code runs for the delegated account by the delegate's module, with the account's storage.
    assert!(rig.promote_compiled(&code));
    let after = rig.call(ALICE, delegated, &[], GAS).result;
    assert_eq!((after.status, after.counts.compiled_frames), (Status::Success, 1));
    assert_eq!(after.output, [word(1), word(2)].concat());
    assert_eq!(
        (rig.storage_at(delegated, word(0)), rig.storage_at(delegate, word(0))),
        (word(2), word(0))
    );
    // To everybody else its code is the designator.
    let rig_code: Vec<u8> = rig.view("code", &delegated);
    assert_eq!(rig_code, designator(delegate));
    assert_ne!(sender(ALICE), delegated);
}
