//! What every module is: valid, and within the limits of a host.
//!
//! How the work of the compiler grows with the code is counted in `tests/tests/evm_compiler.rs`.

mod harness;

use evm_to_wasm::{
    COMPILER_VERSION, Compiled, Fork, Options, Provenance, SECTION, abi, compile, compile_compact,
};
use wasmparser::{Operator, Parser, Payload, Validator, WasmFeatures};

/// Limits of a host for private modules (`docs/hostile.md`).
fn check(name: &str, code: &[u8]) -> usize {
    check_compiled(name, code, &compile(code, &Options::default()))
}

/// What `docs/evm/compiler.md` claims: bytes of Wasm for each byte of code, and beside.
const WASM_PER_BYTE: usize = 34;
const WASM_BESIDE: usize = 64 * 1024;

fn check_compiled(name: &str, code: &[u8], compiled: &Compiled) -> usize {
    let size_max = WASM_PER_BYTE * code.len() + WASM_BESIDE;
    let size = compiled.wasm.len();
    assert!(size <= size_max, "{name}: {size} bytes of {}, {:?}", code.len(), compiled.report);
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

/// Instructions that stand for the others of their kind, and every one that writes much.
const LETTERS: &[&[u8]] = &[
    &[0x5b],
    &[0x56],
    &[0x57],
    &[0x5f],
    &[0x36],
    &[0x5a],
    &[0x58],
    &[0x80],
    &[0x84],
    &[0x8f],
    &[0x90],
    &[0x93],
    &[0x9f],
    &[0xa0],
    &[0xa1],
    &[0xa2],
    &[0xa3],
    &[0xa4],
    &[0xf0],
    &[0xf1],
    &[0xf2],
    &[0xf4],
    &[0xf5],
    &[0xfa],
    &[0x01],
    &[0x02],
    &[0x04],
    &[0x09],
    &[0x0a],
    &[0x0b],
    &[0x10],
    &[0x1a],
    &[0x1b],
    &[0x1d],
    &[0x20],
    &[0x31],
    &[0x35],
    &[0x37],
    &[0x3c],
    &[0x51],
    &[0x52],
    &[0x53],
    &[0x54],
    &[0x55],
    &[0x5d],
    &[0x5e],
    &[0x50],
    &[0xf3],
    &[0x60, 0x00],
    &[0x61, 0x00, 0x01],
    &[0x7f],
    &[0x0c],
];

/// One to four instructions over and over, with a JUMPDEST before them or not, short and long: the bound is one of the
/// compiler, not of families. COTENANT_SHAPES asks for more of them.
#[test]
fn whatever_repeats_is_in_proportion() {
    use rand::{Rng, SeedableRng};
    let seed = std::env::var("COTENANT_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    let count = std::env::var("COTENANT_SHAPES").ok().and_then(|s| s.parse().ok()).unwrap_or(60);
    println!("COTENANT_SEED={seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut patterns: Vec<(Vec<u8>, Vec<u8>)> = vec![
        (vec![0x36, 0x56], [&[0x5b][..], &[0xa4; 20]].concat()),
        (vec![], vec![0x5b, 0xa4, 0x91, 0x57]),
    ];
    for letter in LETTERS {
        patterns.push((vec![0x36, 0x56], [&[0x5b][..], &letter.repeat(20)].concat()));
    }
    for _ in 0..count {
        let mut pattern = Vec::new();
        for _ in 0..random.random_range(1..5) {
            if random.random_bool(0.4) {
                pattern.push(0x5b);
            }
            let letter = LETTERS[random.random_range(0..LETTERS.len())];
            pattern.extend(letter.repeat(random.random_range(1..4)));
        }
        let start = if random.random() { vec![0x36, 0x56] } else { vec![] };
        patterns.push((start, pattern));
    }
    let mut compact = 0;
    for (place, (start, pattern)) in patterns.iter().enumerate() {
        let sizes = if place < 2 { &[516, 24_576, 49_152][..] } else { &[500, 12_288] };
        for size in sizes {
            let code: Vec<u8> =
                start.iter().chain(pattern.iter().cycle()).copied().take(*size).collect();
            let name = format!("{} and {} over and over", hex::encode(start), hex::encode(pattern));
            let compiled = compile(&code, &Options::default());
            compact += u32::from(compiled.report.compact);
            check_compiled(&name, &code, &compiled);
        }
    }
    println!("{} patterns, {compact} in the compact form", patterns.len());
    assert!(compact > 0);
}

#[test]
fn the_compact_form_is_the_code_and_a_constant() {
    for size in [0, 1, 7, 8, 9, 24_576, 49_152, 60_000] {
        let code = repeated(&[0x5b, 0x7f, 0xa4], size);
        let compiled = compile_compact(&code, &Options::default());
        check_compiled("compact", &code, &compiled);
        let beside = compiled.wasm.len() - size - size.div_ceil(8);
        assert!(beside < 40_000, "{beside}");
    }
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
