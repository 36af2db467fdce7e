//! Modules to measure with, as text.

/// A public module of one empty method.
pub const PUBLIC_NOOP: &str = r#"(module (memory (export "memory") 1) (func (export "noop")))"#;

/// A private module that does nothing, or yields nothing for ever.
pub const SMALL: &str = r#"(module
  (import "env" "callback_into" (func $callback_into (param i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 1)
  (func (export "noop"))
  (func (export "yields")
    (loop $again
      (drop (call $callback_into (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 8)))
      (br $again))))"#;

/// A private module that hashes 64 bytes with the granted keccak256, and the hash again, a thousand times.
pub const HASHER: &str = r#"(module
  (import "env" "keccak256" (func $keccak256 (param i64 i64 i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "hash") (local $left i32)
    (local.set $left (i32.const 1000))
    (loop $next
      (call $keccak256 (i64.const 64) (i64.const 0) (i64.const 0))
      (call $read_register (i64.const 0) (i64.const 0))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (local.get $left)))))"#;

/// A private module that hands every yield of `ping` of the module `below` to its caller, and every answer
/// back.
pub fn forwarder(below: &str) -> String {
    format!(
        r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (import "env" "callback_into" (func $callback_into (param i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_open"
    (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume_into"
    (func $resume_into (param i64 i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{below}")
  (data (i32.const 64) "ping")
  (func (export "ping")
    (local $handle i64) (local $packed i64) (local $length i64)
    (call $input (i64.const 0))
    (call $read_register (i64.const 0) (i64.const 1024))
    (local.set $length (i64.const 8))
    (local.set $handle
      (call $open (i64.const {length}) (i64.const 0) (i64.const 4) (i64.const 64)
        (i64.const 0) (i64.const -1) (i64.const 8) (i64.const 0)))
    (if (i64.eq (local.get $handle) (i64.const -1)) (then unreachable))
    (block $done
      (loop $next
        (local.set $packed
          (call $resume_into (local.get $handle) (local.get $length) (i64.const 1024)
            (i64.const 2048) (i64.const 1024)))
        (local.set $length (i64.shr_u (local.get $packed) (i64.const 8)))
        (br_if $done (i64.ne (i64.and (local.get $packed) (i64.const 255)) (i64.const 1)))
        (local.set $length
          (call $callback_into (local.get $length) (i64.const 2048) (i64.const 1024) (i64.const 1024)))
        (br $next)))
    (call $value_return (local.get $length) (i64.const 2048))))"#,
        length = below.len()
    )
}

/// The public parent of the calibration. Its input is three numbers of eight bytes: how often, how many bytes
/// go into the callee each time, how many come out.
pub const PARENT: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "sync_call_open"
    (func $open (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_resume_into"
    (func $resume_into (param i64 i64 i64 i64 i64) (result i64)))
  (import "env" "sync_call_close" (func $close (param i64) (result i64)))
  (memory (export "memory") 8)
  (data (i32.const 0) "large")
  (data (i32.const 16) "small")
  (data (i32.const 32) "yields")
  (data (i32.const 48) "noop")
  (func $count (result i64)
    (call $input (i64.const 0))
    (call $read_register (i64.const 0) (i64.const 1024))
    (i64.load (i32.const 1024)))
  (func $start (param $namespace i64) (param $length i64) (param $method i64) (result i64)
    (local $handle i64)
    (local.set $handle
      (call $open (i64.const 5) (local.get $namespace) (local.get $length) (local.get $method)
        (i64.const 0) (i64.const -1) (i64.const 0) (i64.const 0)))
    (if (i64.eq (local.get $handle) (i64.const -1)) (then unreachable))
    (local.get $handle))
  (func $expect (param $packed i64) (param $status i64)
    (if (i64.ne (i64.and (local.get $packed) (i64.const 255)) (local.get $status)) (then unreachable)))

  ;; One callee, resumed again and again.
  (func (export "trips")
    (local $left i64) (local $handle i64)
    (local.set $left (call $count))
    (local.set $handle (call $start (i64.const 0) (i64.const 6) (i64.const 32)))
    (call $expect
      (call $resume_into (local.get $handle) (i64.const 8) (i64.const 1040)
        (i64.const 262144) (i64.const 131072))
      (i64.const 1))
    (block $done
      (loop $next
        (br_if $done (i64.eqz (local.get $left)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        (call $expect
          (call $resume_into (local.get $handle) (i64.load (i32.const 1032)) (i64.const 65536)
            (i64.const 262144) (i64.const 131072))
          (i64.const 1))
        (br $next))))

  ;; Opened, resumed, returned.
  (func (export "starts")
    (local $left i64)
    (local.set $left (call $count))
    (block $done
      (loop $next
        (br_if $done (i64.eqz (local.get $left)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        (call $expect
          (call $resume_into (call $start (i64.const 16) (i64.const 4) (i64.const 48))
            (i64.const 0) (i64.const 0) (i64.const 262144) (i64.const 8))
          (i64.const 0))
        (br $next))))

  ;; Refused: there is no such method.
  (func (export "refused")
    (local $left i64)
    (local.set $left (call $count))
    (block $done
      (loop $next
        (br_if $done (i64.eqz (local.get $left)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        (if
          (i64.ne
            (call $open (i64.const 5) (i64.const 16) (i64.const 3) (i64.const 48)
              (i64.const 0) (i64.const -1) (i64.const 0) (i64.const 0))
            (i64.const -1))
          (then unreachable))
        (br $next))))

  ;; Opened, resumed, yielded, closed.
  (func (export "closes")
    (local $left i64) (local $handle i64)
    (local.set $left (call $count))
    (block $done
      (loop $next
        (br_if $done (i64.eqz (local.get $left)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        (local.set $handle (call $start (i64.const 16) (i64.const 6) (i64.const 32)))
        (call $expect
          (call $resume_into (local.get $handle) (i64.const 0) (i64.const 0)
            (i64.const 262144) (i64.const 8))
          (i64.const 1))
        (drop (call $close (local.get $handle)))
        (br $next)))))"#;

/// The private callee of `trips`: yields as many bytes as its input (eight bytes) says, for ever.
pub const LARGE: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "callback_into" (func $callback_into (param i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 8)
  (func (export "yields")
    (call $input (i64.const 0))
    (call $read_register (i64.const 0) (i64.const 0))
    (loop $again
      (drop
        (call $callback_into (i64.load (i32.const 0)) (i64.const 65536)
          (i64.const 262144) (i64.const 131072)))
      (br $again))))"#;

/// A private module of so many pages: `leave` does nothing with them, `touch` writes into every 4 KiB of
/// them, so that all are faulted in and have to be reset; `grow` grows as often and by as many pages as its input
/// says, four bytes each.
pub fn pages(pages: u32) -> String {
    format!(
        r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (memory (export "memory") {pages})
  (func (export "grow") (local $left i32)
    (call $input (i64.const 0))
    (call $read_register (i64.const 0) (i64.const 0))
    (local.set $left (i32.load (i32.const 0)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (if (i32.eq (memory.grow (i32.load (i32.const 4))) (i32.const -1)) (then unreachable))
        (br $next))))
  (func (export "leave"))
  (func (export "touch")
    (local $at i32)
    (loop $next
      (i32.store8 (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const {bytes}))))))"#,
        bytes = u64::from(pages) << 16
    )
}

/// A private module with a method for each register function, called as often as the first eight bytes of
/// the input say, on the whole input.
pub fn registers() -> String {
    let method = |name: &str, call: &str| {
        format!(
            r#"(func (export "{name}")
    (local $left i64) (local $length i64)
    (call $input (i64.const 0))
    (call $read_register (i64.const 0) (i64.const 65536))
    (local.set $length (call $register_len (i64.const 0)))
    (local.set $left (i64.load (i32.const 65536)))
    (block $done
      (loop $next
        (br_if $done (i64.eqz (local.get $left)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        {call}
        (br $next))))"#
        )
    };
    format!(
        r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "register_len" (func $register_len (param i64) (result i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "value_return" (func $value_return (param i64 i64)))
  (memory (export "memory") 4)
  {} {} {} {})"#,
        method("input", "(call $input (i64.const 1))"),
        method("read_register", "(call $read_register (i64.const 0) (i64.const 65536))"),
        method("register_len", "(drop (call $register_len (i64.const 0)))"),
        method("value_return", "(call $value_return (local.get $length) (i64.const 65536))"),
    )
}

/// What an instance has many of, for [`parts`]: its name, and how many.
pub const PARTS: [(&str, u32); 7] = [
    ("data_byte", 262_144),
    ("data_segment", 4_000),
    ("global", 4_000),
    ("table_element", 8_000),
    ("function", 4_000),
    ("export", 4_000),
    ("segment_item", 8_000),
];

/// A private module whose method `run` does nothing, with so many of a part of [`PARTS`].
pub fn parts(part: &str, count: u32) -> String {
    let many = |text: &dyn Fn(u32) -> String| (0..count).map(text).collect::<String>();
    let more = match part {
        "data_byte" => format!("(data (i32.const 0) \"{}\")", "x".repeat(count as usize)),
        "data_segment" => many(&|at| format!("(data (i32.const {at}) \"x\")")),
        "global" => many(&|_| "(global (mut i64) (i64.const 1))".to_owned()),
        "table_element" => format!(
            "(table {count} funcref) (func (export \"set\") (table.set (i32.const 0) (ref.null func)))"
        ),
        "function" => many(&|_| "(func)".to_owned()),
        "export" => many(&|at| format!("(export \"e{at}\" (func 0))")),
        _ => format!("(elem func {})", many(&|_| "0 ".to_owned())),
    };
    format!("(module (memory 5) (func (export \"run\")) {more})")
}
