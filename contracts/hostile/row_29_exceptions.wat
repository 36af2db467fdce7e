;; expect: refused
;; A thrown exception where no execution comes.
(module
  (tag $tag)
  (func $run (export "run") return (throw $tag)))
