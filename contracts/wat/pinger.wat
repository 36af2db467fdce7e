;; A private module that does nothing but switch: `ping` yields eight bytes as often as its input (eight bytes
;; little-endian) says and returns the last answer.
(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "callback_into" (func $callback_into (param i64 i64 i64 i64) (result i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "ping")
    (local $left i64)
    (call $input (i64.const 0))
    (call $read_register (i64.const 0) (i64.const 0))
    (local.set $left (i64.load (i32.const 0)))
    (block $done
      (loop $next
        (br_if $done (i64.eqz (local.get $left)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        (i64.store (i32.const 8) (local.get $left))
        (drop (call $callback_into (i64.const 8) (i64.const 8) (i64.const 16) (i64.const 8)))
        (br $next)))
    (call $value_return (i64.const 8) (i64.const 16))))
