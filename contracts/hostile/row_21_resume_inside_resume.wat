;; expect: runs
;; A callee resumes the handle by which it is running itself. Handles are of the frame, so it does not know it;
;; neither function may reach the callee.
(module
  (import "env" "current_namespace" (func $current_namespace (param i64)))
  (import "env" "sync_call_open"
    (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))
  (import "env" "resume_sync_call" (func $resume_sync_call (param i64 i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "inner")
  ;; Opens the method of the given name of this very module; its namespace is in register 1.
  (func $open_self (param $name i64) (param $length i64) (param $gas i64) (result i64)
    (call $current_namespace (i64.const 1))
    (call $open (i64.const -1) (i64.const 1) (local.get $length) (local.get $name)
      (local.get $gas) (i64.const -1) (i64.const 31) (i64.const 0)))

  (func (export "run") (local $handle i64)
    (local.set $handle (call $open_self (i64.const 0) (i64.const 5) (i64.const 0)))
    (if (i64.ne (call $resume (local.get $handle) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 0))
      (then unreachable)))
  (func (export "inner")
    (if (i64.ne (call $resume (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 2))
      (then unreachable))
    (call $current_namespace (i64.const 1))
    (if (i64.ne
          (call $resume_sync_call (i64.const -1) (i64.const 1) (i64.const 0) (i64.const 0) (i64.const 0))
          (i64.const 2))
      (then unreachable))))
