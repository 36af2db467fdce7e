//! What a metered module imports, exports and remembers of the module it was made from, and what is
//! refused.

use cotenant_gas::{
    DataSegment, FunctionImport, MemoryPolicy, MeterError, MeterOptions, MeteredModule, Schedule,
    export, with_imported_memory,
};
use near_parameters::vm::Config;
use proptest::prelude::*;
use wasmparser::{
    ExternalKind, KnownCustom, Name, Parser, Payload, ValType, Validator, WasmFeatures,
};

use crate::corpus::CORPUS;
use crate::programs::any_program;

fn config() -> Config {
    Config::clone(&Schedule::for_protocol(88).expect("a preset").vm)
}

fn meter_code(
    code: &[u8],
    memory: MemoryPolicy,
    private: bool,
) -> Result<MeteredModule, MeterError> {
    let config = config();
    MeteredModule::meter(code, &MeterOptions { config: &config, memory, private_features: private })
}

fn public(text: &str) -> Result<MeteredModule, MeterError> {
    meter_code(&wat::parse_str(text).expect("text of a module"), MemoryPolicy::Near, false)
}

fn private(text: &str) -> Result<MeteredModule, MeterError> {
    meter_code(&wat::parse_str(text).expect("text of a module"), MemoryPolicy::Declared, true)
}

fn assert_valid(code: &[u8], private: bool) {
    let mut features = WasmFeatures::FLOATS
        | WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::BULK_MEMORY;
    features.set(WasmFeatures::MULTI_VALUE | WasmFeatures::WIDE_ARITHMETIC, private);
    Validator::new_with_features(features).validate_all(code).expect("metered code is valid");
}

fn exports(code: &[u8]) -> Vec<(String, ExternalKind, u32)> {
    let payloads = Parser::new(0).parse_all(code).map(|payload| payload.expect("valid Wasm"));
    let sections = payloads.filter_map(|payload| match payload {
        Payload::ExportSection(reader) => Some(reader),
        _ => None,
    });
    let exports = sections.flatten().map(|export| export.expect("an export"));
    exports.map(|export| (export.name.to_owned(), export.kind, export.index)).collect()
}

#[test]
fn metered_code_needs_no_features_that_the_module_did_not_need() {
    for (name, text) in CORPUS {
        println!("{name}");
        assert_valid(&public(text).expect(name).code, false);
        assert_valid(&private(text).expect(name).code, true);
    }
}

#[test]
fn the_meters_come_first_among_the_imports_and_the_modules_own_follow() {
    let module = public(
        r#"(module (import "env" "a" (func (param i32 i64) (result i64))) (import "env" "b" (func)))"#,
    );
    let module = module.expect("a module");
    let ours = |name: &str, params: Vec<ValType>, results: Vec<ValType>| FunctionImport {
        name: name.to_owned(),
        params,
        results,
    };
    assert_eq!(
        module.imports,
        [
            ours("a", vec![ValType::I32, ValType::I64], vec![ValType::I64]),
            ours("b", vec![], vec![]),
        ]
    );
    let payloads = Parser::new(0).parse_all(&module.code).map(|payload| payload.expect("valid"));
    let imports: Vec<String> = payloads
        .filter_map(|payload| match payload {
            Payload::ImportSection(reader) => Some(reader),
            _ => None,
        })
        .flatten()
        .map(|import| import.expect("an import"))
        .map(|import| format!("{}.{}", import.module, import.name))
        .collect();
    assert_eq!(imports, ["internal.gas_exhausted", "internal.stack_exhausted", "env.a", "env.b"]);
}

#[test]
fn growth_is_asked_for_where_the_host_prices_it() {
    let grows = r#"(module (memory 1) (func (export "run") (drop (memory.grow (i32.const 1)))))"#;
    let fixed = r#"(module (memory 1) (func (export "run") (drop (memory.size))))"#;
    let asks = |module: Result<MeteredModule, MeterError>| {
        let code = module.expect("a module").code;
        code.windows(14).any(|bytes| bytes == b"memory_growing")
    };
    assert!(asks(private(grows)));
    assert!(!asks(private(fixed)));
    assert!(!asks(public(grows)), "NEAR prices it as an operator");
}

#[test]
fn a_memory_that_is_imported_is_the_last_import_and_nothing_else_changes() {
    for (name, text) in CORPUS {
        let module = private(text).expect(name);
        let imported = with_imported_memory(&module.code).expect(name);
        assert_valid(&imported, true);
        // Tables are exported besides, for whoever resets an instance.
        let (tables, others): (Vec<_>, Vec<_>) =
            exports(&imported).into_iter().partition(|(name, ..)| name.starts_with("table."));
        assert_eq!(others, exports(&module.code), "{name}");
        assert!(
            tables.iter().all(|(_, kind, _)| *kind == wasmparser::ExternalKind::Table),
            "{name}"
        );
        let imports = |code: &[u8]| {
            let payloads = Parser::new(0).parse_all(code).map(|payload| payload.expect("valid"));
            let sections = payloads.filter_map(|payload| match payload {
                Payload::ImportSection(reader) => Some(reader),
                _ => None,
            });
            let imports = sections.flat_map(|section| section.into_iter().map(|i| i.expect("one")));
            imports.map(|import| format!("{}.{}", import.module, import.name)).collect::<Vec<_>>()
        };
        let mut expected = imports(&module.code);
        expected.push("internal.memory".to_owned());
        assert_eq!(imports(&imported), expected, "{name}");
    }
    let no_memory =
        MeteredModule { code: b"\0asm\x01\0\0\0".to_vec(), ..private("(module)").unwrap() };
    assert!(with_imported_memory(&no_memory.code).is_err());
}

#[test]
fn names_that_clash_with_the_meters_exports_are_kept_apart() {
    let module = public(
        r#"(module (memory (export "m") 1) (table (export "t") 1 funcref)
            (global (export "g") (mut i32) (i32.const 0)) (global i32 (i32.const 0))
            (global (mut f64) (f64.const 0))
            (func (export "gas")) (func (export "memory") (param i32)) (func (export "global.0"))
            (func $s (export "start")) (start $s))"#,
    );
    let module = module.expect("a module");
    let entrances = exports(&module.code).into_iter().take(5);
    let entrances: Vec<(String, ExternalKind)> =
        entrances.map(|(name, kind, _)| (name, kind)).collect();
    let expected = ["\0gas", "\0memory", "\0global.0", "\0start", "start"];
    assert_eq!(entrances, expected.map(|name| (name.to_owned(), ExternalKind::Func)));
    let others: Vec<(String, ExternalKind, u32)> =
        exports(&module.code).into_iter().skip(5).collect();
    let expected = [
        ("memory", ExternalKind::Memory, 0),
        ("gas", ExternalKind::Global, 3),
        ("stack", ExternalKind::Global, 4),
        ("memory_bytes", ExternalKind::Global, 5),
        ("table_access", ExternalKind::Global, 6),
        ("global.0", ExternalKind::Global, 0),
        ("global.1", ExternalKind::Global, 2),
    ];
    assert_eq!(others, expected.map(|(name, kind, index)| (name.to_owned(), kind, index)));
    assert!(module.has_start);
    assert_eq!(module.reset.mutable_globals, 2);
    let functions: Vec<(&str, bool)> =
        module.functions.iter().map(|(name, method)| (name.as_str(), *method)).collect();
    assert_eq!(functions, [("gas", true), ("global.0", true), ("memory", false), ("start", true)]);
}

#[test]
fn memory_is_nears_or_what_the_module_declares_within_nears_limit() {
    let config = config();
    let (initial, max) =
        (config.limit_config.initial_memory_pages, config.limit_config.max_memory_pages);
    let pages = |module: Result<MeteredModule, MeterError>| {
        let module = module.expect("a module");
        assert!(exports(&module.code).iter().any(|(name, ..)| name == export::MEMORY));
        (module.initial_pages, module.max_pages)
    };
    for text in ["(module)", "(module (memory 3))", "(module (memory 3 60000))"] {
        assert_eq!(pages(public(text)), (initial, max), "{text}");
    }
    assert_eq!(pages(private("(module)")), (0, 0));
    assert_eq!(pages(private("(module (memory 3))")), (3, max));
    assert_eq!(pages(private("(module (memory 3 7))")), (3, 7));
    assert_eq!(pages(private("(module (memory 3 60000))")), (3, max));
    let error = private("(module (memory 60000))").expect_err("too large");
    assert_eq!(error, MeterError::MemoryTooLarge { found: 60_000, allowed: max });
}

#[test]
fn the_reset_plan_names_the_bytes_of_every_active_segment() {
    let module = public(
        r#"(module (memory 1)
            (data (i32.const 16) "hello") (data "passive") (data (i32.const -16) "") (data (i32.const 3) "x")
            (func (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 1))))"#,
    );
    let module = module.expect("a module");
    let text = |segment: &DataSegment| {
        let bytes = module.code.get(segment.range.clone()).expect("within the code");
        (segment.offset, String::from_utf8(bytes.to_vec()).expect("text"))
    };
    let data: Vec<(u32, String)> = module.reset.data.iter().map(text).collect();
    let expected = [(16, "hello"), (4_294_967_280, ""), (3, "x")];
    assert_eq!(data, expected.map(|(offset, text)| (offset, text.to_owned())));
}

#[test]
fn the_reset_plan_says_what_the_code_may_change() {
    let plan = |body: &str| {
        let text = format!(
            r#"(module (memory 1) (table 2 funcref) (data $d "d") (elem $e func $f)
                (func $f {body}))"#
        );
        let reset = public(&text).expect("a module").reset;
        (reset.writes_tables, reset.drops_segments, reset.grows_memory)
    };
    assert_eq!(plan(""), (false, false, false));
    assert_eq!(plan("(drop (memory.grow (i32.const 1)))"), (false, false, true));
    assert_eq!(
        plan("(memory.fill (i32.const 1) (i32.const 1) (i32.const 1))"),
        (false, false, false)
    );
    for body in [
        "(table.set (i32.const 0) (ref.null func))",
        "(drop (table.grow (ref.null func) (i32.const 1)))",
        "(table.fill (i32.const 0) (ref.null func) (i32.const 1))",
        "(table.copy (i32.const 0) (i32.const 0) (i32.const 1))",
        "(table.init $e (i32.const 0) (i32.const 0) (i32.const 1))",
    ] {
        assert_eq!(plan(body), (true, false, false), "{body}");
    }
    for body in ["(data.drop $d)", "(elem.drop $e)"] {
        assert_eq!(plan(body), (false, true, false), "{body}");
    }
}

#[test]
fn names_of_functions_are_kept_and_other_custom_sections_dropped() {
    let module = public(
        r#"(module (@custom "secret" "some text")
            (import "env" "f" (func $imported)) (func $mine (local $x i32)))"#,
    );
    let module = module.expect("a module");
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(&module.code) {
        let Payload::CustomSection(reader) = payload.expect("valid") else {
            continue;
        };
        let KnownCustom::Name(subsections) = reader.as_known() else { panic!("{}", reader.name()) };
        for subsection in subsections {
            let Name::Function(map) = subsection.expect("a name") else { panic!("functions only") };
            names.extend(
                map.into_iter().map(|name| name.expect("a name")).map(|n| (n.index, n.name)),
            );
        }
    }
    assert_eq!(names, [(0, "gas_exhausted"), (1, "stack_exhausted"), (2, "imported"), (3, "mine")]);
}

#[test]
fn private_modules_may_use_wide_arithmetic_and_several_results() {
    let text = r#"(module
        (func $two (param i64) (result i64 i64)
            (if (result i64 i64) (i64.eqz (local.get 0))
                (then (return (i64.const 1) (i64.const 2)))
                (else (i64.mul_wide_u (local.get 0) (i64.const -1))))
            (br_if 0 (i32.const 1)))
        (func $noparam (result i64 i64)
            (block (br 1 (call $two (i64.const 3)))) (i64.const 0) (i64.const 1))
        (func (export "main") (param i64) (result i64 i64)
            (i64.add128 (call $two (local.get 0)) (call $noparam))
            (i64.sub128 (i64.const 1) (i64.const 2))))"#;
    assert_valid(&private(text).expect("a private module").code, true);
    let code = wat::parse_str(text).expect("text of a module");
    let refused = meter_code(&code, MemoryPolicy::Near, false).expect_err("not in public");
    assert!(matches!(refused, MeterError::Invalid { .. }), "{refused}");
}

#[test]
fn imports_of_other_modules_and_kinds_are_refused_by_name() {
    let error = public(r#"(module (import "internal" "gas_exhausted" (func (param i64))))"#);
    let module = || "internal".to_owned();
    let foreign = MeterError::ForeignImport { module: module(), name: "gas_exhausted".to_owned() };
    assert_eq!(error, Err(foreign));
    for (import, kind) in
        [("(memory 1)", "memory"), ("(table 1 funcref)", "table"), ("(global i32)", "global")]
    {
        let error = public(&format!(r#"(module (import "env" "it" {import}))"#));
        let (module, name) = ("env".to_owned(), "it".to_owned());
        assert_eq!(error, Err(MeterError::NotAFunction { module, name, kind }));
    }
}

#[test]
fn a_function_with_all_the_locals_there_can_be_has_no_room_for_the_meters() {
    let locals = |count: usize| format!("(module (func (local {})))", "i64 ".repeat(count));
    assert_valid(&public(&locals(49_000)).expect("a module").code, false);
    let error = public(&locals(50_000)).expect_err("one too many");
    assert!(matches!(error, MeterError::TooManyLocals { function: 0, .. }), "{error}");
}

#[test]
fn prices_that_cannot_be_counted_are_refused() {
    let code = wat::parse_str("(module (memory 1) (func (drop (memory.grow (i32.const 1)))))");
    let code = code.expect("text of a module");
    let mut config = config();
    config.linear_op_unit_cost = u64::MAX / 2;
    let options =
        MeterOptions { config: &config, memory: MemoryPolicy::Near, private_features: false };
    let error = MeteredModule::meter(&code, &options).expect_err("too expensive");
    assert!(matches!(error, MeterError::PriceTooHigh { function: 0, .. }), "{error}");
}

#[test]
fn work_that_is_free_is_not_metered() {
    let mut config = config();
    config.make_free();
    for (name, text) in CORPUS {
        let code = wat::parse_str(text).expect(name);
        let options =
            MeterOptions { config: &config, memory: MemoryPolicy::Near, private_features: false };
        let module = MeteredModule::meter(&code, &options).expect(name);
        assert_valid(&module.code, false);
    }
}

#[test]
fn fifty_thousand_blocks_are_metered_and_not_in_quadratic_time() {
    let nested = format!("(module (func {}{}))", "(block ".repeat(1_000), ")".repeat(1_000));
    let flat = format!("(module (func {}))", "(block (br 0))".repeat(50_000));
    for text in [nested, flat] {
        assert_valid(&public(&text).expect("a module").code, false);
    }
}

#[test]
fn names_that_are_no_names_are_dropped() {
    let mut code = wat::parse_str("(module (func))").expect("a module");
    // A custom section `name` whose function subsection promises more than there is.
    code.extend_from_slice(&[0, 9, 4, b'n', b'a', b'm', b'e', 1, 2, 0xff, 0x7f]);
    let module = meter_code(&code, MemoryPolicy::Near, false).expect("names do not matter");
    assert_valid(&module.code, false);
}

proptest! {
    #[test]
    fn any_program_stays_valid_when_metered(program in any_program()) {
        assert_valid(&public(&program).expect("a module").code, false);
        assert_valid(&private(&program).expect("a module").code, true);
    }

    #[test]
    fn a_damaged_module_is_an_error_or_a_valid_module(
        program in any_program(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        is_private in any::<bool>(),
    ) {
        let mut code = wat::parse_str(&program).expect("a program");
        for (at, byte) in damage {
            let at = at.index(code.len());
            code[at] = byte;
        }
        if let Some(cut) = cut {
            code.truncate(cut.index(code.len()));
        }
        if let Ok(module) = meter_code(&code, MemoryPolicy::Declared, is_private) {
            assert_valid(&module.code, is_private);
        }
    }

    #[test]
    fn noise_is_an_error(code in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(meter_code(&code, MemoryPolicy::Near, false).is_err());
    }
}
