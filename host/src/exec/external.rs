//! NEAR's view of the chain for one frame: storage through the frame's pending writes, receipts into the
//! frame's effects. All rules are in `cotenant_submodules::calls`.

use super::root::Root;
use crate::HostFault;
use crate::action::{Action, Code, NamespaceScope, PendingReceipt, Permission};
use crate::fees;
use cotenant_submodules::calls::{FrameId, LedgerChange};
use cotenant_submodules::{DeployMode, Namespace, Replace, SyncExecutionError, Visibility};
use near_account_id::AccountId;
use near_crypto::PublicKey;
use near_primitives_core::hash::{CryptoHash, YieldId, hash};
use near_primitives_core::types::{Balance, Gas, GasWeight, Nonce, NonceIndex};
use near_primitives_core::universal_state_init::{
    DecodeMode, RawStateInit, StateInitError, UniversalStateInitCounts,
};
use near_vm_runner::logic::types::{
    ActionIndex, GlobalContractDeployMode, GlobalContractIdentifier, ReceiptIndex,
};
use near_vm_runner::logic::{External, HostError, StorageAccessTracker, VMLogicError, ValuePtr};
use std::cell::Cell;
use std::rc::Rc;

type Result<T> = std::result::Result<T, VMLogicError>;

/// What NEAR's host functions reach of one frame.
pub(super) struct FrameExternal {
    root: Rc<Root>,
    frame: FrameId,
    /// Receiver by receipt index: NEAR asks for it by reference.
    receivers: Vec<AccountId>,
    /// Gas that the receipts made here have reserved: that of each action when it is appended.
    reserved: Rc<Cell<u64>>,
}

struct Value(Vec<u8>);

impl ValuePtr for Value {
    fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn deref(&self, _: &mut dyn StorageAccessTracker) -> Result<Vec<u8>> {
        Ok(self.0.clone())
    }
}

impl FrameExternal {
    pub(super) fn new(root: Rc<Root>, frame: FrameId, reserved: Rc<Cell<u64>>) -> Self {
        Self { root, frame, receivers: Vec::new(), reserved }
    }

    fn reserve(&self, gas: u64) {
        self.reserved.set(self.reserved.get().saturating_add(gas));
    }

    fn fault(&self, fault: HostFault) -> VMLogicError {
        VMLogicError::ExternalError(near_vm_runner::logic::errors::AnyError::new(fault.to_string()))
    }

    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let tree = self.root.tree.borrow();
        if let Some(pending) = tree.pending(self.frame, key) {
            return Ok(pending.map(<[u8]>::to_vec));
        }
        let account = &self.root.context.account;
        self.root
            .state
            .value(account, tree.namespace(self.frame), key)
            .map_err(|fault| self.fault(fault))
    }

    fn write(&mut self, key: &[u8], value: Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        let before = self.read(key)?;
        let written = self.root.tree.borrow_mut().write(self.frame, key, value);
        match written {
            Ok(()) => Ok(before),
            Err(error) => Err(self.refuse(error)),
        }
    }

    /// A rule of ours broken inside of NEAR's function: NEAR has no name for it, so it is noted with the
    /// root and NEAR's function ends with an error that the frame replaces.
    fn refuse(&self, error: SyncExecutionError) -> VMLogicError {
        self.root.refused.replace(Some(error));
        HostError::MemoryAccessViolation.into()
    }

    /// Takes what an action carries out of the ledger. What is not covered is noted with the root, for most of
    /// NEAR's functions cannot be told of it.
    fn spend(&self, action: &Action) {
        let deposit = action.deposit();
        if deposit == 0 {
            return;
        }
        let mut tree = self.root.tree.borrow_mut();
        // NEAR lets a contract without balance attach one yoctoNEAR to a function call.
        if matches!(action, Action::FunctionCall { deposit: 1, .. })
            && tree.ledger().balance == 0
            && self.root.schedule.vm.one_yocto_on_promise
        {
            return;
        }
        let change = LedgerChange { spent: deposit, ..LedgerChange::default() };
        if let Err(error) = tree.charge_ledger(self.frame, change) {
            self.root.overdrawn.replace(Some(error));
        }
    }

    fn push(&mut self, receipt: PendingReceipt) -> ReceiptIndex {
        let mut tree = self.root.tree.borrow_mut();
        let change = LedgerChange { receipts: 1, ..LedgerChange::default() };
        if let Err(error) = tree.charge_ledger(self.frame, change) {
            self.root.overdrawn.replace(Some(error));
        }
        let receipts = tree.receipts_mut(self.frame);
        receipts.push(receipt);
        receipts.len() as u64 - 1
    }

    fn create(&mut self, after: Vec<ReceiptIndex>, receiver: AccountId) -> ReceiptIndex {
        self.reserve(fees::reserved_by_receipt(&self.root.schedule));
        let index = self.push(PendingReceipt::new(receiver.clone(), after));
        // Receipts of callees have taken indices of their own.
        self.receivers.resize(index as usize, receiver.clone());
        self.receivers.push(receiver);
        index
    }

    fn append(&mut self, receipt: ReceiptIndex, action: Action) {
        self.spend(&action);
        let receiver = self.get_receipt_receiver(receipt);
        self.reserve(fees::reserved_by_action(&self.root.schedule, &action, receiver));
        if let Some(receipt) =
            self.root.tree.borrow_mut().receipts_mut(self.frame).get_mut(receipt as usize)
        {
            receipt.actions.push(action);
        }
    }

    fn unsupported(&mut self, receipt: ReceiptIndex, name: &str, deposit: u128) -> ActionIndex {
        self.append(receipt, Action::Unsupported { name: name.to_owned(), deposit });
        let tree = self.root.tree.borrow();
        let receipts = &tree.effects(self.frame).receipts;
        receipts.get(receipt as usize).map_or(0, |receipt| receipt.actions.len() as u64 - 1)
    }

    fn permission(
        allowance: Option<Balance>,
        receiver: AccountId,
        methods: Vec<Vec<u8>>,
    ) -> Result<Permission> {
        let methods: std::result::Result<Vec<_>, _> =
            methods.into_iter().map(String::from_utf8).collect();
        Ok(Permission::FunctionCall {
            allowance: allowance.map(|balance| balance.as_yoctonear()),
            receiver,
            methods: methods.map_err(|_| HostError::InvalidMethodName)?,
            namespaces: NamespaceScope::Named,
        })
    }
}

impl External for FrameExternal {
    fn storage_set(
        &mut self,
        _: &mut dyn StorageAccessTracker,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        self.write(key, Some(value.to_vec()))
    }

    fn storage_get<'a>(
        &'a self,
        _: &mut dyn StorageAccessTracker,
        key: &[u8],
    ) -> Result<Option<Box<dyn ValuePtr + 'a>>> {
        Ok(self.read(key)?.map(|value| Box::new(Value(value)) as Box<dyn ValuePtr>))
    }

    fn storage_remove(
        &mut self,
        _: &mut dyn StorageAccessTracker,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        self.write(key, None)
    }

    fn storage_has_key(&mut self, _: &mut dyn StorageAccessTracker, key: &[u8]) -> Result<bool> {
        let tree = self.root.tree.borrow();
        if let Some(pending) = tree.pending(self.frame, key) {
            return Ok(pending.is_some());
        }
        let account = &self.root.context.account;
        self.root
            .state
            .has_value(account, tree.namespace(self.frame), key)
            .map_err(|fault| self.fault(fault))
    }

    fn generate_data_id(&mut self) -> CryptoHash {
        let number = self.root.data_ids.get();
        self.root.data_ids.set(number + 1);
        let mut bytes = self.root.context.random_seed.to_vec();
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&number.to_le_bytes());
        hash(&bytes)
    }

    fn get_recorded_storage_size(&self) -> usize {
        0
    }

    fn storage_proof_size_before_receipt(&self) -> usize {
        0
    }

    fn validator_stake(&self, _account_id: &AccountId) -> Result<Option<Balance>> {
        Ok(None)
    }

    fn validator_total_stake(&self) -> Result<Balance> {
        Ok(Balance::ZERO)
    }

    fn chain_id(&self) -> String {
        "cotenant".to_owned()
    }

    fn create_action_receipt(
        &mut self,
        receipt_indices: Vec<ReceiptIndex>,
        receiver_id: AccountId,
    ) -> Result<ReceiptIndex> {
        Ok(self.create(receipt_indices, receiver_id))
    }

    fn create_promise_yield_receipt(
        &mut self,
        receiver_id: AccountId,
    ) -> Result<(ReceiptIndex, CryptoHash)> {
        let data_id = self.generate_data_id();
        let index = self.create(Vec::new(), receiver_id);
        if let Some(receipt) =
            self.root.tree.borrow_mut().receipts_mut(self.frame).get_mut(index as usize)
        {
            receipt.yield_data = Some(data_id);
        }
        Ok((index, data_id))
    }

    fn create_promise_yield_receipt_with_id(
        &mut self,
        receiver_id: AccountId,
        user_yield_id: YieldId,
    ) -> Result<Option<(ReceiptIndex, CryptoHash)>> {
        let data_id = self.yield_data_id(&user_yield_id);
        let taken = self.yields_here(&data_id);
        let waits = self
            .root
            .state
            .yield_exists(&self.root.context.account, &data_id)
            .map_err(|fault| self.fault(fault))?;
        if taken || waits {
            return Ok(None);
        }
        let index = self.create(Vec::new(), receiver_id);
        if let Some(receipt) =
            self.root.tree.borrow_mut().receipts_mut(self.frame).get_mut(index as usize)
        {
            receipt.yield_data = Some(data_id);
        }
        Ok(Some((index, data_id)))
    }

    fn submit_promise_resume_data(&mut self, data_id: CryptoHash, data: Vec<u8>) -> Result<bool> {
        let known = self
            .root
            .state
            .yield_exists(&self.root.context.account, &data_id)
            .map_err(|fault| self.fault(fault))?;
        if !known && !self.yields_here(&data_id) {
            return Ok(false);
        }
        let account = self.root.context.account.clone();
        let mut receipt = PendingReceipt::new(account, Vec::new());
        receipt.actions.push(Action::ResumeYield { data_id, data });
        self.push(receipt);
        Ok(true)
    }

    fn submit_promise_resume_data_with_yield_id(
        &mut self,
        user_yield_id: YieldId,
        data: Vec<u8>,
    ) -> Result<bool> {
        let data_id = self.yield_data_id(&user_yield_id);
        self.submit_promise_resume_data(data_id, data)
    }

    fn append_action_create_account(&mut self, receipt_index: ReceiptIndex) {
        self.append(receipt_index, Action::CreateAccount);
    }

    fn append_action_deploy_contract(&mut self, receipt_index: ReceiptIndex, code: Vec<u8>) {
        // Our own deploy functions call NEAR's and leave what they want in a tag.
        let action = match self.root.tagged.take() {
            Some(tag) => tag(code),
            None => Action::DeployModule {
                namespace: Namespace::DEFAULT,
                mode: DeployMode { visibility: Visibility::Public, replace: Replace::Any },
                code: Code::Bytes(code),
            },
        };
        self.append(receipt_index, action);
    }

    fn append_action_deploy_global_contract(
        &mut self,
        receipt_index: ReceiptIndex,
        _code: Vec<u8>,
        _mode: GlobalContractDeployMode,
    ) {
        self.unsupported(receipt_index, "DeployGlobalContract", 0);
    }

    fn append_action_use_global_contract(
        &mut self,
        receipt_index: ReceiptIndex,
        _contract_id: GlobalContractIdentifier,
    ) {
        self.unsupported(receipt_index, "UseGlobalContract", 0);
    }

    fn append_action_deterministic_state_init(
        &mut self,
        receipt_index: ReceiptIndex,
        _contract_id: GlobalContractIdentifier,
        amount: Balance,
    ) -> ActionIndex {
        self.unsupported(receipt_index, "DeterministicStateInit", amount.as_yoctonear())
    }

    fn set_deterministic_state_init_data_entry(
        &mut self,
        receipt_index: ReceiptIndex,
        action_index: ActionIndex,
        _key: Vec<u8>,
        _value: Vec<u8>,
    ) -> Result<()> {
        let tree = self.root.tree.borrow();
        let receipt = tree.effects(self.frame).receipts.get(receipt_index as usize);
        match receipt.and_then(|receipt| receipt.actions.get(action_index as usize)) {
            Some(Action::Unsupported { name, .. }) if name == "DeterministicStateInit" => Ok(()),
            _ => Err(HostError::InvalidActionIndex { receipt_index, action_index }.into()),
        }
    }

    fn check_state_init(
        &self,
        _state_init: &RawStateInit,
    ) -> std::result::Result<(), StateInitError> {
        Ok(())
    }

    fn state_init_send_counts(
        &self,
        state_init: &RawStateInit,
        _mode: DecodeMode,
    ) -> UniversalStateInitCounts {
        UniversalStateInitCounts {
            num_bytes: state_init.0.len() as u64,
            num_entries: 0,
            num_keys: 0,
        }
    }

    fn append_action_universal_state_init(
        &mut self,
        receipt_index: ReceiptIndex,
        _state_init: RawStateInit,
        amount: Balance,
    ) {
        self.unsupported(receipt_index, "UniversalStateInit", amount.as_yoctonear());
    }

    fn append_action_function_call_weight(
        &mut self,
        receipt_index: ReceiptIndex,
        method_name: Vec<u8>,
        args: Vec<u8>,
        attached_deposit: Balance,
        prepaid_gas: Gas,
        gas_weight: GasWeight,
    ) -> Result<()> {
        let method = String::from_utf8(method_name).map_err(|_| HostError::InvalidMethodName)?;
        let action = Action::FunctionCall {
            method,
            args,
            deposit: attached_deposit.as_yoctonear(),
            gas: prepaid_gas.as_gas(),
            weight: gas_weight.0,
        };
        self.append(receipt_index, action);
        Ok(())
    }

    fn append_action_transfer(&mut self, receipt_index: ReceiptIndex, deposit: Balance) {
        self.append(receipt_index, Action::Transfer { deposit: deposit.as_yoctonear() });
    }

    fn append_action_transfer_to_gas_key(
        &mut self,
        receipt_index: ReceiptIndex,
        _public_key: PublicKey,
        deposit: Balance,
    ) {
        self.unsupported(receipt_index, "TransferToGasKey", deposit.as_yoctonear());
    }

    fn append_action_add_gas_key_with_full_access(
        &mut self,
        receipt_index: ReceiptIndex,
        _public_key: PublicKey,
        _num_nonces: NonceIndex,
    ) {
        self.unsupported(receipt_index, "AddGasKey", 0);
    }

    fn append_action_add_gas_key_with_function_call(
        &mut self,
        receipt_index: ReceiptIndex,
        _public_key: PublicKey,
        _num_nonces: NonceIndex,
        _allowance: Option<Balance>,
        _receiver_id: AccountId,
        _method_names: Vec<Vec<u8>>,
    ) -> Result<()> {
        self.unsupported(receipt_index, "AddGasKey", 0);
        Ok(())
    }

    fn append_action_stake(
        &mut self,
        receipt_index: ReceiptIndex,
        stake: Balance,
        public_key: PublicKey,
    ) {
        let amount = stake.as_yoctonear();
        self.append(receipt_index, Action::Stake { amount, public_key });
    }

    fn append_action_add_key_with_full_access(
        &mut self,
        receipt_index: ReceiptIndex,
        public_key: PublicKey,
        _nonce: Nonce,
    ) {
        let permission = Permission::FullAccess;
        self.append(receipt_index, Action::AddKey { public_key, permission });
    }

    fn append_action_add_key_with_function_call(
        &mut self,
        receipt_index: ReceiptIndex,
        public_key: PublicKey,
        _nonce: Nonce,
        allowance: Option<Balance>,
        receiver_id: AccountId,
        method_names: Vec<Vec<u8>>,
    ) -> Result<()> {
        let permission = Self::permission(allowance, receiver_id, method_names)?;
        self.append(receipt_index, Action::AddKey { public_key, permission });
        Ok(())
    }

    fn append_action_delete_key(&mut self, receipt_index: ReceiptIndex, public_key: PublicKey) {
        self.append(receipt_index, Action::DeleteKey { public_key });
    }

    fn append_action_delete_account(
        &mut self,
        receipt_index: ReceiptIndex,
        beneficiary_id: AccountId,
    ) {
        self.append(receipt_index, Action::DeleteAccount { beneficiary: beneficiary_id });
    }

    fn get_receipt_receiver(&self, receipt_index: ReceiptIndex) -> &AccountId {
        self.receivers.get(receipt_index as usize).unwrap_or(&self.root.context.account)
    }

    fn set_refund_to(&mut self, receipt_index: ReceiptIndex, refund_to: AccountId) {
        if let Some(receipt) =
            self.root.tree.borrow_mut().receipts_mut(self.frame).get_mut(receipt_index as usize)
        {
            receipt.refund_to = Some(refund_to);
        }
    }

    fn post_quantum_keys_enabled(&self) -> bool {
        false
    }
}

impl FrameExternal {
    /// Whether this call has a yield that waits for some data: the frame, or those that called it. What a callee does
    /// joins theirs when it succeeds, so that two yields of one data id would meet there.
    fn yields_here(&self, data_id: &CryptoHash) -> bool {
        let tree = self.root.tree.borrow();
        tree.any_receipt(self.frame, |receipt| receipt.yield_data == Some(*data_id))
    }

    /// The data id behind a yield id that a contract chose.
    fn yield_data_id(&self, yield_id: &YieldId) -> CryptoHash {
        let mut bytes = self.root.context.account.as_bytes().to_vec();
        bytes.push(0);
        bytes.extend_from_slice(yield_id.as_ref());
        hash(&bytes)
    }
}
