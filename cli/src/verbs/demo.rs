//! `demo`: a parent with two private children in a host that is gone afterwards, and the call tree of what they do.

use crate::args::Global;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::{CallReport, call_tree};
use crate::text::{self, tgas};
use anyhow::Result;
use cotenant_host::runtime::Status;
use cotenant_host::{Call, Host, HostFault, Options};
use cotenant_submodules::{ModuleId, Visibility};
use serde::Serialize;

/// The modules of the demo: where each is deployed, how, and what it does.
const MODULES: [(&str, Visibility, &str); 3] = [
    ("demo.near", Visibility::Public, "the parent: calls its children as it is told"),
    ("demo.near:yielder", Visibility::Private, "asks its parent for numbers and sums them"),
    ("demo.near:hasher", Visibility::Private, "hashes its input, if its parent grants `crypto`"),
];

/// The calls of the demo: what happens, the method, its arguments.
const CALLS: [(&str, &str, &str); 2] = [
    (
        "Two children at once, each suspended while the other runs (3 and 2 questions)",
        "interleave",
        r#"{"namespace":"yielder","method":"sum","args":["AwAAAAAAAAA=","AgAAAAAAAAA="]}"#,
    ),
    (
        "A child that may do one thing: hash",
        "call",
        r#"{"namespace":"hasher","method":"sha256","args":"aGVsbG8=","opening":{"grants":1}}"#,
    ),
];

#[derive(Serialize)]
struct DemoReport {
    modules: Vec<&'static str>,
    calls: Vec<CallReport>,
}

pub(super) fn run(global: &Global, console: &Console) -> Result<Exit> {
    let host = Host::in_memory(&Options { protocol: global.protocol, ..Options::default() })?;
    for (module, visibility, role) in MODULES {
        let id: ModuleId = module.parse()?;
        let progress = console.progress(format!("compiling {id}"));
        host.deploy(&id, visibility, code(&id))?;
        drop(progress);
        if !global.json {
            console.data(format_args!("{module:<18} {visibility:<8} {role}"))?;
        }
    }
    let parent: ModuleId = MODULES[0].0.parse()?;
    let mut calls = Vec::new();
    for (title, method, args) in CALLS {
        let outcome = host.call(&Call::new(parent.clone(), method).args(args))?;
        let report = CallReport::of(&outcome)
            .ok_or_else(|| HostFault::Bug("the receipt of the call did not run".into()))?;
        if let Some(abort) = &report.abort {
            return Err(
                Failure::new(Exit::of_abort(&abort.code), &abort.code, &abort.message).into()
            );
        }
        if !global.json {
            console.data(format_args!("\n{title}\n$ call {parent} {method} '{args}'"))?;
            if let Some(tree) = &report.tree {
                console.data(call_tree(tree, global.verbose))?;
            }
            if let Some(Status::SuccessValue(bytes)) = outcome.status() {
                console.data(format_args!("result: {}", text::result(bytes)))?;
            }
            console.data(format_args!(
                "gas: {} in the VM, {} in all",
                tgas(report.gas_vm),
                tgas(report.gas_total)
            ))?;
        }
        calls.push(report);
    }
    if global.json {
        console
            .object(&DemoReport { modules: MODULES.map(|(module, ..)| module).to_vec(), calls })?;
    } else {
        console.note(
            "\nNothing was kept. `cotenant contracts --out DIR` writes these modules as files.",
        );
    }
    Ok(Exit::Fine)
}

fn code(module: &ModuleId) -> &'static [u8] {
    match module.namespace.as_str() {
        "yielder" => cotenant_contracts::yielder(),
        "hasher" => cotenant_contracts::hasher(),
        _ => cotenant_contracts::router(),
    }
}
