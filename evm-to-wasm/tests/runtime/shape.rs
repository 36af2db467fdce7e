//! What the runtime functions cost and weigh, for a person to read, and that they fit the host's rules.

use evm_to_wasm::abi::{Answer, Left, Request};
use evm_to_wasm::runtime::{self, Function, Setup};
use revm::primitives::U256;
use wasmi::Val;

use super::host::{Frame, PLENTY, limbs};

#[test]
fn each_function_links_alone() {
    for keccak in [evm_to_wasm::Keccak::Own, evm_to_wasm::Keccak::Host] {
        let setup = Setup { keccak, code_bytes: 1 };
        for &function in Function::ALL {
            let linked = runtime::link(&[function].into(), &setup);
            assert!(linked.functions().any(|(linked, _)| linked == function));
        }
    }
}

#[test]
fn the_runtime_is_small() {
    let linked = runtime::link(&Function::ALL.iter().copied().collect(), &Setup::default());
    let mut sum = 0;
    for (function, body) in linked.functions() {
        println!("{:>6} bytes {function:?}", body.byte_len());
        sum += body.byte_len();
    }
    println!("{sum:>6} bytes all");
    assert!(sum < 34_000, "{sum} bytes");
}

#[test]
fn operators_a_call() {
    let mut frame = Frame::new();
    frame.serve(|request, _| match request {
        Request::Call { gas_left, .. } => {
            (Answer::Returned { success: 1, left: Left::of(gas_left), data_bytes: 0 }, vec![])
        }
        Request::TLoad { .. } => (Answer::Word([0; 4]), vec![]),
        _ => (Answer::Slot { present: [1; 4], original: [1; 4], cold: 0 }, vec![]),
    });
    let ray = U256::from(10).pow(U256::from(27));
    let (large, limb) = (U256::MAX / U256::from(3), U256::from(1_000_000_007_u64));
    let two = |a: U256, b: U256| [limbs(a), limbs(b)].concat();
    let gas = |words: Vec<Val>| [vec![Val::I64(PLENTY)], words].concat();
    let three = |a, b, c| [limbs(a), limbs(b), limbs(c)].concat();
    let prime = U256::MAX - U256::from(0x1_0000_03d0_u64);
    // Of 254 bits, without a pattern.
    let short = U256::MAX / U256::from(5);
    let residue = short - U256::from(7) * ray;
    for _ in 0..8 {
        frame.words(Function::Mulmod, &[residue, residue, short]);
    }
    let cases: Vec<(&str, Function, Vec<Val>)> = vec![
        ("full", Function::Mul, two(large, large)),
        ("64 / 64", Function::Div, two(limb, limb)),
        ("256 / 64", Function::Div, two(large, limb)),
        ("128 / 64", Function::Div, two(ray, limb)),
        ("256 / 90", Function::Div, two(large, ray)),
        ("256 / 160", Function::Div, two(large, large >> 96)),
        ("256 / 255", Function::Div, two(U256::MAX, large)),
        ("256 % 90", Function::Mod, two(large, ray)),
        ("reduced", Function::Addmod, three(large, large, prime)),
        ("residues", Function::Addmod, three(residue, short - ray, short)),
        ("a known one of 254 bits", Function::Mulmod, three(residue, short - ray, short)),
        ("a known one, not reduced", Function::Mulmod, three(large, U256::MAX, short)),
        ("256 bits, close", Function::Mulmod, three(large, large, prime)),
        ("256 bits", Function::Mulmod, three(large, large, U256::MAX - ray)),
        ("2^256 - 1", Function::Mulmod, three(large, ray, U256::MAX)),
        ("90 bits", Function::Mulmod, three(ray << 60, ray << 3, ray)),
        ("64 bits", Function::Mulmod, three(limb, limb << 7, limb >> 1)),
        ("10 ** 18", Function::Exp, gas(two(U256::from(10), U256::from(18)))),
        ("2 ** 96", Function::Exp, gas(two(U256::from(2), U256::from(96)))),
        ("", Function::Shl, two(U256::from(77), large)),
        ("", Function::Sar, two(U256::from(77), large)),
        ("", Function::Byte, two(U256::from(7), large)),
        ("", Function::SignExtend, two(U256::from(7), large)),
        ("new", Function::Mstore, gas(two(U256::from(9_000), large))),
        ("known", Function::Mstore, gas(two(U256::ZERO, large))),
        ("known", Function::Mload, gas(limbs(U256::ZERO).to_vec())),
        ("32 bytes", Function::Keccak, gas(two(U256::ZERO, U256::from(32)))),
        ("64 bytes", Function::Keccak, gas(two(U256::from(8_980), U256::from(64)))),
        ("64 bytes again", Function::Keccak, gas(two(U256::from(8_980), U256::from(64)))),
        ("32 bytes later", Function::Keccak, gas(two(U256::from(8_980), U256::from(32)))),
        ("of a mapping", Function::Keccak, gas(two(U256::from(64), U256::from(64)))),
        ("1,000 bytes", Function::Keccak, gas(two(U256::from(64), U256::from(1_000)))),
        ("first", Function::Sload, gas(limbs(ray).to_vec())),
        ("again", Function::Sload, gas(limbs(ray).to_vec())),
        ("changed", Function::Sstore, gas(two(ray, limb))),
        ("changed again", Function::Sstore, gas(two(ray, ray))),
        ("the same", Function::Sstore, gas(two(ray, ray))),
        ("", Function::Tstore, gas(two(ray, ray))),
        ("", Function::Tload, gas(limbs(ray).to_vec())),
        ("", Function::CalldataLoad, limbs(limb).to_vec()),
        (
            "32 bytes of code",
            Function::CodeCopy,
            gas(three(U256::ZERO, U256::ZERO, U256::from(32))),
        ),
        (
            "no topics",
            Function::Log,
            [vec![Val::I64(PLENTY), Val::I32(0)], two(U256::ZERO, limb >> 25)].concat(),
        ),
        (
            "no topics",
            Function::Log,
            [vec![Val::I64(PLENTY), Val::I32(0)], two(U256::ZERO, limb >> 25)].concat(),
        ),
        (
            "with a log and two writes",
            Function::Call,
            [vec![Val::I64(PLENTY), Val::I32(0)], vec![Val::I64(0); 28]].concat(),
        ),
        (
            "without effects",
            Function::Call,
            [vec![Val::I64(PLENTY), Val::I32(0)], vec![Val::I64(0); 28]].concat(),
        ),
        (
            "32 bytes",
            Function::Finish,
            [vec![Val::I64(PLENTY), Val::I32(0)], two(U256::ZERO, U256::from(32))].concat(),
        ),
    ];
    for (what, function, arguments) in cases {
        println!("{:>6} {function:?} {what}", frame.operators(function, &arguments));
    }
}
