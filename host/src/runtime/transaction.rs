//! Transactions: whether they may be, what they cost, and the receipt they become.
//!
//! The signer pays for everything at once: the fees of sending at the price of gas, the gas of executing at
//! the price of buying ahead (the preset's `min_gas_purchase_price`, if that is more), the deposits. What is
//! not spent comes back as a refund.
//!
//! There are two kinds: an embedder's [`Transaction`], which nobody has to sign, and a [`SignedTransaction`] as NEAR's
//! wallets send it. Both are an [`Offer`], and [`convert`] is the one way in.

use crate::HostFault;
use crate::action::{Action, NamespaceScope, OutOfReach, Permission};
use crate::fees::{self, FeeItem};
use crate::near::{SignedTransaction, receipt_id};
use crate::runtime::errors::{InvalidTransaction, RuntimeError};
use crate::runtime::queue;
use crate::runtime::receipt::{ActionReceipt, Receipt, ReceiptBody};
use crate::runtime::validate::{
    self, InvalidAction, NONCES_PER_BLOCK, SECOND_VERSION_PROTOCOL, storage_lack,
};
use crate::runtime::{Block, GAS_PRICE};
use crate::state::{AccessKey, WorkingState, keys, records};
use borsh::{BorshDeserialize, BorshSerialize};
use cotenant_gas::Schedule;
use cotenant_submodules::Namespace;
use near_account_id::AccountId;
use near_crypto::{KeyType, PublicKey};
use near_primitives_core::hash::CryptoHash;

/// What somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Transaction {
    /// Who pays, and in whose name it is done.
    pub signer: AccountId,
    /// The access key whose rules it has to keep; without one it may do everything.
    pub signer_key: Option<PublicKey>,
    /// The account that the actions are for.
    pub receiver: AccountId,
    /// What is to be done, all or nothing.
    pub actions: Vec<Action>,
}

/// What is to be made a receipt, whoever brings it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    signer: &'a AccountId,
    key: Option<&'a PublicKey>,
    receiver: &'a AccountId,
    actions: &'a [Action],
    /// Its length, in bytes.
    bytes: u64,
    identity: Identity,
}

/// How a transaction is told from others.
#[derive(Clone, Copy, Debug)]
enum Identity {
    /// By its content (a hash), the height, and the nonce after its key's.
    Content(CryptoHash),
    /// By the hash that was signed; its nonce is its own.
    Signed { hash: CryptoHash, nonce: u64, strict: bool },
}

impl<'a> Offer<'a> {
    /// Returns the offer of an embedder.
    pub(super) fn of(transaction: &'a Transaction) -> Result<Self, HostFault> {
        let bytes = records::encode(transaction)?;
        Ok(Self {
            signer: &transaction.signer,
            key: transaction.signer_key.as_ref(),
            receiver: &transaction.receiver,
            actions: &transaction.actions,
            bytes: bytes.len() as u64,
            identity: Identity::Content(CryptoHash::hash_bytes(&bytes)),
        })
    }

    /// Returns the offer of a wallet, if its version is known here and its key has signed it.
    pub(super) fn of_signed(
        protocol: u32,
        signed: &'a SignedTransaction,
    ) -> Result<Self, InvalidTransaction> {
        let early = protocol < SECOND_VERSION_PROTOCOL;
        if (early && signed.version() == 1) || signed.is_post_quantum() {
            return Err(InvalidTransaction::InvalidTransactionVersion);
        }
        // Before protocol 85 the signature is not counted.
        let signature_bytes = if early { 0 } else { signed.signature_bytes() };
        if !signed.is_signed() {
            return Err(InvalidTransaction::InvalidSignature);
        }
        if signed.is_of_gas_key() {
            let (account, public_key) =
                (signed.signer().clone(), Box::new(signed.public_key().clone()));
            return Err(InvalidTransaction::AccessKeyNotFound { account, public_key });
        }
        let (hash, nonce, strict) = (signed.hash(), signed.nonce(), signed.is_strict());
        Ok(Self {
            signer: signed.signer(),
            key: Some(signed.public_key()),
            receiver: signed.receiver(),
            actions: signed.actions(),
            bytes: signed.bytes_signed() + signature_bytes,
            identity: Identity::Signed { hash, nonce, strict },
        })
    }

    /// Its length, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Who pays.
    pub(super) fn signer(&self) -> &AccountId {
        self.signer
    }

    /// The account that the actions are for.
    pub(super) fn receiver(&self) -> &AccountId {
        self.receiver
    }

    /// What is to be done.
    pub(super) fn actions(&self) -> &[Action] {
        self.actions
    }

    fn nonce(&self, block: Block, last: u64) -> Result<u64, InvalidTransaction> {
        let Identity::Signed { nonce, strict, .. } = self.identity else {
            return Ok(last.saturating_add(1));
        };
        check_nonce(block, nonce, last)?;
        if strict && nonce != last.saturating_add(1) {
            return Err(InvalidTransaction::InvalidNonce { tx_nonce: nonce, ak_nonce: last });
        }
        Ok(nonce)
    }

    fn hash(&self, block: Block, nonce: u64) -> CryptoHash {
        match self.identity {
            Identity::Signed { hash, .. } => hash,
            Identity::Content(content) => {
                let numbers = [nonce.to_le_bytes(), block.height.to_le_bytes()].concat();
                CryptoHash::hash_bytes(&[content.0.as_slice(), &numbers].concat())
            }
        }
    }
}

/// Checks that a nonce is more than its key's and not more than the height allows.
pub(super) fn check_nonce(block: Block, nonce: u64, last: u64) -> Result<(), InvalidTransaction> {
    if nonce <= last {
        return Err(InvalidTransaction::InvalidNonce { tx_nonce: nonce, ak_nonce: last });
    }
    let upper_bound = block.height.saturating_mul(NONCES_PER_BLOCK);
    if nonce >= upper_bound {
        return Err(InvalidTransaction::NonceTooLarge { tx_nonce: nonce, upper_bound });
    }
    Ok(())
}

/// A transaction that was taken.
#[derive(Clone, Debug)]
pub struct TransactionStart {
    /// Its hash.
    pub hash: CryptoHash,
    /// The receipt it became.
    pub receipt: CryptoHash,
    /// Gas burnt for making it a receipt.
    pub gas_burnt: u64,
    /// That gas, item by item.
    pub fees: Vec<FeeItem>,
    /// Balance burnt for it, in yoctoNEAR.
    pub tokens_burnt: u128,
}

/// Takes a transaction: charges its signer and queues its receipt, for this block if it is for the signer itself (NEAR's
/// local receipts), else for the next.
pub(super) fn convert(
    schedule: &Schedule,
    state: &mut WorkingState,
    block: Block,
    offer: &Offer<'_>,
) -> Result<TransactionStart, RuntimeError> {
    let Offer { signer, key: signer_key, receiver, actions, bytes: found, identity: _ } = *offer;
    if signer.is_system() {
        return Err(InvalidTransaction::SystemAccount.into());
    }
    let limits = &schedule.vm.limit_config;
    let limit = limits.max_transaction_size;
    if found > limit {
        return Err(InvalidTransaction::TransactionSizeExceeded { found, limit }.into());
    }
    validate::transaction(limits, schedule.protocol, actions)?;

    let fees = fees::send(schedule, signer == receiver, actions, receiver);
    let gas_burnt = fees::total(&fees);
    let gas_bought = fees::prepaid(schedule, actions, receiver);
    let gas_price = GAS_PRICE.max(schedule.runtime.min_gas_purchase_price.as_yoctonear());
    let cost = || {
        let deposits = validate::deposits(actions)?;
        let tokens_burnt = u128::from(gas_burnt).checked_mul(GAS_PRICE)?;
        let gas = u128::from(gas_bought).checked_mul(gas_price)?.checked_add(tokens_burnt)?;
        Some((tokens_burnt, gas.checked_add(deposits)?))
    };
    let (tokens_burnt, cost) = cost().ok_or(InvalidAction::DepositOverflow)?;

    let missing = || InvalidTransaction::AccountDoesNotExist { account: signer.clone() };
    let mut account = state.account(signer)?.ok_or_else(missing)?;
    // The order of the checks is NEAR's: nonce, balance, allowance, storage, permission.
    let mut key = signer_key.map(|key| find_key(state, signer, key)).transpose()?;
    let last = key.as_ref().map_or(0, |key| key.nonce);
    let nonce = if key.is_some() { offer.nonce(block, last)? } else { 0 };
    let balance = account.balance;
    let short = || InvalidTransaction::NotEnoughBalance { account: signer.clone(), balance, cost };
    account.balance = balance.checked_sub(cost).ok_or_else(short)?;
    if let (Some(public_key), Some(key)) = (signer_key, &mut key) {
        key.nonce = nonce;
        spend_allowance(key, signer, public_key, cost)?;
    }
    let price = schedule.fees.storage_usage_config.storage_amount_per_byte.as_yoctonear();
    if let Some(amount) = storage_lack(&account, price) {
        return Err(
            InvalidTransaction::LackBalanceForState { account: signer.clone(), amount }.into()
        );
    }
    if let (Some(public_key), Some(key)) = (signer_key, &key) {
        permitted(&key.permission, receiver, actions)?;
        state.write(keys::access_key(signer, public_key), key)?;
    }
    state.set_account(signer, &account)?;
    let hash = offer.hash(block, nonce);
    let receipt = receipt_id(&hash, block.height, 0);
    let body = ReceiptBody::Actions(ActionReceipt {
        signer: signer.clone(),
        signer_key: signer_key.cloned().unwrap_or_else(|| PublicKey::empty(KeyType::ED25519)),
        refund_to: None,
        gas_price,
        outputs: Vec::new(),
        inputs: Vec::new(),
        actions: actions.to_vec(),
    });
    let (predecessor, receiver) = (signer.clone(), receiver.clone());
    let height = if signer == &receiver { block.height } else { block.height + 1 };
    let queued = Receipt { id: receipt, transaction: hash, predecessor, receiver, body };
    queue::push(state, height, queued)?;
    Ok(TransactionStart { hash, receipt, fees, gas_burnt, tokens_burnt })
}

fn find_key(
    state: &WorkingState,
    account: &AccountId,
    public_key: &PublicKey,
) -> Result<AccessKey, RuntimeError> {
    let missing = || InvalidTransaction::AccessKeyNotFound {
        account: account.clone(),
        public_key: Box::new(public_key.clone()),
    };
    Ok(state.access_key(account, public_key)?.ok_or_else(missing)?)
}

/// Takes what a transaction costs from the allowance of its key.
fn spend_allowance(
    key: &mut AccessKey,
    account: &AccountId,
    public_key: &PublicKey,
    cost: u128,
) -> Result<(), InvalidTransaction> {
    if let Permission::FunctionCall { allowance: Some(allowance), .. } = &mut key.permission {
        let short = InvalidTransaction::NotEnoughAllowance {
            account: account.clone(),
            public_key: Box::new(public_key.clone()),
            allowance: *allowance,
            cost,
        };
        *allowance = allowance.checked_sub(cost).ok_or(short)?;
    }
    Ok(())
}

/// Checks that a key may do this: one with full access anything, one for function calls one call without deposit.
pub(super) fn permitted(
    permission: &Permission,
    receiver: &AccountId,
    actions: &[Action],
) -> Result<(), InvalidTransaction> {
    let Permission::FunctionCall { receiver: allowed, methods, namespaces, .. } = permission else {
        return Ok(());
    };
    let [Action::FunctionCall { method, deposit, .. }] = actions else {
        return Err(InvalidTransaction::RequiresFullAccess);
    };
    if *deposit > 0 {
        return Err(InvalidTransaction::DepositWithFunctionCall);
    }
    if receiver != allowed {
        let (found, allowed) = (receiver.clone(), allowed.clone());
        return Err(InvalidTransaction::ReceiverMismatch { found, allowed });
    }
    namespaces.check(methods, method).map_err(|error| match error {
        OutOfReach::Method => InvalidTransaction::MethodNameMismatch {
            method: method.clone(),
            allowed: methods.to_vec(),
        },
        OutOfReach::Namespace(namespace) => InvalidTransaction::NamespaceMismatch {
            method: method.clone(),
            namespace,
            allowed: match namespaces {
                NamespaceScope::Named => vec![Namespace::DEFAULT],
                scope => scope.listed().to_vec(),
            },
        },
    })
}
