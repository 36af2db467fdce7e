;; expect: traps
;; Two functions that call each other, one with a frame of a kilobyte.
(module
  ;; NEAR wants two bytes of code for every local.
  (@custom "padding" "2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local 2 bytes a local ")
  (func $small (export "run") (call $large) (call $large))
  (func $large
    (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (call $small) (call $small)))
