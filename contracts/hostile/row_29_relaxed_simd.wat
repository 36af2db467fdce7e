;; expect: refused
;; A relaxed vector instruction where no execution comes.
(module
  (func $run (export "run") return (drop (i32x4.relaxed_trunc_f32x4_s (v128.const i64x2 0 0)))))
