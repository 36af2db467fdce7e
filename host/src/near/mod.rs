//! NEAR's published formats, as clients send and read them.
//!
//! [`SignedTransaction`] is what a wallet signs; `json` says refusals and failures as NEAR's RPC does; [`receipt_id`]
//! names receipts as NEAR does. Formats: near-primitives 0.38, NEP-366 (delegate actions), NEP-461 (what is signed).

mod json;
mod signed;
#[cfg(test)]
mod tests;

pub use crate::action::Delegate;
#[cfg(test)]
pub(crate) use signed::delegate_hash;
pub use signed::{DecodeError, SignedTransaction};

use near_primitives_core::hash::CryptoHash;

/// Returns the id of a receipt that a transaction (index 0) or another receipt created in a block: sha256 of the
/// creator's id, the height and the index, both as little-endian `u64` (NEAR's `create_receipt_id_from_receipt_id`).
pub fn receipt_id(creator: &CryptoHash, height: u64, index: u64) -> CryptoHash {
    let parts = [creator.as_bytes().as_slice(), &height.to_le_bytes(), &index.to_le_bytes()];
    CryptoHash::hash_bytes(&parts.concat())
}
