//! What every module is: valid, and within the limits of a host.
//!
//! How the work of the compiler grows with the code is counted in `tests/tests/evm_compiler.rs`.

mod harness;

use evm_to_wasm::{COMPILER_VERSION, Fork, Options, Provenance, SECTION, abi, compile};
use wasmparser::{Operator, Parser, Payload, Validator, WasmFeatures};

/// Limits of a host for private modules (`docs/hostile.md`).
fn check(name: &str, code: &[u8]) -> usize {
    let compiled = compile(code, &Options::default());
    let features = WasmFeatures::default() | WasmFeatures::WIDE_ARITHMETIC;
    if let Err(error) = Validator::new_with_features(features).validate_all(&compiled.wasm) {
        panic!("{name}: {error}");
    }
    let mut blocks_in_all = 0;
    for payload in Parser::new(0).parse_all(&compiled.wasm) {
        if let Ok(Payload::CodeSectionEntry(body)) = payload {
            let size = body.range().len();
            assert!(size <= 192 * 1024, "{name}: a body of {size} bytes");
            let locals: u32 = body
                .get_locals_reader()
                .expect("valid")
                .into_iter()
                .map(|l| l.expect("valid").0)
                .sum();
            assert!(locals <= 1_000, "{name}: {locals} locals");
            let mut blocks = 0;
            for operator in body.get_operators_reader().expect("valid") {
                if matches!(
                    operator.expect("valid"),
                    Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. }
                ) {
                    blocks += 1;
                }
            }
            assert!(blocks <= 5_000, "{name}: {blocks} blocks in a function");
            blocks_in_all += blocks;
        }
    }
    assert!(blocks_in_all <= 50_000, "{name}: {blocks_in_all} blocks");
    compiled.wasm.len()
}

fn repeated(pattern: &[u8], size: usize) -> Vec<u8> {
    pattern.iter().copied().cycle().take(size).collect()
}

#[test]
fn what_hostile_code_becomes_is_within_the_limits_of_a_host() {
    let patterns: &[(&str, &[u8])] = &[
        ("jumpdest", &[0x5b]),
        ("jumpdest stop", &[0x5b, 0x00]),
        ("jumpdest calldataload jump", &[0x5b, 0x5f, 0x35, 0x56]),
        ("push jump", &[0x60, 0x00, 0x56]),
        ("jumpdest dup jump", &[0x5b, 0x80, 0x56]),
        ("jumpdest push jumpi", &[0x5b, 0x60, 0x00, 0x80, 0x57]),
        ("jumpdest calldatasize jumpi back", &[0x5b, 0x36, 0x61, 0x12, 0x34, 0x57]),
        ("jumpdest push pushes jumpi", &[0x5b, 0x5f, 0x5f, 0x35, 0x61, 0x04, 0x00, 0x57]),
        ("pc jumpi", &[0x5b, 0x36, 0x58, 0x57]),
        ("dup16", &[0x8f]),
        ("swap16", &[0x9f, 0x5b]),
        ("mulmod", &[0x80, 0x81, 0x82, 0x09]),
        ("add", &[0x80, 0x81, 0x01]),
        ("mload", &[0x80, 0x51]),
        ("sstore", &[0x80, 0x81, 0x55]),
        ("call", &[0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0xf1]),
        ("gas jumpdest", &[0x5a, 0x5b]),
        ("undefined", &[0x0c]),
        ("pushes to every jumpdest", &[0x5b, 0x61, 0x08, 0x00, 0x60, 0x05, 0x56]),
    ];
    for (name, pattern) in patterns {
        for bytes in [6_144, 24_576, 60_000] {
            let size = check(name, &repeated(pattern, bytes));
            println!("{name}: {:.1} bytes a byte at {bytes}", size as f64 / bytes as f64);
        }
    }
}

#[test]
fn random_code_compiles() {
    use rand::{Rng, SeedableRng};
    let seed = std::env::var("COTENANT_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    println!("COTENANT_SEED={seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    for index in 0..2_000 {
        let size = random.random_range(0..400);
        let code: Vec<u8> = (0..size)
            .map(|_| match random.random_range(0..8) {
                0 => 0x5b,
                1 => 0x60,
                2 => 0x57,
                3 => random.random_range(0x80..0xa0),
                _ => random.random(),
            })
            .collect();
        check(&format!("random {index}: {}", hex::encode(&code)), &code);
    }
}

#[test]
fn a_module_says_what_it_was_made_from() {
    let long = repeated(&[0x5b, 0x60, 0x01, 0x42, 0x50], 24_576);
    for bytes in [0, 1, 7, 8, 135, 136, 137, 271, 272, 273, 24_576] {
        for fork in [Fork::Cancun, Fork::Prague, Fork::Osaka] {
            let code = &long[..bytes];
            let compiled = compile(code, &Options { fork, ..Options::default() });
            let section =
                Parser::new(0).parse_all(&compiled.wasm).find_map(|payload| match payload {
                    Ok(Payload::CustomSection(section)) if section.name() == SECTION => {
                        Some(section.data())
                    }
                    _ => None,
                });
            let section = section.expect("the section is there");
            let expected = Provenance {
                abi: abi::FRAME_ABI_VERSION,
                compiler: COMPILER_VERSION,
                fork,
                reads: if bytes > 3 { abi::reads::BLOCK } else { 0 },
                code_hash: abi::word(revm::primitives::keccak256(code).0),
            };
            assert_eq!(borsh::from_slice::<Provenance>(section).expect("borsh"), expected);
        }
    }
}
