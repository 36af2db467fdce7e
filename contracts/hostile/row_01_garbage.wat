;; expect: refused
;; Bytes that are no Wasm.
(module binary "#!/bin/sh\0aecho this is no module\0a")
