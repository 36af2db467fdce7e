//! Bits of NaNs, and integers of 128 bits: every operator on floats with every kind of NaN, from everywhere a value can come
//! from, has the same bits on both engines and, in a public module, on near-vm-runner; wide arithmetic is right in a private
//! module on both engines and refused in a public one.

use cotenant_host::engine::EngineKind;
use cotenant_host::exec::Progress;
use cotenant_submodules::Grants;
use cotenant_submodules::Namespace;
use cotenant_tests::oracle::{Request, Subject};
use cotenant_tests::seed::rng;
use cotenant_tests::world::World;
use rand::Rng;
use std::fmt::Write;

const GAS: u64 = 300_000_000_000_000;

/// A type of floats: its name, bits, and NaNs (sign, payload). The first bit of a payload says that it is quiet.
struct Float {
    name: &'static str,
    int: &'static str,
    nans: [u64; 8],
    /// Zero, one, infinity.
    others: [u64; 4],
}

const FLOATS: [Float; 2] = [
    Float {
        name: "f32",
        int: "i32",
        nans: [
            0x7fc0_0000,
            0xffc0_0000,
            0x7fc0_0001,
            0xffff_ffff,
            0x7f80_0001,
            0xff80_0001,
            0x7fbf_ffff,
            0xffa0_0000,
        ],
        others: [0, 0x3f80_0000, 0x7f80_0000, 0x8000_0000],
    },
    Float {
        name: "f64",
        int: "i64",
        nans: [
            0x7ff8_0000_0000_0000,
            0xfff8_0000_0000_0000,
            0x7ff8_0000_0000_0001,
            u64::MAX,
            0x7ff0_0000_0000_0001,
            0xfff0_0000_0000_0001,
            0x7ff7_ffff_ffff_ffff,
            0xfff4_0000_0000_0000,
        ],
        others: [0, 0x3ff0_0000_0000_0000, 0x7ff0_0000_0000_0000, 0x8000_0000_0000_0000],
    },
];

const UNARY: [&str; 7] = ["abs", "neg", "ceil", "floor", "trunc", "nearest", "sqrt"];
const BINARY: [&str; 7] = ["add", "sub", "mul", "div", "min", "max", "copysign"];

/// Where a value comes from: its name, and text in which `VALUE` is the constant, `F` the type. The last needs multi-value.
const SOURCES: [(&str, &str); 12] = [
    ("a constant", "VALUE"),
    ("a parameter", "(call $same_F VALUE)"),
    ("an indirect call", "(call_indirect (type $same_F) VALUE (i32.const INDEX))"),
    ("memory", "(call $memory_F VALUE)"),
    ("a global", "(call $global_F VALUE)"),
    ("a block", "(block (result F) (br 0 VALUE))"),
    ("a selection", "(select VALUE (F.const 1) (call $one))"),
    ("a sum", "(F.add VALUE (F.const 0))"),
    ("a negation", "(F.neg VALUE)"),
    ("a magnitude", "(F.abs (call $same_F VALUE))"),
    ("a loop", "(call $loop_F VALUE)"),
    ("a parameter of a loop", "(call $loop_parameter_F VALUE)"),
];

fn constant(float: &Float, bits: u64) -> String {
    format!("({}.reinterpret_{} ({}.const {bits}))", float.name, float.int, float.int)
}

fn helpers(float: &Float, private: bool) -> String {
    let (name, int) = (float.name, float.int);
    let loop_parameter = match private {
        true => format!(
            "(local.get 0) (loop (param {name}) (result {name}) (local.set 0) (local.get 0) (br_if 0 (i32.eqz (call $one))))"
        ),
        false => "(local.get 0)".to_owned(),
    };
    format!(
        "(type $same_{name} (func (param {name}) (result {name})))
         (func $same_{name} (type $same_{name}) (local.get 0))
         (global $g_{name} (mut {name}) ({name}.const 0))
         (func $memory_{name} (param {name}) (result {name})
           ({name}.store (i32.const 8) (local.get 0)) ({name}.load (i32.const 8)))
         (func $global_{name} (param {name}) (result {name})
           (global.set $g_{name} (local.get 0)) (global.get $g_{name}))
         (func $loop_{name} (param {name}) (result {name}) (local $n i32) (local $x {name})
           (loop $l
             (local.set $x (local.get 0))
             (local.set $n (i32.add (local.get $n) (i32.const 1)))
             (br_if $l (i32.lt_u (local.get $n) (i32.const 3))))
           (local.get $x))
         (func $loop_parameter_{name} (param {name}) (result {name}) {loop_parameter})
         (func $put_{name} (param {name})
           ({int}.store (global.get $at) ({int}.reinterpret_{name} (local.get 0)))
           (global.set $at (i32.add (global.get $at) (i32.const 8))))"
    )
}

/// A module with a method for each source, which returns the bits of all operators; and how many results each has.
fn nan_module(private: bool) -> (String, usize) {
    let mut text = String::from(
        "(module (import \"env\" \"value_return\" (func $value_return (param i64 i64)))
         (memory 3) (global $at (mut i32) (i32.const 64)) (table 2 funcref)
         (elem (i32.const 0) $same_f32 $same_f64) (func $one (result i32) (i32.const 1))",
    );
    FLOATS.iter().for_each(|float| text.push_str(&helpers(float, private)));
    let mut results = 0;
    for (number, (_, source)) in SOURCES.iter().enumerate() {
        results = 0;
        let mut calls = String::new();
        for (index, float) in FLOATS.iter().enumerate() {
            let from = |bits: u64| {
                let text = source.replace("VALUE", &constant(float, bits));
                text.replace("INDEX", &index.to_string()).replace('F', float.name)
            };
            let name = float.name;
            let mut expressions = Vec::new();
            for nan in float.nans {
                let x = from(nan);
                expressions.push(x.clone());
                expressions.extend(UNARY.map(|op| format!("({name}.{op} {x})")));
                for other in float.nans.into_iter().chain(float.others) {
                    let y = constant(float, other);
                    for op in BINARY {
                        expressions.push(format!("({name}.{op} {x} {y})"));
                        expressions.push(format!("({name}.{op} {y} {x})"));
                    }
                }
            }
            // Between the two types.
            let across = if index == 0 { "f64.promote_f32" } else { "f32.demote_f64" };
            let put = FLOATS[1 - index].name;
            let converted =
                float.nans.map(|nan| format!("(call $put_{put} ({across} {}))", from(nan)));
            results += expressions.len() + converted.len();
            let lines: Vec<_> = expressions
                .iter()
                .map(|expression| format!("(call $put_{name} {expression})"))
                .chain(converted)
                .collect();
            for (part, lines) in lines.chunks(400).enumerate() {
                let _ = writeln!(text, "(func $run_{number}_{name}_{part} {})", lines.join("\n"));
                let _ = writeln!(calls, "(call $run_{number}_{name}_{part})");
            }
        }
        let _ = writeln!(
            text,
            "(func (export \"run{number}\") {calls} (call $value_return (i64.const {}) (i64.const 64)))",
            results * 8
        );
    }
    (text + ")", results)
}

#[test]
fn every_operator_has_the_same_bits_of_every_nan_on_both_engines() {
    let (text, results) = nan_module(true);
    let world = World::new(&[("nans", text)]).unwrap();
    let namespace: Namespace = "nans".parse().unwrap();
    let mut all = 0;
    for (number, (source, _)) in SOURCES.iter().enumerate() {
        let returned = EngineKind::ALL.map(|engine| {
            let session = world.session(engine, GAS);
            let mut live =
                session.open(&namespace, &format!("run{number}"), 0, Grants::NONE).unwrap();
            match live.resume(Vec::new()).unwrap() {
                Progress::Done(bytes) => (bytes, session.gas_left()),
                other => panic!("{source} on {engine}: {other:?}"),
            }
        });
        assert_eq!(returned[0].0.len(), results * 8);
        assert_eq!(returned[0].1, returned[1].1, "gas of {source}");
        let words = |bytes: &[u8]| bytes.chunks(8).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let pairs = words(&returned[0].0).into_iter().zip(words(&returned[1].0)).enumerate();
        let differ: Vec<_> = pairs.filter(|(_, (a, b))| a != b).take(5).collect();
        assert!(differ.is_empty(), "from {source}: {differ:x?}");
        all += results;
    }
    println!("{all} results");
}

#[test]
fn every_operator_has_the_bits_of_every_nan_that_near_has() {
    let (text, _) = nan_module(false);
    let subject = Subject::new(88, &wat::parse_str(text).unwrap(), &EngineKind::ALL).unwrap();
    for (number, (source, _)) in SOURCES.iter().enumerate() {
        let request = Request { method: format!("run{number}"), gas: GAS, ..Request::default() };
        let mut differences = subject.differences(&request);
        for observed in differences.values_mut() {
            observed.value =
                observed.value.take().map(|value| value.into_iter().take(64).collect());
        }
        assert!(differences.is_empty(), "from {source}: {differences:#?}");
    }
}

const WIDE: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (memory 1)
  (func $put (param $low i64) (param $high i64) (param $at i32)
    (i64.store (local.get $at) (local.get $low))
    (i64.store offset=8 (local.get $at) (local.get $high)))
  (func $word (param i32) (result i64) (i64.load (i32.add (i32.const 1024) (i32.shl (local.get 0) (i32.const 3)))))
  (func (export "run")
    (call $input (i64.const 0))
    (call $read_register (i64.const 0) (i64.const 1024))
    (i64.add128 (call $word (i32.const 0)) (call $word (i32.const 1)) (call $word (i32.const 2)) (call $word (i32.const 3)))
    (call $put (i32.const 0))
    (i64.sub128 (call $word (i32.const 0)) (call $word (i32.const 1)) (call $word (i32.const 2)) (call $word (i32.const 3)))
    (call $put (i32.const 16))
    (i64.mul_wide_u (call $word (i32.const 0)) (call $word (i32.const 2)))
    (call $put (i32.const 32))
    (i64.mul_wide_s (call $word (i32.const 0)) (call $word (i32.const 2)))
    (call $put (i32.const 48))
    (call $value_return (i64.const 64) (i64.const 0))))"#;

#[test]
fn wide_arithmetic_is_right_in_private_modules_and_refused_in_public_ones() {
    let code = wat::parse_str(WIDE).unwrap();
    let refused = Subject::new(88, &code, &EngineKind::ALL).err();
    assert!(refused.is_some_and(|report| report.contains("wasm.feature")));
    let world = World::new(&[("wide", &code)]).unwrap();
    let namespace: Namespace = "wide".parse().unwrap();
    let mut rng = rng();
    let edges =
        [0, 1, 2, u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, 1 << 32, u64::from(u32::MAX)];
    let mut word = || {
        if rng.random_bool(0.5) { edges[rng.random_range(0..edges.len())] } else { rng.random() }
    };
    for _ in 0..300 {
        let [a, b, c, d] = [word(), word(), word(), word()];
        let pair = |low: u64, high: u64| u128::from(low) | u128::from(high) << 64;
        let signed = |word: u64| i128::from(word.cast_signed());
        let expected = [
            pair(a, b).wrapping_add(pair(c, d)),
            pair(a, b).wrapping_sub(pair(c, d)),
            u128::from(a) * u128::from(c),
            (signed(a) * signed(c)).cast_unsigned(),
        ];
        let expected: Vec<u8> = expected.iter().flat_map(|word| word.to_le_bytes()).collect();
        let input: Vec<u8> = [a, b, c, d].iter().flat_map(|word| word.to_le_bytes()).collect();
        let gas = EngineKind::ALL.map(|engine| {
            let session = world.session(engine, GAS);
            let mut live = session.open(&namespace, "run", 0, Grants::NONE).unwrap();
            let progress = live.resume(input.clone()).unwrap();
            assert_eq!(
                progress,
                Progress::Done(expected.clone()),
                "{engine}: {a:x} {b:x} {c:x} {d:x}"
            );
            session.gas_left()
        });
        assert_eq!(gas[0], gas[1]);
    }
}
