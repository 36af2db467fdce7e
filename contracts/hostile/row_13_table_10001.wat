;; expect: refused
;; A table of one entry more than allowed.
(module (table 10001 funcref) (func (export "run")))
