//! The chain thread: the one that writes. It takes signed transactions and orders of a test, makes blocks, and answers when
//! they are durable. Reads do not come here: they take a snapshot of their own.

use cotenant_host::near::SignedTransaction;
use cotenant_host::runtime::{BlockReference, InvalidTransaction, Patch, RuntimeError};
use cotenant_host::{Host, HostFault};
use near_crypto::PublicKey;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{oneshot, watch};

/// How long a transaction whose nonce is ahead waits for those before it: they may be on their way (`rpc.md` 5).
const NONCE_WAIT: Duration = Duration::from_millis(5);

/// Transactions of a block at most.
const BLOCK_TRANSACTIONS_MAX: usize = 512;

/// How often blocks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One for what arrives, at once, and empty ones as the clock goes, when somebody looks.
    Instant {
        /// Time between two empty blocks.
        heartbeat: Duration,
    },
    /// One in each interval.
    Interval(Duration),
    /// When it is told to (`evm_mine`, `sandbox_fast_forward`).
    Manual,
}

/// Why a transaction was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidTransaction),
    /// The node's own fault.
    #[error("{0}")]
    Fault(String),
}

impl From<HostFault> for Refused {
    fn from(fault: HostFault) -> Self {
        Self::Fault(fault.to_string())
    }
}

impl From<RuntimeError> for Refused {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Invalid(invalid) => Self::Invalid(invalid),
            RuntimeError::Fault(fault) => fault.into(),
        }
    }
}

/// Something to do with the host between two blocks.
type Job = Box<dyn FnOnce(&Host) -> Result<(), Refused> + Send>;

type Reply<T> = oneshot::Sender<Result<T, Refused>>;

/// What the thread is told.
enum Order {
    /// Take a transaction; the answer comes when it and all that can run of it has run.
    Send(Box<SignedTransaction>, Reply<()>),
    /// Let this many blocks pass, and time with them.
    Skip(u64, Reply<()>),
    /// As many empty blocks as the clock says.
    Tick(Reply<()>),
    /// Write records, and make a block.
    Patch(Vec<Patch>, Reply<()>),
    /// Go back to a height.
    Revert(u64, Reply<()>),
    /// Do this with the host, between two blocks.
    Work(Job, Reply<()>),
    /// End.
    Stop,
}

/// What everybody may know of the chain thread, and how to tell it things.
#[derive(Debug)]
pub struct Chain {
    orders: Sender<Order>,
    clock: Arc<Clock>,
    pace: Pace,
    blocks: watch::Receiver<u64>,
}

/// The time of blocks: the wall's with an offset, or a function of the height.
#[derive(Debug)]
pub struct Clock {
    deterministic: bool,
    offset_nanos: AtomicI64,
    /// Time that the next block shall have, if not 0.
    next_nanos: AtomicU64,
    last_nanos: AtomicU64,
    stopped: AtomicBool,
}

impl Clock {
    fn now(&self) -> u64 {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let wall = u64::try_from(wall).unwrap_or(u64::MAX);
        wall.saturating_add_signed(self.offset_nanos.load(Ordering::Relaxed))
    }

    /// Moves time forwards, in nanoseconds.
    pub fn advance(&self, nanos: u64) {
        let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
        self.offset_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The time of the next block, in nanoseconds since 1970; time goes on from there.
    pub fn set_next(&self, nanos: u64) {
        self.next_nanos.store(nanos, Ordering::Relaxed);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let offset = i128::from(nanos) - i128::try_from(wall).unwrap_or(i128::MAX);
        self.offset_nanos.store(i64::try_from(offset).unwrap_or(0), Ordering::Relaxed);
    }

    /// Whether the thread has ended, or the disk has.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

impl Chain {
    /// Starts the thread.
    pub fn start(host: Arc<Host>, pace: Pace, deterministic: bool) -> Result<Arc<Self>, HostFault> {
        let head = host.runtime().head()?;
        let clock = Arc::new(Clock {
            deterministic,
            offset_nanos: AtomicI64::new(0),
            next_nanos: AtomicU64::new(0),
            last_nanos: AtomicU64::new(head.timestamp),
            stopped: AtomicBool::new(false),
        });
        let (orders, received) = channel();
        let (told, blocks) = watch::channel(head.height);
        let thread = Thread { host, pace, clock: clock.clone(), told, orders: received };
        let spawned = std::thread::Builder::new().name("chain".to_owned()).spawn(|| thread.run());
        spawned.map_err(|error| HostFault::Bug(format!("no thread for the chain: {error}")))?;
        Ok(Arc::new(Self { orders, clock, pace, blocks }))
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Heights as they are reached.
    pub fn blocks(&self) -> watch::Receiver<u64> {
        self.blocks.clone()
    }

    async fn order(&self, order: impl FnOnce(Reply<()>) -> Order) -> Result<(), Refused> {
        let (reply, answer) = oneshot::channel();
        let ended = || Refused::Fault("the chain has ended".to_owned());
        self.orders.send(order(reply)).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Sends a transaction and waits until all that can run of it has run and is durable.
    pub async fn send(&self, transaction: SignedTransaction) -> Result<(), Refused> {
        self.order(|reply| Order::Send(Box::new(transaction), reply)).await
    }

    /// Lets blocks pass.
    pub async fn skip(&self, blocks: u64) -> Result<(), Refused> {
        self.order(|reply| Order::Skip(blocks, reply)).await
    }

    /// Writes records and makes a block.
    pub async fn patch(&self, patches: Vec<Patch>) -> Result<(), Refused> {
        self.order(|reply| Order::Patch(patches, reply)).await
    }

    /// Goes back to a height.
    pub async fn revert(&self, height: u64) -> Result<(), Refused> {
        self.order(|reply| Order::Revert(height, reply)).await
    }

    /// Does something with the host between two blocks.
    pub async fn work(
        &self,
        work: impl FnOnce(&Host) -> Result<(), Refused> + Send + 'static,
    ) -> Result<(), Refused> {
        self.order(|reply| Order::Work(Box::new(work), reply)).await
    }

    /// Somebody looks: the empty blocks are made that the clock has brought since the last one.
    pub async fn look(&self) -> Result<(), Refused> {
        let Pace::Instant { heartbeat } = self.pace else { return Ok(()) };
        if self.clock.deterministic {
            return Ok(());
        }
        let last = self.clock.last_nanos.load(Ordering::Relaxed);
        if self.clock.now().saturating_sub(last) < nanos(heartbeat) {
            return Ok(());
        }
        self.order(Order::Tick).await
    }

    /// Ends the thread after what it was told before.
    pub fn stop(&self) {
        let _ = self.orders.send(Order::Stop);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1)
}

struct Thread {
    host: Arc<Host>,
    pace: Pace,
    clock: Arc<Clock>,
    told: watch::Sender<u64>,
    orders: Receiver<Order>,
}

struct Waiting {
    transaction: SignedTransaction,
    reply: Reply<()>,
    since: Instant,
}

impl Thread {
    fn run(self) {
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut due = Instant::now();
        loop {
            let pause = self.pause(&waiting, due);
            match self.orders.recv_timeout(pause) {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(order) => self.take(order, &mut waiting),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // What has arrived meanwhile forms the next block together.
            let mut stop = false;
            while waiting.len() < BLOCK_TRANSACTIONS_MAX {
                match self.orders.try_recv() {
                    Ok(Order::Stop) => {
                        stop = true;
                        break;
                    }
                    Ok(order) => self.take(order, &mut waiting),
                    Err(_) => break,
                }
            }
            let now = match self.pace {
                Pace::Instant { .. } => true,
                Pace::Interval(every) => {
                    let now = Instant::now() >= due;
                    if now {
                        due = Instant::now() + every;
                    }
                    now
                }
                Pace::Manual => false,
            };
            if now {
                let interval = matches!(self.pace, Pace::Interval(_));
                self.make(&mut waiting, interval);
            }
            if stop {
                break;
            }
        }
        self.clock.stopped.store(true, Ordering::Relaxed);
    }

    fn pause(&self, waiting: &[Waiting], due: Instant) -> Duration {
        match self.pace {
            Pace::Interval(_) => due.saturating_duration_since(Instant::now()),
            Pace::Instant { .. } if !waiting.is_empty() => Duration::from_millis(1),
            _ => Duration::from_secs(3_600),
        }
    }

    fn take(&self, order: Order, waiting: &mut Vec<Waiting>) {
        match order {
            Order::Send(transaction, reply) => {
                waiting.push(Waiting { transaction: *transaction, reply, since: Instant::now() });
            }
            Order::Skip(blocks, reply) => {
                self.make(waiting, false);
                let _ = reply.send(self.skip(blocks));
            }
            Order::Tick(reply) => {
                let _ = reply.send(self.tick());
            }
            Order::Patch(patches, reply) => {
                let patched = self
                    .host
                    .runtime()
                    .patch(&patches)
                    .map_err(|error| Refused::Fault(error.to_string()));
                let _ = reply.send(patched.and_then(|()| self.block(&[]).map(drop)));
            }
            Order::Revert(height, reply) => {
                let reverted = self.host.runtime().revert_to(height);
                let reverted = reverted.map_err(|error| Refused::Fault(error.to_string()));
                self.tell();
                let _ = reply.send(reverted);
            }
            Order::Work(work, reply) => {
                let _ = reply.send(work(&self.host));
                self.tell();
            }
            Order::Stop => {}
        }
    }

    /// Time of the next block.
    fn time(&self) -> Result<u64, HostFault> {
        if self.clock.deterministic {
            let height = self.host.runtime().head()?.height + 1;
            return Ok(cotenant_host::runtime::Block::at(height).timestamp);
        }
        Ok(match self.clock.next_nanos.swap(0, Ordering::Relaxed) {
            0 => self.clock.now(),
            next => next,
        })
    }

    fn tell(&self) {
        if let Ok(head) = self.host.runtime().head() {
            self.clock.last_nanos.store(head.timestamp, Ordering::Relaxed);
            self.told.send_replace(head.height);
        }
    }

    fn block(
        &self,
        transactions: &[SignedTransaction],
    ) -> Result<cotenant_host::runtime::BlockOutcome, Refused> {
        let made = self.host.runtime().make_block(self.time()?, transactions)?;
        self.tell();
        Ok(made)
    }

    fn skip(&self, blocks: u64) -> Result<(), Refused> {
        let Pace::Instant { heartbeat } = self.pace else {
            for _ in 0..blocks.min(10_000) {
                self.block(&[])?;
            }
            return Ok(());
        };
        let passed = nanos(heartbeat).saturating_mul(blocks);
        self.clock.advance(passed);
        self.host.runtime().skip_blocks(blocks, self.time()?)?;
        self.tell();
        Ok(())
    }

    fn tick(&self) -> Result<(), Refused> {
        let Pace::Instant { heartbeat } = self.pace else { return Ok(()) };
        let last = self.clock.last_nanos.load(Ordering::Relaxed);
        let blocks = self.clock.now().saturating_sub(last) / nanos(heartbeat);
        if blocks > 0 {
            // A home that was closed for a year has not missed a year of blocks.
            self.host.runtime().skip_blocks(blocks.min(100_000), self.time()?)?;
            self.tell();
        }
        Ok(())
    }

    /// Makes the next block of what may be in it, and in the instant mode those after it until nothing is on its way.
    fn make(&self, waiting: &mut Vec<Waiting>, even_if_empty: bool) {
        let due = self.due(waiting);
        if due.is_empty() && !even_if_empty {
            return;
        }
        let (transactions, replies): (Vec<_>, Vec<_>) =
            due.into_iter().map(|one| (one.transaction, one.reply)).unzip();
        let made = self.block(&transactions).and_then(|made| {
            let mut idle = made.idle;
            while !idle && !matches!(self.pace, Pace::Interval(_)) {
                idle = self.block(&[])?.idle;
            }
            Ok(made.transactions)
        });
        match made {
            Ok(taken) => {
                for (reply, taken) in replies.into_iter().zip(taken) {
                    let _ = reply.send(taken.map(drop).map_err(Refused::from));
                }
            }
            Err(refused) => {
                let text = refused.to_string();
                for reply in replies {
                    let _ = reply.send(Err(Refused::Fault(text.clone())));
                }
            }
        }
    }

    /// Those that go into the next block, by nonce for each key; who is ahead of its key waits a moment.
    fn due(&self, waiting: &mut Vec<Waiting>) -> Vec<Waiting> {
        if waiting.len() == 1 && !self.is_ahead(&waiting[0], &[]) {
            return std::mem::take(waiting);
        }
        waiting.sort_by_key(|one| one.transaction.nonce());
        let mut due: Vec<Waiting> = Vec::new();
        for one in std::mem::take(waiting) {
            let last = due.iter().rev().find(|other| same_key(other, &one));
            let follows = last.is_some_and(|last| {
                one.transaction.nonce() <= last.transaction.nonce().saturating_add(1)
            });
            if follows || one.since.elapsed() >= NONCE_WAIT || !self.is_ahead(&one, &due) {
                due.push(one);
            } else {
                waiting.push(one);
            }
        }
        due
    }

    fn is_ahead(&self, one: &Waiting, before: &[Waiting]) -> bool {
        let last = before.iter().rev().find(|other| same_key(other, one));
        let last = match last {
            Some(last) => Some(last.transaction.nonce()),
            None => self.nonce(one.transaction.signer(), one.transaction.public_key()),
        };
        let next = last.map_or(u64::MAX, |last| last.saturating_add(1));
        one.since.elapsed() < NONCE_WAIT && one.transaction.nonce() > next
    }

    fn nonce(&self, signer: &near_account_id::AccountId, key: &PublicKey) -> Option<u64> {
        Some(self.host.state().ok()?.access_key(signer, key).ok()??.nonce)
    }
}

fn same_key(one: &Waiting, other: &Waiting) -> bool {
    one.transaction.signer() == other.transaction.signer()
        && one.transaction.public_key() == other.transaction.public_key()
}

/// The last block.
pub const HEAD: BlockReference = BlockReference::Head;
