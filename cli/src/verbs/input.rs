//! What a command is given: files, standard input, arguments of a call.

use crate::args::Input;
use crate::failure::Failure;
use crate::text;
use anyhow::Result;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of the largest file that is read: many times the largest module NEAR takes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// First bytes of a component: the layer of the binary format that a core module has 0 in is 1.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// Reads a file, or standard input for `-`.
pub(super) fn file(file: &Path) -> Result<Vec<u8>, Failure> {
    let name = file.display().to_string();
    let unreadable = |reason: String| Failure::usage("FileUnreadable", format!("{name}: {reason}"));
    let read = |source: &mut dyn Read| {
        let mut bytes = Vec::new();
        source.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = if file == Path::new("-") {
        read(&mut io::stdin().lock())
    } else {
        File::open(file).and_then(|mut opened| read(&mut opened))
    };
    let bytes = bytes.map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(unreadable(format!(
            "more than {FILE_BYTES_MAX} bytes, which is the most that is read"
        )));
    }
    Ok(bytes)
}

/// Reads a module: Wasm as it is, `.wat` translated. Files of a known other kind are named as such; what else is no module is
/// left to the rules to explain.
pub(super) fn module(path: &Path) -> Result<Vec<u8>> {
    let bytes = file(path)?;
    if bytes.starts_with(b"\0asm") && !bytes.starts_with(COMPONENT) {
        return Ok(bytes);
    }
    if path.extension().is_some_and(|extension| extension == "wat") {
        let parsed =
            wat::Parser::new().parse_bytes(Some(path), &bytes).map(|wasm| wasm.into_owned());
        return Ok(parsed.map_err(|error| Failure::usage("WatSyntax", error.to_string()))?);
    }
    match other_kind(&bytes) {
        Some((kind, hint)) => {
            let message = format!("{} is {kind}, no Wasm module", path.display());
            Err(Failure::usage("NotWasm", message).with("hint", hint).into())
        }
        None => Ok(bytes),
    }
}

/// Names the kind of a file that is not Wasm by its first bytes, with a hint.
fn other_kind(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const BUILD: &str = "build with `--target wasm32-unknown-unknown` and `crate-type = [\"cdylib\"]`; the module is \
                         target/wasm32-unknown-unknown/release/NAME.wasm";
    const DOWNLOAD: &str = "a server answered with a page instead of the file; look at its address";
    const CORE: &str = "build a core module: `--target wasm32-unknown-unknown`, not wasm32-wasip2 and without \
                        `cargo component`; what WIT describes is said by methods here (docs/tutorial.md)";
    const UNPACK: &str = "unpack it first";
    let head = bytes.trim_ascii_start();
    let starts = |text: &str| {
        head.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text.as_bytes()))
    };
    Some(match bytes {
        _ if bytes.starts_with(COMPONENT) => ("a WebAssembly component", CORE),
        [] => ("an empty file", BUILD),
        [0x7f, b'E', b'L', b'F', ..] => ("an ELF file, a program or library for Linux", BUILD),
        [0xcf, 0xfa, 0xed, 0xfe, ..] => ("a Mach-O file, a program or library for macOS", BUILD),
        [b'M', b'Z', ..] => ("a program or library for Windows", BUILD),
        [0x1f, 0x8b, ..] => ("a gzip archive", UNPACK),
        [b'P', b'K', 3, 4, ..] => ("a zip archive", UNPACK),
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => {
            ("a library archive (.a or .rlib)", BUILD)
        }
        _ if starts("<!doctype html") || starts("<html") => ("an HTML page", DOWNLOAD),
        _ if starts("(module") || starts("(component") || starts(";;") => {
            ("Wasm text", "name it .wat, and it is translated")
        }
        _ if starts("{") || starts("[") => ("JSON", "name the .wasm file"),
        _ => return None,
    })
}

/// The input of a call, as the command line gives it.
pub(super) fn arguments(input: &Input) -> Result<Vec<u8>, Failure> {
    if let Some(base64) = &input.args_base64 {
        return text::from_base64(base64)
            .map_err(|error| Failure::usage("InvalidArgs", format!("--args-base64: {error}")));
    }
    if let Some(hex) = &input.args_hex {
        let hex = hex.trim();
        return hex::decode(hex.strip_prefix("0x").unwrap_or(hex))
            .map_err(|error| Failure::usage("InvalidArgs", format!("--args-hex: {error}")));
    }
    if let Some(path) = &input.args_file {
        return file(path);
    }
    let Some(json) = &input.args else { return Ok(Vec::new()) };
    match serde_json::from_str::<serde::de::IgnoredAny>(json) {
        Ok(_) => Ok(json.clone().into_bytes()),
        Err(error) => Err(Failure::usage("InvalidArgs", format!("ARGS is no JSON: {error}"))
            .with("found", json.clone())
            .with(
                "hint",
                "quote it for the shell: '{\"name\": 1}'; other bytes go through --args-base64, --args-hex or --args-file",
            )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_kinds_are_named() {
        for (bytes, kind) in [
            (&b"\x7fELF\x02"[..], "ELF"),
            (b"  <!DOCTYPE HTML><html>", "HTML"),
            (b"<HTML>", "HTML"),
            (b"\0asm\x0d\0\x01\0", "component"),
            (b"", "empty"),
            (b"(module)", "Wasm text"),
            (b"PK\x03\x04", "zip"),
        ] {
            let (named, hint) = other_kind(bytes).expect("a known kind");
            assert!(named.contains(kind) && !hint.is_empty(), "{named}");
        }
        assert_eq!(other_kind(b"garbage"), None);
    }
}
