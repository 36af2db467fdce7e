//! How two runs of a transaction differ. What kind of exceptional halt it was is not compared: sections of
//! code check what they need at once, so the order of checks is another than an interpreter's.

use revm::context::result::ExecutionResult;
use revm::database::CacheState;
use revm::primitives::Log;
use revm::state::EvmState;
use std::collections::BTreeSet;

/// Differences that are listed, at most.
const LISTED_MAX: usize = 8;

/// How the results of a transaction differ: ours first. Empty if they agree in success, output, gas and logs.
pub fn differences(ours: &ExecutionResult, theirs: &ExecutionResult) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
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
