//! A function call as an action: its context, what is done with its effects, and the gas it leaves unused.

use crate::HostFault;
use crate::action::{Action, PendingReceipt};
use crate::exec::{CallContext, Execution};
use crate::fees;
use crate::runtime::actions::overflow;
use crate::runtime::apply::{Run, Stop, Value};
use crate::runtime::errors::ActionError;
use crate::runtime::receipt::{
    ActionReceipt, DataReceiver, ExecutionSummary, PendingYield, ReceiptBody,
};
use crate::runtime::{EPOCH_BLOCKS, Machine, validate};
use crate::state::keys;
use cotenant_submodules::calls::Effects;
use cotenant_submodules::split_method;
use near_primitives_core::hash::CryptoHash;
use near_vm_runner::logic::types::{PromiseResult, ReturnData};
use std::rc::Rc;

impl<M: Machine> Run<'_, M> {
    pub(super) fn call(
        &mut self,
        index: u64,
        method: &str,
        args: &[u8],
        deposit: u128,
        gas: u64,
    ) -> Result<Value, Stop> {
        let (namespace, name) = split_method(method)
            .map_err(|error| ActionError::InvalidNamespace { method: method.to_owned(), error })?;
        let account = self.account()?;
        let held = account.balance.checked_add(deposit).ok_or_else(overflow)?;
        let last = index + 1 == self.body.actions.len() as u64;
        let outputs = if last { self.body.outputs.as_slice() } else { &[] };
        let context = CallContext {
            account: self.receiver().clone(),
            signer: self.body.signer.clone(),
            signer_key: self.body.signer_key.clone(),
            predecessor: self.receipt.predecessor.clone(),
            refund_to: self.body.refund_to.as_ref().unwrap_or(&self.receipt.predecessor).clone(),
            namespace: namespace.clone(),
            method: name.to_owned(),
            input: args.to_vec(),
            promise_results: self.results.iter().map(promise_result).collect(),
            block_height: self.block.height,
            block_timestamp: self.block.timestamp,
            epoch_height: self.block.height / EPOCH_BLOCKS,
            balance: account.balance,
            locked_balance: account.locked,
            storage_usage: account.storage_usage,
            deposit,
            gas,
            random_seed: random_seed(self.block.height, &self.receipt.id, index),
            view: false,
            output_data_receivers: outputs.iter().map(|output| output.receiver.clone()).collect(),
        };
        let mut execution = self.machine.execute(self.state.view(), context)?;
        self.gas_burnt = self.gas_burnt.saturating_add(execution.gas_burnt);
        self.gas_vm = self.gas_vm.saturating_add(execution.gas_burnt);
        self.logs.append(&mut execution.logs);
        let effects = execution.effects.take();
        let mut summary = summary(index, namespace, name, &execution);
        if let Some(abort) = execution.abort {
            self.executions.push(summary);
            let account = self.receiver().clone();
            return Err(ActionError::FunctionCall { account, abort }.into());
        }
        let Some(mut effects) = effects else {
            return Err(HostFault::Bug("a call succeeded without effects".into()).into());
        };
        let used = used_gas(self.schedule, &execution, &effects)?;
        let shared = share_out(gas.saturating_sub(used), &mut effects.receipts);
        summary.gas_used = used.saturating_add(shared);
        self.gas_used = self.gas_used.saturating_add(summary.gas_used);
        self.executions.push(summary);
        self.minted =
            self.minted.saturating_add(lent(held, execution.ledger.balance, &effects.receipts)?);

        let id = self.receiver().clone();
        let mut account = self.account()?;
        account.balance = execution.ledger.balance;
        account.storage_usage = execution.ledger.storage_usage;
        self.state.set_account(&id, &account)?;
        for (namespace, writes) in std::mem::take(&mut effects.writes) {
            for (key, value) in writes {
                let key = keys::storage(&id, &namespace, &key);
                match value {
                    Some(value) => self.state.put(key, value),
                    None => self.state.delete(key),
                }
            }
        }
        let positions = self.send(effects.receipts)?;
        match execution.return_data {
            ReturnData::None => Ok(Value::Bytes(Vec::new())),
            ReturnData::Value(bytes) => Ok(Value::Bytes(bytes)),
            ReturnData::ReceiptIndex(index) => {
                let position =
                    usize::try_from(index).ok().and_then(|index| *positions.get(index)?);
                let missing =
                    || HostFault::Bug(format!("a call returned receipt {index}, which is none"));
                Ok(Value::Receipt(position.ok_or_else(missing)?))
            }
        }
    }

    /// Makes receipts of what a call created. Gives the place of each among the new receipts of this one. Yields enter
    /// the state here, at the end of their action, so that later actions of the receipt see them, as on NEAR since
    /// protocol 83.
    fn send(&mut self, created: Vec<PendingReceipt>) -> Result<Vec<Option<usize>>, Stop> {
        let limits = &self.schedule.vm.limit_config;
        let mut positions: Vec<Option<usize>> = Vec::with_capacity(created.len());
        let mut answers = Vec::new();
        let mut yields = Vec::new();
        for pending in created {
            if let Some((data_id, data)) = pending.resumes() {
                answers.push((*data_id, data.to_vec()));
                positions.push(None);
                continue;
            }
            validate::actions(limits, &pending.actions)
                .map_err(ActionError::NewReceiptValidationError)?;
            let inputs = pending.after.len() + usize::from(pending.yield_data.is_some());
            validate::inputs(limits, inputs).map_err(ActionError::NewReceiptValidationError)?;
            let mut inputs = Vec::with_capacity(inputs);
            for after in &pending.after {
                let position =
                    usize::try_from(*after).ok().and_then(|after| *positions.get(after)?);
                inputs.push(self.wait_for(position, &pending.receiver)?);
            }
            inputs.extend(pending.yield_data);
            let position = self.push(
                pending.receiver.clone(),
                ReceiptBody::Actions(ActionReceipt {
                    signer: self.body.signer.clone(),
                    signer_key: self.body.signer_key.clone(),
                    refund_to: pending.refund_to,
                    gas_price: self.body.gas_price,
                    outputs: Vec::new(),
                    inputs,
                    actions: pending.actions,
                }),
            );
            positions.push(Some(position));
            let Some(data_id) = pending.yield_data else { continue };
            // What a contract names itself could be there: two of a name would be answered as one.
            let here = yields.iter().any(|(_, known)| *known == data_id);
            if here || self.state.get(&keys::yielded(&pending.receiver, &data_id))?.is_some() {
                return Err(ActionError::YieldAlreadyPending { data_id }.into());
            }
            yields.push((position, data_id));
        }
        for (position, data_id) in yields {
            self.keep_yield(position, &data_id)?;
        }
        for (data_id, data) in answers {
            self.answer(data_id, data)?;
        }
        Ok(positions)
    }

    /// Makes a new receipt send its result to another one. Gives the data id.
    fn wait_for(
        &mut self,
        position: Option<usize>,
        receiver: &near_account_id::AccountId,
    ) -> Result<CryptoHash, HostFault> {
        let index = self.data_ids;
        self.data_ids += 1;
        let seed = [self.receipt.id.as_bytes().as_slice(), b"data", &index.to_le_bytes()].concat();
        let data_id = CryptoHash::hash_bytes(&seed);
        let source = position.and_then(|position| self.new.get_mut(position));
        match source.map(|source| &mut source.receipt.body) {
            Some(ReceiptBody::Actions(source)) => {
                source.outputs.push(DataReceiver { data_id, receiver: receiver.clone() });
                Ok(data_id)
            }
            _ => Err(HostFault::Bug("a receipt waits for one that is not there".into())),
        }
    }

    /// Puts a yielded receipt into the state, as far as it is made. `dispatch` writes the whole of it.
    fn keep_yield(&mut self, position: usize, data_id: &CryptoHash) -> Result<(), HostFault> {
        const SEEN_BY_LATER_ACTIONS: u32 = 83;
        let Some(new) = self.new.get_mut(position) else {
            return Err(HostFault::Bug("a yield that is no new receipt".into()));
        };
        new.yielded = true;
        let receipt = new.receipt.clone();
        let account = receipt.receiver.clone();
        let expires_at = self.expiry_of_yields();
        let pending = PendingYield { receipt, expires_at, resumed: false };
        self.state.write(keys::yielded(&account, data_id), &pending)?;
        if self.schedule.protocol < SEEN_BY_LATER_ACTIONS {
            self.state.hide_yield(&account, data_id);
        }
        Ok(())
    }

    /// The block at whose end yields that are made now are over.
    pub(super) fn expiry_of_yields(&self) -> u64 {
        let blocks = self.schedule.vm.limit_config.yield_timeout_length_in_blocks;
        self.block.height.saturating_add(blocks)
    }

    /// Sends an answer to a yielded receipt. The first answer counts.
    fn answer(&mut self, data_id: CryptoHash, data: Vec<u8>) -> Result<(), HostFault> {
        let account = self.receiver().clone();
        let key = keys::yielded(&account, &data_id);
        match self.state.read::<PendingYield>(&key)? {
            Some(mut pending) if !pending.resumed => {
                pending.resumed = true;
                self.state.write(key, &pending)?;
                self.push(account, ReceiptBody::Resume { data_id, data: Some(data) });
            }
            _ => {}
        }
        Ok(())
    }
}

fn promise_result(result: &Option<Rc<[u8]>>) -> PromiseResult {
    match result {
        Some(data) => PromiseResult::Successful(Rc::clone(data)),
        None => PromiseResult::Failed,
    }
}

/// sha256 of the height (`u64`, little-endian) and the receipt's id; for actions after the first also of the
/// action's index (`u64`, little-endian), so that two calls of one batch differ.
pub(super) fn random_seed(height: u64, receipt: &CryptoHash, action: u64) -> [u8; 32] {
    let mut bytes = [height.to_le_bytes().as_slice(), receipt.as_bytes()].concat();
    if action > 0 {
        bytes.extend_from_slice(&action.to_le_bytes());
    }
    CryptoHash::hash_bytes(&bytes).0
}

fn summary(
    action_index: u64,
    namespace: cotenant_submodules::Namespace,
    method: &str,
    execution: &Execution,
) -> ExecutionSummary {
    ExecutionSummary {
        action_index,
        namespace,
        method: method.to_owned(),
        gas_vm: execution.gas_burnt,
        gas_used: execution.gas_used,
        abort: execution.abort.clone(),
        tree: execution.tree.clone(),
    }
}

/// Gas burnt by a call and bought for the receipts it created. What it has reserved for an action that is not
/// carried out here has no price of ours and comes back with the unused gas.
fn used_gas(
    schedule: &cotenant_gas::Schedule,
    execution: &Execution,
    effects: &Effects<PendingReceipt>,
) -> Result<u64, HostFault> {
    let receipts = effects.receipts.iter().filter(|receipt| receipt.resumes().is_none());
    let bought = receipts.clone().fold(0u64, |sum, receipt| {
        sum.saturating_add(fees::prepaid(schedule, &receipt.actions, &receipt.receiver))
    });
    let mut actions = receipts.flat_map(|receipt| &receipt.actions);
    let unpriced = actions.any(|action| matches!(action, Action::Unsupported { .. }));
    let reserved = execution.gas_used.saturating_sub(execution.gas_burnt);
    if reserved < bought || (reserved > bought && !unpriced) {
        return Err(HostFault::Bug(format!(
            "a call reserved {reserved} gas for receipts that cost {bought} to execute"
        )));
    }
    Ok(execution.gas_burnt.saturating_add(bought))
}

/// Shares unused gas out over the calls that have a weight, the remainder to the last. Gives what was shared.
pub(super) fn share_out(unused: u64, receipts: &mut [PendingReceipt]) -> u64 {
    let calls = receipts.iter_mut().flat_map(|receipt| &mut receipt.actions);
    let mut calls: Vec<(&mut u64, u64)> = calls
        .filter_map(|action| match action {
            Action::FunctionCall { gas, weight, .. } if *weight > 0 => Some((gas, *weight)),
            _ => None,
        })
        .collect();
    let weights: u128 = calls.iter().map(|(_, weight)| u128::from(*weight)).sum();
    if weights == 0 {
        return 0;
    }
    let mut left = unused;
    for (gas, weight) in &mut calls {
        // At most `unused`, for a weight is at most their sum.
        let share = (u128::from(unused) * u128::from(*weight) / weights) as u64;
        **gas = gas.saturating_add(share);
        left = left.saturating_sub(share);
    }
    if let Some((gas, _)) = calls.last_mut() {
        **gas = gas.saturating_add(left);
    }
    unused
}

/// Balance that the receipts carry and the account has not paid: the single yoctoNEAR that NEAR lends to an
/// account without balance.
fn lent(held: u128, left: u128, receipts: &[PendingReceipt]) -> Result<u128, HostFault> {
    let mut deposits = receipts.iter().map(|receipt| validate::deposits(&receipt.actions));
    let carried = deposits.try_fold(0u128, |sum, deposit| sum.checked_add(deposit?));
    let carried = carried.ok_or_else(overflow)?;
    let calls = receipts.iter().flat_map(|receipt| &receipt.actions);
    let may_lend = calls
        .filter(|action| matches!(action, Action::FunctionCall { deposit: 1, .. }))
        .count() as u128;
    let paid = held.checked_sub(left);
    match paid.and_then(|paid| carried.checked_sub(paid)) {
        Some(lent) if lent <= may_lend => Ok(lent),
        _ => Err(HostFault::Bug(format!(
            "a call had {held} yoctoNEAR, has {left} left and sends {carried}"
        ))),
    }
}
