;; expect: public traps, private runs
;; A yield where nobody called: in a root call of a public module there is nobody to ask.
(module
  (import "env" "callback" (func $callback (param i64 i64 i64)))
  (memory (export "memory") 1)
  (func (export "run") (call $callback (i64.const 8) (i64.const 0) (i64.const 0))))
