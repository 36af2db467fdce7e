;; expect: traps
;; A method that wants an argument nobody gives.
(module (func (export "run") (param i64)))
