//! The command line of `evm`, and what `--json` gives for each of its verbs.

use crate::args::values::{address, gas, wei};
use clap::{Args, Subcommand, ValueEnum};
use cotenant_host::engine::EngineKind;
use evm_to_wasm::{Fork, Keccak};
use near_account_id::AccountId;
use near_gas::NearGas;
use revm::primitives::{Address, U256};
use std::path::PathBuf;

/// What to do with EVM contracts.
#[derive(Debug, Subcommand)]
pub(crate) enum EvmVerb {
    /// Compile EVM bytecode to a private module
    #[command(after_long_help = COMPILE_JSON)]
    Compile {
        /// Bytecode: hexadecimal digits, or a file of them or of the JSON of solc, foundry or hardhat; `-` for standard input
        #[arg(value_name = "FILE|HEX")]
        code: String,
        /// Which contract of a JSON that has several
        #[arg(long, value_name = "NAME")]
        contract: Option<String>,
        /// Where the module goes
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// What to print
        #[arg(long, value_enum, default_value_t = Emit::Report)]
        emit: Emit,
        /// Bytes of the longest code that is taken
        #[arg(long, value_name = "N", default_value_t = CODE_BYTES_MAX)]
        max_code_bytes: usize,
        #[command(flatten)]
        how: How,
    },
    /// Run bytecode once, as the contract that a transaction calls
    #[command(after_long_help = RUN_JSON)]
    Run {
        /// Bytecode, as `evm compile` takes it
        #[arg(value_name = "FILE|HEX")]
        code: String,
        #[command(flatten)]
        input: EvmInput,
        /// Input of the call, as digits, or `@FILE` for a file of them
        #[arg(long, value_name = "HEX", conflicts_with = "signature")]
        calldata: Option<String>,
        /// Which contract of a JSON that has several
        #[arg(long, value_name = "NAME")]
        contract: Option<String>,
        /// Who calls [default: 0x2000..00]
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        from: Option<Address>,
        /// Accounts that are there: {ADDRESS: {balance, nonce, code, storage}}, as in a genesis file
        #[arg(long, value_name = "FILE")]
        state: Option<PathBuf>,
        /// EVM gas of the transaction
        #[arg(long, value_name = "N", default_value_t = 30_000_000)]
        gas: u64,
        /// Value of the call: `1 ether`, `5 gwei`, or wei
        #[arg(long, value_name = "AMOUNT", default_value = "0", value_parser = wei)]
        value: U256,
        /// Run the code as init code: the transaction creates a contract
        #[arg(long, conflicts_with_all = ["calldata", "signature"])]
        create: bool,
        /// Let revm interpret it
        #[arg(long)]
        interpret: bool,
        /// Bytes of the longest code that is taken
        #[arg(long, value_name = "N", default_value_t = CODE_BYTES_MAX)]
        max_code_bytes: usize,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        engine: Engine,
    },
    /// Run Ethereum's state tests, every frame compiled
    #[command(after_long_help = TEST_JSON)]
    Test {
        /// Files, folders and .tar.xz archives of state tests
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Only cases of this fork: cancun, prague or osaka [default: all of them]
        #[arg(long, value_name = "FORK", value_parser = fork)]
        fork: Option<Fork>,
        /// Only tests whose file or name has this text
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
        /// Compile nothing, let revm interpret everything: the baseline
        #[arg(long)]
        interpret: bool,
        /// Compile nothing, but let revm's interpreter speak the frame ABI in the place of modules: tests the
        /// parent alone
        #[arg(long, conflicts_with = "interpret")]
        reference: bool,
        /// Threads [default: as many as the machine has, at most 8]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
        threads: Option<u32>,
        /// Who hashes: host or own
        #[arg(long, value_name = "WHO", default_value = "host", value_parser = keccak)]
        keccak: Keccak,
        /// cranelift or wasmi; results are the same on each
        #[arg(long, default_value = "wasmi", value_parser = engine)]
        engine: EngineKind,
    },
    /// Measure compiled contracts against revm's interpreter
    #[command(after_long_help = BENCH_JSON)]
    Bench {
        /// Files and folders of one-transaction fixtures and state tests
        #[arg(required_unless_present = "hostile", value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Measure the compiler instead, on code made to be hard for it, at growing sizes; with paths also on the
        /// code of their contracts, repeated
        #[arg(long, conflicts_with = "fork")]
        hostile: bool,
        /// cancun, prague or osaka
        #[arg(long, value_name = "FORK", default_value = "cancun", value_parser = fork)]
        fork: Fork,
        /// Only cases whose file has this text, or families of hostile code whose name has it
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
        /// Timed runs of each case; fewer where they would take more than seconds
        #[arg(long, value_name = "N", default_value_t = 21, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        runs: u32,
        #[command(flatten)]
        engine: Engine,
    },
    /// Start an engine in an account: deploy its three modules and call `new`
    #[command(after_long_help = INIT_HELP)]
    Init {
        /// The engine's account; created if it is new
        #[arg(value_parser = crate::args::account)]
        engine: AccountId,
        /// Chain id of its transactions
        #[arg(long, value_name = "N", default_value_t = 1_313_161_555)]
        chain_id: u64,
        /// cancun, prague or osaka
        #[arg(long, value_name = "FORK", default_value = "cancun", value_parser = fork)]
        fork: Fork,
        /// The NEAR account that may mint and promote [default: the engine's own]
        #[arg(long, value_name = "ACCOUNT", value_parser = crate::args::account)]
        owner: Option<AccountId>,
        /// Anybody may have contracts compiled
        #[arg(long)]
        permissionless: bool,
    },
    /// Send a signed transaction to a contract or an address of an engine
    #[command(after_long_help = ENGINE_JSON)]
    Send {
        /// The engine's account
        #[arg(value_parser = crate::args::account)]
        engine: AccountId,
        /// Whom
        #[arg(value_parser = address)]
        to: Address,
        #[command(flatten)]
        input: EvmInput,
        #[command(flatten)]
        paid: Paid,
    },
    /// Ask a contract of an engine, and change nothing
    #[command(after_long_help = ENGINE_JSON)]
    Call {
        /// The engine's account
        #[arg(value_parser = crate::args::account)]
        engine: AccountId,
        /// Whom
        #[arg(value_parser = address)]
        to: Address,
        #[command(flatten)]
        input: EvmInput,
        /// Who asks [default: the zero address]
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        from: Option<Address>,
        /// Value of the call: `1 ether`, `5 gwei`, or wei
        #[arg(long, value_name = "AMOUNT", default_value = "0", value_parser = wei)]
        value: U256,
        /// EVM gas
        #[arg(long, value_name = "N", default_value_t = GAS_LIMIT)]
        gas_limit: u64,
    },
    /// Deploy a contract to an engine by a signed transaction
    #[command(after_long_help = ENGINE_JSON)]
    Deploy {
        /// The engine's account
        #[arg(value_parser = crate::args::account)]
        engine: AccountId,
        /// Creation bytecode, as `evm compile` takes it: of a compiler's JSON the field `bytecode` or `bin`
        #[arg(value_name = "FILE|HEX")]
        code: String,
        /// Arguments of the constructor; their types come from the ABI, or from --types
        #[arg(value_name = "ARGS", allow_negative_numbers = true)]
        arguments: Vec<String>,
        /// Types of the constructor's arguments: `string,uint256`
        #[arg(long, value_name = "TYPES")]
        types: Option<String>,
        /// Which contract of a JSON that has several
        #[arg(long, value_name = "NAME")]
        contract: Option<String>,
        /// File with the ABI, of a compiler's JSON or alone
        #[arg(long, value_name = "FILE")]
        abi: Option<String>,
        #[command(flatten)]
        paid: Paid,
    },
    /// Show the balance and nonce of an address of an engine
    #[command(after_long_help = ADDRESS_JSON)]
    Balance {
        /// The engine's account
        #[arg(value_parser = crate::args::account)]
        engine: AccountId,
        /// The address
        #[arg(value_parser = address)]
        address: Address,
    },
    /// Show the code hash of a contract of an engine, and whether it is promoted
    #[command(after_long_help = ADDRESS_JSON)]
    CodeHash {
        /// The engine's account
        #[arg(value_parser = crate::args::account)]
        engine: AccountId,
        /// The contract
        #[arg(value_parser = address)]
        address: Address,
    },
    /// Give an address of an engine ether, as the engine's owner
    #[command(after_long_help = ADDRESS_JSON)]
    Mint {
        /// The engine's account
        #[arg(value_parser = crate::args::account)]
        engine: AccountId,
        /// The address
        #[arg(value_parser = address)]
        address: Address,
        /// How much: `1 ether`, `5 gwei`, or wei
        #[arg(value_parser = wei)]
        amount: U256,
    },
    /// Promote a contract of an engine: from then on it runs as a private module
    #[command(after_long_help = ADDRESS_JSON)]
    Promote {
        /// The engine's account
        #[arg(value_parser = crate::args::account)]
        engine: AccountId,
        /// The contract
        #[arg(value_parser = address)]
        address: Address,
        /// Let the engine's own account compile it, on chain; otherwise it is compiled here and sent by the owner
        #[arg(long)]
        on_chain: bool,
    },
    /// Show what a transaction came to that was sent to an engine of this home
    #[command(after_long_help = EVM_RECEIPTS_HELP)]
    Receipts {
        /// Its hash, or the first digits of it
        #[arg(value_name = "HASH")]
        hash: String,
    },
    /// Move what an engine of an older version has left in its state
    #[command(after_long_help = MIGRATE_JSON)]
    Migrate {
        /// The engine's account
        account: AccountId,
    },
    /// Compile a promoted contract of an engine again and compare with the module that runs
    #[command(after_long_help = VERIFY_JSON)]
    Verify {
        /// The engine's account
        #[arg(value_parser = crate::args::account)]
        account: AccountId,
        /// Keccak-256 of the contract's code
        #[arg(value_name = "CODE_HASH")]
        code_hash: String,
    },
}

/// EVM gas of a transaction unless another limit is given.
const GAS_LIMIT: u64 = 10_000_000;

/// What a call of a contract sends.
#[derive(Debug, Args)]
pub(crate) struct EvmInput {
    /// Function: `transfer(address,uint256)`, `balanceOf(address)(uint256)` with what it returns, a name of the ABI, or the whole
    /// input as digits with 0x or in a file of them, `@FILE`
    #[arg(value_name = "SIGNATURE")]
    pub(crate) signature: Option<String>,
    /// Its arguments
    #[arg(value_name = "ARGS", allow_negative_numbers = true)]
    pub(crate) arguments: Vec<String>,
    /// File with the ABI, of a compiler's JSON or alone: for names of functions, results and reasons of reverts
    #[arg(long, value_name = "FILE")]
    pub(crate) abi: Option<String>,
}

/// Who signs a transaction, and what it may cost.
#[derive(Debug, Args)]
pub(crate) struct Paid {
    /// Private key that signs: 64 hexadecimal digits, or dev0 to dev4, the first accounts of anvil and hardhat
    #[arg(long, value_name = "KEY", default_value = "dev0")]
    pub(crate) key: String,
    /// Value: `1 ether`, `5 gwei`, or wei
    #[arg(long, value_name = "AMOUNT", default_value = "0", value_parser = wei)]
    pub(crate) value: U256,
    /// EVM gas
    #[arg(long, value_name = "N", default_value_t = GAS_LIMIT)]
    pub(crate) gas_limit: u64,
    /// Price of EVM gas, in wei; the engine asks for none
    #[arg(long, value_name = "WEI", default_value_t = 0)]
    pub(crate) gas_price: u128,
    /// Nonce [default: the next one of the address]
    #[arg(long, value_name = "N")]
    pub(crate) nonce: Option<u64>,
    /// NEAR gas of the call that brings it
    #[arg(long, default_value = "300 Tgas", value_parser = gas)]
    pub(crate) near_gas: NearGas,
    /// The NEAR account that brings it and pays for NEAR gas [default: the engine's own]
    #[arg(long, value_name = "ACCOUNT", value_parser = crate::args::account)]
    pub(crate) relayer: Option<AccountId>,
}

/// How code is compiled.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct How {
    /// cancun, prague or osaka
    #[arg(long, value_name = "FORK", default_value = "cancun", value_parser = fork)]
    pub(crate) fork: Fork,
    /// Who hashes: host, by a granted function, or own
    #[arg(long, value_name = "WHO", default_value = "host", value_parser = keccak)]
    pub(crate) keccak: Keccak,
}

/// What runs modules.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Engine {
    /// cranelift or wasmi; results are the same on each
    #[arg(long, default_value = "cranelift", value_parser = engine)]
    pub(crate) engine: EngineKind,
}

/// What `evm compile` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Emit {
    /// The intermediate form
    Ir,
    /// The module as text
    Wat,
    /// What the compiler tells of itself
    Report,
}

/// Bytes of the longest code that is taken unless another limit is given: init code may have 49,152
/// (EIP-3860), and the state tests have contracts of 60,012.
const CODE_BYTES_MAX: usize = 65_536;

fn fork(text: &str) -> Result<Fork, String> {
    match text.to_ascii_lowercase().as_str() {
        "cancun" => Ok(Fork::Cancun),
        "prague" => Ok(Fork::Prague),
        "osaka" => Ok(Fork::Osaka),
        _ => Err("no fork that is supported; choose cancun, prague or osaka".to_owned()),
    }
}

fn keccak(text: &str) -> Result<Keccak, String> {
    match text {
        "host" => Ok(Keccak::Host),
        "own" => Ok(Keccak::Own),
        _ => Err("choose host or own".to_owned()),
    }
}

fn engine(text: &str) -> Result<EngineKind, String> {
    text.parse()
}

const COMPILE_JSON: &str = "\
Every byte string is EVM code: what the fork does not define compiles to an exceptional halt, and is warned of.
Examples: cotenant evm compile 6005600401600055 -o add.wasm
          cotenant evm compile out/Token.sol/Token.json -o token.wasm
--json: {\"fork\",\"keccak\",\"code_hash\",\"out\":null|FILE,\"bytecode_bytes\",\"compact\",\"wasm_bytes\",\"functions\",\"code_bytes\",
  \"runtime_bytes\",\"data_bytes\",\"blocks\",\"sections\",\"static_jumps\",\"dynamic_jumps\",\"unresolved_jumps\",\"values\",
  \"narrow_values\",\"compile_nanos\",\"warnings\":[{\"at\",\"opcode\",\"message\"}],\"text\":null|TEXT}
`text` is the intermediate form or the module, if --emit asks for it. All of `bytes` are bytes.";

const RUN_JSON: &str = "\
Examples: cotenant evm run 600560040160005260206000f3
          cotenant evm run out/Token.sol/Token.json 'totalSupply()(uint256)' --state alloc.json
The contract is at 0x1000000000000000000000000000000000000000, its caller at 0x2000..00 with all the ether it
needs. Exits with 1 if the contract reverts or halts exceptionally, with 3 if it runs out of gas.
--json: {\"ok\",\"ending\":\"success\"|\"revert\"|\"halt\",\"reason\":null|text,\"output\",\"result\":null|text,\"gas_used\",\"logs\":[{\"address\",\"topics\":[..],\"data\"}],
  \"storage\":[{\"address\",\"slot\",\"value\"}],\"yields\",\"compiled_frames\",\"interpreted_frames\"}
Bytes are hexadecimal with 0x; `storage` has the slots that were changed. `result` is the output by the types of the signature;
`reason` is why it reverted, in words, or revm's name of the halt.";

const INIT_HELP: &str = "\
Example: cotenant evm init evm.near
--json: {\"engine\",\"chain_id\",\"fork\",\"owner\",\"modules\":[..],\"gas_total\"}";

const ENGINE_JSON: &str = "\
Examples: cotenant evm deploy evm.near out/Token.sol/Token.json 1000000
          cotenant evm send evm.near 0x5FbDB2315678afecb367f032d93F642f64180aa3 'transfer(address,uint256)' 0x7099... 5
          cotenant evm call evm.near 0x5FbDB2315678afecb367f032d93F642f64180aa3 'balanceOf(address)(uint256)' 0x7099...
Exits with 1 if the transaction is refused, reverts or halts.
--json: {\"ok\",\"status\":\"success\"|\"revert\"|\"halt\"|\"invalid\",\"reason\":null|text,\"hash\":null|HASH,\"transaction\":null|ID,
  \"from\",\"to\":null|ADDRESS,\"created\":null|ADDRESS,\"output\",\"result\":null|text,\"gas_used\",\"near_gas\",
  \"logs\":[{\"address\",\"topics\":[..],\"data\"}],\"compiled_frames\",\"interpreted_frames\"}
`hash` is Keccak-256 of the signed transaction, `transaction` NEAR's that brought it; both are null for `call`. `near_gas` is all
that the call burnt on NEAR's side.";

const ADDRESS_JSON: &str = "\
--json: {\"address\",\"balance\",\"nonce\",\"code_hash\":null|HASH,\"code_bytes\",\"promoted\":null|NAMESPACE,\"near_gas\":null|N}
`balance` is wei as a decimal string.";

const EVM_RECEIPTS_HELP: &str = "--json: what `evm send` or `evm deploy` gave with --json.";

const TEST_JSON: &str = "\
A case passes if the root of its post-state and the hash of its logs are the expected ones and no module failed.
Exits with 1 if one fails.
--json: {\"passed\",\"failed\",\"skipped\",\"compiled_frames\",\"interpreted_frames\",
  \"failures\":[{\"file\",\"test\",\"index\",\"reason\"}],\"skips\":[{\"file\",\"reason\",\"cases\"}]}
Where Ethereum's tests are: github.com/ethereum/tests, GeneralStateTests.";

const MIGRATE_JSON: &str = "\
Calls the engine's `migrate` as its owner, in as many calls as it takes, with what the home shows: addresses of which
there are slots and no account, and contracts that were promoted before. Again it does nothing.
--json: {\"account\",\"version_before\",\"version\",\"forgotten\",\"code_hashes\",\"calls\"}";

const VERIFY_JSON: &str = "\
Reads the contract's code and its module out of the home, compiles the code with the fork that the engine has noted,
and compares every byte. Exits with 1 if they differ, with 2 if there is nothing to compare.
--json: {\"account\",\"code_hash\",\"namespace\",\"fork\",\"keccak\":null|\"host\"|\"own\",\"compiler\",\"compiled_here\",
  \"code_bytes\",\"wasm_bytes\",\"identical\",\"difference\":null|TEXT}
`keccak` is who hashes in the module, `compiled_here` whether the engine's own account compiled it.";

const BENCH_JSON: &str = "\
Fixtures are {NAME: {env, pre, transaction: [one]}} or state tests, of which every case is run, under --fork
whatever their `post` names. Block and transaction gas limits are lifted. Gas, output and state are compared
with revm: a difference is an error, exit code 1. Each run is one transaction on a warm state and warm modules;
revm and the modules take turns, and times are medians.
--json: {\"rows\":[{\"name\",\"file\",\"evm_gas\",\"revm_nanos\",\"compiled_nanos\",\"compiled_own_keccak_nanos\",
  \"handwritten_nanos\":null|N,\"start_nanos\",\"speedup\",\"yields\",\"modules\",\"bytecode_bytes\",\"wasm_bytes\",
  \"compile_nanos\",\"native_compile_nanos\",\"wasm_operators\"}],\"geomean_speedup\"}
`start_nanos` is what starting the modules takes, `compiled_nanos` is without it and with granted keccak;
`compile_nanos` is EVM to Wasm, `native_compile_nanos` Wasm to machine code, `speedup` revm_nanos / compiled_nanos.
`bytecode_bytes` and `wasm_bytes` are of all `modules` of the case; `wasm_operators` is what a run executes,
by the host's meter: gas burnt by the price of an operator.
--hostile --json: {\"rows\":[{\"name\",\"code_bytes\",\"compile_nanos\",\"nanos_per_byte\",\"wasm_bytes\",\"wasm_per_byte\",
  \"native_compile_nanos\":null|N,\"refused\":null|REASON}],\"growth\":[{\"name\",\"exponent\"}]}
`wasm_per_byte` is without helpers and bytes kept for CODECOPY; time grows as size to the power of `exponent`. Exits
with 1 if the host refuses a module.";
