;; expect: traps
;; A start function that traps.
(module (func $start unreachable) (func (export "run")) (start $start))
