//! What somebody signs for another one to send (NEP-366, a meta transaction).

use crate::action::Action;
use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_crypto::{PublicKey, Signature};
use near_primitives_core::hash::CryptoHash;

/// Actions that their sender has signed and somebody else pays for.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Delegate {
    /// In whose name they are done.
    pub sender: AccountId,
    /// The account they are for.
    pub receiver: AccountId,
    /// What is to be done; no delegate actions among them.
    pub actions: Vec<Action>,
    /// Nonce of the sender's key, more than its last.
    pub nonce: u64,
    /// The last block in which it may be done.
    pub max_block_height: u64,
    /// The sender's key.
    pub public_key: PublicKey,
    /// Signature over `hash`.
    pub signature: Signature,
    /// sha256 of the number of NEP-366 among what is signed (NEP-461: 2^30 + 366, `u32`) and NEAR's encoding of the
    /// rest.
    pub hash: CryptoHash,
}

impl Delegate {
    /// Whether the sender's key has signed it.
    pub fn is_signed(&self) -> bool {
        self.signature.verify(self.hash.as_ref(), &self.public_key)
    }

    /// Returns the hash that is signed, of NEAR's encoding of a delegate action.
    pub(crate) fn hash_of(encoded: &[u8]) -> CryptoHash {
        const NEP_366: u32 = (1 << 30) + 366;
        CryptoHash::hash_bytes(&[NEP_366.to_le_bytes().as_slice(), encoded].concat())
    }
}
