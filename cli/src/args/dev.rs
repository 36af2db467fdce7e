//! Arguments of `dev`, and of the two verbs by which clients start a sandbox of NEAR.

use clap::Args;
use near_account_id::AccountId;
use near_crypto::PublicKey;
use std::net::{IpAddr, SocketAddr};

/// `dev`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DevArgs {
    /// Port of NEAR's methods; 0 takes one that is free
    #[arg(long, value_name = "PORT", default_value_t = 3030)]
    pub(crate) port: u16,
    /// Port of Ethereum's methods; both ports answer both
    #[arg(long, value_name = "PORT", default_value_t = 8545)]
    pub(crate) eth_port: u16,
    /// Address to listen on; another than loopback lets others in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Seconds between two blocks; without, a block is made at once for what arrives, and empty ones by the clock
    #[arg(long, value_name = "SECONDS", conflicts_with = "manual")]
    pub(crate) block_time: Option<f64>,
    /// Make blocks only when told to (`sandbox_fast_forward`)
    #[arg(long)]
    pub(crate) manual: bool,
    /// Time of a block is a function of its height, not of the clock
    #[arg(long)]
    pub(crate) deterministic: bool,
    /// One more account with a key of full access, `alice.near:ed25519:...`; may be repeated
    #[arg(long, value_name = "ACCOUNT:KEY", value_parser = account_and_key)]
    pub(crate) account: Vec<(AccountId, PublicKey)>,
    /// Name by which requests may call this machine, besides loopback and the address; may be repeated
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_host: Vec<String>,
    /// Origin whose pages may send requests, besides loopback's; may be repeated, `*` for all
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_origin: Vec<String>,
    /// Go on when the process that started this one is gone
    #[arg(long)]
    pub(crate) stay: bool,
}

/// `run`, as near-sandbox has it.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// Address of NEAR's methods
    #[arg(long, default_value = "127.0.0.1:3030")]
    pub(crate) rpc_addr: SocketAddr,
    /// Taken and not used: there are no peers
    #[arg(long)]
    pub(crate) network_addr: Option<String>,
}

/// `init`, as near-sandbox has it.
#[derive(Clone, Debug, Args)]
pub(crate) struct InitArgs {
    /// Taken and not used
    #[arg(long)]
    pub(crate) fast: bool,
    /// Chain id
    #[arg(long, default_value = "localnet")]
    pub(crate) chain_id: String,
    /// Taken and not used
    #[arg(long)]
    pub(crate) account_id: Option<String>,
    /// Taken and not used
    #[arg(long)]
    pub(crate) test_seed: Option<String>,
}

fn account_and_key(text: &str) -> Result<(AccountId, PublicKey), String> {
    let (account, key) = text.split_once(':').ok_or("an account, a colon, a public key")?;
    let account = account.parse().map_err(|error| format!("`{account}`: {error}"))?;
    let key = key.parse().map_err(|error| format!("`{key}`: {error}"))?;
    Ok((account, key))
}
