//! Bytecode and ABIs as people have them: hexadecimal digits, files of them, and the JSON of solc, foundry and hardhat.

use crate::failure::{Exit, Failure};
use crate::text::shown;
use alloy_json_abi::JsonAbi;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of the largest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Which code of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The code that runs when the contract is called.
    Runtime,
    /// The code that creates the contract.
    Init,
}

/// Code and, if its file has one, the ABI.
#[derive(Clone, Debug, Default)]
pub(crate) struct Code {
    pub(crate) bytes: Vec<u8>,
    pub(crate) abi: Option<JsonAbi>,
}

/// A contract in the JSON of a compiler.
#[derive(Default)]
struct Contract<'a> {
    name: &'a str,
    runtime: Option<&'a str>,
    init: Option<&'a str>,
    abi: Option<&'a Value>,
}

/// Reads the code that a person names: digits, a file of digits or of a compiler's JSON, `-` for standard input. A JSON with
/// several contracts wants a name.
pub(crate) fn code(text: &str, name: Option<&str>, part: Part) -> Result<Code, Failure> {
    let path = Path::new(text);
    if text != "-" && !path.is_file() {
        // Digits have no dots and no slashes.
        if text.contains(['/', '.']) {
            let message = format!("{}: no such file", shown(text));
            return Err(Failure::usage("FileUnreadable", message));
        }
        let bytes = hex_digits("CODE", text.as_bytes()).map_err(|failure| {
            failure.with("hint", "give hexadecimal digits, or the path of a file of them or of solc, foundry or hardhat")
        })?;
        return Ok(Code { bytes, abi: None });
    }
    let content = read(text)?;
    if !matches!(content.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return Ok(Code { bytes: hex_digits(text, &content)?, abi: None });
    }
    let json = json(text, &content)?;
    let contract = choose(text, contracts(&json), name, part)?;
    let digits = match part {
        Part::Runtime => contract.runtime,
        Part::Init => contract.init,
    };
    let digits = digits.unwrap_or_default();
    if digits.contains("__") {
        let message = format!(
            "{}: {} is not linked: a library's address is missing",
            shown(text),
            shown(contract.name)
        );
        return Err(Failure::usage("Unlinked", message)
            .with("hint", "link it: `solc --link`, `forge build --libraries`"));
    }
    Ok(Code { bytes: hex_digits(text, digits.as_bytes())?, abi: parsed_abi(text, contract.abi)? })
}

/// Reads an ABI: of a file of one, or of a compiler's JSON.
pub(crate) fn abi(path: &str, name: Option<&str>) -> Result<JsonAbi, Failure> {
    let content = read(path)?;
    let json = json(path, &content)?;
    let found = if json.is_array() {
        parsed_abi(path, Some(&json))?
    } else {
        let with_abi = contracts(&json).into_iter().filter(|contract| contract.abi.is_some());
        let chosen = one(path, with_abi.collect(), name)?;
        parsed_abi(path, chosen.abi)?
    };
    found.ok_or_else(|| Failure::usage("NoAbi", format!("{}: no ABI in it", shown(path))))
}

/// Bytes as hexadecimal digits, or `@FILE` for a file of them (`@-` for standard input).
pub(crate) fn digits_or_file(what: &str, text: &str) -> Result<Vec<u8>, Failure> {
    match text.strip_prefix('@') {
        Some(path) => hex_digits(path, &read(path)?),
        None => hex_digits(what, text.as_bytes()),
    }
}

fn read(path: &str) -> Result<Vec<u8>, Failure> {
    let unreadable =
        |reason: String| Failure::usage("FileUnreadable", format!("{}: {reason}", shown(path)));
    let read = |source: &mut dyn Read| {
        let mut bytes = Vec::new();
        source.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = match path {
        "-" => read(&mut io::stdin().lock()),
        path => File::open(path).and_then(|mut file| read(&mut file)),
    };
    let bytes = bytes.map_err(|error| {
        unreadable(match error.kind() {
            io::ErrorKind::NotFound => "no such file".to_owned(),
            _ => error.to_string(),
        })
    })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(unreadable(format!("more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn json(path: &str, content: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(content)
        .map_err(|error| Failure::usage("NotJson", format!("{}: {error}", shown(path))))
}

/// The contracts in a JSON of solc (`--combined-json` or standard JSON), foundry (`out/*.json`) or hardhat (`artifacts/`).
fn contracts(json: &Value) -> Vec<Contract<'_>> {
    let Some(listed) = json["contracts"].as_object() else {
        let contract = Contract {
            name: json["contractName"]
                .as_str()
                .or_else(|| json["name"].as_str())
                .unwrap_or_default(),
            // The last are those of contracts/evm/bytecode.
            runtime: object(&json["deployedBytecode"]).or_else(|| json["runtime"].as_str()),
            init: object(&json["bytecode"]).or_else(|| json["creation"].as_str()),
            abi: json.get("abi"),
        };
        return vec![contract];
    };
    let mut found = Vec::new();
    for (key, value) in listed {
        if value.get("bin").is_some()
            || value.get("bin-runtime").is_some()
            || value.get("abi").is_some()
        {
            found.push(Contract {
                name: key.rsplit(':').next().unwrap_or(key),
                runtime: value["bin-runtime"].as_str(),
                init: value["bin"].as_str(),
                abi: value.get("abi"),
            });
            continue;
        }
        for (name, contract) in value.as_object().into_iter().flatten() {
            found.push(Contract {
                name,
                runtime: object(&contract["evm"]["deployedBytecode"]),
                init: object(&contract["evm"]["bytecode"]),
                abi: contract.get("abi"),
            });
        }
    }
    found
}

/// Digits as they are, or in a field `object`.
fn object(bytecode: &Value) -> Option<&str> {
    bytecode.as_str().or_else(|| bytecode["object"].as_str())
}

/// The contract of a name, or the only one that has code of this part: interfaces have none.
fn choose<'a>(
    path: &str,
    contracts: Vec<Contract<'a>>,
    name: Option<&str>,
    part: Part,
) -> Result<Contract<'a>, Failure> {
    let has_code = |contract: &Contract<'_>| {
        let digits = match part {
            Part::Runtime => contract.runtime,
            Part::Init => contract.init,
        };
        digits.is_some_and(|digits| !matches!(digits, "" | "0x"))
    };
    let found: Vec<Contract<'a>> = contracts.into_iter().filter(has_code).collect();
    if found.is_empty() {
        let field = match part {
            Part::Runtime => "deployedBytecode or bin-runtime",
            Part::Init => "bytecode or bin",
        };
        let message = format!("{}: no contract with {field} in it", shown(path));
        let hint = "solc: `--combined-json bin,bin-runtime,abi`; foundry: out/NAME.sol/NAME.json; hardhat: artifacts/contracts/";
        return Err(Failure::usage("NoBytecode", message).with("hint", hint));
    }
    one(path, found, name)
}

fn one<'a>(
    path: &str,
    mut contracts: Vec<Contract<'a>>,
    name: Option<&str>,
) -> Result<Contract<'a>, Failure> {
    let names: Vec<String> = contracts.iter().map(|contract| shown(contract.name)).collect();
    if let Some(name) = name {
        contracts.retain(|contract| contract.name == name);
    }
    match contracts.len() {
        1 => Ok(contracts.swap_remove(0)),
        0 => {
            let message =
                format!("{}: no contract `{}`", shown(path), shown(name.unwrap_or_default()));
            Err(Failure::usage("NoContract", message)
                .with("hint", format!("there are: {}", names.join(", "))))
        }
        _ => {
            let message = format!("{}: {} contracts", shown(path), names.len());
            let hint = format!("choose one with --contract: {}", names.join(", "));
            Err(Failure::usage("SeveralContracts", message).with("hint", hint))
        }
    }
}

/// An ABI as JSON, or as a text of JSON, as older versions of solc write it.
fn parsed_abi(path: &str, abi: Option<&Value>) -> Result<Option<JsonAbi>, Failure> {
    let parsed = match abi {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => serde_json::from_str(text),
        Some(value) => serde_json::from_value(value.clone()),
    };
    parsed
        .map(Some)
        .map_err(|error| Failure::usage("InvalidAbi", format!("{}: {error}", shown(path))))
}

/// Code that is not too long for the compiler.
pub(crate) fn bounded(code: Code, max_code_bytes: usize) -> Result<Code, Failure> {
    if code.bytes.len() > max_code_bytes {
        return Err(Failure::new(
            Exit::Limit,
            "CodeTooLong",
            format!("{} bytes of code; at most {max_code_bytes} are taken", code.bytes.len()),
        )
        .with("hint", "raise it with --max-code-bytes"));
    }
    Ok(code)
}

/// Hexadecimal digits with or without 0x, and blanks around them.
pub(crate) fn hex_digits(what: &str, text: &[u8]) -> Result<Vec<u8>, Failure> {
    let digits = text.trim_ascii();
    let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
    let wrong = digits.iter().position(|byte| !byte.is_ascii_hexdigit());
    if let Some(position) = wrong {
        let found = char::from(digits[position]).escape_default();
        let message =
            format!("{}: `{found}` at position {position} is no hexadecimal digit", shown(what));
        return Err(Failure::usage("NotHex", message));
    }
    hex::decode(digits).map_err(|_| {
        let message =
            format!("{}: {} hexadecimal digits are no whole bytes", shown(what), digits.len());
        Failure::usage("OddHex", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_json(value: &Value, name: Option<&str>, part: Part) -> Result<Code, Failure> {
        let folder = std::env::temp_dir().join(format!("cotenant-artifact-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{:p}.json", value));
        std::fs::write(&path, value.to_string()).unwrap();
        let found = code(path.to_str().unwrap(), name, part);
        std::fs::remove_file(path).unwrap();
        found
    }

    #[test]
    fn the_json_of_each_compiler_is_read() {
        let abi = json!([{ "type": "function", "name": "f", "inputs": [], "outputs": [], "stateMutability": "view" }]);
        let foundry = json!({ "abi": abi, "bytecode": { "object": "0x6001" }, "deployedBytecode": { "object": "0x6002" } });
        let hardhat = json!({ "contractName": "C", "abi": abi, "bytecode": "0x6001", "deployedBytecode": "0x6002" });
        let combined = json!({ "contracts": { "c.sol:C": { "bin": "6001", "bin-runtime": "6002", "abi": abi.to_string() } } });
        let standard = json!({ "contracts": { "c.sol": { "C": {
            "abi": abi, "evm": { "bytecode": { "object": "6001" }, "deployedBytecode": { "object": "6002" } } } } } });
        for json in [foundry, hardhat, combined, standard] {
            assert_eq!(read_json(&json, None, Part::Init).unwrap().bytes, [0x60, 1], "{json}");
            let runtime = read_json(&json, None, Part::Runtime).unwrap();
            assert_eq!(runtime.bytes, [0x60, 2], "{json}");
            assert!(runtime.abi.unwrap().function("f").is_some(), "{json}");
        }
    }

    #[test]
    fn several_contracts_want_a_name_and_interfaces_are_none() {
        let json = json!({ "contracts": {
            "c.sol:A": { "bin": "6001", "bin-runtime": "6002" },
            "c.sol:B": { "bin": "6003", "bin-runtime": "6004" },
            "c.sol:I": { "bin": "", "bin-runtime": "" },
        } });
        assert_eq!(read_json(&json, Some("B"), Part::Runtime).unwrap().bytes, [0x60, 4]);
        assert_eq!(read_json(&json, None, Part::Runtime).unwrap_err().code, "SeveralContracts");
        assert_eq!(read_json(&json, Some("I"), Part::Runtime).unwrap_err().code, "NoContract");
        let unlinked = json!({ "bytecode": "0x60__$0123$__", "deployedBytecode": "0x" });
        assert_eq!(read_json(&unlinked, None, Part::Init).unwrap_err().code, "Unlinked");
        assert_eq!(read_json(&unlinked, None, Part::Runtime).unwrap_err().code, "NoBytecode");
    }

    #[test]
    fn digits_are_whole_bytes() {
        assert_eq!(code("0x6001", None, Part::Runtime).unwrap().bytes, [0x60, 1]);
        assert!(code("", None, Part::Runtime).unwrap().bytes.is_empty());
        for (text, error) in [
            ("600", "OddHex"),
            ("0x60zz", "NotHex"),
            ("60\u{1b}", "NotHex"),
            ("no/such/file", "FileUnreadable"),
            ("none.hex", "FileUnreadable"),
        ] {
            assert_eq!(code(text, None, Part::Runtime).unwrap_err().code, error, "{text}");
        }
        let long = Code { bytes: vec![0; 3], abi: None };
        assert_eq!(bounded(long, 2).unwrap_err().code, "CodeTooLong");
    }
}
