//! What sending and executing an action costs beside the gas of the VM, item by item.
//!
//! One list says which of NEAR's costs an action has and how often; sending, executing and the itemised
//! report all read it. It has to agree with what NEAR's host functions reserve when a contract creates the
//! action, to the unit: what was bought is what is burnt or refunded.

use crate::action::{Action, Delegate, Permission};
use cotenant_gas::Schedule;
use near_account_id::{AccountId, AccountType};
use near_parameters::ActionCosts;

/// One fee, with NEAR's name of the cost.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FeeItem {
    /// NEAR's name (`ActionCosts`), for instance `function_call_base`.
    pub name: String,
    /// Gas burnt.
    pub gas: u64,
}

/// NEAR's costs of an action, with how many units of each.
fn terms(schedule: &Schedule, action: &Action, receiver: &AccountId) -> Vec<(ActionCosts, u64)> {
    match action {
        Action::CreateAccount => vec![(ActionCosts::create_account, 1)],
        Action::DeployModule { code, .. } => vec![
            (ActionCosts::deploy_contract_base, 1),
            (ActionCosts::deploy_contract_byte, code.paid_bytes()),
        ],
        Action::RemoveModule { .. } => vec![(ActionCosts::deploy_contract_base, 1)],
        Action::FunctionCall { method, args, .. } => {
            let bytes = method.len() as u64 + args.len() as u64;
            vec![(ActionCosts::function_call_base, 1), (ActionCosts::function_call_byte, bytes)]
        }
        Action::Transfer { .. } => transfer_terms(schedule, receiver),
        Action::Stake { .. } => vec![(ActionCosts::stake, 1)],
        Action::AddKey { permission, .. } => match permission {
            Permission::FullAccess => vec![(ActionCosts::add_full_access_key, 1)],
            Permission::FunctionCall { methods, namespaces, .. } => {
                // A terminating byte each, as NEAR counts method names.
                let methods = methods.iter().map(|name| name.len() as u64 + 1);
                let namespaces =
                    namespaces.listed().iter().map(|name| name.as_str().len() as u64 + 1);
                let bytes = methods.chain(namespaces).sum();
                vec![
                    (ActionCosts::add_function_call_key_base, 1),
                    (ActionCosts::add_function_call_key_byte, bytes),
                ]
            }
        },
        Action::DeleteKey { .. } => vec![(ActionCosts::delete_key, 1)],
        Action::DeleteAccount { .. } => vec![(ActionCosts::delete_account, 1)],
        // What a contract has reserved for it comes back at once: see `call::used_gas`.
        Action::Unsupported { .. } => Vec::new(),
        // What it brings is paid for besides: `send`, `send_delegated` and `prepaid`.
        Action::Delegate(_) => vec![(ActionCosts::delegate, 1)],
        // Paid for in the VM, all of it.
        Action::ResumeYield { .. } => Vec::new(),
    }
}

/// NEAR charges a transfer to an implicit account for the account it may create, whether or not it does.
fn transfer_terms(schedule: &Schedule, receiver: &AccountId) -> Vec<(ActionCosts, u64)> {
    let mut terms = vec![(ActionCosts::transfer, 1)];
    let creates = match receiver.get_account_type() {
        AccountType::NamedAccount => false,
        AccountType::UniversalAccount => schedule.vm.universal_accounts,
        AccountType::EthImplicitAccount => schedule.vm.eth_implicit_accounts,
        AccountType::NearImplicitAccount => {
            terms.push((ActionCosts::add_full_access_key, 1));
            true
        }
        AccountType::NearDeterministicAccount => true,
    };
    if creates {
        terms.push((ActionCosts::create_account, 1));
    }
    terms
}

// Sums saturate: with the limits of `validate` they stay below a hundredth of `u64::MAX`, and without them
// the action is refused.
fn itemise(
    terms: impl IntoIterator<Item = (ActionCosts, u64)>,
    price: impl Fn(ActionCosts) -> u64,
) -> Vec<FeeItem> {
    let items = terms.into_iter().filter(|(_, units)| *units > 0);
    items
        .map(|(cost, units)| FeeItem {
            name: cost.to_string(),
            gas: price(cost).saturating_mul(units),
        })
        .collect()
}

/// The sum of fees.
pub(crate) fn total(items: &[FeeItem]) -> u64 {
    items.iter().fold(0, |sum, item| sum.saturating_add(item.gas))
}

/// Fees for turning a transaction into a receipt.
pub(crate) fn send(
    schedule: &Schedule,
    own: bool,
    actions: &[Action],
    receiver: &AccountId,
) -> Vec<FeeItem> {
    let receipt = [(ActionCosts::new_action_receipt, 1)];
    itemise(receipt.into_iter().chain(send_terms(schedule, actions, receiver)), |cost| {
        schedule.fees.fee(cost).send_fee(own).gas.as_gas()
    })
}

/// Costs of sending actions: those of what a delegate action brings are its relayer's to pay, too.
fn send_terms(
    schedule: &Schedule,
    actions: &[Action],
    receiver: &AccountId,
) -> Vec<(ActionCosts, u64)> {
    let mut all = Vec::new();
    for action in actions {
        all.extend(terms(schedule, action, receiver));
        if let Action::Delegate(delegate) = action {
            all.extend(send_terms(schedule, &delegate.actions, &delegate.receiver));
        }
    }
    all
}

/// Fees for sending on what a delegate action brings, burnt where it is unpacked (NEAR's `total_prepaid_send_fees`).
pub(crate) fn send_delegated(schedule: &Schedule, delegate: &Delegate) -> Vec<FeeItem> {
    let own = delegate.sender == delegate.receiver;
    itemise(send_terms(schedule, &delegate.actions, &delegate.receiver), |cost| {
        schedule.fees.fee(cost).send_fee(own).gas.as_gas()
    })
}

/// Fee for executing a receipt, without its actions.
pub(crate) fn execute_receipt(schedule: &Schedule) -> Vec<FeeItem> {
    itemise([(ActionCosts::new_action_receipt, 1)], |cost| {
        schedule.fees.fee(cost).exec_fee().gas.as_gas()
    })
}

/// Fees for executing one action.
pub(crate) fn execute(schedule: &Schedule, action: &Action, receiver: &AccountId) -> Vec<FeeItem> {
    itemise(terms(schedule, action, receiver), |cost| {
        schedule.fees.fee(cost).exec_fee().gas.as_gas()
    })
}

/// Gas that has to be bought before a receipt runs: its fees of execution and its calls' gas.
pub(crate) fn prepaid(schedule: &Schedule, actions: &[Action], receiver: &AccountId) -> u64 {
    let receipt = reserved_by_receipt(schedule);
    let actions = actions.iter().map(|action| reserved_by_action(schedule, action, receiver));
    actions.fold(receipt, u64::saturating_add)
}

/// Of that, what a receipt without actions takes.
pub(crate) fn reserved_by_receipt(schedule: &Schedule) -> u64 {
    total(&execute_receipt(schedule))
}

/// Of that, what one of its actions takes.
pub(crate) fn reserved_by_action(
    schedule: &Schedule,
    action: &Action,
    receiver: &AccountId,
) -> u64 {
    let more = match action {
        Action::FunctionCall { gas, .. } => *gas,
        Action::Delegate(delegate) => total(&send_delegated(schedule, delegate))
            .saturating_add(prepaid(schedule, &delegate.actions, &delegate.receiver)),
        _ => 0,
    };
    total(&execute(schedule, action, receiver)).saturating_add(more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use near_parameters::{transfer_exec_fee, transfer_send_fee};

    #[test]
    fn transfers_cost_what_near_charges_for_each_kind_of_account() {
        for protocol in cotenant_gas::PRESETS {
            let schedule = Schedule::for_protocol(protocol).unwrap();
            for receiver in [
                "bob.near",
                "98793cd91a3f870fb126f66285808c7e094afcfc4eda8a970f6648cdf0dbd6de",
                "0x1234567890123456789012345678901234567890",
                "0s1234567890123456789012345678901234567890",
            ] {
                let receiver: AccountId = receiver.parse().unwrap();
                let kind = receiver.get_account_type();
                let action = Action::Transfer { deposit: 1 };
                assert_eq!(
                    total(&execute(&schedule, &action, &receiver)),
                    transfer_exec_fee(&schedule.fees, true, true, kind).gas.as_gas()
                );
                let receipt = schedule.fees.fee(ActionCosts::new_action_receipt).send_fee(true).gas;
                let send_fee = transfer_send_fee(&schedule.fees, true, true, true, kind).gas;
                assert_eq!(
                    total(&send(&schedule, true, &[action], &receiver)),
                    receipt.as_gas() + send_fee.as_gas()
                );
            }
        }
    }

    #[test]
    fn fees_are_itemised_by_nears_names() {
        let schedule = Schedule::for_protocol(88).unwrap();
        let bob = "bob.near".parse().unwrap();
        let call = Action::FunctionCall {
            method: "run".into(),
            args: vec![0; 7],
            deposit: 0,
            gas: 1,
            weight: 0,
        };
        let items = send(&schedule, false, &[call], &bob);
        let items: Vec<_> = items.iter().map(|item| (item.name.as_str(), item.gas)).collect();
        assert_eq!(
            items,
            [
                ("new_action_receipt", 108_059_500_000),
                ("function_call_base", 200_000_000_000),
                ("function_call_byte", 476_837_150)
            ]
        );
    }
}
