;; expect: refused
;; Data that lie beyond every memory a host may give: the module cannot be instantiated.
(module
  (memory (export "memory") 1)
  (data (i32.const 0x7ffffff0) "beyond the end of the memory")
  (func (export "run")))
