;; expect: refused
;; A local that is not there.
(module (func (export "run") (drop (local.get 4294967295))))
