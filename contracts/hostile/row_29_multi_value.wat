;; expect: public refused, private runs
;; A block of two results where no execution comes: a private module may use it, NEAR does not know it.
(module
  (func $run (export "run") return (block (result i32 i32) (i32.const 1) (i32.const 2)) drop drop))
