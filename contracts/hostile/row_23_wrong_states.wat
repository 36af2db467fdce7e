;; expect: runs
;; Everything in the wrong order: resume and close of a handle never given, resume after success and after a
;; trap, a resume of NEP-481 with nothing started, two closes. Each is an error the caller gets and goes on
;; from; the last callee is abandoned.
(module
  (import "env" "current_namespace" (func $current_namespace (param i64)))
  (import "env" "sync_call_open"
    (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))
  (import "env" "callback" (func $callback (param i64 i64 i64)))
  (import "env" "sync_call_close" (func $close (param i64) (result i64)))
  (import "env" "resume_sync_call" (func $resume_sync_call (param i64 i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "noop")
  (data (i32.const 8) "trap")
  (data (i32.const 16) "ask")
  ;; Opens the method of the given name of this very module; its namespace is in register 1.
  (func $open_self (param $name i64) (param $length i64) (param $gas i64) (result i64)
    (call $current_namespace (i64.const 1))
    (call $open (i64.const -1) (i64.const 1) (local.get $length) (local.get $name)
      (local.get $gas) (i64.const -1) (i64.const 31) (i64.const 0)))

  (func (export "run") (local $handle i64)
    (call $expect (call $resume (i64.const 7) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 2))
    (call $expect (call $close (i64.const 7)) (i64.const 2))
    (call $expect (call $close (i64.const -1)) (i64.const 2))
    (call $expect
      (call $resume_sync_call (i64.const 4) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 2))
    ;; After success.
    (local.set $handle (call $open_self (i64.const 0) (i64.const 4) (i64.const 0)))
    (call $expect (call $resume (local.get $handle) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 0))
    (call $expect (call $resume (local.get $handle) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 2))
    (call $expect (call $close (local.get $handle)) (i64.const 2))
    ;; After a trap.
    (local.set $handle (call $open_self (i64.const 8) (i64.const 4) (i64.const 0)))
    (call $expect (call $resume (local.get $handle) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 2))
    (call $expect (call $resume (local.get $handle) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 2))
    (call $expect (call $close (local.get $handle)) (i64.const 2))
    ;; Closed before it ran, and while it waited.
    (local.set $handle (call $open_self (i64.const 16) (i64.const 3) (i64.const 0)))
    (call $expect (call $close (local.get $handle)) (i64.const 0))
    (call $expect (call $close (local.get $handle)) (i64.const 2))
    (local.set $handle (call $open_self (i64.const 16) (i64.const 3) (i64.const 0)))
    (call $expect (call $resume (local.get $handle) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 1))
    (call $expect (call $close (local.get $handle)) (i64.const 0))
    (call $expect (call $resume (local.get $handle) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 2))
    ;; Abandoned.
    (local.set $handle (call $open_self (i64.const 16) (i64.const 3) (i64.const 0)))
    (call $expect (call $resume (local.get $handle) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 1)))
  (func $expect (param $status i64) (param $expected i64)
    (if (i64.ne (local.get $status) (local.get $expected)) (then unreachable)))
  (func (export "noop"))
  (func (export "trap") unreachable)
  (func (export "ask") (call $callback (i64.const 3) (i64.const 16) (i64.const 0))))
