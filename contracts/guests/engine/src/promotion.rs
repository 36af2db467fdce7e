//! Promotion: a module in the place of a contract's code, and back.
//!
//! The module comes by a deploy action of this account to itself; only its callback, [`finish`], redirects frames.
//! Until then the promotion is *pending*, and no other of the same contract begins. A module that the host refuses
//! leaves the contract interpreted.

use crate::code::{self, Stored};
use crate::database::encode;
use crate::section::provenance;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use borsh::BorshDeserialize;
use cotenant_guest::{
    Batch, Call, Grants, Replace, Step, StorageOnRemove, Visibility, near, panic,
};
use engine_abi::Fork;
use engine_abi::state::{self, COMPILER_NAMESPACE, Config, PROMOTED, Promotion};
use evm_to_wasm::abi::{self, FRAME_ABI_VERSION};
use revm::primitives::B256;

/// The callback's method.
const FINISH: &str = "on_promoted";

/// NEAR gas of the callback: it rewrites a contract's code, which takes 2.4 Tgas for 24 KiB.
const FINISH_GAS: u64 = 10_000_000_000_000;

/// The compiler's method.
const COMPILE: &str = "compile";

/// Who hashes in modules that are compiled here: they themselves (`evm_to_wasm::Keccak::Own`), which burns half of what
/// the host's function costs.
const OWN_KECCAK: u8 = 0;

/// Checks a module for a contract and deploys it.
pub fn begin(config: &Config, hash: B256, wasm: &[u8], compiled_here: bool) {
    let code_bytes = unpromoted_bytes(hash);
    let promotion = checked(config, hash, wasm, code_bytes, compiled_here);
    near::storage_write(&state::pending_key(&hash.0), &encode(&promotion));
    #[cfg(feature = "wasm-in-wasm")]
    crate::modules::keep(hash, wasm);
    let this = near::current_account_id();
    let Ok(this) = core::str::from_utf8(&this) else { panic("ERR_ACCOUNT: no account id") };
    Batch::on(this)
        .deploy_module(&promotion.namespace, Visibility::Private, Replace::Private, wasm)
        .then(this)
        .function_call(FINISH, &hash.0, FINISH_GAS)
        .be_the_result();
}

/// Compiles a contract by the compiler of this account and deploys the module.
pub fn compile(config: &Config, hash: B256) {
    unpromoted_bytes(hash);
    let Some(code) = code::original(hash) else { unknown(hash) };
    let arguments = encode(&(code, config.fork, OWN_KECCAK));
    let step = Call::open(COMPILER_NAMESPACE, COMPILE)
        .grants(Grants::NONE)
        .start()
        .and_then(|mut live| live.resume(&arguments));
    match step {
        Ok(Step::Returned(wasm)) => begin(config, hash, &wasm, true),
        Ok(Step::Yielded(_)) => panic("ERR_COMPILER: the compiler asks, and nobody answers"),
        Err(error) => panic(&format!("ERR_COMPILER: {} ({})", error.name(), COMPILER_NAMESPACE)),
    }
}

/// The callback of a deployment: redirects the contract's frames if the module is there.
pub fn finish(hash: B256) -> bool {
    let key = state::pending_key(&hash.0);
    let Some(promotion) = near::storage_read(&key) else {
        panic("ERR_NOT_PENDING: no promotion of this contract has begun")
    };
    near::storage_remove(&key);
    if !near::promise_succeeded() {
        near::log(&format!("the module of {hash} was refused"));
        return false;
    }
    let Some(Stored::Plain(record)) = code::stored(hash) else { unknown(hash) };
    near::storage_write(&state::body_key(&hash.0), &record);
    let mut redirect = Vec::with_capacity(1 + promotion.len());
    redirect.push(PROMOTED);
    redirect.extend_from_slice(&promotion);
    near::storage_write(&state::code_key(&hash.0), &redirect);
    true
}

/// Has a contract interpreted again, and removes its module. Ends a promotion that is pending, too.
pub fn demote(hash: B256) {
    let was_pending = near::storage_remove(&state::pending_key(&hash.0));
    let namespace = match code::stored(hash) {
        Some(Stored::Promoted(promotion)) => {
            let key = state::body_key(&hash.0);
            let Some(record) = near::storage_read(&key) else { unknown(hash) };
            code::store_plain(hash, &record);
            near::storage_remove(&key);
            promotion.namespace
        }
        Some(Stored::Plain(_)) if was_pending => return,
        _ => panic("ERR_NOT_PROMOTED: the contract has no module"),
    };
    let this = near::current_account_id();
    let Ok(this) = core::str::from_utf8(&this) else { panic("ERR_ACCOUNT: no account id") };
    Batch::on(this).remove_module(&namespace, StorageOnRemove::Delete);
}

/// The module of a contract.
pub fn promoted(hash: B256) -> Option<Promotion> {
    match code::stored(hash)? {
        Stored::Promoted(promotion) => Some(promotion),
        Stored::Plain(_) => None,
    }
}

/// Bytes of code that has no module and will not have one soon.
fn unpromoted_bytes(hash: B256) -> u32 {
    if near::storage_has_key(&state::pending_key(&hash.0)) {
        panic("ERR_PENDING: the contract's module is being deployed");
    }
    match code::stored(hash) {
        Some(Stored::Plain(record)) => match state::code::lengths(&record) {
            Some((code_bytes, _)) => code_bytes as u32,
            None => unknown(hash),
        },
        Some(Stored::Promoted(_)) => {
            panic("ERR_PROMOTED: the contract has a module; demote it first")
        }
        None => unknown(hash),
    }
}

/// What a module says of itself, if it may stand for this contract on this chain.
fn checked(
    config: &Config,
    hash: B256,
    wasm: &[u8],
    code_bytes: u32,
    compiled_here: bool,
) -> Promotion {
    let Some(said) = provenance(wasm) else {
        panic("ERR_MODULE: there is no section `evm` as evm-to-wasm writes it")
    };
    if said.code_hash != abi::word(hash.0) {
        panic("ERR_MODULE: it was compiled from another contract");
    }
    let fork = match said.fork {
        evm_to_wasm::Fork::Cancun => Fork::Cancun,
        evm_to_wasm::Fork::Prague => Fork::Prague,
        evm_to_wasm::Fork::Osaka => Fork::Osaka,
    };
    if fork != config.fork {
        panic(&format!("ERR_MODULE: it is for {fork:?}, the engine runs {:?}", config.fork));
    }
    if said.abi != FRAME_ABI_VERSION {
        panic(&format!("ERR_MODULE: its frame ABI is {}, ours {FRAME_ABI_VERSION}", said.abi));
    }
    Promotion {
        namespace: state::namespace(&hash.0),
        fork,
        compiler: said.compiler,
        abi: said.abi,
        wasm_bytes: wasm.len() as u32,
        code_bytes,
        compiled_here,
    }
}

fn unknown(hash: B256) -> ! {
    let message: String = format!("ERR_NO_CODE: no contract has the code {hash}");
    panic(&message)
}

/// The hash of a call's arguments.
pub fn hash_of(arguments: &[u8]) -> B256 {
    match <[u8; 32]>::try_from_slice(arguments) {
        Ok(hash) => hash.into(),
        Err(_) => panic("ERR_ARGUMENTS: a code hash is 32 bytes"),
    }
}
