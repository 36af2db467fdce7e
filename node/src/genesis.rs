//! What a new chain begins with: the accounts that sandboxes of NEAR have, and records that are given.

use crate::near;
use crate::{NodeError, NodeOptions};
use cotenant_host::Host;
use cotenant_host::action::Permission;
use cotenant_host::runtime::Patch;
use cotenant_host::state::AccessKey;
use near_account_id::AccountId;
use near_crypto::PublicKey;
use std::time::{SystemTime, UNIX_EPOCH};

/// The well-known public key of near-sandbox's accounts.
pub const PUBLIC_KEY: &str = "ed25519:5BGSaf6YjVm7565VzWQHNxoyEjwr3jUpRJSGjREvU9dB";

/// Its secret key. It protects nothing: every sandbox has it.
pub const SECRET_KEY: &str = "ed25519:3tgdk2wPraJzT4nsTuf86UX41xgPNk3MHnq8epARMdBNs29AFEztAuaQ7iHddDfXG9F2RzV1XNQYgJyAyoW51UBB";

/// The accounts that have it.
pub const ACCOUNTS: [&str; 4] = ["sandbox", "test.near", "near", "registrar"];

/// The account that brings Ethereum's transactions to the engine.
pub const RELAYER: &str = "relayer";

/// What each of them has, in yoctoNEAR: 1,000,000,000 NEAR.
pub const BALANCE: u128 = 1_000_000_000 * 10_u128.pow(24);

fn with_key(id: AccountId, public_key: PublicKey) -> [Patch; 2] {
    let key = AccessKey { nonce: 0, permission: Permission::FullAccess };
    [
        Patch::Account {
            id: id.clone(),
            balance: Some(BALANCE),
            locked: None,
            storage_usage: None,
        },
        Patch::Key { id, public_key, key },
    ]
}

/// Writes it, unless the chain has begun before.
pub(crate) fn begin(host: &Host, options: &NodeOptions) -> Result<(), NodeError> {
    let genesis = |error: &dyn std::fmt::Display| NodeError::Genesis(error.to_string());
    let state = host.state()?;
    let mut patches = Vec::new();
    let key: PublicKey = PUBLIC_KEY.parse().map_err(|error| genesis(&error))?;
    let known = ACCOUNTS.iter().chain([&RELAYER]).map(|name| Ok((name.parse()?, key.clone())));
    let known: Vec<(AccountId, PublicKey)> = known
        .collect::<Result<_, near_account_id::ParseAccountError>>()
        .map_err(|error| genesis(&error))?;
    for (id, key) in known.into_iter().chain(options.accounts.iter().cloned()) {
        if state.account(&id)?.is_none() {
            patches.extend(with_key(id, key));
        }
    }
    let fresh = state.head()?.height == 0;
    drop(state);
    if fresh {
        let records = near::sandbox_patches(&options.records);
        patches.extend(records.map_err(|error| {
            genesis(&error.data.map_or(error.message, |data| data.to_string()))
        })?);
    }
    if patches.is_empty() {
        return Ok(());
    }
    host.runtime().patch(&patches).map_err(|error| genesis(&error))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let now = if options.deterministic { 0 } else { u64::try_from(now).unwrap_or(u64::MAX) };
    host.runtime().make_block(now, &[])?;
    Ok(())
}
