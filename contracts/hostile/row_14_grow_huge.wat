;; expect: traps
;; Asks for all of 32 bits at once, and for as much as overflows the sum of pages.
(module
  (memory (export "memory") 1)
  (func (export "run")
    (if (i32.ne (memory.grow (i32.const -1)) (i32.const -1)) (then unreachable))
    (if (i32.ne (memory.grow (i32.const 65536)) (i32.const -1)) (then unreachable))
    (if (i32.ne (memory.grow (i32.const 0x7fffffff)) (i32.const -1)) (then unreachable))))
