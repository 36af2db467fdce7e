;; expect: traps
;; A length that no memory has, from a pointer that is fine.
(module
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "run") (call $value_return (i64.const -2) (i64.const 8))))
