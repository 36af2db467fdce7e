;; expect: refused
;; A vector constant where no execution comes.
(module
  (func $run (export "run") return (drop (v128.const i64x2 0 0))))
