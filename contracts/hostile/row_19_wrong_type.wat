;; expect: refused
;; A host function with another type.
(module (import "env" "input" (func (param i32) (result i64))) (func (export "run")))
