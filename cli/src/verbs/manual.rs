//! `completions` and `man`: what the shell and `man` know of the command line.

use crate::args::Cli;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use anyhow::Result;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::fs;
use std::path::Path;

pub(super) fn completions(shell: Shell, console: &Console) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cotenant", &mut script);
    console.bytes(&script)?;
    Ok(Exit::Fine)
}

pub(super) fn man(out: Option<&Path>, console: &Console) -> Result<Exit> {
    let command = Cli::command();
    let Some(folder) = out else {
        console.bytes(&page(&command)?)?;
        return Ok(Exit::Fine);
    };
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    clap_mangen::generate_to(command, folder).map_err(|error| unwritable(folder, &error))?;
    console.note(format_args!("written to {}", folder.display()));
    Ok(Exit::Fine)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage("FileUnwritable", format!("{}: {error}", path.display()))
}

/// A page in roff.
fn page(command: &Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}
