;; expect: traps
;; One instruction that writes a mebibyte, for ever. Charged as one instruction it would be a thousand times
;; too cheap.
(module
  (memory (export "memory") 17)
  (func (export "run")
    (loop $again
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576))
      (br $again))))
