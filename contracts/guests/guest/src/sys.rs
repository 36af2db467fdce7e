//! The imports, as the host declares them: lengths, pointers and registers are `u64`, all from `env`.
//!
//! One function a line, so that a test can compare this file with the host's table. NEAR's own functions
//! are here only where a bare module needs them; near-sdk declares the rest.

// One declaration a line is what makes the list checkable.
#[rustfmt::skip]
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    /// Opens a call to a module of this account; the handle, or `u64::MAX` and the error in the register.
    pub fn sync_call_open(namespace_len: u64, namespace_ptr: u64, method_len: u64, method_ptr: u64, gas: u64, depth: u64, grants: u64, register_id: u64) -> u64;
    /// Runs a callee until it yields or ends; the status, with the bytes in the register.
    pub fn sync_call_resume(handle: u64, data_len: u64, data_ptr: u64, register_id: u64) -> u64;
    /// The same with the bytes in memory; status in the low eight bits, length above them.
    pub fn sync_call_resume_into(handle: u64, data_len: u64, data_ptr: u64, into_ptr: u64, into_capacity: u64) -> u64;
    /// Drops a live callee and its effects; 0 closed, 2 unknown handle.
    pub fn sync_call_close(handle: u64) -> u64;
    /// NEP-481: starts a call, at most one a namespace.
    pub fn sync_function_call(namespace_len: u64, namespace_ptr: u64, method_len: u64, method_ptr: u64, arguments_len: u64, arguments_ptr: u64, gas: u64, register_id: u64) -> u64;
    /// NEP-481: answers the yield of the live call of a namespace.
    pub fn resume_sync_call(namespace_len: u64, namespace_ptr: u64, response_len: u64, response_ptr: u64, register_id: u64) -> u64;
    /// Yields bytes to the caller; its answer is in the register when this returns.
    pub fn callback(data_len: u64, data_ptr: u64, register_id: u64);
    /// The same with the answer in memory; its length.
    pub fn callback_into(data_len: u64, data_ptr: u64, into_ptr: u64, into_capacity: u64) -> u64;
    /// Fetches what did not fit into the capacity of the last `_into`; its length.
    pub fn pending_into(into_ptr: u64, into_capacity: u64) -> u64;
    /// The namespace this module runs in.
    pub fn current_namespace(register_id: u64);
    /// The namespace that called, empty for a call from outside.
    pub fn predecessor_namespace(register_id: u64);
    /// Adds the deployment of a module to a batch of actions.
    pub fn promise_batch_action_deploy_module(promise: u64, namespace_len: u64, namespace_ptr: u64, flags: u64, code_len: u64, code_ptr: u64);
    /// The same for code that the host has already.
    pub fn promise_batch_action_deploy_module_by_hash(promise: u64, namespace_len: u64, namespace_ptr: u64, flags: u64, hash_ptr: u64);
    /// Adds the removal of a module to a batch of actions.
    pub fn promise_batch_action_remove_module(promise: u64, namespace_len: u64, namespace_ptr: u64, keep_storage: u64);
    /// NEAR: the arguments of the call, in a register.
    pub fn input(register_id: u64);
    /// NEAR: copies a register into memory.
    pub fn read_register(register_id: u64, ptr: u64);
    /// NEAR: the length of a register, `u64::MAX` if it is empty.
    pub fn register_len(register_id: u64) -> u64;
    /// NEAR: the result of the call.
    pub fn value_return(value_len: u64, value_ptr: u64);
    /// NEAR: ends the call with a message.
    pub fn panic_utf8(len: u64, ptr: u64) -> !;
    /// NEAR: writes a line to the log of the call.
    pub fn log_utf8(len: u64, ptr: u64);
    /// NEAR: the SHA-256 of bytes, in a register.
    pub fn sha256(value_len: u64, value_ptr: u64, register_id: u64);
    /// NEAR: the Keccak-256 of bytes, in a register.
    pub fn keccak256(value_len: u64, value_ptr: u64, register_id: u64);
    /// NEAR: writes to storage; 1 if the key was there, with the old value in the register.
    pub fn storage_write(key_len: u64, key_ptr: u64, value_len: u64, value_ptr: u64, register_id: u64) -> u64;
    /// NEAR: reads from storage; 1 if the key is there, with the value in the register.
    pub fn storage_read(key_len: u64, key_ptr: u64, register_id: u64) -> u64;
    /// NEAR: begins a batch of actions on an account; its index.
    pub fn promise_batch_create(account_id_len: u64, account_id_ptr: u64) -> u64;
    /// NEAR: begins a batch of actions on an account, after another batch; its index.
    pub fn promise_batch_then(promise_index: u64, account_id_len: u64, account_id_ptr: u64) -> u64;
    /// NEAR: adds a function call to a batch of actions.
    pub fn promise_batch_action_function_call(promise_index: u64, method_name_len: u64, method_name_ptr: u64, arguments_len: u64, arguments_ptr: u64, amount_ptr: u64, gas: u64);
    /// NEAR: adds a transfer to a batch of actions; the amount is 16 bytes.
    pub fn promise_batch_action_transfer(promise_index: u64, amount_ptr: u64);
    /// NEAR: yoctoNEAR attached to the call, written as 16 bytes.
    pub fn attached_deposit(balance_ptr: u64);
    /// NEAR: makes the result of a promise the result of this call.
    pub fn promise_return(promise_idx: u64);
    /// NEAR: how many results of promises this call is a callback of.
    pub fn promise_results_count() -> u64;
    /// NEAR: one of them; 1 if it succeeded, with its value in the register.
    pub fn promise_result(result_idx: u64, register_id: u64) -> u64;
    /// NEAR: removes from storage; 1 if the key was there, with the value in the register.
    pub fn storage_remove(key_len: u64, key_ptr: u64, register_id: u64) -> u64;
    /// NEAR: whether a key is in storage: 1 if so.
    pub fn storage_has_key(key_len: u64, key_ptr: u64) -> u64;
    /// NEAR: the account of this contract, in a register.
    pub fn current_account_id(register_id: u64);
    /// NEAR: the account that calls, in a register.
    pub fn predecessor_account_id(register_id: u64);
    /// NEAR: height of the block.
    pub fn block_index() -> u64;
    /// NEAR: time of the block, in nanoseconds.
    pub fn block_timestamp() -> u64;
    /// NEAR: the block's random bytes, in a register.
    pub fn random_seed(register_id: u64);
    /// NEAR: gas attached to the call.
    pub fn prepaid_gas() -> u64;
    /// NEAR: gas used so far.
    pub fn used_gas() -> u64;
    /// NEAR: the RIPEMD-160 of bytes, in a register.
    pub fn ripemd160(value_len: u64, value_ptr: u64, register_id: u64);
    /// NEAR: the public key of a secp256k1 signature, in a register; 1 if there is one.
    pub fn ecrecover(hash_len: u64, hash_ptr: u64, sign_len: u64, sig_ptr: u64, v: u64, malleability_flag: u64, register_id: u64) -> u64;
    /// NEAR: whether a secp256r1 signature is valid: 1 if so.
    pub fn p256_verify(sig_len: u64, sig_ptr: u64, msg_len: u64, msg_ptr: u64, pub_key_len: u64, pub_key_ptr: u64) -> u64;
    /// NEAR: a sum of products of points and scalars on alt_bn128, in a register.
    pub fn alt_bn128_g1_multiexp(value_len: u64, value_ptr: u64, register_id: u64);
    /// NEAR: a sum of points on alt_bn128, in a register.
    pub fn alt_bn128_g1_sum(value_len: u64, value_ptr: u64, register_id: u64);
    /// NEAR: whether a product of pairings on alt_bn128 is one: 1 if so.
    pub fn alt_bn128_pairing_check(value_len: u64, value_ptr: u64) -> u64;
}
