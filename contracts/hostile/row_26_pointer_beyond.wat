;; expect: traps
;; A pointer over 32 bits, whose low half is fine.
(module
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "run") (call $value_return (i64.const 8) (i64.const 0x100000000))))
