//! Records in an engine's state that no engine of today writes: a small contract puts them there before the engine is
//! deployed over it.

/// Writes a value under a key of the default module: the key's length (u32), the key, the value.
pub const WRITER: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "register_len" (func $length (param i64) (result i64)))
  (import "env" "read_register" (func $read (param i64 i64)))
  (import "env" "storage_write" (func $write (param i64 i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 4)
  (func (export "put") (local $key i64)
    (call $input (i64.const 0))
    (call $read (i64.const 0) (i64.const 0))
    (local.set $key (i64.load32_u (i32.const 0)))
    (drop (call $write
      (local.get $key) (i64.const 4)
      (i64.sub (i64.sub (call $length (i64.const 0)) (local.get $key)) (i64.const 4))
      (i64.add (i64.const 4) (local.get $key)) (i64.const 1)))))"#;

/// Arguments of `put`.
pub fn put(key: &[u8], value: &[u8]) -> Vec<u8> {
    [&(key.len() as u32).to_le_bytes(), key, value].concat()
}
