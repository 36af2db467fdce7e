//! A call of every host function of NEAR's: what it needs before, and arguments with which it succeeds.
//!
//! Takes a row of the table; gives a module with one method for the call as written here and one for every way
//! in which an argument of its kind can be bad (told by the names of parameters). Every method returns what the
//! function answered, with its register and the memory it writes, so that runners can be compared.

use cotenant_gas::Schedule;
use cotenant_submodules::table::{HOST_FUNCTIONS, HostFunction, Provider, Width};
use std::fmt::Write;

/// What is in memory: address, and bytes as WebAssembly text has them.
const DATA: &[(usize, &str)] = &[
    (16, "hello world"),
    (64, "bob.near"),
    (80, "method"),
    (96, r"\03\00\00\00\00\00\00\00"),
    (128, r"\05"),
    (208, r"\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00"),
    (224, "a code hash or yield id of 32 by"),
    (256, r"h\00i\00\00\00"),
    (272, r"\04\00\00\00h\00i\00"),
    (288, "a,b"),
    // A point at infinity in each encoding of BLS12-381: behind a sign, by itself, compressed.
    (512, r"\00\40"),
    (769, r"\40"),
    (1_024, r"\40"),
    (1_120, r"\40"),
    (1_400, r"\c0"),
];

/// Data in hexadecimal. RFC 8032, test 2: signature, key, message. The precompile `ecrecover` of Ethereum: hash,
/// signature. The generator of P-256, compressed, behind a signature of two ones.
const HEX_DATA: &[(usize, &str)] = &[
    (2_048, "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"),
    (2_080, "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    (2_112, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
    (2_144, "72"),
    (2_176, "456e9aea5e197a1f1af7a3e85a3212fa4049a3ba34c2289b4c860fc0b0c64ef3"),
    (2_208, "9242685bf161793cc25603c231bc2f568eb630ea16aa137d2664ac8038825608"),
    (2_240, "4f8ae3bd7535248d0bd448298cc2e2071e56992d0774dc340c368ae950852ada"),
    (2_303, "01"),
    (2_335, "01"),
    (2_336, "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
];

/// Bytes of a module's memory: NEAR gives every public one 1,024 pages.
const MEMORY_BYTES: u64 = 1_024 * 65_536;

const BATCH: &str = "(drop (call $promise_batch_create (i64.const 8) (i64.const 64)))";
const TWO: &str = "(drop (call $promise_batch_create (i64.const 8) (i64.const 64))) \
    (drop (call $promise_batch_create (i64.const 8) (i64.const 64)))";
const STORED: &str = "(drop (call $storage_write (i64.const 5) (i64.const 16) (i64.const 11) (i64.const 16) (i64.const 9)))";
const REGISTER: &str = "(call $write_register (i64.const 1) (i64.const 11) (i64.const 16))";
const YIELD: &str = "(drop (call $promise_yield_create (i64.const 6) (i64.const 80) (i64.const 11) (i64.const 16) \
    (i64.const 1000000000000) (i64.const 1) (i64.const 2)))";
const YIELD_ID: &str = "(drop (call $promise_yield_create_with_id (i64.const 6) (i64.const 80) (i64.const 11) \
    (i64.const 16) (i64.const 128) (i64.const 1000000000000) (i64.const 1) (i64.const 32) (i64.const 224)))";
const STATE_INIT: &str = "(drop (call $promise_batch_create (i64.const 8) (i64.const 64))) \
    (global.set $action (call $promise_batch_action_state_init (i64.const 0) (i64.const 32) (i64.const 224) (i64.const 128)))";

/// In place of an argument: what `before` left in the global.
const ACTION: u64 = 0xac71;
const TERA: u64 = 1_000_000_000_000;

/// Function, what comes before, arguments.
type Call = (&'static str, &'static str, &'static [u64]);

/// One call of each function of NEAR's that succeeds, or does what the function is for ([`ENDS`]).
const CALLS: &[Call] = &[
    ("read_register", REGISTER, &[1, 3_100]),
    ("register_len", REGISTER, &[1]),
    ("write_register", "", &[1, 11, 16]),
    ("current_account_id", "", &[1]),
    ("chain_id", "", &[2]),
    ("signer_account_id", "", &[1]),
    ("signer_account_pk", "", &[1]),
    ("predecessor_account_id", "", &[1]),
    ("input", "", &[1]),
    ("block_index", "", &[]),
    ("block_timestamp", "", &[]),
    ("epoch_height", "", &[]),
    ("storage_usage", STORED, &[]),
    ("account_balance", "", &[3_008]),
    ("account_locked_balance", "", &[3_008]),
    ("attached_deposit", "", &[3_008]),
    ("prepaid_gas", "", &[]),
    ("used_gas", BATCH, &[]),
    ("random_seed", "", &[1]),
    ("sha256", "", &[11, 16, 1]),
    ("keccak256", "", &[11, 16, 1]),
    ("keccak512", "", &[11, 16, 1]),
    ("sha3_256", "", &[11, 16, 1]),
    ("sha3_384", "", &[11, 16, 1]),
    ("sha3_512", "", &[11, 16, 1]),
    ("ed25519_verify", "", &[64, 2_048, 1, 2_144, 32, 2_112]),
    ("p256_verify", "", &[64, 2_272, 32, 2_176, 33, 2_336]),
    ("ml_dsa_verify", "", &[3_309, 8_192, 11, 16, 1_952, 16_384]),
    ("ripemd160", "", &[11, 16, 1]),
    ("ecrecover", "", &[32, 2_176, 64, 2_208, 1, 0, 1]),
    ("value_return", "", &[11, 16]),
    ("panic", "", &[]),
    ("panic_utf8", "", &[11, 16]),
    ("log_utf8", "", &[11, 16]),
    ("log_utf16", "", &[4, 256]),
    ("abort", "", &[276, 276, 1, 2]),
    ("promise_create", "", &[8, 64, 6, 80, 11, 16, 128, TERA]),
    ("promise_then", BATCH, &[0, 8, 64, 6, 80, 11, 16, 128, TERA]),
    ("promise_and", TWO, &[208, 2]),
    ("promise_batch_create", "", &[8, 64]),
    ("promise_batch_then", BATCH, &[0, 8, 64]),
    ("promise_set_refund_to", BATCH, &[0, 8, 64]),
    ("promise_batch_action_state_init", BATCH, &[0, 32, 224, 128]),
    ("promise_batch_action_state_init_by_account_id", BATCH, &[0, 8, 64, 128]),
    ("set_state_init_data_entry", STATE_INIT, &[0, ACTION, 5, 16, 11, 16]),
    ("current_contract_code", "", &[1]),
    ("refund_to_account_id", "", &[1]),
    ("universal_state_init_to_account_id", "", &[11, 16, 1]),
    ("promise_batch_action_universal_state_init", BATCH, &[0, 11, 16, 128]),
    ("promise_batch_action_create_account", BATCH, &[0]),
    ("promise_batch_action_deploy_contract", BATCH, &[0, 11, 16]),
    ("promise_batch_action_deploy_global_contract", BATCH, &[0, 11, 16]),
    ("promise_batch_action_deploy_global_contract_by_account_id", BATCH, &[0, 11, 16]),
    ("promise_batch_action_use_global_contract", BATCH, &[0, 32, 224]),
    ("promise_batch_action_use_global_contract_by_account_id", BATCH, &[0, 8, 64]),
    ("promise_batch_action_function_call", BATCH, &[0, 6, 80, 11, 16, 128, TERA]),
    ("promise_batch_action_function_call_weight", BATCH, &[0, 6, 80, 11, 16, 128, TERA, 1]),
    ("promise_batch_action_transfer", BATCH, &[0, 128]),
    ("promise_batch_action_stake", BATCH, &[0, 128, 33, 160]),
    ("promise_batch_action_add_key_with_full_access", BATCH, &[0, 33, 160, 7]),
    (
        "promise_batch_action_add_key_with_function_call",
        BATCH,
        &[0, 33, 160, 7, 128, 8, 64, 3, 288],
    ),
    ("promise_batch_action_delete_key", BATCH, &[0, 33, 160]),
    ("promise_batch_action_delete_account", BATCH, &[0, 8, 64]),
    ("promise_batch_action_transfer_to_gas_key", BATCH, &[0, 33, 160, 128]),
    ("promise_batch_action_add_gas_key_with_full_access", BATCH, &[0, 33, 160, 1]),
    (
        "promise_batch_action_add_gas_key_with_function_call",
        BATCH,
        &[0, 33, 160, 1, 144, 8, 64, 3, 288],
    ),
    ("promise_yield_create", "", &[6, 80, 11, 16, TERA, 1, 2]),
    ("promise_yield_create_with_id", "", &[6, 80, 11, 16, 128, TERA, 1, 32, 224]),
    ("promise_yield_resume", YIELD, &[u64::MAX, 2, 11, 16]),
    ("promise_yield_resume_with_yield_id", YIELD_ID, &[32, 224, 11, 16]),
    ("promise_results_count", "", &[]),
    ("promise_result", "", &[0, 1]),
    ("promise_return", BATCH, &[0]),
    ("storage_write", STORED, &[5, 16, 3, 16, 1]),
    ("storage_read", STORED, &[5, 16, 1]),
    ("storage_remove", STORED, &[5, 16, 1]),
    ("storage_has_key", STORED, &[5, 16]),
    ("storage_iter_prefix", "", &[5, 16]),
    ("storage_iter_range", "", &[5, 16, 5, 17]),
    ("storage_iter_next", "", &[0, 1, 2]),
    ("gas", "", &[100]),
    ("validator_stake", "", &[8, 64, 3_008]),
    ("validator_total_stake", "", &[3_008]),
    ("alt_bn128_g1_multiexp", "", &[192, 4_096, 1]),
    ("alt_bn128_g1_sum", "", &[130, 4_096, 1]),
    ("alt_bn128_pairing_check", "", &[192, 4_096]),
    ("bls12381_p1_sum", "", &[97, 512, 1]),
    ("bls12381_p2_sum", "", &[193, 512, 1]),
    ("bls12381_g1_multiexp", "", &[128, 769, 1]),
    ("bls12381_g2_multiexp", "", &[224, 769, 1]),
    ("bls12381_map_fp_to_g1", "", &[96, 4_096, 1]),
    ("bls12381_map_fp2_to_g2", "", &[96, 4_096, 1]),
    ("bls12381_pairing_check", "", &[288, 1_024]),
    ("bls12381_p1_decompress", "", &[48, 1_400, 1]),
    ("bls12381_p2_decompress", "", &[96, 1_400, 1]),
];

/// Functions that only ever end the call.
pub const ENDS: &[&str] = &[
    "panic",
    "panic_utf8",
    "abort",
    "storage_iter_prefix",
    "storage_iter_range",
    "storage_iter_next",
];

/// The functions of NEAR's that a module may import at these prices.
pub fn near_functions(schedule: &Schedule) -> impl Iterator<Item = &'static HostFunction> {
    HOST_FUNCTIONS.iter().filter(|row| row.provider == Provider::Near && row.enabled(&schedule.vm))
}

/// The functions that the corpus calls.
pub fn called() -> impl Iterator<Item = &'static str> {
    CALLS.iter().map(|(name, ..)| *name)
}

/// What comes before the call of a function that succeeds, as WebAssembly text, and its arguments; `None` in place of one
/// that `before` leaves in the global `$action`.
pub fn good_call(name: &str) -> Option<(&'static str, Vec<Option<u64>>)> {
    let (_, before, good) = CALLS.iter().find(|(known, ..)| *known == name)?;
    let argument = |value: &u64| (*value != ACTION).then_some(*value);
    Some((before, good.iter().map(argument).collect()))
}

/// The data of the calls, as data segments in WebAssembly text.
pub fn data_segments() -> String {
    let mut text = String::new();
    write_data(&mut text);
    text
}

/// Imports of every host function that a text names with a dollar sign, whoever provides it.
pub fn imports_of(text: &str) -> String {
    let named = |row: &&HostFunction| {
        let name = format!("${}", row.name);
        text.match_indices(&name).any(|(at, _)| {
            let next = text[at + name.len()..].chars().next();
            next.is_none_or(|letter| letter == ' ' || letter == ')')
        })
    };
    HOST_FUNCTIONS
        .iter()
        .filter(named)
        .fold(String::new(), |text, row| text + &import(row, wat_type))
}

/// A call of a function with these arguments, as WebAssembly text; what it answers stays on the stack.
pub fn call_of(row: &HostFunction, args: &[Option<u64>]) -> String {
    let args: Vec<u64> = args.iter().map(|value| value.unwrap_or(ACTION)).collect();
    bare_call(row, &args)
}

/// A module that calls one function in many ways.
pub struct Exercise {
    /// The module as text.
    pub text: String,
    /// Its methods: the first is the call that succeeds; the others have one bad argument each.
    pub methods: Vec<String>,
}

/// The exercise of a function; `None` if the corpus does not have it, or not with that many arguments.
pub fn exercise(row: &HostFunction) -> Option<Exercise> {
    let (_, before, good) = CALLS.iter().find(|(name, ..)| *name == row.name)?;
    if good.len() != row.params.len() {
        return None;
    }
    let mut calls = vec![("good".to_owned(), good.to_vec())];
    for (position, param) in row.params.iter().enumerate() {
        for (number, bad) in bad_values(param.name, good[position]).into_iter().enumerate() {
            let mut args = good.to_vec();
            args[position] = bad;
            calls.push((format!("{}_{number}", param.name), args));
        }
    }
    let mut text = "  (memory 1)\n  (global $action (mut i64) (i64.const 0))\n".to_owned();
    write_data(&mut text);
    let mut methods = Vec::new();
    for (name, args) in calls {
        let _ = writeln!(text, "  (func (export \"{name}\") {before}\n    {})", call(row, &args));
        methods.push(name);
    }
    text.push_str("  (func (export \"nothing\")))");
    let text = format!("(module\n{}{text}", imports(row.name, &text));
    Some(Exercise { text, methods })
}

fn write_data(text: &mut String) {
    for (at, bytes) in DATA {
        let _ = writeln!(text, "  (data (i32.const {at}) \"{bytes}\")");
    }
    for (at, digits) in HEX_DATA {
        let bytes: String = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| format!("\\{}", String::from_utf8_lossy(pair)))
            .collect();
        let _ = writeln!(text, "  (data (i32.const {at}) \"{bytes}\")");
    }
}

fn wat_type(width: Width) -> &'static str {
    match width {
        Width::U32 => " i32",
        Width::U64 => " i64",
    }
}

/// What methods call.
fn imports(name: &str, text: &str) -> String {
    let needed = |row: &&HostFunction| {
        row.provider == Provider::Near
            && (row.name == name || text.contains(&format!("${} ", row.name)))
    };
    HOST_FUNCTIONS
        .iter()
        .filter(needed)
        .fold(String::new(), |imports, row| imports + &import(row, wat_type))
}

fn import(row: &HostFunction, width: impl Fn(Width) -> &'static str) -> String {
    let params: String = row.params.iter().map(|param| width(param.width)).collect();
    let result = row.result.map_or_else(String::new, |one| format!(" (result{})", width(one)));
    let name = row.name;
    format!("  (import \"env\" \"{name}\" (func ${name} (param{params}){result}))\n")
}

fn bare_call(row: &HostFunction, args: &[u64]) -> String {
    let mut call = format!("(call ${}", row.name);
    for (param, value) in row.params.iter().zip(args) {
        let _ = match (param.width, *value) {
            (_, ACTION) => write!(call, " (global.get $action)"),
            (Width::U32, value) => write!(call, " (i32.const {})", (value as u32).cast_signed()),
            (Width::U64, value) => write!(call, " (i64.const {})", value.cast_signed()),
        };
    }
    call.push(')');
    call
}

/// The call, and a return of its answer (at 3,000), of the memory it may have written and of register 1.
fn call(row: &HostFunction, args: &[u64]) -> String {
    let call = bare_call(row, args);
    let call = match row.result {
        None => call,
        // An index, which NEAR's mock counts over all actions of the call and a chain over those of the receipt.
        Some(_) if row.name.starts_with("promise_batch_action_state_init") => {
            format!("(drop {call})")
        }
        Some(Width::U32) => format!("(i32.store (i32.const 3000) {call})"),
        Some(Width::U64) => format!("(i64.store (i32.const 3000) {call})"),
    };
    if row.name == "value_return" {
        return call;
    }
    format!(
        "{call}\n    (if (i64.ne (call $register_len (i64.const 1)) (i64.const -1)) (then \
         (call $read_register (i64.const 1) (i64.const 3100))))\n    \
         (call $value_return (i64.const 1000) (i64.const 3000))"
    )
}

/// Bad values of a parameter, by the kind that its name tells. Some are good by accident, which does no harm.
fn bad_values(name: &str, good: u64) -> Vec<u64> {
    let near_the_end = MEMORY_BYTES - 4;
    let plus_one = good.wrapping_add(1);
    let values: &[u64] = match name {
        "register_id" | "key_register_id" | "value_register_id" => &[u64::MAX, 99],
        "gas" | "gas_weight" => &[0, u64::MAX],
        "action_index" => &[7, u64::MAX],
        "opcodes" => &[0, u64::from(u32::MAX)],
        _ if name.ends_with("ptr") => &[near_the_end, u64::MAX - 3, 5],
        _ if name.ends_with("len") || name == "promise_idx_count" => {
            &[0, plus_one, u64::MAX, 1 << 40]
        }
        _ if name.starts_with("promise_id") || name.starts_with("promise_index") => &[7, u64::MAX],
        _ => &[0, 3, u64::MAX],
    };
    values.iter().copied().filter(|value| *value != good).collect()
}
