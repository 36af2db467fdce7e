//! `doctor`: whether this machine and the home are as Cotenant wants them.

use crate::args::Global;
use crate::console::Console;
use crate::failure::Exit;
use crate::report::table;
use crate::text::shown;
use anyhow::Result;
use cotenant_host::compile::{Compile, CompileLimits, Compiler};
use cotenant_host::engine::EngineKind;
use cotenant_host::state::{STATE_FILE, scrub};
use cotenant_host::{Call, Host, Options};
use cotenant_submodules::{ModuleId, Visibility};
use serde::Serialize;
use std::fs;
use std::process::Command;

/// Mappings that Linux gives a process unless it is told otherwise; an engine with all its slots wants about as many.
const MAPPINGS_USUAL: u64 = 65_530;

#[derive(Serialize)]
struct DoctorReport {
    ok: bool,
    checks: Vec<Check>,
}

/// A property of the machine or the home, and its state.
#[derive(Serialize)]
struct Check {
    name: &'static str,
    state: State,
    found: String,
    hint: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Note,
    /// It does not work.
    Broken,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Ok, found: found.into(), hint: None }
    }

    fn note(name: &'static str, found: impl Into<String>, hint: &'static str) -> Self {
        Self { name, state: State::Note, found: found.into(), hint: Some(hint) }
    }

    fn broken(name: &'static str, found: impl Into<String>, hint: &'static str) -> Self {
        Self { name, state: State::Broken, found: found.into(), hint: Some(hint) }
    }
}

pub(super) fn run(global: &Global, console: &Console) -> Result<Exit> {
    let progress = console.progress("looking at the machine and the home");
    let checks = vec![
        machine(),
        mappings(),
        engine("interpreter", EngineKind::Wasmi),
        engine("native code", EngineKind::Cranelift),
        home(global),
        target(),
    ];
    drop(progress);
    let report =
        DoctorReport { ok: checks.iter().all(|check| check.state != State::Broken), checks };
    let exit = if report.ok { Exit::Fine } else { Exit::Internal };
    if console.json {
        console.object(&report)?;
        return Ok(exit);
    }
    let mut rows = table(&["check", "state", "found"], &[]);
    for check in &report.checks {
        let state = match check.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Broken => "broken",
        };
        rows.add_row([check.name, state, &shown(&check.found)]);
    }
    console.data(rows)?;
    for check in &report.checks {
        if let Some(hint) = check.hint {
            console.data(format_args!("{}: {hint}", check.name))?;
        }
    }
    Ok(exit)
}

fn machine() -> Check {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let found = format!("{} on {}, {cpus} CPUs", std::env::consts::ARCH, std::env::consts::OS);
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64" | "aarch64") => Check::ok("machine", found),
        _ => Check::broken("machine", found, "Cotenant runs on Linux, x86_64 or aarch64"),
    }
}

fn mappings() -> Check {
    const NAME: &str = "memory mappings";
    let read = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    match read.trim().parse::<u64>() {
        Ok(found) if found >= MAPPINGS_USUAL => Check::ok(NAME, format!("{found} a process")),
        Ok(found) => Check::note(
            NAME,
            format!("{found} a process"),
            "fewer modules can be live at once; `sysctl vm.max_map_count=65530` gives the usual number",
        ),
        Err(_) => Check::note(NAME, "unknown", "/proc/sys/vm/max_map_count could not be read"),
    }
}

/// Deploys and calls a module in memory, compiled by a child process as commands do it.
fn engine(name: &'static str, kind: EngineKind) -> Check {
    let hint = "calls run on the interpreter without native code, with the same outcomes; please report what was found";
    match try_engine(kind) {
        Ok(()) => Check::ok(name, format!("{kind} deploys and calls")),
        Err(error) => Check::broken(name, format!("{kind}: {error}"), hint),
    }
}

fn try_engine(kind: EngineKind) -> Result<()> {
    let compile = if kind == EngineKind::Wasmi { Compile::Never } else { Compile::Wait };
    let compiler = Compiler::Process {
        program: "/proc/self/exe".into(),
        arguments: vec!["compile-worker".into()],
        limits: CompileLimits::default(),
    };
    let options =
        Options { engines: vec![kind], compile: Some(compile), compiler, ..Options::default() };
    let host = Host::in_memory(&options)?;
    let module: ModuleId = "doctor.near".parse()?;
    host.deploy(&module, Visibility::Public, cotenant_contracts::soak())?;
    let record = host.modules(&module.account)?;
    let status = record.values().map(|record| host.registry().status(record)).next();
    if let Some(status) = status.filter(|status| status.tier != kind) {
        anyhow::bail!(status.reason.unwrap_or_else(|| format!("runs on {}", status.tier)));
    }
    let outcome = host.call(&Call::new(module, "cpu_ram_soak").args(1_u64.to_le_bytes()))?;
    match outcome.status() {
        Some(cotenant_host::runtime::Status::SuccessValue(_)) => Ok(()),
        Some(status) => anyhow::bail!("{status}"),
        None => anyhow::bail!("the call did not end"),
    }
}

/// The home, read and not made.
fn home(global: &Global) -> Check {
    const NAME: &str = "home";
    let folder = global.home.display();
    if !global.home.join(STATE_FILE).exists() {
        return Check::note(NAME, format!("{folder}: not there yet"), "the first deploy makes it");
    }
    match scrub(&global.home) {
        Ok(scrubbed) => Check::ok(NAME, format!("{folder}: {} pages, no damage", scrubbed.pages)),
        Err(error) => Check::broken(NAME, error.to_string(), "`cotenant state scrub` says more"),
    }
}

/// Checks whether contracts can be built.
fn target() -> Check {
    const NAME: &str = "building contracts";
    const HINT: &str =
        "`rustup target add wasm32-unknown-unknown`; only who builds contracts needs it";
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", "wasm32-unknown-unknown"])
        .output();
    let folder = asked.ok().filter(|output| output.status.success());
    let folder = folder.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match folder {
        None => Check::note(
            NAME,
            "no rustc",
            "rustup.rs installs it; only who builds contracts needs it",
        ),
        Some(folder) if fs::exists(&folder).unwrap_or(false) => {
            Check::ok(NAME, "rustc with wasm32-unknown-unknown")
        }
        Some(_) => Check::note(NAME, "rustc without wasm32-unknown-unknown", HINT),
    }
}
