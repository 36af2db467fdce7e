//! An engine account of version 1: its state is read as it is, and `migrate` moves it.

use crate::programs::{self, word};
use crate::rig::{CHAIN_ID, OWNER, Rig, compile_for, keccak, value};
use engine_abi::state::{self, Account, Config, Promotion, PromotionBefore};
use engine_abi::{Address, Fork, Migrate, Migrated, Status};

const ALICE: &str = "alice.near";
const A: Address = [0xa4; 20];
const GONE: Address = [0xb4; 20];

fn args(value: &impl borsh::BorshSerialize) -> Vec<u8> {
    borsh::to_vec(value).unwrap()
}

/// Code as version 1 kept it, and the promotion of it by a module of the frame ABI before this one.
fn records(code: &[u8], code_hash: [u8; 32]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let bytecode = revm::state::Bytecode::new_raw(code.to_vec().into());
    let jumps = bytecode.legacy_jump_table().map(|table| table.as_slice().to_vec());
    let record = state::code::encode(
        bytecode.len(),
        bytecode.bytes_slice(),
        jumps.unwrap_or_default().as_slice(),
    );
    let promotion = PromotionBefore {
        namespace: state::namespace_before(&code_hash),
        fork: Fork::Cancun,
        compiler: 1,
        abi: 2,
        wasm_bytes: 8,
        code_bytes: code.len() as u32,
        compiled_here: true,
    };
    vec![
        (
            state::code_key(&code_hash).to_vec(),
            [vec![state::PROMOTED_BEFORE], args(&promotion)].concat(),
        ),
        (state::body_key(&code_hash).to_vec(), record),
    ]
}

/// An engine that version 1 has left: two promoted contracts, of which one is a designator that stands for the other, and
/// a slot of an account that is no more.
fn old_engine(code: &[u8], designator: &[u8]) -> Rig {
    let config = Config {
        version: 1,
        chain_id: CHAIN_ID,
        fork: Fork::Cancun,
        permissionless_promote: true,
        owner: OWNER.to_owned(),
    };
    let account = |code: &[u8]| {
        args(&Account { nonce: 1, balance: [0; 32], code_hash: keccak(code), incarnation: 0 })
    };
    let mut entries = vec![
        (state::CONFIG_KEY.to_vec(), args(&config)),
        (state::account_key(&A).to_vec(), account(code)),
        (state::account_key(&[0xd4; 20]).to_vec(), account(designator)),
        (state::slot_key(&A, 0, &word(0)).to_vec(), vec![7]),
        (state::slot_key(&GONE, 0, &word(0)).to_vec(), vec![9]),
    ];
    entries.extend(records(code, keccak(code)));
    entries.extend(records(designator, keccak(designator)));
    let rig = Rig::over(&entries);
    let module = wat::parse_str("(module (memory (export \"memory\") 1) (func (export \"run\")))");
    for code in [code, designator] {
        rig.deploy_private(&state::namespace_before(&keccak(code)), module.as_ref().unwrap());
    }
    rig
}

fn designator_of(address: Address) -> Vec<u8> {
    [&[0xef, 1, 0], address.as_slice()].concat()
}

#[test]
fn an_engine_of_version_1_opens() {
    let code = programs::counter();
    let rig = old_engine(&code, &designator_of(A));
    // Its slots and code are there; the module speaks another version of the ABI and is not asked.
    assert_eq!(rig.storage_at(A, word(0)), word(7));
    assert_eq!(rig.view::<Vec<u8>>("code", &A), code);
    let ran = rig.call(ALICE, A, &[], 200_000);
    assert_eq!((ran.result.status, ran.result.counts.compiled_frames), (Status::Success, 0));
    assert_eq!(ran.result.counts.faults, Vec::<String>::new());
    assert_eq!(rig.storage_at(A, word(0)), word(8));
    // The designator is one again, though its promotion is still there.
    let delegated = [0xd4; 20];
    let ran = rig.call(ALICE, delegated, &[], 200_000);
    assert_eq!(ran.result.status, Status::Success, "{:?}", ran.result);
    assert_eq!(
        (rig.storage_at(delegated, word(0)), rig.storage_at(A, word(0))),
        (word(1), word(8))
    );
    // Compiled again it has a module under the new name, and the old one is gone.
    assert_eq!(rig.run("compile", &keccak(&code)), [1]);
    let promotion: Option<Promotion> = rig.view("promoted", &keccak(&code));
    assert_eq!(promotion.unwrap().namespace, state::namespace(&keccak(&code)));
    assert!(!rig.has_module(&state::namespace_before(&keccak(&code))));
    assert_eq!(rig.call(ALICE, A, &[], 200_000).result.counts.compiled_frames, 1);
    assert_eq!(rig.storage_at(A, word(0)), word(9));
}

#[test]
fn a_migration_goes_on_where_it_stopped() {
    let (code, designator) = (programs::counter(), designator_of(A));
    let rig = old_engine(&code, &designator);
    let hashes = vec![keccak(&code), keccak(&designator)];
    let all = Migrate { forgotten: vec![(GONE, 0)], code_hashes: hashes.clone(), last: true };
    assert!(rig.failure(ALICE, "migrate", args(&all)).contains("ERR_NOT_ALLOWED"));
    // Too little gas for all of it.
    let outcome = rig.call_as(OWNER, "migrate", args(&all), 31_000_000_000_000);
    let first: Migrated = borsh::from_slice(&value(&outcome).unwrap()).unwrap();
    assert_eq!(first.version, 1);
    assert!(first.code_hashes < 2, "{first:?}");
    let migrated: Migrated = borsh::from_slice(&rig.run("migrate", &all)).unwrap();
    assert_eq!(migrated, Migrated { forgotten: 1, code_hashes: 2, version: state::STATE_VERSION });
    // Once more changes nothing.
    let before = rig.entries();
    let again: Migrated = borsh::from_slice(&rig.run("migrate", &all)).unwrap();
    assert_eq!((again, rig.entries()), (migrated, before));
    for (hash, code) in hashes.iter().zip([&code, &designator]) {
        assert_eq!(rig.view::<Option<Promotion>>("promoted", hash), None);
        assert!(!rig.has_module(&state::namespace_before(&keccak(code))));
    }
    assert_eq!(rig.call(ALICE, A, &[], 200_000).result.counts.interpreted_frames, 1);
    // What comes to the address of the account that is no more does not find its slot.
    rig.set_account(GONE, &code, &[]);
    assert_eq!(rig.storage_at(GONE, word(0)), word(0));
}

#[test]
fn modules_are_named_by_thirty_bytes_of_their_hash() {
    let rig = Rig::new(Fork::Cancun);
    let code = programs::counter();
    rig.set_account(A, &code, &[]);
    assert!(rig.promote(keccak(&code), &compile_for(&code, Fork::Cancun)));
    let namespace = state::namespace(&keccak(&code));
    assert_eq!(namespace.len(), 64);
    assert!(rig.has_module(&namespace));
}
