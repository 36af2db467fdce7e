;; expect: refused
;; An export of a function that is not there.
(module (func) (export "run" (func 9)))
