;; expect: refused
;; Two tables, where one is allowed.
(module (table 1 funcref) (table 1 funcref) (func (export "run")))
