;; expect: refused
;; A memory that somebody else owns.
(module (import "env" "memory" (memory 1)) (func (export "run")))
