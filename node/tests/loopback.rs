//! A node on loopback, spoken to over plain TCP: shapes, limits, who is let in, and what comes of broken requests.

use cotenant_host::{Host, Options};
use cotenant_node::{NodeOptions, serve};
use near_crypto::SecretKey;
use near_primitives_core::hash::CryptoHash;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// One node for all tests of this file; it ends with the process.
static NODE: LazyLock<SocketAddr> = LazyLock::new(|| {
    let (told, bound) = channel();
    std::thread::spawn(move || {
        let host = Host::in_memory(&Options::default()).expect("a host");
        let options = NodeOptions {
            listen: vec!["127.0.0.1:0".parse().expect("an address")],
            ..NodeOptions::default()
        };
        let ready = |bound: &cotenant_node::Bound| {
            let _ = told.send(bound.addresses[0]);
        };
        serve(Arc::new(host), options, ready).expect("runs");
    });
    bound.recv_timeout(Duration::from_secs(20)).expect("it listens")
});

fn connect() -> TcpStream {
    let stream = TcpStream::connect(*NODE).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    stream
}

/// Sends a request as it is, and gives status and body.
fn exchange(head: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = connect();
    let length = body.len();
    let head = format!("{head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    // Who refuses a body need not read it.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let status = std::str::from_utf8(&answer[9..12]).expect("a status").parse().expect("a number");
    (status, answer[end + 4..].to_vec())
}

fn post(body: &[u8]) -> (u16, Value) {
    let (status, body) = exchange("POST / HTTP/1.1\r\nhost: localhost", body);
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn call(method: &str, params: Value) -> Value {
    let request = json!({"jsonrpc": "2.0", "id": "a", "method": method, "params": params});
    let (status, answer) = post(request.to_string().as_bytes());
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["id"], "a");
    answer
}

fn result(method: &str, params: Value) -> Value {
    let mut answer = call(method, params);
    assert!(answer.get("error").is_none(), "{answer}");
    answer["result"].take()
}

/// A transfer of `sandbox` to itself, signed.
fn transfer(nonce: u64) -> String {
    let key: SecretKey = cotenant_node::genesis::SECRET_KEY.parse().expect("a key");
    let block = result("block", json!({"finality": "final"}));
    let block: CryptoHash = block["header"]["hash"].as_str().expect("a hash").parse().expect("one");
    let transaction = ("sandbox", key.public_key(), nonce, "sandbox", block.0, 1_u32, 3_u8, 5_u128);
    let mut bytes = borsh::to_vec(&transaction).expect("it fits");
    let signature = key.sign(CryptoHash::hash_bytes(&bytes).as_ref());
    borsh::to_writer(&mut bytes, &signature).expect("it fits");
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn nonce() -> u64 {
    let of = json!({
        "request_type": "view_access_key_list", "finality": "final", "account_id": "sandbox",
    });
    result("query", of)["keys"][0]["access_key"]["nonce"].as_u64().expect("a nonce")
}

#[test]
fn a_transaction_goes_its_way_and_its_nonce_is_used_up() {
    let signed = transfer(nonce() + 1);
    let sent = result("send_tx", json!({"signed_tx_base64": signed, "wait_until": "FINAL"}));
    assert_eq!(sent["status"], json!({"SuccessValue": ""}));
    assert_eq!(sent["final_execution_status"], "FINAL");
    // The same bytes are answered with what came of them.
    let again = result("broadcast_tx_commit", json!([signed]));
    assert_eq!(again["transaction"]["hash"], sent["transaction"]["hash"]);
    let hash = sent["transaction"]["hash"].clone();
    let found = result("EXPERIMENTAL_tx_status", json!([hash, "sandbox"]));
    assert!(found["receipts"].as_array().is_some_and(|all| !all.is_empty()));
    let trace = result("cotenant_trace", json!({"tx_hash": hash}));
    assert_eq!(trace["done"], true);
    // Another transaction with its nonce is not.
    let nonce = sent["transaction"]["nonce"].as_u64().expect("a nonce");
    std::thread::sleep(Duration::from_millis(600));
    let replayed = call("send_tx", json!({"signed_tx_base64": transfer(nonce)}));
    let invalid = &replayed["error"]["data"]["TxExecutionError"]["InvalidTxError"];
    assert!(invalid.get("InvalidNonce").is_some(), "{replayed}");
    let ahead = call("send_tx", json!({"signed_tx_base64": transfer(u64::MAX)}));
    let invalid = &ahead["error"]["data"]["TxExecutionError"]["InvalidTxError"];
    assert!(invalid.get("NonceTooLarge").is_some(), "{ahead}");
}

#[test]
fn what_is_unknown_has_the_names_of_near() {
    let name = |method: &str, params: Value| call(method, params)["error"]["cause"]["name"].clone();
    let account =
        json!({"request_type": "view_account", "finality": "final", "account_id": "no.near"});
    assert_eq!(name("query", account), "UNKNOWN_ACCOUNT");
    let zero = CryptoHash::default().to_string();
    assert_eq!(name("tx", json!([zero, "sandbox"])), "UNKNOWN_TRANSACTION");
    assert_eq!(name("block", json!({"block_id": 4_000_000_000_u64})), "UNKNOWN_BLOCK");
    assert_eq!(name("receipt", json!({"receipt_id": zero})), "UNKNOWN_RECEIPT");
    assert_eq!(name("send_tx", json!(["AAAA"])), "PARSE_ERROR");
    assert_eq!(name("nothing", Value::Null), "METHOD_NOT_FOUND");
    assert_eq!(result("eth_chainId", Value::Null), "0x7a69");
}

#[test]
fn too_much_is_refused_and_the_node_lives() {
    let many = vec![r#"{"jsonrpc":"2.0","id":7,"method":"gas_price"}"#; 10_000].join(",");
    let (status, answers) = post(format!("[{many}]").as_bytes());
    let answers = answers.as_array().expect("a batch").clone();
    assert_eq!((status, answers.len()), (200, 10_000));
    assert_eq!(answers.iter().filter(|one| one.get("result").is_some()).count(), 1_000);
    let (_, deep) = post("[".repeat(100_000).as_bytes());
    assert_eq!(deep["error"]["cause"]["name"], "PARSE_ERROR");
    let (_, broken) = post(b"{\"jsonrpc\":");
    assert_eq!(broken["error"]["cause"]["name"], "PARSE_ERROR");
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 104857600\r\n\r\n";
    let mut stream = connect();
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
    // Those who say nothing keep nobody from being answered.
    let silent: Vec<TcpStream> = (0..200).map(|_| connect()).collect();
    assert_eq!(result("gas_price", json!([null]))["gas_price"], "100000000");
    drop(silent);
}

#[test]
fn pages_of_others_are_not_let_in() {
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"gas_price"}"#;
    let status = |head: &str| exchange(&format!("POST / HTTP/1.1\r\n{head}"), body).0;
    assert_eq!(status("host: localhost:3030"), 200);
    assert_eq!(status("host: evil.example"), 403);
    assert_eq!(status("host: 127.0.0.1\r\norigin: https://evil.example"), 403);
    assert_eq!(status("host: 127.0.0.1\r\norigin: http://localhost:5173"), 200);
    let (status, page) = exchange("GET / HTTP/1.1\r\nhost: localhost", b"");
    assert!(status == 200 && page.starts_with(b"<!doctype html>"));
    let (status, metrics) = exchange("GET /metrics HTTP/1.1\r\nhost: localhost", b"");
    assert!(status == 200 && String::from_utf8_lossy(&metrics).contains("cotenant_block_height"));
}
