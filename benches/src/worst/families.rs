//! The recipes: every host function at every length, every operator in numbers, instances of every shape, growth, calls.

use super::recipe::{Recipe, Shape};
use cotenant_submodules::table::{HOST_FUNCTIONS, HostFunction, Provider};
use cotenant_tests::corpus;

/// Lengths that are tried for a parameter that is one, beside that of the good call.
const LENGTHS: [u64; 6] = [0, 1, 1_000, 65_536, 1 << 20, 4 << 20];

/// Where bytes lie that long parameters mean.
const FAR: u64 = 65_536;

/// Copies of an operator in a round of its loop.
const COPIES: usize = 64;

/// All of them.
pub fn all() -> Vec<Recipe> {
    let mut recipes = host_functions();
    recipes.extend(operators());
    recipes.extend(shapes());
    recipes.extend(growth());
    recipes.extend(calls());
    recipes
}

/// A call and a drop of what it answers.
fn statement(row: &HostFunction, args: &[Option<u64>]) -> String {
    let call = corpus::call_of(row, args);
    if row.result.is_some() { format!("(drop {call})") } else { call }
}

/// Every function of NEAR's: the good call, then each of its lengths as others.
fn host_functions() -> Vec<Recipe> {
    let mut recipes = Vec::new();
    for row in HOST_FUNCTIONS.iter().filter(|row| row.provider == Provider::Near) {
        let Some((before, good)) = corpus::good_call(row.name) else { continue };
        if good.len() != row.params.len() {
            continue;
        }
        let mut add = |what: String, args: &[Option<u64>]| {
            let call = statement(row, args);
            let name = format!("{} {what}", row.name);
            recipes.push(Recipe::new("host functions", name.clone(), before, &call));
            if !before.is_empty() {
                recipes.push(Recipe::new(
                    "host functions",
                    format!("{name}, prepared each time"),
                    "",
                    &format!("{before}{call}"),
                ));
            }
        };
        add("good".to_owned(), &good);
        for (position, param) in
            row.params.iter().enumerate().filter(|(_, param)| param.name.ends_with("len"))
        {
            for length in LENGTHS {
                let mut args = good.clone();
                args[position] = Some(length);
                // Its pointer, so that long ones are not the text of the corpus.
                let pointer = row
                    .params
                    .iter()
                    .position(|other| other.name == param.name.replace("len", "ptr"));
                if let Some(pointer) = pointer.filter(|_| length > 1_000) {
                    args[pointer] = Some(FAR);
                }
                add(format!("{} {length}", param.name), &args);
            }
        }
    }
    // What answers differently the more there is.
    recipes.push(Recipe::new(
        "host functions",
        "storage_read 1 MiB",
        "",
        "(drop (call $storage_read (i64.const 5) (i64.const 40048) (i64.const 1)))",
    ));
    for (name, pages) in [("64 KiB", 1_u64), ("4 MiB", 64)] {
        recipes.push(Recipe::new(
            "host functions",
            format!("write and read {name} of storage under new keys"),
            "",
            &format!(
                "(i64.store (i32.const 30000) (local.get $i)) \
                 (drop (call $storage_write (i64.const 8) (i64.const 30000) (i64.const {}) (i64.const {FAR}) (i64.const 1)))",
                pages * 65_536
            ),
        ));
    }
    recipes.push(Recipe::new(
        "host functions",
        "many keys of one byte",
        "",
        "(i64.store (i32.const 30000) (local.get $i)) \
         (drop (call $storage_write (i64.const 8) (i64.const 30000) (i64.const 1) (i64.const 16) (i64.const 1)))",
    ));
    recipes
}

/// Operators: a name, and what it does once. Those with an index into memory take it from `$k`, which a round moves on.
fn steps() -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, text: String| steps.push((name.to_owned(), text));
    for op in ["add", "mul", "div_u", "div_s", "rem_u", "rem_s", "shl", "rotl", "xor"] {
        add(
            &format!("i64.{op}"),
            format!(
                "(global.set $g (i64.{op} (global.get $g) (i64.or (local.get $i) (i64.const 3))))"
            ),
        );
        add(
            &format!("i32.{op}"),
            format!(
                "(local.set $k (i32.{op} (local.get $k) (i32.or (i32.wrap_i64 (local.get $i)) (i32.const 3))))"
            ),
        );
    }
    for op in ["clz", "ctz", "popcnt", "extend8_s"] {
        add(
            &format!("i64.{op}"),
            format!("(global.set $g (i64.{op} (i64.add (global.get $g) (local.get $i))))"),
        );
    }
    steps.extend(float_steps());
    steps.extend(other_steps());
    steps
}

fn float_steps() -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, text: String| steps.push((name.to_owned(), text));
    for op in ["add", "mul", "div", "min", "max", "copysign"] {
        add(
            &format!("f64.{op}"),
            format!("(local.set $x (f64.{op} (local.get $x) (f64.const 1.0000001)))"),
        );
        add(
            &format!("f32.{op}"),
            format!("(local.set $y (f32.{op} (local.get $y) (f32.const 1.01)))"),
        );
        add(
            &format!("f64.{op} of denormals"),
            format!("(local.set $x (f64.{op} (f64.const 0x1p-1040) (f64.const 0x1.8p-1030)))"),
        );
    }
    for op in ["sqrt", "ceil", "floor", "nearest", "trunc", "neg", "abs"] {
        add(
            &format!("f64.{op}"),
            format!("(local.set $x (f64.{op} (f64.add (local.get $x) (f64.const 0.7))))"),
        );
        add(
            &format!("f32.{op}"),
            format!("(local.set $y (f32.{op} (f32.add (local.get $y) (f32.const 0.7))))"),
        );
    }
    for op in ["i64.trunc_sat_f64_u", "i64.trunc_sat_f64_s"] {
        add(op, format!("(global.set $g ({op} (f64.convert_i64_u (global.get $g))))"));
    }
    add(
        "f64.promote_f32",
        "(local.set $x (f64.promote_f32 (f32.demote_f64 (local.get $x))))".to_owned(),
    );
    steps
}

fn other_steps() -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, text: String| steps.push((name.to_owned(), text));
    for (stride, name) in [(8, "next"), (4_096 + 64, "far"), (30_011_264, "random")] {
        let at = format!(
            "(i32.and (local.tee $k (i32.add (local.get $k) (i32.const {stride}))) (i32.const 0x3fffff0))"
        );
        add(&format!("i64.load {name}"), format!("(global.set $g (i64.load {at}))"));
        add(&format!("i64.store {name}"), format!("(i64.store {at} (local.get $i))"));
        add(
            &format!("i32.load8_u unaligned {name}"),
            format!("(local.set $n (i32.load8_u offset=3 {at}))"),
        );
        add(
            &format!("i64.load across lines {name}"),
            format!("(global.set $g (i64.load offset=61 {at}))"),
        );
    }
    add("drop of a constant", "(drop (i32.const 1))".to_owned());
    add("nop", "(nop)".to_owned());
    add("block", "(block)".to_owned());
    add("local.set", "(local.set $k (local.get $n))".to_owned());
    add("global.set", "(global.set $g (local.get $i))".to_owned());
    add(
        "select",
        "(global.set $g (select (global.get $g) (local.get $i) (i32.wrap_i64 (local.get $i))))"
            .to_owned(),
    );
    add("if", "(if (i32.and (local.tee $k (i32.mul (local.get $k) (i32.const 1103515245))) (i32.const 65536)) (then (global.set $g (local.get $i))))".to_owned());
    add("if of what cannot be foreseen", "(if (i32.and (local.tee $k (i32.add (i32.mul (local.get $k) (i32.const 1103515245)) (i32.const 12345))) (i32.const 65536)) (then (global.set $g (local.get $i))))".to_owned());
    add("br_table", "(block (block (block (br_table 0 1 2 (i32.and (local.tee $k (i32.add (i32.mul (local.get $k) (i32.const 1103515245)) (i32.const 12345))) (i32.const 3))))))".to_owned());
    add("call", "(drop (call $leaf (local.get $i)))".to_owned());
    add(
        "call_indirect",
        "(drop (call_indirect (type $leaf) (local.get $i) (i32.const 0)))".to_owned(),
    );
    add("memory.size", "(drop (memory.size))".to_owned());
    add("table.size", "(drop (table.size))".to_owned());
    add("table.get", "(drop (ref.is_null (table.get 0 (i32.const 0))))".to_owned());
    add("table.set", "(table.set 0 (i32.const 0) (ref.func $leaf))".to_owned());
    for length in [0, 1, 64, 4_096, 1 << 20] {
        add(
            &format!("memory.fill {length}"),
            format!("(memory.fill (i32.const {FAR}) (i32.const 7) (i32.const {length}))"),
        );
        add(
            &format!("memory.copy {length}"),
            format!(
                "(memory.copy (i32.const {FAR}) (i32.const {}) (i32.const {length}))",
                FAR + 3_000_000
            ),
        );
    }
    for length in [0, 1, 1_000] {
        add(
            &format!("table.fill {length}"),
            format!("(table.fill 0 (i32.const 0) (ref.func $leaf) (i32.const {length}))"),
        );
        add(
            &format!("table.copy {length}"),
            format!("(table.copy (i32.const 0) (i32.const 1) (i32.const {length}))"),
        );
    }
    steps
}

/// The steps that mutations put together: operators, host functions as the corpus calls them, growth.
pub fn snippets() -> Vec<(String, String)> {
    let mut snippets = steps();
    for row in HOST_FUNCTIONS
        .iter()
        .filter(|row| row.provider == Provider::Near && !corpus::ENDS.contains(&row.name))
    {
        if let Some((before, good)) = corpus::good_call(row.name)
            && good.len() == row.params.len()
        {
            snippets.push((row.name.to_owned(), format!("{before}{}", statement(row, &good))));
        }
    }
    snippets.push(("memory.grow 1".to_owned(), "(drop (memory.grow (i32.const 1)))".to_owned()));
    snippets.push(("memory.grow 0".to_owned(), "(drop (memory.grow (i32.const 0)))".to_owned()));
    snippets.push((
        "table.grow 1".to_owned(),
        "(drop (table.grow 0 (ref.func $leaf) (i32.const 1)))".to_owned(),
    ));
    snippets
}

fn operators() -> Vec<Recipe> {
    let shape = Shape { pages: 1, table: 2_000, ..Shape::default() };
    let mut recipes = Vec::new();
    for (name, step) in steps() {
        let copies = if step.contains("1048576") { 1 } else { COPIES };
        recipes.push(
            Recipe::new(
                "operators",
                name,
                "(local.set $k (i32.const 12345))",
                &step.repeat(copies),
            )
            .shaped(shape),
        );
    }
    recipes
}

/// What one call leaves behind in an instance, so that it has to be put back.
fn touches() -> Vec<(&'static str, String)> {
    let touch = |step: u32, bytes: u32| {
        format!(
            "(loop $l (i32.store8 (local.get $k) (i32.const 1)) (local.set $k (i32.add (local.get $k) (i32.const {step}))) (br_if $l (i32.lt_u (local.get $k) (i32.const {bytes}))))"
        )
    };
    vec![
        ("nothing", String::new()),
        ("a global", "(global.set $g (i64.const 9))".to_owned()),
        ("a table entry", "(table.set 0 (i32.const 0) (ref.func $leaf))".to_owned()),
        ("a page", touch(4_096, 4_096)),
        ("all pages", touch(4_096, 64 << 20)),
        ("grows by a page", "(drop (memory.grow (i32.const 1)))".to_owned()),
        ("grows by all pages", "(drop (memory.grow (i32.const 1024)))".to_owned()),
        ("grows its table", "(drop (table.grow 0 (ref.func $leaf) (i32.const 100)))".to_owned()),
        ("a trap", "unreachable".to_owned()),
        ("a log", "(call $log_utf8 (i64.const 11) (i64.const 16))".to_owned()),
        ("deep recursion", "(drop (call $leaf (i64.const 1)))".to_owned()),
    ]
}

fn shapes() -> Vec<Recipe> {
    let none = Shape { pages: 1, ..Shape::default() };
    let shapes = [
        ("small", none),
        ("1,000 globals", Shape { globals: 1_000, ..none }),
        ("30,000 globals", Shape { globals: 30_000, ..none }),
        ("a table of 10,000", Shape { table: 10_000, ..none }),
        ("9,000 functions", Shape { functions: 9_000, ..none }),
        ("1,000 exports", Shape { functions: 1_000, exports: 1_000, ..none }),
        ("1,000 segments", Shape { segments: 1_000, ..none }),
        ("1,000 locals", Shape { locals: 1_000, ..none }),
        (
            "all of it",
            Shape {
                globals: 10_000,
                table: 10_000,
                functions: 5_000,
                exports: 1_000,
                segments: 500,
                pages: 1,
                locals: 1_000,
            },
        ),
    ];
    let mut recipes = Vec::new();
    for (shape_name, shape) in shapes {
        for (touch_name, touch) in touches() {
            let all = shape_name == "small" || shape_name == "all of it";
            if all || matches!(touch_name, "nothing" | "a global" | "a table entry") {
                recipes.push(
                    Recipe::new("shapes", format!("{shape_name}, {touch_name}"), &touch, "")
                        .shaped(shape),
                );
            }
        }
    }
    recipes
}

fn growth() -> Vec<Recipe> {
    let mut recipes = Vec::new();
    for pages in [0, 1, 16, 1_024] {
        let grow = format!("(drop (memory.grow (i32.const {pages})))");
        recipes.push(Recipe::new("growth", format!("memory.grow {pages}, public"), "", &grow));
        let trapping = format!(
            "(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable))"
        );
        recipes.push(Recipe::new(
            "growth",
            format!("memory.grow {pages} to the end, public"),
            "",
            &trapping,
        ));
        for declared in [0, 1, 256] {
            let callee = Recipe::new(
                "growth",
                "",
                "",
                &format!(
                    "(loop $l (if (i32.ne (memory.grow (i32.const {pages})) (i32.const -1)) (then (br_if $l (i32.ne (i32.const 0) (i32.const {pages}))))))"
                ),
            );
            let callee = callee.shaped(Shape { pages: declared.max(1), ..Shape::default() });
            recipes.push(
                Recipe::new(
                    "growth",
                    format!("memory.grow {pages}, private of {declared} pages"),
                    "",
                    &call_once(),
                )
                .calling(callee),
            );
        }
    }
    let table = "(if (i32.eq (table.grow 0 (ref.func $leaf) (i32.const 1)) (i32.const -1)) (then unreachable))";
    recipes.push(Recipe::new("growth", "table.grow 1 to the end", "", table));
    recipes
}

/// Opens the callee.
const OPEN: &str = "(local.set $h (call $sync_call_open (i64.const 6) (i64.const 40000) (i64.const 3) (i64.const 40016) (i64.const 0) (i64.const -1) (i64.const 15) (i64.const 0)))";

/// Opens the callee, runs it to its end.
fn call_once() -> String {
    "(local.set $h (call $sync_call_open (i64.const 6) (i64.const 40000) (i64.const 3) (i64.const 40016) (i64.const 0) (i64.const -1) (i64.const 15) (i64.const 0)))\
     (if (i64.ne (local.get $h) (i64.const -1)) (then (drop (call $sync_call_resume_into (local.get $h) (i64.const 8) (i64.const 16) (i64.const 65536) (i64.const 65536)))))"
        .to_owned()
}

fn calls() -> Vec<Recipe> {
    let open = OPEN;
    let mut recipes = Vec::new();
    let none = Shape { pages: 1, ..Shape::default() };
    let shapes = [
        ("small", none),
        ("without memory", Shape { pages: 0, ..none }),
        ("1,000 globals", Shape { globals: 1_000, ..none }),
        ("a table of 10,000", Shape { table: 10_000, ..none }),
        ("5,000 functions", Shape { functions: 5_000, ..none }),
        ("1,000 exports", Shape { functions: 1_000, exports: 1_000, ..none }),
        ("500 segments", Shape { segments: 500, ..none }),
        ("256 pages", Shape { pages: 256, ..none }),
        ("2,048 pages", Shape { pages: 2_048, ..none }),
        ("1,000 locals", Shape { locals: 1_000, ..none }),
    ];
    for (name, shape) in shapes {
        let callee = |before: &str| Recipe::new("calls", "", before, "").shaped(shape);
        recipes.push(
            Recipe::new("calls", format!("to the end, {name}"), "", &call_once())
                .calling(callee("")),
        );
        recipes.push(
            Recipe::new(
                "calls",
                format!("opened and closed, {name}"),
                "",
                &format!("{open}(drop (call $sync_call_close (local.get $h)))"),
            )
            .calling(callee("")),
        );
        recipes.push(
            Recipe::new("calls", format!("opened and left, {name}"), "", open).calling(callee("")),
        );
        let waits = "(call $callback (i64.const 0) (i64.const 0) (i64.const 0))";
        let suspend = format!("{}(drop (call $sync_call_close (local.get $h)))", call_once());
        recipes.push(
            Recipe::new("calls", format!("closed while it waits, {name}"), "", &suspend)
                .calling(callee(waits)),
        );
        recipes.push(
            Recipe::new("calls", format!("left while it waits, {name}"), "", &call_once())
                .calling(callee(waits)),
        );
        recipes.push(
            Recipe::new("calls", format!("traps, {name}"), "", &call_once())
                .calling(callee("unreachable")),
        );
        if shape.pages > 0 {
            let dirty = format!(
                "(loop $l (i32.store8 (local.get $k) (i32.const 1)) (local.set $k (i32.add (local.get $k) (i32.const 4096))) (br_if $l (i32.lt_u (local.get $k) (i32.const {}))))",
                u64::from(shape.pages) << 16
            );
            recipes.push(
                Recipe::new("calls", format!("touches all pages, {name}"), "", &call_once())
                    .calling(callee(&dirty)),
            );
            recipes.push(
                Recipe::new("calls", format!("sets a table entry, {name}"), "", &call_once())
                    .calling(callee("(table.set 0 (i32.const 0) (ref.func $leaf))")),
            );
            recipes.push(
                Recipe::new("calls", format!("drops a segment, {name}"), "", &call_once())
                    .calling(callee("(data.drop 0)")),
            );
        }
    }
    recipes.extend(yields());
    recipes.extend(refusals());
    recipes
}

/// Yields and answers of every length, one callee resumed for ever.
fn yields() -> Vec<Recipe> {
    let open = OPEN;
    let mut recipes = Vec::new();
    let none = Shape { pages: 1, ..Shape::default() };
    for length in [0_u64, 8, 1_000, 65_536, 1 << 20] {
        let yields = format!(
            "(loop $l (drop (call $callback_into (i64.const {length}) (i64.const 65536) (i64.const 1200000) (i64.const 1100000))) (br $l))"
        );
        let callee = Recipe::new("calls", "", &yields, "").shaped(Shape { pages: 40, ..none });
        let resume = format!(
            "(drop (call $sync_call_resume_into (local.get $h) (i64.const {length}) (i64.const 65536) (i64.const 1200000) (i64.const 1100000)))"
        );
        recipes.push(
            Recipe::new("calls", format!("yields of {length} bytes"), open, &resume)
                .calling(callee.clone()),
        );
        let resume = format!(
            "(drop (call $sync_call_resume (local.get $h) (i64.const {length}) (i64.const 65536) (i64.const 5)))"
        );
        recipes.push(
            Recipe::new("calls", format!("yields of {length} bytes to a register"), open, &resume)
                .calling(callee),
        );
    }
    recipes
}

/// What is refused, or small.
fn refusals() -> Vec<Recipe> {
    let mut recipes = Vec::new();
    for (name, step) in [
        (
            "an unknown handle",
            "(drop (call $sync_call_resume_into (i64.const 77) (i64.const 8) (i64.const 16) (i64.const 0) (i64.const 0)))",
        ),
        (
            "an unknown namespace",
            "(drop (call $sync_call_open (i64.const 5) (i64.const 40000) (i64.const 3) (i64.const 40016) (i64.const 0) (i64.const -1) (i64.const 15) (i64.const 0)))",
        ),
        ("close of an unknown handle", "(drop (call $sync_call_close (i64.const 77)))"),
        (
            "invalid grants",
            "(drop (call $sync_call_open (i64.const 6) (i64.const 40000) (i64.const 3) (i64.const 40016) (i64.const 0) (i64.const -1) (i64.const 255) (i64.const 0)))",
        ),
        (
            "a namespace of 4 MiB",
            "(drop (call $sync_call_open (i64.const 4000000) (i64.const 40000) (i64.const 3) (i64.const 40016) (i64.const 0) (i64.const -1) (i64.const 15) (i64.const 0)))",
        ),
        (
            "a method of 1 MiB",
            "(drop (call $sync_call_open (i64.const 6) (i64.const 40000) (i64.const 1000000) (i64.const 65536) (i64.const 0) (i64.const -1) (i64.const 15) (i64.const 0)))",
        ),
        (
            "no gas for the callee",
            "(local.set $h (call $sync_call_open (i64.const 6) (i64.const 40000) (i64.const 3) (i64.const 40016) (i64.const 1) (i64.const -1) (i64.const 15) (i64.const 0))) (drop (call $sync_call_resume_into (local.get $h) (i64.const 8) (i64.const 16) (i64.const 0) (i64.const 0)))",
        ),
        (
            "NEP-481's function",
            "(drop (call $sync_function_call (i64.const 6) (i64.const 40000) (i64.const 3) (i64.const 40016) (i64.const 8) (i64.const 16) (i64.const 0) (i64.const 5)))",
        ),
        ("current_namespace", "(call $current_namespace (i64.const 5))"),
        ("predecessor_namespace", "(call $predecessor_namespace (i64.const 5))"),
    ] {
        recipes
            .push(Recipe::new("calls", name, "", step).calling(Recipe::new("calls", "", "", "")));
    }
    recipes
}
