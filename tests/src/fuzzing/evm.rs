//! EVM bytecode: compiled, it does what revm's interpreter does.

use cotenant_host::engine::EngineKind;
use evm_driver::{ModuleOptions, Modules, World};
use revm::context::TxEnv;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, TxKind, U256};
use std::cell::RefCell;
use std::rc::Rc;

/// Addresses are one byte, so that code pushes them cheaply, and lie above all precompiles.
const CALLER: u8 = 0xca;
const CONTRACT: u8 = 0xc1;

thread_local! {
    static MODULES: RefCell<Option<Rc<Modules>>> = const { RefCell::new(None) };
}

/// The first byte says which fork, whether it is init code, and with how much gas; the second how many of the bytes after it are
/// calldata; the rest is the code.
pub fn body(input: &[u8]) {
    let [how, length, rest @ ..] = input else { return };
    let (calldata, code) = rest.split_at(usize::from(*length).min(rest.len()));
    let modules = MODULES.with_borrow_mut(|modules| {
        let made = modules.get_or_insert_with(|| {
            let options =
                ModuleOptions { modules_max: 512, ..ModuleOptions::new(EngineKind::Wasmi) };
            Modules::new(options).unwrap_or_else(|error| panic!("{error}"))
        });
        made.clone()
    });
    let specs = [SpecId::CANCUN, SpecId::PRAGUE, SpecId::OSAKA];
    let mut world = World::new(specs[usize::from(how & 3) % 3]);
    let address = Address::with_last_byte;
    world.insert(address(CALLER), U256::from(10).pow(U256::from(24)), 0, Default::default());
    let create = how & 4 != 0;
    if !create {
        world.insert(address(CONTRACT), U256::from(1_000), 1, code.to_vec().into());
    }
    let transaction = TxEnv {
        caller: address(CALLER),
        gas_limit: [400_000, 30_000, 60_000, 22_000][usize::from(how >> 3 & 3)],
        kind: if create { TxKind::Create } else { TxKind::Call(address(CONTRACT)) },
        data: if create { code } else { calldata }.to_vec().into(),
        value: U256::from(how >> 5 & 1),
        ..TxEnv::default()
    };
    let ours = world.run(&transaction, Some(&modules));
    let theirs = world.run(&transaction, None);
    let differences = ours.differences(&theirs);
    assert!(differences.is_empty(), "{}\n{transaction:?}", differences.join("\n"));
    assert_eq!(ours.counts.interpreted_frames, 0, "{:?}", modules.errors());
}

/// Small programs: arithmetic, storage, a loop, calls, a revert, hashing, logs.
pub fn seeds() -> Vec<Vec<u8>> {
    let programs: [&[u8]; 8] = [
        &[0x60, 5, 0x60, 4, 0x01, 0x60, 0, 0x55],
        &[0x60, 5, 0x60, 4, 0x02, 0x60, 0, 0x52, 0x60, 0x20, 0x60, 0, 0xf3],
        &[0x60, 10, 0x5b, 0x60, 1, 0x90, 0x03, 0x80, 0x60, 2, 0x57, 0x00],
        &[0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x60, 4, 0x5a, 0xf1, 0x60, 0, 0x52],
        &[0x60, 4, 0x5f, 0xfd],
        &[0x60, 0x40, 0x5f, 0x20, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xa0],
        &[0x36, 0x5f, 0x5f, 0x37, 0x36, 0x5f, 0xf0, 0x3d, 0x5f, 0x5f, 0x3e],
        &[0x5f, 0x54, 0x5f, 0x5c, 0x5f, 0x5d, 0x5f, 0x35, 0x56, 0x5b, 0x44],
    ];
    let with = |how: u8| programs.iter().map(move |code| [&[how, 2, 7, 9], *code].concat());
    with(0).chain(with(4)).chain(with(1 | 8)).chain(with(2 | 32)).collect()
}
