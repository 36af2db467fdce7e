//! `evm compile`: bytecode to a module.

use super::fork_name;
use crate::args::evm::{Emit, How};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::key_values;
use crate::text::shown_lines;
use anyhow::Result;
use evm_to_wasm::{Compiled, Keccak, Options, Report, Warning};
use revm::primitives::keccak256;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// Warnings that people are shown; `--json` has all.
const WARNINGS_SHOWN_MAX: usize = 20;

#[derive(Serialize)]
struct CompileReport {
    fork: &'static str,
    keccak: &'static str,
    code_hash: String,
    out: Option<String>,
    bytecode_bytes: usize,
    compact: bool,
    wasm_bytes: usize,
    functions: usize,
    code_bytes: usize,
    runtime_bytes: usize,
    data_bytes: usize,
    blocks: usize,
    sections: usize,
    static_jumps: usize,
    dynamic_jumps: usize,
    unresolved_jumps: usize,
    values: usize,
    narrow_values: usize,
    compile_nanos: u64,
    warnings: Vec<WarningReport>,
    text: Option<String>,
}

#[derive(Serialize)]
struct WarningReport {
    at: usize,
    opcode: u8,
    message: String,
}

pub(super) fn run(
    code: &[u8],
    out: Option<&Path>,
    emit: Emit,
    how: How,
    console: &Console,
) -> Result<Exit> {
    let options = Options { fork: how.fork, keccak: how.keccak };
    let start = Instant::now();
    let compiled = evm_to_wasm::compile(code, &options);
    let compile_nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    if let Some(out) = out {
        std::fs::write(out, &compiled.wasm).map_err(|error| {
            Failure::usage("FileUnwritable", format!("{}: {error}", out.display()))
        })?;
    }
    let text = text(code, &options, &compiled, emit)?;
    let code_hash = keccak256(code).to_string();
    let report = report(&compiled.report, how, code_hash, out, compile_nanos, text);
    for warning in report.warnings.iter().take(WARNINGS_SHOWN_MAX) {
        console.note(&warning.message);
    }
    if report.warnings.len() > WARNINGS_SHOWN_MAX {
        let rest = report.warnings.len() - WARNINGS_SHOWN_MAX;
        console.note(format_args!("and {rest} more; --json lists them all"));
    }
    if console.json {
        console.object(&report)?;
    } else if let Some(text) = &report.text {
        console.data(shown_lines(text))?;
    } else {
        console.data(rows(&report))?;
    }
    Ok(Exit::Fine)
}

fn text(
    code: &[u8],
    options: &Options,
    compiled: &Compiled,
    emit: Emit,
) -> Result<Option<String>, Failure> {
    match emit {
        Emit::Report => Ok(None),
        Emit::Ir => Ok(Some(evm_to_wasm::print_ir(code, options))),
        Emit::Wat => wasmprinter::print_bytes(&compiled.wasm).map(Some).map_err(|error| {
            Failure::new(Exit::Internal, "Internal", format!("the module has no text: {error}"))
        }),
    }
}

fn report(
    report: &Report,
    how: How,
    code_hash: String,
    out: Option<&Path>,
    compile_nanos: u64,
    text: Option<String>,
) -> CompileReport {
    CompileReport {
        fork: fork_name(how.fork),
        keccak: match how.keccak {
            Keccak::Own => "own",
            Keccak::Host => "host",
        },
        code_hash,
        out: out.map(|path| path.display().to_string()),
        bytecode_bytes: report.bytecode_bytes,
        compact: report.compact,
        wasm_bytes: report.wasm_bytes,
        functions: report.functions,
        code_bytes: report.code_bytes,
        runtime_bytes: report.runtime_bytes,
        data_bytes: report.data_bytes,
        blocks: report.blocks,
        sections: report.sections,
        static_jumps: report.static_jumps,
        dynamic_jumps: report.dynamic_jumps,
        unresolved_jumps: report.unresolved_jumps,
        values: report.values,
        narrow_values: report.narrow_values,
        compile_nanos,
        warnings: report.warnings.iter().map(warning).collect(),
        text,
    }
}

fn warning(warning: &Warning) -> WarningReport {
    let Warning::Undefined { at, opcode, since } = *warning;
    let when = match since {
        Some(fork) => format!("it comes with {}", fork_name(fork)),
        None => "no fork has it".to_owned(),
    };
    let message = format!("byte {at}: instruction 0x{opcode:02x} is undefined, {when}: a halt");
    WarningReport { at, opcode, message }
}

fn rows(report: &CompileReport) -> String {
    let narrow = match report.values {
        0 => "-".to_owned(),
        values => format!("{:.1} %", 100.0 * report.narrow_values as f64 / values as f64),
    };
    let of_code = match report.bytecode_bytes {
        _ if report.compact => "none: it is in the compact form".to_owned(),
        0 => report.code_bytes.to_string(),
        bytes => {
            let times = report.code_bytes as f64 / bytes as f64;
            format!("{}, {times:.1} times the EVM code", report.code_bytes)
        }
    };
    let rows = [
        ("code hash", report.code_hash.clone()),
        ("EVM code, bytes", report.bytecode_bytes.to_string()),
        ("Wasm, bytes", report.wasm_bytes.to_string()),
        ("  of the contract's code", of_code),
        ("  of runtime functions", report.runtime_bytes.to_string()),
        ("  of EVM code kept for CODECOPY", report.data_bytes.to_string()),
        ("functions", report.functions.to_string()),
        ("blocks", report.blocks.to_string()),
        ("gas sections", report.sections.to_string()),
        (
            "jumps to one place / to several / anywhere",
            format!(
                "{} / {} / {}",
                report.static_jumps,
                report.dynamic_jumps - report.unresolved_jumps,
                report.unresolved_jumps
            ),
        ),
        ("words that fit 64 bits", narrow),
        ("compiled in, us", format!("{:.1}", report.compile_nanos as f64 / 1e3)),
    ];
    key_values(&rows)
}
