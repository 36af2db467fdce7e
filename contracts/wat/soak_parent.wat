;; The smallest parent of `soak`: `run` hands its input to the method `cpu_ram_soak` of the namespace `soak`
;; and returns what comes back. The result goes straight into memory, so the call costs two switches and no
;; register but the input's.
(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "register_len" (func $register_len (param i64) (result i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (import "env" "panic_utf8" (func $panic_utf8 (param i64 i64)))
  (import "env" "sync_call_open"
    (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume_into"
    (func $resume_into (param i64 i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "soak")
  (data (i32.const 16) "cpu_ram_soak")
  (data (i32.const 32) "refused")
  (data (i32.const 48) "failed")

  (func (export "run")
    (local $handle i64) (local $packed i64) (local $length i64)
    (call $input (i64.const 0))
    (local.set $length (call $register_len (i64.const 0)))
    ;; The input lies at 1,024 and is 1,024 bytes long at most; soak wants twenty.
    (if (i64.gt_u (local.get $length) (i64.const 1024)) (then unreachable))
    (call $read_register (i64.const 0) (i64.const 1024))
    (local.set $handle
      (call $open (i64.const 4) (i64.const 0) (i64.const 12) (i64.const 16)
        (i64.const 0) (i64.const -1) (i64.const 0) (i64.const 0)))
    (if (i64.eq (local.get $handle) (i64.const -1))
      (then (call $panic_utf8 (i64.const 7) (i64.const 32))))
    (local.set $packed
      (call $resume_into (local.get $handle) (local.get $length) (i64.const 1024)
        (i64.const 2048) (i64.const 1024)))
    (if (i64.ne (i64.and (local.get $packed) (i64.const 255)) (i64.const 0))
      (then (call $panic_utf8 (i64.const 6) (i64.const 48))))
    (call $value_return (i64.shr_u (local.get $packed) (i64.const 8)) (i64.const 2048))))
