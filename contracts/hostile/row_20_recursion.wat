;; expect: traps
;; A function that calls itself for ever. The metered stack ends it, on every engine after the same number of
;; frames.
(module (func $run (export "run") (call $run) (call $run)))
