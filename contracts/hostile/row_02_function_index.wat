;; expect: refused
;; A call of a function that is not there.
(module (func (export "run") (call 7)))
