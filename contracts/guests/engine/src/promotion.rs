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
use borsh::{BorshDeserialize, BorshSerialize};
use cotenant_guest::{
    Batch, Call, Grants, Replace, Step, StorageOnRemove, Visibility, near, panic,
};
use engine_abi::state::{self, COMPILER_NAMESPACE, Config, Promotion};
use engine_abi::{Fork, facts};
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

/// Price of storage on NEAR, in yoctoNEAR for each byte.
const STORAGE_PRICE: u128 = 10_000_000_000_000_000_000;

/// Bytes of storage that a promotion causes besides the module and its own record: what the host keeps of a module (its
/// namespace, hashes), and the keys and overheads of two records.
const STORAGE_BYTES: u128 = 400;

/// Where a module comes from.
enum Origin {
    /// The owner brought it along.
    Elsewhere,
    /// The compiler of this account made it, for somebody who pays for its storage, or the owner.
    Here(Option<Payer>),
}

/// Who pays for the storage of a module.
struct Payer {
    account: String,
    deposit: u128,
}

/// A promotion whose module is being deployed.
#[derive(BorshSerialize, BorshDeserialize)]
struct Pending {
    promotion: Promotion,
    /// Whom its deposit goes back to if the module is refused, and how much.
    payer: Option<(String, u128)>,
}

/// Checks a module from elsewhere for a contract and deploys it.
pub fn promote(config: &Config, hash: B256, wasm: &[u8]) {
    begin(config, hash, wasm, &unpromoted(hash), Origin::Elsewhere);
}

/// Compiles a contract by the compiler of this account and deploys the module.
pub fn compile(config: &Config, hash: B256, by_owner: bool) {
    let code = unpromoted(hash);
    let arguments = encode(&(code.as_slice(), config.fork, OWN_KECCAK));
    let step = Call::open(COMPILER_NAMESPACE, COMPILE)
        .grants(Grants::NONE)
        .start()
        .and_then(|mut live| live.resume(&arguments));
    let wasm = match step {
        Ok(Step::Returned(wasm)) => wasm,
        Ok(Step::Yielded(_)) => panic("ERR_COMPILER: the compiler asks, and nobody answers"),
        Err(error) => panic(&format!("ERR_COMPILER: {} ({})", error.name(), COMPILER_NAMESPACE)),
    };
    let origin = if by_owner {
        Origin::Here(None)
    } else {
        let account = String::from_utf8(near::predecessor_account_id()).unwrap_or_default();
        Origin::Here(Some(Payer { account, deposit: near::attached_deposit() }))
    };
    begin(config, hash, &wasm, &code, origin);
}

/// Checks a module and deploys it. Whoever is not the owner pays for the storage that it takes, and gets the rest back.
fn begin(config: &Config, hash: B256, wasm: &[u8], code: &[u8], origin: Origin) {
    let (compiled_here, payer) = match origin {
        Origin::Elsewhere => (false, None),
        Origin::Here(payer) => (true, payer),
    };
    let promotion = checked(config, hash, wasm, code, compiled_here);
    let this = near::current_account_id();
    let Ok(this) = core::str::from_utf8(&this) else { panic("ERR_ACCOUNT: no account id") };
    let payer = payer.map(|Payer { account, deposit }| {
        let bytes = wasm.len() as u128 + encode(&promotion).len() as u128 + STORAGE_BYTES;
        let price = bytes * STORAGE_PRICE;
        let Some(rest) = deposit.checked_sub(price) else {
            panic(&format!(
                "ERR_DEPOSIT: the module takes {bytes} bytes of storage: attach {price} yoctoNEAR, not {deposit}"
            ))
        };
        if rest > 0 {
            let _ = Batch::on(&account).transfer(rest);
        }
        (account, price)
    });
    let namespace = promotion.namespace.clone();
    near::storage_write(&state::pending_key(&hash.0), &encode(&Pending { promotion, payer }));
    #[cfg(feature = "wasm-in-wasm")]
    crate::modules::keep(hash, wasm);
    Batch::on(this)
        .deploy_module(&namespace, Visibility::Private, Replace::Private, wasm)
        .then(this)
        .function_call(FINISH, &hash.0, FINISH_GAS)
        .be_the_result();
}

/// The callback of a deployment: redirects the contract's frames if the module is there.
pub fn finish(hash: B256) -> bool {
    let key = state::pending_key(&hash.0);
    let Some(pending) = near::storage_read(&key) else {
        panic("ERR_NOT_PENDING: no promotion of this contract has begun")
    };
    near::storage_remove(&key);
    let Ok(Pending { promotion, payer }) = Pending::try_from_slice(&pending) else {
        panic("ERR_STATE: a pending promotion is none")
    };
    if !near::promise_succeeded() {
        near::log(&format!("the module of {hash} was refused"));
        if let Some((account, price)) = payer {
            let _ = Batch::on(&account).transfer(price);
        }
        return false;
    }
    let before = match code::stored(hash) {
        Some(Stored::Promoted(before, _)) => Some(before.namespace),
        _ => None,
    };
    let Some(record) = code::record(hash) else { unknown(hash) };
    near::storage_remove(&state::body_key(&hash.0));
    code::store_promoted(hash, &encode(&promotion), &record);
    if let Some(before) = before.filter(|before| *before != promotion.namespace) {
        remove_module(&before);
    }
    true
}

/// Has a contract interpreted again, and removes its module. Ends a promotion that is pending, too.
pub fn demote(hash: B256) {
    let was_pending = near::storage_remove(&state::pending_key(&hash.0));
    match code::stored(hash) {
        Some(Stored::Promoted(promotion, _)) => interpret(hash, &promotion),
        Some(Stored::Plain(_)) if was_pending => {}
        _ => panic("ERR_NOT_PROMOTED: the contract has no module"),
    }
}

/// Has a promoted contract interpreted again, and removes its module.
pub fn interpret(hash: B256, promotion: &Promotion) {
    let Some(record) = code::record(hash) else { unknown(hash) };
    code::store_plain(hash, &record);
    near::storage_remove(&state::body_key(&hash.0));
    remove_module(&promotion.namespace);
}

fn remove_module(namespace: &str) {
    let this = near::current_account_id();
    let Ok(this) = core::str::from_utf8(&this) else { panic("ERR_ACCOUNT: no account id") };
    let _ = Batch::on(this).remove_module(namespace, StorageOnRemove::Delete);
}

/// The module of a contract.
pub fn promoted(hash: B256) -> Option<Promotion> {
    match code::stored(hash)? {
        Stored::Promoted(promotion, _) => Some(promotion),
        Stored::Plain(_) => None,
    }
}

/// Whether a promotion has to be made anew: its module does not speak with this engine, or stands for no code.
pub fn is_outdated(promotion: &Promotion, code: &[u8]) -> bool {
    promotion.abi != FRAME_ABI_VERSION || !code::is_executed(code)
}

/// The code of a contract that may be promoted now.
fn unpromoted(hash: B256) -> Vec<u8> {
    if near::storage_has_key(&state::pending_key(&hash.0)) {
        panic("ERR_PENDING: the contract's module is being deployed");
    }
    let Some(code) = code::original(hash) else { unknown(hash) };
    if !code::is_executed(&code) {
        panic(
            "ERR_NOT_EXECUTED: no frame executes this: it is empty or begins with the byte ef (EIP-3541)",
        );
    }
    match code::stored(hash) {
        Some(Stored::Promoted(promotion, _)) if !is_outdated(&promotion, &code) => {
            panic("ERR_PROMOTED: the contract has a module; demote it first")
        }
        _ => code,
    }
}

/// What a module says of itself, if it may stand for this contract on this chain.
fn checked(
    config: &Config,
    hash: B256,
    wasm: &[u8],
    code: &[u8],
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
        code_bytes: code.len() as u32,
        compiled_here,
        asks_in_loops: facts::asks_in_loops(code),
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
