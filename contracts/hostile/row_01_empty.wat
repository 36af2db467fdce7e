;; expect: refused
;; No bytes at all.
(module binary "")
