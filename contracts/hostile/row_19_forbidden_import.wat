;; expect: public runs, private refused
;; Storage, which a private module has none of; nor may it create promises.
(module
  (import "env" "storage_write" (func $storage_write (param i64 i64 i64 i64 i64) (result i64)))
  (import "env" "promise_batch_create" (func (param i64 i64) (result i64)))
  (memory (export "memory") 1)
  (func (export "run")
    (drop (call $storage_write (i64.const 1) (i64.const 0) (i64.const 1) (i64.const 0) (i64.const 0)))))
