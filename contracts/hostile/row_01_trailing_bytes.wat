;; expect: refused
;; A good module with something after it.
(module binary "\00asm" "\01\00\00\00"
  "\01\04\01\60\00\00"
  "\03\02\01\00"
  "\07\07\01\03run\00\00"
  "\0a\04\01\02\00\0b"
  "\ff\ff\ff")
