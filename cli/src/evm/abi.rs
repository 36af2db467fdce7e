//! Calls by signature and arguments, as `cast` has them, and what comes back in words.

use crate::evm::artifact::digits_or_file;
use crate::failure::Failure;
use crate::text::shown;
use alloy_dyn_abi::{DynSolType, DynSolValue, FunctionExt, JsonAbiExt, Specifier};
use alloy_json_abi::{Error, Function, JsonAbi, Param};

/// The input of a call, and its function if that is known.
#[derive(Clone, Debug)]
pub(crate) struct Calldata {
    pub(crate) bytes: Vec<u8>,
    pub(crate) function: Option<Function>,
}

/// Encodes `transfer(address,uint256) 0x... 5`. The signature may be digits instead (`0x...`, or `@FILE` for a
/// file of them), which are sent as they are, or the name of a
/// function that the ABI has once. Without one nothing is sent.
pub(crate) fn calldata(
    signature: Option<&str>,
    arguments: &[String],
    abi: Option<&JsonAbi>,
) -> Result<Calldata, Failure> {
    let Some(signature) = signature else {
        return Ok(Calldata { bytes: Vec::new(), function: None });
    };
    if signature.starts_with("0x") || signature.starts_with('@') {
        return Ok(Calldata { bytes: digits_or_file("SIGNATURE", signature)?, function: None });
    }
    let function = function(signature, abi)?;
    let values = values(&function.inputs, arguments, &function.signature())?;
    let bytes = function.abi_encode_input(&values).map_err(|error| {
        Failure::usage("InvalidArgs", format!("{}: {error}", function.signature()))
    })?;
    Ok(Calldata { bytes, function: Some(function) })
}

/// Encodes the arguments of a constructor, by the types that are given or else by the ABI.
pub(crate) fn constructor(
    arguments: &[String],
    types: Option<&str>,
    abi: Option<&JsonAbi>,
) -> Result<Vec<u8>, Failure> {
    let inputs = match types {
        Some(types) => function(&format!("constructor({types})"), None)?.inputs,
        None if abi.is_none() && !arguments.is_empty() => {
            let message = "the types of the constructor's arguments are not known";
            let hint = "name them, `--types address,uint256`, or give the compiler's JSON, or its ABI with --abi FILE";
            return Err(Failure::usage("NoAbi", message).with("hint", hint));
        }
        None => {
            let constructor = abi.and_then(|abi| abi.constructor.as_ref());
            constructor.map(|constructor| constructor.inputs.clone()).unwrap_or_default()
        }
    };
    let values = values(&inputs, arguments, "the constructor")?;
    Ok(DynSolValue::Tuple(values).abi_encode_params())
}

fn function(signature: &str, abi: Option<&JsonAbi>) -> Result<Function, Failure> {
    if signature.contains('(') {
        return Function::parse(signature).map_err(|error| {
            let message = format!("`{}` is no signature: {error}", shown(signature));
            let hint = "write it as `transfer(address,uint256)`, or `balanceOf(address)(uint256)` with what it returns";
            Failure::usage("InvalidSignature", message).with("hint", hint)
        });
    }
    let known = abi.and_then(|abi| abi.function(signature)).map_or(&[][..], Vec::as_slice);
    match known {
        [function] => Ok(function.clone()),
        [] => {
            let message =
                format!("`{}` is no signature and no function of an ABI", shown(signature));
            let hint =
                "write its types: `transfer(address,uint256)`, give --abi FILE, or digits with 0x";
            Err(Failure::usage("InvalidSignature", message).with("hint", hint))
        }
        several => {
            let signatures: Vec<String> = several.iter().map(Function::signature).collect();
            let message = format!("the ABI has `{}` {} times", shown(signature), several.len());
            let hint = format!("choose: {}", signatures.join(", "));
            Err(Failure::usage("InvalidSignature", message).with("hint", hint))
        }
    }
}

fn values(inputs: &[Param], arguments: &[String], what: &str) -> Result<Vec<DynSolValue>, Failure> {
    if inputs.len() != arguments.len() {
        let message =
            format!("{what} takes {} arguments, {} were given", inputs.len(), arguments.len());
        return Err(Failure::usage("InvalidArgs", message));
    }
    let mut values = Vec::new();
    for (input, argument) in inputs.iter().zip(arguments) {
        let wrong = |error: alloy_dyn_abi::Error| {
            let message = format!("`{}` is no {}: {error}", shown(argument), input.ty);
            Failure::usage("InvalidArgs", message)
        };
        let kind: DynSolType = input.resolve().map_err(wrong)?;
        values.push(kind.coerce_str(argument).map_err(wrong)?);
    }
    Ok(values)
}

/// Decodes the output of a function; `None` if the types are not known or do not fit.
pub(crate) fn returned(function: Option<&Function>, output: &[u8]) -> Option<String> {
    let function = function.filter(|function| !function.outputs.is_empty())?;
    let values = function.abi_decode_output(output).ok()?;
    Some(list(&values))
}

/// Decodes the reason of a revert: `Error(string)`, `Panic(uint256)`, and the errors of the ABI. `None` for anything else.
pub(crate) fn reverted(output: &[u8], abi: Option<&JsonAbi>) -> Option<String> {
    let (selector, data) = output.split_first_chunk::<4>()?;
    if *selector == [0x4e, 0x48, 0x7b, 0x71] {
        let code = data.get(31).filter(|_| data.len() == 32)?;
        return Some(format!("Panic(0x{code:02x}): {}", panic_words(*code)));
    }
    let standard = Error::parse("error Error(string)").ok()?;
    let errors = abi.into_iter().flat_map(JsonAbi::errors).chain([&standard]);
    for error in errors.filter(|error| error.selector().0 == *selector) {
        if let Ok(values) = error.abi_decode_input(data) {
            return Some(match values.as_slice() {
                [DynSolValue::String(text)] if error.name == "Error" => shown(text),
                values => format!("{}({})", error.name, list(values)),
            });
        }
    }
    None
}

/// Explains a code of `Panic(uint256)` (Solidity's documentation, "Panic via assert and Error via require").
fn panic_words(code: u8) -> &'static str {
    match code {
        0x01 => "an assertion failed",
        0x11 => "arithmetic overflow or underflow",
        0x12 => "division by zero",
        0x21 => "a number that is no value of an enum",
        0x22 => "storage bytes with a wrong encoding",
        0x31 => "pop of an empty array",
        0x32 => "an index out of bounds",
        0x41 => "too much memory",
        0x51 => "a call of a function that was not set",
        _ => "no reason that Solidity knows",
    }
}

fn list(values: &[DynSolValue]) -> String {
    values.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn word(value: &DynSolValue) -> String {
    match value {
        DynSolValue::Bool(bool) => bool.to_string(),
        DynSolValue::Int(number, _) => number.to_string(),
        DynSolValue::Uint(number, _) => number.to_string(),
        DynSolValue::FixedBytes(word, bytes) => format!("0x{}", hex::encode(&word[..*bytes])),
        DynSolValue::Address(address) => address.to_string(),
        DynSolValue::Function(function) => format!("0x{}", hex::encode(function)),
        DynSolValue::Bytes(bytes) => format!("0x{}", hex::encode(bytes)),
        DynSolValue::String(text) => format!("\"{}\"", shown(text)),
        DynSolValue::Array(values) | DynSolValue::FixedArray(values) => {
            format!("[{}]", list(values))
        }
        DynSolValue::Tuple(values) => format!("({})", list(values)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_call_is_encoded_as_cast_does_it() {
        let to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
        let call = calldata(Some("transfer(address,uint256)"), &texts(&[to, "5"]), None).unwrap();
        assert_eq!(
            hex::encode(&call.bytes),
            "a9059cbb00000000000000000000000070997970c51812dc3a010c7d01b50e0d17dc79c8\
             0000000000000000000000000000000000000000000000000000000000000005"
        );
        assert_eq!(calldata(Some("0x01ff"), &[], None).unwrap().bytes, [1, 0xff]);
        assert!(calldata(None, &[], None).unwrap().bytes.is_empty());
        for (signature, arguments) in [
            ("transfer(address,uint256)", &[to][..]),
            ("transfer(address,uint256)", &[to, "many"]),
            ("transfer", &[]),
            ("transfer(addres)", &[to]),
        ] {
            assert!(calldata(Some(signature), &texts(arguments), None).is_err(), "{signature}");
        }
    }

    #[test]
    fn what_comes_back_is_said_in_words() {
        let call = calldata(
            Some("balanceOf(address)(uint256)"),
            &texts(&["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"]),
            None,
        );
        let mut output = [0; 32];
        output[31] = 7;
        assert_eq!(returned(call.unwrap().function.as_ref(), &output).as_deref(), Some("7"));

        let error = Error::parse("error Error(string)").unwrap();
        let data = error.abi_encode_input(&[DynSolValue::String("too late".into())]).unwrap();
        assert_eq!(reverted(&data, None).as_deref(), Some("too late"));
        let mut panic = vec![0x4e, 0x48, 0x7b, 0x71];
        panic.extend([0; 31]);
        panic.push(0x11);
        assert_eq!(
            reverted(&panic, None).as_deref(),
            Some("Panic(0x11): arithmetic overflow or underflow")
        );
        let abi = JsonAbi::parse(["error Short(uint256 has, uint256 wants)"]).unwrap();
        let custom = abi.errors().next().unwrap();
        let one = |number: u64| DynSolValue::Uint(revm::primitives::U256::from(number), 256);
        let data = custom.abi_encode_input(&[one(1), one(2)]).unwrap();
        assert_eq!(reverted(&data, Some(&abi)).as_deref(), Some("Short(1, 2)"));
        assert_eq!((reverted(&data, None), reverted(&[1], None)), (None, None));
    }
}
