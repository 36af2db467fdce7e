;; expect: runs
;; A start function that calls the host before any method has begun.
(module
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "start")
  (func $start (call $value_return (i64.const 5) (i64.const 0)))
  (func (export "run"))
  (start $start))
