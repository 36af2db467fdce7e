//! Random programs: valid modules of a few functions that call each other, branch, loop, trap and run out.

use proptest::collection::vec;
use proptest::prelude::*;

/// A module as text. It exports `main` of type `(i32) -> i32` and imports two functions of `env`.
pub fn any_program() -> impl Strategy<Value = String> {
    vec(any::<u8>(), 0..600).prop_map(|bytes| Program::new(bytes).module())
}

/// How deep statements and expressions nest.
const MAX_DEPTH: u32 = 5;

/// Writes a program, taking each decision from the next byte; without bytes it takes the shortest way.
struct Program {
    bytes: std::vec::IntoIter<u8>,
    depth: u32,
    /// Whether the function being written has a result.
    result: bool,
}

impl Program {
    fn new(bytes: Vec<u8>) -> Program {
        Program { bytes: bytes.into_iter(), depth: 0, result: false }
    }

    fn module(&mut self) -> String {
        let functions = [true, true, false].map(|result| self.body(result));
        format!(
            r#"(module
            (import "env" "probe" (func $probe (param i32) (result i32)))
            (import "env" "note" (func $note))
            (type $t (func (param i32) (result i32)))
            (memory 1) (data (i32.const 4) "abcdefgh") (data $passive "0123456789")
            (table $table 4 8 funcref) (elem (i32.const 0) $main $f $probe)
            (global $g (mut i32) (i32.const 3)) (global $k i64 (i64.const 5))
            (func $main (export "main") (type $t) {locals} {main})
            (func $f (type $t) {locals} {f})
            (func $v (local i32 i32 i64 i64 f64) {v}))"#,
            locals = "(local i32 i64 i64 f64)",
            main = functions[0],
            f = functions[1],
            v = functions[2],
        )
    }

    fn body(&mut self, result: bool) -> String {
        self.result = result;
        let statements = self.statements(0);
        if result { format!("{statements} {}", self.i32()) } else { statements }
    }

    fn pick(&mut self, choices: u8) -> u8 {
        self.bytes.next().map_or(0, |byte| byte % choices)
    }

    fn constant(&mut self) -> i32 {
        match self.pick(8) {
            0 => 0,
            1 => 1,
            2 => -1,
            3 => 65_535,
            4 => i32::MIN,
            _ => i32::from(self.pick(200)),
        }
    }

    fn statements(&mut self, labels: u32) -> String {
        let count = self.pick(4);
        (0..count).map(|_| self.statement(labels)).collect::<Vec<_>>().join("\n")
    }

    /// `labels` blocks without results are open.
    fn statement(&mut self, labels: u32) -> String {
        if self.depth >= MAX_DEPTH {
            return "(nop)".to_owned();
        }
        self.depth += 1;
        let text = match self.pick(27) {
            0 => "(nop)".to_owned(),
            1 => format!("(local.set 1 {})", self.i32()),
            2 => format!("(local.set 2 {})", self.i64()),
            3 => format!("(local.set 4 {})", self.f64()),
            4 => format!("(global.set $g {})", self.i32()),
            5 => format!("(i32.store offset={} {} {})", self.pick(64), self.i32(), self.i32()),
            6 => format!("(i64.store8 {} {})", self.i32(), self.i64()),
            7 => format!("(if {} (then {}))", self.i32(), self.statements(labels + 1)),
            8 => {
                let condition = self.i32();
                let (then, or) = (self.statements(labels + 1), self.statements(labels + 1));
                format!("(if {condition} (then {then}) (else {or}))")
            }
            9 | 10 => format!(
                "(loop {} (br_if 0 (i32.and (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 7))))",
                self.statements(labels + 1)
            ),
            11 => format!("(loop {} (br_if 0 {}))", self.statements(labels + 1), self.i32()),
            12 => format!("(block {})", self.statements(labels + 1)),
            13 | 14 if labels > 0 => {
                let label = self.pick(labels.min(200) as u8);
                format!("(br_if {label} {})", self.i32())
            }
            15 if labels > 0 => format!("(br {})", self.pick(labels.min(200) as u8)),
            16 if labels > 1 => {
                let (a, b) = (self.pick(labels.min(200) as u8), self.pick(labels.min(200) as u8));
                format!("(br_table {a} {b} {a} {})", self.i32())
            }
            17 => format!("(if {} (then (unreachable)))", self.i32()),
            18 => "(call $v)".to_owned(),
            19 => "(call $note)".to_owned(),
            20 => format!("(memory.fill {} {} {})", self.i32(), self.i32(), self.i32()),
            21 => format!(
                "(memory.copy {} {} (i32.and {} (i32.const 255)))",
                self.i32(),
                self.i32(),
                self.i32()
            ),
            22 => format!(
                "(memory.init $passive {} (i32.const 0) (i32.and {} (i32.const 15)))",
                self.i32(),
                self.i32()
            ),
            23 => format!("(if {} (then (call $v) (unreachable)))", self.i32()),
            24 if self.result => {
                format!("(drop (br_if {labels} {} {}))", self.i32(), self.i32())
            }
            24 => format!("(br_if {labels} {})", self.i32()),
            25 if self.result => format!("(if {} (then (return {})))", self.i32(), self.i32()),
            25 => format!("(if {} (then (return)))", self.i32()),
            _ => format!("(drop {})", self.i32()),
        };
        self.depth -= 1;
        text
    }

    fn i32(&mut self) -> String {
        if self.depth >= MAX_DEPTH {
            return format!("(i32.const {})", self.constant());
        }
        self.depth += 1;
        let text = match self.pick(26) {
            0 => "(local.get 1)".to_owned(),
            1 => format!("(i32.const {})", self.constant()),
            2 => format!("(i32.add {} {})", self.i32(), self.i32()),
            3 => format!("(i32.lt_u {} {})", self.i32(), self.i32()),
            4 => format!("(i32.and {} (i32.const 255))", self.i32()),
            5 => format!("(i32.eqz {})", self.i32()),
            6 => format!("(i32.div_s {} {})", self.i32(), self.i32()),
            7 => format!("(i32.rem_u {} {})", self.i32(), self.i32()),
            8 => format!("(i32.rem_u {} (i32.const 7))", self.i32()),
            9 => format!("(i32.load offset={} {})", self.pick(64), self.i32()),
            10 => format!("(i32.load8_u (i32.and {} (i32.const 4095)))", self.i32()),
            11 => format!("(call $probe {})", self.i32()),
            12 => format!("(call $f {})", self.i32()),
            13 => format!(
                "(call_indirect (type $t) {} (i32.and {} (i32.const 3)))",
                self.i32(),
                self.i32()
            ),
            14 => format!(
                "(if (result i32) {} (then {}) (else {}))",
                self.i32(),
                self.i32(),
                self.i32()
            ),
            15 => format!(
                "(block (result i32) (drop (br_if 0 {} {})) {})",
                self.i32(),
                self.i32(),
                self.i32()
            ),
            16 => format!("(memory.grow (i32.and {} (i32.const 1)))", self.i32()),
            17 => "(memory.size)".to_owned(),
            18 => format!("(i32.wrap_i64 {})", self.i64()),
            19 => format!("(i32.trunc_f64_s {})", self.f64()),
            20 => format!("(select {} {} {})", self.i32(), self.i32(), self.i32()),
            21 => format!("(local.tee 1 {})", self.i32()),
            22 => "(global.get $g)".to_owned(),
            23 => format!("(loop (result i32) {})", self.i32()),
            24 => format!("(i32.trunc_sat_f64_u {})", self.f64()),
            _ => "(local.get 0)".to_owned(),
        };
        self.depth -= 1;
        text
    }

    fn i64(&mut self) -> String {
        if self.depth >= MAX_DEPTH {
            return format!("(i64.const {})", self.constant());
        }
        self.depth += 1;
        let text = match self.pick(8) {
            0 => "(local.get 2)".to_owned(),
            1 => format!("(i64.const {})", self.constant()),
            2 => format!("(i64.extend_i32_s {})", self.i32()),
            3 => format!("(i64.mul {} {})", self.i64(), self.i64()),
            4 => format!("(i64.div_u {} {})", self.i64(), self.i64()),
            5 => format!("(i64.load32_u {})", self.i32()),
            6 => "(global.get $k)".to_owned(),
            _ => format!("(i64.sub {} (local.get 3))", self.i64()),
        };
        self.depth -= 1;
        text
    }

    fn f64(&mut self) -> String {
        if self.depth >= MAX_DEPTH {
            return format!("(f64.const {})", self.constant());
        }
        self.depth += 1;
        let text = match self.pick(5) {
            0 => "(local.get 4)".to_owned(),
            1 => format!("(f64.const {}.5)", self.constant()),
            2 => format!("(f64.convert_i32_s {})", self.i32()),
            3 => format!("(f64.div {} {})", self.f64(), self.f64()),
            _ => format!("(f64.reinterpret_i64 {})", self.i64()),
        };
        self.depth -= 1;
        text
    }
}
