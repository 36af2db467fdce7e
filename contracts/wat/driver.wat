;; The smallest parent of any submodule, to measure switches with: `drive` opens a call, answers every yield
;; with the bytes that were yielded, and returns the result. The input is a namespace and a method, each after
;; its length in one byte, then the arguments. Yields and results are 16 KiB long at most.
;; `open_close` opens, closes and returns; `open_only` opens and leaves the closing to the host.
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
  (import "env" "sync_call_close" (func $close (param i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "refused")
  (data (i32.const 16) "failed")
  (data (i32.const 32) "too long")

  ;; Where the arguments begin, and how long they are.
  (global $args (mut i64) (i64.const 0))
  (global $args_len (mut i64) (i64.const 0))

  ;; Reads the input to 1,024 and opens the call it names, everything granted.
  (func $start (result i64)
    (local $end i64) (local $namespace i64) (local $method i64) (local $handle i64)
    (call $input (i64.const 0))
    (local.set $end (i64.add (i64.const 1024) (call $register_len (i64.const 0))))
    (if (i64.gt_u (local.get $end) (i64.const 32768))
      (then (call $panic_utf8 (i64.const 8) (i64.const 32))))
    (call $read_register (i64.const 0) (i64.const 1024))
    (local.set $namespace (i64.const 1025))
    (local.set $method
      (i64.add (local.get $namespace) (i64.add (i64.const 1) (i64.load8_u (i32.const 1024)))))
    (global.set $args
      (i64.add (local.get $method)
        (i64.load8_u (i32.wrap_i64 (i64.sub (local.get $method) (i64.const 1))))))
    (global.set $args_len (i64.sub (local.get $end) (global.get $args)))
    (local.set $handle
      (call $open
        (i64.load8_u (i32.const 1024)) (local.get $namespace)
        (i64.load8_u (i32.wrap_i64 (i64.sub (local.get $method) (i64.const 1)))) (local.get $method)
        (i64.const 0) (i64.const -1) (i64.const 15) (i64.const 0)))
    (if (i64.eq (local.get $handle) (i64.const -1))
      (then (call $panic_utf8 (i64.const 7) (i64.const 0))))
    (local.get $handle))

  (func (export "drive")
    (local $handle i64) (local $packed i64) (local $from i64) (local $length i64)
    (local.set $handle (call $start))
    (local.set $from (global.get $args))
    (local.set $length (global.get $args_len))
    (loop $next
      (local.set $packed
        (call $resume_into (local.get $handle) (local.get $length) (local.get $from)
          (i64.const 32768) (i64.const 16384)))
      (local.set $length (i64.shr_u (local.get $packed) (i64.const 8)))
      (local.set $from (i64.const 32768))
      (if (i64.gt_u (local.get $length) (i64.const 16384))
        (then (call $panic_utf8 (i64.const 8) (i64.const 32))))
      (br_if $next (i64.eq (i64.and (local.get $packed) (i64.const 255)) (i64.const 1))))
    (if (i64.ne (i64.and (local.get $packed) (i64.const 255)) (i64.const 0))
      (then (call $panic_utf8 (i64.const 6) (i64.const 16))))
    (call $value_return (local.get $length) (i64.const 32768)))

  (func (export "open_close") (drop (call $close (call $start))))

  (func (export "open_only") (drop (call $start))))
