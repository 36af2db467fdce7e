;; expect: runs
;; Gas of one unit, of all of 64 bits, and of one bit less: never an overflow, never more than the caller has.
(module
  (import "env" "current_namespace" (func $current_namespace (param i64)))
  (import "env" "sync_call_open"
    (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "noop")
  ;; Opens the method of the given name of this very module; its namespace is in register 1.
  (func $open_self (param $name i64) (param $length i64) (param $gas i64) (result i64)
    (call $current_namespace (i64.const 1))
    (call $open (i64.const -1) (i64.const 1) (local.get $length) (local.get $name)
      (local.get $gas) (i64.const -1) (i64.const 31) (i64.const 0)))

  (func (export "run")
    (drop (call $try (i64.const 1)))
    (if (i64.ne (call $try (i64.const -1)) (i64.const 0)) (then unreachable))
    (if (i64.ne (call $try (i64.const 0x7fffffffffffffff)) (i64.const 0)) (then unreachable))
    (if (i64.ne (call $try (i64.const 0)) (i64.const 0)) (then unreachable)))
  (func $try (param $gas i64) (result i64) (local $handle i64)
    (local.set $handle (call $open_self (i64.const 0) (i64.const 4) (local.get $gas)))
    (if (i64.eq (local.get $handle) (i64.const -1)) (then (return (i64.const 2))))
    (call $resume (local.get $handle) (i64.const 0) (i64.const 0) (i64.const 0)))
  (func (export "noop")))
