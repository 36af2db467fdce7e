;; expect: traps
;; Pointer plus length is over 64 bits and back at 14.
(module
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "run") (call $value_return (i64.const 16) (i64.const -2))))
