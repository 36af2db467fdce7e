//! `dev`: a node for stock clients; `init` and `run`: the same by near-sandbox's command line.

use crate::args::Global;
use crate::args::dev::{DevArgs, InitArgs, RunArgs};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::verbs::home;
use anyhow::{Context, Result};
use cotenant_host::Host;
use cotenant_node::{Bound, NodeOptions, Pace, genesis};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn run(args: &DevArgs, global: &Global, console: &Console) -> Result<Exit> {
    let kept = home_is_named();
    let host = if kept { home::open(global, console)? } else { in_memory(global)? };
    let pace = match args.block_time {
        _ if args.manual => Pace::Manual,
        Some(seconds) => Pace::Interval(
            Duration::try_from_secs_f64(seconds).ok().filter(|every| !every.is_zero()).ok_or_else(
                || {
                    Failure::usage(
                        "BlockTime",
                        format!("--block-time {seconds}: more than 0 is needed"),
                    )
                },
            )?,
        ),
        None => Pace::Instant { heartbeat: Duration::from_millis(500) },
    };
    let options = NodeOptions {
        listen: vec![
            SocketAddr::new(args.host, args.port),
            SocketAddr::new(args.host, args.eth_port),
        ],
        pace,
        deterministic: args.deterministic,
        accounts: args.account.clone(),
        allowed_hosts: args.allow_host.clone(),
        allowed_origins: args.allow_origin.clone(),
        ends_with_parent: !args.stay,
        engine_at_start: true,
        verbose: global.verbose,
        ..NodeOptions::default()
    };
    let state = if kept { global.home.display().to_string() } else { "memory".to_owned() };
    let ready = |bound: &Bound| {
        let [near, eth] = bound.addresses.as_slice() else { return };
        if console.json {
            // Whoever reads this line has nobody else to tell of a broken pipe.
            let _ = console.object(&json!({
                "near": format!("http://{near}"),
                "eth": format!("http://{eth}"),
                "state": state,
            }));
            return;
        }
        console.note(format_args!(
            "NEAR      http://{near}\nEthereum  http://{eth}\npage      http://{near}/\nstate     {state}\naccounts  {}, key {}",
            genesis::ACCOUNTS.join(", "),
            genesis::SECRET_KEY,
        ));
    };
    cotenant_node::serve(Arc::new(host), options, ready)?;
    Ok(Exit::Fine)
}

/// A host whose state ends with the process.
fn in_memory(global: &Global) -> Result<Host> {
    Ok(Host::in_memory(&home::options(global))?)
}

/// Whether somebody chose a home, on the command line or by the variable.
fn home_is_named() -> bool {
    std::env::var_os("COTENANT_HOME").is_some()
        || std::env::args_os().any(|argument| {
            argument == "--home" || argument.to_string_lossy().starts_with("--home=")
        })
}

fn write_json(global: &Global, name: &str, value: &Value) -> Result<()> {
    let path = global.home.join(name);
    let text = serde_json::to_string_pretty(value)?;
    fs::write(&path, text).with_context(|| path.display().to_string())
}

/// The files that near-sandbox's clients read and edit.
pub(super) fn init(args: &InitArgs, global: &Global) -> Result<Exit> {
    fs::create_dir_all(&global.home).with_context(|| global.home.display().to_string())?;
    let config = json!({
        "rpc": {"addr": "0.0.0.0:3030", "limits_config": {"json_payload_max_size": 10_485_760}},
        "store": {},
    });
    write_json(global, "config.json", &config)?;
    let first = json!({
        "protocol_version": global.protocol.unwrap_or(88),
        "chain_id": args.chain_id,
        "total_supply": "0",
        "records": [],
    });
    write_json(global, "genesis.json", &first)?;
    let key = json!({
        "account_id": "sandbox",
        "public_key": genesis::PUBLIC_KEY,
        "secret_key": genesis::SECRET_KEY,
    });
    write_json(global, "validator_key.json", &key)?;
    write_json(global, "node_key.json", &key)?;
    Ok(Exit::Fine)
}

/// Runs on what `init` wrote and a client has edited.
pub(super) fn sandbox(args: &RunArgs, global: &Global, console: &Console) -> Result<Exit> {
    let path = global.home.join("genesis.json");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let first: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let records = first.get("records").and_then(Value::as_array).cloned().unwrap_or_default();
    let chain_id = first.get("chain_id").and_then(Value::as_str).unwrap_or("localnet");
    let options = NodeOptions {
        listen: vec![args.rpc_addr],
        chain_id: chain_id.to_owned(),
        records,
        ends_with_parent: true,
        verbose: global.verbose,
        ..NodeOptions::default()
    };
    let host = home::open(global, console)?;
    let ready = |bound: &Bound| console.note(format_args!("listens on {:?}", bound.addresses));
    cotenant_node::serve(Arc::new(host), options, ready)?;
    Ok(Exit::Fine)
}
