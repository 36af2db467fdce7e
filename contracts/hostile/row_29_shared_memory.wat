;; expect: refused
;; A memory for several threads.
(module (memory 1 1 shared) (func (export "run")))
