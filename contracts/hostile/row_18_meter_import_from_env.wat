;; expect: refused
;; The same, from the module whose functions are allowed.
(module
  (import "env" "finite_wasm_gas" (func $gas (param i64)))
  (func (export "run") (call $gas (i64.const -1))))
