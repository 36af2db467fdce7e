//! Reports as tables for people. Everything that may be a guest's is escaped here.

use crate::report::{ReceiptReport, StatusReport, TreeReport};
use crate::text::{shown, tgas};
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use serde_json::Value;

/// A line below the header and nothing else.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table with a header; the columns whose positions are named hold numbers.
pub(crate) fn table(header: &[&str], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    // On a terminal as wide as it is, elsewhere as wide as its content.
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.load_style(STYLE).set_header(header.iter().copied());
    for column in numbers {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Names with what belongs to them, one a line.
pub(crate) fn key_values(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = rows.iter().map(|(name, value)| {
        // Values of several lines stay in their column.
        let value = value.replace('\n', &format!("\n{:width$}  ", ""));
        format!("{name:<width$}  {value}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A call tree, indented; with the host functions of each frame if `details` is set.
pub(crate) fn call_tree(root: &TreeReport, details: bool) -> Table {
    let header = ["call", "kind", "ending", "burnt", "loading", "wasm", "host", "yields"];
    let mut table = table(&header, &[3, 4, 5, 6, 7]);
    frame(&mut table, root, 0, details);
    table
}

fn frame(table: &mut Table, node: &TreeReport, depth: usize, details: bool) {
    let indent = "  ".repeat(depth);
    let module = if node.namespace.is_empty() { "(default)" } else { &node.namespace };
    let ending = match &node.error {
        Some(error) => format!("{}: {}", node.ending, shown(error)),
        None => node.ending.to_owned(),
    };
    let host = node.host.iter().fold(0_u64, |sum, host| sum.saturating_add(host.gas));
    let times = if node.count > 1 { format!(" x{}", node.count) } else { String::new() };
    table.add_row([
        format!("{indent}{module}.{}{times}", shown(&node.method)),
        node.visibility.clone(),
        ending,
        tgas(node.gas_burnt),
        tgas(node.loading),
        tgas(node.wasm),
        tgas(host),
        node.yields.to_string(),
    ]);
    if details {
        for host in &node.host {
            let mut row = vec![String::new(); 8];
            row[0] = format!("{indent}  - {} x{}", host.name, host.calls);
            row[6] = tgas(host.gas);
            table.add_row(row);
        }
    }
    for log in &node.reverted_logs {
        table.add_row([format!("{indent}  (reverted log) {}", shown(log))]);
    }
    if node.texts_dropped > 0 {
        table.add_row([format!("{indent}  (logs and messages not kept: {})", node.texts_dropped)]);
    }
    for callee in &node.callees {
        frame(table, callee, depth + 1, details);
    }
}

/// Receipts, with their logs.
pub(crate) fn receipts(receipts: &[ReceiptReport]) -> Table {
    let mut table = table(&["receipt", "from", "to", "block", "burnt", "VM", "status"], &[3, 4, 5]);
    for receipt in receipts {
        let status = match &receipt.status {
            StatusReport::SuccessValue(_) => "value".to_owned(),
            StatusReport::SuccessReceiptId(id) => format!("value comes from {}", short(id)),
            StatusReport::Failure { code, .. } => format!("failed: {}", shown(code)),
        };
        table.add_row([
            short(&receipt.id),
            receipt.predecessor.clone(),
            receipt.receiver.clone(),
            receipt.block_height.to_string(),
            tgas(receipt.gas_burnt),
            tgas(receipt.gas_vm),
            status,
        ]);
    }
    table
}

/// The receipts of an outcome that was kept as JSON, with their logs.
pub(crate) fn receipts_of(outcome: &Value) -> String {
    let header = ["receipt", "from", "to", "block", "burnt", "VM", "status"];
    let mut table = table(&header, &[3, 4, 5]);
    let mut logs = String::new();
    let text = |value: &Value| shown(value.as_str().unwrap_or_default());
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    for receipt in outcome["receipts"].as_array().into_iter().flatten() {
        let status = &receipt["status"];
        let status = if let Some(id) = status["SuccessReceiptId"].as_str() {
            format!("value comes from {}", short(&shown(id)))
        } else if status["Failure"].is_object() {
            format!("failed: {}", text(&status["Failure"]["code"]))
        } else {
            "value".to_owned()
        };
        table.add_row([
            short(&text(&receipt["id"])),
            text(&receipt["predecessor"]),
            text(&receipt["receiver"]),
            number(&receipt["block_height"]).to_string(),
            tgas(number(&receipt["gas_burnt"])),
            tgas(number(&receipt["gas_vm"])),
            status,
        ]);
        for log in receipt["logs"].as_array().into_iter().flatten() {
            logs.push_str(&format!("\nlog {}: {}", text(&receipt["receiver"]), text(log)));
        }
        if let Some(message) = receipt["status"]["Failure"]["message"].as_str() {
            logs.push_str(&format!("\nfailed {}: {}", text(&receipt["receiver"]), shown(message)));
        }
    }
    format!("{table}{logs}")
}

/// The first characters of an id, enough to tell one from another.
fn short(id: &str) -> String {
    id.chars().take(8).collect()
}
