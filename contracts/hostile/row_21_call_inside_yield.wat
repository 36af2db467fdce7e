;; expect: runs
;; While a callee waits for an answer, the same module is called again. A public module may not be live twice
;; side by side, a private one may; both must be told in order.
(module
  (import "env" "current_namespace" (func $current_namespace (param i64)))
  (import "env" "sync_call_open"
    (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))
  (import "env" "callback" (func $callback (param i64 i64 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "ask")
  ;; Opens the method of the given name of this very module; its namespace is in register 1.
  (func $open_self (param $name i64) (param $length i64) (param $gas i64) (result i64)
    (call $current_namespace (i64.const 1))
    (call $open (i64.const -1) (i64.const 1) (local.get $length) (local.get $name)
      (local.get $gas) (i64.const -1) (i64.const 31) (i64.const 0)))

  (func (export "run") (local $first i64) (local $second i64)
    (local.set $first (call $open_self (i64.const 0) (i64.const 3) (i64.const 0)))
    (if (i64.ne (call $resume (local.get $first) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 1))
      (then unreachable))
    (local.set $second (call $open_self (i64.const 0) (i64.const 3) (i64.const 0)))
    (if (i64.ne (local.get $second) (i64.const -1))
      (then
        (if (i64.ne (call $resume (local.get $second) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 1))
          (then unreachable))))
    (if (i64.ne (call $resume (local.get $first) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 0))
      (then unreachable)))
  (func (export "ask") (call $callback (i64.const 3) (i64.const 0) (i64.const 0))))
