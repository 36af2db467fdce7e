//! The driver as a parent, with modules written by hand: what it answers, and what it makes of a module that
//! breaks the frame ABI.

use cotenant_host::engine::EngineKind;
use evm_driver::{ModuleOptions, Modules, Ran, World};
use evm_to_wasm::Fork;
use evm_to_wasm::abi::{self, CallKind, Effects, Halt, LogHead, Request};
use revm::context::TxEnv;
use revm::context::result::ExecutionResult;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, Bytes, TxKind, U256, keccak256};
use std::rc::Rc;

const GAS: u64 = 1_000_000;
/// What a transaction costs before its first frame.
const INTRINSIC_GAS: u64 = 21_000;

fn caller() -> Address {
    Address::repeat_byte(0xaa)
}

fn contract() -> Address {
    Address::repeat_byte(0xcc)
}

/// A module that yields these messages one after the other, then returns the last one. It reads no answers.
fn module(messages: &[Vec<u8>]) -> Vec<u8> {
    let escaped =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let (mut data, mut body, mut at) = (String::new(), String::new(), 1024);
    for (index, message) in messages.iter().enumerate() {
        data += &format!("(data (i32.const {at}) \"{}\")\n", escaped(message));
        let length = message.len();
        body += &if index + 1 == messages.len() {
            format!("(call $value_return (i64.const {length}) (i64.const {at}))\n")
        } else {
            format!("(call $callback (i64.const {length}) (i64.const {at}) (i64.const 1))\n")
        };
        at += length;
    }
    let text = format!(
        "(module
            (import \"env\" \"callback\" (func $callback (param i64 i64 i64)))
            (import \"env\" \"value_return\" (func $value_return (param i64 i64)))
            (memory 1)
            {data}
            (func (export \"run\") {body}))"
    );
    wat::parse_str(text).unwrap()
}

fn bytes(head: &Request, tail: &[u8]) -> Vec<u8> {
    [borsh::to_vec(head).unwrap(), tail.to_vec()].concat()
}

fn done(halt: Halt, gas_left: u64, effects: Effects, tail: &[u8], output_bytes: u32) -> Vec<u8> {
    bytes(&Request::Done { halt, gas_left, refund: 0, effects, output_bytes }, tail)
}

fn word(number: u64) -> Vec<u8> {
    [number.to_le_bytes().to_vec(), vec![0; 24]].concat()
}

/// Calls a contract whose module is this one.
fn run(wasm: &[u8]) -> Ran {
    run_in(&mut World::new(SpecId::CANCUN), wasm)
}

fn run_in(world: &mut World, wasm: &[u8]) -> Ran {
    // Any code will do: its module is the one given here.
    let code = Bytes::from_static(b"\xfe by hand");
    world.insert(caller(), U256::from(1_000_000), 0, Bytes::new());
    world.insert(contract(), U256::from(7), 1, code.clone());
    let modules = modules();
    modules.insert(keccak256(&code), Fork::Cancun, wasm).unwrap();
    let transaction = TxEnv {
        caller: caller(),
        gas_limit: GAS,
        kind: TxKind::Call(contract()),
        ..TxEnv::default()
    };
    world.run(&transaction, Some(&modules))
}

fn modules() -> Rc<Modules> {
    Modules::new(ModuleOptions::new(EngineKind::Wasmi)).unwrap()
}

fn result(ran: &Ran) -> &ExecutionResult {
    ran.outcome.as_ref().unwrap()
}

#[test]
fn effects_and_output_reach_the_journal() {
    let effects = Effects { logs: 1, storage_writes: 1, transient_writes: 1 };
    let head = borsh::to_vec(&LogHead { topics: 1, data_bytes: 3 }).unwrap();
    let tail = [head, word(5), b"cba".to_vec(), word(1), word(2), word(3), word(4), b"ih".to_vec()];
    let ran = run(&module(&[done(Halt::Success, 1_000, effects, &tail.concat(), 2)]));
    assert_eq!(ran.counts.faults, Vec::<String>::new());
    assert_eq!((ran.counts.compiled_frames, ran.counts.interpreted_frames), (1, 0));
    assert_eq!(result(&ran).output().unwrap().as_ref(), b"hi");
    assert_eq!(result(&ran).tx_gas_used(), GAS - 1_000);
    let log = &result(&ran).logs()[0];
    assert_eq!((log.topics()[0], log.data.data.as_ref()), (U256::from(5).into(), &b"abc"[..]));
    let slot = &ran.changes[&contract()].storage[&U256::from(1)];
    assert_eq!(slot.present_value, U256::from(2));
}

#[test]
fn requests_are_answered_until_the_end() {
    let requests = [
        bytes(&Request::SLoad { slot: [1, 0, 0, 0] }, &[]),
        bytes(&Request::TLoad { slot: [1, 0, 0, 0] }, &[]),
        bytes(&Request::Balance { address: abi::address([0xaa; 20]) }, &[]),
        bytes(&Request::ExtCode { address: abi::address([0xcc; 20]), with_bytes: 1 }, &[]),
        bytes(&Request::BlockHash { number: 999 }, &[]),
        done(Halt::Revert, 5, Effects::default(), b"on", 2),
    ];
    let ran = run(&module(&requests));
    assert_eq!((ran.counts.faults.len(), ran.counts.yields), (0, 5));
    assert!(matches!(result(&ran), ExecutionResult::Revert { .. }));
    assert_eq!(result(&ran).output().unwrap().as_ref(), b"no");
    assert_eq!(result(&ran).tx_gas_used(), GAS - 5);
}

/// A call pays for value and a new account here, 63/64 of the rest go along, and the stipend comes back.
#[test]
fn a_call_is_charged_by_the_parent() {
    let call = Request::Call {
        kind: CallKind::Call,
        gas_left: 100_000,
        gas_asked: 0,
        address: abi::address([0xdd; 20]),
        value: [1, 0, 0, 0],
        effects: Effects::default(),
        memory_bytes: 0,
        input_bytes: 0,
    };
    // 9,000 for value, 2,500 for a cold account, 25,000 for a new one; 2,300 are given and come back.
    let left = 100_000 - 9_000 - 2_500 - 25_000 + 2_300;
    for (claimed, faults) in [(left, 0), (left + 1, 1)] {
        let end = done(Halt::Success, claimed, Effects::default(), &[], 0);
        let ran = run(&module(&[bytes(&call, &[]), end]));
        assert_eq!(ran.counts.faults.len(), faults, "{:?}", ran.counts.faults);
        if faults == 0 {
            assert_eq!(ran.changes[&Address::repeat_byte(0xdd)].info.balance, U256::from(1));
            assert_eq!(result(&ran).tx_gas_used(), GAS - left);
        }
    }
}

#[test]
fn a_module_that_breaks_the_abi_halts_its_frame() {
    let none = Effects::default();
    let write = Effects { storage_writes: 1, ..none };
    let success = |gas_left| done(Halt::Success, gas_left, none, &[], 0);
    let topics = borsh::to_vec(&LogHead { topics: 5, data_bytes: 0 }).unwrap();
    let trap = wat::parse_str("(module (memory 1) (func (export \"run\") unreachable))").unwrap();
    let bad = [
        ("no message", module(&[b"\xff".to_vec()])),
        ("nothing at all", module(&[Vec::new()])),
        (
            "a yielded result with a long tail",
            module(&[done(Halt::Success, 1, none, b"x", 0), success(1)]),
        ),
        ("a request that is returned", module(&[bytes(&Request::SLoad { slot: [0; 4] }, &[])])),
        ("a short tail", module(&[done(Halt::Success, 1, write, &word(1), 0)])),
        ("a long tail", module(&[done(Halt::Success, 1, none, b"x", 0)])),
        ("more gas than there is", module(&[success(GAS - INTRINSIC_GAS + 1)])),
        ("effects of a revert", module(&[done(Halt::Revert, 1, write, &[0; 64], 0)])),
        ("five topics", module(&[done(Halt::Success, 1, Effects { logs: 1, ..none }, &topics, 0)])),
        ("a trap", trap),
    ];
    for (what, wasm) in bad {
        let ran = run(&wasm);
        assert_eq!(ran.counts.faults.len(), 1, "{what}: {:?}", ran.counts.faults);
        assert!(matches!(result(&ran), ExecutionResult::Halt { .. }), "{what}");
        assert_eq!(result(&ran).tx_gas_used(), GAS, "{what}");
        assert!(ran.changes[&contract()].storage.is_empty(), "{what}");
    }
}

#[test]
fn a_result_may_be_yielded() {
    let end = |gas_left| done(Halt::Success, gas_left, Effects::default(), b"ih", 2);
    let ran = run(&module(&[end(3), end(1)]));
    assert_eq!(ran.counts.faults, Vec::<String>::new());
    assert_eq!((ran.counts.compiled_frames, ran.counts.yields), (1, 0));
    assert_eq!(result(&ran).output().unwrap().as_ref(), b"hi");
    assert_eq!(result(&ran).tx_gas_used(), GAS - 3);
}

#[test]
fn code_without_a_module_is_interpreted_and_counted() {
    let mut world = World::new(SpecId::SHANGHAI);
    world.insert(caller(), U256::from(1_000_000), 0, Bytes::new());
    world.insert(contract(), U256::ZERO, 1, Bytes::from_static(&[0x60, 1, 0x5f, 0x55]));
    let transaction = TxEnv {
        caller: caller(),
        gas_limit: GAS,
        kind: TxKind::Call(contract()),
        ..TxEnv::default()
    };
    let ran = world.run(&transaction, Some(&modules()));
    assert_eq!((ran.counts.compiled_frames, ran.counts.interpreted_frames), (0, 1));
    assert!(result(&ran).is_success());
}
