;; expect: traps
;; The same through a table, where no compiler sees it.
(module
  (type $plain (func))
  (table 1 funcref)
  (elem (i32.const 0) $run)
  (func $run (export "run")
    (call_indirect (type $plain) (i32.const 0))
    (call_indirect (type $plain) (i32.const 0))))
