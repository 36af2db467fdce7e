//! `view ACCOUNT[:NAMESPACE] METHOD [ARGS]`: a call that leaves nothing behind.

use crate::args::{Global, Target};
use crate::console::Console;
use crate::failure::Exit;
use crate::report::{TreeReport, ViewReport, call_tree, key_values};
use crate::text::{self, shown, tgas};
use crate::verbs::call::aborted;
use crate::verbs::{home, input, running};
use anyhow::Result;
use std::time::Instant;

pub(super) fn run(target: &Target, global: &Global, console: &Console) -> Result<Exit> {
    let args = input::arguments(&target.input)?;
    let host = home::read(global, console)?;
    home::existing(&host, &target.module.account)?;
    running::choose_engine(&host, target, console)?;
    let start = Instant::now();
    let execution = host.view(&target.module, &target.method, &args)?;
    console.detail(format_args!("ran in {} us", start.elapsed().as_micros()));
    let result = match execution.abort {
        None => execution.return_data.as_value().unwrap_or_default(),
        Some(_) => Vec::new(),
    };
    let report = ViewReport {
        ok: execution.abort.is_none(),
        result: text::decoded(&result),
        result_base64: text::base64(&result),
        error: execution.abort.as_ref().map(|abort| aborted(&host, target, abort)),
        gas_vm: execution.gas_burnt,
        logs: execution.logs,
        tree: TreeReport::of(&execution.tree),
        abort: execution.abort,
    };
    if console.json {
        console.object(&report)?;
    } else {
        running::print_alone(target.shown, &result, console)?;
        print(&report, &result, target.shown.alone(), console)?;
        if let Some(failure) = &report.error {
            console.block(failure);
        }
    }
    running::linger(&host);
    Ok(report.error.map_or(Exit::Fine, |failure| failure.exit))
}

fn print(report: &ViewReport, result: &[u8], alone: bool, console: &Console) -> Result<()> {
    let mut rows = Vec::new();
    if report.ok && !alone {
        rows.push(("result", text::result(result)));
    }
    rows.push(("gas VM", tgas(report.gas_vm)));
    console.told(alone, key_values(&rows))?;
    for log in &report.logs {
        console.told(alone, format_args!("log: {}", shown(log)))?;
    }
    console.told(alone, format_args!("\n{}", call_tree(&report.tree, console.verbose)))
}
