;; expect: runs
;; Exports with the names that meters and hosts like to give to their own: they must not meet.
(module
  (memory (export "memory") 1)
  (global $zero (mut i64) (i64.const 0))
  (export "remaining_gas" (global $zero))
  (export "gas_left" (global $zero))
  (export "gas" (global $zero))
  (export "stack" (global $zero))
  (export "stack_left" (global $zero))
  (export "wasmer_metering_remaining_points" (global $zero))
  (export "wasmer_metering_points_exhausted" (global $zero))
  (export "cotenant_gas" (global $zero))
  (export "cotenant_stack" (global $zero))
  (export "__stack_pointer" (global $zero))
  (func $nothing
    (export "finite_wasm_gas") (export "finite_wasm_stack") (export "_start") (export "_initialize")
    (export "\00") (export "\00run") (export ""))
  (func (export "run") (global.set $zero (i64.const -1))))
