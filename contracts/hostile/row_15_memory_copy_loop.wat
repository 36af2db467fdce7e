;; expect: traps
;; The same with a copy over itself.
(module
  (memory (export "memory") 17)
  (func (export "run")
    (loop $again
      (memory.copy (i32.const 1) (i32.const 0) (i32.const 1048576))
      (br $again))))
