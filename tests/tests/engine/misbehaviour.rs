//! Modules that misbehave, promoted by the owner: their frame ends as an exceptional halt, or the call fails for want of
//! NEAR gas; the engine's state is whole either way.

use crate::programs::{self, word, word_of};
use crate::rig::{Rig, keccak};
use engine_abi::{Address, Fork, Status};
use evm_to_wasm::abi::{self, Answer, CallKind, Effects, FRAME_ABI_VERSION, Halt, Request};
use evm_to_wasm::{Fork as CompilerFork, Provenance, SECTION};
use wasm_encoder::{CustomSection, Encode, Section};

const ALICE: &str = "alice.near";
const A: Address = [0xa1; 20];
const B: Address = [0xb1; 20];

/// A module from text that says it is that of `code`.
fn module(code: &[u8], text: &str) -> Vec<u8> {
    let mut wasm = wat::parse_str(text).unwrap();
    let provenance = Provenance {
        abi: FRAME_ABI_VERSION,
        compiler: 1,
        fork: CompilerFork::Cancun,
        reads: 0,
        code_hash: abi::word(keccak(code)),
    };
    let data = borsh::to_vec(&provenance).unwrap();
    let section = CustomSection { name: SECTION.into(), data: data.into() };
    wasm.push(section.id());
    section.encode(&mut wasm);
    wasm
}

/// A module that does something and returns or yields these bytes.
fn says(code: &[u8], import: &str, bytes: &[u8], repeated: bool) -> Vec<u8> {
    let data: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let length = bytes.len();
    let (declaration, call) = match import {
        "value_return" => (
            r#"(import "env" "value_return" (func $say (param i64 i64)))"#,
            format!("(call $say (i64.const {length}) (i64.const 0))"),
        ),
        _ => (
            r#"(import "env" "callback_into" (func $say (param i64 i64 i64 i64) (result i64)))"#,
            format!(
                "(drop (call $say (i64.const {length}) (i64.const 0) (i64.const 4096) (i64.const 1024)))"
            ),
        ),
    };
    let body = if repeated { format!("(loop $l {call} (br $l))") } else { call };
    module(
        code,
        &format!(
            r#"(module {declaration} (memory (export "memory") 1) (data (i32.const 0) "{data}") (func (export "run") {body}))"#
        ),
    )
}

fn borsh(message: &impl borsh::BorshSerialize) -> Vec<u8> {
    borsh::to_vec(message).unwrap()
}

/// Modules that break a rule each, for a contract.
fn breakers(code: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let done = |gas_left, refund, effects, output_bytes| {
        borsh(&Request::Done { halt: Halt::Success, gas_left, refund, effects, output_bytes })
    };
    let call = |gas_left, value: u64, input_bytes| {
        borsh(&Request::Call {
            kind: CallKind::DelegateCall,
            gas_left,
            gas_asked: u64::MAX,
            address: [1, 0, 0, 0],
            value: [value, 0, 0, 0],
            effects: Effects::default(),
            memory_bytes: 0,
            input_bytes,
        })
    };
    let run = |body: &str| {
        module(
            code,
            &format!(r#"(module (memory (export "memory") 1) (func (export "run") {body}))"#),
        )
    };
    let none = Effects::default();
    let many = Effects { logs: u32::MAX, storage_writes: u32::MAX, transient_writes: u32::MAX };
    vec![
        ("trap", run("unreachable")),
        ("nothing", run("")),
        ("garbage", says(code, "value_return", &[0xff; 40], false)),
        ("yields garbage", says(code, "callback_into", &[0xee; 40], false)),
        ("yields half a result", says(code, "callback_into", &done(0, 0, none, 77), false)),
        (
            "returns a request",
            says(code, "value_return", &borsh(&Request::SLoad { slot: [0; 4] }), false),
        ),
        ("returns an answer", says(code, "value_return", &borsh(&Answer::Word([1; 4])), false)),
        (
            "more gas than it had",
            says(code, "value_return", &done(u64::MAX >> 2, 0, none, 0), false),
        ),
        ("effects without a tail", says(code, "value_return", &done(0, 0, many, 0), false)),
        ("output without a tail", says(code, "value_return", &done(0, 0, none, u32::MAX), false)),
        (
            "a tail without a head",
            says(code, "value_return", &[done(0, 0, none, 0), vec![1]].concat(), false),
        ),
        ("a refund for nothing", says(code, "value_return", &done(0, 1 << 40, none, 0), false)),
        ("a refund below nothing", says(code, "value_return", &done(0, -1, none, 0), false)),
        ("a call with more gas", says(code, "callback_into", &call(u64::MAX >> 2, 0, 0), false)),
        ("a delegate call with value", says(code, "callback_into", &call(0, 1, 0), false)),
        ("a call without its input", says(code, "callback_into", &call(0, 0, 77), false)),
        ("an endless loop", run("(loop $l (br $l))")),
        (
            "endless questions",
            says(code, "callback_into", &borsh(&Request::SLoad { slot: [0; 4] }), true),
        ),
    ]
}

#[test]
fn a_module_that_misbehaves_halts_its_frame_and_nothing_else() {
    let victim = programs::counter();
    for (name, wasm) in breakers(&victim) {
        let rig = Rig::new(Fork::Cancun);
        rig.set_account(A, &programs::caller(), &[]);
        rig.set_account(B, &victim, &[(word(0), word(5))]);
        assert!(rig.promote(keccak(&victim), &wasm), "{name}: refused");
        // Alone: the transaction halts, with all its gas.
        let ran = rig.call(ALICE, B, &[], 60_000);
        assert!(matches!(ran.result.status, Status::Halt(_)), "{name}: {:?}", ran.result);
        assert_eq!(ran.result.gas_used, 60_000, "{name}");
        assert_eq!(ran.result.counts.faults.len(), 1, "{name}: {:?}", ran.result.counts);
        // Called by another contract: the call fails, the rest goes on.
        let ran = rig.call(ALICE, A, &word_of(B), 120_000);
        assert_eq!(ran.result.status, Status::Success, "{name}");
        assert_eq!(rig.storage_at(A, word(1)), word(7), "{name}");
        assert_eq!(rig.storage_at(A, word(2)), word(0), "{name}");
        assert_eq!(rig.storage_at(B, word(0)), word(5), "{name}");
        // And it is cured by a demotion.
        rig.run("demote", &keccak(&victim));
        let ran = rig.call(ALICE, B, &[], 60_000);
        assert_eq!((ran.result.status, ran.result.counts.interpreted_frames), (Status::Success, 1));
        assert_eq!(rig.storage_at(B, word(0)), word(6), "{name}");
    }
}

#[test]
fn a_module_that_misbehaves_in_a_later_frame_halts_that_one() {
    let victim = programs::counter();
    let done = Request::Done {
        halt: Halt::Success,
        gas_left: 900_000,
        refund: 0,
        effects: Effects::default(),
        output_bytes: 0,
    };
    let rig = Rig::new(Fork::Cancun);
    rig.set_account(A, &programs::calls_twice(), &[]);
    rig.set_account(B, &victim, &[]);
    // The second frame has less gas than that.
    assert!(rig.promote(keccak(&victim), &says(&victim, "callback_into", &borsh(&done), true)));
    let ran = rig.call(ALICE, A, &word_of(B), 1_000_000);
    assert_eq!(ran.result.status, Status::Success, "{:?}", ran.result);
    assert_eq!(ran.result.counts.compiled_frames, 2);
    assert_eq!(ran.result.counts.faults.len(), 1, "{:?}", ran.result.counts);
    assert_eq!((rig.storage_at(A, word(1)), rig.storage_at(A, word(2))), (word(1), word(0)));
}

#[test]
fn too_little_near_gas_fails_the_call_and_never_a_frame() {
    let code = programs::recursive();
    let rig = Rig::new(Fork::Cancun);
    rig.set_account(A, &code, &[]);
    assert!(rig.promote_compiled(&code));
    let call = engine_abi::Call { to: A, gas_limit: 2_000_000, ..Default::default() };
    let call = borsh(&call);
    let enough = rig.transact(ALICE, "evm_call", call.clone());
    let burnt = enough.outcome.gas_total();
    let mut seen = 0;
    for part in 1..10 {
        let before = rig.world();
        let outcome = rig.call_as(ALICE, "evm_call", call.clone(), burnt * part / 10);
        if let Err(error) = crate::rig::value(&outcome) {
            seen += 1;
            assert!(error.contains("ERR_NEAR_GAS") || error.contains("Gas"), "{error}");
            assert_eq!(rig.world(), before);
        } else {
            let value = crate::rig::value(&outcome).unwrap();
            let result: engine_abi::TransactionResult = borsh::from_slice(&value).unwrap();
            assert_eq!(result.counts.faults, Vec::<String>::new());
        }
    }
    assert!(seen > 3, "{seen} of 9 failed");
}
