//! Drives a private module from Rust, in the place of a parent contract.
//!
//! `cargo run --release -p cotenant-host --example session`

use cotenant_host::exec::Progress;
use cotenant_host::{Host, Options};
use cotenant_submodules::{Grants, ModuleId, Visibility};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = Host::in_memory(&Options::default())?;
    let module: ModuleId = "app.near:yielder".parse()?;
    host.deploy(&module, Visibility::Private, cotenant_contracts::yielder())?;

    let session = host.session(&module.account, 100_000_000_000_000)?;
    let mut live = session.open(&module.namespace, "sum", 0, Grants::NONE)?;
    // The first bytes are its arguments, later ones the answers to its questions.
    let mut step = live.resume(3_u64.to_le_bytes().into())?;
    loop {
        step = match step {
            Progress::Yielded(question) => {
                println!("asks {question:?}");
                live.resume(question)?
            }
            Progress::Done(sum) => {
                println!("returns {sum:?}, {} gas left", session.gas_left());
                return Ok(());
            }
            Progress::Failed(error) => return Err(error.into()),
        };
    }
}
