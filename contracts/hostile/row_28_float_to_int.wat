;; expect: traps
;; A float that no integer holds, converted by the instruction that traps.
(module (func (export "run") (drop (i32.trunc_f32_s (f32.const 3e9)))))
