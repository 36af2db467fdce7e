//! Deploys a parent and a private child, calls the parent, and prints the call tree with the gas of each frame.
//!
//! `cargo run --release -p cotenant-host --example deploy_and_call`

use cotenant_host::{Call, Host, HostError, Options};
use cotenant_submodules::calls::CallNode;
use cotenant_submodules::{ModuleId, Visibility};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = Host::in_memory(&Options::default())?;
    let parent: ModuleId = "alice.near".parse()?;
    let child: ModuleId = "alice.near:yielder".parse()?;
    host.deploy(&parent, Visibility::Public, cotenant_contracts::router())?;
    host.deploy(&child, Visibility::Private, cotenant_contracts::yielder())?;

    // The router opens a module by name; `yielder` asks as many questions as its argument says: 3, in eight bytes.
    let args =
        serde_json::json!({ "namespace": "yielder", "method": "sum", "args": "AwAAAAAAAAA=" });
    let call = Call::new(parent.clone(), "call").args_json(&args)?.gas(20_000_000_000_000);
    let outcome = host.call(&call)?;
    let root = outcome.root().ok_or("the receipt did not run")?;
    println!("{}", root.status);
    print(&root.executions[0].tree, 0);
    println!("receipt: {}", root.profile());

    // A deploy that is refused is an error, with every rule that the code breaks.
    match host.deploy(&child, Visibility::Private, b"no module") {
        Err(HostError::Deploy(failed)) => println!("refused: {}", failed.failure.message),
        other => println!("{other:?}"),
    }
    Ok(())
}

fn print(frame: &CallNode, depth: usize) {
    let indent = "  ".repeat(depth);
    println!(
        "{indent}{}.{}: {} gas, {} yields",
        frame.namespace, frame.method, frame.gas_burnt, frame.yields
    );
    frame.callees.iter().for_each(|callee| print(callee, depth + 1));
}
