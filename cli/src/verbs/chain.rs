//! `blocks` and `receipts`: what passed, and letting time pass.

use crate::args::Global;
use crate::args::accounts::BlocksVerb;
use crate::console::Console;
use crate::failure::Exit;
use crate::report::{ReceiptReport, key_values, receipts, receipts_of};
use crate::verbs::{home, outcomes};
use anyhow::Result;
use serde::Serialize;

#[derive(Serialize)]
struct BlocksReport {
    height: u64,
    timestamp_nanos: u64,
    receipts: Vec<ReceiptReport>,
}

pub(super) fn blocks(what: &BlocksVerb, global: &Global, console: &Console) -> Result<Exit> {
    let host = home::read(global, console)?;
    let ran = match what {
        BlocksVerb::Advance { blocks } => host.runtime().advance_blocks(*blocks)?,
        BlocksVerb::Head => Vec::new(),
    };
    let head = host.runtime().head()?;
    let ran = ran.iter().map(ReceiptReport::of).collect();
    let report =
        BlocksReport { height: head.height, timestamp_nanos: head.timestamp, receipts: ran };
    if console.json {
        console.object(&report)?;
        return Ok(Exit::Fine);
    }
    console.data(key_values(&[
        ("height", report.height.to_string()),
        ("time", format!("{} s since 1970", report.timestamp_nanos / 1_000_000_000)),
    ]))?;
    if !report.receipts.is_empty() {
        console.data(format_args!("\n{}", receipts(&report.receipts)))?;
    }
    Ok(Exit::Fine)
}

pub(super) fn of_transaction(hash: &str, global: &Global, console: &Console) -> Result<Exit> {
    let outcome = outcomes::find(&global.home, hash)?;
    if console.json {
        console.object(&outcome)?;
    } else {
        console.data(receipts_of(&outcome))?;
    }
    Ok(Exit::Fine)
}
