//! `view ACCOUNT[:NAMESPACE] METHOD [ARGS]`: a call that leaves nothing behind.

use crate::args::{Global, Target};
use crate::console::Console;
use crate::failure::Exit;
use crate::report::{TreeReport, ViewReport, call_tree, key_values};
use crate::text::{self, shown, tgas};
use crate::verbs;
use crate::verbs::call::aborted;
use anyhow::Result;
use std::time::Instant;

pub(super) fn run(target: &Target, global: &Global, console: &Console) -> Result<Exit> {
    let args = verbs::input(target)?;
    let host = verbs::open(global, console)?;
    verbs::choose_engine(&host, target, console)?;
    let start = Instant::now();
    let execution = host.view(&target.module, &target.method, &args)?;
    console.detail(format_args!("ran in {} us", start.elapsed().as_micros()));
    let result = match execution.abort {
        None => execution.return_data.as_value().unwrap_or_default(),
        Some(_) => Vec::new(),
    };
    let report = ViewReport {
        ok: execution.abort.is_none(),
        result_base64: text::base64(&result),
        gas_vm: execution.gas_burnt,
        logs: execution.logs,
        tree: TreeReport::of(&execution.tree),
        abort: execution.abort,
    };
    let failure = report.abort.as_ref().map(|abort| aborted(target, abort));
    if console.json {
        console.object(&report)?;
    } else {
        print(&report, &result, console)?;
        if let Some(failure) = &failure {
            console.block(failure);
        }
    }
    verbs::linger(&host);
    Ok(failure.map_or(Exit::Fine, |failure| failure.exit))
}

fn print(report: &ViewReport, result: &[u8], console: &Console) -> Result<()> {
    let mut rows = Vec::new();
    if report.ok {
        rows.push(("result", text::result(result)));
    }
    rows.push(("gas VM", tgas(report.gas_vm)));
    console.data(key_values(&rows))?;
    for log in &report.logs {
        console.data(format_args!("log: {}", shown(log)))?;
    }
    console.data(format_args!("\n{}", call_tree(&report.tree, console.verbose)))
}
