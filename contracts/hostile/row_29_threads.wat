;; expect: refused
;; An atomic instruction where no execution comes.
(module
  (func $run (export "run") return atomic.fence))
