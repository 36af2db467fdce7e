//! The command line: verbs, their arguments, and what `--json` gives for each.

use crate::bench::evm::Mode;
use crate::verbs::EvmVerb;
use clap::{Args, Parser, Subcommand};
use cotenant_gas::{PRESETS, UnknownProtocol};
use cotenant_host::engine::EngineKind;
use cotenant_submodules::{ModuleId, Replace};
use near_account_id::AccountId;
use near_gas::NearGas;
use near_primitives_core::hash::CryptoHash;
use near_token::NearToken;
use std::path::PathBuf;

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
    /// Folder of the state; created at first use
    #[arg(long, global = true, value_name = "DIR", default_value = "./.cotenant")]
    pub(crate) home: PathBuf,
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
        #[arg(value_name = "ACCOUNT[:NAMESPACE]")]
        module: ModuleId,
        /// A module, .wasm or .wat
        file: PathBuf,
        /// Callable by modules of the same account only, with nothing but what its caller grants
        #[arg(long)]
        private: bool,
        /// What the module may replace: `any`, `private` (a private module alone) or `nothing`; storage stays
        #[arg(long, value_name = "WHAT", value_parser = replace, num_args = 0..=1, require_equals = true, default_value = "any", default_missing_value = "any")]
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
    /// The state of the home: check all of it, run the receipt of a fault again
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
    #[arg(value_name = "ACCOUNT[:NAMESPACE]", required = true)]
    pub(crate) modules: Vec<ModuleId>,
}

/// What to do with the state of the home.
#[derive(Debug, Subcommand)]
pub(crate) enum StateVerb {
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

/// Which method of which module, with which input, on which engine.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The module: `alice.near`, or `alice.near:swap` for a namespace
    #[arg(value_name = "ACCOUNT[:NAMESPACE]")]
    pub(crate) module: ModuleId,
    /// The method
    pub(crate) method: String,
    /// Its arguments, as JSON
    #[arg(value_name = "ARGS", allow_negative_numbers = true)]
    pub(crate) args: Option<String>,
    /// Its arguments, as base64
    #[arg(long, value_name = "BASE64", conflicts_with_all = ["args", "args_hex"])]
    pub(crate) args_base64: Option<String>,
    /// Its arguments, as hexadecimal digits
    #[arg(long, value_name = "HEX", conflicts_with = "args")]
    pub(crate) args_hex: Option<String>,
    /// cranelift or wasmi; gas, results and logs are the same on each [default: cranelift]
    #[arg(long, value_parser = engine)]
    pub(crate) engine: Option<EngineKind>,
    /// First compile the modules of the account that are not compiled yet, and wait for it
    #[arg(long)]
    pub(crate) wait: bool,
}

fn protocol(text: &str) -> Result<u32, String> {
    let listed = PRESETS.map(|preset| preset.to_string()).join(", ");
    let found = text.parse().map_err(|_| format!("no protocol version; choose one of {listed}"))?;
    if PRESETS.contains(&found) {
        return Ok(found);
    }
    Err(UnknownProtocol { found, allowed: &PRESETS }.to_string())
}

/// A number of bytes.
fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1_u64 << 30,
        _ => return Err("write a number and a unit: `8 GiB`, `500 MiB`, `64 KiB`".into()),
    };
    let number: u64 = digits.trim().parse().map_err(|error| format!("{error}; write `8 GiB`"))?;
    number.checked_mul(unit).ok_or_else(|| "more bytes than there are".into())
}

fn engine(text: &str) -> Result<EngineKind, String> {
    text.parse()
}

fn replace(text: &str) -> Result<Replace, String> {
    match text {
        "any" => Ok(Replace::Any),
        "private" => Ok(Replace::Private),
        "nothing" => Ok(Replace::Nothing),
        _ => Err("one of any, private, nothing".to_owned()),
    }
}

fn mode(text: &str) -> Result<Mode, String> {
    let found = Mode::ALL.into_iter().find(|mode| mode.name() == text);
    found.ok_or_else(|| format!("no mode; one of {}", Mode::ALL.map(Mode::name).join(", ")))
}

pub(crate) fn account(text: &str) -> Result<AccountId, String> {
    text.parse().map_err(|error: near_account_id::ParseAccountError| {
        format!("{error}; an account id is like `alice.near`")
    })
}

/// near-gas knows no unit below a Ggas; a number of units is written `N gas`.
fn gas(text: &str) -> Result<NearGas, String> {
    const HINT: &str = "write a number and a unit: `100 Tgas`, `5 Ggas` or `1000000 gas`";
    // Trimmed here: near-gas 0.3.7 looks for the unit before it trims, and panics on blanks in front.
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if let Some(number) = lower.strip_suffix("gas").map(str::trim)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        return number.parse().map(NearGas::from_gas).map_err(|error| format!("{error}; {HINT}"));
    }
    text.parse().map_err(|error: near_gas::NearGasError| format!("{error}; {HINT}"))
}

fn deposit(text: &str) -> Result<NearToken, String> {
    // Trimmed for the reason above.
    text.trim().parse().map_err(|error: near_token::NearTokenError| {
        format!("{error}; write a number and a unit: `1 NEAR`, `0.5 NEAR` or `1 yoctoNEAR`")
    })
}

const EXIT_CODES: &str = "\
Exit codes: 0 fine, 1 the contract failed or its code was rejected, 2 usage (arguments, files, homes,
transactions that are refused), 3 out of gas or over a limit, 4 a fault of cotenant itself.
Data goes to stdout, notes and errors to stderr. With --json a command that could not do its work gives
{\"error\":{\"code\",\"message\",\"violations\":[{\"rule\",\"found\",\"limit\",\"where\",\"hint\"}]}}.";

const CHECK_JSON: &str = "\
Exits with 0 if the module can be deployed as public or as private, else with 1. FILE is .wasm or .wat.
--json: {\"file\",\"code_bytes\",
  \"public\":{\"eligible\",\"violations\":[..],\"violations_omitted\"},
  \"private\":{\"eligible\",\"requires\":[..],\"violations\":[..],\"violations_omitted\"}}
A violation is {\"rule\",\"found\",\"limit\",\"where\",\"hint\"}; `requires` lists what a caller has to grant.";

const DEPLOY_JSON: &str = "\
Code that breaks a rule is rejected before anything is done, with every rule that it breaks: exit code 1.
--json: {\"ok\",\"account\",\"namespace\",\"visibility\",\"code_hash\",\"code_bytes\",\"gas_total\",\"engines\":[..],
  \"reason\":null|text,\"error\":null|{\"code\",\"message\",\"violations\":[..]}}
`code_hash` is base58 of the sha256, null unless deployed; `engines` are those the module is ready on: wasmi at once,
cranelift after its optimising compile, which begins with the module's first call, or here with --wait. `reason` says why
cranelift is not among them. On which engine a call runs changes neither its outcome nor its gas.";

const MODULES_JSON: &str = "\
--json: {\"account\",\"modules\":[{\"namespace\",\"visibility\",\"code_hash\",\"code_bytes\",\"requires\":[..],
  \"engine\",\"reason\":null|text}]}
`namespace` is empty for the default one; `requires` is what a private module's caller has to grant; `engine` runs the
module, and `reason` says why it is not cranelift: not called yet, waits to be compiled, or what its compile failed of.";

const CACHE_LS_JSON: &str = "\
--json: {\"modules\":[{\"code_hash\",\"visibility\",\"code_bytes\",\"engine\",\"reason\":null|text,\"failed\",\"pinned\",
    \"stand_in_bytes\",\"native_bytes\",\"hits\",\"misses\",\"compile_micros\"}],
  \"stored_bytes\",\"stored_bytes_max\",\"waiting\",
  \"totals\":{\"hits\",\"misses\",\"compiled\",\"failed\",\"damaged\",\"evicted\",\"collected\",\"unloaded\",\"disk_failures\",
    \"unprepared_deploys\",\"unprepared_micros_max\"}}
A hit is a call that native code answered, a miss one that was to be native and ran on the interpreter. A failed compile is
not tried again until `cache compile` asks for it. Totals are those of the home since it was made. `unprepared_deploys` were
made by contracts: their code is prepared while the chain waits.";

const CACHE_VERIFY_JSON: &str = "\
--json: {\"authentic\",\"damaged\",\"missing\"}. Exits with 0 also if some were damaged: nothing was lost but time.";

const CACHE_CLEAR_JSON: &str = "--json: {\"freed_bytes\"}";

const CACHE_CHANGED_JSON: &str = "\
--json: {\"modules\":[{\"module\",\"engine\",\"reason\":null|text,\"pinned\"}]}
`compile` exits with 1 if a compile failed; the module runs on the interpreter then, with the same outcomes and gas.";

const CALL_JSON: &str = "\
Accounts named here are created at first use with 1,000 NEAR; the signer is believed.
--json: {\"ok\",\"result_base64\",\"abort\":null|{\"code\",\"message\",\"module\"},
  \"gas_vm\",\"gas_used\",\"gas_total\",\"logs\":[..],\"receipts\":[..],\"tree\":{..}}
`ok`, `abort`, `gas_vm`, `gas_used`, `logs` and `tree` speak of the root call: the first function call of the
first receipt. `result_base64` is its value, or the value of the promise it returned; empty if there is none.
`gas_vm` is what the root call burnt in the VM (fees of its receipt not included), `gas_used` that and what it
reserved for promises, `gas_total` the whole transaction with every receipt. All gas is in units.
A receipt: {\"id\",\"predecessor\",\"receiver\",\"block_height\",
  \"status\":{\"SuccessValue\":base64}|{\"SuccessReceiptId\":id}|{\"Failure\":{\"code\",\"message\",\"action_index\"}},
  \"gas_burnt\",\"gas_vm\",\"fees\":[{\"name\",\"gas\"}],\"tokens_burnt\",\"logs\":[..]}
A tree: {\"namespace\",\"visibility\",\"method\",\"ending\":\"returned\"|\"failed\"|\"closed\",\"error\":null|text,
  \"gas_burnt\",\"gas_used\",\"loading\",\"wasm\",\"memory\",\"host\":[{\"name\",\"calls\",\"gas\"}],\"yields\",\"reverted_logs\":[..],
  \"callees\":[tree..]}; burnt and used include the callees, the rest is of the frame alone.
`other_receipts` is there if receipts of earlier transactions ran too: yields that were resumed or expired.
The exit code is 1 also if the promise that the root call returned failed.";

const VIEW_JSON: &str = "\
The account has to exist. The gas limit is the protocol's.
--json: {\"ok\",\"result_base64\",\"abort\":null|{\"code\",\"message\",\"module\"},\"gas_vm\",\"logs\":[..],\"tree\":{..}}
with a tree as of `call`.";

const SCRUB_JSON: &str = "\
Exits with 4 at the first damage, which names the file, the rule, the place and all pages that differ.
--json: {\"pages\",\"bytes\",\"records\":{kind:number}}
A kind is the first byte of a key, as `host/src/state/keys.rs` lists them.";

const REPRODUCE_JSON: &str = "\
Exits with 4 if the fault happens again. The home is not opened.
--json: {\"receipt\",\"height\",\"protocol\",\"version\",\"fault\",\"again\":null|text,\"status\":null|text}";

const ABI_JSON: &str = "\
--json: {\"functions\":[{\"name\",\"params\":[{\"name\",\"type\"}],\"result\":null|type,\"provider\":\"near\"|\"cotenant\",
  \"group\",\"public\",\"private\":\"yes\"|\"no\"|grant,\"view\",\"output_register\":null|param,\"enabled\"}]}";

const DEMO_JSON: &str = "\
Needs no home and leaves nothing behind.
Example: cotenant demo
--json: {\"modules\":[..],\"calls\":[..]} with calls as of `call`.";

const CONTRACTS_JSON: &str = "\
Example: cotenant contracts --out wasm
--json: {\"contracts\":[{\"name\",\"visibility\":\"public\"|\"private\",\"requires\":null|grant,\"code_bytes\",\"path\":null|file}]}
`visibility` is how a contract is meant to be deployed; `requires` what a caller of a private one has to grant.";

const SOAK_JSON: &str = "\
Each row is one method call on one engine: `public` a public module, `submodule` the whole root call of a
parent that calls the same module as a private one, `wasm_in_wasm` a contract that interprets it with wasmi.
Results are checked, and gas has to be equal on every engine. Times are of views, warm.
--json: {\"rows\":[{\"mode\",\"engine\",\"loops\",\"gas_vm\",\"gas_receipt\",\"gas_total\",
  \"nanos_median\",\"nanos_min\",\"nanos_max\",\"runs\"}]}";

const EVM_JSON: &str = "\
One signed transaction (two for erc20_approve_transfer_from) through `submit` of the engine contract, in each mode:
`interpreted` by revm in the contract, `compiled` to private modules beside it, `compiled_wasm_in_wasm` the same modules
interpreted by wasmi in the contract, `handwritten` a private module in Rust (cpu_ram_soak alone). Success, output, EVM
gas and logs have to be revm's own, the state left has to be the same in each mode, gas on each engine.
hash_10k, erc20_13m and snailtracer are revmc's fixtures, in bench/fixtures of the folder that COTENANT_EVM_VECTORS names.
--json: {\"rows\":[{\"workload\",\"mode\",\"engine\",\"near_gas\",\"near_gas_wasm\",\"near_gas_host\",\"near_gas_crypto\",
  \"near_gas_sync\",\"near_gas_loading\",\"near_gas_fees\",\"evm_gas\",\"yields\",\"nanos_median\",\"nanos_min\",\"nanos_max\",
  \"runs\",\"evm_gas_per_300_tgas\",\"evm_gas_per_1000_tgas\",\"over_limit\"}],
  \"ratios\":[{\"workload\",\"engine\",\"over\":mode,\"under\":mode,\"execution_gas\",\"near_gas\",\"evm_gas_per_300_tgas\",\"nanos\"}]}
`near_gas` is the receipt's, and the sum of its parts; execution gas is wasm, sync and crypto. `near_gas_crypto` is what
functions of the host hash and precompile for EVM frames, reading the hashes included; modules hash for themselves.
The sender's recovery is in `near_gas_host`. Rows that are `over_limit` ran under a raised gas limit at the same prices.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn gas_is_read_in_each_unit_and_never_without_one() {
        assert_eq!(gas("100 Tgas").unwrap().as_gas(), 100_000_000_000_000);
        assert_eq!(gas(" 5 ggas ").unwrap().as_gas(), 5_000_000_000);
        assert_eq!(gas("1234567 gas").unwrap().as_gas(), 1_234_567);
        assert_eq!(gas("0.5Tgas").unwrap().as_gas(), 500_000_000_000);
        for bad in
            ["100", "100 parsecs", "", "      T", "gas", "-1 Tgas", "99999999999999999999 gas"]
        {
            let error = gas(bad).unwrap_err();
            assert!(error.contains("`100 Tgas`"), "{bad:?}: {error}");
        }
    }

    #[test]
    fn sizes_are_read_in_each_unit_and_never_too_large() {
        assert_eq!(size("8 GiB").unwrap(), 8 << 30);
        assert_eq!(size("500MiB").unwrap(), 500 << 20);
        assert_eq!((size("12").unwrap(), size(" 3 KiB ").unwrap()), (12, 3 << 10));
        for bad in ["", "GiB", "8 GB", "-1 MiB", "20000000000 GiB", "1.5 GiB"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn deposits_with_blanks_in_front_do_no_harm() {
        assert_eq!(deposit("    1 NEAR").unwrap(), NearToken::from_near(1));
        assert!(deposit("      N").is_err());
    }
}
