;; expect: traps
;; A data segment copied into memory for ever.
(module
  (memory (export "memory") 1)
  (data $bytes "sixteen bytes...")
  (func (export "run")
    (loop $again
      (memory.init $bytes (i32.const 0) (i32.const 0) (i32.const 16))
      (br $again))))
