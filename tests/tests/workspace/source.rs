//! Rust sources as tokens, without comments and without what strings hold: as much of the language as the tests of shape need.

use std::path::{Path, PathBuf};

/// A piece of code: an identifier, `::`, or one character of punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    /// Its line, from 1.
    pub line: usize,
}

/// All Rust sources below a folder but those that were built or downloaded.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(name.as_str(), "target" | "node_modules") && !name.starts_with('.') {
                    waiting.push(path);
                }
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The tokens of a source.
pub fn tokens(source: &str) -> Vec<Token> {
    let text: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let (end, token) = next(&text, at);
        if let Some(token) = token {
            tokens.push(Token { text: token, line });
        }
        line += text[at..end].iter().filter(|character| **character == '\n').count();
        at = end;
    }
    tokens
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Where what begins here ends, and the token that it is.
fn next(text: &[char], at: usize) -> (usize, Option<String>) {
    let rest = &text[at..];
    let starts = |pattern: &str| pattern.chars().enumerate().all(|(i, c)| rest.get(i) == Some(&c));
    if starts("//") {
        return (at + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()), None);
    }
    if starts("/*") {
        return (after_comment(text, at), None);
    }
    if let Some(end) = string_end(text, at) {
        return (end, Some("\"\"".to_owned()));
    }
    if rest[0] == '\'' {
        // A character, or a lifetime.
        let is_character = rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'');
        if is_character {
            let from = if rest.get(1) == Some(&'\\') { 3 } else { 2 };
            let end = rest.iter().skip(from).position(|c| *c == '\'').unwrap_or(0) + from + 1;
            return (at + end, Some("''".to_owned()));
        }
        return (at + 1, None);
    }
    if is_word(rest[0]) {
        let length = rest.iter().position(|c| !is_word(*c)).unwrap_or(rest.len());
        return (at + length, Some(rest[..length].iter().collect()));
    }
    if starts("::") {
        return (at + 2, Some("::".to_owned()));
    }
    (at + 1, (!rest[0].is_whitespace()).then(|| rest[0].to_string()))
}

fn after_comment(text: &[char], at: usize) -> usize {
    let (mut depth, mut at) = (0, at);
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Where a string ends that begins here, be it raw or of bytes.
fn string_end(text: &[char], at: usize) -> Option<usize> {
    if at > 0 && is_word(text[at - 1]) && text[at] != '"' {
        return None;
    }
    let mut from = at;
    while from < at + 2 && matches!(text.get(from), Some('b' | 'r' | 'c')) {
        from += 1;
    }
    let raw = text[at..from].contains(&'r');
    let hashes = text[from..].iter().take_while(|c| raw && **c == '#').count();
    if text.get(from + hashes) != Some(&'"') {
        return None;
    }
    let mut at = from + hashes + 1;
    while at < text.len() {
        match text[at] {
            '\\' if !raw => at += 2,
            '"' if text[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes => {
                return Some(at + 1 + hashes);
            }
            _ => at += 1,
        }
    }
    Some(text.len())
}

/// The place behind the bracket that closes the one at `open`.
pub fn after_bracket(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The tokens without modules that are for tests alone.
pub fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.text == text);
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let attribute = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
        if attribute.iter().enumerate().all(|(i, text)| is(at + i, text)) {
            let body = at + attribute.len() + 1;
            at = if is(body, "{") { after_bracket(tokens, body) } else { body + 1 };
            continue;
        }
        kept.push(tokens[at].clone());
        at += 1;
    }
    kept
}

#[test]
fn comments_strings_and_lifetimes_are_no_code() {
    let source = "fn f<'a>(x: &'a str) -> char { // unsafe\n /* unsafe /* x */ */ let y = r#\"unsafe \"\"#; '\\'' }";
    let words: Vec<String> = tokens(source).into_iter().map(|token| token.text).collect();
    assert!(!words.contains(&"unsafe".to_owned()), "{words:?}");
    assert_eq!(words.last().map(String::as_str), Some("}"));
    let cut = without_tests(&tokens("fn a() {} #[cfg(test)] mod tests { fn b() {} } fn c() {}"));
    assert!(
        !cut.iter().any(|token| token.text == "b") && cut.iter().any(|token| token.text == "c")
    );
}
