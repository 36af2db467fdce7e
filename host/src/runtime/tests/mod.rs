//! The runtime over scripted guests: a table of closures stands for what the engines run, which are tested
//! where they are.

mod accounts;
mod faults;
mod history;
mod keys;
mod money;
mod promises;
mod recovery;
mod signed;

use super::*;
use crate::action::{Action, Code, PendingReceipt};
use crate::exec::Abort;
use crate::state::{MemoryStore, keys as state_keys, records};
use cotenant_submodules::calls::{CallNode, Effects, Ending, GasSplit, Ledger};
use cotenant_submodules::{DeployMode, Replace};
use near_vm_runner::logic::types::{PromiseResult, ReturnData};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

const NEAR: u128 = 1_000_000_000_000_000_000_000_000;
const TGAS: u64 = 1_000_000_000_000;

fn id(text: &str) -> AccountId {
    text.parse().unwrap()
}

/// What a scripted guest has done so far.
struct Guest {
    state: Rc<dyn StateView>,
    context: CallContext,
    receipts: Vec<PendingReceipt>,
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    logs: Vec<String>,
    value: ReturnData,
    abort: Option<String>,
    burnt: u64,
    /// Reserved beyond what the receipts cost.
    reserved: u64,
    storage: u64,
    /// Balance that NEAR lends it.
    lent: u128,
}

impl Guest {
    fn log(&mut self, text: impl Into<String>) {
        self.logs.push(text.into());
    }

    fn results(&self) -> Vec<String> {
        let text = |result: &PromiseResult| match result {
            PromiseResult::Successful(data) => String::from_utf8_lossy(data).into_owned(),
            PromiseResult::Failed => "failed".to_owned(),
            PromiseResult::NotReady => "not ready".to_owned(),
        };
        self.context.promise_results.iter().map(text).collect()
    }

    fn read(&self, key: &[u8]) -> Option<Vec<u8>> {
        let pending = self.writes.get(key).cloned();
        let stored =
            || self.state.value(&self.context.account, &self.context.namespace, key).unwrap();
        pending.unwrap_or_else(stored)
    }

    fn write(&mut self, key: &[u8], value: &[u8]) {
        if self.read(key).is_none() {
            self.storage += 40 + key.len() as u64 + value.len() as u64;
        }
        self.writes.insert(key.to_vec(), Some(value.to_vec()));
    }

    fn promise(&mut self, receiver: &str, after: &[u64], actions: Vec<Action>) -> u64 {
        let mut receipt = PendingReceipt::new(id(receiver), after.to_vec());
        receipt.actions = actions;
        self.receipts.push(receipt);
        self.receipts.len() as u64 - 1
    }

    fn yields(&mut self, data: &[u8], method: &str) -> CryptoHash {
        let data_id = CryptoHash::hash_bytes(data);
        let account = self.context.account.to_string();
        let index = self.promise(&account, &[], vec![call(method, b"", 0, 5 * TGAS)]);
        self.receipts[index as usize].yield_data = Some(data_id);
        data_id
    }

    fn resume(&mut self, data_id: CryptoHash, data: &[u8]) {
        let account = self.context.account.to_string();
        self.promise(&account, &[], vec![Action::ResumeYield { data_id, data: data.to_vec() }]);
    }

    fn returns(&mut self, bytes: &[u8]) {
        self.value = ReturnData::Value(bytes.to_vec());
    }
}

type Script = Box<dyn Fn(&mut Guest)>;

type FaultIn = (u32, fn() -> HostFault);

/// Guests by account and method, and what they were called with.
#[derive(Default)]
struct Scripts {
    table: RefCell<BTreeMap<(String, String), Script>>,
    calls: RefCell<Vec<String>>,
    seeds: RefCell<Vec<[u8; 32]>>,
    /// Fails as a host does, this many calls from now, and how.
    fault_in: RefCell<Option<FaultIn>>,
    /// Calls that came with care.
    interpreted: RefCell<u32>,
    prices: Option<Arc<Schedule>>,
}

impl Scripts {
    fn on(&self, account: &str, method: &str, script: impl Fn(&mut Guest) + 'static) {
        self.table.borrow_mut().insert((account.to_owned(), method.to_owned()), Box::new(script));
    }
}

impl Executor for Scripts {
    fn execute(
        &self,
        state: Rc<dyn StateView>,
        context: CallContext,
    ) -> Result<Execution, HostFault> {
        let fault = *self.fault_in.borrow();
        if let Some((left, fault)) = fault {
            // A fault of its own, not of its state: the next run of the same receipt has it again.
            if left == 1 {
                return Err(fault());
            }
            *self.fault_in.borrow_mut() = Some((left - 1, fault));
        }
        let called = format!("{}.{}@{}", context.account, context.method, context.block_height);
        self.calls.borrow_mut().push(called);
        self.seeds.borrow_mut().push(context.random_seed);
        let mut guest = Guest {
            state,
            context,
            receipts: Vec::new(),
            writes: BTreeMap::new(),
            logs: Vec::new(),
            value: ReturnData::None,
            abort: None,
            burnt: TGAS,
            reserved: 0,
            storage: 0,
            lent: 0,
        };
        let name = (guest.context.account.to_string(), guest.context.method.clone());
        match self.table.borrow().get(&name) {
            Some(script) => script(&mut guest),
            None => guest.abort = Some("MethodResolveError.MethodNotFound".into()),
        }
        Ok(execution(self.prices.as_ref().unwrap(), guest))
    }

    fn execute_interpreted(
        &self,
        state: Rc<dyn StateView>,
        context: CallContext,
    ) -> Result<Execution, HostFault> {
        *self.interpreted.borrow_mut() += 1;
        self.execute(state, context)
    }
}

fn execution(schedule: &Schedule, guest: Guest) -> Execution {
    let context = &guest.context;
    let real = guest.receipts.iter().filter(|receipt| receipt.resumes().is_none());
    let bought: u64 =
        real.map(|one| crate::fees::prepaid(schedule, &one.actions, &one.receiver)).sum();
    let sent: u128 = guest.receipts.iter().flat_map(|one| &one.actions).map(Action::deposit).sum();
    let gas_used = guest.burnt + bought + guest.reserved;
    let mut abort = guest.abort;
    let held = context.balance + context.deposit + guest.lent;
    if gas_used > context.gas {
        abort = Some("HostError.GasExceeded".into());
    } else if sent > held {
        abort = Some("HostError.BalanceExceeded".into());
    }
    let burnt = guest.burnt.min(context.gas);
    let ledger = Ledger {
        balance: held.saturating_sub(sent),
        storage_usage: context.storage_usage + guest.storage,
        ..Ledger::default()
    };
    let effects = Effects {
        writes: BTreeMap::from([(context.namespace.clone(), guest.writes)]),
        receipts: guest.receipts,
        ..Effects::default()
    };
    let tree = CallNode {
        namespace: context.namespace.clone(),
        visibility: Visibility::Public,
        method: context.method.clone(),
        count: 1,
        ending: Ending::Returned,
        gas_burnt: burnt,
        gas_used,
        split: GasSplit::default(),
        yields: 0,
        reverted_logs: Vec::new(),
        texts_dropped: 0,
        callees: Vec::new(),
    };
    let failed = abort.is_some();
    Execution {
        return_data: guest.value,
        abort: abort.map(|code| Abort { message: code.clone(), code, module: String::new() }),
        gas_burnt: burnt,
        gas_used: if failed { burnt } else { gas_used },
        logs: guest.logs,
        effects: (!failed).then_some(effects),
        ledger,
        tree,
        gave_up: None,
    }
}

impl Deployer for Scripts {
    fn deploy(&self, code: &[u8], _: Visibility) -> Result<Result<(), DeployRejection>, HostFault> {
        let bad = code.starts_with(b"bad");
        Ok(if bad { Err(DeployRejection { text: "rule 1: bad code".into() }) } else { Ok(()) })
    }
}

fn world_of(store: Arc<dyn Store>, accounts: &[&str]) -> Runtime<Scripts> {
    let schedule = Schedule::for_protocol(state::protocol(&*store).unwrap()).unwrap();
    let scripts = Scripts { prices: Some(Arc::clone(&schedule)), ..Scripts::default() };
    let runtime = Runtime::new(store, schedule, scripts).unwrap();
    for account in accounts {
        runtime.ensure_account(&id(account), 1_000 * NEAR).unwrap();
    }
    runtime
}

fn world(accounts: &[&str]) -> Runtime<Scripts> {
    world_of(Arc::new(MemoryStore::new(88).unwrap()), accounts)
}

fn call(method: &str, args: &[u8], deposit: u128, gas: u64) -> Action {
    Action::FunctionCall { method: method.to_owned(), args: args.to_vec(), deposit, gas, weight: 0 }
}

fn weighted(method: &str, gas: u64, weight: u64) -> Action {
    Action::FunctionCall { method: method.to_owned(), args: Vec::new(), deposit: 0, gas, weight }
}

fn deploy(namespace: &str, visibility: Visibility, code: &[u8]) -> Action {
    deploy_as(namespace, DeployMode { visibility, replace: Replace::Any }, code)
}

fn deploy_as(namespace: &str, mode: DeployMode, code: &[u8]) -> Action {
    let namespace = namespace.parse().unwrap();
    Action::DeployModule { namespace, mode, code: Code::Bytes(code.to_vec()) }
}

fn from_to(signer: &str, receiver: &str, actions: Vec<Action>) -> Transaction {
    Transaction { signer: id(signer), signer_key: None, receiver: id(receiver), actions }
}

fn run(
    world: &Runtime<Scripts>,
    signer: &str,
    receiver: &str,
    actions: Vec<Action>,
) -> TransactionOutcome {
    world.execute(&from_to(signer, receiver, actions)).unwrap()
}

fn balance(world: &Runtime<Scripts>, account: &str) -> u128 {
    world.state().unwrap().account(&id(account)).unwrap().unwrap().balance
}

fn failure_code(outcome: &ReceiptOutcome) -> &str {
    match &outcome.status {
        Status::Failure(failure) => &failure.code,
        other => panic!("{other:?}"),
    }
}

/// All tokens: those of accounts, and those that receipts on their way carry and have paid for gas.
fn tokens(world: &Runtime<Scripts>) -> u128 {
    let state = world.state().unwrap();
    let mut sum = 0u128;
    state
        .scan(&state_keys::accounts(), |key, value| {
            let account: Account = records::decode(key, value)?;
            sum += account.balance + account.locked;
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    let carried = |receipt: &Receipt| match &receipt.body {
        ReceiptBody::Actions(body) => {
            let gas = crate::fees::prepaid(world.schedule(), &body.actions, &receipt.receiver);
            let deposits: u128 = body.actions.iter().map(Action::deposit).sum();
            deposits + u128::from(gas) * body.gas_price
        }
        _ => 0,
    };
    state
        .scan(&state_keys::all_yielded(), |key, value| {
            sum += carried(&records::decode::<PendingYield>(key, value)?.receipt);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    state
        .scan(&state_keys::queue(), |key, value| {
            sum += carried(&records::decode::<super::receipt::Queued>(key, value)?.receipt);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    sum
}

/// Tokens that left the world in some receipts, less those that came from nowhere.
fn lost<'a>(receipts: impl IntoIterator<Item = &'a ReceiptOutcome>) -> i128 {
    let one = |receipt: &ReceiptOutcome| {
        let gone = receipt.tokens_burnt - receipt.tokens_rewarded;
        gone as i128 - receipt.tokens_minted as i128
    };
    receipts.into_iter().map(one).sum()
}

fn lost_in(outcome: &TransactionOutcome) -> i128 {
    outcome.tokens_burnt as i128 + lost(outcome.receipts.iter().chain(&outcome.others))
}

/// Keys of receipts, data and yields that wait for something.
fn waiting(world: &Runtime<Scripts>) -> usize {
    let mut count = 0;
    let mut visit = |key: &[u8], _: &[u8]| {
        count += usize::from(matches!(key.first(), Some(7..=12)));
        Ok(ControlFlow::Continue(()))
    };
    world.state().unwrap().scan(&[], &mut visit).unwrap();
    count
}
