;; expect: refused
;; The memory before the functions and after the code.
(module binary "\00asm" "\01\00\00\00"
  "\01\04\01\60\00\00"             ;; types
  "\03\02\01\00"                     ;; functions
  "\0a\04\01\02\00\0b"             ;; code
  "\05\03\01\00\01"                 ;; memory
  "\07\07\01\03run\00\00")          ;; exports
