;; expect: refused
;; A memory with addresses of 64 bits.
(module (memory i64 1) (func (export "run")))
