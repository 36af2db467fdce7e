//! Calls a near-sdk contract by a transaction and by a view, on both engines, in a home that outlives the process.
//!
//! `cargo run --release -p cotenant-host --example views -- FOLDER`

use cotenant_host::engine::EngineKind;
use cotenant_host::{Call, Host, Options};
use cotenant_submodules::{ModuleId, Visibility};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| "./example-home".into());
    let host = Host::open(folder.as_ref(), &Options::default())?;
    let counter: ModuleId = "counter.near".parse()?;
    if host.modules(&counter.account)?.is_empty() {
        host.deploy(&counter, Visibility::Public, cotenant_contracts::counter())?;
        host.call(&Call::new(counter.clone(), "new"))?;
    }
    let outcome = host.call(&Call::new(counter.clone(), "increment"))?;
    println!("{} gas in all", outcome.gas_total());
    for engine in EngineKind::ALL {
        host.use_engine(engine);
        // Leaves nothing behind, and costs the same on each engine.
        let view = host.view(&counter, "get", b"")?;
        let value = view.return_data.as_value().unwrap_or_default();
        println!("{engine}: {} for {} gas", String::from_utf8_lossy(&value), view.gas_burnt);
    }
    Ok(())
}
