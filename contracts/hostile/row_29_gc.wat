;; expect: refused
;; A reference without heap object where no execution comes.
(module
  (func $run (export "run") return (drop (ref.i31 (i32.const 0)))))
