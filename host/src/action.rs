//! Actions and the receipts that carry them, as a guest creates them.

use cotenant_submodules::calls::Renumber;
use cotenant_submodules::{Namespace, Visibility};
use near_account_id::AccountId;
use near_crypto::PublicKey;
use near_primitives_core::hash::CryptoHash;

/// Code of a deploy action: carried, or named by the hash of code that the host already has.
#[derive(Clone, Debug, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Code {
    /// The Wasm module.
    Bytes(Vec<u8>),
    /// sha256 of the Wasm module.
    Hash(CryptoHash),
}

/// What an access key may do.
#[derive(Clone, Debug, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Permission {
    /// Everything.
    FullAccess,
    /// Function calls alone.
    FunctionCall {
        /// What may be spent on gas, in yoctoNEAR; without limit if there is none.
        allowance: Option<u128>,
        /// The account that may be called.
        receiver: AccountId,
        /// Methods that may be called; all if empty.
        methods: Vec<String>,
        /// Namespaces that may be called; all if empty (`docs/spec/calls.md`, section 1).
        namespaces: Vec<Namespace>,
    },
}

/// An action of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Action {
    /// Creates the receiver.
    CreateAccount,
    /// Deploys a module of the receiver: NEAR's `DeployContract` is the public default namespace.
    DeployModule {
        /// Where.
        namespace: Namespace,
        /// As what.
        visibility: Visibility,
        /// Which code.
        code: Code,
    },
    /// Removes a module of the receiver.
    RemoveModule {
        /// Which.
        namespace: Namespace,
        /// Whether its storage stays.
        keep_storage: bool,
    },
    /// Calls a method, `namespace:method` for another namespace than the default.
    FunctionCall {
        /// The method as it was named.
        method: String,
        /// Its input.
        args: Vec<u8>,
        /// Attached balance, in yoctoNEAR.
        deposit: u128,
        /// Prepaid gas.
        gas: u64,
        /// Share of the creator's unused gas.
        weight: u64,
    },
    /// Transfers balance.
    Transfer {
        /// How much, in yoctoNEAR.
        deposit: u128,
    },
    /// Locks balance.
    Stake {
        /// How much, in yoctoNEAR.
        amount: u128,
        /// Validator key.
        public_key: PublicKey,
    },
    /// Adds an access key.
    AddKey {
        /// The key.
        public_key: PublicKey,
        /// What it may do.
        permission: Permission,
    },
    /// Deletes an access key.
    DeleteKey {
        /// The key.
        public_key: PublicKey,
    },
    /// Deletes the receiver.
    DeleteAccount {
        /// Who gets what is left.
        beneficiary: AccountId,
    },
    /// Resolves a yielded promise; made by `promise_yield_resume`, never by a transaction.
    ResumeYield {
        /// Which.
        data_id: CryptoHash,
        /// With what.
        data: Vec<u8>,
    },
    /// An action of NEAR that Cotenant does not carry out: the receipt fails and says so.
    Unsupported {
        /// Its name.
        name: String,
        /// Balance it carries, in yoctoNEAR, to be refunded.
        deposit: u128,
    },
}

impl Action {
    /// Balance the action carries, in yoctoNEAR.
    pub fn deposit(&self) -> u128 {
        match self {
            Action::FunctionCall { deposit, .. }
            | Action::Transfer { deposit }
            | Action::Unsupported { deposit, .. } => *deposit,
            _ => 0,
        }
    }
}

/// A receipt that a running call has created and not yet sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingReceipt {
    /// Who executes it.
    pub receiver: AccountId,
    /// Who gets the refund of a failed deposit, if it is not the creator.
    pub refund_to: Option<AccountId>,
    /// Receipts of the same call whose results it waits for.
    pub after: Vec<u64>,
    /// The data it waits for besides, when it was made by `promise_yield_create`.
    pub yield_data: Option<CryptoHash>,
    /// What it does.
    pub actions: Vec<Action>,
}

impl PendingReceipt {
    /// A receipt without actions.
    pub fn new(receiver: AccountId, after: Vec<u64>) -> Self {
        Self { receiver, refund_to: None, after, yield_data: None, actions: Vec::new() }
    }
}

impl PendingReceipt {
    /// The answer to a yielded receipt that this is instead of a receipt (`promise_yield_resume`): it stands
    /// among the receipts so that it is dropped with its frame.
    pub fn resumes(&self) -> Option<(&CryptoHash, &[u8])> {
        match self.actions.as_slice() {
            [Action::ResumeYield { data_id, data }] => Some((data_id, data)),
            _ => None,
        }
    }
}

impl Renumber for PendingReceipt {
    fn renumber(&mut self, offset: u64) {
        for index in &mut self.after {
            *index += offset;
        }
    }
}
