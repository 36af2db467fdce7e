;; expect: refused
;; A section that promises more bytes than there are.
(module binary "\00asm" "\01\00\00\00"
  "\01\64" ;; types: 100 bytes
  "\01\60")
