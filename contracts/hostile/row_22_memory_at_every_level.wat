;; expect: runs
;; The same recursion, and every level takes 64 MiB first. The sum is bounded: from some level on there is
;; less, or no further level.
(module
  (import "env" "current_namespace" (func $current_namespace (param i64)))
  (import "env" "sync_call_open"
    (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "run")
  ;; Opens the method of the given name of this very module; its namespace is in register 1.
  (func $open_self (param $name i64) (param $length i64) (param $gas i64) (result i64)
    (call $current_namespace (i64.const 1))
    (call $open (i64.const -1) (i64.const 1) (local.get $length) (local.get $name)
      (local.get $gas) (i64.const -1) (i64.const 31) (i64.const 0)))

  (func (export "run") (local $handle i64)
    (drop (memory.grow (i32.const 1023)))
    (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (i32.const 1))
    (local.set $handle (call $open_self (i64.const 0) (i64.const 3) (i64.const 0)))
    (if (i64.eq (local.get $handle) (i64.const -1)) (then return))
    (if (i64.ne (call $resume (local.get $handle) (i64.const 0) (i64.const 0) (i64.const 0)) (i64.const 0))
      (then unreachable))))
