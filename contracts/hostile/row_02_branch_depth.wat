;; expect: refused
;; A branch out of more blocks than there are.
(module (func (export "run") (block (br 2))))
