;; expect: traps
;; A table copied over itself for ever.
(module
  (table 10000 funcref)
  (func (export "run")
    (loop $again
      (table.copy (i32.const 0) (i32.const 1) (i32.const 9999))
      (br $again))))
