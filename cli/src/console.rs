//! Where output goes: data to stdout, everything else to stderr.

use crate::failure::{BrokenRule, Exit, Failure};
use crate::text;
use anyhow::Context;
use indicatif::ProgressBar;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The streams of a command, and how much it says on them.
#[derive(Clone, Debug)]
pub(crate) struct Console {
    /// One JSON object instead of tables.
    pub(crate) json: bool,
    /// More notes.
    pub(crate) verbose: bool,
    quiet: bool,
    /// Stderr is a terminal that can move its cursor.
    terminal: bool,
    colour: bool,
}

/// Work that takes less is not worth a line.
const PROGRESS_AFTER: Duration = Duration::from_millis(500);

const PROGRESS_TICK: Duration = Duration::from_millis(120);

/// A line of progress, gone when this is dropped.
pub(crate) struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((done, shown)) = self.0.take() {
            drop(done);
            // The line is cleared before anything else is printed.
            let _ = shown.join();
        }
    }
}

impl Console {
    /// A console as the global options want it. Colours and progress are for terminals that can show them.
    pub(crate) fn new(json: bool, quiet: bool, verbose: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let terminal = io::stderr().is_terminal() && set("TERM").is_none_or(|term| term != "dumb");
        Self { json, verbose, quiet, terminal, colour: terminal && set("NO_COLOR").is_none() }
    }

    /// A console that was asked for JSON and for nothing else that could be understood.
    pub(crate) fn json_only() -> Self {
        Self { json: true, verbose: false, quiet: true, terminal: false, colour: false }
    }

    /// Tells whether progress may be shown.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && self.terminal
    }

    /// Shows a moving line on stderr from half a second on, until what it gives is dropped.
    pub(crate) fn progress(&self, what: impl Into<String>) -> Progress {
        if !self.shows_progress() {
            return Progress(None);
        }
        let what = what.into();
        let (done, ended) = mpsc::channel::<()>();
        let shown = thread::spawn(move || {
            if !matches!(ended.recv_timeout(PROGRESS_AFTER), Err(RecvTimeoutError::Timeout)) {
                return;
            }
            let bar = ProgressBar::new_spinner().with_message(what);
            bar.enable_steady_tick(PROGRESS_TICK);
            // It ends when its sender is dropped.
            let _ = ended.recv();
            bar.finish_and_clear();
        });
        Progress(Some((done, shown)))
    }

    /// Prints a note on stderr, unless quiet.
    pub(crate) fn note(&self, note: impl Display) {
        if !self.quiet {
            self.stderr(&format!("{}\n", text::shown_lines(&note.to_string())));
        }
    }

    /// Prints a note on stderr if it was asked for more (`-v`).
    pub(crate) fn detail(&self, note: impl Display) {
        if self.verbose {
            self.note(note);
        }
    }

    /// Data for people. What of it is a guest's has been escaped.
    pub(crate) fn data(&self, data: impl Display) -> anyhow::Result<()> {
        stdout(format!("{data}\n").as_bytes())
    }

    /// Prints what accompanies a result: on stdout, or on stderr if the result stands alone on stdout.
    pub(crate) fn told(&self, alone: bool, data: impl Display) -> anyhow::Result<()> {
        if !alone {
            return self.data(data);
        }
        if !self.quiet {
            self.stderr(&format!("{data}\n"));
        }
        Ok(())
    }

    /// Bytes as they are, and nothing else.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> anyhow::Result<()> {
        stdout(bytes)
    }

    /// Data for programs.
    pub(crate) fn object(&self, value: &impl Serialize) -> anyhow::Result<()> {
        stdout(format!("{}\n", text::json_line(value).context("JSON")?).as_bytes())
    }

    /// Says why a command did not do its work: a block on stderr, or an object on stdout.
    pub(crate) fn failure(&self, failure: &Failure) -> Exit {
        #[derive(Serialize)]
        struct Object<'a> {
            error: &'a Failure,
        }
        if self.json {
            // Without stdout the exit code has to do.
            let _ = self.object(&Object { error: failure });
        } else {
            self.block(failure);
        }
        failure.exit
    }

    /// The readable block of a failure, on stderr.
    pub(crate) fn block(&self, failure: &Failure) {
        let (red, bold, plain) =
            if self.colour { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let code = text::shown(&failure.code);
        let message = text::shown_lines(&failure.message);
        let mut block = format!("{red}error[{code}]{plain}: {bold}{message}{plain}\n");
        for (name, fact) in &failure.facts {
            block.push_str(&fact_line(name, fact));
        }
        block.push_str(&rule_lines(&failure.violations));
        self.stderr(&block);
    }

    fn stderr(&self, text: &str) {
        // A failure to write to stderr cannot be reported anywhere.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

/// Broken rules as lines: rule, found, limit, where, hint. What breaks the same rule shares its lines.
pub(crate) fn rule_lines(violations: &[BrokenRule]) -> String {
    let same = |one: &BrokenRule, other: &BrokenRule| {
        (&one.rule, &one.limit, &one.hint) == (&other.rule, &other.limit, &other.hint)
    };
    violations.chunk_by(same).map(group_lines).collect()
}

fn group_lines(group: &[BrokenRule]) -> String {
    let [BrokenRule { rule, found, limit, place, hint }, others @ ..] = group else {
        return String::new();
    };
    let facts: &[(&str, &String)] = if others.is_empty() {
        &[("rule", rule), ("found", found), ("limit", limit), ("where", place), ("hint", hint)]
    } else {
        &[("rule", rule), ("limit", limit), ("hint", hint)]
    };
    let mut lines: String = facts.iter().map(|(name, fact)| fact_line(name, fact)).collect();
    if !others.is_empty() {
        for BrokenRule { found, place, .. } in group {
            lines.push_str(&fact_line("found", &format!("{found}, where: {place}")));
        }
    }
    lines
}

fn fact_line(name: &str, fact: &str) -> String {
    let lead = if name == "rule" { "- " } else { "  " };
    let name = format!("{name}:");
    format!("{lead}{name:<6} {}\n", text::shown(fact))
}

/// A reader that went away has read enough.
fn stdout(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("stdout"),
    }
}
