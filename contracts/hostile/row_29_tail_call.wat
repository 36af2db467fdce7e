;; expect: refused
;; A tail call where no execution comes.
(module
  (func $run (export "run") return (return_call $run)))
