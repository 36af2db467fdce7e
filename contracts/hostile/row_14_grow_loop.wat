;; expect: runs
;; Asks for memory until it gets no more. `memory.grow` must answer -1 at the same page everywhere; the number
;; of pages is the result.
(module
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "run")
    (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (i32.store (i32.const 0) (memory.size))
    (call $value_return (i64.const 4) (i64.const 0))))
