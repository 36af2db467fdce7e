//! The state machine against the model.

use super::*;
use crate::Visibility;
use crate::calls::Ending;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::hash::BuildHasher;

/// `COTENANT_SEED`, or another one each time; a failure prints it.
fn seed() -> u64 {
    let given = std::env::var("COTENANT_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| std::hash::RandomState::new().hash_one(0))
}

fn cases() -> u32 {
    std::env::var("COTENANT_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(15_000)
}

#[test]
fn the_state_machine_does_what_the_model_says() {
    for_each_program(cases(), seed(), |program| {
        let (model, machine) = (naive::run(program), machine::run(program));
        if model == machine {
            return Ok(());
        }
        Err(format!("the model says\n{model:#?}\nthe state machine did\n{machine:#?}"))
    });
}

/// Gas of a node without its callees; `None` if they burnt more than it did.
fn own_gas(node: &CallNode) -> Option<u64> {
    node.gas_burnt.checked_sub(node.callees.iter().map(|callee| callee.gas_burnt).sum())
}

fn sum_of_own_gas(node: &CallNode) -> Option<u64> {
    node.callees.iter().try_fold(own_gas(node)?, |sum, callee| Some(sum + sum_of_own_gas(callee)?))
}

#[test]
fn a_root_call_burns_the_sum_over_its_tree_and_never_more_than_it_has() {
    for_each_program(2_000, seed(), |program| {
        let outcome = machine::run(program);
        if sum_of_own_gas(&outcome.tree) != Some(outcome.gas_burnt) {
            return Err(format!("the tree burnt another sum: {outcome:#?}"));
        }
        if outcome.gas_used > program.gas {
            return Err(format!("used {} of {}", outcome.gas_used, program.gas));
        }
        let failed = outcome.result.is_err();
        if failed && (outcome.ledger != program.ledger || !outcome.receipts.is_empty()) {
            return Err("a failed root left something behind".to_owned());
        }
        Ok(())
    });
}

fn endings(node: &CallNode, seen: &mut BTreeSet<String>) {
    seen.insert(match &node.ending {
        Ending::Returned => "Returned".to_owned(),
        Ending::Closed => "Closed".to_owned(),
        Ending::Failed(Failure::HostError(name)) => name.clone(),
        Ending::Failed(failure) => variant(failure),
    });
    if node.yields > 1 {
        seen.insert("yields twice".to_owned());
    }
    if !node.reverted_logs.is_empty() {
        seen.insert("reverted logs".to_owned());
    }
    node.callees.iter().for_each(|callee| endings(callee, seen));
}

use SyncExecutionError as Failure;

fn variant(failure: &Failure) -> String {
    let text = format!("{failure:?}");
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// A generator that never reaches a rule tests nothing of it.
#[test]
fn random_programs_reach_every_ending_and_every_refusal() {
    let seen = RefCell::new(BTreeSet::new());
    for_each_program(6_000, 1, |program| {
        let (outcome, refusals) = machine::run_and_watch(program);
        let mut seen = seen.borrow_mut();
        endings(&outcome.tree, &mut seen);
        seen.extend(refusals.iter().map(|refusal| match refusal {
            Failure::HostError(name) => name.clone(),
            refusal => variant(refusal),
        }));
        if outcome.receipts.iter().any(|receipt| receipt.after.is_some_and(|after| after > 0)) {
            seen.insert("a receipt that waits".to_owned());
        }
        Ok(())
    });
    let seen = seen.into_inner();
    for expected in [
        "Returned",
        "Closed",
        "OutOfGas",
        "WasmTrap",
        "GuestPanic",
        "yields twice",
        "reverted logs",
        "NamespaceNotFound",
        "MethodNotFound",
        "AlreadyStarted",
        "NotStarted",
        "UnknownHandle",
        "CallDepthExceeded",
        "TooManyLiveCalls",
        "CapabilityNotGranted",
        "MemoryBudgetExceeded",
        "InvalidGrants",
        "PublicFromPrivate",
        "PublicNotAsked",
        "NamespaceBusy",
        "BalanceExceeded",
        "NumberOfLogsExceeded",
        "TotalLogLengthExceeded",
        "NumberPromisesExceeded",
        machine::CALLBACK_IN_ROOT,
        "a receipt that waits",
    ] {
        assert!(seen.contains(expected), "never reached {expected}; reached {seen:?}");
    }
}

/// Whether a module that strangers may call was reached from below a frame that may not, or without being asked for.
fn confused(node: &CallNode, program: &Program) -> Option<String> {
    let asks = |callee: &CallNode| {
        let module = &program.modules[program.module(&node.namespace)?];
        let steps = &module.methods[module.method(&node.method)?].steps;
        let name = callee.namespace.as_str().as_bytes();
        steps.iter().find(|step| match step {
            Step::Open { namespace, grants, .. } => namespace == name && grants & 16 != 0,
            Step::NepStart { namespace, .. } => namespace == name,
            _ => false,
        })
    };
    node.callees.iter().find_map(|callee| {
        let public = callee.visibility == Visibility::Public;
        if public && (node.visibility == Visibility::Private || asks(callee).is_none()) {
            return Some(format!("{:?} reached {:?}", node.namespace, callee.namespace));
        }
        confused(callee, program)
    })
}

#[test]
fn nobody_reaches_more_than_it_says_and_may() {
    let (mut program, methods) = privileges::account();
    let mut reached = (0, 0);
    for method in methods {
        program.root_method = method;
        let (model, machine) = (naive::run(&program), machine::run(&program));
        assert_eq!(model, machine, "{}", program.root_method);
        assert_eq!(confused(&machine.tree, &program), None, "{}", program.root_method);
        let asked = machine.tree.callees.iter().any(|one| one.namespace.as_str() == "pub");
        let below = machine.tree.callees.iter().flat_map(|one| &one.callees);
        reached.0 += u32::from(asked);
        reached.1 += below.filter(|one| one.namespace.as_str() == "pub").count() as u32;
    }
    // Half of the valid bits and NEP-481's function, of the root and of either public caller.
    assert_eq!(reached, (17, 34));
    for_each_program(2_000, seed(), |program| {
        match confused(&machine::run(program).tree, program) {
            None => Ok(()),
            Some(how) => Err(how),
        }
    });
}
