;; expect: public traps, private runs
;; A start function that yields: the caller gets a question before the method has begun.
(module
  (import "env" "callback" (func $callback (param i64 i64 i64)))
  (memory (export "memory") 1)
  (func $start (call $callback (i64.const 8) (i64.const 0) (i64.const 0)))
  (func (export "run"))
  (start $start))
