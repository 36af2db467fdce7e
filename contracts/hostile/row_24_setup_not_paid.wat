;; expect: runs
;; Callees with too little gas for their own setup, a thousand times: what was done for them is paid for by
;; their caller.
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

  (func (export "run") (local $handle i64) (local $left i32)
    (local.set $left (i32.const 1000))
    (loop $again
      (local.set $handle (call $open_self (i64.const 0) (i64.const 4) (i64.const 1)))
      (if (i64.ne (local.get $handle) (i64.const -1))
        (then (drop (call $resume (local.get $handle) (i64.const 0) (i64.const 0) (i64.const 0)))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left))))
  (func (export "noop")))
