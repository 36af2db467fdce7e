//! A signed transaction, from the bytes that a client sends.
//!
//! The bytes are read once, into the host's own actions. Hash and signature are over the bytes as they came, so that
//! they hold for whatever the host makes of an action: a call of a reserved method (`@deploy:NS`, `@deploy_private:NS`,
//! `@remove:NS`) becomes the action that it stands for, and is charged, permitted and refused as that.

use crate::action::{Action, Code, Delegate, NamespaceScope, Permission};
use borsh::BorshDeserialize;
use cotenant_submodules::{DeployMode, Namespace, Replace, Visibility};
use near_account_id::AccountId;
use near_crypto::{PublicKey, Signature};
use near_primitives_core::account::{AccessKeyPermission, FunctionCallPermission};
use near_primitives_core::deterministic_account_id::DeterministicAccountStateInit;
use near_primitives_core::global_contract::GlobalContractIdentifier;
use near_primitives_core::hash::CryptoHash;
use std::io;

/// Why bytes are no signed transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found} bytes are no signed transaction: {reason}, {left} bytes from the end; hint: send the whole borsh of a SignedTransaction (version 0 or 1)"
)]
pub struct DecodeError {
    /// How many bytes came.
    pub found: usize,
    /// How many of them were left when it was noticed.
    pub left: usize,
    /// Which rule they break.
    pub reason: String,
}

/// A transaction as its signer signed it (NEAR's `SignedTransaction`, versions 0 and 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    bytes: Vec<u8>,
    hash: CryptoHash,
    version: u8,
    signer: AccountId,
    public_key: PublicKey,
    nonce: u64,
    of_gas_key: bool,
    strict: bool,
    receiver: AccountId,
    block_hash: CryptoHash,
    actions: Vec<Action>,
    signature: Signature,
    /// Bytes of it without the signature.
    signed: usize,
}

impl SignedTransaction {
    /// Reads the whole of NEAR's encoding. The signature is not checked here.
    ///
    /// # Errors
    /// The bytes are none, or some are left over.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = bytes;
        let read = read(&mut rest, bytes).and_then(|read| match rest.len() {
            0 => Ok(read),
            _ => Err(wrong("bytes are left over")),
        });
        let (found, left) = (bytes.len(), rest.len());
        read.map_err(|error| DecodeError { found, left, reason: error.to_string() })
    }

    /// The bytes that came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// sha256 of NEAR's encoding of the transaction without its signature: its id everywhere.
    pub fn hash(&self) -> CryptoHash {
        self.hash
    }

    /// 0 or 1.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Who signed.
    pub fn signer(&self) -> &AccountId {
        &self.signer
    }

    /// With which key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Its nonce.
    pub fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Whether it names a nonce of a gas key. There are none here.
    pub fn is_of_gas_key(&self) -> bool {
        self.of_gas_key
    }

    /// Whether its nonce has to be the one after the key's (version 1 alone can say so).
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// The account that the actions are for.
    pub fn receiver(&self) -> &AccountId {
        &self.receiver
    }

    /// The block on top of which it is valid.
    pub fn block_hash(&self) -> &CryptoHash {
        &self.block_hash
    }

    /// What is to be done.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// Whether its key has signed it.
    pub fn is_signed(&self) -> bool {
        self.signature.verify(self.hash.as_ref(), &self.public_key)
    }

    /// Length of what was signed, in bytes.
    pub(crate) fn bytes_signed(&self) -> u64 {
        // Of a length that fits into memory.
        self.signed as u64
    }

    /// Length of the signature, in bytes.
    pub(crate) fn signature_bytes(&self) -> u64 {
        (self.bytes.len() - self.signed) as u64
    }

    /// Whether keys of it are of a kind that this host does not take (ML-DSA).
    pub(crate) fn is_post_quantum(&self) -> bool {
        self.public_key.key_type().is_post_quantum()
            || self.actions.iter().any(|action| match action {
                Action::Delegate(delegate) => delegate.public_key.key_type().is_post_quantum(),
                _ => false,
            })
    }
}

type Read<T> = io::Result<T>;

fn wrong(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

fn take<T: BorshDeserialize>(rest: &mut &[u8]) -> Read<T> {
    T::deserialize(rest)
}

fn read(rest: &mut &[u8], bytes: &[u8]) -> Read<SignedTransaction> {
    // Version 0 begins with the length of an account id, whose second byte is 0; version 1 with its number and then
    // such a length, which is not 0.
    let version = match bytes {
        [_, 0, ..] => 0,
        [1, _, ..] => 1,
        [other, _, ..] => return Err(wrong(format!("version {other}; 0 and 1 are known"))),
        _ => return Err(wrong("too short")),
    };
    if version == 1 {
        *rest = &rest[1..];
    }
    let signer = take(rest)?;
    let public_key = take(rest)?;
    let (nonce, of_gas_key) = if version == 0 { (take(rest)?, false) } else { nonce(rest)? };
    let receiver = take(rest)?;
    let block_hash = take(rest)?;
    let actions = actions(rest, true)?;
    let strict = version == 1
        && match take::<u8>(rest)? {
            0 => false,
            1 => true,
            other => return Err(wrong(format!("nonce mode {other}; 0 and 1 are known"))),
        };
    let signed = bytes.len() - rest.len();
    let hash = CryptoHash::hash_bytes(&bytes[..signed]);
    let signature = take(rest)?;
    Ok(SignedTransaction {
        bytes: bytes.to_vec(),
        hash,
        version,
        signer,
        public_key,
        nonce,
        of_gas_key,
        strict,
        receiver,
        block_hash,
        actions,
        signature,
        signed,
    })
}

/// NEAR's `TransactionNonce`, and whether it is one of a gas key.
fn nonce(rest: &mut &[u8]) -> Read<(u64, bool)> {
    match take::<u8>(rest)? {
        0 => Ok((take(rest)?, false)),
        1 => {
            let nonce = take(rest)?;
            let _index: u16 = take(rest)?;
            Ok((nonce, true))
        }
        other => Err(wrong(format!("kind of nonce {other}; 0 and 1 are known"))),
    }
}

fn actions(rest: &mut &[u8], delegates: bool) -> Read<Vec<Action>> {
    let length: u32 = take(rest)?;
    // Each takes a byte at least: a length that lies runs out of bytes, not of memory.
    (0..length).map(|_| action(rest, delegates)).collect()
}

fn action(rest: &mut &[u8], delegates: bool) -> Read<Action> {
    let tag: u8 = take(rest)?;
    Ok(match tag {
        0 => Action::CreateAccount,
        1 => deploy(Namespace::DEFAULT, Visibility::Public, take(rest)?),
        2 => call(take(rest)?, take(rest)?, take(rest)?, take(rest)?),
        3 => Action::Transfer { deposit: take(rest)? },
        4 => Action::Stake { amount: take(rest)?, public_key: take(rest)? },
        5 => add_key(rest)?,
        6 => Action::DeleteKey { public_key: take(rest)? },
        7 => Action::DeleteAccount { beneficiary: take(rest)? },
        8 | 14 if !delegates => return Err(wrong("a delegate action within a delegate action")),
        8 => delegate(rest)?,
        9 => {
            let (_code, _mode): (Vec<u8>, u8) = (take(rest)?, take(rest)?);
            unsupported("DeployGlobalContract", 0)
        }
        10 => {
            let _contract: GlobalContractIdentifier = take(rest)?;
            unsupported("UseGlobalContract", 0)
        }
        11 => {
            let _init: DeterministicAccountStateInit = take(rest)?;
            unsupported("DeterministicStateInit", take(rest)?)
        }
        12 => {
            let _key: PublicKey = take(rest)?;
            unsupported("TransferToGasKey", take(rest)?)
        }
        13 => {
            let (_key, _amount): (PublicKey, u128) = (take(rest)?, take(rest)?);
            unsupported("WithdrawFromGasKey", 0)
        }
        14 => {
            delegate_of_second_version(rest)?;
            unsupported("DelegateV2", 0)
        }
        15 => {
            let _init: Vec<u8> = take(rest)?;
            unsupported("UniversalStateInit", take(rest)?)
        }
        other => return Err(wrong(format!("action {other}; 0 to 15 are known"))),
    })
}

fn unsupported(name: &str, deposit: u128) -> Action {
    Action::Unsupported { name: name.into(), deposit }
}

fn deploy(namespace: Namespace, visibility: Visibility, code: Vec<u8>) -> Action {
    let mode = DeployMode { visibility, replace: Replace::Any };
    Action::DeployModule { namespace, mode, code: Code::Bytes(code) }
}

/// A call, or what its reserved method stands for. A reserved name of something else is left to the call, which
/// fails: `@` is in no namespace.
fn call(method: String, args: Vec<u8>, gas: u64, deposit: u128) -> Action {
    let namespace = |prefix: &str| method.strip_prefix(prefix)?.parse::<Namespace>().ok();
    if let Some(namespace) = namespace("@deploy:") {
        return deploy(namespace, Visibility::Public, args);
    }
    if let Some(namespace) = namespace("@deploy_private:") {
        return deploy(namespace, Visibility::Private, args);
    }
    if let (Some(namespace), Some(keep_storage)) = (namespace("@remove:"), keeps_storage(&args)) {
        return Action::RemoveModule { namespace, keep_storage };
    }
    Action::FunctionCall { method, args, deposit, gas, weight: 0 }
}

/// Reads `{"keep_storage": true}`; nothing at all is `false`.
fn keeps_storage(args: &[u8]) -> Option<bool> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        #[serde(default)]
        keep_storage: bool,
    }
    if args.is_empty() {
        return Some(false);
    }
    serde_json::from_slice::<Arguments>(args).ok().map(|arguments| arguments.keep_storage)
}

fn add_key(rest: &mut &[u8]) -> Read<Action> {
    let public_key = take(rest)?;
    // What the sender says of the nonce counts for nothing: a new key has one of its block.
    let _nonce: u64 = take(rest)?;
    let permission = match take::<AccessKeyPermission>(rest)? {
        AccessKeyPermission::FullAccess => Permission::FullAccess,
        AccessKeyPermission::FunctionCall(permission) => limited(permission)?,
        AccessKeyPermission::GasKeyFunctionCall(..) | AccessKeyPermission::GasKeyFullAccess(_) => {
            return Ok(unsupported("AddKey of a gas key", 0));
        }
    };
    Ok(Action::AddKey { public_key, permission })
}

fn limited(permission: FunctionCallPermission) -> Read<Permission> {
    let FunctionCallPermission { allowance, receiver_id, method_names } = permission;
    let receiver = receiver_id.parse();
    Ok(Permission::FunctionCall {
        allowance: allowance.map(|allowance| allowance.as_yoctonear()),
        receiver: receiver.map_err(|error| wrong(format!("receiver of an access key: {error}")))?,
        methods: method_names,
        namespaces: NamespaceScope::Named,
    })
}

fn delegate(rest: &mut &[u8]) -> Read<Action> {
    let signed = *rest;
    let sender = take(rest)?;
    let receiver = take(rest)?;
    let actions = actions(rest, false)?;
    let nonce = take(rest)?;
    let max_block_height = take(rest)?;
    let public_key = take(rest)?;
    let hash = delegate_hash(&signed[..signed.len() - rest.len()]);
    let signature = take(rest)?;
    Ok(Action::Delegate(Box::new(Delegate {
        sender,
        receiver,
        actions,
        nonce,
        max_block_height,
        public_key,
        signature,
        hash,
    })))
}

/// The hash that is signed, of NEAR's encoding of a delegate action.
pub(crate) fn delegate_hash(encoded: &[u8]) -> CryptoHash {
    const NEP_366: u32 = (1 << 30) + 366;
    CryptoHash::hash_bytes(&[NEP_366.to_le_bytes().as_slice(), encoded].concat())
}

fn delegate_of_second_version(rest: &mut &[u8]) -> Read<()> {
    if take::<u8>(rest)? != 0 {
        return Err(wrong("a delegate action of an unknown version"));
    }
    let (_sender, _receiver): (AccountId, AccountId) = (take(rest)?, take(rest)?);
    actions(rest, false)?;
    nonce(rest)?;
    let (_height, _key, _signature): (u64, PublicKey, Signature) =
        (take(rest)?, take(rest)?, take(rest)?);
    Ok(())
}
