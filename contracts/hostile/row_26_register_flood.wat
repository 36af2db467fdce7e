;; expect: traps
;; A hundred thousand registers, where a hundred are allowed.
(module
  (import "env" "input" (func $input (param i64)))
  (func (export "run") (local $register i64)
    (loop $again
      (call $input (local.get $register))
      (local.set $register (i64.add (local.get $register) (i64.const 1)))
      (br_if $again (i64.lt_u (local.get $register) (i64.const 100000))))))
