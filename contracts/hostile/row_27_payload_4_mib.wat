;; expect: runs
;; Four mebibytes handed down three levels and back: every copy is paid for.
(module
  (import "env" "current_namespace" (func $current_namespace (param i64)))
  (import "env" "sync_call_open"
    (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume" (func $resume (param i64 i64 i64 i64) (result i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "register_len" (func $register_len (param i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "pass")
  (func (export "run")
    (if (i32.eq (memory.grow (i32.const 65)) (i32.const -1)) (then unreachable))
    (call $hand_down (i64.const 3)))
  (func (export "pass")
    (if (i32.eq (memory.grow (i32.const 65)) (i32.const -1)) (then unreachable))
    (call $input (i64.const 2))
    (call $read_register (i64.const 2) (i64.const 65536))
    ;; The first byte of the payload counts the levels that are left.
    (call $hand_down (i64.load8_u (i32.const 65536))))
  (func $hand_down (param $levels i64)
    (if (i64.eqz (local.get $levels))
      (then (call $value_return (i64.const 4194304) (i64.const 65536)) (return)))
    (i64.store8 (i32.const 65536) (i64.sub (local.get $levels) (i64.const 1)))
    (call $current_namespace (i64.const 1))
    (if (i64.ne
          (call $resume
            (call $open (i64.const -1) (i64.const 1) (i64.const 4) (i64.const 0)
              (i64.const 0) (i64.const -1) (i64.const 31) (i64.const 0))
            (i64.const 4194304) (i64.const 65536) (i64.const 3))
          (i64.const 0))
      (then unreachable))
    (if (i64.ne (call $register_len (i64.const 3)) (i64.const 4194304)) (then unreachable))
    (call $value_return (i64.const -1) (i64.const 3))))
