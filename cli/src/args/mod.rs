//! The command line: verbs, their arguments, and what `--json` gives for each.

pub(crate) mod accounts;
pub(crate) mod dev;
pub(crate) mod evm;
mod help;
mod mode;
mod values;

pub(crate) use mode::Mode;
pub(crate) use values::{Hex, account};

use accounts::{AccountVerb, BlocksVerb, KeysVerb};
use clap::{Args, Parser, Subcommand};
use cotenant_host::engine::EngineKind;
use cotenant_submodules::{ModuleId, Replace};
use dev::{DevArgs, InitArgs, RunArgs};
use evm::EvmVerb;
use help::{
    ABI_JSON, CACHE_CHANGED_JSON, CACHE_CLEAR_JSON, CACHE_LS_JSON, CACHE_VERIFY_JSON, CALL_JSON,
    CHECK_JSON, COMPLETIONS_HELP, CONTRACTS_JSON, DEMO_JSON, DEPLOY_JSON, DOCTOR_JSON, EVM_JSON,
    EXIT_CODES, MAN_HELP, MODULES_JSON, RECEIPTS_JSON, REPRODUCE_JSON, SCRUB_JSON, SOAK_JSON,
    STATE_VIEW_JSON, TRANSACTION_JSON, VIEW_JSON,
};
use near_account_id::AccountId;
use near_gas::NearGas;
use near_primitives_core::hash::CryptoHash;
use near_token::NearToken;
use std::path::PathBuf;
use values::{
    balance, default_home, deposit, engine, gas, hex_bytes, mode, module_id, protocol, replace,
    size,
};

/// Many Wasm modules in one NEAR account, calling each other synchronously, with NEAR's gas.
#[derive(Debug, Parser)]
#[command(name = "cotenant", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb, before it or after it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Folder of the state, made by the first command that writes; the variable COTENANT_HOME names another default
    #[arg(long, global = true, value_name = "DIR", default_value_os_t = default_home())]
    pub(crate) home: PathBuf,
    /// Seconds to wait for another process that has the home open
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) lock_wait: u64,
    /// Protocol version of the prices: 88, 82 or 63; fixed when a home is created [default: 88]
    #[arg(long, global = true, value_name = "N", value_parser = protocol)]
    pub(crate) protocol: Option<u32>,
    /// Room for compiled code on disk: `8 GiB`, `500 MiB`; what was used least recently is removed first
    #[arg(long, global = true, value_name = "SIZE", default_value = "8 GiB", value_parser = size)]
    pub(crate) cache_max: u64,
    /// One JSON object on one line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No notes and no progress on stderr
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// More notes on stderr, and host functions in call trees
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Tell what a module could be deployed as, and why not
    #[command(after_long_help = CHECK_JSON)]
    Check {
        /// A module, .wasm or .wat
        file: PathBuf,
    },
    /// Deploy a module to a namespace of an account
    #[command(after_long_help = DEPLOY_JSON)]
    Deploy {
        /// Where: `alice.near`, or `alice.near:swap` for a namespace
        #[arg(value_name = "ACCOUNT[:NAMESPACE]", value_parser = module_id)]
        module: ModuleId,
        /// A module, .wasm or .wat; `-` for standard input
        file: PathBuf,
        /// Callable by modules of the same account only, with nothing but what its caller grants
        #[arg(long)]
        private: bool,
        /// What the module may replace: `any`, `private` (a private module alone) or `nothing`; storage stays
        #[arg(long, value_name = "WHAT", value_parser = replace, num_args = 0..=1, require_equals = true, default_value = "nothing", default_missing_value = "any")]
        replace: Replace,
        /// Wait for the optimising compile; without, it begins once the module is called
        #[arg(long)]
        wait: bool,
    },
    /// List the modules of an account
    #[command(after_long_help = MODULES_JSON)]
    Modules {
        /// The account
        #[arg(value_parser = account)]
        account: AccountId,
    },
    /// Run a node that stock clients of NEAR and of Ethereum take for theirs
    Dev(DevArgs),
    /// Write the files that clients of near-sandbox expect of its binary
    #[command(hide = true)]
    Init(InitArgs),
    /// Run a node by the command line of near-sandbox's binary
    #[command(hide = true)]
    Run(RunArgs),
    /// Call a method by a transaction, and run everything that comes of it
    #[command(after_long_help = CALL_JSON)]
    Call {
        #[command(flatten)]
        target: Target,
        /// Prepaid gas: `100 Tgas`, `5 Ggas`, `1000000 gas`
        #[arg(long, default_value = "100 Tgas", value_parser = gas)]
        gas: NearGas,
        /// Attached balance: `1 NEAR`, `0.5 NEAR`, `1 yoctoNEAR`
        #[arg(long, default_value = "0 NEAR", value_parser = deposit)]
        deposit: NearToken,
        /// Who signs and pays; the account itself unless given
        #[arg(long, value_name = "ACCOUNT", value_parser = account)]
        signer: Option<AccountId>,
    },
    /// Call a method and let nothing come of it
    #[command(after_long_help = VIEW_JSON)]
    View {
        #[command(flatten)]
        target: Target,
    },
    /// Accounts: create, balance, list
    Account {
        #[command(subcommand)]
        what: AccountVerb,
    },
    /// Send balance from one account to another
    #[command(after_long_help = TRANSACTION_JSON)]
    Transfer {
        /// Who pays
        #[arg(value_parser = account)]
        from: AccountId,
        /// Who gets it; has to exist, or be an implicit account (64 hexadecimal digits)
        #[arg(value_parser = account)]
        to: AccountId,
        /// How much: `1 NEAR`, `0.5 NEAR`, `1 yoctoNEAR`
        #[arg(value_parser = balance)]
        amount: NearToken,
    },
    /// Access keys: add, list, remove
    Keys {
        #[command(subcommand)]
        what: KeysVerb,
    },
    /// Remove a module from an account
    #[command(after_long_help = TRANSACTION_JSON)]
    Remove {
        /// The module: `alice.near:swap`; an account alone is its default module
        #[arg(value_name = "ACCOUNT[:NAMESPACE]", value_parser = module_id)]
        module: ModuleId,
        /// Remove its storage with it
        #[arg(long)]
        drop_storage: bool,
    },
    /// Blocks: let them pass, show the last
    Blocks {
        #[command(subcommand)]
        what: BlocksVerb,
    },
    /// Show the receipts of a transaction of this home again
    #[command(after_long_help = RECEIPTS_JSON)]
    Receipts {
        /// Its hash, or the first letters of it
        #[arg(value_name = "TRANSACTION")]
        hash: String,
    },
    /// Print the table of host functions, as Markdown
    #[command(after_long_help = ABI_JSON)]
    Abi,
    /// Show a parent and two private children at work, in a host that is gone afterwards
    #[command(after_long_help = DEMO_JSON)]
    Demo,
    /// List the project's contracts, or write them as .wasm files to deploy
    #[command(after_long_help = CONTRACTS_JSON)]
    Contracts {
        /// Folder to write them to; created if it is missing
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Look at this machine and the home: what works, what does not, and what to do
    #[command(after_long_help = DOCTOR_JSON)]
    Doctor,
    /// Print completions for a shell
    #[command(after_long_help = COMPLETIONS_HELP)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each verb
    #[command(after_long_help = MAN_HELP)]
    Man {
        /// Folder to write them to; created if it is missing
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Contracts of Ethereum as private modules: compile, run, test, measure
    Evm {
        #[command(subcommand)]
        what: EvmVerb,
    },
    /// Compiled code: what is there, whether it is authentic, what stays
    Cache {
        #[command(subcommand)]
        what: CacheVerb,
    },
    /// Compile one module for a host that started this process
    #[command(hide = true)]
    CompileWorker,
    /// The state of the home: look at storage, check all of it, run the receipt of a fault again
    State {
        #[command(subcommand)]
        what: StateVerb,
    },
    /// Run a receipt of the queue and let nothing come of it, under limits: for the child of a host
    #[command(hide = true)]
    Rehearse {
        /// Its id
        receipt: CryptoHash,
    },
    /// Measure
    Bench {
        #[command(subcommand)]
        what: BenchVerb,
    },
}

/// What to do with compiled code.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheVerb {
    /// List the modules of the home: on which engine they run and why, sizes, calls, compile times
    #[command(after_long_help = CACHE_LS_JSON)]
    Ls,
    /// Check every artifact; what this home did not write is removed and made anew when it is needed
    #[command(after_long_help = CACHE_VERIFY_JSON)]
    Verify,
    /// Keep the artifacts of modules, however little room is left
    #[command(after_long_help = CACHE_CHANGED_JSON)]
    Pin(CacheModules),
    /// Let the artifacts of modules go again when room is needed
    #[command(after_long_help = CACHE_CHANGED_JSON)]
    Unpin(CacheModules),
    /// Remove the artifacts of all modules that are not pinned, and forget which compiles failed
    #[command(after_long_help = CACHE_CLEAR_JSON)]
    Clear,
    /// Compile modules now and wait for it, also those whose compile failed before
    #[command(after_long_help = CACHE_CHANGED_JSON)]
    Compile(CacheModules),
}

/// Which modules.
#[derive(Debug, Args)]
pub(crate) struct CacheModules {
    /// Modules: `alice.near`, or `alice.near:swap` for a namespace
    #[arg(value_name = "ACCOUNT[:NAMESPACE]", required = true, value_parser = module_id)]
    pub(crate) modules: Vec<ModuleId>,
}

/// What to do with the state of the home.
#[derive(Debug, Subcommand)]
pub(crate) enum StateVerb {
    /// Show the storage of a module
    #[command(after_long_help = STATE_VIEW_JSON)]
    View {
        /// The module: `alice.near`, or `alice.near:swap` for a namespace
        #[arg(value_name = "ACCOUNT[:NAMESPACE]", value_parser = module_id)]
        module: ModuleId,
        /// Keys that begin with this text
        #[arg(long, value_name = "TEXT", conflicts_with = "prefix_hex")]
        prefix: Option<String>,
        /// Keys that begin with these bytes
        #[arg(long, value_name = "HEX", value_parser = hex_bytes)]
        prefix_hex: Option<Hex>,
        /// The most values that are shown
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        limit: u32,
    },
    /// Read everything and check it: pages, records, code
    #[command(after_long_help = SCRUB_JSON)]
    Scrub,
    /// Run the receipt of a fault again, on what it read then
    #[command(after_long_help = REPRODUCE_JSON)]
    Reproduce {
        /// A file of the home's folder `faults`
        file: PathBuf,
        /// cranelift or wasmi
        #[arg(long, value_parser = engine, default_value_t = EngineKind::Cranelift)]
        engine: EngineKind,
    },
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchVerb {
    /// `cpu_ram_soak` as a public call, as a private submodule, and interpreted inside a contract
    #[command(after_long_help = SOAK_JSON)]
    Soak {
        /// Timed runs of each row; fewer where they would take more than seconds
        #[arg(long, default_value_t = 21, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
        runs: u32,
        /// Loops of each row, separated by commas
        #[arg(long, value_name = "LOOPS", value_delimiter = ',', default_values_t = [1_u64, 100, 1_000, 10_000, 20_000], value_parser = clap::value_parser!(u64).range(0..=u64::from(u32::MAX)))]
        loops: Vec<u64>,
    },
    /// Ethereum's contracts inside an engine contract: interpreted, compiled, compiled and interpreted, by hand
    #[command(after_long_help = EVM_JSON)]
    Evm {
        /// Timed runs of each row; fewer where they would take more than seconds
        #[arg(long, default_value_t = 21, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
        runs: u32,
        /// Only workloads whose names contain this
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
        /// Engines of the host, separated by commas
        #[arg(long, value_name = "ENGINE", value_delimiter = ',', value_parser = engine, default_values_t = [EngineKind::Cranelift, EngineKind::Wasmi])]
        engine: Vec<EngineKind>,
        /// Modes, separated by commas: interpreted, compiled, compiled_wasm_in_wasm, handwritten [default: all]
        #[arg(long, value_name = "MODE", value_delimiter = ',', value_parser = mode, default_values_t = Mode::ALL, hide_default_value = true)]
        mode: Vec<Mode>,
        /// Write Markdown and charts into this folder
        #[arg(long, value_name = "DIR")]
        report: Option<PathBuf>,
    },
}

/// The bytes that a call sends: JSON by default, nothing unless given.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// Its arguments, as JSON
    #[arg(value_name = "ARGS", allow_negative_numbers = true)]
    pub(crate) args: Option<String>,
    /// Its arguments, as base64
    #[arg(long, value_name = "BASE64", conflicts_with_all = ["args", "args_hex", "args_file"])]
    pub(crate) args_base64: Option<String>,
    /// Its arguments, as hexadecimal digits
    #[arg(long, value_name = "HEX", conflicts_with_all = ["args", "args_file"])]
    pub(crate) args_hex: Option<String>,
    /// Its arguments, the bytes of a file as they are; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "args")]
    pub(crate) args_file: Option<PathBuf>,
}

/// How much of an outcome goes to stdout.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Shown {
    /// The result alone on stdout: JSON and text as they are, other bytes in base64; everything else on stderr
    #[arg(long, conflicts_with_all = ["raw", "json"])]
    pub(crate) result: bool,
    /// The bytes of the result on stdout, and nothing else there
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
}

impl Shown {
    /// Whether the result stands alone on stdout.
    pub(crate) fn alone(self) -> bool {
        self.result || self.raw
    }
}

/// Which method of which module, with which input, on which engine.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The module: `alice.near`, or `alice.near:swap` for a namespace
    #[arg(value_name = "ACCOUNT[:NAMESPACE]", value_parser = module_id)]
    pub(crate) module: ModuleId,
    /// The method
    pub(crate) method: String,
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) shown: Shown,
    /// cranelift or wasmi; gas, results and logs are the same on each [default: cranelift]
    #[arg(long, value_parser = engine)]
    pub(crate) engine: Option<EngineKind>,
    /// First compile the modules of the account that are not compiled yet, and wait for it
    #[arg(long)]
    pub(crate) wait: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
