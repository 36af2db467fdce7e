//! The tables of the benchmark, for people.

use crate::bench::{Mode, Row};
use crate::report::{TreeReport, table};
use crate::text::tgas;
use std::collections::BTreeMap;

/// What was published in 2023: loops, then Tgas of the call's receipt, native and interpreted by wasmi 0.30.
const PUBLISHED: [(u64, f64, f64); 5] = [
    (1, 2.668, 73.66),
    (100, 2.673, 74.78),
    (1_000, 2.712, 84.85),
    (10_000, 3.097, 185.50),
    (20_000, 3.525, 297.32),
];

type Trees = BTreeMap<(Mode, u64), TreeReport>;

/// All tables.
pub(super) fn report(rows: &[Row], trees: &Trees, protocol: u32) -> String {
    let mut text = format!("cpu_ram_soak at the prices of protocol {protocol}\n\n");
    text.push_str(&measured(rows));
    text.push_str(
        "\nVM: gas of the call without fees. receipt: VM and the receipt's fees. total: the whole transaction.\n\
         2023: published for the receipt of the call, at the prices of protocol 62 to 65, native and\n\
         interpreted by wasmi 0.30 in a contract; compare its column with `receipt` under --protocol 63.\n\n",
    );
    text.push_str("Ratios\n\n");
    text.push_str(&ratios(rows));
    if let Some(parts) = parts(trees) {
        text.push('\n');
        text.push_str(&parts);
    }
    text.trim_end().to_owned()
}

fn measured(rows: &[Row]) -> String {
    let header = [
        "mode",
        "engine",
        "loops",
        "VM Tgas",
        "receipt Tgas",
        "total Tgas",
        "2023 Tgas",
        "median ms",
        "min..max ms",
        "runs",
    ];
    let mut table = table(&header, &[2, 3, 4, 5, 6, 7, 8, 9]);
    for row in rows {
        table.add_row([
            row.mode.name().to_owned(),
            row.engine.to_owned(),
            row.loops.to_string(),
            tera(row.gas_vm),
            tera(row.gas_receipt),
            tera(row.gas_total),
            published(row).map_or_else(|| "-".to_owned(), |tgas| format!("{tgas}")),
            millis(row.nanos_median),
            format!("{}..{}", millis(row.nanos_min), millis(row.nanos_max)),
            row.runs.to_string(),
        ]);
    }
    format!("{table}\n")
}

fn published(row: &Row) -> Option<f64> {
    let (_, native, interpreted) =
        PUBLISHED.into_iter().find(|(loops, _, _)| *loops == row.loops)?;
    match row.mode {
        Mode::Public => Some(native),
        Mode::Submodule => None,
        Mode::WasmInWasm => Some(interpreted),
    }
}

/// Prints the cost of the other modes over the public one, with equal loops on the same engine.
fn ratios(rows: &[Row]) -> String {
    let header = [
        "engine",
        "loops",
        "submodule / public: VM gas",
        "time",
        "wasm_in_wasm / public: VM gas",
        "time",
        "wasm_in_wasm / submodule: VM gas",
        "time",
    ];
    let mut table = table(&header, &[1, 2, 3, 4, 5, 6, 7]);
    for public in rows.iter().filter(|row| row.mode == Mode::Public) {
        let other = |mode: Mode| {
            let same = |row: &&Row| row.engine == public.engine && row.loops == public.loops;
            rows.iter().filter(same).find(|row| row.mode == mode)
        };
        let (submodule, interpreted) = (other(Mode::Submodule), other(Mode::WasmInWasm));
        let mut cells = vec![public.engine.to_owned(), public.loops.to_string()];
        for (over, under) in
            [(submodule, Some(public)), (interpreted, Some(public)), (interpreted, submodule)]
        {
            match over.zip(under) {
                Some((over, under)) => {
                    cells.push(ratio(over.gas_vm, under.gas_vm));
                    cells.push(ratio(over.nanos_median, under.nanos_median));
                }
                None => cells.extend(["-".to_owned(), "-".to_owned()]),
            }
        }
        table.add_row(cells);
    }
    format!("{table}\n")
}

/// What the VM gas of the public and of the submodule row is made of, with the most loops there are.
fn parts(trees: &Trees) -> Option<String> {
    let loops = trees.keys().map(|(_, loops)| *loops).max()?;
    let public = trees.get(&(Mode::Public, loops))?;
    let submodule = trees.get(&(Mode::Submodule, loops))?;
    let mut table = table(&["where", "what", "calls", "gas"], &[2, 3]);
    for (mode, tree) in [("public", public), ("submodule", submodule)] {
        part(&mut table, mode, tree);
    }
    let more = submodule.gas_burnt.saturating_sub(public.gas_burnt);
    Some(format!(
        "What {loops} loops burn in the VM, part by part: as a submodule {} more\n\n{table}\n",
        tgas(more)
    ))
}

fn part(table: &mut comfy_table::Table, frame: &str, node: &TreeReport) {
    let mut add = |what: &str, calls: String, gas: u64| {
        table.add_row([frame.to_owned(), what.to_owned(), calls, tgas(gas)]);
    };
    add("loading", String::new(), node.loading);
    add("Wasm instructions", String::new(), node.wasm);
    if node.memory > 0 {
        add("memory", String::new(), node.memory);
    }
    for host in &node.host {
        add(host.name, host.calls.to_string(), host.gas);
    }
    for callee in &node.callees {
        part(table, &format!("{frame}: {}", callee.namespace), callee);
    }
}

// Figures for people: a float has more digits than they read.
fn tera(gas: u64) -> String {
    format!("{:.6}", gas as f64 / 1e12)
}

fn millis(nanos: u64) -> String {
    format!("{:.4}", nanos as f64 / 1e6)
}

fn ratio(over: u64, under: u64) -> String {
    if under == 0 {
        return "-".to_owned();
    }
    format!("{:.3}", over as f64 / under as f64)
}
