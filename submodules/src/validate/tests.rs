//! A test per rule, and that no bytes whatever make validation panic or disagree with NEAR.

use std::fmt::Write as _;
use std::sync::LazyLock;

use near_parameters::RuntimeConfigStore;
use near_vm_runner::prepare::prepare_contract;
use proptest::prelude::*;

use super::*;
use crate::{Capability, Grants};

static CONFIG: LazyLock<Config> =
    LazyLock::new(|| Config::clone(&RuntimeConfigStore::new(None).get_config(88).wasm_config));

fn config() -> Config {
    CONFIG.clone()
}

/// A configuration with limits so small that modules of a few bytes reach them.
fn small() -> Config {
    let mut config = config();
    let limits = &mut config.limit_config;
    limits.max_functions_number_per_contract = Some(4);
    limits.max_locals_per_contract = Some(6);
    limits.min_contract_size_per_local = None;
    limits.max_params_per_contract = Some(6);
    limits.max_params_per_function = Some(3);
    limits.max_operand_stack_bytes_per_function = Some(24);
    limits.max_tables_per_contract = Some(1);
    limits.max_elements_per_contract_table = Some(4);
    limits.max_function_body_size = Some(40);
    limits.max_blocks_per_function = Some(2);
    limits.max_blocks_per_contract = Some(3);
    limits.max_types_per_contract = Some(4);
    limits.max_globals_per_contract = Some(2);
    config
}

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn rejected(code: &[u8], visibility: Visibility, config: &Config) -> Rejection {
    match validate(code, visibility, config) {
        Err(rejection) => rejection,
        Ok(_) => panic!("accepted as a {visibility} module"),
    }
}

/// The ids of the rules that a module breaks as each kind.
#[track_caller]
fn breaks(text: &str, config: &Config, expected: &[&str]) {
    for visibility in [Visibility::Public, Visibility::Private] {
        breaks_as(visibility, text, config, expected);
    }
}

#[track_caller]
fn breaks_as(visibility: Visibility, text: &str, config: &Config, expected: &[&str]) {
    let rejection = rejected(&wasm(text), visibility, config);
    let found: Vec<_> = rejection.violations.iter().map(|violation| violation.rule).collect();
    assert_eq!(found, expected, "as a {visibility} module:\n{rejection}");
    for violation in &rejection.violations {
        assert!(violation.broken().is_some());
        assert!(!violation.to_string().contains(char::is_control));
    }
}

const PLAIN: &str = r#"(module
    (import "env" "input" (func (param i64)))
    (import "env" "sha256" (func (param i64 i64 i64)))
    (import "env" "log_utf8" (func (param i64 i64)))
    (memory 2)
    (data (i32.const 8) "abc")
    (func (export "run") i64.const 0 call 0)
    (func (export "helper") (param i32) (result i32) local.get 0)
    (start 3))"#;

#[test]
fn a_plain_module_is_valid_as_both_kinds() {
    let inspection = inspect(&wasm(PLAIN), &config());
    assert_eq!(inspection.kinds(), [Visibility::Public, Visibility::Private]);
    let public = inspection.public.unwrap();
    let private = inspection.private.unwrap();
    assert_eq!((public.initial_pages, private.initial_pages), (1_024, 2));
    assert_eq!(private.memory_bytes(), 2 * PAGE_BYTES);
    assert_eq!(private.functions, 5);
    assert!(private.has_start);
    assert_eq!(private.code(), wasm(PLAIN));
    assert!(private.has_method("run") && !private.has_method("helper") && !private.has_method("x"));
    let granted = Grants::NONE.with(Capability::Crypto).with(Capability::Log);
    assert_eq!(private.requirements.grants, granted);
    let names: Vec<_> = private.imports.iter().map(|row| row.name).collect();
    assert_eq!(names, ["input", "sha256", "log_utf8"]);
}

#[test]
fn ids_of_rules_are_unique_and_hints_say_something() {
    for (position, rule) in RULES.iter().enumerate() {
        assert_eq!(RULES.iter().position(|other| other.id == rule.id), Some(position));
        assert!(!rule.hint.is_empty());
    }
}

#[test]
fn a_violation_is_one_readable_line_with_place_and_hint() {
    let text = "(module (func $ok) (func $wide (param i32 i32 i32 i32)))";
    let rejection = rejected(&wasm(text), Visibility::Private, &small());
    assert_eq!(
        rejection.to_string(),
        "limits.params_per_function: found 4 parameters; allowed: 3 parameters; in code section, function 1 \
         `wide`, byte 33; hint: pass a pointer to a struct in memory"
    );
}

#[test]
fn every_broken_rule_is_reported() {
    let text = r#"(module
        (import "env" "storage_reed" (func (param i64 i64 i64) (result i64)))
        (import "env" "sha256" (func (param i32)))
        (import "other" "x" (func))
        (func (local i64 i64 i64 i64 i64 i64 i64) block block block end end end)
        (global i32 (i32.const 0)) (global i32 (i32.const 0)) (global i32 (i32.const 0)))"#;
    let expected = [
        "imports.unknown",
        "imports.signature",
        "imports.module",
        "limits.locals",
        "limits.blocks_per_function",
        "limits.globals",
    ];
    breaks(text, &small(), &expected);
    let rejection = rejected(&wasm(text), Visibility::Public, &small());
    assert!(rejection.violations[0].hint.contains("did you mean `storage_read`?"), "{rejection}");
    assert!(rejection.violations[1].limit.contains("(i64, i64, i64) -> ()"), "{rejection}");
}

// ---- bytes and features ----

#[test]
fn garbage_and_truncated_modules_are_malformed() {
    let good = wasm(PLAIN);
    for visibility in [Visibility::Public, Visibility::Private] {
        for length in 0..good.len() {
            if validate(&good[..length], visibility, &config()).is_err() {
                continue;
            }
            // What is left of a module between two sections can be a module.
            assert!(wasmparser::Validator::new().validate_all(&good[..length]).is_ok());
        }
        let rejection = rejected(b"not wasm at all", visibility, &config());
        assert_eq!(rejection.violations[0].rule, "wasm.malformed");
        let component = wasm("(component)");
        assert!(validate(&component, visibility, &config()).is_err());
    }
}

#[test]
fn sections_out_of_order_or_twice_are_malformed() {
    let mut twice = b"\0asm\x01\0\0\0".to_vec();
    let types = [1, 4, 1, 0x60, 0, 0];
    twice.extend(types);
    twice.extend(types);
    for visibility in [Visibility::Public, Visibility::Private] {
        let rejection = rejected(&twice, visibility, &config());
        assert_eq!(rejection.violations[0].rule, "wasm.malformed", "{rejection}");
    }
}

#[test]
fn indices_out_of_range_are_invalid_with_function_and_offset() {
    let code = wasm("(module (func nop) (func $bad i32.const 7 drop nop))");
    // `i32.const 7` becomes `call 7`.
    let at = code.iter().position(|byte| *byte == 0x41).unwrap();
    let mut code = code;
    code[at] = 0x10;
    for visibility in [Visibility::Public, Visibility::Private] {
        let rejection = rejected(&code, visibility, &config());
        assert_eq!(rejection.violations.len(), 1, "{rejection}");
        let violation = &rejection.violations[0];
        assert_eq!(violation.rule, "wasm.invalid");
        assert_eq!(violation.place.function, Some((1, Some("bad".into()))));
        assert_eq!(violation.place.offset, Some(at));
    }
}

const WIDE: &str = "(module (func (param i64) (result i64 i64)
    local.get 0 local.get 0 i64.mul_wide_u))";

#[test]
fn private_modules_have_multi_value_and_wide_arithmetic() {
    assert!(validate(&wasm(WIDE), Visibility::Private, &config()).is_ok());
    let rejection = rejected(&wasm(WIDE), Visibility::Public, &config());
    assert!(
        rejection.violations.iter().all(|violation| violation.rule == "wasm.feature"),
        "{rejection}"
    );
}

#[test]
fn features_that_are_off_are_refused_in_dead_code_too() {
    for text in [
        "(module (func unreachable v128.const i64x2 0 0 drop))",
        "(module (memory i64 1))",
        "(module (memory 1 1 shared))",
        "(module (func $f return_call $f))",
        "(module (tag))",
        "(module (type (struct)))",
        "(module (func (unreachable) (throw_ref)))",
        "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))",
    ] {
        for visibility in [Visibility::Public, Visibility::Private] {
            let rejection = rejected(&wasm(text), visibility, &config());
            assert_eq!(rejection.violations[0].rule, "wasm.feature", "{text}\n{rejection}");
        }
    }
}

// ---- imports ----

#[test]
fn only_functions_of_env_can_be_imported() {
    breaks(r#"(module (import "env" "memory" (memory 1)))"#, &config(), &["imports.memory"]);
    breaks(r#"(module (import "env" "t" (table 1 funcref)))"#, &config(), &["imports.kind"]);
    breaks(r#"(module (import "env" "g" (global i32)))"#, &config(), &["imports.kind"]);
    breaks(r#"(module (import "wasi" "f" (func)))"#, &config(), &["imports.module"]);
    breaks(
        r#"(module (import "internal" "finite_wasm_gas" (func)))"#,
        &config(),
        &["imports.module"],
    );
}

#[test]
fn an_import_has_to_be_in_the_table() {
    breaks(r#"(module (import "env" "finite_wasm_gas" (func)))"#, &config(), &["imports.unknown"]);
    breaks(r#"(module (import "env" "" (func)))"#, &config(), &["imports.unknown"]);
    breaks(r#"(module (import "env" "\1b[31m\00" (func)))"#, &config(), &["imports.unknown"]);
}

#[test]
fn an_import_has_to_be_enabled() {
    let text = r#"(module (import "env" "p256_verify"
        (func (param i64 i64 i64 i64 i64 i64) (result i64))))"#;
    let mut config = config();
    config.p256_verify_host_fn = false;
    breaks(text, &config, &["imports.disabled"]);
    config.p256_verify_host_fn = true;
    assert_eq!(inspect(&wasm(text), &config).kinds().len(), 2);
}

/// Text of a type for a row of the table, with one parameter too many if it is to be wrong.
fn import_of(row: &HostFunction, wrong: bool) -> String {
    let width = |width| match width {
        crate::table::Width::U32 => "i32",
        crate::table::Width::U64 => "i64",
    };
    let mut text = format!("(import \"env\" \"{}\" (func", row.name);
    for param in row.params {
        write!(text, " (param {})", width(param.width)).unwrap();
    }
    if wrong {
        text.push_str(" (param i32)");
    }
    if let Some(result) = row.result {
        write!(text, " (result {})", width(result)).unwrap();
    }
    text + "))"
}

#[test]
fn every_function_of_the_table_can_be_imported_by_the_kinds_it_is_for() {
    let mut config = config();
    config.limit_config.max_functions_number_per_contract = None;
    for row in crate::table::HOST_FUNCTIONS.iter().filter(|row| row.enabled(&config)) {
        let right = wasm(&format!("(module {})", import_of(row, false)));
        let public = validate(&right, Visibility::Public, &config).unwrap();
        assert_eq!(public.imports[0].name, row.name);
        let private = validate(&right, Visibility::Private, &config);
        if row.group == crate::table::Group::PublicOnly {
            assert_eq!(private.unwrap_err().violations[0].rule, "imports.private", "{}", row.name);
        } else {
            let required = private.unwrap().requirements.grants;
            assert_eq!(required.iter().next(), Capability::of_group(row.group), "{}", row.name);
        }
        let wrong = format!("(module {})", import_of(row, true));
        breaks_as(Visibility::Public, &wrong, &config, &["imports.signature"]);
    }
}

#[test]
fn a_private_module_hears_of_every_import_it_may_not_have() {
    let text = r#"(module
        (import "env" "storage_write" (func (param i64 i64 i64 i64 i64) (result i64)))
        (import "env" "input" (func (param i64)))
        (import "env" "attached_deposit" (func (param i64))))"#;
    breaks_as(Visibility::Private, text, &config(), &["imports.private", "imports.private"]);
    let rejection = rejected(&wasm(text), Visibility::Private, &config());
    assert!(rejection.to_string().contains("storage_write"));
    assert!(rejection.to_string().contains("attached_deposit"));
    assert_eq!(inspect(&wasm(text), &config()).kinds(), [Visibility::Public]);
}

// ---- limits ----

#[test]
fn limits_of_near_hold_for_both_kinds() {
    let c = small();
    breaks("(module (func) (func) (func) (func) (func))", &c, &["limits.functions"]);
    breaks(
        "(module (func (local i32 i32 i32 i32)) (func (local i32 i32 i32)))",
        &c,
        &["limits.locals"],
    );
    let nops = format!("(module (func {}))", "nop ".repeat(60));
    breaks(&nops, &c, &["limits.function_body"]);
    breaks("(module (func block end block end loop end))", &c, &["limits.blocks_per_function"]);
    breaks(
        "(module (func block end block end) (func block end block end))",
        &c,
        &["limits.blocks_per_contract"],
    );
    breaks("(module (func (param i32 i32 i32 i32)))", &c, &["limits.params_per_function"]);
    let params = "(func (param i32 i32 i32))".repeat(3);
    breaks(&format!("(module {params})"), &c, &["limits.params_per_contract"]);
    let operands = format!("(module (func {} {}))", "i64.const 0 ".repeat(4), "drop ".repeat(4));
    breaks(&operands, &c, &["limits.operand_stack"]);
    let types = "(type (func))".repeat(5);
    breaks(&format!("(module {types})"), &c, &["limits.types"]);
    let globals = "(global i32 (i32.const 0))".repeat(3);
    breaks(&format!("(module {globals})"), &c, &["limits.globals"]);
    breaks("(module (table 1 funcref) (table 1 funcref))", &c, &["limits.tables"]);
    breaks("(module (table 5 funcref))", &c, &["limits.table_elements"]);
}

#[test]
fn what_is_just_within_the_limits_passes() {
    let at_the_limits = format!(
        "(module (type (func)) (type (func (param i32))) (table 4 funcref)
            (global i32 (i32.const 0)) (global i32 (i32.const 0))
            (func (local i32 i32 i32 i32 i32 i32)) (func (param i32 i32 i32)) (func (param i32 i32 i32))
            (func {} {} block end block end))",
        "i64.const 0 ".repeat(3),
        "drop ".repeat(3),
    );
    assert_eq!(inspect(&wasm(&at_the_limits), &small()).kinds().len(), 2);
}

#[test]
fn operands_are_counted_by_type_and_only_where_code_is_reachable() {
    let config = small();
    for (body, fits) in [
        (
            "i32.const 0 i32.const 0 i32.const 0 i32.const 0 i32.const 0 i32.const 0 drop drop drop drop drop drop",
            true,
        ),
        ("unreachable i64.const 0 i64.const 0 i64.const 0 i64.const 0 drop drop drop drop", true),
        (
            "unreachable block i64.const 0 i64.const 0 i64.const 0 i64.const 0 drop drop drop drop end",
            true,
        ),
        (
            "block unreachable end i64.const 0 i64.const 0 i64.const 0 i64.const 0 drop drop drop drop",
            false,
        ),
        (
            "i32.const 0 if unreachable else i64.const 0 i64.const 0 i64.const 0 i64.const 0 drop drop drop drop end",
            false,
        ),
        ("i64.const 0 i64.const 0 i64.const 0 i64.add i64.const 0 i64.add drop drop", true),
        (
            "i32.const 0 i64.const 0 i32.wrap_i64 i64.const 0 i32.const 0 i32.const 0 drop drop drop drop drop",
            true,
        ),
    ] {
        let code = wasm(&format!("(module (func {body}))"));
        let inspection = inspect(&code, &config);
        assert_eq!(inspection.public.is_ok(), fits, "{body}");
        assert_eq!(inspection.private.is_ok(), fits, "{body}");
    }
}

#[test]
fn a_local_needs_its_bytes_of_code() {
    let text = format!("(module (func {}))", "(local i64)".repeat(1_000));
    breaks(&text, &config(), &["limits.locals"]);
}

#[test]
fn an_oversized_module_is_not_read_far() {
    let mut config = config();
    config.limit_config.max_contract_size = 40;
    let mut code = wasm("(module)");
    code.extend([0, 100]);
    code.extend([0; 100]);
    for visibility in [Visibility::Public, Visibility::Private] {
        let rejection = rejected(&code, visibility, &config);
        assert_eq!(rejection.violations[0].rule, "limits.contract_size");
        let rejection = rejected(&[0xff; 1_000], visibility, &config);
        assert_eq!(rejection.violations.len(), 1);
    }
}

#[test]
fn metered_code_that_grows_too_large_is_refused() {
    let mut config = config();
    config.limit_config.max_instrumented_code_size = Some(100);
    let text = format!("(module (func {}))", "block end ".repeat(50));
    breaks_as(Visibility::Public, &text, &config, &["limits.instrumented_code"]);
}

#[test]
fn branch_tables_are_limited() {
    let table = |targets: usize| {
        let targets = "0 ".repeat(targets);
        format!("(module (func (param i32) block local.get 0 br_table {targets} end))")
    };
    assert_eq!(inspect(&wasm(&table(49_999)), &config()).kinds().len(), 2);
    breaks(&table(100_000), &config(), &["limits.br_table"]);
}

#[test]
fn segments_and_exports_are_limited() {
    let data = "(data \"\")".repeat(10_001);
    breaks(&format!("(module (memory 1) {data})"), &config(), &["limits.data_segments"]);
    let elements = "(elem func)".repeat(1_001);
    breaks(&format!("(module {elements})"), &config(), &["limits.element_segments"]);
    let items = "0 ".repeat(100_001);
    breaks(&format!("(module (func) (elem func {items}))"), &config(), &["limits.element_items"]);
    let exports: String = (0..10_001).map(|i| format!("(export \"f{i}\" (func 0))")).collect();
    breaks(&format!("(module (func) {exports})"), &config(), &["limits.exports"]);
}

#[test]
fn segments_have_to_lie_within_what_an_instance_starts_with() {
    let text = r#"(module (memory 1) (data (i32.const 65535) "ab"))"#;
    breaks_as(Visibility::Private, text, &config(), &["data.out_of_bounds"]);
    assert!(validate(&wasm(text), Visibility::Public, &config()).is_ok());
    breaks(r#"(module (memory 1) (data (i32.const -1) "ab"))"#, &config(), &["data.out_of_bounds"]);
    let text = "(module (func) (table 1 funcref) (elem (i32.const 1) func 0))";
    breaks(text, &config(), &["elements.out_of_bounds"]);
}

#[test]
fn a_module_has_at_most_one_memory_of_a_size_that_fits() {
    let two = "(module (memory 1) (memory 1))";
    for visibility in [Visibility::Public, Visibility::Private] {
        let rejection = rejected(&wasm(two), visibility, &config());
        assert!(rejection.violations.iter().any(|violation| violation.rule == "memory.count"));
    }
    breaks_as(Visibility::Private, "(module (memory 65536))", &config(), &["memory.initial"]);
    assert!(validate(&wasm("(module (memory 65536))"), Visibility::Public, &config()).is_ok());
    let none = validate(&wasm("(module)"), Visibility::Private, &config()).unwrap();
    assert_eq!(none.initial_pages, 0);
}

#[test]
fn violations_are_cut_off_and_counted() {
    let imports = r#"(import "env" "x" (func))"#.repeat(1_500);
    let rejection = rejected(&wasm(&format!("(module {imports})")), Visibility::Private, &config());
    assert_eq!((rejection.violations.len(), rejection.omitted), (VIOLATIONS_MAX, 500));
}

#[test]
fn long_and_odd_names_are_cut_and_escaped() {
    let long = "x".repeat(5_000);
    let text = format!(r#"(module (import "env" "{long}" (func)) (import "\1b[2J" "\0a" (func)))"#);
    let rejection = rejected(&wasm(&text), Visibility::Public, &config());
    assert!(rejection.violations[0].to_string().len() < 500);
    assert_eq!(rejection.to_string().lines().count(), 2);
    assert!(!rejection.to_string().contains('\u{1b}'));
}

// ---- any bytes ----

const SEEDS: &[&str] = &[
    PLAIN,
    WIDE,
    r#"(module (import "env" "storage_read" (func (param i64 i64 i64) (result i64)))
        (table 3 funcref) (elem (i32.const 0) func 0 1) (memory 1 2) (global (mut i64) (i64.const 5))
        (func (export "m") (local i32 f64)
            i32.const 3 if i64.const 1 i64.const 2 i64.const 3 call 0 drop else unreachable end
            block block block i32.const 1 br_table 0 1 2 end end end
            i32.const 0 f32.const 1 f32.store i32.const 1 call_indirect (type 1))
        (type (func)) (data "passive") (data (i32.const 1) "x"))"#,
    "(module (func (param i64 i64) (result i64 i64) local.get 0 local.get 1
        block (param i64 i64) (result i64 i64) i64.const 1 i64.const 2 i64.add128 end))",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..Default::default() })]

    /// On mutated modules nothing panics, and with nothing of ours in the way our walk and NEAR's
    /// `prepare_contract` say the same.
    #[test]
    fn mutated_modules_are_decided_as_near_decides_them(
        seed in 0..SEEDS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..6),
        tight in any::<bool>(),
    ) {
        let mut code = wasm(SEEDS[seed]);
        for (at, byte, kind) in changes {
            let at = at.index(code.len());
            match kind {
                0 => code[at] = byte,
                1 => code[at] = code[at].wrapping_add(byte % 5),
                2 => code.insert(at, byte),
                _ => drop(code.remove(at)),
            }
        }
        let config = if tight { small() } else { config() };
        let near = prepare_contract(&code, &config, VMKind::Wasmtime);
        let walk = walk::Walk::over(&code, Visibility::Public, &config);
        let ours = [rules::IMPORT_UNKNOWN, rules::IMPORT_DISABLED, rules::IMPORT_SIGNATURE,
            rules::DATA_BOUNDS, rules::ELEMENT_BOUNDS];
        let mut faults = walk.faults;
        faults.retain(|rule| !ours.contains(rule));
        let explained = faults.into_rejection();
        match &near {
            Ok(_) => prop_assert_eq!(explained, None),
            Err(error) => prop_assert!(explained.is_some(), "NEAR says {}, the walk nothing", error),
        }
        let inspection = inspect(&code, &config);
        if near.is_err() {
            prop_assert!(inspection.public.is_err());
        }
        for rejection in [inspection.public.err(), inspection.private.err()].into_iter().flatten() {
            let text = rejection.to_string();
            prop_assert_eq!(text.lines().count(), rejection.violations.len());
            prop_assert!(!text.contains("near.prepare"), "{}", text);
        }
    }

    #[test]
    fn any_bytes_after_the_magic_number_are_decided(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut code = b"\0asm\x01\0\0\0".to_vec();
        code.extend(bytes);
        let _ = inspect(&code, &config());
    }
}

#[test]
fn many_unknown_imports_cost_no_more_than_their_number() {
    let mut text = String::from("(module");
    for number in 0..9_000 {
        let _ = write!(text, r#"(import "env" "storage_reed{number}" (func))"#);
    }
    text.push(')');
    let rejection = rejected(&wasm(&text), Visibility::Public, &config());
    let hinted = |violation: &&Violation| violation.hint.starts_with("did you mean");
    let hinted = rejection.violations.iter().filter(hinted).count();
    assert!((1..=64).contains(&hinted), "{hinted}");
    assert_eq!(rejection.violations.len(), VIOLATIONS_MAX);
}

#[test]
fn counts_bind_deploys_and_what_is_deployed_stays_valid() {
    let locals = |count: u32| {
        let used = "(drop (local.get 0))".repeat(20_001);
        format!("(module (func (param i32) (local {}) {used}))", "i32 ".repeat(count as usize - 1))
    };
    let loops = |count: usize| {
        let used = "(drop (local.get 0))".repeat(1_000);
        format!(
            "(module (func (local {}) {used} {}))",
            "i64 ".repeat(1_250),
            "loop end ".repeat(count)
        )
    };
    let branches = |count: usize| {
        let (results, values) = ("i32 ".repeat(500), "i32.const 0 ".repeat(500));
        let branches = "local.get 0 br_if 0 ".repeat(count);
        let drops = "drop ".repeat(500);
        format!(
            "(module (func (param i32) block (result {results}) {values} {branches} end {drops}))"
        )
    };
    let tables = |targets: usize| {
        let (results, values) = ("i32 ".repeat(20), "i32.const 0 ".repeat(21));
        let (targets, drops) = ("0 ".repeat(targets), "drop ".repeat(20));
        format!("(module (func block (result {results}) {values} br_table {targets} end {drops}))")
    };
    let globals = |count: usize| format!("(module {})", "(global i32 (i32.const 0))".repeat(count));
    // The most that passes, what does not, and the rule. Values for several results are private modules' alone.
    let both = [Visibility::Public, Visibility::Private].as_slice();
    let private = [Visibility::Private].as_slice();
    for (most, more, rule, kinds) in [
        (locals(29_992), locals(29_993), "limits.locals_per_function", both),
        (loops(4_000), loops(4_001), "limits.locals_times_loops", both),
        (branches(1_999), branches(2_000), "limits.moved_values", private),
        (tables(49_999), tables(50_000), "limits.moved_values", private),
        (globals(100_000), globals(100_001), "limits.globals_max", both),
    ] {
        let (most, more) = (wasm(&most), wasm(&more));
        for kind in kinds {
            let passes = validate(&most, *kind, &config());
            assert!(passes.is_ok(), "{rule}: {}", passes.unwrap_err());
            let rejection = rejected(&more, *kind, &config());
            assert!(
                rejection.violations.iter().all(|violation| violation.rule == rule),
                "{rejection}"
            );
            assert!(validate_deployed(&more, *kind, &config()).is_ok(), "{rule}");
        }
    }
    // Other rules hold for what is deployed as well.
    assert!(validate_deployed(b"", Visibility::Private, &config()).is_err());
}
