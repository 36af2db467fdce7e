;; expect: traps
;; A fill that begins inside and ends outside: it traps before a byte is written, and is charged all the same.
(module
  (memory (export "memory") 1)
  (func (export "run") (memory.fill (i32.const 0xffff) (i32.const 1) (i32.const 0x7fff0000))))
