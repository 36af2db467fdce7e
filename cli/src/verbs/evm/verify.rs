//! `evm verify ACCOUNT CODE_HASH`: whether a promoted contract's module is what the compiler makes of its code.

use super::fork_name;
use crate::args::Global;
use crate::console::Console;
use crate::evm::artifact::hex_digits;
use crate::failure::{Exit, Failure};
use crate::report::key_values;
use crate::verbs::home;
use anyhow::Result;
use cotenant_host::state::WorkingState;
use cotenant_host::view::StateView;
use cotenant_submodules::{Namespace, Visibility};
use engine_abi::CodeHash;
use engine_abi::state::{self, PLAIN, Promotion};
use evm_to_wasm::{COMPILER_VERSION, Fork, Keccak, Options};
use near_account_id::AccountId;
use serde::Serialize;

#[derive(Serialize)]
struct VerifyReport {
    account: String,
    code_hash: String,
    namespace: String,
    fork: &'static str,
    keccak: Option<&'static str>,
    compiler: u32,
    compiled_here: bool,
    code_bytes: usize,
    wasm_bytes: usize,
    identical: bool,
    difference: Option<String>,
}

/// The records of a promoted contract.
struct Found {
    promotion: Promotion,
    code: Vec<u8>,
    module: Vec<u8>,
    /// A difference that shows without compiling.
    wrong: Option<String>,
}

pub(super) fn run(
    account: &AccountId,
    code_hash: &str,
    global: &Global,
    console: &Console,
) -> Result<Exit> {
    let hash: CodeHash = hex_digits("CODE_HASH", code_hash.as_bytes())?
        .try_into()
        .map_err(|_| Failure::usage("InvalidHash", "CODE_HASH: a hash is 32 bytes"))?;
    let host = home::read(global, console)?;
    let found = find(&host.state()?, account, &hash)?;
    let fork = match found.promotion.fork {
        engine_abi::Fork::Cancun => Fork::Cancun,
        engine_abi::Fork::Prague => Fork::Prague,
        engine_abi::Fork::Osaka => Fork::Osaka,
    };
    if found.promotion.compiler != COMPILER_VERSION {
        let message =
            format!("compiled by version {}; this is {COMPILER_VERSION}", found.promotion.compiler);
        return Err(Failure::usage("OtherCompiler", message)
            .with("hint", "use the version that has that compiler")
            .into());
    }
    let progress = console.progress("compiling again");
    let made = [(Keccak::Host, "host"), (Keccak::Own, "own")].into_iter().find(|(keccak, _)| {
        let options = Options { fork, keccak: *keccak };
        evm_to_wasm::compile(&found.code, &options).wasm == found.module
    });
    drop(progress);
    let difference = found.wrong.or_else(|| {
        made.is_none().then(|| "the compiler makes another module of the code".to_owned())
    });
    let report = VerifyReport {
        account: account.to_string(),
        code_hash: hex::encode(hash),
        namespace: found.promotion.namespace,
        fork: fork_name(fork),
        keccak: made.map(|(_, name)| name),
        compiler: found.promotion.compiler,
        compiled_here: found.promotion.compiled_here,
        code_bytes: found.code.len(),
        wasm_bytes: found.module.len(),
        identical: difference.is_none(),
        difference,
    };
    if console.json {
        console.object(&report)?;
    } else {
        console.data(rows(&report))?;
    }
    Ok(if report.identical { Exit::Fine } else { Exit::Contract })
}

fn find(state: &WorkingState, account: &AccountId, hash: &CodeHash) -> Result<Found> {
    let value = |key: &[u8]| state.value(account, &Namespace::DEFAULT, key);
    let unknown = || {
        let message = format!("{account} has no contract with the code {}", hex::encode(hash));
        Failure::usage("UnknownCode", message).with("hint", "`--home` chooses the state")
    };
    let entry = value(&state::code_key(hash))?.ok_or_else(unknown)?;
    let promotion = match entry.split_first() {
        Some((&PLAIN, _)) => {
            let message = format!("{} is interpreted: it has no module", hex::encode(hash));
            return Err(Failure::usage("NotPromoted", message).into());
        }
        _ => state::promoted(&entry),
    };
    let (promotion, beside) = promotion.ok_or_else(|| {
        Failure::usage("NoEngine", format!("the state of {account} is not an engine's"))
    })?;
    let record = match beside {
        Some(record) => record.to_vec(),
        None => value(&state::body_key(hash))?.ok_or_else(unknown)?,
    };
    let code = state::code::original(&record).ok_or_else(unknown)?.to_vec();
    let namespace: Namespace = promotion.namespace.parse()?;
    let Some(deployed) = state.module(account, &namespace)? else {
        let wrong = Some(format!("there is no module at {namespace}"));
        return Ok(Found { promotion, code, module: Vec::new(), wrong });
    };
    let module = state.code(&deployed.code_hash)?.unwrap_or_default();
    let wrong = if revm::primitives::keccak256(&code).0 != *hash {
        Some("the code in the state is another contract's".to_owned())
    } else if deployed.visibility != Visibility::Private {
        Some("the module is public".to_owned())
    } else {
        None
    };
    Ok(Found { promotion, code, module, wrong })
}

fn rows(report: &VerifyReport) -> String {
    let verdict = match &report.difference {
        None => "identical".to_owned(),
        Some(difference) => difference.clone(),
    };
    let rows = [
        ("module", format!("{}:{}", report.account, report.namespace)),
        ("fork", report.fork.to_owned()),
        ("compiler", report.compiler.to_string()),
        ("compiled on chain", if report.compiled_here { "yes" } else { "no" }.to_owned()),
        ("EVM code, bytes", report.code_bytes.to_string()),
        ("Wasm, bytes", report.wasm_bytes.to_string()),
        ("compiled again", verdict),
    ];
    key_values(&rows)
}
