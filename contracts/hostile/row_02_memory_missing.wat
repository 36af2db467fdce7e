;; expect: refused
;; A load where there is no memory.
(module (func (export "run") (drop (i32.load (i32.const 0)))))
