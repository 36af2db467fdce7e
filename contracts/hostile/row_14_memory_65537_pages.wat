;; expect: refused
;; More memory than 32 bits can address.
(module binary "\00asm" "\01\00\00\00"
  "\01\04\01\60\00\00"
  "\03\02\01\00"
  "\05\05\01\00\81\80\04"           ;; a memory of 65,537 pages
  "\07\07\01\03run\00\00"
  "\0a\04\01\02\00\0b")
