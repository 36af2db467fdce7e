;; expect: traps
;; A table that grows for ever: the limit on tables must hold for growth too, and the loop then ends with its
;; gas.
(module
  (table 1 funcref)
  (func (export "run")
    (loop $again
      (drop (table.grow (ref.null func) (i32.const 1000)))
      (br $again))))
