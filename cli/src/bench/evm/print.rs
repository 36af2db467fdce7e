//! The tables of the benchmark, for people.

use super::report::{Ratio, Report, Row};
use crate::report::table;

/// All tables.
pub(super) fn report(report: &Report) -> String {
    let header = [
        "workload",
        "mode",
        "engine",
        "NEAR Tgas",
        "execution",
        "Wasm",
        "sync",
        "crypto",
        "host",
        "loading",
        "fees",
        "EVM gas",
        "yields",
        "median ms",
        "EVM gas in 300 Tgas",
    ];
    let mut rows = table(&header, &[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    for row in &report.rows {
        rows.add_row(cells(row));
    }
    let header = ["workload", "engine", "ratio", "execution gas", "NEAR gas", "time"];
    let mut ratios = table(&header, &[3, 4, 5]);
    for ratio in &report.ratios {
        ratios.add_row(ratio_cells(ratio));
    }
    format!(
        "{rows}\n\nexecution: Wasm, sync and crypto. host has the recovery of the sender. * over the protocol's gas \
         limit.\n\n{ratios}"
    )
}

fn cells(row: &Row) -> [String; 15] {
    let over = if row.over_limit { " *" } else { "" };
    [
        row.workload.to_owned(),
        row.mode.name().to_owned(),
        row.engine.to_owned(),
        format!("{}{over}", tera(row.near_gas)),
        tera(row.execution_gas()),
        tera(row.near_gas_wasm),
        tera(row.near_gas_sync),
        tera(row.near_gas_crypto),
        tera(row.near_gas_host),
        tera(row.near_gas_loading),
        tera(row.near_gas_fees),
        row.evm_gas.to_string(),
        row.yields.to_string(),
        format!("{:.3}", row.nanos_median as f64 / 1e6),
        row.evm_gas_per_300_tgas.to_string(),
    ]
}

fn ratio_cells(ratio: &Ratio) -> [String; 6] {
    [
        ratio.workload.to_owned(),
        ratio.engine.to_owned(),
        format!("{} / {}", ratio.over.name(), ratio.under.name()),
        format!("{:.2}", ratio.execution_gas),
        format!("{:.2}", ratio.near_gas),
        format!("{:.2}", ratio.nanos),
    ]
}

// Figures for people: a float has more digits than they read.
pub(super) fn tera(gas: u64) -> String {
    format!("{:.3}", gas as f64 / 1e12)
}
