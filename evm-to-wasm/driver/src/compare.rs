//! How two runs of a transaction differ. What kind of exceptional halt it was is not compared: sections of
//! code check what they need at once, so the order of checks is another than an interpreter's.

use revm::context::result::ExecutionResult;
use revm::database::CacheState;
use revm::primitives::Log;
use revm::state::EvmState;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Differences that are listed, at most.
const LISTED_MAX: usize = 8;

/// Bytes of a value that are shown, at most; output and logs may have many megabytes.
const VALUE_BYTES_MAX: usize = 256;

/// A text of at most `bytes_max` bytes and a note on what was cut off.
pub(crate) fn cut(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return text.into();
    }
    let end = text.floor_char_boundary(bytes_max);
    format!("{} [cut: {} bytes of {}]", &text[..end], end, text.len()).into()
}

/// How the results of a transaction differ: ours first. Empty if they agree in success, output, gas and logs.
pub fn differences(ours: &ExecutionResult, theirs: &ExecutionResult) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            let (ours, theirs) = (cut(&ours, VALUE_BYTES_MAX), cut(&theirs, VALUE_BYTES_MAX));
            found.push(format!("{what} is {ours}, revm's {theirs}"));
        }
    };
    compare("the end", ending(ours).to_owned(), ending(theirs).to_owned());
    compare("gas used", ours.tx_gas_used().to_string(), theirs.tx_gas_used().to_string());
    compare("output", output(ours), output(theirs));
    compare("logs", logs(ours.logs()), logs(theirs.logs()));
    found
}

fn ending(result: &ExecutionResult) -> &'static str {
    match result {
        ExecutionResult::Success { .. } => "success",
        ExecutionResult::Revert { .. } => "revert",
        ExecutionResult::Halt { .. } => "exceptional halt",
    }
}

fn output(result: &ExecutionResult) -> String {
    result.output().map(|bytes| bytes.to_string()).unwrap_or_default()
}

fn logs(logs: &[Log]) -> String {
    logs.iter().map(|log| format!("{log:?} ")).collect()
}

/// How the states after two runs differ.
pub fn state_differences(ours: &CacheState, theirs: &CacheState) -> Vec<String> {
    let (ours, theirs) = (plain(ours), plain(theirs));
    let mut found = Vec::new();
    let lines: BTreeSet<&String> = ours.symmetric_difference(&theirs).collect();
    for line in lines.into_iter().take(LISTED_MAX) {
        let whose = if ours.contains(line) { "ours" } else { "revm's" };
        found.push(format!("{whose} has {line}"));
    }
    found
}

/// How what two transactions changed differs; their journals, before anything is committed.
pub fn journal_differences(ours: &EvmState, theirs: &EvmState) -> Vec<String> {
    let (ours, theirs) = (journal(ours), journal(theirs));
    let mut found = Vec::new();
    for line in ours.symmetric_difference(&theirs).take(LISTED_MAX) {
        let whose = if ours.contains(line) { "ours" } else { "revm's" };
        found.push(format!("{whose} has {line}"));
    }
    found
}

/// A state as lines: account by account, slot by slot.
fn plain(state: &CacheState) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (address, account) in state.trie_account() {
        let info = &account.info;
        let (nonce, balance, code) = (info.nonce, info.balance, info.code_hash);
        lines.insert(format!("{address}: nonce {nonce}, balance {balance}, code {code}"));
        for (slot, value) in account.storage.iter().filter(|(_, value)| !value.is_zero()) {
            lines.insert(format!("{address}: slot {slot:#x} is {value:#x}"));
        }
    }
    lines
}

/// A journal as lines: touched accounts and changed slots.
fn journal(state: &EvmState) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (address, account) in state.iter().filter(|(_, account)| account.is_touched()) {
        let info = &account.info;
        let (nonce, balance, code) = (info.nonce, info.balance, info.code_hash);
        let destroyed = account.is_selfdestructed();
        lines.insert(format!(
            "{address}: nonce {nonce}, balance {balance}, code {code}, destroyed {destroyed}"
        ));
        for (slot, value) in account.changed_storage_slots() {
            lines.insert(format!("{address}: slot {slot:#x} is {:#x}", value.present_value));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use revm::context::result::{Output, ResultGas, SuccessReason};
    use revm::primitives::Bytes;

    #[test]
    fn a_text_is_cut_where_a_character_begins_and_says_so() {
        assert_eq!(cut("whole", 5), "whole");
        assert_eq!(cut("a\u{e9}b", 2), "a [cut: 1 bytes of 4]");
        assert_eq!(cut("a\u{e9}b", 3), "a\u{e9} [cut: 3 bytes of 4]");
    }

    #[test]
    fn outputs_of_megabytes_are_told_apart_in_a_line() {
        let result = |last: u8| {
            let mut bytes = vec![7; 4 << 20];
            bytes.push(last);
            ExecutionResult::Success {
                reason: SuccessReason::Return,
                gas: ResultGas::default(),
                logs: vec![],
                output: Output::Call(Bytes::from(bytes)),
            }
        };
        let found = differences(&result(1), &result(2));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("output is 0x0707"), "{}", found[0]);
        assert!(found[0].len() < 700, "{} bytes", found[0].len());
        assert_eq!(differences(&result(1), &result(1)), Vec::<String>::new());
    }
}
