//! Roots of states and hashes of logs, as the tests have them.

use alloy_trie::TrieAccount;
use alloy_trie::root::{state_root_unhashed, storage_root_unhashed};
use revm::database::{CacheState, PlainAccount};
use revm::primitives::{B256, Log, keccak256};

/// Root of the state trie (Yellow Paper, appendix D).
pub fn state_root(state: &CacheState) -> B256 {
    let accounts = state.trie_account().into_iter();
    state_root_unhashed(accounts.map(|(address, account)| (address, leaf(account))))
}

fn leaf(account: &PlainAccount) -> TrieAccount {
    let written = account.storage.iter().filter(|(_, value)| !value.is_zero());
    TrieAccount {
        nonce: account.info.nonce,
        balance: account.info.balance,
        storage_root: storage_root_unhashed(
            written.map(|(slot, value)| (B256::from(*slot), *value)),
        ),
        code_hash: account.info.code_hash,
    }
}

/// keccak-256 of the logs of a transaction in RLP.
pub fn logs_hash(logs: &[Log]) -> B256 {
    let mut encoded = Vec::new();
    alloy_rlp::encode_list(logs, &mut encoded);
    keccak256(&encoded)
}
