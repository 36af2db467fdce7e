;; expect: refused
;; A global of the host's.
(module (import "env" "input" (global i64)) (func (export "run")))
