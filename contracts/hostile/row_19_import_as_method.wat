;; expect: traps
;; An import exported again: a caller that names it would enter the host with no module in between.
(module (import "env" "input" (func (param i64))) (export "run" (func 0)))
