//! Which protocol version's prices a host runs with, and a fingerprint of everything that decides gas.
//!
//! Takes a protocol version of NEAR's; gives its prices over the Wasm features and limits of
//! [`FEATURES_PROTOCOL`], so that a preset changes what work costs and never what a module may do. No
//! number is written down here: all come from `near-parameters`.
//! Specification: `docs/spec/gas.md`.

use std::sync::{Arc, LazyLock};

use near_parameters::{
    ActionCosts, ExtCosts, RuntimeConfig, RuntimeConfigStore, RuntimeFeesConfig, vm,
};
use near_primitives_core::types::Gas;
use sha2::{Digest, Sha256};

use crate::meter::INSTRUMENTER_VERSION;
use crate::sync_costs::SyncCosts;

/// The protocol version whose Wasm features, structural limits and host functions every preset has.
pub const FEATURES_PROTOCOL: u32 = 88;

/// The protocol versions whose prices can be chosen: the newest; 82, the last with 300 Tgas a call; 63,
/// the prices most of the literature quotes.
pub const PRESETS: [u32; 3] = [88, 82, 63];

/// At and above this many gas a parameter is NEAR's way of saying that the function does not exist yet
/// (`300_000_000_000_000` and `999_999_999_999_999` in `near-parameters`' `parameters.yaml`).
const PLACEHOLDER_GAS: u64 = 300_000_000_000_000;

static STORE: LazyLock<RuntimeConfigStore> = LazyLock::new(|| RuntimeConfigStore::new(None));

/// The prices of one protocol version: what a host charges, for everything.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The protocol version the prices are of, one of [`PRESETS`].
    pub protocol: u32,
    /// NEAR's VM configuration of [`FEATURES_PROTOCOL`] in which the prices of host functions, the price
    /// of an operator, the price of growing memory and the gas limits of a call are the preset's.
    ///
    /// `fix_contract_loading_cost` is `false`, as in every stable version: the loading fee is charged
    /// with the checks of the module, and a missing method burns nothing.
    pub vm: Arc<vm::Config>,
    /// The fees of actions (transfers, calls, deploys) that a contract sends: the preset's.
    ///
    /// Actions that did not exist at the preset are priced as at [`FEATURES_PROTOCOL`].
    pub fees: Arc<RuntimeFeesConfig>,
    /// The preset's whole configuration, untouched.
    pub runtime: Arc<RuntimeConfig>,
    /// Prices of the synchronous-call functions; the same in every preset.
    pub sync: SyncCosts,
}

/// A protocol version was asked for that is not one of [`PRESETS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no gas schedule for protocol version {found}; choose one of {allowed:?}")]
pub struct UnknownProtocol {
    /// The version that was asked for.
    pub found: u32,
    /// The versions that exist.
    pub allowed: &'static [u32],
}

impl Schedule {
    /// The schedule with the prices of `protocol`.
    ///
    /// # Errors
    /// [`UnknownProtocol`] if `protocol` is not one of [`PRESETS`].
    pub fn for_protocol(protocol: u32) -> Result<Arc<Schedule>, UnknownProtocol> {
        if !PRESETS.contains(&protocol) {
            return Err(UnknownProtocol { found: protocol, allowed: &PRESETS });
        }
        let features = STORE.get_config(FEATURES_PROTOCOL);
        let runtime = Arc::clone(STORE.get_config(protocol));
        Ok(Arc::new(Schedule {
            protocol,
            vm: Arc::new(vm_config(&features.wasm_config, &runtime.wasm_config)),
            fees: Arc::new(fees_config(features, &runtime)),
            runtime,
            sync: SyncCosts::CURRENT,
        }))
    }

    /// The same prices with other limits: gas of a call and of a transaction, and bytes of a transaction. To measure
    /// what a chain would not run.
    #[must_use]
    pub fn with_limits(&self, gas_max: u64, transaction_bytes_max: u64) -> Arc<Schedule> {
        let mut vm = (*self.vm).clone();
        vm.limit_config.max_transaction_size = transaction_bytes_max;
        vm.limit_config.max_gas_burnt = Gas::from_gas(gas_max);
        vm.limit_config.max_total_prepaid_gas = Gas::from_gas(gas_max);
        Arc::new(Schedule { vm: Arc::new(vm), ..self.clone() })
    }

    /// SHA-256 of everything here that can change metered code or an amount of gas, and of the version of
    /// the instrumenter: part of the key of a compiled artifact.
    ///
    /// The text hashed is the `Debug` form of the configurations, which has every field in declaration
    /// order; `near-parameters` is pinned to one version.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let Schedule { protocol, vm, fees, runtime: _, sync } = self;
        let text = format!("{INSTRUMENTER_VERSION}\n{protocol}\n{vm:?}\n{fees:?}\n{sync:?}");
        Sha256::digest(text.as_bytes()).into()
    }
}

/// Functions and actions that a flag turns on: a preset without the flag has no price for them.
struct Gated {
    flag: fn(&vm::Config) -> bool,
    functions: &'static [ExtCosts],
    actions: &'static [ActionCosts],
}

const GATED: [Gated; 6] = [
    Gated {
        flag: |config| config.p256_verify_host_fn,
        functions: &[ExtCosts::p256_verify_base, ExtCosts::p256_verify_byte],
        actions: &[],
    },
    Gated {
        flag: |config| config.ml_dsa_verify_host_fn,
        functions: &[ExtCosts::ml_dsa_verify_base, ExtCosts::ml_dsa_verify_byte],
        actions: &[],
    },
    Gated {
        flag: |config| config.sha3_host_fns,
        functions: &[
            ExtCosts::sha3_256_base,
            ExtCosts::sha3_256_byte,
            ExtCosts::sha3_384_base,
            ExtCosts::sha3_384_byte,
            ExtCosts::sha3_512_base,
            ExtCosts::sha3_512_byte,
        ],
        actions: &[],
    },
    Gated {
        flag: |config| config.yield_with_id_host_fns,
        functions: &[ExtCosts::yield_create_with_id_base],
        actions: &[],
    },
    Gated {
        flag: |config| config.universal_accounts,
        functions: &[
            ExtCosts::universal_state_init_to_account_id_base,
            ExtCosts::universal_state_init_to_account_id_byte,
        ],
        actions: &[
            ActionCosts::universal_state_init_base,
            ActionCosts::universal_state_init_byte,
            ActionCosts::universal_state_init_entry,
        ],
    },
    Gated {
        flag: |config| config.gas_key_host_fns,
        functions: &[],
        actions: &[
            ActionCosts::gas_key_transfer_base,
            ActionCosts::gas_key_byte,
            ActionCosts::gas_key_nonce_write_base,
        ],
    },
];

fn missing_at(preset: &vm::Config) -> impl Iterator<Item = &'static Gated> {
    GATED.iter().filter(|gated| !(gated.flag)(preset))
}

fn vm_config(features: &vm::Config, preset: &vm::Config) -> vm::Config {
    let mut config = features.clone();
    config.regular_op_cost = preset.regular_op_cost;
    config.grow_mem_cost = preset.grow_mem_cost;
    config.limit_config.max_gas_burnt = preset.limit_config.max_gas_burnt;
    config.limit_config.max_total_prepaid_gas = preset.limit_config.max_total_prepaid_gas;
    for (function, price) in preset.ext_costs.costs.iter() {
        if price.gas.as_gas() < PLACEHOLDER_GAS {
            config.ext_costs.costs[function] = *price;
        }
    }
    for function in missing_at(preset).flat_map(|gated| gated.functions) {
        config.ext_costs.costs[*function] = features.ext_costs.costs[*function];
    }
    config
}

fn fees_config(features: &RuntimeConfig, preset: &RuntimeConfig) -> RuntimeFeesConfig {
    let mut fees = RuntimeFeesConfig::clone(&preset.fees);
    for (action, fee) in preset.fees.action_fees.iter() {
        if fee.exec_fee().gas.as_gas() >= PLACEHOLDER_GAS {
            fees.action_fees[action] = features.fees.action_fees[action].clone();
        }
    }
    for action in missing_at(&preset.wasm_config).flat_map(|gated| gated.actions) {
        fees.action_fees[*action] = features.fees.action_fees[*action].clone();
    }
    if !preset.wasm_config.global_contract_host_fns {
        fees.storage_usage_config.global_contract_storage_amount_per_byte =
            features.fees.storage_usage_config.global_contract_storage_amount_per_byte;
    }
    fees
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;

    use super::*;

    fn schedule(protocol: u32) -> Arc<Schedule> {
        Schedule::for_protocol(protocol).expect("a preset")
    }

    #[test]
    fn main_prices_of_each_preset_are_the_reviewed_ones() {
        let functions = [
            ExtCosts::base,
            ExtCosts::contract_loading_base,
            ExtCosts::contract_loading_bytes,
            ExtCosts::read_memory_base,
            ExtCosts::read_memory_byte,
            ExtCosts::write_register_base,
            ExtCosts::write_register_byte,
            ExtCosts::sha256_base,
            ExtCosts::log_base,
            ExtCosts::log_byte,
            ExtCosts::storage_write_base,
            ExtCosts::storage_write_key_byte,
            ExtCosts::storage_write_value_byte,
            ExtCosts::storage_write_evicted_byte,
            ExtCosts::storage_read_base,
            ExtCosts::storage_read_key_byte,
            ExtCosts::storage_read_value_byte,
            ExtCosts::storage_large_read_overhead_base,
            ExtCosts::touching_trie_node,
            ExtCosts::read_cached_trie_node,
            ExtCosts::yield_create_base,
            ExtCosts::yield_create_with_id_base,
            ExtCosts::yield_resume_base,
            ExtCosts::bls12381_pairing_base,
            ExtCosts::p256_verify_base,
            ExtCosts::ml_dsa_verify_base,
            ExtCosts::sha3_256_base,
            ExtCosts::universal_state_init_to_account_id_base,
        ];
        let actions = [
            ActionCosts::new_action_receipt,
            ActionCosts::create_account,
            ActionCosts::deploy_contract_base,
            ActionCosts::deploy_contract_byte,
            ActionCosts::function_call_base,
            ActionCosts::function_call_byte,
            ActionCosts::transfer,
            ActionCosts::use_global_contract_base,
        ];
        let mut text = String::new();
        for protocol in PRESETS {
            let Schedule { vm, fees, .. } = &*schedule(protocol);
            let limits = &vm.limit_config;
            writeln!(text, "protocol {protocol}").expect("a string");
            for (name, gas) in [
                ("regular_op", u64::from(vm.regular_op_cost)),
                ("linear_op_base", vm.linear_op_base_cost),
                ("linear_op_unit", vm.linear_op_unit_cost),
                ("grow_mem", u64::from(vm.grow_mem_cost)),
                ("max_gas_burnt", limits.max_gas_burnt.as_gas()),
                ("max_total_prepaid_gas", limits.max_total_prepaid_gas.as_gas()),
            ] {
                writeln!(text, "  {name} {gas}").expect("a string");
            }
            for function in functions {
                let gas = vm.ext_costs.gas_cost(function);
                writeln!(text, "  {function} {}", gas.as_gas()).expect("a string");
            }
            for action in actions {
                let fee = fees.fee(action);
                let (send, execute) = (fee.send_fee(false).gas, fee.exec_fee().gas);
                writeln!(text, "  {action} {} + {}", send.as_gas(), execute.as_gas())
                    .expect("a string");
            }
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn presets_share_features_and_limits_and_differ_in_prices() {
        let features = schedule(FEATURES_PROTOCOL);
        for protocol in PRESETS {
            let mut vm = vm::Config::clone(&schedule(protocol).vm);
            vm.ext_costs = features.vm.ext_costs.clone();
            vm.regular_op_cost = features.vm.regular_op_cost;
            vm.grow_mem_cost = features.vm.grow_mem_cost;
            vm.limit_config.max_gas_burnt = features.vm.limit_config.max_gas_burnt;
            vm.limit_config.max_total_prepaid_gas = features.vm.limit_config.max_total_prepaid_gas;
            assert_eq!(&vm, &*features.vm, "{protocol}");
            assert!(!vm.fix_contract_loading_cost, "a missing method burns nothing");
        }
        assert_eq!(*schedule(88).vm, *schedule(88).runtime.wasm_config);
        assert_eq!(*schedule(88).fees, *schedule(88).runtime.fees);
    }

    #[test]
    fn functions_a_preset_does_not_have_cost_what_they_cost_later() {
        let (old, new) = (schedule(63), schedule(FEATURES_PROTOCOL));
        for function in [
            ExtCosts::bls12381_p1_sum_base,
            ExtCosts::yield_create_byte,
            ExtCosts::yield_create_with_id_base,
            ExtCosts::p256_verify_base,
            ExtCosts::ml_dsa_verify_byte,
            ExtCosts::sha3_512_byte,
            ExtCosts::universal_state_init_to_account_id_byte,
        ] {
            let (old, new) = (&old.vm.ext_costs, &new.vm.ext_costs);
            assert_eq!(old.costs[function], new.costs[function], "{function}");
        }
        for action in [
            ActionCosts::use_global_contract_base,
            ActionCosts::deploy_global_contract_byte,
            ActionCosts::universal_state_init_entry,
            ActionCosts::gas_key_transfer_base,
        ] {
            assert_eq!(old.fees.fee(action), new.fees.fee(action), "{action}");
        }
        assert_eq!(
            old.fees.storage_usage_config.global_contract_storage_amount_per_byte,
            new.fees.storage_usage_config.global_contract_storage_amount_per_byte,
        );
        let loading = ExtCosts::contract_loading_bytes;
        assert_ne!(old.vm.ext_costs.costs[loading], new.vm.ext_costs.costs[loading]);
    }

    #[test]
    fn no_preset_has_a_placeholder_for_a_price() {
        for protocol in PRESETS {
            let Schedule { vm, fees, .. } = &*schedule(protocol);
            for (function, price) in vm.ext_costs.costs.iter() {
                assert!(price.gas.as_gas() < PLACEHOLDER_GAS, "{protocol} {function}");
            }
            for (action, fee) in fees.action_fees.iter() {
                for gas in [fee.send_fee(true).gas, fee.send_fee(false).gas, fee.exec_fee().gas] {
                    assert!(gas.as_gas() < PLACEHOLDER_GAS, "{protocol} {action}");
                }
            }
            assert!(vm.linear_op_base_cost < PLACEHOLDER_GAS);
        }
    }

    #[test]
    fn other_protocols_are_refused_with_the_list_of_presets() {
        let error = Schedule::for_protocol(64).expect_err("not a preset");
        assert_eq!(
            error.to_string(),
            "no gas schedule for protocol version 64; choose one of [88, 82, 63]"
        );
    }

    #[test]
    fn fingerprints_differ_by_preset_and_by_every_price() {
        let mut seen: BTreeSet<[u8; 32]> =
            PRESETS.iter().map(|preset| schedule(*preset).fingerprint()).collect();
        assert_eq!(seen.len(), PRESETS.len());
        assert_eq!(schedule(88).fingerprint(), schedule(88).fingerprint());

        let mut changed = Schedule::clone(&schedule(88));
        changed.sync.resume += 1;
        assert!(seen.insert(changed.fingerprint()));
        Arc::make_mut(&mut changed.vm).regular_op_cost += 1;
        assert!(seen.insert(changed.fingerprint()));
        let fees = Arc::make_mut(&mut changed.fees);
        fees.action_fees[ActionCosts::transfer] =
            fees.action_fees[ActionCosts::create_account].clone();
        assert!(seen.insert(changed.fingerprint()));
    }
}
