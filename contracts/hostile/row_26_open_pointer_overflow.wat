;; expect: traps
;; The name of a namespace that lies over the end of 64 bits.
(module
  (import "env" "current_namespace" (func $current_namespace (param i64)))
  (import "env" "sync_call_open"
    (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 1)
  (func (export "run")
    (drop (call $open (i64.const 16) (i64.const -2) (i64.const 3) (i64.const 0)
      (i64.const 0) (i64.const -1) (i64.const 0) (i64.const 0)))))
