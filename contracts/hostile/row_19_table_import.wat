;; expect: refused
;; A table of the host's.
(module (import "env" "table" (table 1 funcref)) (func (export "run")))
