;; expect: refused
;; An import of the meter's own function, to pay a negative price.
(module
  (import "internal" "finite_wasm_gas" (func $gas (param i64)))
  (func (export "run") (call $gas (i64.const -1))))
