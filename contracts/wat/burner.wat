;; A private module that burns gas: for ever, or so many times round, with or without yields between.
(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "callback_into" (func $callback_into (param i64 i64 i64 i64) (result i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (memory (export "memory") 1)

  (func (export "forever") (loop $again (br $again)))

  ;; Turns the loop as often as the input (eight bytes little-endian) says and returns the input.
  (func (export "loops")
    (call $read)
    (call $turn (i64.load (i32.const 0)))
    (call $value_return (i64.const 8) (i64.const 0)))

  ;; The same loop, then a yield, again and again.
  (func (export "loops_and_yields")
    (call $read)
    (loop $again
      (call $turn (i64.load (i32.const 0)))
      (drop (call $callback_into (i64.const 8) (i64.const 0) (i64.const 8) (i64.const 8)))
      (br $again)))

  ;; Asks for memory until there is no more, then returns the number of pages as eight bytes little-endian.
  (func (export "grow")
    (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (i64.store (i32.const 0) (i64.extend_i32_u (memory.size)))
    (call $value_return (i64.const 8) (i64.const 0)))

  (func $read
    (call $input (i64.const 0))
    (call $read_register (i64.const 0) (i64.const 0)))

  (func $turn (param $left i64)
    (block $done
      (loop $again
        (br_if $done (i64.eqz (local.get $left)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        (br $again)))))
