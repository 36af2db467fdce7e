//! A node of one process: stock clients of NEAR and of Ethereum take it for theirs. `docs/node.md` is the page for its users.
//!
//! [`chain`] has the one thread that writes; everything that reads takes a snapshot beside it. [`rpc`] reads requests, `near` and
//! `eth` answer them, `server` brings both over HTTP and websockets, on every port alike.
#![forbid(unsafe_code)]

pub mod chain;
mod eth;
pub mod genesis;
mod metrics;
mod near;
mod page;
mod parent;
pub mod rpc;
mod server;

pub use chain::Pace;
pub use server::{Bound, serve};

use chain::{Chain, HEAD};
use cotenant_host::runtime::BlockHeader;
use cotenant_host::{Host, HostFault};
use metrics::Metrics;
use near_account_id::AccountId;
use near_crypto::PublicKey;
use rpc::{Answer, Request, RpcError};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How a node is run.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Where it listens; each address answers both families.
    pub listen: Vec<SocketAddr>,
    /// NEAR's chain id.
    pub chain_id: String,
    /// When blocks are made.
    pub pace: Pace,
    /// Time of a block is a function of its height.
    pub deterministic: bool,
    /// Accounts that are there from the beginning, besides `sandbox`, `test.near`, `near` and `registrar`.
    pub accounts: Vec<(AccountId, PublicKey)>,
    /// Records of NEAR's genesis to begin with.
    pub records: Vec<serde_json::Value>,
    /// Hosts, besides loopback and the bound addresses, that requests may name (`Host`).
    pub allowed_hosts: Vec<String>,
    /// Origins, besides loopback's, that browsers may send requests from; `*` for all.
    pub allowed_origins: Vec<String>,
    /// End when the process that started this one is gone.
    pub ends_with_parent: bool,
    /// Make the engine of Ethereum's side at the start, in the background; else at the first request for it.
    pub engine_at_start: bool,
    /// A line for each request on stderr.
    pub verbose: bool,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            chain_id: "localnet".to_owned(),
            pace: Pace::Instant { heartbeat: Duration::from_millis(500) },
            deterministic: false,
            accounts: Vec::new(),
            records: Vec::new(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            ends_with_parent: false,
            engine_at_start: false,
            verbose: false,
        }
    }
}

/// Why a node did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {error}; hint: choose another port, or end what has this one"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// Records to begin with are not what they should be.
    #[error("genesis: {0}")]
    Genesis(String),
    /// The host failed.
    #[error(transparent)]
    Fault(#[from] HostFault),
    /// The system failed.
    #[error(transparent)]
    System(#[from] std::io::Error),
}

/// A node that runs.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) host: Hidden<Arc<Host>>,
    pub(crate) chain: Arc<Chain>,
    pub(crate) options: NodeOptions,
    pub(crate) first: BlockHeader,
    pub(crate) started: Instant,
    pub(crate) metrics: Metrics,
    pub(crate) bound: OnceLock<Vec<SocketAddr>>,
    pub(crate) eth: eth::Ethereum,
    readers: Arc<Semaphore>,
}

/// Something that has no `Debug`.
pub(crate) struct Hidden<T>(pub(crate) T);

impl<T> std::fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl<T> std::ops::Deref for Hidden<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Node {
    pub(crate) fn start(host: Arc<Host>, options: NodeOptions) -> Result<Arc<Self>, NodeError> {
        host.runtime().keep_history()?;
        genesis::begin(&host, &options)?;
        let chain = Chain::start(host.clone(), options.pace, options.deterministic)?;
        let oldest = host.runtime().oldest_height()?;
        let at = cotenant_host::runtime::BlockReference::Height(oldest);
        let first = match host.runtime().header(at)? {
            Some(first) => first,
            None => host.runtime().header(HEAD)?.ok_or_else(|| {
                HostFault::Bug("a chain that keeps its history has no head".to_owned())
            })?,
        };
        let name = |text: &str| {
            text.parse::<AccountId>().map_err(|error| NodeError::Genesis(error.to_string()))
        };
        let (engine, relayer) = (name("evm.near")?, name(genesis::RELAYER)?);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Arc::new(Self {
            host: Hidden(host),
            chain,
            options,
            first,
            started: Instant::now(),
            metrics: Metrics::default(),
            bound: OnceLock::new(),
            eth: eth::Ethereum::new(engine, relayer),
            readers: Arc::new(Semaphore::new(cores)),
        }))
    }

    pub(crate) fn rpc_address(&self) -> String {
        let first = self.bound.get().and_then(|bound| bound.first());
        first.map(ToString::to_string).unwrap_or_default()
    }

    /// Does something that only reads on a thread of its own, as many at once as there are cores.
    pub(crate) async fn read(
        self: &Arc<Self>,
        read: impl FnOnce(&Node) -> Answer + Send + 'static,
    ) -> Answer {
        let permit = self.readers.clone().acquire_owned().await.map_err(RpcError::internal)?;
        let node = self.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read(&node)
        });
        answer.await.map_err(RpcError::internal)?
    }

    /// Answers a request.
    pub(crate) async fn answer(self: &Arc<Self>, request: Request) -> Answer {
        let began = Instant::now();
        let Request { method, params, .. } = request;
        let _ = self.chain.look().await;
        let answer = if rpc::is_ethereum(&method) {
            self.ethereum(&method, &params).await
        } else {
            match self.near_async(&method, &params).await {
                Some(answer) => answer,
                None => {
                    let method = method.clone();
                    self.read(move |node| node.near_read(&method, &params)).await
                }
            }
        };
        self.metrics.request(answer.is_ok(), began.elapsed());
        if self.options.verbose {
            let said = match &answer {
                Ok(_) => "ok".to_owned(),
                Err(error) => format!("error {}", error.message),
            };
            eprintln!("{method}: {said} in {} us", began.elapsed().as_micros());
        }
        answer
    }
}
