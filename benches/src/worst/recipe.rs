//! A module to measure, as data: what it is made of, what it does once, what it does for ever.

use cotenant_submodules::Visibility;
use cotenant_tests::corpus;
use std::fmt::Write;

/// What a module declares besides its code.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// Mutable globals.
    pub globals: u32,
    /// Entries of its table, all filled.
    pub table: u32,
    /// Functions of a few operators.
    pub functions: u32,
    /// Of those, exported.
    pub exports: u32,
    /// Data segments of eight bytes.
    pub segments: u32,
    /// Pages of memory that it declares (a public module has NEAR's).
    pub pages: u32,
    /// Locals of the method.
    pub locals: u32,
}

/// A call to measure.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What kind of work.
    pub family: &'static str,
    /// Which.
    pub name: String,
    /// What the called module declares.
    pub shape: Shape,
    /// What its method does first.
    pub before: String,
    /// What it does again and again until its gas is gone; empty: it returns after `before`.
    pub body: String,
    /// The private module `callee`, whose method `run` does its `before`, then its `body` once.
    pub callee: Option<Box<Recipe>>,
}

/// A module of a recipe.
pub struct ModuleText {
    /// Its namespace; the default one is empty.
    pub namespace: &'static str,
    /// Its kind.
    pub visibility: Visibility,
    /// The module.
    pub text: String,
}

/// Locals that steps may use: `$i` counts the rounds, `$h` is a handle, `$k` of four bytes, `$x` and `$y` are floats.
const LOCALS: &str =
    "(local $i i64) (local $h i64) (local $k i32) (local $n i32) (local $x f64) (local $y f32)";

/// Where names lie that steps may use: `callee`, `run`, and the key `large`.
const NAMES: &str = r#"(data (i32.const 40000) "callee") (data (i32.const 40016) "run") (data (i32.const 40048) "large")"#;

impl Recipe {
    /// A recipe of one module.
    pub fn new(family: &'static str, name: impl Into<String>, before: &str, body: &str) -> Self {
        let (before, body) = (before.to_owned(), body.to_owned());
        Self {
            family,
            name: name.into(),
            shape: Shape { pages: 1, ..Shape::default() },
            before,
            body,
            callee: None,
        }
    }

    /// With this shape.
    pub fn shaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// With this callee.
    pub fn calling(self, callee: Recipe) -> Self {
        Self { callee: Some(Box::new(callee)), ..self }
    }

    /// Its modules, the called one first.
    pub fn modules(&self) -> Vec<ModuleText> {
        let mut modules = vec![ModuleText {
            namespace: "",
            visibility: Visibility::Public,
            text: self.text(true),
        }];
        modules.extend(self.callee.iter().map(|callee| ModuleText {
            namespace: "callee",
            visibility: Visibility::Private,
            text: callee.text(false),
        }));
        modules
    }

    fn text(&self, for_ever: bool) -> String {
        let Shape { globals, table, functions, exports, segments, pages, locals } = self.shape;
        let mut text = String::new();
        let _ = writeln!(text, "(memory {pages})");
        let _ = writeln!(text, "(type $leaf (func (param i64) (result i64)))");
        let _ = writeln!(text, "(table {} funcref) (elem (i32.const 0) func $leaf)", table.max(1));
        if table > 1 {
            let filled = " $leaf".repeat(table as usize - 1);
            let _ = writeln!(text, "(elem (i32.const 1) func{filled})");
        }
        let _ = writeln!(
            text,
            "(global $action (mut i64) (i64.const 0)) (global $g (mut i64) (i64.const 1))"
        );
        for index in 0..globals {
            let _ = writeln!(text, "(global $g{index} (mut i64) (i64.const {index}))");
        }
        if pages > 0 {
            text.push_str(&corpus::data_segments());
            let _ = writeln!(text, "{NAMES}");
            for index in 0..segments {
                let _ = writeln!(
                    text,
                    "(data (i32.const {}) \"segments\")",
                    41_000 + (index % 1_000) * 8
                );
            }
        }
        let _ = writeln!(text, "(func $leaf (type $leaf) (local.get 0))");
        for index in 0..functions {
            let export =
                if index < exports { format!("(export \"f{index}\")") } else { String::new() };
            let _ = writeln!(text, "(func $f{index} {export} (global.set $g (i64.const {index})))");
        }
        let more = " i64".repeat(locals as usize);
        // A local needs two bytes of code; these are never reached.
        let code = if locals == 0 {
            String::new()
        } else {
            format!("(block (br 0) {})", "nop ".repeat(2 * locals as usize + 64))
        };
        let work = match (self.body.is_empty(), for_ever) {
            (true, _) => String::new(),
            (false, false) => self.body.clone(),
            (false, true) => format!(
                "(loop $again\n(local.set $i (i64.add (local.get $i) (i64.const 1)))\n{}\n(br $again))",
                self.body
            ),
        };
        let _ = writeln!(text, "(func (export \"nothing\"))");
        let _ = writeln!(
            text,
            "(func (export \"run\") {LOCALS} (local{more})\n{code}{}\n{work}))",
            self.before
        );
        format!("(module\n{}{text}", corpus::imports_of(&text))
    }
}
