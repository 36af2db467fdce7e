;; expect: refused
;; A table filled with functions that are not there.
(module (table 1 funcref) (elem (i32.const 0) func 5) (func (export "run")))
