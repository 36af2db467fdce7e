//! `evm`: shapes of `--json`, exit codes, bad input.

use crate::{Folder, keys, sorted};
use serde_json::json;

/// Stores 1 in slot 0 and returns the word 7.
const CODE: &str = "6001600055600760005260206000f3";

#[test]
fn bytecode_that_is_none_is_refused() {
    let folder = Folder::new();
    let blanks = folder.file("spaced.hex", b"60 01");
    for (code, options, exit, error) in [
        ("600", &[][..], 2, "OddHex"),
        ("0xzz", &[], 2, "NotHex"),
        ("no/such/file.hex", &[], 2, "FileUnreadable"),
        (blanks.as_str(), &[], 2, "NotHex"),
        ("600160", &["--max-code-bytes", "2"], 3, "CodeTooLong"),
    ] {
        for verb in ["compile", "run"] {
            let (found, report) = folder.json(&[&["evm", verb, code], options].concat());
            assert_eq!((found, &report["error"]["code"]), (exit, &error.into()), "{verb} {code}");
        }
    }
}

#[test]
fn compile_writes_a_module_and_reports() {
    let folder = Folder::new();
    let file = folder.file("code.hex", format!("0x{CODE}\n").as_bytes());
    let out = folder.path("code.wasm");
    let out = out.to_str().unwrap();
    let (exit, report) = folder.json(&["evm", "compile", &file, "-o", out]);
    assert_eq!(exit, 0, "{report}");
    let expected = [
        "blocks",
        "bytecode_bytes",
        "code_bytes",
        "code_hash",
        "compile_nanos",
        "compact",
        "data_bytes",
        "dynamic_jumps",
        "fork",
        "functions",
        "keccak",
        "narrow_values",
        "out",
        "runtime_bytes",
        "sections",
        "static_jumps",
        "text",
        "unresolved_jumps",
        "values",
        "warnings",
        "wasm_bytes",
    ];
    assert_eq!(keys(&report), sorted(expected));
    let module = std::fs::read(out).unwrap();
    assert_eq!(report["wasm_bytes"], module.len());
    assert_eq!(report["bytecode_bytes"], CODE.len() / 2);
    let private = folder.json(&["check", out]).1["private"].clone();
    assert_eq!(private["eligible"], true, "{private}");
    let text = folder.json(&["evm", "compile", CODE, "--emit", "wat"]).1["text"].clone();
    assert!(text.as_str().unwrap().starts_with("(module"), "{text}");
}

#[test]
fn run_tells_how_a_call_ended() {
    let folder = Folder::new();
    let (exit, report) = folder.json(&["evm", "run", CODE, "--calldata", "0x00"]);
    assert_eq!(exit, 0, "{report}");
    let expected = [
        "compiled_frames",
        "ending",
        "gas_used",
        "interpreted_frames",
        "logs",
        "ok",
        "output",
        "reason",
        "result",
        "storage",
        "yields",
    ];
    assert_eq!(keys(&report), sorted(expected));
    assert_eq!((&report["ok"], &report["ending"]), (&true.into(), &"success".into()));
    assert_eq!((&report["compiled_frames"], &report["interpreted_frames"]), (&1.into(), &0.into()));
    assert_eq!(report["output"], format!("0x{:064x}", 7));
    assert_eq!(report["storage"][0]["value"], "0x1");
    let interpreted = folder.json(&["evm", "run", CODE, "--calldata", "0x00", "--interpret"]).1;
    assert_eq!(interpreted["gas_used"], report["gas_used"]);
    for (code, ending, exit) in [("5f5ffd", "revert", 1), ("fe", "halt", 1)] {
        let (found, report) = folder.json(&["evm", "run", code]);
        assert_eq!((found, &report["ending"]), (exit, &ending.into()));
    }
    // Out of gas in a loop, by one instruction, and by memory; not so by a callee, which costs its caller but a part.
    let endless = ["5b5f56", "5b600056", "600163ffffffff52"];
    for code in endless {
        for how in [&[][..], &["--interpret"]] {
            let arguments = [&["evm", "run", code, "--gas", "50000"], how].concat();
            let (found, report) = folder.json(&arguments);
            assert_eq!((found, &report["ending"]), (3, &"halt".into()), "{code}: {report}");
        }
    }
    let (found, _) = folder.json(&["evm", "run", "5f5f5f5f5f305af100", "--gas", "50000"]);
    assert_eq!(found, 0);
}

/// A state test of one case that expects what cannot be.
fn state_test(fork: &str) -> serde_json::Value {
    let word = format!("0x{:064x}", 1);
    json!({ "example": {
        "env": {
            "currentCoinbase": "0x2adc25665018aa1fe0e6bc666dac8fc2697ff9ba",
            "currentGasLimit": "0x05f5e100",
            "currentNumber": "0x01",
            "currentTimestamp": "0x03e8",
            "currentBaseFee": "0x0a",
        },
        "pre": {
            "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b": {
                "balance": "0x3635c9adc5dea00000", "code": "0x", "nonce": "0x00", "storage": {},
            },
            "0x1000000000000000000000000000000000000000": {
                "balance": "0x00", "code": format!("0x{CODE}"), "nonce": "0x01", "storage": {},
            },
        },
        "transaction": {
            "data": ["0x"], "gasLimit": ["0x0186a0"], "gasPrice": "0x0a", "nonce": "0x00",
            "secretKey": "0x45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8",
            "sender": "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b",
            "to": "0x1000000000000000000000000000000000000000", "value": ["0x00"],
        },
        "post": { fork: [{
            "indexes": { "data": 0, "gas": 0, "value": 0 }, "hash": word, "logs": word,
        }] },
    }})
}

#[test]
fn tests_that_fail_are_listed() {
    let folder = Folder::new();
    let failing = folder.file("failing.json", state_test("Cancun").to_string().as_bytes());
    let (exit, report) = folder.json(&["evm", "test", &failing]);
    assert_eq!(exit, 1, "{report}");
    let expected = [
        "compiled_frames",
        "failed",
        "failures",
        "interpreted_frames",
        "passed",
        "skipped",
        "skips",
    ];
    assert_eq!(keys(&report), sorted(expected));
    assert_eq!((&report["passed"], &report["failed"]), (&0.into(), &1.into()));
    assert_eq!((&report["compiled_frames"], &report["interpreted_frames"]), (&1.into(), &0.into()));
    assert_eq!(keys(&report["failures"][0]), sorted(["file", "test", "index", "reason"]));
    assert_eq!(report["failures"][0]["test"], "example");

    let older = folder.file("older.json", state_test("London").to_string().as_bytes());
    let (exit, report) = folder.json(&["evm", "test", &older]);
    assert_eq!((exit, &report["skipped"]), (0, &1.into()), "{report}");
    assert_eq!(keys(&report["skips"][0]), sorted(["file", "reason", "cases"]));
    let (exit, report) = folder.json(&["evm", "test", &failing, "--filter", "another"]);
    assert_eq!((exit, &report["failed"]), (0, &0.into()), "{report}");

    let damaged = folder.file("damaged.json", b"{\"a\": 1");
    let (exit, report) = folder.json(&["evm", "test", &damaged]);
    assert_eq!((exit, &report["failed"]), (1, &1.into()), "{report}");
    let archive = folder.file("damaged.tar.xz", b"none");
    for path in [archive.as_str(), "no/such/path"] {
        let (exit, report) = folder.json(&["evm", "test", path]);
        assert_eq!((exit, &report["error"]["code"]), (2, &"TestsUnreadable".into()), "{report}");
    }
}

#[test]
fn bench_has_a_row_for_each_case() {
    let folder = Folder::new();
    let mut fixture = state_test("London");
    let fields = fixture["example"].as_object_mut().unwrap();
    fields.remove("post");
    fields["env"]["currentBaseFee"] = "0x0".into();
    fields["transaction"] = json!([{
        "data": "0x", "gasLimit": "0x7fffffffffffffff", "gasPrice": "0x0", "nonce": "0x0",
        "sender": "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b",
        "to": "0x1000000000000000000000000000000000000000", "value": "0x0",
    }]);
    let file = folder.file("example.json", fixture.to_string().as_bytes());
    let (exit, report) = folder.json(&["evm", "bench", &file, "--runs", "3"]);
    assert_eq!(exit, 0, "{report}");
    assert_eq!(keys(&report), sorted(["rows", "geomean_speedup"]));
    let row = &report["rows"][0];
    let expected = [
        "name",
        "file",
        "evm_gas",
        "revm_nanos",
        "compiled_nanos",
        "compiled_own_keccak_nanos",
        "handwritten_nanos",
        "start_nanos",
        "speedup",
        "yields",
        "modules",
        "bytecode_bytes",
        "wasm_bytes",
        "compile_nanos",
        "native_compile_nanos",
        "wasm_operators",
    ];
    assert_eq!(keys(row), sorted(expected));
    assert_eq!((&row["name"], &row["modules"]), (&"example".into(), &1.into()));
    assert_eq!(row["bytecode_bytes"], CODE.len() / 2);
    assert!(row["wasm_operators"].as_u64().unwrap() > 0);
    let (exit, error) = folder.json(&["evm", "bench", &folder.file("no.json", b"{\"a\":{}}")]);
    assert_eq!((exit, &error["error"]["code"]), (2, &"FixturesUnreadable".into()));
}

const TOKEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../contracts/evm/bytecode/Token.json");

/// The second account of anvil, whose key is `dev1`.
const DEV1: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

#[test]
fn an_engine_is_spoken_to_by_types_and_keys() {
    let folder = Folder::new();
    let (exit, report) = folder.json(&["evm", "init", "evm.near"]);
    assert_eq!((exit, report["modules"].as_array().map(Vec::len)), (0, Some(3)), "{report}");
    let deploy = ["evm", "deploy", "evm.near", TOKEN, "Token", "TOK", "--types", "string,string"];
    let (exit, deployed) = folder.json(&deploy);
    assert_eq!(exit, 0, "{deployed}");
    // The first contract of anvil's first account is at the same address on every chain.
    let token = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
    assert_eq!(deployed["created"], token);
    let send = |arguments: &[&str]| {
        folder.json(&[&["evm", "send", "evm.near", token], arguments].concat())
    };
    let (exit, minted) = send(&["mint(address,uint256)", DEV1, "1000"]);
    assert_eq!((exit, &minted["status"]), (0, &json!("success")), "{minted}");
    assert_eq!(minted["logs"].as_array().map(Vec::len), Some(1));
    let (exit, refused) = send(&["mint(address,uint256)", DEV1, "1", "--key", "dev1"]);
    assert_eq!((exit, &refused["status"]), (1, &json!("revert")), "{refused}");
    let (exit, early) = send(&["mint(address,uint256)", DEV1, "1", "--nonce", "99"]);
    assert_eq!((exit, &early["status"]), (1, &json!("invalid")), "{early}");
    let balance = |of| {
        let call = ["evm", "call", "evm.near", token, "balanceOf(address)(uint256)", of];
        folder.json(&call).1["result"].clone()
    };
    assert_eq!(balance(DEV1), "1000");
    assert_eq!(send(&["transfer(address,uint256)", token, "1", "--key", "dev1"]).0, 0);
    assert_eq!(balance(DEV1), "999");

    let (exit, promoted) = folder.json(&["evm", "promote", "evm.near", token]);
    assert_eq!((exit, promoted["promoted"].is_string()), (0, true), "{promoted}");
    let (_, again) = folder.json(&["evm", "code-hash", "evm.near", token]);
    assert_eq!(again["code_hash"], promoted["code_hash"]);
    assert_eq!(balance(DEV1), "999");

    assert_eq!(folder.json(&["evm", "mint", "evm.near", DEV1, "2 ether"]).0, 0);
    let (_, address) = folder.json(&["evm", "balance", "evm.near", DEV1]);
    assert_eq!(
        (&address["balance"], &address["nonce"]),
        (&json!("2000000000000000000"), &json!(2)),
        "{address}"
    );
    let hash = minted["hash"].as_str().expect("a hash");
    assert_eq!(folder.json(&["evm", "receipts", &hash[..12]]).1, minted);
    assert_eq!(folder.json(&["evm", "balance", "none.near", DEV1]).0, 2);
}

#[test]
fn run_takes_a_state_and_a_caller_and_says_why_it_reverts() {
    let folder = Folder::new();
    let alloc = json!({ "0x00000000000000000000000000000000000000aa": {
        "balance": "0x5", "code": "0x600760005260206000f3", "storage": { "0x0": "0x1" },
    }});
    let alloc = folder.file("alloc.json", alloc.to_string().as_bytes());
    // The caller, and the balance of the account of the file.
    let caller = "0x00000000000000000000000000000000000000bb";
    let (exit, report) = folder.json(&[
        "evm",
        "run",
        "3360005260aa3160205260406000f3",
        "f()(address,uint256)",
        "--from",
        caller,
        "--state",
        &alloc,
    ]);
    assert_eq!(exit, 0, "{report}");
    assert_eq!(report["result"], "0x00000000000000000000000000000000000000bb, 5");
    // Reverts with Panic(0x11).
    let (exit, report) = folder.json(&["evm", "run", "634e487b7160e01b600052601160045260246000fd"]);
    assert_eq!((exit, &report["ending"]), (1, &json!("revert")), "{report}");
    assert_eq!(report["reason"], "Panic(0x11): arithmetic overflow or underflow");
    let input = folder.file("input.hex", b"0x0a0b\n");
    let (exit, report) =
        folder.json(&["evm", "run", "365f5260205ff3", "--calldata", &format!("@{input}")]);
    assert_eq!((exit, &report["output"]), (0, &json!(format!("0x{:064x}", 2))), "{report}");
    assert_eq!(folder.json(&["evm", "run", "fe"]).1["reason"], "InvalidFEOpcode");
}
