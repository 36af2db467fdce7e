//! `cotenant`: one account, many modules, from the command line.
//!
//! Takes a verb; gives data on stdout, notes and errors on stderr, and one of five exit codes ([`Exit`]).
//! Nothing here decides what a call means or costs: that is the host's. Text of a guest's never reaches a
//! terminal unescaped ([`text`]).
#![forbid(unsafe_code)]

mod args;
mod bench;
mod console;
mod evm;
mod failure;
mod report;
mod text;
mod verbs;

use args::Cli;
use clap::Parser;
use console::Console;
use failure::{Exit, Failure};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    let global = &cli.global;
    let console = Console::new(global.json, global.quiet, global.verbose);
    // A panic is an internal fault and has the exit code of one.
    let ran = catch_unwind(AssertUnwindSafe(|| verbs::run(cli, &console)));
    let exit = match ran {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => console.failure(&Failure::of(&error)),
        Err(_) => console.failure(&Failure::new(
            Exit::Internal,
            "Panic",
            "cotenant panicked; this is a bug: report it with the command and the message above",
        )),
    };
    exit.into()
}

/// Prints why the arguments were refused, or the help that was asked for.
fn refused(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|argument| argument == "--json");
    if !json || !error.use_stderr() {
        // A failure to print this cannot be reported anywhere.
        let _ = error.print();
        return if error.use_stderr() { Exit::Usage.into() } else { Exit::Fine.into() };
    }
    let message = error.render().to_string();
    let message = message.trim().trim_start_matches("error: ");
    Console::json_only().failure(&Failure::new(Exit::Usage, "Usage", message)).into()
}
