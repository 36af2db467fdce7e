//! An engine on a host of its own, and what a test asks of it.

use borsh::{BorshDeserialize, BorshSerialize};
use cotenant_host::engine::EngineKind;
use cotenant_host::runtime::{Status as NearStatus, TransactionOutcome};
use cotenant_host::{Call, Host, Options};
use cotenant_submodules::{ModuleId, Visibility};
use engine_abi::{
    Address, CodeHash, Fork, Mint, New, Promote, SetAccount, StorageAt, TransactionResult, Word,
};

/// The account of the engine, and of its owner.
pub const ENGINE: &str = "evm.near";

/// Chain id of the engine.
pub const CHAIN_ID: u64 = 1_313_161_556;

/// NEAR gas of a call: what protocol 88 gives.
pub const NEAR_GAS: u64 = 1_000_000_000_000_000;

/// The modules of an engine's account.
pub struct Guests<'a> {
    pub engine: &'a [u8],
    pub precompiles: &'a [u8],
    pub compiler: &'a [u8],
}

/// An engine.
pub struct Rig {
    host: Host,
}

/// A transaction of the EVM and what it cost.
#[derive(Debug)]
pub struct Ran {
    pub result: TransactionResult,
    pub outcome: TransactionOutcome,
}

impl Rig {
    /// An engine of a fork that nobody may have compile but its owner.
    pub fn new(guests: &Guests<'_>, fork: Fork) -> Self {
        Self::started(guests, fork, false)
    }

    /// The same, in which anybody may.
    pub fn permissionless(guests: &Guests<'_>) -> Self {
        Self::started(guests, Fork::Cancun, true)
    }

    fn started(guests: &Guests<'_>, fork: Fork, permissionless_promote: bool) -> Self {
        let options = Options { engines: vec![EngineKind::Cranelift], ..Options::default() };
        let rig = Self { host: Host::in_memory(&options).unwrap() };
        rig.install("", Visibility::Public, guests.engine);
        rig.install(":evm_precompiles", Visibility::Private, guests.precompiles);
        rig.install(":evm_compiler", Visibility::Private, guests.compiler);
        let owner = ENGINE.to_owned();
        rig.run("new", &New { chain_id: CHAIN_ID, owner, fork, permissionless_promote });
        rig
    }

    fn install(&self, namespace: &str, visibility: Visibility, code: &[u8]) {
        if code.is_empty() {
            return;
        }
        let module: ModuleId = format!("{ENGINE}{namespace}").parse().unwrap();
        let outcome = self.host.deploy(&module, visibility, code).unwrap();
        assert!(matches!(outcome.status(), Some(NearStatus::SuccessValue(_))), "{outcome:?}");
    }

    /// Calls a method as an account.
    pub fn call_as(&self, signer: &str, method: &str, args: Vec<u8>, gas: u64) -> TransactionOutcome {
        let mut call = Call::new(ENGINE.parse().unwrap(), method).args(args).gas(gas);
        call.signer = Some(signer.parse().unwrap());
        self.host.call(&call).unwrap()
    }

    /// Calls a method as the owner; it must succeed.
    pub fn run(&self, method: &str, args: &impl BorshSerialize) -> Vec<u8> {
        let outcome = self.call_as(ENGINE, method, borsh::to_vec(args).unwrap(), NEAR_GAS);
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
        self.transact(signer, "call", borsh::to_vec(&call).unwrap())
    }

    /// A view method.
    pub fn view<T: BorshDeserialize>(&self, method: &str, args: &impl BorshSerialize) -> T {
        let args = borsh::to_vec(args).unwrap();
        let module: ModuleId = ENGINE.parse().unwrap();
        let execution = self.host.view(&module, method, &args).unwrap();
        assert!(execution.abort.is_none(), "{method}: {:?}", execution.abort);
        match execution.return_data {
            near_vm_runner::logic::types::ReturnData::Value(value) => T::try_from_slice(&value).unwrap(),
            other => panic!("{method}: {other:?}"),
        }
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

    /// The digest of the whole state.
    pub fn digest(&self) -> impl PartialEq + std::fmt::Debug {
        self.host.runtime().digest().unwrap()
    }

    pub fn host(&self) -> &Host {
        &self.host
    }
}

/// The value of an outcome, or why it failed.
pub fn value(outcome: &TransactionOutcome) -> Result<Vec<u8>, String> {
    match outcome.status() {
        Some(NearStatus::SuccessValue(value)) => Ok(value.clone()),
        Some(NearStatus::Failure(failure)) => Err(format!("{}: {}", failure.code, failure.message)),
        other => Err(format!("{other:?}")),
    }
}
