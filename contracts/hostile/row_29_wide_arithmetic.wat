;; expect: public refused, private runs
;; An addition of 128 bits where no execution comes: a private module may use it, NEAR does not know it.
(module
  (func $run (export "run") return (i64.add128 (i64.const 1) (i64.const 0) (i64.const 1) (i64.const 0)) drop drop))
