;; expect: refused
;; A host function from another module.
(module (import "wasi_snapshot_preview1" "input" (func (param i64))) (func (export "run")))
