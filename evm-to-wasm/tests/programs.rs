//! Whole programs, compiled and under revm: result, output, gas left, refund, storage, logs.

#[path = "ir/assembler.rs"]
mod assembler;
mod harness;

use assembler::assemble;
use evm_to_wasm::Fork;
use harness::{Case, Outcome, compare, engine};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

fn case(code: &str, calldata: &str, gas: u64) -> Case {
    Case {
        code: hex::decode(code.replace(' ', "")).expect("hex"),
        calldata: hex::decode(calldata).expect("hex"),
        gas,
        ..Case::default()
    }
}

#[test]
fn nothing_stops() {
    compare(&engine(), &case("", "", 100));
}

#[test]
fn a_sum_is_returned() {
    // 2 + 3 in memory, returned
    let run = compare(&engine(), &case("6002600301 5f 52 6020 5f f3", "", 1000));
    assert!(matches!(run.outcome, Outcome::Success { .. }));
    for gas in 0..40 {
        compare(&engine(), &case("6002600301 5f 52 6020 5f f3", "", gas));
    }
}

#[test]
fn a_loop_counts() {
    // i = 10; do { i-- } while (i); return gas
    let code = "600a 5b 6001 90 03 80 6002 57 5a 5f 52 6020 5f f3";
    for gas in (0..400).step_by(7).chain([10_000]) {
        compare(&engine(), &case(code, "", gas));
    }
}

#[test]
fn storage_is_read_and_written() {
    let mut wanted = case("6001 54 6001 01 6001 55 6001 54 6002 55 5f 6001 55", "", 100_000);
    wanted.storage.insert(1, 7);
    let run = compare(&engine(), &wanted);
    assert_eq!(run.yields, 2);
    for gas in (2_000..40_000).step_by(977) {
        wanted.gas = gas;
        compare(&engine(), &wanted);
    }
}

#[test]
fn internal_functions_return() {
    // f(x) = x + x, called twice from different heights, result returned
    let code = "6003 6009 90 6017 56 00 5b 6005 6012 90 6017 56 00 5b 01 6020 56 5b 80 01 90 56 00000000 \
                5b 5f 52 6020 5f f3";
    compare(&engine(), &case(code, "", 100_000));
}

/// One block jumps to a return address that is one, or to one that is not, by the branch taken before.
#[test]
fn a_return_to_nowhere_halts_beside_one_that_returns() {
    // CALLDATASIZE PUSH1 b JUMPI; PUSH1 ff PUSH1 1 PUSH1 1d JUMPI;
    // b: JUMPDEST PUSH1 14 PUSH1 1 PUSH1 1d JUMPI; STOP; 14: JUMPDEST PUSH1 1 PUSH0 MSTORE PUSH1 32 PUSH0 RETURN;
    // 1d: JUMPDEST JUMP
    let code = "36600b5760ff6001601d575b60146001601d57005b60015f5260205ff35b56";
    for calldata in ["", "00"] {
        compare(&engine(), &case(code, calldata, 100_000));
    }
}

#[test]
fn a_jump_that_one_height_of_the_stack_leads_nowhere_halts() {
    // The block at `:join` is reached with [.., back, 7] and with [.., back, 7, 9]: what it jumps to is `back`, or 7.
    let join = ":join SWAP1 JUMP";
    let once = format!("@back PUSH 7 CALLDATASIZE @join JUMPI PUSH 9 {join} :back STOP");
    // The same in a function with more callers than are compared one by one.
    let mut often = String::new();
    for site in 0..7 {
        often += &format!("@back{site} PUSH 7 @f JUMP :back{site} ");
    }
    often += &format!("STOP :f CALLDATASIZE @join JUMPI PUSH 9 {join}");
    for program in [once, often] {
        for calldata in ["", "00"] {
            let mut wanted = case("", calldata, 10_000);
            wanted.code = assemble(&program);
            let run = compare(&engine(), &wanted);
            let succeeds = matches!(run.outcome, Outcome::Success { .. });
            assert_eq!(succeeds, calldata == "00", "{program}");
        }
    }
}

#[test]
fn fixtures_run_right() {
    let Ok(folder) = std::env::var("COTENANT_EVM_VECTORS") else {
        println!("COTENANT_EVM_VECTORS is not set: no fixtures (see README)");
        return;
    };
    let engine = engine();
    for name in ["fibonacci-calldata", "factorial", "hash_10k", "erc20_transfer", "snailtracer"] {
        let path = format!("{folder}/bench/fixtures/{name}.json");
        let text = std::fs::read_to_string(&path).expect("the fixture");
        let json: serde_json::Value = serde_json::from_str(&text).expect("json");
        let unit = json.as_object().expect("an object").values().next().expect("one");
        let pre = &unit["pre"]["0xcccccccccccccccccccccccccccccccccccccccc"];
        let bytes = |value: &serde_json::Value| {
            let value = value.as_array().map_or(value, |list| &list[0]);
            hex::decode(value.as_str().expect("text").trim_start_matches("0x")).expect("hex")
        };
        let transaction = match &unit["transaction"] {
            serde_json::Value::Array(list) => &list[0],
            one => one,
        };
        let case = Case {
            code: bytes(&pre["code"]),
            calldata: bytes(&transaction["data"]),
            gas: 1 << 40,
            ..Case::default()
        };
        let start = std::time::Instant::now();
        let compiled = evm_to_wasm::compile(&case.code, &evm_to_wasm::Options::default());
        let compiling = start.elapsed();
        let run = compare(&engine, &case);
        let Outcome::Success { gas_left, .. } = run.outcome else { panic!("{name} failed") };
        let used = case.gas - gas_left;
        println!(
            "{name}: {used} gas, {} fuel ({:.2} a gas), {} yields, {} -> {} bytes (code {}), compiled in {compiling:?}",
            run.fuel,
            run.fuel as f64 / used as f64,
            run.yields,
            case.code.len(),
            compiled.wasm.len(),
            compiled.report.code_bytes,
        );
        println!("{:?}", compiled.report);
    }
}

fn seed() -> u64 {
    let seed = std::env::var("COTENANT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(20_261_121);
    println!("COTENANT_SEED={seed}");
    seed
}

/// A word at an edge, as a PUSH.
fn push_edge(random: &mut StdRng, code: &mut Vec<u8>) {
    let mut word = [0_u8; 32];
    match random.random_range(0..10) {
        0 => {
            code.push(0x5f);
            return;
        }
        1 => word = [0xff; 32],
        2 => word[random.random_range(0..32)] = 1 << random.random_range(0..8),
        3 => {
            word[0] = 0x80;
        }
        4 => {
            let from = random.random_range(0..32);
            word[from..].fill(0xff);
        }
        5 => word[24..].copy_from_slice(&random.random::<u64>().to_be_bytes()),
        6 => word[31] = random.random(),
        7 => {
            word = [0xff; 32];
            word[31] = random.random();
        }
        8 => word[16..].copy_from_slice(&random.random::<u128>().to_be_bytes()),
        _ => random.fill(&mut word),
    }
    let skip = word.iter().take_while(|byte| **byte == 0).count().min(31);
    code.push(0x7f - skip as u8);
    code.extend_from_slice(&word[skip..]);
}

/// Straight-line arithmetic over edge values, half of them unknown to the compiler.
#[test]
fn arithmetic_agrees_with_revm() {
    let engine = engine();
    let mut random = StdRng::seed_from_u64(seed());
    let rounds = 3_000;
    let ops = [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
        0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e,
    ];
    for _ in 0..rounds {
        let mut code = Vec::new();
        let mut height = 0;
        let mut calldata = Vec::new();
        for _ in 0..random.random_range(4..40) {
            if height < 3 || random.random_range(0..3) == 0 {
                let start = code.len();
                push_edge(&mut random, &mut code);
                if random.random() {
                    // Through calldata the compiler does not know it.
                    let pushed = code.split_off(start);
                    let place = calldata.len();
                    calldata.extend(vec![0; 32 - (pushed.len() - 1)]);
                    calldata.extend(&pushed[1..]);
                    code.extend([0x61, (place >> 8) as u8, place as u8, 0x35]);
                    if random.random_range(0..3) == 0 {
                        let mask = random.random_range(0..3) * 8 + 8;
                        code.push(0x5f + mask);
                        code.extend(vec![0xff; usize::from(mask)]);
                        code.push(0x16);
                    }
                }
                height += 1;
            } else if random.random_range(0..4) == 0 {
                code.push(0x7f + random.random_range(1..=height.min(16)) as u8);
                height += 1;
            } else {
                let op = ops[random.random_range(0..ops.len())];
                code.push(op);
                height -= match op {
                    0x15 | 0x19 | 0x1e => 0,
                    8 | 9 => 2,
                    _ => 1,
                };
            }
        }
        // Everything on the stack into memory.
        for place in 0..height {
            code.extend([0x61, 0, 0, 0x52]);
            let at = code.len() - 3;
            code[at] = ((place * 32) >> 8) as u8;
            code[at + 1] = (place * 32) as u8;
        }
        code.extend([0x61, ((height * 32) >> 8) as u8, (height * 32) as u8, 0x5f, 0xf3]);
        let case = Case { code, calldata, gas: 1_000_000, fork: Fork::Osaka, ..Case::default() };
        let run = compare(&engine, &case);
        assert!(matches!(run.outcome, Outcome::Success { .. }));
    }
    println!("{rounds} programs");
}

/// Random bytecode that tends to make sense, at random gas limits.
#[test]
fn random_bytecode_agrees_with_revm() {
    let engine = engine();
    let mut random = StdRng::seed_from_u64(seed());
    let (mut ended, mut reverted, mut halted, mut unsupported) = (0, 0, 0, 0);
    for _ in 0..6_000 {
        let case = random_case(&mut random);
        match compare(&engine, &case).outcome {
            Outcome::Success { .. } => ended += 1,
            Outcome::Revert { .. } => reverted += 1,
            Outcome::Halt => halted += 1,
            _ => unsupported += 1,
        }
    }
    println!("{ended} ended, {reverted} reverted, {halted} halted, {unsupported} call");
    // Most programs underflow: `tests/tests/evm_fuzz` has those that go further.
    assert!(ended > 100, "too few programs come to an end");
}

fn random_case(random: &mut StdRng) -> Case {
    let blocks = random.random_range(1..8);
    let mut code: Vec<u8> = Vec::new();
    let mut starts = Vec::new();
    let mut fixes = Vec::new();
    for _ in 0..blocks {
        starts.push(code.len());
        code.push(0x5b);
        for _ in 0..random.random_range(0..25) {
            match random.random_range(0..20) {
                0..=5 => push_edge(random, &mut code),
                6..=7 => code.extend([0x60, random.random_range(0..0xff)]),
                8..=9 => code.push(random.random_range(0x80..0x88)),
                10..=11 => code.push(random.random_range(0x90..0x97)),
                12 => code.push(random.random_range(0x50..0x5f)),
                13 => code.extend([0x60, random.random::<u8>() & 0x7f, 0x52]),
                14 => code.extend([0x60, random.random::<u8>() & 0x7f, 0x51]),
                15 => code.push(random.random_range(0x30..0x4b)),
                16 => {
                    code.push(0x61);
                    fixes.push(code.len());
                    code.extend([0, 0, [0x56, 0x57][random.random_range(0..2)]]);
                }
                17 => code.push(random.random()),
                _ => code.push(random.random_range(1..0x1f)),
            }
        }
        if random.random_range(0..3) == 0 {
            code.push([0x00, 0xf3, 0xfd, 0x56, 0x57][random.random_range(0..5)]);
        }
    }
    for fix in fixes {
        let target = starts[random.random_range(0..starts.len())];
        code[fix..fix + 2].copy_from_slice(&(target as u16).to_be_bytes());
    }
    let gas = match random.random_range(0..3) {
        0 => random.random_range(0..500),
        1 => random.random_range(0..30_000),
        _ => 200_000,
    };
    let fork = [Fork::Cancun, Fork::Prague, Fork::Osaka][random.random_range(0..3)];
    // From Prague on calldata has a floor of gas of its own (EIP-7623), which small limits are below.
    let bytes = if fork == Fork::Cancun { random.random_range(0..100) } else { 0 };
    let calldata = (0..bytes).map(|_| random.random()).collect();
    let storage = (0..4).map(|slot| (slot, random.random_range(0..3))).collect();
    Case { code, calldata, gas, storage, fork }
}

/// Programs of functions that call each other, with ends of the frame inside them.
#[test]
fn random_functions_agree_with_revm() {
    let engine = engine();
    let mut random = StdRng::seed_from_u64(seed());
    let (mut ended, mut all) = (0, 0);
    for _ in 0..400 {
        let code = assemble(&Functions::program(&mut random));
        for limit in [1_000_000, random.random_range(50..3_000), random.random_range(50..60_000)] {
            let size = random.random_range(0..3);
            let wanted =
                Case { code: code.clone(), calldata: vec![7; size], gas: limit, ..Case::default() };
            ended +=
                u32::from(matches!(compare(&engine, &wanted).outcome, Outcome::Success { .. }));
            all += 1;
        }
    }
    println!("{ended} of {all} ended");
    assert!(ended > all / 10, "too few programs come to an end");
}

/// Writes such a program.
struct Functions<'a> {
    random: &'a mut StdRng,
    /// Arguments and results of each.
    kinds: Vec<(usize, usize)>,
    text: String,
    labels: u32,
}

impl Functions<'_> {
    fn program(random: &mut StdRng) -> String {
        let count = random.random_range(1..6);
        let kinds =
            (0..count).map(|_| (random.random_range(0..4), random.random_range(0..3))).collect();
        let mut program = Functions { random, kinds, text: String::new(), labels: 0 };
        let mut depth = 0;
        for _ in 0..4 {
            program.statement(&mut depth, 0, 0);
        }
        program.text += "PUSH 96 MSTORE ".repeat(depth.min(1)).as_str();
        program.text += "PUSH 128 PUSH 0 RETURN ";
        for function in 0..count {
            let (arguments, results) = program.kinds[function];
            program.text += &format!(":f{function} ");
            let mut depth = arguments;
            for _ in 0..program.random.random_range(1..5) {
                program.statement(&mut depth, function + 1, 0);
            }
            program.text += &"POP ".repeat(depth.saturating_sub(results));
            program.text += &"PUSH 5 ".repeat(results.saturating_sub(depth));
            // Some share the block in which they end.
            if program.random.random_bool(0.4) {
                program.text += &format!("@end{results} JUMP ");
            } else {
                program.text += ["JUMP ", "SWAP1 JUMP ", "SWAP2 JUMP "][results];
            }
        }
        program.text += ":end0 JUMP :end1 SWAP1 JUMP :end2 SWAP2 JUMP :panic PUSH 4 PUSH 0 REVERT ";
        program.text
    }

    fn value(&mut self, depth: &mut usize) {
        match self.random.random_range(0..6) {
            // Sometimes the return address as well.
            0..=2 if *depth > 0 => {
                let within = *depth + usize::from(self.random.random_bool(0.1));
                let place = self.random.random_range(1..=within.min(16));
                self.text += &format!("DUP{place} ");
            }
            3 => self.text += "CALLDATASIZE ",
            4 => self.text += "PUSH 0 NOT ",
            _ => self.text += &format!("PUSH {} ", self.random.random_range(0..300)),
        }
        *depth += 1;
    }

    fn label(&mut self) -> u32 {
        self.labels += 1;
        self.labels
    }

    fn statement(&mut self, depth: &mut usize, first: usize, nested: u32) {
        match self.random.random_range(0..12) {
            0..=1 => {
                self.value(depth);
                self.value(depth);
                let ops = ["ADD", "MUL", "SUB", "DIV", "LT", "AND", "SLT", "EQ"];
                self.text += ops[self.random.random_range(0..ops.len())];
                self.text += " ";
                *depth -= 1;
            }
            2 if *depth > 1 => {
                let place = self.random.random_range(1..(*depth).min(16));
                self.text += &format!("SWAP{place} ");
            }
            3 => {
                self.value(depth);
                self.text += &format!("PUSH {} MSTORE ", 32 * self.random.random_range(0..4));
                *depth -= 1;
            }
            4 => {
                self.value(depth);
                self.text += "PUSH 3 SSTORE PUSH 3 SLOAD ";
            }
            5 if nested < 3 => {
                let label = self.label();
                self.value(depth);
                self.text += &format!("@l{label} JUMPI ");
                *depth -= 1;
                let before = *depth;
                self.statement(depth, first, nested + 1);
                self.text += &"POP ".repeat(depth.saturating_sub(before));
                self.text += &"PUSH 1 ".repeat(before.saturating_sub(*depth));
                *depth = before;
                self.text += &format!(":l{label} ");
            }
            6 if nested < 2 => {
                let label = self.label();
                self.text += &format!("PUSH {} :l{label} ", self.random.random_range(1..5));
                *depth += 1;
                let before = *depth;
                self.statement(depth, first, nested + 1);
                self.text += &"POP ".repeat(depth.saturating_sub(before));
                self.text += &"PUSH 1 ".repeat(before.saturating_sub(*depth));
                *depth = before;
                self.text += &format!("PUSH 1 SWAP1 SUB DUP1 @l{label} JUMPI POP ");
                *depth -= 1;
            }
            7 => {
                let end = ["STOP", "PUSH 64 PUSH 0 RETURN", "PUSH 9 PUSH 0 REVERT", "INVALID"]
                    [self.random.random_range(0..4)];
                let label = self.label();
                self.value(depth);
                *depth -= 1;
                self.text += &match self.random.random_range(0..3) {
                    0 => format!("PUSH 299 EQ ISZERO @l{label} JUMPI {end} :l{label} "),
                    _ => "PUSH 299 EQ @panic JUMPI ".to_owned(),
                };
            }
            _ => {
                // Now and then one that is before: it may call itself for ever.
                let least = if self.random.random_bool(0.03) { 0 } else { first };
                if least >= self.kinds.len() {
                    return;
                }
                let function = self.random.random_range(least..self.kinds.len());
                let (arguments, results) = self.kinds[function];
                let label = self.label();
                self.text += &format!("@l{label} ");
                let mut inner = *depth + 1;
                for _ in 0..arguments {
                    self.value(&mut inner);
                }
                self.text += &format!("@f{function} JUMP :l{label} ");
                *depth += results;
            }
        }
    }
}
