//! `evm`: contracts of Ethereum, compiled to private modules.

mod bench;
mod compile;
mod hostile;
mod migrate;
mod run;
mod test;
mod verify;

use crate::args::Global;
use crate::args::evm::EvmVerb;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::verbs::input::FILE_BYTES_MAX;
use anyhow::Result;
use evm_driver::ModuleOptions;
use evm_to_wasm::Fork;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Does what the command line says.
pub(super) fn run(verb: EvmVerb, global: &Global, console: &Console) -> Result<Exit> {
    match verb {
        EvmVerb::Compile { code, out, emit, max_code_bytes, how } => {
            let code = bytecode(&code, max_code_bytes)?;
            compile::run(&code, out.as_deref(), emit, how, console)
        }
        EvmVerb::Run {
            code,
            calldata,
            gas,
            value,
            create,
            interpret,
            max_code_bytes,
            how,
            engine,
        } => {
            let code = bytecode(&code, max_code_bytes)?;
            let calldata = hex_digits("--calldata", calldata.as_bytes())?;
            let what = run::What { code, calldata, gas, value, create, interpret };
            run::run(what, how, engine.engine, console)
        }
        EvmVerb::Test { paths, fork, filter, interpret, reference, threads, keccak, engine } => {
            let modules = ModuleOptions { keccak, reference, ..ModuleOptions::new(engine) };
            let options = test::options(fork, filter, interpret, threads, modules);
            test::run(&paths, &options, console)
        }
        EvmVerb::Bench { paths, hostile: true, fork: _, filter, runs, engine } => {
            hostile::run(&paths, filter.as_deref(), runs, engine.engine, console)
        }
        EvmVerb::Bench { paths, hostile: false, fork, filter, runs, engine } => {
            bench::run(&paths, fork, filter.as_deref(), runs, engine.engine, console)
        }
        EvmVerb::Migrate { account } => migrate::run(&account, global, console),
        EvmVerb::Verify { account, code_hash } => {
            verify::run(&account, &code_hash, global, console)
        }
    }
}

/// Bytecode that a person gives: hexadecimal digits, or a file of them.
fn bytecode(code: &str, max_code_bytes: usize) -> Result<Vec<u8>, Failure> {
    let path = Path::new(code);
    let bytes = if path.is_file() {
        let unreadable = |error: std::io::Error| {
            Failure::usage("FileUnreadable", format!("{}: {error}", path.display()))
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
        hex_digits(&path.display().to_string(), &bytes)?
    } else {
        hex_digits("FILE|HEX", code.as_bytes()).map_err(|failure| {
            failure.with("hint", "give hexadecimal digits, or the path of a file of them")
        })?
    };
    if bytes.len() > max_code_bytes {
        return Err(Failure::new(
            Exit::Limit,
            "CodeTooLong",
            format!("{} bytes of code; at most {max_code_bytes} are taken", bytes.len()),
        )
        .with("hint", "raise it with --max-code-bytes"));
    }
    Ok(bytes)
}

/// Hexadecimal digits with or without 0x, and blanks around them.
fn hex_digits(what: &str, text: &[u8]) -> Result<Vec<u8>, Failure> {
    let digits = text.trim_ascii();
    let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
    let wrong = digits.iter().position(|byte| !byte.is_ascii_hexdigit());
    if let Some(position) = wrong {
        let found = char::from(digits[position]).escape_default();
        let message = format!("{what}: `{found}` at position {position} is no hexadecimal digit");
        return Err(Failure::usage("NotHex", message));
    }
    hex::decode(digits).map_err(|_| {
        let message = format!("{what}: {} hexadecimal digits are no whole bytes", digits.len());
        Failure::usage("OddHex", message)
    })
}

/// The name of a fork on the command line.
fn fork_name(fork: Fork) -> &'static str {
    match fork {
        Fork::Cancun => "cancun",
        Fork::Prague => "prague",
        Fork::Osaka => "osaka",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytecode_is_whole_bytes_of_hexadecimal_digits() {
        assert_eq!(bytecode("0x6001", 2).unwrap(), [0x60, 1]);
        assert_eq!(bytecode("6001\n", 2).unwrap(), [0x60, 1]);
        assert!(bytecode("", 2).unwrap().is_empty());
        for (text, code, exit) in [
            ("600", "OddHex", Exit::Usage),
            ("0x60zz", "NotHex", Exit::Usage),
            ("60\u{1b}", "NotHex", Exit::Usage),
            ("600160", "CodeTooLong", Exit::Limit),
        ] {
            let failure = bytecode(text, 2).unwrap_err();
            assert_eq!((failure.code.as_str(), failure.exit), (code, exit), "{}", failure.message);
        }
    }
}
