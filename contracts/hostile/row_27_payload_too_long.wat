;; expect: traps
;; A result of one byte more than four mebibytes.
(module
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (memory (export "memory") 70)
  (func (export "run") (call $value_return (i64.const 4194305) (i64.const 0))))
