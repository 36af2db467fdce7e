//! What a transaction may have besides gas: the same number for frames that are interpreted and for compiled ones, the same
//! ending, and results of any length that these numbers allow.

use crate::programs::{self, word};
use crate::rig::{Rig, value};
use cotenant_host::runtime::Status as NearStatus;
use engine_abi::{Address, Fork, LongResult, Status, TransactionResult, View};
use revm::bytecode::opcode::*;

const ALICE: &str = "alice.near";
const A: Address = [0xa6; 20];
const MUCH: u64 = 1 << 40;

/// Bytes of EVM memory that a frame may have (`docs/evm/engine.md`).
const FRAME_BYTES: u32 = (4 << 20) - (64 << 10);

/// A loop before the rest, so that nothing is short enough to be interpreted for that.
fn after_a_loop(rest: &[u8]) -> Vec<u8> {
    let mut code = vec![PUSH2, 2, 0, JUMPDEST, PUSH1, 1, SWAP1, SUB, DUP1, PUSH1, 3, JUMPI, POP];
    code.extend_from_slice(rest);
    code
}

/// Stores a word at an offset and returns MSIZE.
fn stores_at(offset: u32) -> Vec<u8> {
    let store = [&[PUSH1, 1, PUSH4], offset.to_be_bytes().as_slice(), &[MSTORE]].concat();
    after_a_loop(&[store.as_slice(), &[MSIZE, PUSH0, MSTORE, PUSH1, 32, PUSH0, RETURN]].concat())
}

/// What a call of this code comes to, interpreted and compiled; both alike.
fn both(code: &[u8], gas: u64) -> TransactionResult {
    let [interpreted, compiled] = [false, true].map(|promoted| {
        let rig = Rig::new(Fork::Cancun);
        rig.set_account(A, code, &[]);
        if promoted {
            assert!(rig.promote_compiled(code));
        }
        let result = rig.call(ALICE, A, &[], gas).result;
        assert_eq!(result.counts.faults, Vec::<String>::new());
        assert_eq!(result.counts.compiled_frames, u64::from(promoted));
        result
    });
    let shown = |result: &TransactionResult| {
        let halted = matches!(result.status, Status::Halt(_));
        (halted, result.gas_used, result.output.clone(), result.logs.clone())
    };
    assert_eq!(shown(&interpreted), shown(&compiled));
    compiled
}

#[test]
fn memory_ends_a_frame_at_one_number() {
    let last = FRAME_BYTES - 32;
    for (offset, halts) in [
        (1 << 20, false),
        (last, false),
        (last + 1, true),
        (16 << 20, true),
        (64 << 20, true),
        (100 << 20, true),
        (127 << 20, true),
        (130 << 20, true),
        (u32::MAX, true),
    ] {
        let result = both(&stores_at(offset), MUCH);
        assert_eq!(matches!(result.status, Status::Halt(_)), halts, "{offset}: {result:?}");
        if !halts {
            assert_eq!(result.output, word(u64::from(offset).next_multiple_of(32) + 32));
        }
    }
}

/// Touches 2 MiB and calls itself with what is left, as long as its gas is more than that of 4 levels; stores how deep.
fn deep() -> Vec<u8> {
    after_a_loop(&[
        PUSH1, 1, PUSH3, 0x1f, 0xff, 0xe0, MSTORE, //
        PUSH1, 32, PUSH0, PUSH0, PUSH0, PUSH0, ADDRESS, GAS, CALL, POP, //
        PUSH0, MLOAD, PUSH1, 1, ADD, PUSH0, MSTORE, PUSH1, 32, PUSH0, RETURN,
    ])
}

#[test]
fn memory_of_all_live_frames_ends_the_deepest() {
    // 16 MiB of live memory are eight frames of 2 MiB; the ninth halts, and its callers go on.
    let [interpreted, compiled] = [false, true].map(|promoted| {
        let rig = Rig::new(Fork::Cancun);
        rig.set_account(A, &deep(), &[]);
        if promoted {
            assert!(rig.promote_compiled(&deep()));
        }
        let result = rig.call(ALICE, A, &[], MUCH).result;
        assert_eq!(result.counts.faults, Vec::<String>::new());
        (result.status, result.output, result.gas_used)
    });
    assert_eq!(interpreted, compiled);
    assert_eq!(interpreted.1, word(8));
}

/// Logs so many bytes so many times.
fn logs(bytes: u32, times: u8) -> Vec<u8> {
    let mut code = vec![PUSH1, times, JUMPDEST];
    code.push(PUSH4);
    code.extend(bytes.to_be_bytes());
    code.extend([PUSH0, LOG0, PUSH1, 1, SWAP1, SUB, DUP1, PUSH1, 2, JUMPI, STOP]);
    code
}

#[test]
fn logs_end_a_frame_at_one_number() {
    for (bytes, times, halts) in [
        (1 << 20, 3, false),
        (1 << 20, 4, false),
        (1 << 20, 5, true),
        (1 << 16, 64, false),
        (1 << 16, 65, true),
        (0, 255, false),
    ] {
        let result = short_of(&logs(bytes, times));
        assert_eq!(matches!(result.status, Status::Halt(_)), halts, "{bytes} times {times}");
    }
}

/// A result that may be a long one: its head.
fn short_of(code: &[u8]) -> TransactionResult {
    let [interpreted, compiled] = [false, true].map(|promoted| {
        let rig = Rig::new(Fork::Cancun);
        rig.set_account(A, code, &[]);
        if promoted {
            assert!(rig.promote_compiled(code));
        }
        let (mut result, _) = called(&rig);
        assert_eq!(result.counts.faults, Vec::<String>::new());
        result.counts = engine_abi::Counts::default();
        if let Status::Halt(reason) = &mut result.status {
            reason.clear();
        }
        result
    });
    assert_eq!(interpreted, compiled);
    compiled
}

/// A call, with all its parts put together; and in how many it came.
fn called(rig: &Rig) -> (TransactionResult, u32) {
    let call = engine_abi::Call { to: A, gas_limit: MUCH, ..Default::default() };
    let outcome =
        rig.call_as(ALICE, "evm_call", borsh::to_vec(&call).unwrap(), crate::rig::NEAR_GAS);
    let returned = value(&outcome).unwrap_or_else(|error| panic!("{error}"));
    let Ok(LongResult { head, parts }) = borsh::from_slice::<LongResult>(&returned) else {
        return (borsh::from_slice(&returned).unwrap(), 0);
    };
    assert_eq!((head.version, head.output.len(), head.logs.len()), (2, 0, 0));
    // The receipts that follow have the parts as their values, in order.
    let values = outcome.receipts.iter().skip(1).filter_map(|receipt| match &receipt.status {
        NearStatus::SuccessValue(value) if !value.is_empty() => Some(value.clone()),
        _ => None,
    });
    let whole: Vec<Vec<u8>> = values.collect();
    assert_eq!(whole.len(), parts.count as usize);
    let whole = whole.concat();
    assert_eq!(whole.len(), parts.bytes as usize);
    let result: TransactionResult = borsh::from_slice(&whole).unwrap();
    assert_eq!((result.status.clone(), result.gas_used), (head.status, head.gas_used));
    (result, parts.count)
}

#[test]
fn long_results_come_in_parts() {
    let output = |bytes: u32| [&[PUSH4], bytes.to_be_bytes().as_slice(), &[PUSH0, RETURN]].concat();
    for (code, bytes, parts) in [
        (output(FRAME_BYTES), FRAME_BYTES as usize, 0),
        (output(1 << 20), 1 << 20, 0),
        // Logs of 4 MiB, and an output.
        ([&logs(1 << 20, 4)[..18], &output(3 << 20)].concat(), 7 << 20, 8),
    ] {
        let rig = Rig::new(Fork::Cancun);
        rig.set_account(A, &code, &[]);
        let (result, count) = called(&rig);
        assert_eq!((result.status, count), (Status::Success, parts));
        let logged: usize = result.logs.iter().map(|log| log.data.len()).sum();
        assert_eq!(result.output.len() + logged, bytes);
        // The same of a view, which has no receipts.
        let view = View { from: [1; 20], to: A, gas_limit: MUCH, ..View::default() };
        if count > 0 {
            let LongResult { parts, .. } = rig.view("evm_view", &view);
            let pieces =
                (0..parts.count).map(|number| rig.view_bytes("evm_view_part", &(&view, number)));
            let whole: Vec<u8> = pieces.collect::<Vec<_>>().concat();
            assert_eq!(whole.len(), parts.bytes as usize);
        }
    }
}

#[test]
fn nobody_but_the_account_makes_parts() {
    let rig = Rig::new(Fork::Cancun);
    assert!(rig.failure(ALICE, "result_part", vec![1]).contains("ERR_NOT_ALLOWED"));
}

/// Gas at the ends of 64 bits: GAS, the part of a 64th, and what comes back are exact, compiled and interpreted.
#[test]
fn gas_beyond_a_modules_is_exact() {
    // Returns GAS before and after a call that burns its part, and one that returns at once.
    // Long enough that the modules are opened rather than the code read.
    let long = |mut code: Vec<u8>| {
        code.resize(2_100, STOP);
        code
    };
    let observer = long(after_a_loop(&[
        GAS,
        PUSH0,
        MSTORE, //
        PUSH0,
        PUSH0,
        PUSH0,
        PUSH0,
        PUSH0,
        PUSH0,
        CALLDATALOAD,
        GAS,
        CALL, //
        GAS,
        PUSH1,
        32,
        MSTORE,
        PUSH1,
        96,
        MSTORE, //
        PUSH0,
        PUSH0,
        PUSH0,
        PUSH0,
        PUSH0,
        PUSH1,
        0xee,
        PUSH8,
        0x7f,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        CALL, //
        GAS,
        PUSH1,
        64,
        MSTORE,
        POP,
        PUSH1,
        128,
        PUSH0,
        RETURN,
    ]));
    let callees: [(&str, Vec<u8>); 3] = [
        ("burns", long(after_a_loop(&[INVALID]))),
        ("refunds", long(after_a_loop(&[PUSH0, PUSH0, SSTORE, STOP]))),
        ("asks", long(after_a_loop(&[GAS, PUSH0, SSTORE, STOP]))),
    ];
    for (name, callee) in callees {
        for gas in [1 << 62, (1 << 63) - 1, 1 << 63, (1 << 63) + 40_000, u64::MAX - 1, u64::MAX] {
            let [interpreted, compiled] = [false, true].map(|promoted| {
                let rig = Rig::new(Fork::Cancun);
                rig.set_account(A, &observer, &[]);
                rig.set_account([0xb6; 20], &callee, &[(word(0), word(1))]);
                if promoted {
                    assert!(rig.promote_compiled(&observer) && rig.promote_compiled(&callee));
                }
                let input = programs::word_of([0xb6; 20]);
                let result = rig.call(ALICE, A, &input, gas).result;
                assert_eq!(result.counts.faults, Vec::<String>::new());
                let slot = rig.storage_at([0xb6; 20], word(0));
                (result, slot)
            });
            let what = format!("{name} at {gas}");
            assert!(compiled.0.counts.compiled_frames >= 2, "{what}");
            assert_eq!(interpreted.1, compiled.1, "{what}: slot");
            assert_eq!(interpreted.0.status, compiled.0.status, "{what}");
            assert_eq!(interpreted.0.output, compiled.0.output, "{what}");
            assert_eq!(interpreted.0.gas_used, compiled.0.gas_used, "{what}");
            assert_eq!(interpreted.0.refund, compiled.0.refund, "{what}");
        }
    }
}
