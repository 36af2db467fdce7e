;; A private module with a method for every way a Wasm instruction can trap, and for traps at an awkward
;; moment: after a yield, and after a result was set.
(module
  (import "env" "callback" (func $callback (param i64 i64 i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (import "env" "panic_utf8" (func $panic_utf8 (param i64 i64)))
  (type $plain (func))
  (type $other (func (param i32)))
  (memory (export "memory") 1)
  (table 3 funcref)
  (elem (i32.const 1) $nothing)
  (data (i32.const 0) "panicked on purpose")

  (func $nothing)
  (func (export "unreachable") unreachable)
  (func (export "memory_out_of_bounds") (drop (i32.load (i32.const -4))))
  (func (export "divide_by_zero") (drop (i32.div_u (i32.const 1) (i32.const 0))))
  (func (export "integer_overflow") (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))))
  (func (export "float_to_int") (drop (i32.trunc_f64_s (f64.const nan))))
  (func (export "table_out_of_bounds") (call_indirect (type $plain) (i32.const 3)))
  (func (export "indirect_to_null") (call_indirect (type $plain) (i32.const 2)))
  (func (export "indirect_bad_signature") (call_indirect (type $other) (i32.const 0) (i32.const 1)))
  (func $recursion (export "stack_overflow") (call $recursion) (call $recursion))
  (func (export "panic") (call $panic_utf8 (i64.const 19) (i64.const 0)))

  (func (export "yield_then_trap")
    (call $callback (i64.const 8) (i64.const 0) (i64.const 0))
    unreachable)

  (func (export "return_then_trap")
    (call $value_return (i64.const 8) (i64.const 0))
    unreachable))
