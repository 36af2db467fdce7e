//! `abi`: the table of host functions, as Markdown or JSON.

use crate::args::Global;
use crate::console::Console;
use crate::failure::Exit;
use anyhow::Result;
use cotenant_gas::{FEATURES_PROTOCOL, Schedule};
use cotenant_host::HostError;
use cotenant_submodules::Capability;
use cotenant_submodules::table::{
    Group, HOST_FUNCTIONS, HostFunction, InView, Provider, Width, markdown,
};
use serde::Serialize;

#[derive(Serialize)]
struct AbiReport {
    functions: Vec<FunctionReport>,
}

#[derive(Serialize)]
struct FunctionReport {
    name: &'static str,
    params: Vec<ParamReport>,
    result: Option<&'static str>,
    provider: &'static str,
    group: String,
    public: bool,
    private: &'static str,
    view: bool,
    output_register: Option<&'static str>,
    enabled: bool,
}

#[derive(Serialize)]
struct ParamReport {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

pub(super) fn run(global: &Global, console: &Console) -> Result<Exit> {
    let schedule = Schedule::for_protocol(global.protocol.unwrap_or(FEATURES_PROTOCOL))
        .map_err(HostError::from)?;
    let functions = HOST_FUNCTIONS
        .iter()
        .map(|row| FunctionReport {
            name: row.name,
            params: row.params.iter().map(param).collect(),
            result: row.result.map(width),
            provider: match row.provider {
                Provider::Near => "near",
                Provider::Cotenant => "cotenant",
            },
            group: format!("{:?}", row.group),
            public: true,
            private: private(row),
            view: row.view == InView::Allowed,
            output_register: row.output.and_then(|index| row.params.get(index)).map(|p| p.name),
            enabled: row.enabled(&schedule.vm),
        })
        .collect();
    let report = AbiReport { functions };
    if console.json {
        console.object(&report)?;
    } else {
        console.data(markdown().trim_end())?;
    }
    Ok(Exit::Fine)
}

fn param(param: &cotenant_submodules::table::Param) -> ParamReport {
    ParamReport { name: param.name, kind: width(param.width) }
}

fn width(width: Width) -> &'static str {
    match width {
        Width::U32 => "u32",
        Width::U64 => "u64",
    }
}

/// Tells whether a private module may import a function: yes, no, or the grant that it needs.
fn private(row: &HostFunction) -> &'static str {
    match (row.group, Capability::of_group(row.group)) {
        (_, Some(capability)) => capability.name(),
        (Group::PublicOnly, None) => "no",
        (_, None) => "yes",
    }
}
