//! Modules that between them have every way of charging gas and stack.

/// Name and text. Every module is one that NEAR accepts.
pub const CORPUS: &[(&str, &str)] = &[
    ("empty", "(module)"),
    (
        "straight line",
        r#"(module (func (export "main") (result i32)
            (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3)))))"#,
    ),
    ("empty function", r#"(module (func (export "main")))"#),
    (
        "if and else",
        r#"(module (func (export "main") (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (i32.const 1) (i32.const 2) (i32.add))
                (else (i32.const 3)))
            (if (i32.eqz (local.get 0)) (then (nop)))))"#,
    ),
    (
        "loops in loops",
        r#"(module (func (export "main") (param i32) (result i64) (local i64 i32)
            (loop $outer
                (local.set 2 (i32.const 3))
                (loop $inner
                    (local.set 1 (i64.add (local.get 1) (i64.const 7)))
                    (br_if $inner (local.tee 2 (i32.sub (local.get 2) (i32.const 1)))))
                (br_if $outer (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0))))
            (local.get 1)))"#,
    ),
    (
        "a loop without a branch",
        r#"(module (func (export "main") (result i32) (loop (result i32) (i32.const 5))))"#,
    ),
    (
        "function that begins with a loop",
        r#"(module (func (export "main") (param i32)
            (loop (br_if 0 (local.tee 0 (i32.and (i32.sub (local.get 0) (i32.const 1)) (i32.const 15)))))))"#,
    ),
    ("endless loop", r#"(module (func (export "main") (loop (br 0))))"#),
    (
        "branch table",
        r#"(module (func (export "main") (param i32) (result i32)
            (block $a (block $b (block $c
                (br_table $a $b $c $a (local.get 0)))
                (return (i32.const 30)))
                (return (i32.const 20)))
            (br_table 0 0 (i32.const 1) (local.get 0))))"#,
    ),
    (
        "branches out of a function",
        r#"(module
            (func $leaf (param i32) (result i32)
                (drop (br_if 0 (i32.const 7) (local.get 0)))
                (block (br 1 (i32.const 8)))
                (i32.const 9))
            (func (export "main") (param i32) (result i32)
                (drop (br_if 0 (call $leaf (local.get 0)) (i32.const 0)))
                (block (drop (br_if 1 (call $leaf (i32.const 0)) (local.get 0))))
                (call $leaf (i32.const 1)))
            (func (export "nothing") (param i32)
                (br_if 0 (local.get 0)) (drop (call $leaf (local.get 0)))))"#,
    ),
    (
        "recursion",
        r#"(module (func $fib (export "main") (param i32) (result i64)
            (if (result i64) (i32.lt_u (local.get 0) (i32.const 2))
                (then (i64.extend_i32_u (local.get 0)))
                (else (i64.add
                    (call $fib (i32.sub (local.get 0) (i32.const 1)))
                    (call $fib (i32.sub (local.get 0) (i32.const 2))))))))"#,
    ),
    (
        "endless recursion",
        r#"(module (func $f (export "main") (local i64 i64 i64) (call $f) (nop)))"#,
    ),
    (
        "a call that does not come back",
        r#"(module
            (import "env" "panic" (func $panic))
            (func $fail (param i32) (if (local.get 0) (then (call $panic) (unreachable))))
            (func (export "main") (param i32)
                (call $fail (i32.const 0))
                (call $fail (local.get 0))
                (unreachable)))"#,
    ),
    (
        "indirect calls",
        r#"(module
            (type $t (func (param i32) (result i32)))
            (table 5 funcref)
            (elem (i32.const 0) $double $square)
            (elem (i32.const 3) $unlike)
            (func $double (type $t) (i32.mul (local.get 0) (i32.const 2)))
            (func $square (type $t) (i32.mul (local.get 0) (local.get 0)))
            (func $unlike)
            (func (export "main") (param i32) (result i32)
                (i32.add
                    (call_indirect (type $t) (i32.const 11) (local.get 0))
                    (call_indirect (type $t) (i32.const 11) (i32.const 1)))))"#,
    ),
    (
        "memory",
        r#"(module (memory 1) (data (i32.const 8) "\05\06\07")
            (func (export "main") (param i32) (result i32)
                (i64.store offset=16 (local.get 0) (i64.const 0x1122334455667788))
                (i32.store8 (i32.const 9) (i32.load16_u offset=17 (local.get 0)))
                (i32.add (i32.load (i32.const 8)) (memory.size))))"#,
    ),
    (
        "memory out of bounds",
        r#"(module (memory 1)
            (func (export "main") (param i32) (result i32)
                (i32.store (i32.const 0) (i32.const 1))
                (i32.store (i32.const -2) (i32.const 1))
                (i32.const 3)))"#,
    ),
    (
        "bulk memory",
        r#"(module (memory 1) (data $d "some bytes") (data (i32.const 0) "0123456789")
            (func (export "main") (param i32) (result i32)
                (memory.init $d (i32.const 100) (i32.const 0) (i32.const 10))
                (memory.copy (i32.const 200) (i32.const 0) (local.get 0))
                (memory.fill (i32.const 300) (i32.const 7) (i32.mul (local.get 0) (local.get 0)))
                (data.drop $d)
                (i32.add (memory.grow (i32.const 2)) (memory.size))
                (memory.fill (i32.const 0) (i32.const 7) (i32.const 0))
                (i32.add (i32.load8_u (i32.const 300)) (i32.load8_u (i32.const 205)))
                (i32.add)))"#,
    ),
    (
        "bulk memory out of bounds",
        r#"(module (memory 1)
            (func (export "main") (param i32)
                (memory.fill (i32.const -1) (i32.const 7) (local.get 0))
                (memory.fill (i32.const 0) (i32.const 7) (i32.const -1))))"#,
    ),
    (
        "bulk tables",
        r#"(module (table $t 10 20 funcref)
            (elem $e func $f $f)
            (func $f (result i32) (i32.const 1))
            (func (export "main") (param i32) (result i32)
                (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 2))
                (table.copy (i32.const 4) (i32.const 0) (i32.const 2))
                (table.fill $t (i32.const 6) (ref.func $f) (i32.const 2))
                (drop (table.grow $t (ref.null func) (local.get 0)))
                (table.set $t (i32.const 9) (table.get $t (i32.const 7)))
                (elem.drop $e)
                (i32.add (table.size $t) (call_indirect $t (result i32) (i32.const 9)))))"#,
    ),
    (
        "unreachable code",
        r#"(module (memory 1)
            (func (export "main") (param i32) (result i32)
                (block (br 0) (drop (i32.add (i32.const 1) (i32.const 2))) (loop (br 0)))
                (if (local.get 0)
                    (then (return (i32.const 1)) (drop (call 0 (i32.const 0))) (memory.fill))
                    (else (nop)))
                (loop (result i32) (return (i32.const 4)) (br 0) (i32.load) (drop) (i32.const 3))
                (unreachable)
                (drop (memory.grow))
                (i32.store)))"#,
    ),
    (
        "unreachable",
        r#"(module (func (export "main") (param i32) (drop (i32.const 1)) (unreachable)))"#,
    ),
    (
        "division by zero",
        r#"(module (func (export "main") (param i32) (result i32)
            (i32.add (i32.div_u (i32.const 100) (i32.const 3)) (i32.rem_s (i32.const 100) (local.get 0)))))"#,
    ),
    (
        "floats that are no integers",
        r#"(module (func (export "main") (param i32) (result i32)
            (drop (i32.trunc_sat_f64_s (f64.const nan)))
            (i32.add (i32.trunc_f32_s (f32.const 3.5)) (i32.trunc_f64_u (f64.const -3)))))"#,
    ),
    (
        "many returns",
        r#"(module (func $g (result i32) (i32.const 2))
            (func (export "main") (param i32) (result i32)
                (if (i32.eq (local.get 0) (i32.const 1)) (then (return (i32.const 5))))
                (if (i32.eq (local.get 0) (i32.const 2)) (then (return (call $g))))
                (block (block (br_if 1 (local.get 0)) (return (call $g))))
                (return (i32.add (call $g) (call $g)))))"#,
    ),
    (
        "locals and globals of all types",
        r#"(module
            (global $a (mut i32) (i32.const 1)) (global $b i64 (i64.const 2))
            (global $c (mut f32) (f32.const 3)) (global $d (mut f64) (f64.const 4))
            (global $e (mut funcref) (ref.func $f)) (global $g funcref (ref.null func))
            (func $f (param i32 i64 f32 f64 funcref) (result f64)
                (local i32 i32 i64 f32 f64 f64 f64 funcref i64)
                (local.set 12 (global.get $e))
                (global.set $e (local.get 4))
                (global.set $a (i32.add (global.get $a) (local.get 0)))
                (local.set 7 (i64.add (global.get $b) (local.get 1)))
                (f64.add (local.get 3) (f64.convert_i64_s (local.get 7))))
            (func (export "main") (param i32) (result f64)
                (call $f (local.get 0) (i64.const 2) (f32.const 3) (f64.const 4)
                    (ref.func $f))))"#,
    ),
    (
        "start function",
        r#"(module
            (global $started (mut i32) (i32.const 0))
            (func $start (global.set $started (i32.add (global.get $started) (i32.const 1))))
            (start $start)
            (func (export "main") (result i32) (global.get $started)))"#,
    ),
    (
        "imported functions",
        r#"(module
            (import "env" "first" (func $first (param i32) (result i32)))
            (import "env" "second" (func $second))
            (export "again" (func $second))
            (func (export "main") (param i32) (result i32)
                (call $second)
                (local.set 0 (call $first (local.get 0)))
                (if (local.get 0) (then (call $second)))
                (loop (drop (call $first (i32.const 1)))
                    (br_if 0 (local.tee 0 (i32.and (i32.add (local.get 0) (i32.const 1)) (i32.const 3)))))
                (call $first (local.get 0))))"#,
    ),
    (
        "select, references and sign extension",
        r#"(module
            (func $f) (elem declare func $f)
            (func (export "main") (param i32) (result i32)
                (i32.add
                    (ref.is_null (select (result funcref) (ref.func $f) (ref.null func) (local.get 0)))
                    (i32.extend8_s (select (i32.const 200) (i32.const 1) (local.get 0))))))"#,
    ),
];
