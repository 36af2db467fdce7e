//! Limits of NEAR: on the actions of one receipt, all read from the runtime config, on nonces, time and storage.

use crate::action::{Action, Permission};
use crate::state::Account;
use borsh::{BorshDeserialize, BorshSerialize};
use near_parameters::vm::LimitConfig;

/// Blocks for which a signed transaction is valid, from the one it is on top of (NEAR's
/// `transaction_validity_period`).
pub const VALIDITY_BLOCKS: u64 = 86_400;

/// The first protocol version with transactions of version 1 (NEAR's `GasKeys`, `StrictNonce`).
pub(crate) const SECOND_VERSION_PROTOCOL: u32 = 85;

/// Distance between the first nonces of keys of two blocks (NEAR's `ACCESS_KEY_NONCE_RANGE_MULTIPLIER`).
pub(crate) const NONCES_PER_BLOCK: u64 = 1_000_000;

/// Which limit the actions of a transaction, or of a receipt a contract created, do not keep.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
pub enum InvalidAction {
    /// Too many actions.
    #[error("{found} actions in one receipt; at most {limit} are allowed: split it")]
    TotalNumberOfActionsExceeded {
        /// Found.
        found: u64,
        /// Allowed.
        limit: u64,
    },
    /// Too many deploys.
    #[error("{found} deploy actions in one receipt; at most {limit} are allowed: split it")]
    TotalNumberOfDeployActionsExceeded {
        /// Found.
        found: u64,
        /// Allowed.
        limit: u64,
    },
    /// Too much gas attached.
    #[error("{found} gas attached to the calls of one receipt; at most {limit} is allowed")]
    TotalPrepaidGasExceeded {
        /// Found.
        found: u64,
        /// Allowed.
        limit: u64,
    },
    /// The account is deleted before the last action.
    #[error("DeleteAccount must be the last action of its receipt")]
    DeleteActionMustBeFinal,
    /// Too much code.
    #[error("code of {found} bytes; at most {limit} are allowed")]
    ContractSizeExceeded {
        /// Found, in bytes.
        found: u64,
        /// Allowed, in bytes.
        limit: u64,
    },
    /// A call without gas.
    #[error("a function call needs gas attached; its action names 0")]
    FunctionCallZeroAttachedGas,
    /// A call of nothing.
    #[error("a function call names no method")]
    FunctionCallEmptyMethodName,
    /// A method name too long.
    #[error("method name of {found} bytes; at most {limit} are allowed")]
    FunctionCallMethodNameLengthExceeded {
        /// Found, in bytes.
        found: u64,
        /// Allowed, in bytes.
        limit: u64,
    },
    /// Arguments too long.
    #[error("arguments of {found} bytes; at most {limit} are allowed")]
    FunctionCallArgumentsLengthExceeded {
        /// Found, in bytes.
        found: u64,
        /// Allowed, in bytes.
        limit: u64,
    },
    /// Too many bytes of method names and namespaces in a key.
    #[error(
        "{found} bytes of method names and namespaces in an access key; at most {limit} are allowed"
    )]
    AddKeyMethodNamesNumberOfBytesExceeded {
        /// Found, in bytes, a terminating one each.
        found: u64,
        /// Allowed, in bytes.
        limit: u64,
    },
    /// Deposits that no balance can hold.
    #[error("the deposits of the actions are more than all tokens there can be")]
    DepositOverflow,
    /// An action that only a running call can create.
    #[error("ResumeYield is no action of a transaction; call a contract that resumes")]
    ResumeYieldNotAllowed,
    /// A receipt that waits for too many others.
    #[error("a receipt waits for {found} results; at most {limit} are allowed")]
    NumberInputDataDependenciesExceeded {
        /// Found.
        found: u64,
        /// Allowed.
        limit: u64,
    },
    /// More than one delegate action.
    #[error("more than one delegate action in one transaction; send one each")]
    DelegateActionMustBeOnlyOne,
    /// An action of NEAR that is not carried out here.
    #[error("Cotenant does not carry out the action {name}")]
    NotCarriedOut {
        /// Its name.
        name: String,
        /// The protocol version of this chain.
        protocol: u32,
    },
    /// A method name too long.
    #[error("method name of {found} bytes in an access key; at most {limit} are allowed")]
    AddKeyMethodNameLengthExceeded {
        /// Found, in bytes.
        found: u64,
        /// Allowed, in bytes.
        limit: u64,
    },
}

/// The sum of the deposits of actions; `None` if no balance can hold it.
pub(crate) fn deposits(actions: &[Action]) -> Option<u128> {
    actions.iter().try_fold(0u128, |sum, action| sum.checked_add(action.deposit()))
}

/// Checks the actions of a transaction against the limits: they may be fewer kinds than those of a receipt.
pub(crate) fn transaction(
    limits: &LimitConfig,
    protocol: u32,
    list: &[Action],
) -> Result<(), InvalidAction> {
    if list.iter().filter(|action| matches!(action, Action::Delegate(_))).count() > 1 {
        return Err(InvalidAction::DelegateActionMustBeOnlyOne);
    }
    let delegated = list.iter().flat_map(|action| match action {
        Action::Delegate(delegate) => delegate.actions.as_slice(),
        _ => &[],
    });
    for action in list.iter().chain(delegated) {
        if let Action::Unsupported { name, .. } = action {
            return Err(InvalidAction::NotCarriedOut { name: name.clone(), protocol });
        }
    }
    actions(limits, list)
}

/// The gas attached to the calls of an action.
fn attached_gas(action: &Action) -> u64 {
    match action {
        Action::FunctionCall { gas, .. } => *gas,
        Action::Delegate(delegate) => delegate
            .actions
            .iter()
            .fold(0u64, |sum, action| sum.saturating_add(attached_gas(action))),
        _ => 0,
    }
}

/// Checks the actions of one receipt against the limits.
pub(crate) fn actions(limits: &LimitConfig, actions: &[Action]) -> Result<(), InvalidAction> {
    let found = actions.len() as u64;
    if found > limits.max_actions_per_receipt {
        let limit = limits.max_actions_per_receipt;
        return Err(InvalidAction::TotalNumberOfActionsExceeded { found, limit });
    }
    let deploys = actions.iter().filter(|action| matches!(action, Action::DeployModule { .. }));
    let (found, limit) = (deploys.count() as u64, limits.max_deploy_actions_per_receipt);
    if found > limit {
        return Err(InvalidAction::TotalNumberOfDeployActionsExceeded { found, limit });
    }
    let mut prepaid = 0u64;
    for (index, action) in actions.iter().enumerate() {
        if matches!(action, Action::DeleteAccount { .. }) && index + 1 != actions.len() {
            return Err(InvalidAction::DeleteActionMustBeFinal);
        }
        prepaid = prepaid.saturating_add(attached_gas(action));
        one(limits, action)?;
    }
    let limit = limits.max_total_prepaid_gas.as_gas();
    if prepaid > limit {
        return Err(InvalidAction::TotalPrepaidGasExceeded { found: prepaid, limit });
    }
    deposits(actions).map(|_| ()).ok_or(InvalidAction::DepositOverflow)
}

fn one(limits: &LimitConfig, action: &Action) -> Result<(), InvalidAction> {
    match action {
        Action::DeployModule { code, .. } => {
            let (found, limit) = (code.paid_bytes(), limits.max_contract_size);
            if found > limit {
                return Err(InvalidAction::ContractSizeExceeded { found, limit });
            }
        }
        Action::FunctionCall { method, args, gas, .. } => {
            if *gas == 0 {
                return Err(InvalidAction::FunctionCallZeroAttachedGas);
            }
            if method.is_empty() {
                return Err(InvalidAction::FunctionCallEmptyMethodName);
            }
            let (found, limit) = (method.len() as u64, limits.max_length_method_name);
            if found > limit {
                return Err(InvalidAction::FunctionCallMethodNameLengthExceeded { found, limit });
            }
            let (found, limit) = (args.len() as u64, limits.max_arguments_length);
            if found > limit {
                return Err(InvalidAction::FunctionCallArgumentsLengthExceeded { found, limit });
            }
        }
        Action::AddKey {
            permission: Permission::FunctionCall { methods, namespaces, .. }, ..
        } => {
            let limit = limits.max_length_method_name;
            if let Some(long) = methods.iter().find(|name| name.len() as u64 > limit) {
                let found = long.len() as u64;
                return Err(InvalidAction::AddKeyMethodNameLengthExceeded { found, limit });
            }
            let methods = methods.iter().map(|name| name.len() as u64 + 1);
            let namespaces = namespaces.listed().iter().map(|name| name.as_str().len() as u64 + 1);
            let (found, limit) =
                (methods.chain(namespaces).sum(), limits.max_number_bytes_method_names);
            if found > limit {
                return Err(InvalidAction::AddKeyMethodNamesNumberOfBytesExceeded { found, limit });
            }
        }
        Action::ResumeYield { .. } => return Err(InvalidAction::ResumeYieldNotAllowed),
        Action::Delegate(delegate) => actions(limits, &delegate.actions)?,
        _ => {}
    }
    Ok(())
}

/// What an account lacks to stake for its storage; `None` if it lacks nothing. An account of at most 770
/// bytes needs nothing (NEP-448).
pub(crate) fn storage_lack(account: &Account, price_per_byte: u128) -> Option<u128> {
    const ZERO_BALANCE_ACCOUNT_BYTES_MAX: u64 = 770;
    let required = price_per_byte.saturating_mul(u128::from(account.storage_usage));
    let available = account.balance.saturating_add(account.locked);
    let lack = required.saturating_sub(available);
    (lack > 0 && account.storage_usage > ZERO_BALANCE_ACCOUNT_BYTES_MAX).then_some(lack)
}

/// Checks how many results a receipt waits for.
pub(crate) fn inputs(limits: &LimitConfig, inputs: usize) -> Result<(), InvalidAction> {
    let (found, limit) = (inputs as u64, limits.max_number_input_data_dependencies);
    if found > limit {
        return Err(InvalidAction::NumberInputDataDependenciesExceeded { found, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Code;
    use cotenant_gas::Schedule;

    fn call(method: &str, args: usize, gas: u64) -> Action {
        Action::FunctionCall {
            method: method.into(),
            args: vec![0; args],
            deposit: 0,
            gas,
            weight: 0,
        }
    }

    #[test]
    fn every_limit_is_named_with_what_was_found() {
        let schedule = Schedule::for_protocol(88).unwrap();
        let limits = &schedule.vm.limit_config;
        let deploy = |bytes| Action::DeployModule {
            namespace: cotenant_submodules::Namespace::DEFAULT,
            mode: cotenant_submodules::DeployMode {
                visibility: cotenant_submodules::Visibility::Public,
                replace: cotenant_submodules::Replace::Any,
            },
            code: Code::Bytes(vec![0; bytes]),
        };
        let delete = Action::DeleteAccount { beneficiary: "bob.near".parse().unwrap() };
        for (list, error) in [
            (
                vec![Action::CreateAccount; 101],
                InvalidAction::TotalNumberOfActionsExceeded { found: 101, limit: 100 },
            ),
            (
                vec![deploy(1); 11],
                InvalidAction::TotalNumberOfDeployActionsExceeded { found: 11, limit: 10 },
            ),
            (vec![delete, Action::CreateAccount], InvalidAction::DeleteActionMustBeFinal),
            (
                vec![deploy(4_194_305)],
                InvalidAction::ContractSizeExceeded { found: 4_194_305, limit: 4_194_304 },
            ),
            (vec![call("run", 0, 0)], InvalidAction::FunctionCallZeroAttachedGas),
            (vec![call("", 0, 1)], InvalidAction::FunctionCallEmptyMethodName),
            (
                vec![call(&"x".repeat(257), 0, 1)],
                InvalidAction::FunctionCallMethodNameLengthExceeded { found: 257, limit: 256 },
            ),
            (
                vec![call("run", 4_194_305, 1)],
                InvalidAction::FunctionCallArgumentsLengthExceeded {
                    found: 4_194_305,
                    limit: 4_194_304,
                },
            ),
            (
                vec![call("run", 0, 1), call("run", 0, 1_000_000_000_000_000)],
                InvalidAction::TotalPrepaidGasExceeded {
                    found: 1_000_000_000_000_001,
                    limit: 1_000_000_000_000_000,
                },
            ),
            (
                vec![Action::Transfer { deposit: u128::MAX }, Action::Transfer { deposit: 1 }],
                InvalidAction::DepositOverflow,
            ),
        ] {
            assert_eq!(actions(limits, &list), Err(error));
        }
        assert_eq!(actions(limits, &[call("run", 10, 1), deploy(100)]), Ok(()));
    }
}
