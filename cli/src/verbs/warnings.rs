//! What is suspicious about a module that breaks no rule, and what to do about it.

use cotenant_submodules::validate::{Inspection, ValidModule};
use near_parameters::vm::LimitConfig;
use serde::Serialize;
use wasmparser::{Parser, Payload};

/// Bytes of a deploy transaction that are not its code, rounded up: names of accounts and namespaces, lengths.
const ENVELOPE_BYTES: u64 = 1_024;

/// A finding that breaks no rule, to be known before a deploy. The code is stable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Warning {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

/// Looks a module over that can be deployed as one kind at least.
pub(super) fn of(code: &[u8], found: &Inspection, limits: &LimitConfig) -> Vec<Warning> {
    let Some(module) = found.public.as_ref().ok().or(found.private.as_ref().ok()) else {
        return Vec::new();
    };
    [methods(module), near_sdk(module), size(code, limits), debug(code)]
        .into_iter()
        .flatten()
        .collect()
}

/// A module without a method can be deployed and never called.
fn methods(module: &ValidModule) -> Option<Warning> {
    if module.exports.values().any(|callable| *callable) {
        return None;
    }
    let message = match module.exports.len() {
        0 => "it exports no function, so nothing of it can be called".to_owned(),
        exports => format!(
            "none of its {exports} exported functions can be called: a method has no parameters and no results"
        ),
    };
    let hint = "export methods as `#[unsafe(no_mangle)] extern \"C\" fn name()`, or with near-sdk's `#[near]`, and build with \
                `crate-type = [\"cdylib\"]`";
    Some(Warning { code: "NoMethods", message, hint })
}

/// near-sdk panics through `panic_utf8` if it is built as cargo-near does it, else by a bare `unreachable`.
fn near_sdk(module: &ValidModule) -> Option<Warning> {
    let is_near_sdk = module.exports.contains_key("contract_source_metadata");
    if !is_near_sdk || module.imports.iter().any(|import| import.name == "panic_utf8") {
        return None;
    }
    let message =
        "a near-sdk contract without `panic_utf8`: its panics are bare traps without a message"
            .to_owned();
    let hint = "build with RUSTFLAGS=\"--cfg near\", as `cargo near build` does";
    Some(Warning { code: "NoPanicMessages", message, hint })
}

fn size(code: &[u8], limits: &LimitConfig) -> Option<Warning> {
    let bytes = code.len() as u64;
    let limit = limits.max_transaction_size.saturating_sub(ENVELOPE_BYTES);
    if bytes <= limit {
        return None;
    }
    let message = format!(
        "{bytes} bytes; a transaction holds about {limit}, so no transaction can deploy it"
    );
    let hint = "make it smaller: `opt-level = \"z\"`, `lto = true`, `strip = true`, or split it into modules";
    Some(Warning { code: "LargerThanTransaction", message, hint })
}

fn debug(code: &[u8]) -> Option<Warning> {
    let mut debug_bytes = 0;
    for payload in Parser::new(0).parse_all(code) {
        // The rules have reported a damaged section already.
        let Ok(payload) = payload else { break };
        if let Payload::CustomSection(section) = payload
            && section.name().starts_with(".debug_")
        {
            debug_bytes += section.data().len();
        }
    }
    if debug_bytes == 0 {
        return None;
    }
    let message =
        format!("a debug build: {debug_bytes} of {} bytes are debug information", code.len());
    let hint = "build with --release, and `strip = true` in its profile";
    Some(Warning { code: "DebugBuild", message, hint })
}
