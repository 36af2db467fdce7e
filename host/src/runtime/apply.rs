//! One receipt: its actions one after the other, all or none, then refunds and results.
//!
//! Takes the state with the receipt already taken out of the queue; gives the state after it and what is to
//! be reported. The order of steps, the prices and the refunds are those of NEAR's `apply_action_receipt`.

use crate::HostFault;
use crate::action::Action;
use crate::fees::{self, FeeItem};
use crate::near::receipt_id;
use crate::runtime::actions::overflow;
use crate::runtime::errors::ActionError;
use crate::runtime::queue;
use crate::runtime::receipt::{
    ActionReceipt, ExecutionSummary, Failure, PendingYield, Receipt, ReceiptBody, ReceiptOutcome,
    Status, refund, system,
};
use crate::runtime::validate::{self, storage_lack};
use crate::runtime::{Block, GAS_PRICE, Machine};
use crate::state::{Checkpoint, WorkingState, keys};
use cotenant_gas::Schedule;
use near_account_id::AccountId;
use near_crypto::PublicKey;
use near_parameters::ActionCosts;
use near_primitives_core::hash::CryptoHash;
use near_primitives_core::types::Gas;
use std::rc::Rc;

/// Why a receipt stops: its action failed, or the host did.
pub(super) enum Stop {
    Action(ActionError),
    Fault(HostFault),
}

impl From<ActionError> for Stop {
    fn from(error: ActionError) -> Self {
        Stop::Action(error)
    }
}

impl From<HostFault> for Stop {
    fn from(fault: HostFault) -> Self {
        Stop::Fault(fault)
    }
}

/// What the last action left.
pub(super) enum Value {
    Bytes(Vec<u8>),
    /// The value of the receipt at this index.
    Receipt(usize),
}

/// A receipt created by this one.
pub(super) struct NewReceipt {
    pub(super) receipt: Receipt,
    /// It is yielded: it waits in the state to be resumed.
    pub(super) yielded: bool,
}

/// A receipt that runs.
pub(super) struct Run<'a, M> {
    pub(super) machine: &'a M,
    pub(super) schedule: &'a Schedule,
    pub(super) block: Block,
    pub(super) receipt: &'a Receipt,
    pub(super) body: &'a ActionReceipt,
    pub(super) state: WorkingState,
    /// In whose name the next action is done.
    pub(super) actor: AccountId,
    /// Results it waited for; `None` is a failure.
    pub(super) results: Vec<Option<Rc<[u8]>>>,
    pub(super) gas_burnt: u64,
    /// Burnt, or bought for receipts it created.
    pub(super) gas_used: u64,
    pub(super) gas_vm: u64,
    pub(super) fees: Vec<FeeItem>,
    pub(super) minted: u128,
    pub(super) logs: Vec<String>,
    pub(super) executions: Vec<ExecutionSummary>,
    pub(super) new: Vec<NewReceipt>,
    pub(super) data_ids: u64,
}

/// Prices of a receipt that ran.
struct Bill {
    burnt: u128,
    rewarded: u128,
}

/// Runs a receipt of actions whose inputs have all arrived.
pub(super) fn apply<M: Machine>(
    machine: &M,
    schedule: &Schedule,
    block: Block,
    mut state: WorkingState,
    receipt: &Receipt,
) -> Result<(WorkingState, ReceiptOutcome), HostFault> {
    let ReceiptBody::Actions(body) = &receipt.body else {
        return Err(HostFault::Bug("a receipt without actions cannot run".into()));
    };
    let results = take_inputs(&mut state, receipt, body)?;
    let checkpoint = state.checkpoint();
    let mut run = Run::new(machine, schedule, block, receipt, body, state, results);
    let existed = run.state.account(&receipt.receiver)?.is_some();
    run.charge(fees::execute_receipt(schedule));
    let ending = run.actions()?;
    run.finish(ending, existed, checkpoint)
}

/// Takes the results that the receipt waited for out of the state, whatever becomes of it.
fn take_inputs(
    state: &mut WorkingState,
    receipt: &Receipt,
    body: &ActionReceipt,
) -> Result<Vec<Option<Rc<[u8]>>>, HostFault> {
    let take = |data_id: &CryptoHash| {
        let key = keys::received(&receipt.receiver, data_id);
        let data: Option<Option<Vec<u8>>> = state.read(&key)?;
        let data =
            data.ok_or_else(|| HostFault::Bug(format!("no data {data_id} for {}", receipt.id)))?;
        state.delete(key);
        Ok(data.map(Rc::from))
    };
    body.inputs.iter().map(take).collect()
}

impl<'a, M: Machine> Run<'a, M> {
    /// A run of a receipt that has done nothing yet.
    pub(super) fn new(
        machine: &'a M,
        schedule: &'a Schedule,
        block: Block,
        receipt: &'a Receipt,
        body: &'a ActionReceipt,
        state: WorkingState,
        results: Vec<Option<Rc<[u8]>>>,
    ) -> Self {
        Self {
            machine,
            schedule,
            block,
            receipt,
            body,
            state,
            actor: receipt.predecessor.clone(),
            results,
            gas_burnt: 0,
            gas_used: 0,
            gas_vm: 0,
            fees: Vec::new(),
            minted: 0,
            logs: Vec::new(),
            executions: Vec::new(),
            new: Vec::new(),
            data_ids: 0,
        }
    }
}

impl<M: Machine> Run<'_, M> {
    pub(super) fn receiver(&self) -> &AccountId {
        &self.receipt.receiver
    }

    pub(super) fn charge(&mut self, items: Vec<FeeItem>) {
        let gas = fees::total(&items);
        self.gas_burnt = self.gas_burnt.saturating_add(gas);
        self.gas_used = self.gas_used.saturating_add(gas);
        self.fees.extend(items);
    }

    /// Adds a receipt to those created here.
    pub(super) fn push(&mut self, receiver: AccountId, body: ReceiptBody) -> usize {
        self.push_from(self.receiver().clone(), receiver, body)
    }

    /// Adds a refund to the receipts created here.
    pub(super) fn push_refund(
        &mut self,
        receiver: AccountId,
        amount: u128,
        gas_of: Option<&PublicKey>,
    ) {
        self.push_from(system(), receiver.clone(), refund(receiver, amount, gas_of));
    }

    fn push_from(
        &mut self,
        predecessor: AccountId,
        receiver: AccountId,
        body: ReceiptBody,
    ) -> usize {
        let id = receipt_id(&self.receipt.id, self.block.height, self.new.len() as u64);
        let transaction = self.receipt.transaction;
        let receipt = Receipt { id, transaction, predecessor, receiver, body };
        self.new.push(NewReceipt { receipt, yielded: false });
        self.new.len() - 1
    }

    fn actions(&mut self) -> Result<Result<Value, Failure>, HostFault> {
        let mut value = Value::Bytes(Vec::new());
        for (index, action) in self.body.actions.iter().enumerate() {
            self.charge(fees::execute(self.schedule, action, self.receiver()));
            let done = self.check(action).and_then(|()| self.action(index as u64, action));
            match done {
                Ok(next) => value = next,
                Err(Stop::Fault(fault)) => return Err(fault),
                Err(Stop::Action(error)) => {
                    return Ok(Err(Failure::new(error, Some(index as u64))));
                }
            }
        }
        let Some(account) = self.state.account(self.receiver())? else { return Ok(Ok(value)) };
        let price = self.schedule.fees.storage_usage_config.storage_amount_per_byte.as_yoctonear();
        Ok(match storage_lack(&account, price) {
            None => Ok(value),
            Some(amount) => {
                let account = self.receiver().clone();
                Err(Failure::new(ActionError::LackBalanceForState { account, amount }, None))
            }
        })
    }

    fn action(&mut self, index: u64, action: &Action) -> Result<Value, Stop> {
        match action {
            Action::CreateAccount => self.create_account()?,
            Action::DeployModule { namespace, mode, code } => {
                self.deploy(namespace, *mode, code)?;
            }
            Action::RemoveModule { namespace, keep_storage } => {
                self.remove(namespace, *keep_storage)?
            }
            Action::FunctionCall { method, args, deposit, gas, weight: _ } => {
                return self.call(index, method, args, *deposit, *gas);
            }
            Action::Transfer { deposit } => self.transfer(*deposit)?,
            Action::Stake { amount, public_key: _ } => self.stake(*amount)?,
            Action::AddKey { public_key, permission } => self.add_key(public_key, permission)?,
            Action::DeleteKey { public_key } => self.delete_key(public_key)?,
            Action::DeleteAccount { beneficiary } => self.delete_account(beneficiary)?,
            Action::Unsupported { name, deposit: _ } => {
                return Err(ActionError::Unsupported { name: name.clone() }.into());
            }
            Action::Delegate(delegate) => self.delegate(delegate)?,
            // Never in a receipt: `validate` refuses it and `call` takes it out.
            Action::ResumeYield { .. } => {
                return Err(ActionError::Unsupported { name: "ResumeYield".into() }.into());
            }
        }
        Ok(Value::Bytes(Vec::new()))
    }

    pub(super) fn finish(
        mut self,
        ending: Result<Value, Failure>,
        existed: bool,
        checkpoint: Checkpoint,
    ) -> Result<(WorkingState, ReceiptOutcome), HostFault> {
        let failed = ending.is_err();
        let created = !existed && !failed && self.state.account(self.receiver())?.is_some();
        if failed {
            self.state.roll_back(checkpoint);
            self.new.clear();
            self.minted = 0;
        }
        let bill = self.settle(failed, created)?;
        let status = self.send_result(ending)?;
        let receipts = self.new.iter().map(|new| &new.receipt);
        let receipts = receipts.filter(|new| matches!(new.body, ReceiptBody::Actions(_)));
        let receipts = receipts.map(|new| new.id).collect();
        for new in std::mem::take(&mut self.new) {
            self.dispatch(new)?;
        }
        let refund = self.receipt.predecessor.is_system();
        let outcome = ReceiptOutcome {
            id: self.receipt.id,
            transaction: self.receipt.transaction,
            predecessor: self.receipt.predecessor.clone(),
            receiver: self.receiver().clone(),
            block_height: self.block.height,
            block_timestamp: self.block.timestamp,
            status,
            gas_burnt: if refund { 0 } else { self.gas_burnt },
            gas_vm: self.gas_vm,
            fees: if refund { Vec::new() } else { self.fees },
            tokens_burnt: bill.burnt,
            tokens_rewarded: bill.rewarded,
            tokens_minted: self.minted,
            logs: self.logs,
            executions: self.executions,
            receipts,
        };
        Ok((self.state, outcome))
    }

    /// Refunds what was not spent, and says what was burnt (NEAR's `refund_unspent_gas_and_deposits`).
    fn settle(&mut self, failed: bool, created: bool) -> Result<Bill, HostFault> {
        let deposits = validate::deposits(&self.body.actions).ok_or_else(overflow)?;
        if self.receipt.predecessor.is_system() {
            // A refund that reaches nobody is burnt.
            return Ok(Bill { burnt: if failed { deposits } else { 0 }, rewarded: 0 });
        }
        let prepaid = fees::prepaid(self.schedule, &self.body.actions, self.receiver());
        let spent = if failed { self.gas_burnt } else { self.gas_used };
        let unused = prepaid.checked_sub(spent).ok_or_else(|| {
            HostFault::Bug(format!("receipt {} spent {spent} gas of {prepaid}", self.receipt.id))
        })?;
        let bought_at = self.body.gas_price;
        let burnt_at = bought_at.min(GAS_PRICE);
        let price = |gas: u64, price: u128| u128::from(gas).checked_mul(price).ok_or_else(overflow);
        let penalty = self.schedule.fees.gas_penalty_for_gas_refund(Gas::from_gas(unused)).as_gas();
        let penalty = price(penalty, burnt_at)?;
        let surplus = price(self.gas_burnt, bought_at - burnt_at)?;
        let charge = if created { self.creation_charge(burnt_at)?.min(surplus) } else { 0 };
        let gas_refund = price(unused, bought_at)?.saturating_sub(penalty) + surplus - charge;
        if failed && deposits > 0 {
            let to = self.body.refund_to.as_ref().unwrap_or(&self.receipt.predecessor).clone();
            self.push_refund(to, deposits, None);
        }
        if gas_refund > 0 {
            self.push_refund(self.body.signer.clone(), gas_refund, Some(&self.body.signer_key));
        }
        let rewarded = self.reward(burnt_at)?;
        Ok(Bill { burnt: price(self.gas_burnt, burnt_at)? + penalty + charge, rewarded })
    }

    /// What a new account costs beyond the gas burnt for its creation.
    fn creation_charge(&self, burnt_at: u128) -> Result<u128, HostFault> {
        let gas = self.schedule.fees.fee(ActionCosts::create_account).exec_fee().gas.as_gas();
        let paid = u128::from(gas).checked_mul(burnt_at).ok_or_else(overflow)?;
        Ok(self.schedule.runtime.account_creation_charge.as_yoctonear().saturating_sub(paid))
    }

    /// Gives the receiver its share of the gas its calls burnt, if it is still there.
    fn reward(&mut self, burnt_at: u128) -> Result<u128, HostFault> {
        let share = &self.schedule.fees.burnt_gas_reward;
        let (numerator, denominator) = (share.numer().unsigned_abs(), share.denom().unsigned_abs());
        let gas = u128::from(self.gas_vm) * u128::from(numerator) / u128::from(denominator.max(1));
        let reward = gas.checked_mul(burnt_at).ok_or_else(overflow)?;
        let id = self.receiver().clone();
        match self.state.account(&id)? {
            Some(mut account) if reward > 0 => {
                account.balance = account.balance.checked_add(reward).ok_or_else(overflow)?;
                self.state.set_account(&id, &account)?;
                Ok(reward)
            }
            _ => Ok(0),
        }
    }

    /// Hands the result to those who wait for it, or them to the receipt that will have it.
    fn send_result(&mut self, ending: Result<Value, Failure>) -> Result<Status, HostFault> {
        let data = match &ending {
            Ok(Value::Bytes(bytes)) => Some(bytes.clone()),
            Ok(Value::Receipt(_)) | Err(_) => None,
        };
        if let Ok(Value::Receipt(index)) = ending {
            let new = self.new.get_mut(index).map(|new| &mut new.receipt);
            let Some(Receipt { id, body: ReceiptBody::Actions(body), .. }) = new else {
                return Err(HostFault::Bug(format!(
                    "a call returned receipt {index}, which is none"
                )));
            };
            body.outputs.extend(self.body.outputs.iter().cloned());
            return Ok(Status::SuccessReceipt(*id));
        }
        for output in &self.body.outputs {
            let body = ReceiptBody::Data { data_id: output.data_id, data: data.clone() };
            self.push(output.receiver.clone(), body);
        }
        Ok(match ending {
            Err(failure) => Status::Failure(failure),
            Ok(_) => Status::SuccessValue(data.unwrap_or_default()),
        })
    }

    /// Queues a new receipt for the next block; a yielded one stays in the state until it is resumed.
    fn dispatch(&mut self, new: NewReceipt) -> Result<(), HostFault> {
        let NewReceipt { receipt, yielded } = new;
        if !yielded {
            return queue::push(&mut self.state, self.block.height + 1, receipt);
        }
        let data_id = match &receipt.body {
            ReceiptBody::Actions(body) => body.inputs.first().copied(),
            _ => None,
        };
        let data_id =
            data_id.ok_or_else(|| HostFault::Bug("a yielded receipt awaits no data".into()))?;
        let expires_at = self.expiry_of_yields();
        let account = receipt.receiver.clone();
        queue::expire(&mut self.state, expires_at, &account, &data_id)?;
        // It is there since the end of its action, and may have been resumed since; who waits for it was added.
        let key = keys::yielded(&account, &data_id);
        let resumed = self.state.read::<PendingYield>(&key)?.is_some_and(|pending| pending.resumed);
        self.state.write(key, &PendingYield { receipt, expires_at, resumed })
    }
}
