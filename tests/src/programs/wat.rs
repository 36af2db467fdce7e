//! A module of a call program as WebAssembly text: every step is a few host calls with constants, and what it
//! learns goes into a digest in a global.
//!
//! Where two host functions do the same (`sync_call_resume` and `_resume_into`, `callback` and
//! `callback_into`) steps take turns, the `_into` ones also with too little room.

use super::PAGE_BYTES;
use cotenant_submodules::model::{Module, Step};
use cotenant_submodules::{Capability, Visibility};
use std::fmt::Write;

/// Where constants begin, and where the part of memory begins that is filled to burn gas.
const CONSTANTS: usize = 8_192;
const FILLED: usize = 32_768;

/// Imports by who may have them: name, identifier, parameters, result.
const CORE: &[(&str, usize, bool)] = &[
    ("input", 1, false),
    ("register_len", 1, true),
    ("read_register", 2, false),
    ("callback", 3, false),
    ("callback_into", 4, true),
    ("pending_into", 2, true),
    ("value_return", 2, false),
    ("panic_utf8", 2, false),
];
const NESTED: &[(&str, usize, bool)] = &[
    ("sync_call_open", 8, true),
    ("sync_call_resume", 4, true),
    ("sync_call_resume_into", 5, true),
    ("sync_call_close", 1, true),
    ("sync_function_call", 8, true),
    ("resume_sync_call", 5, true),
];
const PUBLIC: &[(&str, usize, bool)] = &[
    ("storage_write", 5, true),
    ("storage_read", 3, true),
    ("storage_remove", 3, true),
    ("used_gas", 0, true),
    ("prepaid_gas", 0, true),
    ("promise_create", 8, true),
    ("promise_then", 9, true),
];

const FUNCTIONS: &str = r#"
  (func $mix (param $at i32) (param $length i32)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $length)))
      (global.set $digest (i64.mul (i64.xor (global.get $digest) (i64.load8_u (local.get $at))) (i64.const 0x100000001b3)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $length (i32.sub (local.get $length) (i32.const 1)))
      (br $next))))
  (func $learn (param $number i64)
    (i64.store (i32.const 0) (local.get $number)) (call $mix (i32.const 0) (i32.const 8)))
  (func $learn_bytes (param $length i64)
    (call $learn (local.get $length)) (call $mix (i32.const 1024) (i32.wrap_i64 (local.get $length))))
  (func $learn_register (param $register i64)
    (call $read_register (local.get $register) (i64.const 1024))
    (call $learn_bytes (call $register_len (local.get $register))))
  ;; What was delivered into 1024, or did not fit there.
  (func $receive (param $length i64) (param $room i64)
    (if (i64.gt_u (local.get $length) (local.get $room))
      (then (if (i64.ne (call $pending_into (i64.const 1024) (i64.const 1024)) (local.get $length)) (then unreachable))))
    (call $learn_bytes (local.get $length)))
  (func $told (param $packed i64) (param $room i64)
    (call $learn (i64.and (local.get $packed) (i64.const 255)))
    (call $receive (i64.shr_u (local.get $packed) (i64.const 8)) (local.get $room)))
  ;; Bytes and digest, at 2048.
  (func $sign (param $at i32) (param $length i32) (result i64)
    (memory.copy (i32.const 2048) (local.get $at) (local.get $length))
    (i64.store (i32.add (i32.const 2048) (local.get $length)) (global.get $digest))
    (i64.extend_i32_u (i32.add (local.get $length) (i32.const 8))))
  (func $burn (param $rounds i32)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $rounds)))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br $next))))
  (func $exhaust (loop $again (memory.fill (i32.const 32768) (i32.const 0) (i32.const 32768)) (br $again)))
"#;

struct Text {
    constants: Vec<u8>,
    code: String,
    step: usize,
}

/// The module as text.
pub fn module_text(module: &Module) -> String {
    let mut text = Text { constants: Vec::new(), code: String::new(), step: 0 };
    for method in &module.methods {
        let _ = writeln!(
            text.code,
            "  (func (export {:?}) (local $status i64)\n    (call $input (i64.const 4)) (call $learn_register (i64.const 4))",
            method.name
        );
        for step in &method.steps {
            text.step(step);
        }
        text.code.push_str("  )\n");
    }
    assert!(text.constants.len() < FILLED - CONSTANTS, "constants fit their place");
    let pages = match module.visibility {
        Visibility::Public => 1,
        Visibility::Private => module.memory_bytes / PAGE_BYTES,
    };
    let constants = text.constants.iter().fold(String::new(), |mut constants, byte| {
        let _ = write!(constants, "\\{byte:02x}");
        constants
    });
    format!(
        "(module\n{}  (memory {pages})\n  (data (i32.const {CONSTANTS}) \"{constants}\")\n  \
         (global $digest (mut i64) (i64.const 0xcbf29ce484222325))\n  \
         (global $promise (mut i64) (i64.const -1))\n  (global $slot0 (mut i64) (i64.const -1))\n  \
         (global $slot1 (mut i64) (i64.const -1))\n  (global $slot2 (mut i64) (i64.const -1))\n\
         {FUNCTIONS}{})\n",
        imports(module),
        text.code
    )
}

/// What it requires is what it imports, so it imports no more than it is said to require.
fn imports(module: &Module) -> String {
    let mut functions = CORE.to_vec();
    let requires = module.requires();
    if module.visibility == Visibility::Public {
        functions.extend(PUBLIC);
        functions.extend(NESTED);
        functions.push(("log_utf8", 2, false));
    } else {
        if requires.has(Capability::Nested) {
            functions.extend(NESTED);
        }
        if requires.has(Capability::Log) {
            functions.push(("log_utf8", 2, false));
        }
        if requires.has(Capability::Crypto) {
            functions.push(("sha256", 3, false));
        }
        if requires.has(Capability::Context) {
            functions.push(("block_index", 0, true));
        }
    }
    functions.into_iter().fold(String::new(), |mut text, (name, params, result)| {
        let params = " i64".repeat(params);
        let result = if result { " (result i64)" } else { "" };
        let _ =
            writeln!(text, "  (import \"env\" \"{name}\" (func ${name} (param{params}){result}))");
        text
    })
}

impl Text {
    /// Where bytes are among the constants; they are put there if they are not.
    fn place(&mut self, bytes: &[u8]) -> usize {
        let found = self.constants.windows(bytes.len().max(1)).position(|there| there == bytes);
        let at = found.unwrap_or(self.constants.len());
        if found.is_none() {
            self.constants.extend_from_slice(bytes);
        }
        CONSTANTS + at
    }

    /// Puts bytes among the constants; gives length and pointer, as most host functions want them.
    fn bytes(&mut self, bytes: &[u8]) -> String {
        let at = self.place(bytes);
        format!("(i64.const {}) (i64.const {at})", bytes.len())
    }

    /// The same for functions of the module itself: address and length.
    fn signed(&mut self, bytes: &[u8]) -> String {
        let at = self.place(bytes);
        format!("(call $sign (i32.const {at}) (i32.const {}))", bytes.len())
    }

    fn step(&mut self, step: &Step) {
        self.step += 1;
        let code = self.instructions(step);
        let _ = writeln!(self.code, "    {code}");
    }

    fn instructions(&mut self, step: &Step) -> String {
        let into = self.step.is_multiple_of(2);
        let room = if self.step.is_multiple_of(3) { 4 } else { 1_024 };
        let learn_answer = "(call $learn (local.get $status)) (call $learn_register (i64.const 6))";
        match step {
            Step::Burn(u64::MAX) => "(call $exhaust)".to_owned(),
            Step::Burn(gas) => format!("(call $burn (i32.const {gas}))"),
            Step::Write { key, value: Some(value) } => {
                let (key, value) = (self.bytes(key), self.bytes(value));
                format!("(drop (call $storage_write {key} {value} (i64.const 7)))")
            }
            Step::Write { key, value: None } => {
                format!("(drop (call $storage_remove {} (i64.const 7)))", self.bytes(key))
            }
            Step::Read { key } => format!(
                "(local.set $status (call $storage_read {} (i64.const 7))) (call $learn (local.get $status)) \
                 (if (i64.eq (local.get $status) (i64.const 1)) (then (call $learn_register (i64.const 7))))",
                self.bytes(key)
            ),
            Step::ReadGas => {
                "(if (i64.gt_u (call $used_gas) (call $prepaid_gas)) (then unreachable))".to_owned()
            }
            Step::Log(text) => format!("(call $log_utf8 {})", self.bytes(text.as_bytes())),
            Step::CreatePromise { receiver, method, gas, deposit, after_last } => {
                let (function, after) = match after_last {
                    true => ("promise_then", "(global.get $promise)"),
                    false => ("promise_create", ""),
                };
                let (receiver, method) =
                    (self.bytes(receiver.as_bytes()), self.bytes(method.as_bytes()));
                let amount = CONSTANTS + self.constants.len();
                self.constants.extend_from_slice(&deposit.to_le_bytes());
                format!(
                    "(global.set $promise (call ${function} {after} {receiver} {method} (i64.const 0) (i64.const 0) \
                     (i64.const {amount}) (i64.const {gas})))"
                )
            }
            Step::Grow(bytes) => format!(
                "(call $learn (i64.extend_i32_u (i32.ne (memory.grow (i32.const {})) (i32.const -1))))",
                bytes / PAGE_BYTES
            ),
            Step::Yield(bytes) if into => format!(
                "(call $receive (call $callback_into {} (i64.const 2048) (i64.const 1024) (i64.const {room})) (i64.const {room}))",
                self.signed(bytes)
            ),
            Step::Yield(bytes) => format!(
                "(call $callback {} (i64.const 2048) (i64.const 5)) (call $learn_register (i64.const 5))",
                self.signed(bytes)
            ),
            Step::Open { namespace, method, gas, depth, grants, slot } => {
                let (namespace, method) = (self.bytes(namespace), self.bytes(method.as_bytes()));
                format!(
                    "(global.set $slot{slot} (call $sync_call_open {namespace} {method} (i64.const {}) (i64.const {}) \
                     (i64.const {}) (i64.const 6))) (call $learn (global.get $slot{slot})) \
                     (if (i64.eq (global.get $slot{slot}) (i64.const -1)) (then (call $learn_register (i64.const 6))))",
                    gas.cast_signed(),
                    depth.cast_signed(),
                    grants.cast_signed()
                )
            }
            Step::Resume { slot, bytes } if into => format!(
                "(call $told (call $sync_call_resume_into (global.get $slot{slot}) {} (i64.const 1024) (i64.const {room})) \
                 (i64.const {room}))",
                self.bytes(bytes)
            ),
            Step::Resume { slot, bytes } => format!(
                "(local.set $status (call $sync_call_resume (global.get $slot{slot}) {} (i64.const 6))) {learn_answer}",
                self.bytes(bytes)
            ),
            Step::Close { slot } => {
                format!("(call $learn (call $sync_call_close (global.get $slot{slot})))")
            }
            Step::NepStart { namespace, method, bytes, gas } => {
                let (namespace, method) = (self.bytes(namespace), self.bytes(method.as_bytes()));
                format!(
                    "(local.set $status (call $sync_function_call {namespace} {method} {} (i64.const {}) (i64.const 6))) \
                     {learn_answer}",
                    self.bytes(bytes),
                    gas.cast_signed()
                )
            }
            Step::NepResume { namespace, bytes } => format!(
                "(local.set $status (call $resume_sync_call {} {} (i64.const 6))) {learn_answer}",
                self.bytes(namespace),
                self.bytes(bytes)
            ),
            Step::Trap => "unreachable".to_owned(),
            Step::Panic(message) => {
                format!("(call $panic_utf8 {})", self.bytes(message.as_bytes()))
            }
            Step::Return(bytes) => {
                format!("(call $value_return {} (i64.const 2048)) (return)", self.signed(bytes))
            }
        }
    }
}
