;; expect: refused
;; A host function that is not there.
(module (import "env" "read_file" (func (param i64 i64))) (func (export "run")))
