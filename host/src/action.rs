//! Actions and the receipts that carry them, as a guest creates them.

use borsh::BorshDeserialize;
use cotenant_submodules::calls::Renumber;
use cotenant_submodules::{DeployMode, Namespace, split_method};
use near_account_id::AccountId;
use near_crypto::{PublicKey, Signature};
use near_primitives_core::hash::CryptoHash;

/// Code of a deploy action: carried, or named by the hash of code that the host already has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// The Wasm module.
    Bytes(Vec<u8>),
    /// A module that the host has.
    Hash {
        /// sha256 of it.
        hash: CryptoHash,
        /// Its length: the deploy pays for as many bytes, and fails if it is another.
        bytes: u64,
    },
}

impl Code {
    /// Bytes that a deploy of it pays for.
    pub fn paid_bytes(&self) -> u64 {
        match self {
            Code::Bytes(code) => code.len() as u64,
            Code::Hash { bytes, .. } => *bytes,
        }
    }
}

impl borsh::BorshSerialize for Code {
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
        match self {
            Code::Bytes(code) => (0u8, code).serialize(writer),
            Code::Hash { hash, bytes } => (2u8, hash, bytes).serialize(writer),
        }
    }
}

impl borsh::BorshDeserialize for Code {
    /// Receipts of homes that were made before a hash came with a length have paid for none: they carry the length 0, which no
    /// code has.
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        Ok(match u8::deserialize_reader(reader)? {
            0 => Code::Bytes(Vec::deserialize_reader(reader)?),
            1 => Code::Hash { hash: CryptoHash::deserialize_reader(reader)?, bytes: 0 },
            2 => {
                let (hash, bytes) = BorshDeserialize::deserialize_reader(reader)?;
                Code::Hash { hash, bytes }
            }
            other => {
                let message = format!("code of kind {other}: 0 is bytes, 2 a hash with a length");
                return Err(borsh::io::Error::new(borsh::io::ErrorKind::InvalidData, message));
            }
        })
    }
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
        /// Names of methods that may be called; what they mean is said by `namespaces`.
        methods: Vec<String>,
        /// Namespaces that may be called.
        namespaces: NamespaceScope,
    },
}

/// Which modules an access key for function calls reaches (`docs/spec/calls.md`, section 1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NamespaceScope {
    /// What the names of its methods say, each compared with the whole `namespace:method`: `vote` is the default
    /// module's, `swap:quote` that one's, `swap:*` all of a module. Without names it is the default module alone.
    /// Keys that NEAR's own API makes are of this kind.
    #[default]
    Named,
    /// These namespaces; the names of methods are without a namespace and hold in each, all methods if there are none.
    Listed(Vec<Namespace>),
    /// Every namespace, otherwise as if all were listed. Keys of homes that were made before there was a choice and
    /// list no namespaces are of this kind.
    All,
}

/// Why an access key does not reach a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutOfReach {
    /// No name of the key covers it, or it is no name.
    Method,
    /// The key is for other namespaces than this.
    Namespace(Namespace),
}

impl NamespaceScope {
    /// Checks that a key of this scope and these names of methods reaches a method, as a function call names it.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn check(&self, methods: &[String], called: &str) -> Result<(), OutOfReach> {
        let (namespace, method) = split_method(called).map_err(|_| OutOfReach::Method)?;
        let reached = match self {
            NamespaceScope::Named if methods.is_empty() => namespace.is_default(),
            NamespaceScope::Named => methods.iter().any(|name| match name.split_once(':') {
                Some((of, "*")) => of == namespace.as_str(),
                Some((of, name)) => of == namespace.as_str() && name == method,
                None => namespace.is_default() && name == method,
            }),
            NamespaceScope::Listed(listed) if !listed.contains(&namespace) => {
                return Err(OutOfReach::Namespace(namespace));
            }
            NamespaceScope::Listed(_) | NamespaceScope::All => {
                methods.is_empty() || methods.iter().any(|name| name == method)
            }
        };
        if reached {
            return Ok(());
        }
        match self {
            NamespaceScope::Named if methods.is_empty() => Err(OutOfReach::Namespace(namespace)),
            _ => Err(OutOfReach::Method),
        }
    }

    /// The namespaces that are listed; none for the other scopes.
    pub fn listed(&self) -> &[Namespace] {
        match self {
            NamespaceScope::Listed(listed) => listed,
            NamespaceScope::Named | NamespaceScope::All => &[],
        }
    }
}

impl From<Vec<Namespace>> for NamespaceScope {
    /// Listed namespaces; what the names say if there are none.
    fn from(listed: Vec<Namespace>) -> Self {
        if listed.is_empty() { NamespaceScope::Named } else { NamespaceScope::Listed(listed) }
    }
}

/// In the place of a list's length. Lists of today's homes begin with their length, an empty one is every namespace.
const NAMED: u32 = u32::MAX;
/// The same for a list that is empty and reaches nothing.
const NOTHING: u32 = u32::MAX - 1;

impl borsh::BorshSerialize for NamespaceScope {
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
        match self {
            NamespaceScope::Named => NAMED.serialize(writer),
            NamespaceScope::All => 0u32.serialize(writer),
            NamespaceScope::Listed(listed) if listed.is_empty() => NOTHING.serialize(writer),
            NamespaceScope::Listed(listed) => listed.serialize(writer),
        }
    }
}

impl borsh::BorshDeserialize for NamespaceScope {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        Ok(match u32::deserialize_reader(reader)? {
            NAMED => NamespaceScope::Named,
            NOTHING => NamespaceScope::Listed(Vec::new()),
            0 => NamespaceScope::All,
            length => {
                let listed = (0..length).map(|_| Namespace::deserialize_reader(reader));
                NamespaceScope::Listed(listed.collect::<borsh::io::Result<_>>()?)
            }
        })
    }
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
        /// As what, and in whose place.
        mode: DeployMode,
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
    /// What another account has signed and the signer of the transaction pays for (NEP-366).
    Delegate(Box<Delegate>),
}

impl Action {
    /// Balance the action carries, in yoctoNEAR.
    pub fn deposit(&self) -> u128 {
        match self {
            Action::FunctionCall { deposit, .. }
            | Action::Transfer { deposit }
            | Action::Unsupported { deposit, .. } => *deposit,
            Action::Delegate(delegate) => {
                delegate.actions.iter().fold(0u128, |sum, one| sum.saturating_add(one.deposit()))
            }
            _ => 0,
        }
    }
}

/// Actions that their sender has signed and somebody else pays for.
#[derive(Clone, Debug, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Delegate {
    /// In whose name they are done.
    pub sender: AccountId,
    /// The account they are for.
    pub receiver: AccountId,
    /// What is to be done; no delegate actions among them.
    pub actions: Vec<Action>,
    /// Nonce of the sender's key, more than its last.
    pub nonce: u64,
    /// The last block in which it may be done.
    pub max_block_height: u64,
    /// The sender's key.
    pub public_key: PublicKey,
    /// Signature over `hash`.
    pub signature: Signature,
    /// sha256 of the number of NEP-366 among what is signed (NEP-461: 2^30 + 366, `u32`) and NEAR's encoding of the
    /// rest.
    pub hash: CryptoHash,
}

impl Delegate {
    /// Whether the sender's key has signed it.
    pub fn is_signed(&self) -> bool {
        self.signature.verify(self.hash.as_ref(), &self.public_key)
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
