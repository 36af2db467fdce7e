;; expect: traps
;; A start function that never ends: the loop is in nobody's method and must be paid for all the same.
(module
  (func $start (loop $again (br $again)))
  (func (export "run"))
  (start $start))
