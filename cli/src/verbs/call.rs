//! `call ACCOUNT[:NAMESPACE] METHOD [ARGS]`: a transaction with one function call, and all that comes of it.

use crate::args::{Global, Target};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::{CallReport, ReceiptReport, StatusReport, call_tree, key_values, receipts};
use crate::text::{self, shown, tgas};
use crate::verbs::{home, input, outcomes, running};
use anyhow::Result;
use cotenant_host::exec::Abort;
use cotenant_host::runtime::{Status, TransactionOutcome};
use cotenant_host::{Call, Host, HostFault};
use cotenant_submodules::ModuleId;
use cotenant_submodules::validate::validate;
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
    let args = input::arguments(&target.input)?;
    let host = home::read(global, console)?;
    for account in [Some(&target.module.account), signer.as_ref()].into_iter().flatten() {
        home::existing(&host, account)?;
    }
    running::choose_engine(&host, target, console)?;
    let call = Call {
        module: target.module.clone(),
        method: target.method.clone(),
        args,
        gas: gas.as_gas(),
        deposit: deposit.as_yoctonear(),
        signer,
    };
    let start = Instant::now();
    let progress = console.progress(format!("calling {}", target.module));
    let outcome = host.call(&call)?;
    drop(progress);
    console.detail(format_args!("ran in {} us", start.elapsed().as_micros()));
    let mut report = CallReport::of(&outcome)
        .ok_or_else(|| HostFault::Bug("the receipt of the call did not run".into()))?;
    report.error = failure(&host, target, &call, &outcome, &report);
    outcomes::keep(&global.home, &report.transaction, &report, console);
    if console.json {
        console.object(&report)?;
    } else {
        let result = match outcome.status() {
            Some(Status::SuccessValue(bytes)) if report.ok => bytes.as_slice(),
            _ => &[],
        };
        running::print_alone(target.shown, result, console)?;
        print(&outcome, &report, target.shown.alone(), console)?;
        if let Some(failure) = &report.error {
            console.block(failure);
        }
    }
    running::linger(&host);
    Ok(report.error.map_or(Exit::Fine, |failure| failure.exit))
}

/// Returns the failure of the root call, or of the promise that it returned.
fn failure(
    host: &Host,
    target: &Target,
    call: &Call,
    outcome: &TransactionOutcome,
    report: &CallReport,
) -> Option<Failure> {
    if let Some(abort) = &report.abort {
        let gas =
            format!("{} of {} prepaid", tgas(report.gas_used.max(report.gas_vm)), tgas(call.gas));
        return Some(aborted(host, target, abort).with("gas", gas));
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
pub(super) fn aborted(host: &Host, target: &Target, abort: &Abort) -> Failure {
    let Target { module, method, .. } = target;
    let mut place = format!("{module}, method {method}");
    if abort.module != module.namespace.as_str() {
        place.push_str(&format!(", in module `{}`", abort.module));
    }
    let failure = Failure::new(Exit::of_abort(&abort.code), &abort.code, &abort.message);
    let failure = failure.with("where", place);
    match hint(host, target, &abort.code) {
        Some(hint) => failure.with("hint", hint),
        None => failure,
    }
}

/// Returns a hint for a failure that is the same for every module.
pub(super) fn hint_of(code: &str) -> Option<&'static str> {
    match code {
        "HostError.GasExceeded" => Some("attach more gas"),
        "LackBalanceForState" => Some("attach a deposit, or let the contract free storage"),
        _ => None,
    }
}

fn hint(host: &Host, target: &Target, code: &str) -> Option<String> {
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
        "MethodResolveError.MethodNotFound" => match methods(host, module) {
            Some(methods) => format!("the methods of {module} are: {methods}"),
            None => "a method is an exported function without parameters and results".into(),
        },
        code => return hint_of(code).map(str::to_owned),
    })
}

/// Lists the methods of a module; `None` if it is not there or has none.
fn methods(host: &Host, module: &ModuleId) -> Option<String> {
    const SHOWN_MAX: usize = 40;
    let modules = host.modules(&module.account).ok()?;
    let record = modules.get(&module.namespace)?;
    let code = host.state().ok()?.code(&record.code_hash).ok()??;
    let valid = validate(&code, record.visibility, &host.runtime().schedule().vm).ok()?;
    let names = valid.exports.iter().filter(|(_, callable)| **callable);
    let names: Vec<&str> = names.map(|(name, _)| name.as_str()).take(SHOWN_MAX).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn print(
    outcome: &TransactionOutcome,
    report: &CallReport,
    alone: bool,
    console: &Console,
) -> Result<()> {
    let mut rows = Vec::new();
    if report.ok && !alone {
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
    rows.push(("transaction", report.transaction.clone()));
    console.told(alone, key_values(&rows))?;
    for receipt in report.receipts.iter().chain(&report.other_receipts) {
        logs(receipt, report.error.as_ref(), alone, console)?;
    }
    if let Some(tree) = &report.tree {
        console.told(alone, format_args!("\n{}", call_tree(tree, console.verbose)))?;
    }
    console.told(alone, format_args!("\n{}", receipts(&report.receipts)))?;
    if !report.other_receipts.is_empty() {
        let others = receipts(&report.other_receipts);
        console.told(
            alone,
            format_args!("\nof earlier transactions, in the same blocks:\n{others}"),
        )?;
    }
    Ok(())
}

/// Prints the logs of a receipt, and its failure unless the command ends with the same one.
fn logs(
    receipt: &ReceiptReport,
    told: Option<&Failure>,
    alone: bool,
    console: &Console,
) -> Result<()> {
    for log in &receipt.logs {
        console.told(alone, format_args!("log {}: {}", receipt.receiver, shown(log)))?;
    }
    if let StatusReport::Failure { code, message, .. } = &receipt.status
        && told.is_none_or(|told| told.code != *code || !told.message.ends_with(message.as_str()))
    {
        console.told(
            alone,
            format_args!("failed {}: {}: {}", receipt.receiver, shown(code), shown(message)),
        )?;
    }
    Ok(())
}
