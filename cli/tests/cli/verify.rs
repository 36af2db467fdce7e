//! `evm verify`: a promoted contract's module against what the compiler makes of its code.

use crate::{Folder, keys, sorted};
use engine_abi::{Fork, New, Promote, SetAccount, state};
use evm_to_wasm::{Keccak, Options};

/// Stores 1 in slot 0 and returns the word 7.
const CODE: [u8; 15] = [0x60, 1, 0x60, 0, 0x55, 0x60, 7, 0x60, 0, 0x52, 0x60, 0x20, 0x60, 0, 0xf3];

const ENGINE: &str = "evm.near";

fn call(folder: &Folder, method: &str, args: &impl borsh::BorshSerialize) {
    let args = hex::encode(borsh::to_vec(args).unwrap());
    let arguments = ["call", ENGINE, method, "--args-hex", &args, "--gas", "300 Tgas"];
    let (exit, report) = folder.json(&arguments);
    assert_eq!(exit, 0, "{method}: {report}");
}

#[test]
fn a_promoted_contract_is_compiled_again_and_compared() {
    let folder = Folder::new();
    folder.deploy(ENGINE, cotenant_contracts::engine(), &[]);
    let owner = ENGINE.to_owned();
    let new = New { chain_id: 1, owner, fork: Fork::Cancun, permissionless_promote: false };
    call(&folder, "new", &new);
    let code_hash = revm::primitives::keccak256(CODE).0;
    let hash = hex::encode(code_hash);
    let (exit, report) = folder.json(&["evm", "verify", ENGINE, &hash]);
    assert_eq!((exit, &report["error"]["code"]), (2, &"UnknownCode".into()));
    call(&folder, "set_account", &SetAccount { code: CODE.into(), nonce: 1, ..Default::default() });
    let (exit, report) = folder.json(&["evm", "verify", ENGINE, &hash]);
    assert_eq!((exit, &report["error"]["code"]), (2, &"NotPromoted".into()));
    let (exit, report) = folder.json(&["evm", "verify", ENGINE, "12"]);
    assert_eq!((exit, &report["error"]["code"]), (2, &"InvalidHash".into()));

    let options = Options { keccak: Keccak::Host, ..Options::default() };
    let wasm = evm_to_wasm::compile(&CODE, &options).wasm;
    call(&folder, "promote", &Promote { code_hash, wasm: wasm.clone() });
    let (exit, report) = folder.json(&["evm", "verify", ENGINE, &format!("0x{hash}")]);
    assert_eq!((exit, report["identical"].as_bool()), (0, Some(true)), "{report}");
    let expected = [
        "account",
        "code_bytes",
        "code_hash",
        "compiled_here",
        "compiler",
        "difference",
        "fork",
        "identical",
        "keccak",
        "namespace",
        "wasm_bytes",
    ];
    assert_eq!(keys(&report), sorted(expected));
    assert_eq!(report["keccak"], "host");
    assert_eq!(report["wasm_bytes"], wasm.len());

    // Another module in its place is found out.
    let mut other = wasm;
    other.extend([0, 2, 1, b'x']);
    let module = format!("{ENGINE}:{}", state::namespace(&code_hash));
    folder.deploy(&module, &other, &["--private", "--replace"]);
    let (exit, report) = folder.json(&["evm", "verify", ENGINE, &hash]);
    assert_eq!((exit, report["identical"].as_bool()), (1, Some(false)), "{report}");
}
