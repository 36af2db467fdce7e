;; expect: traps
;; A register written to the last byte of the largest memory and beyond.
(module
  (import "env" "callback" (func $callback (param i64 i64 i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "run") 
    (call $callback (i64.const 0) (i64.const 0) (i64.const 0))
    (call $read_register (i64.const 9) (i64.const 0xffffffff))))
