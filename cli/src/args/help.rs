//! What the long help of each verb says: examples, and the JSON that it gives with `--json`.

pub(super) const EXIT_CODES: &str = "\
Exit codes: 0 fine, 1 the contract failed or its code was rejected, 2 usage (arguments, files, homes,
transactions that are refused), 3 out of gas or over a limit, 4 a fault of cotenant itself.
Data goes to stdout, notes and errors to stderr. With --json a command that could not do its work gives
{\"error\":{\"code\",\"message\",\"where\":null|text,\"hint\":null|text,\"violations\":[{\"rule\",\"found\",\"limit\",\"where\",\"hint\"}]}}.";

pub(super) const CHECK_JSON: &str = "\
Exits with 0 if the module can be deployed as public or as private, else with 1. FILE is .wasm or .wat.
Example: cotenant check target/wasm32-unknown-unknown/release/app.wasm
--json: {\"file\",\"code_bytes\",\"methods\":[{\"name\",\"callable\"}],\"warnings\":[{\"code\",\"message\",\"hint\"}],
  \"public\":{\"eligible\",\"violations\":[..],\"violations_omitted\"},
  \"private\":{\"eligible\",\"requires\":[..],\"violations\":[..],\"violations_omitted\"}}
A violation is {\"rule\",\"found\",\"limit\",\"where\",\"hint\"}; `requires` lists what a caller has to grant. Warnings do not
change the exit code: NoMethods, NoPanicMessages (a near-sdk contract built without `--cfg near`), LargerThanTransaction,
DebugBuild.";

pub(super) const DEPLOY_JSON: &str = "\
Examples: cotenant deploy alice.near parent.wasm
          cotenant deploy alice.near:child child.wasm --private
A module that is there already stays unless --replace is given; its storage is kept. `replaced` is the hash of its code.
Code that breaks a rule is rejected before anything is done, with every rule that it breaks: exit code 1.
--json: {\"ok\",\"account\",\"namespace\",\"visibility\",\"code_hash\",\"code_bytes\",\"gas_total\",\"engines\":[..],
  \"reason\":null|text,\"replaced\":null|hash,\"error\":null|{\"code\",\"message\",\"where\",\"hint\",\"violations\":[..]}}
`code_hash` is base58 of the sha256, null unless deployed; `engines` are those the module is ready on: wasmi at once,
cranelift after its optimising compile, which begins with the module's first call, or here with --wait. `reason` says why
cranelift is not among them. On which engine a call runs changes neither its outcome nor its gas.";

pub(super) const MODULES_JSON: &str = "\
--json: {\"account\",\"modules\":[{\"namespace\",\"visibility\",\"code_hash\",\"code_bytes\",\"requires\":[..],
  \"engine\",\"reason\":null|text}]}
`namespace` is empty for the default one; `requires` is what a private module's caller has to grant; `engine` runs the
module, and `reason` says why it is not cranelift: not called yet, waits to be compiled, or what its compile failed of.";

pub(super) const CACHE_LS_JSON: &str = "\
--json: {\"modules\":[{\"code_hash\",\"visibility\",\"code_bytes\",\"engine\",\"reason\":null|text,\"failed\",\"pinned\",
    \"stand_in_bytes\",\"native_bytes\",\"hits\",\"misses\",\"compile_micros\"}],
  \"stored_bytes\",\"stored_bytes_max\",\"waiting\",
  \"totals\":{\"hits\",\"misses\",\"compiled\",\"failed\",\"damaged\",\"evicted\",\"collected\",\"unloaded\",\"disk_failures\",
    \"unprepared_deploys\",\"unprepared_micros_max\"}}
A hit is a call that native code answered, a miss one that was to be native and ran on the interpreter. A failed compile is
not tried again until `cache compile` asks for it. Totals are those of the home since it was made. `unprepared_deploys` were
made by contracts: their code is prepared while the chain waits.";

pub(super) const CACHE_VERIFY_JSON: &str = "\
--json: {\"authentic\",\"damaged\",\"missing\"}. Exits with 0 also if some were damaged: nothing was lost but time.";

pub(super) const CACHE_CLEAR_JSON: &str = "--json: {\"freed_bytes\"}";

pub(super) const CACHE_CHANGED_JSON: &str = "\
--json: {\"modules\":[{\"module\",\"engine\",\"reason\":null|text,\"pinned\"}]}
`compile` exits with 1 if a compile failed; the module runs on the interpreter then, with the same outcomes and gas.";

pub(super) const CALL_JSON: &str = "\
Examples: cotenant call alice.near add '{\"text\": \"hello\"}'
          cotenant call alice.near add --args-file input.bin --gas \"300 Tgas\" --raw > output.bin
Accounts named here have to exist; the signer is believed.
--json: {\"ok\",\"transaction\",\"result\",\"result_base64\",\"abort\":null|{\"code\",\"message\",\"module\"},
  \"error\":null|{\"code\",\"message\",\"where\",\"hint\",\"violations\"},\"gas_vm\",\"gas_used\",\"gas_total\",\"logs\":[..],\"receipts\":[..],\"tree\":{..}}
`ok`, `abort`, `gas_vm`, `gas_used`, `logs` and `tree` speak of the root call: the first function call of the
first receipt. `result_base64` is its value, or the value of the promise it returned; empty if there is none.
`result` is the same decoded: the value of JSON, a string for other text, null for other bytes (and for JSON with numbers that
do not fit into 64 bits). `error` says why the exit code is not 0: the abort, or the failed promise that the call returned.
`gas_vm` is what the root call burnt in the VM (fees of its receipt not included), `gas_used` that and what it
reserved for promises, `gas_total` the whole transaction with every receipt. All gas is in units.
A receipt: {\"id\",\"predecessor\",\"receiver\",\"block_height\",
  \"status\":{\"SuccessValue\":base64}|{\"SuccessReceiptId\":id}|{\"Failure\":{\"code\",\"message\",\"action_index\"}},
  \"gas_burnt\",\"gas_vm\",\"fees\":[{\"name\",\"gas\"}],\"tokens_burnt\",\"logs\":[..]}
A tree: {\"namespace\",\"visibility\",\"method\",\"count\",\"ending\":\"returned\"|\"failed\"|\"closed\",\"error\":null|text,
  \"gas_burnt\",\"gas_used\",\"loading\",\"wasm\",\"memory\",\"host\":[{\"name\",\"calls\",\"gas\"}],\"yields\",\"reverted_logs\":[..],
  \"texts_dropped\",\"callees\":[tree..]}; in a tree of more than 10,000 nodes `count` equal callees are one; burnt and used include the callees, the rest is of the frame alone.
`other_receipts` is there if receipts of earlier transactions ran too: yields that were resumed or expired.
The exit code is 1 also if the promise that the root call returned failed.";

pub(super) const VIEW_JSON: &str = "\
The account has to exist. The gas limit is the protocol's.
Example: cotenant view alice.near:counter get --result
--json: {\"ok\",\"result\",\"result_base64\",\"abort\":null|{\"code\",\"message\",\"module\"},\"error\",\"gas_vm\",\"logs\":[..],
  \"tree\":{..}} with result, error and tree as of `call`.";

pub(super) const SCRUB_JSON: &str = "\
Exits with 4 at the first damage, which names the file, the rule, the place and all pages that differ.
--json: {\"pages\",\"bytes\",\"records\":{kind:number}}
A kind is the first byte of a key, as `host/src/state/keys.rs` lists them.";

pub(super) const REPRODUCE_JSON: &str = "\
Exits with 4 if the fault happens again. The home is not opened.
--json: {\"receipt\",\"height\",\"protocol\",\"version\",\"fault\",\"again\":null|text,\"status\":null|text}";

pub(super) const ABI_JSON: &str = "\
--json: {\"functions\":[{\"name\",\"params\":[{\"name\",\"type\"}],\"result\":null|type,\"provider\":\"near\"|\"cotenant\",
  \"group\",\"public\",\"private\":\"yes\"|\"no\"|grant,\"view\",\"output_register\":null|param,\"enabled\"}]}";

pub(super) const DEMO_JSON: &str = "\
Needs no home and leaves nothing behind.
Example: cotenant demo
--json: {\"modules\":[..],\"calls\":[..]} with calls as of `call`.";

pub(super) const CONTRACTS_JSON: &str = "\
Example: cotenant contracts --out wasm
--json: {\"contracts\":[{\"name\",\"visibility\":\"public\"|\"private\",\"requires\":null|grant,\"code_bytes\",\"path\":null|file}]}
`visibility` is how a contract is meant to be deployed; `requires` what a caller of a private one has to grant.";

pub(super) const SOAK_JSON: &str = "\
Each row is one method call on one engine: `public` a public module, `submodule` the whole root call of a
parent that calls the same module as a private one, `wasm_in_wasm` a contract that interprets it with wasmi.
Results are checked, and gas has to be equal on every engine. Times are of views, warm.
--json: {\"rows\":[{\"mode\",\"engine\",\"loops\",\"gas_vm\",\"gas_receipt\",\"gas_total\",
  \"nanos_median\",\"nanos_min\",\"nanos_max\",\"runs\"}]}";

pub(super) const EVM_JSON: &str = "\
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

pub(super) const ACCOUNT_JSON: &str = "\
Examples: cotenant account create bob.near --balance \"5 NEAR\"
          cotenant account balance bob.near
--json: {\"account\",\"created\",\"balance\",\"locked\",\"storage_bytes\",\"keys\",\"modules\"}
Balances are yoctoNEAR as decimal strings; `keys` and `modules` are how many there are.";

pub(super) const ACCOUNTS_JSON: &str = "--json: {\"accounts\":[{as of `account balance`}]}";

pub(super) const KEYS_JSON: &str = "\
Examples: cotenant keys add alice.near ed25519:6E8sCci9badyRkXb3JoRpBj5p8C6Tw41ELDZoiihKEtp
          cotenant keys add alice.near ed25519:... --receiver shop.near --namespaces cart,till --methods buy
--json of `add` and `remove` is that of `transfer`; of `list`: {\"account\",\"keys\":[{\"public_key\",\"nonce\",
  \"permission\":\"FullAccess\"|{\"FunctionCall\":{\"receiver_id\",\"method_names\",\"allowance\":null|text,
    \"namespaces\":\"named\"|\"all\"|[..]}}}]}
`named` namespaces are those that the names of methods say. Which methods a key reaches: docs/spec/calls.md, section 1.";

pub(super) const TRANSACTION_JSON: &str = "\
--json: {\"ok\",\"transaction\",\"gas_total\",\"receipts\":[..],\"error\":null|{..}} with receipts and error as of `call`.";

pub(super) const RECEIPTS_JSON: &str = "\
The home keeps the outcomes of the last 1,000 transactions of its commands.
--json: what the command gave with --json.";

pub(super) const BLOCKS_JSON: &str =
    "--json: {\"height\",\"timestamp_nanos\",\"receipts\":[..]} with receipts as of `call`.";

pub(super) const STATE_VIEW_JSON: &str = "\
Examples: cotenant state view alice.near
          cotenant state view alice.near:notes --prefix-hex 00 --limit 10
--json: {\"module\",\"values\":[{\"key_base64\",\"value_base64\"}],\"more\"}; `more` tells that there are values beyond the limit.";

pub(super) const DOCTOR_JSON: &str = "\
Exits with 4 if something is broken, with 0 if everything works, be it slower or with less room than it could be.
--json: {\"ok\",\"checks\":[{\"name\",\"state\":\"ok\"|\"note\"|\"broken\",\"found\",\"hint\":null|text}]}";

pub(super) const COMPLETIONS_HELP: &str = "\
Examples: cotenant completions bash > ~/.local/share/bash-completion/completions/cotenant
          cotenant completions zsh > ~/.zfunc/_cotenant
          cotenant completions fish > ~/.config/fish/completions/cotenant.fish";

pub(super) const MAN_HELP: &str = "\
Examples: cotenant man | man -l -
          cotenant man --out ~/.local/share/man/man1";
