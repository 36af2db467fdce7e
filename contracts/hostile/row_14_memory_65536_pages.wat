;; expect: public runs, private refused
;; Four gibibytes of memory. NEAR gives every public module 1,024 pages, whatever it declares; a private one
;; starts with what it declares, so this must be refused.
(module (memory (export "memory") 65536) (func (export "run")))
