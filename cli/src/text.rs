//! Text for people: escaped, in units.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Text that may be a guest's, on one line: control characters are escaped, and so are the marks that turn
/// the direction of what follows.
pub(crate) fn shown(text: &str) -> String {
    escaped(text, &[])
}

/// As [`shown`], but keeps line breaks and tabs.
pub(crate) fn shown_lines(text: &str) -> String {
    escaped(text, &['\n', '\t'])
}

fn escaped(text: &str, kept: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if !kept.contains(&character) && (character.is_control() || turns_direction(character)) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

fn turns_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// JSON on one line, fit for a terminal too: what JSON itself leaves of control characters is escaped.
pub(crate) fn json_line(value: &impl serde::Serialize) -> serde_json::Result<String> {
    let line = serde_json::to_string(value)?;
    if !line.chars().any(|character| character.is_control() || turns_direction(character)) {
        return Ok(line);
    }
    // Such characters stand in strings only, where `\u` means the same.
    let mut escaped = String::with_capacity(line.len());
    for character in line.chars() {
        if character.is_control() || turns_direction(character) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    Ok(escaped)
}

/// Base64 with padding, as NEAR's JSON has it.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Takes base64 of a person's.
pub(crate) fn from_base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    STANDARD.decode(text.trim())
}

/// Gas in Tgas, to the millionth.
pub(crate) fn tgas(gas: u64) -> String {
    format!("{}.{:06} Tgas", gas / 1_000_000_000_000, gas / 1_000_000 % 1_000_000)
}

/// An amount of yoctoNEAR in NEAR, without zeroes at its end.
pub(crate) fn near(yocto: &str) -> String {
    const DECIMALS: usize = 24;
    let digits = format!("{yocto:0>width$}", width = DECIMALS + 1);
    let (whole, part) = digits.split_at(digits.len() - DECIMALS);
    match part.trim_end_matches('0') {
        "" => format!("{whole} NEAR"),
        part => format!("{whole}.{part} NEAR"),
    }
}

/// A result as JSON has it: the value of JSON, a string for other text, null for other bytes and for JSON with numbers that do not
/// fit into 64 bits, which would not come out as they are.
pub(crate) fn decoded(bytes: &[u8]) -> serde_json::Value {
    let Ok(text) = std::str::from_utf8(bytes) else { return serde_json::Value::Null };
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) if numbers_fit(&value) => value,
        Ok(_) => serde_json::Value::Null,
        Err(_)
            if text.is_empty()
                || text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') =>
        {
            serde_json::Value::Null
        }
        Err(_) => text.into(),
    }
}

fn numbers_fit(value: &serde_json::Value) -> bool {
    match value {
        // A whole number beyond 64 bits has become a float of at least 2^63.
        serde_json::Value::Number(number) => {
            !number.is_f64() || number.as_f64().is_some_and(|float| float.abs() < 9.0e18)
        }
        serde_json::Value::Array(values) => values.iter().all(numbers_fit),
        serde_json::Value::Object(fields) => fields.values().all(numbers_fit),
        _ => true,
    }
}

/// A result that stands alone: JSON and text as they are, other bytes in base64.
pub(crate) fn result_alone(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') => {
            shown_lines(text)
        }
        _ => base64(bytes),
    }
}

/// A result: JSON indented, text as it is, everything else in base64.
pub(crate) fn result(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "(empty)".to_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => {
            shown_lines(&indented(text))
        }
        Ok(text) if !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') => {
            shown_lines(text)
        }
        _ => format!("base64 {}", base64(bytes)),
    }
}

/// Valid JSON, indented by two. Numbers and the order of fields stay as they are.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escape) = (0_usize, false, false);
    let mut characters = json.chars().filter(|c| !c.is_control()).peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(character) = characters.next() {
        if in_string {
            out.push(character);
            in_string = escape || character != '"';
            escape = !escape && character == '\\';
            continue;
        }
        match character {
            ' ' => {}
            '{' | '[' => {
                out.push(character);
                while characters.next_if_eq(&' ').is_some() {}
                if let Some(closing) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(closing);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(character);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other => {
                in_string = other == '"';
                out.push(other);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_guest_reaches_the_terminal_raw() {
        let text = "\u{1b}[2Jred\u{9b}31m\u{7f}\u{202e}\n";
        assert_eq!(shown(text), "\\u{1b}[2Jred\\u{9b}31m\\u{7f}\\u{202e}\\n");
        let line = json_line(&text).unwrap();
        assert!(line.is_ascii() && !line.contains('\u{1b}') && !line.contains('\u{7f}'), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        assert_eq!(result(b"\x1b[2J"), "base64 G1sySg==");
    }

    #[test]
    fn json_results_are_indented_and_else_unchanged() {
        let text = r#"{"b": 123456789012345678901234567890, "a":[1,"x, \"y\" {"],"c":{ },"d":[]}"#;
        let expected = "{\n  \"b\": 123456789012345678901234567890,\n  \"a\": [\n    1,\n    \"x, \\\"y\\\" {\"\n  ],\n  \"c\": {},\n  \"d\": []\n}";
        assert_eq!(result(text.as_bytes()), expected);
        assert_eq!(result(b"3"), "3");
        assert_eq!(result(b"hello"), "hello");
        assert_eq!(result(&[1, 0, 0, 0]), "base64 AQAAAA==");
    }

    #[test]
    fn balances_are_shown_in_near() {
        for (yocto, text) in [
            ("0", "0 NEAR"),
            ("1", "0.000000000000000000000001 NEAR"),
            ("1500000000000000000000000", "1.5 NEAR"),
            ("1000000000000000000000000000", "1000 NEAR"),
        ] {
            assert_eq!(near(yocto), text);
        }
    }

    #[test]
    fn a_decoded_result_is_exact_or_null() {
        assert_eq!(decoded(br#"{"a":18446744073709551615}"#), serde_json::json!({"a": u64::MAX}));
        assert_eq!(decoded(b"[1.5]"), serde_json::json!([1.5]));
        assert_eq!(decoded(b"hello"), serde_json::json!("hello"));
        for inexact in [&b"123456789012345678901234567890"[..], b"", b"\xff", b"\0\x01"] {
            assert_eq!(decoded(inexact), serde_json::Value::Null);
        }
        assert_eq!(result_alone(b"\"x\""), "\"x\"");
        assert_eq!(result_alone(&[1, 0]), "AQA=");
    }

    #[test]
    fn gas_is_shown_to_the_millionth_of_a_tgas() {
        assert_eq!(tgas(2_428_123_456_789), "2.428123 Tgas");
        assert_eq!(tgas(999_999), "0.000000 Tgas");
    }
}
