//! `contracts [--out DIR]`: the project's contracts, as a list or as files to deploy.

use crate::args::Global;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::report::table;
use anyhow::Result;
use serde::Serialize;
use std::fs;
use std::path::Path;

#[derive(Serialize)]
struct ContractsReport {
    contracts: Vec<ContractReport>,
}

#[derive(Serialize)]
struct ContractReport {
    name: &'static str,
    /// The visibility it is meant to be deployed with.
    visibility: &'static str,
    /// The group of host functions that a caller has to grant.
    requires: Option<&'static str>,
    code_bytes: usize,
    /// The file that was written.
    path: Option<String>,
}

pub(super) fn run(out: Option<&Path>, global: &Global, console: &Console) -> Result<Exit> {
    if let Some(folder) = out {
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    }
    let mut contracts = Vec::new();
    for (name, code) in cotenant_contracts::ALL {
        let path = out.map(|folder| folder.join(format!("{name}.wasm")));
        if let Some(path) = &path {
            fs::write(path, code).map_err(|error| unwritable(path, &error))?;
        }
        let private = cotenant_contracts::PRIVATE.iter().find(|(private, _)| private == name);
        contracts.push(ContractReport {
            name,
            visibility: if private.is_some() { "private" } else { "public" },
            requires: private.and_then(|(_, group)| *group),
            code_bytes: code.len(),
            path: path.map(|path| path.display().to_string()),
        });
    }
    if global.json {
        console.object(&ContractsReport { contracts })?;
        return Ok(Exit::Fine);
    }
    let mut rows = table(&["contract", "deploy as", "requires", "bytes"], &[3]);
    for contract in &contracts {
        rows.add_row([
            contract.name.to_owned(),
            contract.visibility.to_owned(),
            contract.requires.unwrap_or_default().to_owned(),
            contract.code_bytes.to_string(),
        ]);
    }
    console.data(rows)?;
    match out {
        Some(folder) => {
            console.note(format_args!("{} files written to {}", contracts.len(), folder.display()))
        }
        None => console.note("`--out DIR` writes them as files, for `cotenant deploy`"),
    }
    Ok(Exit::Fine)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage("FileUnwritable", format!("{}: {error}", path.display()))
        .with("hint", "choose a folder that may be written: `--out DIR`")
}
