//! What compiling on chain costs, the deploy of the module and the callback with it: a real contract of the largest size
//! in a call of 300 Tgas, what was made to be hard in one of 1,000.

use crate::rig::{NEAR_GAS, OWNER, Rig, keccak, value};
use crate::workloads::first_case;
use engine_abi::{Fork, state::Promotion};
use evm_driver::bench::FAMILIES;

/// NEAR gas of a call before protocol 84, and still what many wallets give.
const OLD_NEAR_GAS: u64 = 300_000_000_000_000;

/// Compiles a contract in one call of so much gas; the gas used, and the module's bytes.
fn compile(code: &[u8], gas: u64) -> (u64, usize) {
    let rig = Rig::permissionless();
    rig.set_account([0xc0; 20], code, &[]);
    let hash = keccak(code);
    // By the owner: a stranger would pay for the storage.
    let outcome = rig.call_as(OWNER, "compile", borsh::to_vec(&hash).unwrap(), gas);
    assert_eq!(value(&outcome).unwrap(), [1]);
    let promotion: Option<Promotion> = rig.view("promoted", &hash);
    let wasm = rig.module_code(&promotion.unwrap().namespace);
    // To the byte what the compiler makes anywhere else.
    assert!(wasm == crate::rig::compile_for(code, Fork::Cancun));
    (outcome.gas_total(), wasm.len())
}

fn show(name: &str, code: &[u8], (gas, wasm): (u64, usize)) {
    println!("{name}: {} bytes, {wasm} of Wasm, {:.1} Tgas", code.len(), gas as f64 / 1e12);
}

#[test]
fn contracts_up_to_the_largest_size_compile_in_a_call_of_300_tgas() {
    let Some(folder) = crate::vectors() else { return };
    let mut largest = 0;
    for name in ["weth", "erc20_transfer", "airdrop", "uniswap_v2_pair", "seaport"] {
        let case = first_case(&folder, &format!("fixtures/{name}.json")).unwrap();
        let codes = case.world.pre.contracts.values().map(|code| code.original_bytes());
        let code = codes.max_by_key(|code| code.len()).unwrap();
        largest = largest.max(code.len());
        show(name, &code, compile(&code, OLD_NEAR_GAS));
    }
    assert!(largest > 24_000);
}

/// The ones of all families that took most to compile, or made the most Wasm (`evm_compiler.rs` has the rest).
#[test]
fn what_is_hardest_to_compile_compiles_in_a_call() {
    for name in ["mload of mload", "selectors", "computed jump in every block"] {
        let family = FAMILIES.iter().find(|family| family.name == name).unwrap();
        let code = family.code(24_576);
        show(name, &code, compile(&code, NEAR_GAS));
    }
}
