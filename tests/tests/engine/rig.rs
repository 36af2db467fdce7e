//! An engine on a host of its own, and what a test asks of it.

use borsh::{BorshDeserialize, BorshSerialize};
use cotenant_host::engine::EngineKind;
use cotenant_host::runtime::{Status as NearStatus, TransactionOutcome};
use cotenant_host::{Call, Host, Options};
use cotenant_submodules::{ModuleId, Namespace, Visibility};
use engine_abi::{
    Address, CodeHash, Fork, Mint, New, Promote, SetAccount, StorageAt, TransactionResult, Word,
};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The owner of every engine.
pub const OWNER: &str = "owner.near";

/// Chain id of the engine.
pub const CHAIN_ID: u64 = 1_313_161_556;

/// NEAR gas of a call: what protocol 88 gives.
pub const NEAR_GAS: u64 = 1_000_000_000_000_000;

/// One chain for all engines, so that their code is compiled once.
static HOST: LazyLock<Host> = LazyLock::new(|| {
    let options = Options { engines: vec![EngineKind::Cranelift], ..Options::default() };
    Host::in_memory(&options).unwrap()
});

/// Engines so far: each has an account of its own.
static ENGINES: AtomicU32 = AtomicU32::new(0);

/// An engine.
pub struct Rig {
    account: String,
}

/// A transaction of the EVM and what it cost.
#[derive(Debug)]
pub struct Ran {
    pub result: TransactionResult,
    pub outcome: TransactionOutcome,
}

impl Rig {
    /// An engine of a fork that nobody may have compile but its owner.
    pub fn new(fork: Fork) -> Self {
        Self::started(fork, false)
    }

    /// The same, in which anybody may.
    pub fn permissionless() -> Self {
        Self::started(Fork::Cancun, true)
    }

    fn started(fork: Fork, permissionless_promote: bool) -> Self {
        let rig = Self::installed(&[]);
        let owner = OWNER.to_owned();
        let new = New { chain_id: CHAIN_ID, owner, fork, permissionless_promote };
        let new = borsh::to_vec(&new).unwrap();
        value(&rig.call_as(&rig.account, "new", new, NEAR_GAS)).unwrap();
        rig
    }

    /// An engine over what is in its account's state already.
    pub fn over(entries: &[(Vec<u8>, Vec<u8>)]) -> Self {
        Self::installed(entries)
    }

    fn installed(entries: &[(Vec<u8>, Vec<u8>)]) -> Self {
        let number = ENGINES.fetch_add(1, Ordering::Relaxed);
        let rig = Self { account: format!("evm{number:04}.near") };
        if !entries.is_empty() {
            let writer = wat::parse_str(crate::writer::WRITER).unwrap();
            rig.install("", Visibility::Public, &writer);
            for (key, entry) in entries {
                value(&rig.call_as(OWNER, "put", crate::writer::put(key, entry), NEAR_GAS))
                    .unwrap();
            }
        }
        rig.install("", Visibility::Public, cotenant_contracts::engine());
        let precompiles = cotenant_contracts::evm_precompiles();
        rig.install(":evm_precompiles", Visibility::Private, precompiles);
        rig.install(":evm_compiler", Visibility::Private, cotenant_contracts::evm_compiler());
        rig
    }

    /// Puts a private module beside the engine.
    pub fn deploy_private(&self, namespace: &str, code: &[u8]) {
        self.install(&format!(":{namespace}"), Visibility::Private, code);
    }

    fn install(&self, namespace: &str, visibility: Visibility, code: &[u8]) {
        let module: ModuleId = format!("{}{namespace}", self.account).parse().unwrap();
        let outcome = HOST.deploy(&module, visibility, code).unwrap();
        assert!(matches!(outcome.status(), Some(NearStatus::SuccessValue(_))), "{outcome:?}");
    }

    /// Calls a method as an account.
    pub fn call_as(
        &self,
        signer: &str,
        method: &str,
        args: Vec<u8>,
        gas: u64,
    ) -> TransactionOutcome {
        let mut call = Call::new(self.account.parse().unwrap(), method).args(args).gas(gas);
        call.signer = Some(signer.parse().unwrap());
        HOST.call(&call).unwrap()
    }

    /// Calls a method as the owner; it must succeed.
    pub fn run(&self, method: &str, args: &impl BorshSerialize) -> Vec<u8> {
        let outcome = self.call_as(OWNER, method, borsh::to_vec(args).unwrap(), NEAR_GAS);
        value(&outcome).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Why a call of a method fails.
    pub fn failure(&self, signer: &str, method: &str, args: Vec<u8>) -> String {
        value(&self.call_as(signer, method, args, NEAR_GAS)).expect_err(method)
    }

    /// A method that runs a transaction.
    pub fn transact(&self, signer: &str, method: &str, args: Vec<u8>) -> Ran {
        self.transact_with(signer, method, args, NEAR_GAS)
    }

    /// The same with other NEAR gas.
    pub fn transact_with(&self, signer: &str, method: &str, args: Vec<u8>, gas: u64) -> Ran {
        let outcome = self.call_as(signer, method, args, gas);
        let value = value(&outcome).unwrap_or_else(|error| panic!("{method}: {error}"));
        Ran { result: TransactionResult::try_from_slice(&value).unwrap(), outcome }
    }

    /// A `call` of a contract.
    pub fn call(&self, signer: &str, to: Address, input: &[u8], gas_limit: u64) -> Ran {
        let call = engine_abi::Call { to, value: [0; 32], input: input.to_vec(), gas_limit };
        self.transact(signer, "evm_call", borsh::to_vec(&call).unwrap())
    }

    /// A view method.
    pub fn view<T: BorshDeserialize>(&self, method: &str, args: &impl BorshSerialize) -> T {
        let args = borsh::to_vec(args).unwrap();
        let module: ModuleId = self.account.parse().unwrap();
        let execution = HOST.view(&module, method, &args).unwrap();
        assert!(execution.abort.is_none(), "{method}: {:?}", execution.abort);
        match execution.return_data {
            near_vm_runner::logic::types::ReturnData::Value(value) => {
                T::try_from_slice(&value).unwrap()
            }
            other => panic!("{method}: {other:?}"),
        }
    }

    /// The bytes that a view method returns.
    pub fn view_bytes(&self, method: &str, args: &impl BorshSerialize) -> Vec<u8> {
        let module: ModuleId = self.account.parse().unwrap();
        let execution = HOST.view(&module, method, &borsh::to_vec(args).unwrap()).unwrap();
        assert!(execution.abort.is_none(), "{method}: {:?}", execution.abort);
        match execution.return_data {
            near_vm_runner::logic::types::ReturnData::Value(value) => value,
            other => panic!("{method}: {other:?}"),
        }
    }

    /// The same, and the NEAR gas that it burns.
    pub fn view_burnt(&self, method: &str, args: &impl BorshSerialize) -> (Vec<u8>, u64) {
        let module: ModuleId = self.account.parse().unwrap();
        let execution = HOST.view(&module, method, &borsh::to_vec(args).unwrap()).unwrap();
        let burnt = execution.gas_burnt;
        assert!(execution.abort.is_none(), "{method}: {:?}", execution.abort);
        match execution.return_data {
            near_vm_runner::logic::types::ReturnData::Value(value) => (value, burnt),
            other => panic!("{method}: {other:?}"),
        }
    }

    /// Why a view method fails.
    pub fn view_failure(&self, method: &str, args: Vec<u8>) -> String {
        let module: ModuleId = self.account.parse().unwrap();
        let execution = HOST.view(&module, method, &args).unwrap();
        format!("{:?}", execution.abort.expect(method))
    }

    pub fn set_account(&self, address: Address, code: &[u8], storage: &[(Word, Word)]) {
        let account = SetAccount {
            address,
            code: code.to_vec(),
            storage: storage.to_vec(),
            nonce: 1,
            balance: [0; 32],
        };
        self.run("set_account", &account);
    }

    pub fn mint(&self, address: Address, amount: Word) {
        self.run("mint", &Mint { address, amount });
    }

    pub fn storage_at(&self, address: Address, slot: Word) -> Word {
        self.view("storage_at", &StorageAt { address, slot })
    }

    /// Promotes by a module; whether the host took it.
    pub fn promote(&self, code_hash: CodeHash, wasm: &[u8]) -> bool {
        self.run("promote", &Promote { code_hash, wasm: wasm.to_vec() }) == [1]
    }

    /// Promotes a contract by the module that the compiler makes of it here.
    pub fn promote_compiled(&self, code: &[u8]) -> bool {
        self.promote(keccak(code), &compile_for(code, Fork::Cancun))
    }

    /// The code of a module of the engine's account.
    pub fn module_code(&self, namespace: &str) -> Vec<u8> {
        let state = HOST.state().unwrap();
        let modules = state.modules(&self.account.parse().unwrap()).unwrap();
        let record = &modules[&namespace.parse::<Namespace>().unwrap()];
        state.code(&record.code_hash).unwrap().unwrap().to_vec()
    }

    /// Whether the engine's account has a module.
    pub fn has_module(&self, namespace: &str) -> bool {
        let state = HOST.state().unwrap();
        let modules = state.modules(&self.account.parse().unwrap()).unwrap();
        modules.contains_key(&namespace.parse::<Namespace>().unwrap())
    }

    /// All that the engine has in its state.
    pub fn entries(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let state = HOST.state().unwrap();
        let account = self.account.parse().unwrap();
        let entries = state.values(&account, &Namespace::DEFAULT, &[], usize::MAX).unwrap();
        entries.into_iter().collect()
    }

    /// YoctoNEAR of an account.
    pub fn near_balance(account: &str) -> u128 {
        let state = HOST.state().unwrap();
        let account = state.account(&account.parse().unwrap()).unwrap();
        account.map_or(0, |account| account.balance)
    }

    /// Calls a method as an account that attaches NEAR.
    pub fn call_with_deposit(
        &self,
        signer: &str,
        method: &str,
        args: Vec<u8>,
        deposit: u128,
    ) -> TransactionOutcome {
        let mut call = Call::new(self.account.parse().unwrap(), method).args(args).gas(NEAR_GAS);
        call.deposit = deposit;
        call.signer = Some(signer.parse().unwrap());
        HOST.call(&call).unwrap()
    }

    /// The account of the engine.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Everything that the EVM sees: accounts and slots.
    pub fn world(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let state = HOST.state().unwrap();
        let account = self.account.parse().unwrap();
        let entries = state.values(&account, &Namespace::DEFAULT, &[], usize::MAX).unwrap();
        entries.into_iter().filter(|(key, _)| matches!(key[0], b'a' | b's')).collect()
    }
}

/// The EVM address of a NEAR account.
pub fn sender(account: &str) -> Address {
    let mut address = [0; 20];
    address.copy_from_slice(&keccak(account.as_bytes())[12..]);
    address
}

/// Keccak-256.
pub fn keccak(bytes: &[u8]) -> [u8; 32] {
    revm::primitives::keccak256(bytes).0
}

/// What the compiler makes of code.
pub fn compile_for(code: &[u8], fork: Fork) -> Vec<u8> {
    let fork = match fork {
        Fork::Cancun => evm_to_wasm::Fork::Cancun,
        Fork::Prague => evm_to_wasm::Fork::Prague,
        Fork::Osaka => evm_to_wasm::Fork::Osaka,
    };
    let options = evm_to_wasm::Options { fork, keccak: evm_to_wasm::Keccak::Own };
    evm_to_wasm::compile(code, &options).wasm
}

/// The value of an outcome, or why it failed.
pub fn value(outcome: &TransactionOutcome) -> Result<Vec<u8>, String> {
    match outcome.status() {
        Some(NearStatus::SuccessValue(value)) => Ok(value.clone()),
        Some(NearStatus::Failure(failure)) => Err(format!("{}: {}", failure.code, failure.message)),
        other => Err(format!("{other:?}")),
    }
}
