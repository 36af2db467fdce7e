;; expect: refused
;; A vector instruction where no execution comes.
(module
  (func $run (export "run") return (drop (i8x16.splat (i32.const 0)))))
