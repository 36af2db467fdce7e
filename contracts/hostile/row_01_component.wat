;; expect: refused
;; A component, whose header differs from a module in four bytes.
(module binary "\00asm" "\0d\00\01\00")
