//! Refusals and failures in the JSON of NEAR's RPC (`InvalidTxError`, `ActionError` of near-primitives 0.38).
//!
//! Clients in Rust refuse a whole answer that has a name they do not know. So what NEAR has no name for is said by the
//! nearest that it has, with our own words where it takes words (`ExecutionError`).

use crate::exec::Abort;
use crate::runtime::{ActionError, Failure, InvalidAction, InvalidTransaction};
use near_account_id::AccountId;
use near_crypto::PublicKey;
use serde_json::{Value, json};

/// Amounts are strings: they do not fit into the numbers of JSON.
fn amount(yoctonear: u128) -> Value {
    Value::String(yoctonear.to_string())
}

fn text(shown: impl std::fmt::Display) -> Value {
    Value::String(shown.to_string())
}

impl Failure {
    /// Returns the failure as NEAR's `TxExecutionError`: `{"ActionError": {"index", "kind"}}`.
    pub fn to_near(&self) -> Value {
        json!({"ActionError": {"index": self.action_index, "kind": self.error.to_near()}})
    }
}

impl InvalidTransaction {
    /// Returns the refusal as NEAR's `InvalidTxError`, for instance
    /// `{"InvalidNonce": {"tx_nonce": 1, "ak_nonce": 1}}`.
    pub fn to_near(&self) -> Value {
        match self {
            InvalidTransaction::SystemAccount => {
                json!({"InvalidSignerId": {"signer_id": "system"}})
            }
            InvalidTransaction::AccountDoesNotExist { account } => {
                json!({"SignerDoesNotExist": {"signer_id": text(account)}})
            }
            InvalidTransaction::NotEnoughBalance { account, balance, cost } => json!({
                "NotEnoughBalance": {
                    "signer_id": text(account),
                    "balance": amount(*balance),
                    "cost": amount(*cost),
                }
            }),
            InvalidTransaction::LackBalanceForState { account, amount: lack } => json!({
                "LackBalanceForState": {"signer_id": text(account), "amount": amount(*lack)}
            }),
            InvalidTransaction::TransactionSizeExceeded { found, limit } => {
                json!({"TransactionSizeExceeded": {"size": found, "limit": limit}})
            }
            InvalidTransaction::InvalidAction(InvalidAction::DepositOverflow) => {
                json!("CostOverflow")
            }
            InvalidTransaction::InvalidAction(action) => {
                json!({"ActionsValidation": action.to_near()})
            }
            InvalidTransaction::Expired => json!("Expired"),
            InvalidTransaction::InvalidSignature => json!("InvalidSignature"),
            InvalidTransaction::InvalidTransactionVersion => json!("InvalidTransactionVersion"),
            InvalidTransaction::InvalidNonce { tx_nonce, ak_nonce } => {
                json!({"InvalidNonce": {"tx_nonce": tx_nonce, "ak_nonce": ak_nonce}})
            }
            InvalidTransaction::NonceTooLarge { tx_nonce, upper_bound } => {
                json!({"NonceTooLarge": {"tx_nonce": tx_nonce, "upper_bound": upper_bound}})
            }
            key => json!({"InvalidAccessKeyError": key.to_near_key_error()}),
        }
    }

    /// NEAR's `InvalidAccessKeyError`.
    fn to_near_key_error(&self) -> Value {
        match self {
            InvalidTransaction::AccessKeyNotFound { account, public_key } => {
                json!({"AccessKeyNotFound": key_of(account, public_key)})
            }
            InvalidTransaction::DepositWithFunctionCall => json!("DepositWithFunctionCall"),
            InvalidTransaction::ReceiverMismatch { found, allowed } => json!({
                "ReceiverMismatch": {"tx_receiver": text(found), "ak_receiver": text(allowed)}
            }),
            InvalidTransaction::MethodNameMismatch { method, .. }
            | InvalidTransaction::NamespaceMismatch { method, .. } => {
                json!({"MethodNameMismatch": {"method_name": method}})
            }
            InvalidTransaction::NotEnoughAllowance { account, public_key, allowance, cost } => {
                json!({"NotEnoughAllowance": {
                    "account_id": text(account),
                    "public_key": text(public_key),
                    "allowance": amount(*allowance),
                    "cost": amount(*cost),
                }})
            }
            _ => json!("RequiresFullAccess"),
        }
    }
}

impl InvalidAction {
    /// Returns the broken limit as NEAR's `ActionsValidationError`.
    pub fn to_near(&self) -> Value {
        match self {
            InvalidAction::TotalNumberOfActionsExceeded { found, limit } => json!({
                "TotalNumberOfActionsExceeded": {"total_number_of_actions": found, "limit": limit}
            }),
            InvalidAction::TotalNumberOfDeployActionsExceeded { found, limit } => json!({
                "TotalNumberOfDeployActionsExceeded": {
                    "number_of_deploy_actions": found,
                    "limit": limit,
                }
            }),
            InvalidAction::TotalPrepaidGasExceeded { found, limit } => json!({
                "TotalPrepaidGasExceeded": {"total_prepaid_gas": found, "limit": limit}
            }),
            InvalidAction::DeleteActionMustBeFinal => json!("DeleteActionMustBeFinal"),
            InvalidAction::ContractSizeExceeded { found, limit } => {
                json!({"ContractSizeExceeded": {"size": found, "limit": limit}})
            }
            InvalidAction::FunctionCallZeroAttachedGas => json!("FunctionCallZeroAttachedGas"),
            InvalidAction::FunctionCallEmptyMethodName => json!("FunctionCallEmptyMethodName"),
            InvalidAction::FunctionCallMethodNameLengthExceeded { found, limit } => json!({
                "FunctionCallMethodNameLengthExceeded": {"length": found, "limit": limit}
            }),
            InvalidAction::AddKeyMethodNameLengthExceeded { found, limit } => {
                json!({"AddKeyMethodNameLengthExceeded": {"length": found, "limit": limit}})
            }
            InvalidAction::FunctionCallArgumentsLengthExceeded { found, limit } => json!({
                "FunctionCallArgumentsLengthExceeded": {"length": found, "limit": limit}
            }),
            InvalidAction::AddKeyMethodNamesNumberOfBytesExceeded { found, limit } => json!({
                "AddKeyMethodNamesNumberOfBytesExceeded": {
                    "total_number_of_bytes": found,
                    "limit": limit,
                }
            }),
            InvalidAction::DepositOverflow
            | InvalidAction::NumberInputDataDependenciesExceeded { .. } => json!("IntegerOverflow"),
            InvalidAction::DelegateActionMustBeOnlyOne => json!("DelegateActionMustBeOnlyOne"),
            InvalidAction::ResumeYieldNotAllowed => unsupported("ResumeYield", 0),
            InvalidAction::NotCarriedOut { name, protocol } => unsupported(name, *protocol),
        }
    }
}

fn unsupported(name: &str, protocol: u32) -> Value {
    json!({"UnsupportedProtocolFeature": {"protocol_feature": name, "version": protocol}})
}

impl ActionError {
    /// Returns the error as NEAR's `ActionErrorKind`.
    pub fn to_near(&self) -> Value {
        let named = |name: &str, fields: Value| json!({ (name): fields });
        let of = |name: &str, account: &AccountId| json!({ (name): {"account_id": text(account)} });
        match self {
            ActionError::AccountAlreadyExists { account } => of("AccountAlreadyExists", account),
            ActionError::AccountDoesNotExist { account } => of("AccountDoesNotExist", account),
            ActionError::OnlyImplicitAccountCreationAllowed { account } => {
                of("OnlyImplicitAccountCreationAllowed", account)
            }
            ActionError::CreateAccountOnlyByRegistrar { account, registrar, predecessor } => named(
                "CreateAccountOnlyByRegistrar",
                json!({
                    "account_id": text(account),
                    "registrar_account_id": text(registrar),
                    "predecessor_id": text(predecessor),
                }),
            ),
            ActionError::CreateAccountNotAllowed { account, predecessor } => named(
                "CreateAccountNotAllowed",
                json!({"account_id": text(account), "predecessor_id": text(predecessor)}),
            ),
            ActionError::ActorNoPermission { account, actor } => named(
                "ActorNoPermission",
                json!({"account_id": text(account), "actor_id": text(actor)}),
            ),
            ActionError::AddKeyAlreadyExists { account, public_key } => {
                named("AddKeyAlreadyExists", key_of(account, public_key))
            }
            ActionError::DeleteKeyDoesNotExist { account, public_key } => {
                named("DeleteKeyDoesNotExist", key_of(account, public_key))
            }
            ActionError::TriesToStake { account, stake, locked, balance } => named(
                "TriesToStake",
                json!({
                    "account_id": text(account),
                    "stake": amount(*stake),
                    "locked": amount(*locked),
                    "balance": amount(*balance),
                }),
            ),
            ActionError::TriesToUnstake { account } => of("TriesToUnstake", account),
            ActionError::DeleteAccountStaking { account } => of("DeleteAccountStaking", account),
            ActionError::DeleteAccountWithLargeState { account, .. } => {
                of("DeleteAccountWithLargeState", account)
            }
            ActionError::LackBalanceForState { account, amount: lack } => named(
                "LackBalanceForState",
                json!({"account_id": text(account), "amount": amount(*lack)}),
            ),
            ActionError::NewReceiptValidationError(invalid) => {
                named("NewReceiptValidationError", invalid_receipt(invalid))
            }
            ActionError::FunctionCall { account, abort } => {
                named("FunctionCallError", call_error(account, abort))
            }
            delegated => delegated.delegate_to_near().unwrap_or_else(|| {
                let said = format!("{}: {self}", self.code());
                json!({"FunctionCallError": {"ExecutionError": said}})
            }),
        }
    }

    fn delegate_to_near(&self) -> Option<Value> {
        Some(match self {
            ActionError::DelegateActionInvalidSignature => json!("DelegateActionInvalidSignature"),
            ActionError::DelegateActionExpired { .. } => json!("DelegateActionExpired"),
            ActionError::DelegateActionSenderDoesNotMatchTxReceiver { sender, receiver } => json!({
                "DelegateActionSenderDoesNotMatchTxReceiver": {
                    "sender_id": text(sender),
                    "receiver_id": text(receiver),
                }
            }),
            ActionError::DelegateActionAccessKeyError(error) => {
                json!({"DelegateActionAccessKeyError": error.to_near_key_error()})
            }
            ActionError::DelegateActionInvalidNonce { delegate_nonce, ak_nonce } => json!({
                "DelegateActionInvalidNonce": {
                    "delegate_nonce": delegate_nonce,
                    "ak_nonce": ak_nonce,
                }
            }),
            ActionError::DelegateActionNonceTooLarge { delegate_nonce, upper_bound } => json!({
                "DelegateActionNonceTooLarge": {
                    "delegate_nonce": delegate_nonce,
                    "upper_bound": upper_bound,
                }
            }),
            _ => return None,
        })
    }
}

fn key_of(account: &AccountId, public_key: &PublicKey) -> Value {
    json!({"account_id": text(account), "public_key": text(public_key)})
}

/// NEAR's `ReceiptValidationError`.
fn invalid_receipt(invalid: &InvalidAction) -> Value {
    match invalid {
        InvalidAction::NumberInputDataDependenciesExceeded { found, limit } => json!({
            "NumberInputDataDependenciesExceeded": {
                "number_of_input_data_dependencies": found,
                "limit": limit,
            }
        }),
        actions => json!({"ActionsValidation": actions.to_near()}),
    }
}

/// NEAR's `FunctionCallError`. Traps and errors of host functions are `ExecutionError` with near-vm-runner's text.
fn call_error(account: &AccountId, abort: &Abort) -> Value {
    if let Some(kind) = abort.code.strip_prefix("MethodResolveError.") {
        return json!({"MethodResolveError": kind});
    }
    if abort.code == "HostError.NamespaceNotFound" && abort.module.is_empty() {
        return json!({"CompilationError": {"CodeDoesNotExist": {"account_id": text(account)}}});
    }
    json!({"ExecutionError": abort.message})
}
