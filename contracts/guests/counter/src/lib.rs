//! A contract as near-sdk users write it: state, views, an owner, a deposit, a promise with a callback.
//!
//! Nothing in it knows Cotenant. It is here to show that such a contract runs unchanged, and to be measured.

// near-sdk's macros generate public items without documentation.
#![allow(missing_docs)]

use near_sdk::json_types::U128;
use near_sdk::{AccountId, Gas, NearToken, PanicOnDefault, Promise, env, log, near, require};

/// What the increment of another counter and the callback after it may burn.
const INCREMENT_GAS: Gas = Gas::from_tgas(5);
const CALLBACK_GAS: Gas = Gas::from_tgas(5);

/// A number, who may reset it, and what was donated.
#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct Counter {
    value: u64,
    owner: AccountId,
    donated: NearToken,
}

#[near]
impl Counter {
    /// Starts at 0; the caller is the owner.
    #[init]
    pub fn new() -> Self {
        Self {
            value: 0,
            owner: env::predecessor_account_id(),
            donated: NearToken::from_yoctonear(0),
        }
    }

    /// Adds one and returns the sum.
    pub fn increment(&mut self) -> u64 {
        self.value =
            self.value.checked_add(1).unwrap_or_else(|| env::panic_str("the counter is full"));
        log!("incremented to {}", self.value);
        self.value
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.value
    }

    /// Who may reset.
    pub fn owner(&self) -> &AccountId {
        &self.owner
    }

    /// Back to 0, by the owner only.
    pub fn reset(&mut self) {
        require!(env::predecessor_account_id() == self.owner, "only the owner may reset");
        self.value = 0;
        log!("reset");
    }

    /// Keeps the attached deposit and returns all that was kept, in yoctoNEAR.
    #[payable]
    pub fn donate(&mut self) -> U128 {
        let deposit = env::attached_deposit();
        require!(!deposit.is_zero(), "attach a deposit");
        self.donated = self.donated.saturating_add(deposit);
        log!("{} donated {}", env::predecessor_account_id(), deposit);
        U128(self.donated.as_yoctonear())
    }

    /// All that was donated, in yoctoNEAR.
    pub fn donated(&self) -> U128 {
        U128(self.donated.as_yoctonear())
    }

    /// Increments the counter of another account, then adds what it answers to this one.
    pub fn increment_other(&mut self, account: AccountId) -> Promise {
        Promise::new(account)
            .function_call("increment", Vec::new(), NearToken::from_yoctonear(0), INCREMENT_GAS)
            .then(
                Self::ext(env::current_account_id()).with_static_gas(CALLBACK_GAS).on_incremented(),
            )
    }

    /// The second half of [`Counter::increment_other`]: the other counter's value is added here, a failure is
    /// logged and nothing is added.
    #[private]
    pub fn on_incremented(
        &mut self,
        #[callback_result] other: Result<u64, near_sdk::PromiseError>,
    ) -> u64 {
        match other {
            Ok(other) => {
                self.value = self.value.saturating_add(other);
                log!("the other counter is at {}", other);
            }
            Err(_) => log!("the other counter failed"),
        }
        self.value
    }
}
