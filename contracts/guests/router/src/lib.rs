//! A parent that does with its submodules what a test asks, and tells what happened.
//!
//! Anybody may call it, so a namespace that a caller names is opened as a private module's alone: a public one would
//! take the router's account for its caller and do for a stranger what it does for the account itself. Only the
//! account's own calls say `public`, use NEP-481's functions, which reach both kinds, or send the account promises.
//!
//! Every failure of a callee is in the JSON that is returned; the router itself fails only over arguments it
//! cannot read, and where a method says so.

// near-sdk's macros generate public items without documentation.
#![allow(missing_docs)]

mod drive;
mod report;

use cotenant_guest::{Call, Grants, Live};
use near_sdk::json_types::{Base64VecU8, U64};
use near_sdk::{env, log, near};

use crate::drive::{Driven, Rule};
use crate::report::{Identity, Outcome, StepReport};

/// How a call is opened. What is left out is: all the gas, the host's depth, nothing granted, an echo.
#[near(serializers = [json])]
#[derive(Default)]
#[serde(default)]
pub struct Opening {
    /// Gas of the callee; 0 for all there is.
    gas: Option<U64>,
    /// Levels of calls below the callee.
    depth: Option<U64>,
    /// Bits of the groups granted: 1 crypto, 2 context, 4 log, 8 nested.
    grants: Option<u32>,
    /// A public module is meant too; said by the account's own calls alone.
    public: Option<bool>,
    /// What the router answers to a yield.
    rule: Rule,
    /// After so many answers the call is closed.
    answers_max: Option<u32>,
}

impl Opening {
    fn start(
        &self,
        namespace: &str,
        method: &str,
    ) -> Result<Live, cotenant_guest::SyncExecutionError> {
        let grants = Grants::from_bits(u64::from(self.grants.unwrap_or(0)));
        let public = self.public.unwrap_or(false) || grants.bits() & Grants::PUBLIC.bits() != 0;
        let call = Call::open(namespace, method)
            .gas(self.gas.map_or(cotenant_guest::GAS_ALL, |gas| gas.0))
            .depth(self.depth.map_or(cotenant_guest::DEPTH_OF_HOST, |depth| depth.0))
            .grants(grants);
        if public {
            require_own_call("public modules");
            return call.public().start();
        }
        call.start()
    }
}

/// Ends the call unless the account itself makes it.
fn require_own_call(what: &str) {
    if env::predecessor_account_id() != env::current_account_id() {
        env::panic_str(&format!("{what} are reached by this account's own calls alone"));
    }
}

/// A contract without state: what a method stores it stores under plain keys.
#[near(contract_state)]
#[derive(Default)]
pub struct Router {}

/// Methods that drive submodules.
#[near]
impl Router {
    /// Runs a method of a submodule to its end.
    pub fn call(
        &self,
        namespace: String,
        method: String,
        args: Base64VecU8,
        opening: Option<Opening>,
    ) -> Outcome {
        let opening = opening.unwrap_or_default();
        drive::to_end(opening.start(&namespace, &method), &args.0, &opening)
    }

    /// The same with everything granted that can be, so that the callee may call on.
    pub fn nested(
        &self,
        namespace: String,
        method: String,
        args: Base64VecU8,
        opening: Option<Opening>,
    ) -> Outcome {
        let opening = Opening { grants: Some(15), ..opening.unwrap_or_default() };
        drive::to_end(opening.start(&namespace, &method), &args.0, &opening)
    }

    /// Opens one call for each of `args` and takes them a step at a time in turn, so that all are live at once.
    pub fn interleave(
        &self,
        namespace: String,
        method: String,
        args: Vec<Base64VecU8>,
        opening: Option<Opening>,
    ) -> Vec<Outcome> {
        let opening = opening.unwrap_or_default();
        let mut driven: Vec<Driven> = args
            .into_iter()
            .map(|args| Driven::new(opening.start(&namespace, &method), args.0))
            .collect();
        while driven.iter().any(Driven::is_live) {
            driven.iter_mut().for_each(|driven| driven.step(&opening));
        }
        driven.into_iter().map(Driven::into_outcome).collect()
    }

    /// NEP-481's functions instead of handles; for the account's own calls, as all of NEP-481 here.
    pub fn nep481_call(
        &self,
        namespace: String,
        method: String,
        args: Base64VecU8,
        opening: Option<Opening>,
    ) -> Outcome {
        require_own_call("NEP-481's functions");
        drive::nep481(&namespace, &method, &args.0, &opening.unwrap_or_default())
    }

    /// NEP-481's resume without anything started.
    pub fn nep481_resume(&self, namespace: String, response: Base64VecU8) -> StepReport {
        require_own_call("NEP-481's functions");
        StepReport::of(cotenant_guest::resume_sync_call(&namespace, &response.0))
    }

    /// NEP-481: starts a namespace twice; the second start is what is told.
    pub fn nep481_start_twice(
        &self,
        namespace: String,
        method: String,
        args: Base64VecU8,
    ) -> Vec<StepReport> {
        require_own_call("NEP-481's functions");
        let start =
            || StepReport::of(cotenant_guest::sync_function_call(&namespace, &method, &args.0, 0));
        vec![start(), start()]
    }

    /// Takes `steps` steps, closes, then does what is wrong: resumes and closes once more.
    pub fn close_early(
        &self,
        namespace: String,
        method: String,
        args: Base64VecU8,
        steps: u32,
    ) -> Outcome {
        drive::close_early(Opening::default().start(&namespace, &method), &args.0, steps)
    }

    /// Resumes and closes a handle that was never given.
    pub fn unknown_handle(&self, handle: U64) -> Outcome {
        drive::close_early(Ok(Live::from_handle(handle.0)), &[], 1)
    }

    /// Opens calls until the host refuses or `count` are live, takes `steps` steps with each, and ends with
    /// all of them live: the host has to close them.
    pub fn abandon(
        &self,
        namespace: String,
        method: String,
        args: Base64VecU8,
        count: u32,
        steps: u32,
    ) -> Abandoned {
        let opening = Opening::default();
        let mut live = Vec::new();
        let mut refused = None;
        for _ in 0..count {
            match opening.start(&namespace, &method) {
                Ok(call) => live.push(call),
                Err(error) => {
                    refused = Some(StepReport::of(Err(error)));
                    break;
                }
            }
        }
        for call in &mut live {
            for _ in 0..steps {
                let _ = call.resume(&args.0);
            }
        }
        let opened = live.len() as u32;
        live.into_iter().for_each(std::mem::forget);
        Abandoned { opened, refused }
    }

    /// Opens a call, takes one step, then fails with the callee suspended.
    pub fn fail_with_live(&self, namespace: String, method: String, args: Base64VecU8) {
        let step = Opening::default().start(&namespace, &method).map(|mut live| {
            let step = live.resume(&args.0);
            std::mem::forget(live);
            step
        });
        env::panic_str(&format!("failed after {step:?}"));
    }

    /// Writes, calls a submodule, and reads again: what a callee's failure must not touch.
    pub fn write_then_call(
        &mut self,
        key: String,
        value: String,
        namespace: String,
        method: String,
        args: Base64VecU8,
    ) -> (Outcome, Option<String>) {
        self.store(key.clone(), value);
        let opening = Opening::default();
        let outcome = drive::to_end(opening.start(&namespace, &method), &args.0, &opening);
        (outcome, self.load(key))
    }
}

/// Methods that are called, so that a router can be the submodule of a router.
#[near]
impl Router {
    /// Where this runs and who called.
    pub fn who(&self) -> Identity {
        Identity {
            account: env::current_account_id(),
            namespace: cotenant_guest::current_namespace(),
            predecessor: env::predecessor_account_id(),
            predecessor_namespace: cotenant_guest::predecessor_namespace(),
        }
    }

    /// Stores a value.
    pub fn store(&mut self, key: String, value: String) {
        env::storage_write(key.as_bytes(), value.as_bytes());
    }

    /// Stores a value, then fails.
    pub fn store_and_fail(&mut self, key: String, value: String) {
        self.store(key, value);
        env::panic_str("failed after the write");
    }

    /// Stores a value, yields it, and returns the answer.
    pub fn store_and_ask(&mut self, key: String, value: String) -> Base64VecU8 {
        let question = value.clone().into_bytes();
        self.store(key, value);
        Base64VecU8(cotenant_guest::callback(&question))
    }

    /// The value of a key.
    pub fn load(&self, key: String) -> Option<String> {
        env::storage_read(key.as_bytes()).map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    /// Yields, and returns the answer; fails where no sync call entered.
    pub fn ask(&self, question: Base64VecU8) -> Base64VecU8 {
        Base64VecU8(cotenant_guest::callback(&question.0))
    }

    /// Writes a line to the log.
    pub fn say(&self, line: String) {
        log!("{}", line);
    }

    /// Writes a line to the log, then fails.
    pub fn say_and_fail(&self, line: String) {
        log!("{}", line);
        env::panic_str("failed after the log");
    }

    /// Creates a promise to call a method of an account, fire and forget. Of this account only where it asks itself: the
    /// promise would come from it.
    pub fn promise(
        &mut self,
        account: near_sdk::AccountId,
        method: String,
        args: Base64VecU8,
        gas: U64,
    ) {
        if account == env::current_account_id() {
            require_own_call("this account's methods");
        }
        near_sdk::Promise::new(account)
            .function_call(
                method,
                args.0,
                near_sdk::NearToken::from_yoctonear(0),
                near_sdk::Gas::from_gas(gas.0),
            )
            .detach();
    }
}

/// What [`Router::abandon`] left behind.
#[near(serializers = [json])]
pub struct Abandoned {
    /// Calls that were live.
    opened: u32,
    /// Why there were no more.
    refused: Option<StepReport>,
}
