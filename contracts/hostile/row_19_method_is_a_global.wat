;; expect: traps
;; A method that is a global.
(module (global i32 (i32.const 0)) (export "run" (global 0)))
