;; expect: traps
;; A buffer for an answer that is longer than the memory. It must be refused before the callee has run.
(module
  (import "env" "current_namespace" (func $current_namespace (param i64)))
  (import "env" "sync_call_open"
    (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume_into" (func $resume_into (param i64 i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "noop")
  ;; Opens the method of the given name of this very module; its namespace is in register 1.
  (func $open_self (param $name i64) (param $length i64) (param $gas i64) (result i64)
    (call $current_namespace (i64.const 1))
    (call $open (i64.const -1) (i64.const 1) (local.get $length) (local.get $name)
      (local.get $gas) (i64.const -1) (i64.const 31) (i64.const 0)))

  (func (export "run")
    (drop (call $resume_into (call $open_self (i64.const 0) (i64.const 4) (i64.const 0))
      (i64.const 0) (i64.const 0) (i64.const 64) (i64.const -32))))
  (func (export "noop")))
