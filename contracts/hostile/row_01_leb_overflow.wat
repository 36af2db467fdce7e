;; expect: refused
;; The length of a section in a LEB128 that does not fit 32 bits.
(module binary "\00asm" "\01\00\00\00"
  "\01\ff\ff\ff\ff\ff\0f\00")
