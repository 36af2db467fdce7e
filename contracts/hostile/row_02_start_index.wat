;; expect: refused
;; A start function that is not there.
(module (func (export "run")) (start 9))
