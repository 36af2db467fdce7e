//! The command line of `evm`, and what `--json` gives for each of its verbs.

use clap::{Args, Subcommand, ValueEnum};
use cotenant_host::engine::EngineKind;
use evm_to_wasm::{Fork, Keccak};
use near_account_id::AccountId;
use std::path::PathBuf;

/// What to do with EVM contracts.
#[derive(Debug, Subcommand)]
pub(crate) enum EvmVerb {
    /// Compile EVM bytecode to a private module
    #[command(after_long_help = COMPILE_JSON)]
    Compile {
        /// A file with bytecode as hexadecimal digits, or the digits themselves
        #[arg(value_name = "FILE|HEX")]
        code: String,
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
        /// A file with bytecode as hexadecimal digits, or the digits themselves
        #[arg(value_name = "FILE|HEX")]
        code: String,
        /// Input of the call
        #[arg(long, value_name = "HEX", default_value = "")]
        calldata: String,
        /// EVM gas of the transaction
        #[arg(long, value_name = "N", default_value_t = 30_000_000)]
        gas: u64,
        /// Value of the call, in wei
        #[arg(long, value_name = "WEI", default_value_t = 0)]
        value: u128,
        /// Run the code as init code: the transaction creates a contract
        #[arg(long, conflicts_with = "calldata")]
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
--json: {\"fork\",\"keccak\",\"out\":null|FILE,\"bytecode_bytes\",\"compact\",\"wasm_bytes\",\"functions\",\"code_bytes\",
  \"runtime_bytes\",\"data_bytes\",\"blocks\",\"sections\",\"static_jumps\",\"dynamic_jumps\",\"unresolved_jumps\",\"values\",
  \"narrow_values\",\"compile_nanos\",\"warnings\":[{\"at\",\"opcode\",\"message\"}],\"text\":null|TEXT}
`text` is the intermediate form or the module, if --emit asks for it. All of `bytes` are bytes.";

const RUN_JSON: &str = "\
The contract is at 0x1000000000000000000000000000000000000000, its caller at 0x2000..00 with all the ether it
needs. Exits with 1 if the contract reverts or halts exceptionally, with 3 if it runs out of gas.
--json: {\"ok\",\"ending\":\"success\"|\"revert\"|\"halt\",\"output\",\"gas_used\",\"logs\":[{\"address\",\"topics\":[..],\"data\"}],
  \"storage\":[{\"address\",\"slot\",\"value\"}],\"yields\",\"compiled_frames\",\"interpreted_frames\"}
Bytes are hexadecimal with 0x; `storage` has the slots that were changed.";

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
