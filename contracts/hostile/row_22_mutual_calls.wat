;; expect: runs
;; Two methods that call each other as deep as they may.
(module
  (import "env" "current_namespace" (func $current_namespace (param i64)))
  (import "env" "sync_call_open"
    (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "run")
  (data (i32.const 8) "pong")
  ;; Opens the method of the given name of this very module; its namespace is in register 1.
  (func $open_self (param $name i64) (param $length i64) (param $gas i64) (result i64)
    (call $current_namespace (i64.const 1))
    (call $open (i64.const -1) (i64.const 1) (local.get $length) (local.get $name)
      (local.get $gas) (i64.const -1) (i64.const 31) (i64.const 0)))

  (func (export "run") (call $follow (call $open_self (i64.const 8) (i64.const 4) (i64.const 0))))
  (func (export "pong") (call $follow (call $open_self (i64.const 0) (i64.const 3) (i64.const 0))))
  (func $follow (param $handle i64)
    (if (i64.eq (local.get $handle) (i64.const -1)) (then return))
    (if (i64.ne (call $resume (local.get $handle) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 0))
      (then unreachable))))
