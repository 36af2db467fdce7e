;; expect: refused
;; A handler of exceptions where no execution comes.
(module
  (func $run (export "run") return (block $caught (try_table (catch_all $caught) (call $run)))))
