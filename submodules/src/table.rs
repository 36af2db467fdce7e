//! The one table of host functions (architecture, invariant 4).
//!
//! Every row declares a host function once: its name and signature, who implements it, whether NEAR's price
//! of it begins with `base`, whether a view may call it, which group (and so which module kinds and which
//! grant) it belongs to, which parameter names the register it writes, and the flag of NEAR's configuration
//! that enables it. Validation, linking, `cotenant check`, `docs/ABI.md` and the negative tests read this
//! table; nothing repeats it. NEAR's rows mirror `near-vm-runner` 0.38's `imports.rs`.

use near_parameters::vm::Config;

/// Which module kinds may import a function, and under which grant (`docs/spec/calls.md`, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Every module may import it.
    Core,
    /// Every module may import it; it ends the call with a message.
    End,
    /// Public modules, and private ones that are granted `crypto`.
    Crypto,
    /// Public modules, and private ones that are granted `context`.
    Context,
    /// Public modules, and private ones that are granted `log`.
    Log,
    /// Public modules, and private ones that are granted `nested`.
    Nested,
    /// Public modules only.
    PublicOnly,
}

/// Whether a view call may use a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InView {
    /// It may.
    Allowed,
    /// It ends with `ProhibitedInView` under this method name (NEAR's own wording).
    Forbidden(&'static str),
}

/// Who implements a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// `near_vm_runner::logic::host`.
    Near,
    /// Cotenant.
    Cotenant,
}

/// Type of a parameter or result: NEAR's conventions know two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// `i32`.
    U32,
    /// `i64`.
    U64,
}

/// A named parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name, as in NEAR's documentation.
    pub name: &'static str,
    /// Its type.
    pub width: Width,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct HostFunction {
    /// Which function this is.
    pub id: HostFunctionId,
    /// The name it is imported under, from module `env`.
    pub name: &'static str,
    /// Parameters in order.
    pub params: &'static [Param],
    /// The result, if there is one.
    pub result: Option<Width>,
    /// Who implements it.
    pub provider: Provider,
    /// NEAR's `base` cost is charged before anything else.
    pub base: bool,
    /// Whether a view may call it.
    pub view: InView,
    /// Which modules may import it.
    pub group: Group,
    /// Index of the parameter that names the register it writes.
    pub output: Option<usize>,
    /// The flag of NEAR's configuration that enables it; always there without one.
    pub flag: Option<fn(&Config) -> bool>,
    /// The flag as the table writes it.
    flag_source: &'static str,
}

impl HostFunction {
    /// Whether modules metered under `config` may import it.
    pub fn enabled(&self, config: &Config) -> bool {
        self.flag.is_none_or(|flag| flag(config))
    }

    /// Name of the flag of NEAR's configuration that enables it; `-` if it is always there.
    pub fn flag_name(&self) -> &'static str {
        let (_, name) = self.flag_source.rsplit_once("c.").unwrap_or(("", "-"));
        name.trim_end_matches(')')
    }

    /// Its signature, like `(register_id: u64) -> u64`.
    pub fn signature(&self) -> String {
        let width = |width: Width| match width {
            Width::U32 => "u32",
            Width::U64 => "u64",
        };
        let params: Vec<_> =
            self.params.iter().map(|p| format!("{}: {}", p.name, width(p.width))).collect();
        let result = self.result.map(|result| format!(" -> {}", width(result)));
        format!("({}){}", params.join(", "), result.unwrap_or_default())
    }

    /// The row of an imported name.
    pub fn by_name(name: &str) -> Option<&'static HostFunction> {
        HOST_FUNCTIONS.iter().find(|row| row.name == name)
    }
}

/// Calls a macro with every row of the table.
#[macro_export]
macro_rules! for_each_host_function {
    ($consumer:ident) => {
        $consumer! {
            // provider, id, function, import name, parameters, result, columns
            (near, ReadRegister, read_register, "read_register", [register_id: u64, ptr: u64], [], base = true, view = Allowed, group = Core, output = None, flag = None),
            (near, RegisterLen, register_len, "register_len", [register_id: u64], [u64], base = true, view = Allowed, group = Core, output = None, flag = None),
            (near, WriteRegister, write_register, "write_register", [register_id: u64, data_len: u64, data_ptr: u64], [], base = true, view = Allowed, group = PublicOnly, output = Some(0), flag = None),
            (near, CurrentAccountId, current_account_id, "current_account_id", [register_id: u64], [], base = true, view = Allowed, group = Context, output = Some(0), flag = None),
            (near, ChainId, chain_id, "chain_id", [register_id: u64], [], base = true, view = Allowed, group = Context, output = Some(0), flag = Some(|c| c.chain_id_host_fn)),
            (near, SignerAccountId, signer_account_id, "signer_account_id", [register_id: u64], [], base = true, view = Forbidden("signer_account_id"), group = Context, output = Some(0), flag = None),
            (near, SignerAccountPk, signer_account_pk, "signer_account_pk", [register_id: u64], [], base = true, view = Forbidden("signer_account_pk"), group = Context, output = Some(0), flag = None),
            (near, PredecessorAccountId, predecessor_account_id, "predecessor_account_id", [register_id: u64], [], base = true, view = Forbidden("predecessor_account_id"), group = Context, output = Some(0), flag = None),
            (near, Input, input, "input", [register_id: u64], [], base = true, view = Allowed, group = Core, output = Some(0), flag = None),
            (near, BlockIndex, block_index, "block_index", [], [u64], base = true, view = Allowed, group = Context, output = None, flag = None),
            (near, BlockTimestamp, block_timestamp, "block_timestamp", [], [u64], base = true, view = Allowed, group = Context, output = None, flag = None),
            (near, EpochHeight, epoch_height, "epoch_height", [], [u64], base = true, view = Allowed, group = Context, output = None, flag = None),
            (near, StorageUsage, storage_usage, "storage_usage", [], [u64], base = true, view = Allowed, group = PublicOnly, output = None, flag = None),
            (near, AccountBalance, account_balance, "account_balance", [balance_ptr: u64], [], base = true, view = Allowed, group = PublicOnly, output = None, flag = None),
            (near, AccountLockedBalance, account_locked_balance, "account_locked_balance", [balance_ptr: u64], [], base = true, view = Allowed, group = PublicOnly, output = None, flag = None),
            (near, AttachedDeposit, attached_deposit, "attached_deposit", [balance_ptr: u64], [], base = true, view = Allowed, group = PublicOnly, output = None, flag = None),
            (near, PrepaidGas, prepaid_gas, "prepaid_gas", [], [u64], base = true, view = Forbidden("prepaid_gas"), group = PublicOnly, output = None, flag = None),
            (near, UsedGas, used_gas, "used_gas", [], [u64], base = true, view = Forbidden("used_gas"), group = PublicOnly, output = None, flag = None),
            (near, RandomSeed, random_seed, "random_seed", [register_id: u64], [], base = true, view = Allowed, group = Context, output = Some(0), flag = None),
            (near, Sha256, sha256, "sha256", [value_len: u64, value_ptr: u64, register_id: u64], [], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (near, Keccak256, keccak256, "keccak256", [value_len: u64, value_ptr: u64, register_id: u64], [], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (near, Keccak512, keccak512, "keccak512", [value_len: u64, value_ptr: u64, register_id: u64], [], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (near, Sha3256, sha3_256, "sha3_256", [value_len: u64, value_ptr: u64, register_id: u64], [], base = false, view = Allowed, group = Crypto, output = Some(2), flag = Some(|c| c.sha3_host_fns)),
            (near, Sha3384, sha3_384, "sha3_384", [value_len: u64, value_ptr: u64, register_id: u64], [], base = false, view = Allowed, group = Crypto, output = Some(2), flag = Some(|c| c.sha3_host_fns)),
            (near, Sha3512, sha3_512, "sha3_512", [value_len: u64, value_ptr: u64, register_id: u64], [], base = false, view = Allowed, group = Crypto, output = Some(2), flag = Some(|c| c.sha3_host_fns)),
            (near, Ed25519Verify, ed25519_verify, "ed25519_verify", [sig_len: u64, sig_ptr: u64, msg_len: u64, msg_ptr: u64, pub_key_len: u64, pub_key_ptr: u64], [u64], base = false, view = Allowed, group = Crypto, output = None, flag = None),
            (near, P256Verify, p256_verify, "p256_verify", [sig_len: u64, sig_ptr: u64, msg_len: u64, msg_ptr: u64, pub_key_len: u64, pub_key_ptr: u64], [u64], base = false, view = Allowed, group = Crypto, output = None, flag = Some(|c| c.p256_verify_host_fn)),
            (near, MlDsaVerify, ml_dsa_verify, "ml_dsa_verify", [sig_len: u64, sig_ptr: u64, msg_len: u64, msg_ptr: u64, pub_key_len: u64, pub_key_ptr: u64], [u64], base = false, view = Allowed, group = Crypto, output = None, flag = Some(|c| c.ml_dsa_verify_host_fn)),
            (near, Ripemd160, ripemd160, "ripemd160", [value_len: u64, value_ptr: u64, register_id: u64], [], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (near, Ecrecover, ecrecover, "ecrecover", [hash_len: u64, hash_ptr: u64, sign_len: u64, sig_ptr: u64, v: u64, malleability_flag: u64, register_id: u64], [u64], base = false, view = Allowed, group = Crypto, output = Some(6), flag = None),
            (near, ValueReturn, value_return, "value_return", [value_len: u64, value_ptr: u64], [], base = true, view = Allowed, group = Core, output = None, flag = None),
            (near, Panic, panic, "panic", [], [], base = true, view = Allowed, group = PublicOnly, output = None, flag = None),
            (near, PanicUtf8, panic_utf8, "panic_utf8", [len: u64, ptr: u64], [], base = true, view = Allowed, group = End, output = None, flag = None),
            (near, LogUtf8, log_utf8, "log_utf8", [len: u64, ptr: u64], [], base = true, view = Allowed, group = Log, output = None, flag = None),
            (near, LogUtf16, log_utf16, "log_utf16", [len: u64, ptr: u64], [], base = true, view = Allowed, group = Log, output = None, flag = None),
            (near, Abort, abort, "abort", [msg_ptr: u32, filename_ptr: u32, line: u32, col: u32], [], base = true, view = Allowed, group = End, output = None, flag = None),
            (parts, PromiseCreate, promise_create, "promise_create", [account_id_len: u64, account_id_ptr: u64, method_name_len: u64, method_name_ptr: u64, arguments_len: u64, arguments_ptr: u64, amount_ptr: u64, gas: u64], [u64], base = false, view = Forbidden("promise_batch_create"), group = PublicOnly, output = None, flag = None),
            (parts, PromiseThen, promise_then, "promise_then", [promise_index: u64, account_id_len: u64, account_id_ptr: u64, method_name_len: u64, method_name_ptr: u64, arguments_len: u64, arguments_ptr: u64, amount_ptr: u64, gas: u64], [u64], base = false, view = Forbidden("promise_batch_then"), group = PublicOnly, output = None, flag = None),
            (near, PromiseAnd, promise_and, "promise_and", [promise_idx_ptr: u64, promise_idx_count: u64], [u64], base = true, view = Forbidden("promise_and"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchCreate, promise_batch_create, "promise_batch_create", [account_id_len: u64, account_id_ptr: u64], [u64], base = true, view = Forbidden("promise_batch_create"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchThen, promise_batch_then, "promise_batch_then", [promise_index: u64, account_id_len: u64, account_id_ptr: u64], [u64], base = true, view = Forbidden("promise_batch_then"), group = PublicOnly, output = None, flag = None),
            (near, PromiseSetRefundTo, promise_set_refund_to, "promise_set_refund_to", [promise_index: u64, account_id_len: u64, account_id_ptr: u64], [], base = true, view = Forbidden("promise_set_refund_to"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchActionStateInit, promise_batch_action_state_init, "promise_batch_action_state_init", [promise_idx: u64, code_len: u64, code_ptr: u64, amount_ptr: u64], [u64], base = true, view = Forbidden("promise_batch_action_state_init"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchActionStateInitByAccountId, promise_batch_action_state_init_by_account_id, "promise_batch_action_state_init_by_account_id", [promise_idx: u64, account_id_len: u64, code_hash_ptr: u64, amount_ptr: u64], [u64], base = true, view = Forbidden("promise_batch_action_state_init_by_account_id"), group = PublicOnly, output = None, flag = None),
            (near, SetStateInitDataEntry, set_state_init_data_entry, "set_state_init_data_entry", [promise_idx: u64, action_index: u64, key_len: u64, key_ptr: u64, value_len: u64, value_ptr: u64], [], base = true, view = Forbidden("set_state_init_data_entry"), group = PublicOnly, output = None, flag = None),
            (near, CurrentContractCode, current_contract_code, "current_contract_code", [register_id: u64], [u64], base = true, view = Allowed, group = PublicOnly, output = Some(0), flag = None),
            (near, RefundToAccountId, refund_to_account_id, "refund_to_account_id", [register_id: u64], [], base = true, view = Forbidden("refund_to_account_id"), group = PublicOnly, output = Some(0), flag = None),
            (near, UniversalStateInitToAccountId, universal_state_init_to_account_id, "universal_state_init_to_account_id", [state_init_len: u64, state_init_ptr: u64, register_id: u64], [u64], base = false, view = Allowed, group = PublicOnly, output = Some(2), flag = Some(|c| c.universal_accounts)),
            (near, PromiseBatchActionUniversalStateInit, promise_batch_action_universal_state_init, "promise_batch_action_universal_state_init", [promise_idx: u64, state_init_len: u64, state_init_ptr: u64, amount_ptr: u64], [], base = true, view = Forbidden("promise_batch_action_universal_state_init"), group = PublicOnly, output = None, flag = Some(|c| c.universal_accounts)),
            (near, PromiseBatchActionCreateAccount, promise_batch_action_create_account, "promise_batch_action_create_account", [promise_index: u64], [], base = true, view = Forbidden("promise_batch_action_create_account"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchActionDeployContract, promise_batch_action_deploy_contract, "promise_batch_action_deploy_contract", [promise_index: u64, code_len: u64, code_ptr: u64], [], base = true, view = Forbidden("promise_batch_action_deploy_contract"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchActionDeployGlobalContract, promise_batch_action_deploy_global_contract, "promise_batch_action_deploy_global_contract", [promise_index: u64, code_len: u64, code_ptr: u64], [], base = true, view = Forbidden("promise_batch_action_deploy_global_contract"), group = PublicOnly, output = None, flag = Some(|c| c.global_contract_host_fns)),
            (near, PromiseBatchActionDeployGlobalContractByAccountId, promise_batch_action_deploy_global_contract_by_account_id, "promise_batch_action_deploy_global_contract_by_account_id", [promise_index: u64, code_len: u64, code_ptr: u64], [], base = true, view = Forbidden("promise_batch_action_deploy_global_contract_by_account_id"), group = PublicOnly, output = None, flag = Some(|c| c.global_contract_host_fns)),
            (near, PromiseBatchActionUseGlobalContract, promise_batch_action_use_global_contract, "promise_batch_action_use_global_contract", [promise_index: u64, code_hash_len: u64, code_hash_ptr: u64], [], base = true, view = Forbidden("promise_batch_action_use_global_contract"), group = PublicOnly, output = None, flag = Some(|c| c.global_contract_host_fns)),
            (near, PromiseBatchActionUseGlobalContractByAccountId, promise_batch_action_use_global_contract_by_account_id, "promise_batch_action_use_global_contract_by_account_id", [promise_index: u64, account_id_len: u64, account_id_ptr: u64], [], base = true, view = Forbidden("promise_batch_action_use_global_contract_by_account_id"), group = PublicOnly, output = None, flag = Some(|c| c.global_contract_host_fns)),
            (near, PromiseBatchActionFunctionCall, promise_batch_action_function_call, "promise_batch_action_function_call", [promise_index: u64, method_name_len: u64, method_name_ptr: u64, arguments_len: u64, arguments_ptr: u64, amount_ptr: u64, gas: u64], [], base = true, view = Forbidden("promise_batch_action_function_call"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchActionFunctionCallWeight, promise_batch_action_function_call_weight, "promise_batch_action_function_call_weight", [promise_index: u64, method_name_len: u64, method_name_ptr: u64, arguments_len: u64, arguments_ptr: u64, amount_ptr: u64, gas: u64, gas_weight: u64], [], base = true, view = Forbidden("promise_batch_action_function_call"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchActionTransfer, promise_batch_action_transfer, "promise_batch_action_transfer", [promise_index: u64, amount_ptr: u64], [], base = true, view = Forbidden("promise_batch_action_transfer"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchActionStake, promise_batch_action_stake, "promise_batch_action_stake", [promise_index: u64, amount_ptr: u64, public_key_len: u64, public_key_ptr: u64], [], base = true, view = Forbidden("promise_batch_action_stake"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchActionAddKeyWithFullAccess, promise_batch_action_add_key_with_full_access, "promise_batch_action_add_key_with_full_access", [promise_index: u64, public_key_len: u64, public_key_ptr: u64, nonce: u64], [], base = true, view = Forbidden("promise_batch_action_add_key_with_full_access"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchActionAddKeyWithFunctionCall, promise_batch_action_add_key_with_function_call, "promise_batch_action_add_key_with_function_call", [promise_index: u64, public_key_len: u64, public_key_ptr: u64, nonce: u64, allowance_ptr: u64, receiver_id_len: u64, receiver_id_ptr: u64, method_names_len: u64, method_names_ptr: u64], [], base = true, view = Forbidden("promise_batch_action_add_key_with_function_call"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchActionDeleteKey, promise_batch_action_delete_key, "promise_batch_action_delete_key", [promise_index: u64, public_key_len: u64, public_key_ptr: u64], [], base = true, view = Forbidden("promise_batch_action_delete_key"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchActionDeleteAccount, promise_batch_action_delete_account, "promise_batch_action_delete_account", [promise_index: u64, beneficiary_id_len: u64, beneficiary_id_ptr: u64], [], base = true, view = Forbidden("promise_batch_action_delete_account"), group = PublicOnly, output = None, flag = None),
            (near, PromiseBatchActionTransferToGasKey, promise_batch_action_transfer_to_gas_key, "promise_batch_action_transfer_to_gas_key", [promise_index: u64, public_key_len: u64, public_key_ptr: u64, amount_ptr: u64], [], base = true, view = Forbidden("promise_batch_action_transfer_to_gas_key"), group = PublicOnly, output = None, flag = Some(|c| c.gas_key_host_fns)),
            (near, PromiseBatchActionAddGasKeyWithFullAccess, promise_batch_action_add_gas_key_with_full_access, "promise_batch_action_add_gas_key_with_full_access", [promise_index: u64, public_key_len: u64, public_key_ptr: u64, num_nonces: u64], [], base = true, view = Forbidden("promise_batch_action_add_gas_key_with_full_access"), group = PublicOnly, output = None, flag = Some(|c| c.gas_key_host_fns)),
            (near, PromiseBatchActionAddGasKeyWithFunctionCall, promise_batch_action_add_gas_key_with_function_call, "promise_batch_action_add_gas_key_with_function_call", [promise_index: u64, public_key_len: u64, public_key_ptr: u64, num_nonces: u64, allowance_ptr: u64, receiver_id_len: u64, receiver_id_ptr: u64, method_names_len: u64, method_names_ptr: u64], [], base = true, view = Forbidden("promise_batch_action_add_gas_key_with_function_call"), group = PublicOnly, output = None, flag = Some(|c| c.gas_key_host_fns)),
            (near, PromiseYieldCreate, promise_yield_create, "promise_yield_create", [method_name_len: u64, method_name_ptr: u64, arguments_len: u64, arguments_ptr: u64, gas: u64, gas_weight: u64, register_id: u64], [u64], base = true, view = Forbidden("promise_yield_create"), group = PublicOnly, output = Some(6), flag = None),
            (near, PromiseYieldCreateWithId, promise_yield_create_with_id, "promise_yield_create_with_id", [method_name_len: u64, method_name_ptr: u64, arguments_len: u64, arguments_ptr: u64, amount_ptr: u64, gas: u64, gas_weight: u64, yield_id_len: u64, yield_id_ptr: u64], [u64], base = true, view = Forbidden("promise_yield_create_with_id"), group = PublicOnly, output = None, flag = Some(|c| c.yield_with_id_host_fns)),
            (near, PromiseYieldResume, promise_yield_resume, "promise_yield_resume", [data_id_len: u64, data_id_ptr: u64, payload_len: u64, payload_ptr: u64], [u32], base = true, view = Forbidden("promise_yield_resume"), group = PublicOnly, output = None, flag = None),
            (near, PromiseYieldResumeWithYieldId, promise_yield_resume_with_yield_id, "promise_yield_resume_with_yield_id", [yield_id_len: u64, yield_id_ptr: u64, payload_len: u64, payload_ptr: u64], [u32], base = true, view = Forbidden("promise_yield_resume_with_yield_id"), group = PublicOnly, output = None, flag = Some(|c| c.yield_with_id_host_fns)),
            (near, PromiseResultsCount, promise_results_count, "promise_results_count", [], [u64], base = true, view = Forbidden("promise_results_count"), group = PublicOnly, output = None, flag = None),
            (near, PromiseResult, promise_result, "promise_result", [result_idx: u64, register_id: u64], [u64], base = true, view = Forbidden("promise_result"), group = PublicOnly, output = Some(1), flag = None),
            (near, PromiseReturn, promise_return, "promise_return", [promise_idx: u64], [], base = true, view = Forbidden("promise_return"), group = PublicOnly, output = None, flag = None),
            (near, StorageWrite, storage_write, "storage_write", [key_len: u64, key_ptr: u64, value_len: u64, value_ptr: u64, register_id: u64], [u64], base = true, view = Forbidden("storage_write"), group = PublicOnly, output = Some(4), flag = None),
            (near, StorageRead, storage_read, "storage_read", [key_len: u64, key_ptr: u64, register_id: u64], [u64], base = true, view = Allowed, group = PublicOnly, output = Some(2), flag = None),
            (near, StorageRemove, storage_remove, "storage_remove", [key_len: u64, key_ptr: u64, register_id: u64], [u64], base = true, view = Forbidden("storage_remove"), group = PublicOnly, output = Some(2), flag = None),
            (near, StorageHasKey, storage_has_key, "storage_has_key", [key_len: u64, key_ptr: u64], [u64], base = true, view = Allowed, group = PublicOnly, output = None, flag = None),
            (near, StorageIterPrefix, storage_iter_prefix, "storage_iter_prefix", [prefix_len: u64, prefix_ptr: u64], [u64], base = false, view = Allowed, group = PublicOnly, output = None, flag = None),
            (near, StorageIterRange, storage_iter_range, "storage_iter_range", [start_len: u64, start_ptr: u64, end_len: u64, end_ptr: u64], [u64], base = false, view = Allowed, group = PublicOnly, output = None, flag = None),
            (near, StorageIterNext, storage_iter_next, "storage_iter_next", [iterator_id: u64, key_register_id: u64, value_register_id: u64], [u64], base = false, view = Allowed, group = PublicOnly, output = None, flag = None),
            (near, GasSeenFromWasm, gas_seen_from_wasm, "gas", [opcodes: u32], [], base = false, view = Allowed, group = PublicOnly, output = None, flag = None),
            (near, ValidatorStake, validator_stake, "validator_stake", [account_id_len: u64, account_id_ptr: u64, stake_ptr: u64], [], base = true, view = Allowed, group = PublicOnly, output = None, flag = None),
            (near, ValidatorTotalStake, validator_total_stake, "validator_total_stake", [stake_ptr: u64], [], base = true, view = Allowed, group = PublicOnly, output = None, flag = None),
            (near, AltBn128G1Multiexp, alt_bn128_g1_multiexp, "alt_bn128_g1_multiexp", [value_len: u64, value_ptr: u64, register_id: u64], [], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (near, AltBn128G1Sum, alt_bn128_g1_sum, "alt_bn128_g1_sum", [value_len: u64, value_ptr: u64, register_id: u64], [], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (near, AltBn128PairingCheck, alt_bn128_pairing_check, "alt_bn128_pairing_check", [value_len: u64, value_ptr: u64], [u64], base = false, view = Allowed, group = Crypto, output = None, flag = None),
            (near, Bls12381P1Sum, bls12381_p1_sum, "bls12381_p1_sum", [value_len: u64, value_ptr: u64, register_id: u64], [u64], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (near, Bls12381P2Sum, bls12381_p2_sum, "bls12381_p2_sum", [value_len: u64, value_ptr: u64, register_id: u64], [u64], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (near, Bls12381G1Multiexp, bls12381_g1_multiexp, "bls12381_g1_multiexp", [value_len: u64, value_ptr: u64, register_id: u64], [u64], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (near, Bls12381G2Multiexp, bls12381_g2_multiexp, "bls12381_g2_multiexp", [value_len: u64, value_ptr: u64, register_id: u64], [u64], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (near, Bls12381MapFpToG1, bls12381_map_fp_to_g1, "bls12381_map_fp_to_g1", [value_len: u64, value_ptr: u64, register_id: u64], [u64], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (near, Bls12381MapFp2ToG2, bls12381_map_fp2_to_g2, "bls12381_map_fp2_to_g2", [value_len: u64, value_ptr: u64, register_id: u64], [u64], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (near, Bls12381PairingCheck, bls12381_pairing_check, "bls12381_pairing_check", [value_len: u64, value_ptr: u64], [u64], base = false, view = Allowed, group = Crypto, output = None, flag = None),
            (near, Bls12381P1Decompress, bls12381_p1_decompress, "bls12381_p1_decompress", [value_len: u64, value_ptr: u64, register_id: u64], [u64], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (near, Bls12381P2Decompress, bls12381_p2_decompress, "bls12381_p2_decompress", [value_len: u64, value_ptr: u64, register_id: u64], [u64], base = false, view = Allowed, group = Crypto, output = Some(2), flag = None),
            (sync, SyncCallOpen, sync_call_open, "sync_call_open", [namespace_len: u64, namespace_ptr: u64, method_len: u64, method_ptr: u64, gas: u64, depth: u64, grants: u64, register_id: u64], [u64], base = false, view = Allowed, group = Nested, output = None, flag = None),
            (sync, SyncCallResume, sync_call_resume, "sync_call_resume", [handle: u64, data_len: u64, data_ptr: u64, register_id: u64], [u64], base = false, view = Allowed, group = Nested, output = None, flag = None),
            (sync, SyncCallResumeInto, sync_call_resume_into, "sync_call_resume_into", [handle: u64, data_len: u64, data_ptr: u64, into_ptr: u64, into_capacity: u64], [u64], base = false, view = Allowed, group = Nested, output = None, flag = None),
            (sync, SyncCallClose, sync_call_close, "sync_call_close", [handle: u64], [u64], base = false, view = Allowed, group = Nested, output = None, flag = None),
            (sync, SyncFunctionCall, sync_function_call, "sync_function_call", [namespace_len: u64, namespace_ptr: u64, method_len: u64, method_ptr: u64, arguments_len: u64, arguments_ptr: u64, gas: u64, register_id: u64], [u64], base = false, view = Allowed, group = Nested, output = None, flag = None),
            (sync, ResumeSyncCall, resume_sync_call, "resume_sync_call", [namespace_len: u64, namespace_ptr: u64, response_len: u64, response_ptr: u64, register_id: u64], [u64], base = false, view = Allowed, group = Nested, output = None, flag = None),
            (sync, Callback, callback, "callback", [data_len: u64, data_ptr: u64, register_id: u64], [], base = false, view = Allowed, group = Core, output = None, flag = None),
            (sync, CallbackInto, callback_into, "callback_into", [data_len: u64, data_ptr: u64, into_ptr: u64, into_capacity: u64], [u64], base = false, view = Allowed, group = Core, output = None, flag = None),
            (sync, PendingInto, pending_into, "pending_into", [into_ptr: u64, into_capacity: u64], [u64], base = false, view = Allowed, group = Core, output = None, flag = None),
            (sync, CurrentNamespace, current_namespace, "current_namespace", [register_id: u64], [], base = false, view = Allowed, group = Context, output = None, flag = None),
            (sync, PredecessorNamespace, predecessor_namespace, "predecessor_namespace", [register_id: u64], [], base = false, view = Allowed, group = Context, output = None, flag = None),
            (sync, PromiseBatchActionDeployModule, promise_batch_action_deploy_module, "promise_batch_action_deploy_module", [promise_idx: u64, namespace_len: u64, namespace_ptr: u64, flags: u64, code_len: u64, code_ptr: u64], [], base = false, view = Forbidden("promise_batch_action_deploy_module"), group = PublicOnly, output = None, flag = None),
            (sync, PromiseBatchActionDeployModuleByHash, promise_batch_action_deploy_module_by_hash, "promise_batch_action_deploy_module_by_hash", [promise_idx: u64, namespace_len: u64, namespace_ptr: u64, flags: u64, hash_ptr: u64], [], base = false, view = Forbidden("promise_batch_action_deploy_module_by_hash"), group = PublicOnly, output = None, flag = None),
            (sync, PromiseBatchActionRemoveModule, promise_batch_action_remove_module, "promise_batch_action_remove_module", [promise_idx: u64, namespace_len: u64, namespace_ptr: u64, keep_storage: u64], [], base = false, view = Forbidden("promise_batch_action_remove_module"), group = PublicOnly, output = None, flag = None)
        }
    };
}

macro_rules! width {
    (u32) => {
        Width::U32
    };
    (u64) => {
        Width::U64
    };
}

macro_rules! provider {
    (near) => {
        Provider::Near
    };
    (parts) => {
        Provider::Near
    };
    (sync) => {
        Provider::Cotenant
    };
}

macro_rules! declare {
    ($(($provider:ident, $id:ident, $function:ident, $name:literal,
        [$($param:ident: $param_type:ident),*], [$($result:ident)?],
        base = $base:literal, view = $view:expr, group = $group:ident, output = $output:expr, flag = $flag:expr)),* $(,)?) => {
        /// Names every host function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum HostFunctionId {
            $(#[doc = concat!("`", $name, "`")] $id),*
        }

        /// The table, in the order of the ids.
        pub static HOST_FUNCTIONS: &[HostFunction] = {
            use InView::*;
            &[$(HostFunction {
                id: HostFunctionId::$id,
                name: $name,
                params: &[$(Param { name: stringify!($param), width: width!($param_type) }),*],
                result: {
                    #[allow(unused_mut, unused_assignments)]
                    let mut result = None;
                    $(result = Some(width!($result));)?
                    result
                },
                provider: provider!($provider),
                base: $base,
                view: $view,
                group: Group::$group,
                output: $output,
                flag: $flag,
                flag_source: stringify!($flag),
            }),*]
        };
    };
}

for_each_host_function!(declare);

impl HostFunctionId {
    /// The row of this function.
    pub fn row(self) -> &'static HostFunction {
        &HOST_FUNCTIONS[self as usize]
    }
}

/// The table as a page of Markdown: what `cotenant abi` prints and `docs/ABI.md` is.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Host functions\n\n\
         Every function that a module can import, all from `env`. `cotenant abi` prints this page, and a test \
         compares the two; the source of both is `submodules/src/table.rs`, in whose order the rows stand. Who \
         may import which group: `docs/spec/calls.md`, section 3. \"flag\" names the flag of NEAR's VM \
         configuration that a function depends on.\n\n\
         | name | signature | provider | group | in views | flag |\n|---|---|---|---|---|---|\n",
    );
    for row in HOST_FUNCTIONS {
        let provider = match row.provider {
            Provider::Near => "near",
            Provider::Cotenant => "cotenant",
        };
        let group = match row.group {
            Group::Core => "core",
            Group::End => "end",
            Group::Crypto => "crypto",
            Group::Context => "context",
            Group::Log => "log",
            Group::Nested => "nested",
            Group::PublicOnly => "public only",
        };
        let view = match row.view {
            InView::Allowed => "yes",
            InView::Forbidden(_) => "no",
        };
        text += &format!(
            "| {} | {} | {provider} | {group} | {view} | {} |\n",
            row.name,
            row.signature(),
            row.flag_name()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_documented_table_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ABI.md");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap();
        assert_eq!(page, markdown(), "docs/ABI.md is old: run this test with BLESS=1");
    }

    #[test]
    fn ids_are_the_positions_of_their_rows() {
        for (position, row) in HOST_FUNCTIONS.iter().enumerate() {
            assert_eq!(row.id as usize, position, "{}", row.name);
        }
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = HOST_FUNCTIONS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), HOST_FUNCTIONS.len());
    }

    #[test]
    fn an_output_register_is_a_parameter_that_says_so() {
        for row in HOST_FUNCTIONS {
            if let Some(index) = row.output {
                assert_eq!(row.params[index].name, "register_id", "{}", row.name);
            }
        }
    }
}
