;; expect: refused
;; A call through a typed reference where no execution comes.
(module
  (type $plain (func))
  (func $run (export "run") return (call_ref $plain (ref.null $plain))))
