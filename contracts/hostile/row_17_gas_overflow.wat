;; expect: traps
;; Bulk instructions whose prices add up to more than 64 bits. The sum must stop at the limit, not begin again
;; at 0.
(module
  (memory (export "memory") 1)
  (func (export "run") (local $left i32)
    (local.set $left (i32.const 100000))
    (loop $again
      (memory.fill (i32.const 0) (i32.const 0) (i32.const -1))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))))
