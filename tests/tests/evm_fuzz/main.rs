//! Compiled contracts against revm's interpreter, in process: random bytecode, mutated real contracts and
//! straight-line arithmetic on edge values, at random gas limits.
//!
//! Seeds are fixed; COTENANT_FUZZ_SEED and COTENANT_FUZZ_CASES ask for others and for more. Each test prints its
//! seed and what it ran; a failure prints the code, so that `cotenant evm run` can run it again.

mod generate;
mod peer;

use generate::OPERATIONS;
use peer::{Peer, Subject};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs cases of a kind through compiled code and prints what they were.
fn fuzz(kind: &str, seed: u64, cases: u64, subject: impl FnMut(&mut StdRng) -> Subject) {
    let mut peer = Peer::new(false);
    fuzz_with(&mut peer, kind, seed, cases, subject);
    assert_eq!(peer.tally().interpreted_frames, 0, "interpreted: {:?}", peer.refused());
}

fn fuzz_with(
    peer: &mut Peer,
    kind: &str,
    seed: u64,
    cases: u64,
    mut subject: impl FnMut(&mut StdRng) -> Subject,
) {
    let seed = from_environment("COTENANT_FUZZ_SEED", seed);
    let cases = from_environment("COTENANT_FUZZ_CASES", cases);
    for case in 0..cases {
        // Each case has a seed of its own, so that one can be run alone.
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(case));
        let subject = subject(&mut random);
        peer.check(&subject, &mut random, &format!("{kind}, seed {}", seed.wrapping_add(case)));
    }
    let tally = peer.tally();
    println!("{kind}: seed {seed}, {cases} cases, {tally}");
    assert!(tally.successes > 0 && tally.halts > 0, "all ended the same way: {tally}");
}

#[test]
fn random_bytes_do_what_revm_does() {
    fuzz("random bytes", 0x5eed_0001, 1_500, |random| {
        let length = random.random_range(0..400);
        let code = (0..length).map(|_| random.random()).collect();
        Subject::new(code).calldata(generate::bytes(random, 96))
    });
}

#[test]
fn random_programs_do_what_revm_does() {
    fuzz("random programs", 0x5eed_1000_0000, 3_000, |random| {
        let code = generate::program(random);
        let other = generate::program(random);
        Subject::new(code).other(other).calldata(generate::bytes(random, 96))
    });
}

/// The form of code whose Wasm would be out of proportion to it.
#[test]
fn random_programs_in_the_compact_form_do_what_revm_does() {
    let mut peer = Peer::compact();
    fuzz_with(&mut peer, "random programs, compact", 0x5eed_6000_0000, 1_000, |random| {
        let code = generate::program(random);
        let other = generate::program(random);
        let subject = Subject::new(code).other(other).calldata(generate::bytes(random, 96));
        if random.random_bool(0.2) { subject.create() } else { subject }
    });
    assert_eq!(peer.tally().interpreted_frames, 0, "interpreted: {:?}", peer.refused());
}

#[test]
fn mutated_contracts_in_the_compact_form_do_what_revm_does() {
    let contracts = generate::contracts();
    if contracts.is_empty() {
        return;
    }
    for (code, _) in &contracts {
        let report = evm_to_wasm::compile(code, &evm_to_wasm::Options::default()).report;
        assert!(!report.compact, "a contract of {} bytes is in the compact form", code.len());
    }
    let mut peer = Peer::compact();
    fuzz_with(&mut peer, "mutated contracts, compact", 0x5eed_7000_0000, 100, |random| {
        let (code, calldata) = &contracts[random.random_range(0..contracts.len())];
        let code = generate::mutated(code, random);
        Subject::new(code).calldata(calldata.clone()).gas_max(600_000)
    });
}

/// What fails here is the parent's fault, what fails above alone is the compiler's.
#[test]
fn random_programs_test_the_parent_alone() {
    let mut peer = Peer::new(true);
    fuzz_with(&mut peer, "random programs, the parent alone", 0x5eed_1000_0000, 3_000, |random| {
        let code = generate::program(random);
        let other = generate::program(random);
        let subject = Subject::new(code).other(other).calldata(generate::bytes(random, 96));
        if random.random_bool(0.2) { subject.create() } else { subject }
    });
    assert_eq!(peer.tally().compiled_frames, 0);
}

#[test]
fn random_init_code_does_what_revm_does() {
    fuzz("random init code", 0x5eed_2000_0000, 500, |random| {
        let other = generate::program(random);
        Subject::new(generate::program(random)).other(other).create()
    });
}

#[test]
fn mutated_contracts_do_what_revm_does() {
    let contracts = generate::contracts();
    if contracts.is_empty() {
        return;
    }
    assert!(contracts.len() > 10, "{} contracts", contracts.len());
    fuzz("mutated contracts", 0x5eed_3000_0000, 400, |random| {
        let (code, calldata) = &contracts[random.random_range(0..contracts.len())];
        let code = generate::mutated(code, random);
        Subject::new(code).calldata(calldata.clone()).gas_max(1_500_000)
    });
}

/// Every operation on words, with constant operands and with operands from calldata, so that what is folded and
/// what is computed are both compared.
#[test]
fn arithmetic_does_what_revm_does() {
    fuzz("arithmetic", 0x5eed_4000_0000, 2_500, |random| {
        let (code, calldata) = generate::arithmetic(random);
        Subject::new(code).calldata(calldata)
    });
}

/// Every pair of edge values through every operation of two operands, many in one program.
#[test]
fn edge_values_do_what_revm_does() {
    let mut peer = Peer::new(false);
    let mut random = StdRng::seed_from_u64(0x5eed_5000_0000);
    let edges = generate::edges();
    let mut pairs = 0;
    for (opcode, operands) in OPERATIONS.iter().filter(|(_, operands)| *operands <= 2) {
        for folded in [true, false] {
            for chunk in edges.chunks(4) {
                let (code, calldata) =
                    generate::edge_program(*opcode, *operands, chunk, &edges, folded);
                let subject = Subject::new(code).calldata(calldata);
                peer.check(&subject, &mut random, &format!("opcode {opcode:#04x}"));
                pairs += chunk.len() * edges.len();
            }
        }
    }
    println!("edge values: {pairs} pairs, {}", peer.tally());
    assert_eq!(peer.tally().interpreted_frames, 0);
}

/// A frame that calls the precompile 3 and halts: revm keeps that touch of an account which exists and is empty, which no
/// network has since EIP-161. Compiled code halts before the call (`docs/spec/evm.md`, section 2).
#[test]
fn a_halt_before_a_call_of_ripemd_shows_where_its_account_is_empty_alone() {
    // CALL of 3 with nothing, POP, POP of an empty stack.
    let code = vec![0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x60, 3, 0x61, 0xff, 0xff, 0xf1, 0x50, 0x50];
    let peer = Peer::new(false);
    assert_eq!(peer.state_differences(&code, None), Vec::<String>::new());
    let differences = peer.state_differences(&code, Some(3));
    assert!(!differences.is_empty(), "equal by now: say so in the docs");
    let account = "0x0000000000000000000000000000000000000003";
    for difference in differences {
        assert!(difference.contains(account), "{difference}");
    }
}
