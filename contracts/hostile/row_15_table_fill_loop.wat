;; expect: traps
;; A table filled for ever.
(module
  (table 10000 funcref)
  (func (export "run")
    (loop $again
      (table.fill (i32.const 0) (ref.null func) (i32.const 10000))
      (br $again))))
