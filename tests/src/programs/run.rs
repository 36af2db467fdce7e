//! A call program on an engine: its modules deployed, its root call executed, and what came of it in the
//! model's words.

use super::{Case, check_gas, module_text, strip};
use crate::world::{Account, call_context};
use cotenant_gas::Schedule;
use cotenant_host::action::{Action, PendingReceipt};
use cotenant_host::deploy::ModuleSource;
use cotenant_host::engine::EngineKind;
use cotenant_host::exec::{self, CallContext, Execution, Rules};
use cotenant_host::registry::Registry;
use cotenant_submodules::calls::Ending;
use cotenant_submodules::model::{Outcome, Program, Receipt, Storage};
use near_vm_runner::logic::types::ReturnData;
use std::rc::Rc;
use std::sync::Arc;

/// Deploys the modules of a program.
///
/// # Errors
/// A module is refused.
pub fn deploy(registry: &Registry, program: &Program) -> Result<Account, String> {
    let mut account = Account { storage: program.storage.clone(), ..Account::default() };
    for module in &program.modules {
        let text = module_text(module);
        let code = wat::parse_str(&text).map_err(|error| format!("{error}\n{text}"))?;
        account
            .deploy(registry, module.namespace.clone(), module.visibility, &code)
            .map_err(|error| format!("{error}\n{text}"))?;
    }
    Ok(account)
}

/// Runs the program of a case on an engine, or on those that `source` chooses; gives what must be equal on every engine.
///
/// # Errors
/// Where the host differs from the model, or gas from its rules.
pub fn observe(
    case: &Case,
    schedule: &Arc<Schedule>,
    source: Rc<dyn ModuleSource>,
    account: Rc<Account>,
    engine: EngineKind,
) -> Result<String, String> {
    let program = &case.program;
    let mut rules = Rules::new(schedule.clone());
    rules.limits = program.limits;
    let execution = exec::execute(&Arc::new(rules), account, source, engine, context(program))
        .map_err(|fault| format!("{engine}: host fault: {fault}"))?;
    let gas =
        format!("burnt {} used {}\n{:#?}", execution.gas_burnt, execution.gas_used, execution.tree);
    if execution.tree.gas_burnt != execution.gas_burnt || execution.gas_used > program.gas {
        return Err(format!("{engine}: gas of the root is not that of its tree: {gas}"));
    }
    check_gas(program, &execution.tree).map_err(|error| format!("{engine}: {error}\n{gas}"))?;
    let found = outcome(program, execution)?;
    if found != case.expected {
        let expected = &case.expected;
        return Err(format!("{engine} did\n{found:#?}\nthe model says\n{expected:#?}"));
    }
    Ok(gas)
}

fn context(program: &Program) -> CallContext {
    CallContext {
        namespace: program.modules[0].namespace.clone(),
        method: program.root_method.clone(),
        input: program.arguments.clone(),
        balance: program.ledger.balance,
        storage_usage: program.ledger.storage_usage,
        ..call_context(program.gas)
    }
}

fn outcome(program: &Program, execution: Execution) -> Result<Outcome, String> {
    let result = match (&execution.tree.ending, execution.return_data) {
        (Ending::Returned, ReturnData::Value(bytes)) => Ok(bytes),
        (Ending::Failed(failure), _) => Err(failure.clone()),
        (ending, data) => return Err(format!("the root ended {ending:?} with {data:?}")),
    };
    let mut storage = program.storage.clone();
    let mut receipts = Vec::new();
    if let Some(effects) = execution.effects {
        receipts = effects.receipts.iter().map(receipt).collect::<Result<_, _>>()?;
        for (namespace, writes) in effects.writes {
            let entries: &mut Storage = storage.entry(namespace).or_default();
            for (key, value) in writes {
                match value {
                    Some(value) => drop(entries.insert(key, value)),
                    None => drop(entries.remove(&key)),
                }
            }
        }
    }
    storage.retain(|_, entries| !entries.is_empty());
    let mut tree = execution.tree;
    strip(&mut tree);
    Ok(Outcome {
        result,
        gas_burnt: 0,
        gas_used: 0,
        logs: execution.logs,
        receipts,
        storage,
        ledger: execution.ledger,
        tree,
    })
}

fn receipt(receipt: &PendingReceipt) -> Result<Receipt, String> {
    match (receipt.actions.as_slice(), receipt.after.as_slice()) {
        ([Action::FunctionCall { method, args, deposit, gas, weight: 0 }], after)
            if args.is_empty() && after.len() < 2 =>
        {
            Ok(Receipt {
                receiver: receipt.receiver.to_string(),
                method: method.clone(),
                gas: *gas,
                deposit: *deposit,
                after: after.first().copied(),
            })
        }
        _ => Err(format!("no program makes such a receipt: {receipt:?}")),
    }
}
