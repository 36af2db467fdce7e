//! What `call` and `view` have in common: which engine runs, what is compiled before and after, where a result goes.

use crate::args::{Shown, Target};
use crate::console::Console;
use crate::text;
use anyhow::Result;
use cotenant_host::Host;
use cotenant_host::engine::EngineKind;
use cotenant_submodules::ModuleId;
use near_account_id::AccountId;
use std::time::Duration;

/// Time that a command waits for the compiles that its calls began, so that the next command finds them done.
const LINGER: Duration = Duration::from_secs(1);

/// The longest that it waits.
const LINGER_MAX: Duration = Duration::from_secs(32);

/// Gives the compiles that a call began a moment to end. What does not is begun again by the next process, which waits twice
/// as long for it, so that large modules are compiled too.
pub(super) fn linger(host: &Host) {
    let again = host.registry().attempts().saturating_sub(1).min(5);
    host.registry().settle((LINGER * 2_u32.pow(again)).min(LINGER_MAX));
}

/// Compiles all modules of an account that are not compiled yet, or have failed; says which cannot be.
fn compile_all(host: &Host, account: &AccountId, console: &Console) -> Result<()> {
    for (namespace, record) in host.modules(account)? {
        let module = ModuleId { account: account.clone(), namespace };
        let progress = console.progress(format!("compiling {module}"));
        let compiled = host.registry().compile(&record, false)?;
        drop(progress);
        if let Err(reason) = compiled {
            console.note(format_args!("{module} runs on wasmi: {reason}"));
        }
    }
    Ok(())
}

/// Chooses the engine of a call, and says so if the module is not ready on it.
pub(super) fn choose_engine(host: &Host, target: &Target, console: &Console) -> Result<()> {
    if target.wait {
        compile_all(host, &target.module.account, console)?;
    }
    let Some(engine) = target.engine else { return Ok(()) };
    host.use_engine(engine);
    let modules = host.modules(&target.module.account)?;
    if let Some(record) = modules.get(&target.module.namespace) {
        let status = host.registry().status(record);
        if let (true, Some(reason)) = (engine != EngineKind::Wasmi, status.reason) {
            console.note(format_args!("{} runs on {}: {reason}", target.module, status.tier));
        }
    }
    Ok(())
}

/// Prints a result that is to stand alone on stdout; nothing if the call has none.
pub(super) fn print_alone(shown: Shown, result: &[u8], console: &Console) -> Result<()> {
    match result {
        _ if shown.raw => console.bytes(result),
        [] => Ok(()),
        result if shown.result => console.data(text::result_alone(result)),
        _ => Ok(()),
    }
}
