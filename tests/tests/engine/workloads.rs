//! Everything that is run both ways: accounts, and calls one after the other.

use crate::programs::{self, word, word_of};
use engine_abi::{Address, Call, SetAccount};
use evm_driver::bench::{Case, cases};
use evm_driver::statetest::TestFile;
use revm::bytecode::opcode;
use revm::primitives::hardfork::SpecId;
use revm::primitives::hex;

/// Accounts, and calls one after the other.
pub struct Workload {
    pub name: String,
    pub accounts: Vec<SetAccount>,
    pub calls: Vec<Call>,
}

const A: Address = [0xaa; 20];
const B: Address = [0xbb; 20];
const GAS: u64 = 3_000_000;

fn account(address: Address, code: Vec<u8>) -> SetAccount {
    SetAccount { address, code, nonce: 1, balance: word(1_000), ..SetAccount::default() }
}

fn call(to: Address, input: &[u8], gas_limit: u64) -> Call {
    Call { to, value: [0; 32], input: input.to_vec(), gas_limit }
}

fn workload(name: &str, accounts: Vec<SetAccount>, calls: Vec<Call>) -> Workload {
    Workload { name: name.to_owned(), accounts, calls }
}

/// One contract, called once with an input.
fn single(name: &str, code: Vec<u8>, input: &[u8]) -> Workload {
    workload(name, vec![account(A, code)], vec![call(A, input, GAS)])
}

/// The programs of `programs`, alone and together.
pub fn handwritten() -> Vec<Workload> {
    let with_peer = |n: u64, peer: Address| [word(n), word_of(peer)].concat();
    let to = |address: Address| word_of(address).to_vec();
    let ending = |name: &str, code: Vec<u8>| {
        let accounts = vec![account(A, programs::caller()), account(B, code)];
        workload(name, accounts, vec![call(A, &to(B), GAS), call(B, &[], GAS)])
    };
    let counter = programs::counter;
    let mut all = vec![
        workload(
            "counter",
            vec![account(A, counter())],
            vec![call(A, &[], GAS), call(A, &[], GAS), call(A, &[1], 50_000)],
        ),
        // Every gas limit around what it takes.
        workload(
            "counter_gas",
            vec![account(A, counter())],
            [21_000, 21_009, 23_106, 23_107, 25_000, 43_500, 45_000, 46_000]
                .map(|gas| call(A, &[], gas))
                .into(),
        ),
        workload(
            "a_b_a",
            vec![account(A, programs::ping_pong(0)), account(B, programs::ping_pong(1))],
            vec![call(A, &with_peer(2, B), GAS), call(A, &with_peer(9, B), GAS)],
        ),
        workload(
            "one_module_twice",
            vec![account(A, programs::ping_pong(0)), account(B, programs::ping_pong(0))],
            vec![call(A, &with_peer(5, B), GAS)],
        ),
        ending("revert_in_the_middle", programs::reverter()),
        ending("halt_in_the_middle", programs::invalid()),
        ending("selfdestruct", programs::destroyer()),
        workload(
            "create",
            vec![account(A, programs::creator(&counter(), None))],
            vec![call(A, &[], GAS), call(A, &[], GAS)],
        ),
        workload(
            "create2",
            vec![account(A, programs::creator(&counter(), Some(3)))],
            // The second one collides.
            vec![call(A, &[], GAS), call(A, &[], GAS)],
        ),
        single("create_and_destroy", programs::creator(&programs::destroyer(), Some(1)), &[]),
        workload(
            "recursion",
            vec![account(A, programs::recursive())],
            vec![call(A, &[], 12_000_000)],
        ),
        workload(
            "delegatecall",
            vec![account(A, programs::proxy(B, opcode::DELEGATECALL)), account(B, counter())],
            vec![call(A, &[], GAS)],
        ),
        workload(
            "staticcall",
            vec![account(A, programs::proxy(B, opcode::STATICCALL)), account(B, counter())],
            vec![call(A, &[], 200_000)],
        ),
        workload(
            "inspect",
            vec![account(A, programs::inspector()), account(B, counter())],
            vec![call(A, &to(B), GAS), call(A, &to(A), GAS), call(A, &to([7; 20]), GAS)],
        ),
        single("medley", programs::medley(), &[]),
        workload("no_code", vec![account(A, Vec::new())], vec![call(A, &[1, 2, 3], GAS)]),
    ];
    all.extend(precompiles());
    all
}

/// Each precompile of Cancun, through a contract.
fn precompiles() -> Vec<Workload> {
    let inputs: [(u8, &str, String); 12] = [
        (
            1,
            "ecrecover",
            "456e9aea5e197a1f1af7a3e85a3212fa4049a3ba34c2289b4c860fc0b0c64ef3\
             000000000000000000000000000000000000000000000000000000000000001c\
             9242685bf161793cc25603c231bc2f568eb630ea16aa137d2664ac8038825608\
             4f8ae3bd7535248d0bd448298cc2e2071e56992d0774dc340c368ae950852ada"
                .to_owned(),
        ),
        (1, "ecrecover_nobody", "00".repeat(128)),
        (2, "sha256", "616263".to_owned()),
        (3, "ripemd160", "616263".to_owned()),
        (4, "identity", "0102030405".to_owned()),
        (
            5,
            "modexp",
            format!("{:064x}{:064x}{:064x}03{}", 1, 32, 32, "fe".repeat(32) + &"fd".repeat(32)),
        ),
        (6, "bn_add", format!("{:064x}{:064x}{:064x}{:064x}", 1, 2, 1, 2)),
        (6, "bn_add_off_the_curve", format!("{:064x}{:064x}", 1, 1)),
        (7, "bn_mul", format!("{:064x}{:064x}{}", 1, 2, "ff".repeat(32))),
        (8, "bn_pairing_of_nothing", String::new()),
        (8, "bn_pairing_length", "00".repeat(100)),
        (
            9,
            "blake2f",
            format!(
                "0000000c{}{}{}01",
                "48c9bdf267e6096a3ba7ca8485ae67bb2bf894fe72f36e3cf1361d5f3af54fa5\
                 d182e6ad7f520e511f6c3e2b8c68059b6bbd41fbabd9831f79217e1319cde05b",
                "6162630000000000".to_owned() + &"00".repeat(120),
                "03000000000000000000000000000000",
            ),
        ),
    ];
    let through = |number: u8, name: &str, input: &[u8]| {
        let mut address = [0; 20];
        address[19] = number;
        workload(
            name,
            vec![account(A, programs::proxy(address, opcode::STATICCALL))],
            vec![call(A, input, GAS), call(address, input, GAS)],
        )
    };
    let mut all: Vec<Workload> = inputs
        .iter()
        .map(|(number, name, input)| through(*number, name, &hex::decode(input).unwrap()))
        .collect();
    all.push(through(8, "bn_pairing", &hex::decode(PAIRING).unwrap()));
    all.push(through(10, "kzg", &hex::decode(POINT_EVALUATION).unwrap()));
    all
}

/// Two pairs whose product is one, from the tests of EIP-197.
const PAIRING: &str = "1c76476f4def4bb94541d57ebba1193381ffa7aa76ada664dd31c16024c43f59\
    3034dd2920f673e204fee2811c678745fc819b55d3e9d294e45c9b03a76aef41\
    209dd15ebff5d46c4bd888e51a93cf99a7329636c63514396b4a452003a35bf7\
    04bf11ca01483bfa8b34b43561848d28905960114c8ac04049af4b6315a41678\
    2bb8324af6cfc93537a2ad1a445cfd0ca2a71acd7ac41fadbf933c2a51be344d\
    120a2a4cf30c1bf9845f20c6fe39e07ea2cce61f0c9bb048165fe5e4de877550\
    111e129f1cf1097710d41c4ac70fcdfa5ba2023c6ff1cbeac322de49d1b6df7c\
    2032c61a830e3c17286de9462bf242fca2883585b93870a73853face6a6bf411\
    198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2\
    1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed\
    090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b\
    12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa";

/// A point evaluation that holds, from the tests of revm.
const POINT_EVALUATION: &str = "01e798154708fe7789429634053cbf9f99b619f9f084048927333fce637f549b\
    73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000\
    1522a4a7f34e1ea350ae07c29c96c7e79655aa926122e95fe69fcbd932ca49e9\
    8f59a8d2a1a625a17f3fea0fe5eb8c896db3764f3185481bc22f91b4aaffcca2\
    5f26936857bc3a7c2539ea8ec3a952b7a62ad71d14c5719385c0686f1871430475bf3a00f0aa3f7b8dd99a9abc21\
    60744faf0070725e00b60ad9a026a15b1a8c";

/// The one-transaction fixtures of the field that fit a NEAR call both ways, with the gas that is left of 30 M.
pub fn fixtures(folder: &str) -> Vec<Workload> {
    let names = [
        "fixtures/bswap64.json",
        "fixtures/bswap64_opt.json",
        "fixtures/counter.json",
        "fixtures/eip4788.json",
        "fixtures/factorial.json",
        "fixtures/fibonacci-calldata.json",
        "fixtures/push0_proxy.json",
        "fixtures/uniswap_v2_pair.json",
        "fixtures/usdc_proxy.json",
        "fixtures/weth.json",
        "state-tests/blake2b_huff.json",
        "state-tests/weierstrudel.json",
    ];
    names.iter().filter_map(|name| first_case(folder, name)).filter_map(of_case).collect()
}

/// The first case of a file of the field.
pub fn first_case(folder: &str, name: &str) -> Option<Case> {
    let path = format!("{folder}/bench/{name}");
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file = TestFile { name: path, bytes };
    cases(&file, SpecId::CANCUN).unwrap().into_iter().next()
}

pub fn of_case(case: Case) -> Option<Workload> {
    let accounts = case
        .world
        .pre
        .accounts
        .iter()
        .filter_map(|(address, account)| {
            let plain = account.account.as_ref()?;
            let code = case.world.pre.contracts.get(&plain.info.code_hash);
            Some(SetAccount {
                address: address.into_array(),
                code: code.map(|code| code.original_bytes().to_vec()).unwrap_or_default(),
                storage: plain
                    .storage
                    .iter()
                    .map(|(slot, value)| (slot.to_be_bytes(), value.to_be_bytes()))
                    .collect(),
                nonce: plain.info.nonce.max(1),
                balance: plain.info.balance.to_be_bytes(),
            })
        })
        .collect();
    let transaction = &case.transaction;
    let to = transaction.kind.to()?.into_array();
    let call = Call {
        to,
        value: transaction.value.to_be_bytes(),
        input: transaction.data.to_vec(),
        gas_limit: transaction.gas_limit.min(30_000_000),
    };
    Some(Workload { name: case.name, accounts, calls: vec![call] })
}
