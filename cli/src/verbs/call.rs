//! `call ACCOUNT[:NAMESPACE] METHOD [ARGS]`: a transaction with one function call, and all that comes of it.

use crate::args::{Global, Target};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::{CallReport, ReceiptReport, StatusReport, call_tree, key_values, receipts};
use crate::text::{self, shown, tgas};
use crate::verbs;
use anyhow::Result;
use cotenant_host::exec::Abort;
use cotenant_host::runtime::{Status, TransactionOutcome};
use cotenant_host::{Call, HostFault};
use near_account_id::AccountId;
use near_gas::NearGas;
use near_token::NearToken;
use std::time::Instant;

pub(super) fn run(
    target: &Target,
    gas: NearGas,
    deposit: NearToken,
    signer: Option<AccountId>,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let args = verbs::input(target)?;
    let host = verbs::open(global, console)?;
    verbs::choose_engine(&host, target, console)?;
    let named = [Some(&target.module.account), signer.as_ref()];
    verbs::announce(&host, named.into_iter().flatten(), console)?;
    let call = Call {
        module: target.module.clone(),
        method: target.method.clone(),
        args,
        gas: gas.as_gas(),
        deposit: deposit.as_yoctonear(),
        signer,
    };
    let start = Instant::now();
    let outcome = host.call(&call)?;
    console.detail(format_args!("ran in {} us", start.elapsed().as_micros()));
    let report = CallReport::of(&outcome)
        .ok_or_else(|| HostFault::Bug("the receipt of the call did not run".into()))?;
    let failure = failure(target, &call, &outcome, &report);
    if console.json {
        console.object(&report)?;
    } else {
        print(&outcome, &report, console)?;
        if let Some(failure) = &failure {
            console.block(failure);
        }
    }
    verbs::linger(&host);
    Ok(failure.map_or(Exit::Fine, |failure| failure.exit))
}

/// What a failed root call comes to, or the failure of the promise that it returned.
fn failure(
    target: &Target,
    call: &Call,
    outcome: &TransactionOutcome,
    report: &CallReport,
) -> Option<Failure> {
    if let Some(abort) = &report.abort {
        let gas =
            format!("{} of {} prepaid", tgas(report.gas_used.max(report.gas_vm)), tgas(call.gas));
        return Some(aborted(target, abort).with("gas", gas));
    }
    match outcome.status()? {
        Status::Failure(failure) => {
            let message = format!("the promise that the call returned failed: {}", failure.message);
            Some(Failure::new(Exit::of_abort(&failure.code), &failure.code, message))
        }
        _ => None,
    }
}

/// A root call that failed: where, and what to do.
pub(super) fn aborted(target: &Target, abort: &Abort) -> Failure {
    let Target { module, method, .. } = target;
    let mut place = format!("{module}, method {method}");
    if abort.module != module.namespace.as_str() {
        place.push_str(&format!(", in module `{}`", abort.module));
    }
    let failure = Failure::new(Exit::of_abort(&abort.code), &abort.code, &abort.message);
    let failure = failure.with("where", place);
    match hint(target, &abort.code) {
        Some(hint) => failure.with("hint", hint),
        None => failure,
    }
}

fn hint(target: &Target, code: &str) -> Option<String> {
    let module = &target.module;
    Some(match code {
        "HostError.GasExceeded" => "attach more gas: `--gas \"300 Tgas\"`".into(),
        "HostError.NamespaceNotFound" => {
            format!(
                "deploy it first: `cotenant deploy {module} FILE`; `cotenant modules {}` lists what is there",
                module.account
            )
        }
        "HostError.PrivateModule" => "call a public module of its account that calls it".into(),
        "MethodResolveError.MethodNotFound" => {
            "the module exports no function of that name without parameters and results".into()
        }
        "LackBalanceForState" => "attach a deposit, or let the contract free storage".into(),
        _ => return None,
    })
}

fn print(outcome: &TransactionOutcome, report: &CallReport, console: &Console) -> Result<()> {
    let mut rows = Vec::new();
    if report.ok {
        let result = match outcome.status() {
            Some(Status::SuccessValue(bytes)) => text::result(bytes),
            Some(_) => "(the promise that it returned failed)".into(),
            None => "(waits for a yield to be resumed)".into(),
        };
        rows.push(("result", result));
    }
    rows.push(("gas VM", tgas(report.gas_vm)));
    rows.push(("gas used", tgas(report.gas_used)));
    rows.push(("gas total", tgas(report.gas_total)));
    console.data(key_values(&rows))?;
    for receipt in report.receipts.iter().chain(&report.other_receipts) {
        logs(receipt, console)?;
    }
    if let Some(tree) = &report.tree {
        console.data(format_args!("\n{}", call_tree(tree, console.verbose)))?;
    }
    console.data(format_args!("\n{}", receipts(&report.receipts)))?;
    if !report.other_receipts.is_empty() {
        let others = receipts(&report.other_receipts);
        console.data(format_args!("\nof earlier transactions, in the same blocks:\n{others}"))?;
    }
    Ok(())
}

/// What a receipt logged, and why it failed.
fn logs(receipt: &ReceiptReport, console: &Console) -> Result<()> {
    for log in &receipt.logs {
        console.data(format_args!("log {}: {}", receipt.receiver, shown(log)))?;
    }
    if let StatusReport::Failure { code, message, .. } = &receipt.status {
        console.data(format_args!(
            "failed {}: {}: {}",
            receipt.receiver,
            shown(code),
            shown(message)
        ))?;
    }
    Ok(())
}
