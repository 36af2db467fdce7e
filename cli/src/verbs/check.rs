//! `check FILE`: what a module could be deployed as, and why not.

use crate::args::Global;
use crate::console::{Console, rule_lines};
use crate::failure::{BrokenRule, Exit, Failure, broken_rules};
use crate::text::shown;
use crate::verbs::input;
use crate::verbs::warnings::{self, Warning};
use anyhow::Result;
use cotenant_gas::{FEATURES_PROTOCOL, Schedule};
use cotenant_host::HostError;
use cotenant_submodules::Grants;
use cotenant_submodules::validate::{Inspection, Rejection, ValidModule, inspect};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct CheckReport {
    file: String,
    code_bytes: usize,
    methods: Vec<MethodReport>,
    warnings: Vec<Warning>,
    public: PublicReport,
    private: PrivateReport,
}

/// An exported function.
#[derive(Serialize)]
struct MethodReport {
    name: String,
    /// Set if it can be called: it has no parameters and no results.
    callable: bool,
}

#[derive(Serialize)]
struct PublicReport {
    eligible: bool,
    violations: Vec<BrokenRule>,
    violations_omitted: u64,
}

#[derive(Serialize)]
struct PrivateReport {
    eligible: bool,
    requires: Vec<&'static str>,
    violations: Vec<BrokenRule>,
    violations_omitted: u64,
}

pub(super) fn run(file: &Path, global: &Global, console: &Console) -> Result<Exit> {
    let code = input::module(file)?;
    let schedule = Schedule::for_protocol(global.protocol.unwrap_or(FEATURES_PROTOCOL))
        .map_err(HostError::from)?;
    let found = inspect(&code, &schedule.vm);
    let warnings = warnings::of(&code, &found, &schedule.vm.limit_config);
    let methods = methods(&found);
    let (eligible, violations, violations_omitted) = verdict(&found.public);
    let public = PublicReport { eligible, violations, violations_omitted };
    let (eligible, violations, violations_omitted) = verdict(&found.private);
    let requires = found.private.as_ref().map_or(Grants::NONE, |module| module.requirements.grants);
    let requires = requires.iter().map(|capability| capability.name()).collect();
    let private = PrivateReport { eligible, requires, violations, violations_omitted };
    let file = file.display().to_string();
    let code_bytes = code.len();
    let report = CheckReport { file, code_bytes, methods, warnings, public, private };
    if console.json {
        console.object(&report)?;
    } else {
        print(&report, console)?;
    }
    if report.public.eligible || report.private.eligible {
        return Ok(Exit::Fine);
    }
    if !console.json {
        let message =
            format!("{} cannot be deployed, neither as public nor as private", report.file);
        console.block(&Failure::new(Exit::Contract, "DeployError", message));
    }
    Ok(Exit::Contract)
}

/// The functions that a module exports, if it can be deployed as one kind at least.
fn methods(found: &Inspection) -> Vec<MethodReport> {
    let module = found.public.as_ref().ok().or(found.private.as_ref().ok());
    let exports = module.iter().flat_map(|module| &module.exports);
    exports
        .map(|(name, callable)| MethodReport { name: name.clone(), callable: *callable })
        .collect()
}

fn verdict(module: &Result<ValidModule, Rejection>) -> (bool, Vec<BrokenRule>, u64) {
    match module {
        Ok(_) => (true, Vec::new(), 0),
        Err(rejection) => (false, broken_rules(rejection), rejection.omitted),
    }
}

fn print(report: &CheckReport, console: &Console) -> Result<()> {
    let CheckReport { file, code_bytes, methods, warnings, public, private } = report;
    let answer = |eligible: bool| if eligible { "yes" } else { "no" };
    let requires = match (private.eligible, private.requires.is_empty()) {
        (false, _) => String::new(),
        (true, true) => ", requires no grants".to_owned(),
        (true, false) => format!(", requires {}", private.requires.join(", ")),
    };
    console.data(format_args!("{}: {code_bytes} bytes", shown(file)))?;
    console.data(format_args!(
        "public: {}{}",
        answer(public.eligible),
        rules(&public.violations, public.violations_omitted)
    ))?;
    console.data(format_args!(
        "private: {}{requires}{}",
        answer(private.eligible),
        rules(&private.violations, private.violations_omitted)
    ))?;
    if public.eligible || private.eligible {
        console.data(method_lines(methods))?;
    }
    for Warning { code, message, hint } in warnings {
        console.data(format_args!("warning[{code}]: {}\n  hint: {hint}", shown(message)))?;
    }
    Ok(())
}

/// The methods that can be called, and exports that look like methods and are none.
fn method_lines(methods: &[MethodReport]) -> String {
    let names = |callable: bool| {
        let names = methods.iter().filter(|method| method.callable == callable);
        names.map(|method| shown(&method.name)).collect::<Vec<_>>().join(", ")
    };
    let mut lines = match names(true) {
        none if none.is_empty() => "methods: none".to_owned(),
        names => format!("methods: {names}"),
    };
    let others = names(false);
    if !others.is_empty() {
        lines.push_str(&format!(
            "\nexported, but not callable (it has parameters or results): {others}"
        ));
    }
    lines
}

/// The broken rules, indented below the kind they forbid.
fn rules(violations: &[BrokenRule], omitted: u64) -> String {
    let lines = rule_lines(violations);
    let mut text: String = lines.lines().map(|line| format!("\n  {line}")).collect();
    if omitted > 0 {
        text.push_str(&format!("\n  and {omitted} more"));
    }
    text
}
