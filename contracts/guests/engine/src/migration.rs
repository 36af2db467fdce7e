//! From the state of an engine of version 1 to this one's.
//!
//! All of it can be read as it is; what is moved is what version 1 did wrong or has outlived. A contract cannot list its
//! state, so the owner says what is there (`cotenant evm migrate`). Whatever is moved is moved whole, and again is
//! nothing, so a migration may stop and go on anywhere.

use crate::code::{self, Stored};
use crate::database::{self, Found};
use crate::promotion;
use cotenant_guest::near;
use engine_abi::state::{CONFIG_KEY, Config, STATE_VERSION};
use engine_abi::{Migrate, Migrated};
use revm::primitives::{Address, B256};

/// NEAR gas that is left when a call stops: enough for one more entry, and to end well.
const KEPT_GAS: u64 = 30_000_000_000_000;

/// Moves what it is told of, as far as the attached gas goes.
pub fn migrate(config: Config, what: &Migrate) -> Migrated {
    let mut done = Migrated { version: config.version, ..Migrated::default() };
    for (address, incarnation) in &what.forgotten {
        if near::gas_left() < KEPT_GAS {
            return done;
        }
        forgotten(Address::from(*address), *incarnation);
        done.forgotten += 1;
    }
    for hash in &what.code_hashes {
        if near::gas_left() < KEPT_GAS {
            return done;
        }
        promoted(B256::from(*hash));
        done.code_hashes += 1;
    }
    if what.last && config.version < STATE_VERSION {
        let config = Config { version: STATE_VERSION, ..config };
        near::storage_write(CONFIG_KEY, &database::encode(&config));
        done.version = STATE_VERSION;
    }
    done
}

/// An account that was removed, with its incarnation: what comes there again gets another storage than the slots are of.
fn forgotten(address: Address, incarnation: u32) {
    let next = incarnation.saturating_add(1);
    match database::found(address) {
        Found::Nothing => database::forget(address, next),
        Found::Forgotten(kept) if kept < next => database::forget(address, next),
        Found::Forgotten(_) | Found::Account(_) => {}
    }
}

/// A promoted contract whose module cannot run any more.
fn promoted(hash: B256) {
    let Some(Stored::Promoted(promotion, _)) = code::stored(hash) else { return };
    let Some(code) = code::original(hash) else { return };
    if promotion::is_outdated(&promotion, &code) {
        promotion::interpret(hash, &promotion);
    }
}
