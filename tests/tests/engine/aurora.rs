//! Aurora's methods, spoken by types that are written here from Aurora's published ABI and not by the engine's own.

use crate::programs::{self, word};
use crate::rig::{CHAIN_ID, OWNER, Rig, keccak, sender, value};
use crate::signed::{Fields, Signer};
use borsh::{BorshDeserialize, BorshSerialize};
use engine_abi::Fork;
use near_primitives_core::hash::CryptoHash;
use revm::primitives::{Address as EvmAddress, hex};

const ALICE: &str = "alice.near";
const A: [u8; 20] = [0xa8; 20];

#[derive(BorshSerialize)]
struct FunctionCallArgsV2 {
    contract: [u8; 20],
    value: [u8; 32],
    input: Vec<u8>,
}

#[derive(BorshSerialize)]
struct FunctionCallArgsV1 {
    contract: [u8; 20],
    input: Vec<u8>,
}

#[derive(BorshSerialize)]
#[allow(dead_code, reason = "variants give the others their number")]
enum CallArgs {
    V2(FunctionCallArgsV2),
    V1(FunctionCallArgsV1),
}

#[derive(BorshSerialize)]
struct ViewCallArgs {
    sender: [u8; 20],
    address: [u8; 20],
    amount: [u8; 32],
    input: Vec<u8>,
}

#[derive(BorshSerialize)]
struct SubmitArgs {
    tx_data: Vec<u8>,
    max_gas_price: Option<u128>,
    gas_token_address: Option<[u8; 20]>,
}

#[derive(Debug, PartialEq, BorshDeserialize)]
struct SubmitResult {
    version: u8,
    status: TransactionStatus,
    gas_used: u64,
    logs: Vec<ResultLog>,
}

#[derive(Debug, PartialEq, BorshDeserialize)]
struct ResultLog {
    address: [u8; 20],
    topics: Vec<[u8; 32]>,
    data: Vec<u8>,
}

#[derive(Debug, PartialEq, BorshDeserialize)]
enum TransactionStatus {
    Succeed(Vec<u8>),
    Revert(Vec<u8>),
    OutOfGas,
    OutOfFund,
    OutOfOffset,
    CallTooDeep,
    StackUnderflow,
    StackOverflow,
    InvalidJump,
    InvalidRange,
    DesignatedInvalid,
    CreateCollision,
    CreateContractLimit,
    InvalidCode(u8),
    PCUnderflow,
    CreateEmpty,
    MaxNonce,
    UsizeOverflow,
    Other(String),
    CreateContractStartingWithEF,
}

fn args(value: &impl BorshSerialize) -> Vec<u8> {
    borsh::to_vec(value).unwrap()
}

fn ran(rig: &Rig, signer: &str, method: &str, args: Vec<u8>) -> SubmitResult {
    let outcome = rig.call_as(signer, method, args, crate::rig::NEAR_GAS);
    let bytes = value(&outcome).unwrap_or_else(|error| panic!("{method}: {error}"));
    SubmitResult::try_from_slice(&bytes).unwrap()
}

#[test]
fn a_call_takes_all_forms_of_its_arguments() {
    let rig = Rig::new(Fork::Cancun);
    rig.set_account(A, &programs::counter(), &[]);
    rig.mint(sender(ALICE), word(100));
    let (contract, input) = (A, Vec::new());
    let forms = [
        args(&CallArgs::V2(FunctionCallArgsV2 { contract, value: word(3), input: vec![1] })),
        args(&CallArgs::V1(FunctionCallArgsV1 { contract, input: input.clone() })),
        args(&FunctionCallArgsV1 { contract, input }),
    ];
    for (number, form) in forms.into_iter().enumerate() {
        let result = ran(&rig, ALICE, "call", form);
        let (old, new) = (word(number as u64), word(number as u64 + 1));
        assert_eq!(
            (result.version, result.status),
            (7, TransactionStatus::Succeed([old, new].concat()))
        );
        let log = ResultLog { address: A, topics: vec![word(5)], data: old.to_vec() };
        assert_eq!(result.logs, [log]);
        assert!(result.gas_used > 21_000);
    }
    assert_eq!(rig.view_bytes("get_balance", &A), word(3));
    assert!(rig.failure(ALICE, "call", vec![9; 7]).contains("ERR_BORSH_DESERIALIZE"));
    let rich = args(&CallArgs::V2(FunctionCallArgsV2 { contract, value: [9; 32], input: vec![] }));
    assert_eq!(ran(&rig, ALICE, "call", rich).status, TransactionStatus::OutOfFund);
}

#[test]
fn endings_have_their_variants() {
    use TransactionStatus::*;
    let endings: [(&[u8], TransactionStatus); 8] = [
        (&hex!("602a5f526001601ffd"), Revert(vec![0x2a])),
        (&hex!("fe"), DesignatedInvalid),
        (&hex!("01"), StackUnderflow),
        (&hex!("600056"), InvalidJump),
        (&hex!("5b5f600056"), StackOverflow),
        (&hex!("600160005f3e"), OutOfOffset),
        (&hex!("0c"), InvalidCode(0)),
        (&hex!("00"), Succeed(vec![])),
    ];
    let rig = Rig::new(Fork::Cancun);
    for (code, status) in endings {
        rig.set_account(A, code, &[]);
        let call = args(&FunctionCallArgsV1 { contract: A, input: vec![] });
        assert_eq!(ran(&rig, ALICE, "call", call).status, status, "{}", hex::encode(code));
        let view = ViewCallArgs { sender: [1; 20], address: A, amount: [0; 32], input: vec![] };
        let viewed = TransactionStatus::try_from_slice(&rig.view_bytes("view", &view)).unwrap();
        assert_eq!(viewed, status);
    }
}

#[test]
fn a_creation_gives_the_address() {
    let rig = Rig::new(Fork::Cancun);
    let init = programs::initcode(&programs::counter());
    let from = EvmAddress::from(sender(ALICE));
    for nonce in 0..2 {
        let created = ran(&rig, ALICE, "deploy_code", init.clone());
        assert_eq!(created.status, TransactionStatus::Succeed(from.create(nonce).to_vec()));
    }
    assert_eq!(rig.view_bytes("get_code", &from.create(0).into_array()), programs::counter());
    assert_eq!(rig.view_bytes("get_nonce", &sender(ALICE)), word(2));
    let reverting = ran(&rig, ALICE, "deploy_code", hex!("60015ffd").to_vec());
    assert_eq!(reverting.status, TransactionStatus::Revert(vec![0]));
}

#[test]
fn views_are_words_and_bytes() {
    let rig = Rig::new(Fork::Cancun);
    rig.set_account(A, &programs::counter(), &[(word(0), word(77))]);
    assert_eq!(rig.view_bytes("get_storage_at", &(A, word(0))), word(77));
    assert_eq!(rig.view_bytes("get_nonce", &A), word(1));
    assert_eq!(rig.view_bytes("get_code", &[9_u8; 20]), Vec::<u8>::new());
    assert_eq!(rig.view_bytes("get_chain_id", &()), word(CHAIN_ID));
    assert_eq!(rig.view_bytes("get_owner", &()), OWNER.as_bytes());
    let number: u64 = 12;
    let chain_id = word(CHAIN_ID);
    let name = [&[0], chain_id.as_slice(), rig.account().as_bytes(), &number.to_be_bytes()];
    let hash = CryptoHash::hash_bytes(&name.concat()).0;
    assert_eq!(rig.view_bytes("get_block_hash", &number), hash.to_vec());
    assert_eq!(rig.view_bytes("block_hash", &number), hash.to_vec());
    assert!(rig.view_failure("get_nonce", vec![1; 21]).contains("ERR_INCORRECT_INPUT_LENGTH"));
    assert!(rig.view_failure("view", vec![1; 21]).contains("ERR_ARG_PARSE"));
}

#[test]
fn signed_transactions_end_in_auroras_words() {
    let rig = Rig::new(Fork::Cancun);
    let signer = Signer::new(0x61);
    rig.mint(signer.address(), word(1_000_000_000));
    rig.set_account(A, &programs::counter(), &[]);
    let fields = Fields { nonce: 0, chain_id: CHAIN_ID, gas_limit: 100_000, value: 0, to: Some(A) };
    let good = fields.typed(2, &signer, &[]);
    let fails = |bytes: Vec<u8>| rig.failure("relayer.near", "submit", bytes);
    assert!(fails(vec![]).contains("ERR_EMPTY_TX_INPUT"));
    assert!(fails(vec![9, 1]).contains("ERR_UNKNOWN_TX_TYPE"));
    assert!(fails(good[..good.len() - 1].to_vec()).contains("ERR_TX_RLP_DECODE"));
    let wrong = |fields: Fields| fields.typed(2, &signer, &[]);
    assert!(
        fails(wrong(Fields { chain_id: 5, nonce: 3, ..fields })).contains("ERR_INVALID_CHAIN_ID")
    );
    let nonce = fails(wrong(Fields { nonce: 7, ..fields }));
    assert!(nonce.contains("ERR_INCORRECT_NONCE: ac: 0, tx: 7"), "{nonce}");
    assert!(fails(wrong(Fields { gas_limit: 20_000, ..fields })).contains("ERR_INTRINSIC_GAS"));
    assert!(fails(wrong(Fields { value: 2_000_000_000, ..fields })).contains("ERR_OUT_OF_FUND"));
    let result = ran(&rig, "relayer.near", "submit", good.clone());
    assert_eq!(result.status, TransactionStatus::Succeed([word(0), word(1)].concat()));
    assert!(fails(good).contains("ERR_INCORRECT_NONCE: ac: 1, tx: 0"));
    let next = Fields { nonce: 1, ..fields }.typed(2, &signer, &[]);
    let with = SubmitArgs { tx_data: next, max_gas_price: Some(0), gas_token_address: None };
    let before = rig.view_bytes("get_balance", &signer.address());
    let result = ran(&rig, "relayer.near", "submit_with_args", args(&with));
    assert_eq!(result.status, TransactionStatus::Succeed([word(1), word(2)].concat()));
    // At most nothing for its gas.
    assert_eq!(rig.view_bytes("get_balance", &signer.address()), before);
}

#[test]
fn nobody_leaves_a_deposit_behind() {
    let rig = Rig::permissionless();
    rig.set_account(A, &programs::counter(), &[]);
    let call = args(&FunctionCallArgsV1 { contract: A, input: vec![] });
    for method in
        ["submit", "call", "deploy_code", "submit_with_args", "evm_submit", "evm_call", "mint"]
    {
        let outcome = rig.call_with_deposit(ALICE, method, call.clone(), 5);
        let failure = value(&outcome).unwrap_err();
        assert!(failure.contains("ERR_DEPOSIT"), "{method}: {failure}");
    }
    // A stranger pays for the storage that a module takes, and no more.
    let hash = keccak(&programs::counter()).to_vec();
    assert!(rig.failure(ALICE, "compile", hash.clone()).contains("ERR_DEPOSIT"));
    let before = Rig::near_balance(rig.account());
    let near = 10_u128.pow(24);
    let outcome = rig.call_with_deposit(ALICE, "compile", hash, 3 * near);
    assert_eq!(value(&outcome).unwrap(), [1]);
    let kept = Rig::near_balance(rig.account()) - before;
    assert!(kept > near / 100 && kept < near, "{kept}");
}
