;; expect: traps
;; A loop that never ends and leaves the module at every turn, so that the gas is counted on both sides.
(module
  (import "env" "register_len" (func $register_len (param i64) (result i64)))
  (func (export "run") (loop $again (drop (call $register_len (i64.const 0))) (br $again))))
