//! Accounts, keys, modules that go, blocks that pass, outcomes that stay.

use crate::Folder;
use serde_json::{Value, json};

const KEY: &str = "ed25519:6E8sCci9badyRkXb3JoRpBj5p8C6Tw41ELDZoiihKEtp";

#[test]
fn balances_move_between_accounts_that_were_created() {
    let folder = Folder::new();
    let (exit, alice) = folder.json(&["account", "create", "alice.near", "--balance", "5 NEAR"]);
    assert_eq!((exit, &alice["created"]), (0, &json!(true)), "{alice}");
    let (exit, again) = folder.json(&["account", "create", "alice.near"]);
    assert_eq!((exit, &again["error"]["code"]), (2, &json!("AccountAlreadyExists")));
    assert_eq!(folder.json(&["account", "create", "bob.near", "--balance", "1 NEAR"]).0, 0);
    let (exit, sent) = folder.json(&["transfer", "alice.near", "bob.near", "2 NEAR"]);
    assert_eq!((exit, &sent["ok"]), (0, &json!(true)), "{sent}");
    let (_, bob) = folder.json(&["account", "balance", "bob.near"]);
    assert_eq!(bob["balance"], "3000000000000000000000000");
    assert_eq!(folder.json(&["transfer", "alice.near", "bo.near", "2 NEAR"]).0, 2);
    let implicit = "4e0b2a5b1c7d4e0b2a5b1c7d4e0b2a5b1c7d4e0b2a5b1c7d4e0b2a5b1c7d1122";
    assert_eq!(folder.json(&["transfer", "bob.near", implicit, "1 NEAR"]).0, 0);
    assert_eq!(
        folder.json(&["keys", "list", implicit]).1["keys"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(folder.json(&["transfer", "alice.near", "bob.near", "2000 NEAR"]).0, 2);
    let (_, list) = folder.json(&["account", "list"]);
    assert_eq!(list["accounts"].as_array().map(Vec::len), Some(3), "{list}");

    let hash = sent["transaction"].as_str().expect("a hash");
    let (exit, kept) = folder.json(&["receipts", &hash[..12]]);
    assert_eq!((exit, &kept), (0, &sent));
    assert!(folder.run(&["receipts", hash]).stdout.contains("bob.near"));
    assert_eq!(folder.json(&["receipts", "zzz"]).1["error"]["code"], "UnknownTransaction");
}

#[test]
fn keys_are_added_listed_and_removed_with_their_namespaces() {
    let folder = Folder::new();
    assert_eq!(folder.json(&["account", "create", "a.near"]).0, 0);
    let limited = ["--receiver", "shop.near", "--namespaces", "cart,till", "--methods", "buy"];
    let (exit, added) = folder.json(&[&["keys", "add", "a.near", KEY], &limited[..]].concat());
    assert_eq!(exit, 0, "{added}");
    let (_, list) = folder.json(&["keys", "list", "a.near"]);
    assert_eq!(list["keys"][0]["public_key"], KEY);
    let call = &list["keys"][0]["permission"]["FunctionCall"];
    assert_eq!(
        (&call["receiver_id"], &call["namespaces"], &call["method_names"]),
        (&json!("shop.near"), &json!(["cart", "till"]), &json!(["buy"]))
    );
    assert_eq!(call["allowance"], Value::Null);
    let (exit, twice) = folder.json(&["keys", "add", "a.near", KEY]);
    assert_eq!((exit, &twice["error"]["code"]), (1, &json!("AddKeyAlreadyExists")), "{twice}");
    assert_eq!(folder.json(&["keys", "remove", "a.near", KEY]).0, 0);
    assert_eq!(folder.json(&["keys", "add", "a.near", KEY]).0, 0);
    let (_, list) = folder.json(&["keys", "list", "a.near"]);
    assert_eq!(list["keys"][0]["permission"], "FullAccess");
    assert_eq!(folder.json(&["keys", "add", "a.near", "ed25519:short"]).0, 2);
}

#[test]
fn storage_is_shown_and_stays_or_goes_with_its_module() {
    let folder = Folder::new();
    folder.deploy("c.near", cotenant_contracts::counter(), &[]);
    assert_eq!(folder.json(&["call", "c.near", "new"]).0, 0);
    let values = || folder.json(&["state", "view", "c.near"]).1["values"].clone();
    assert_eq!(values()[0]["key_base64"], "U1RBVEU=");
    assert_eq!(folder.json(&["state", "view", "c.near", "--prefix", "X"]).1["values"], json!([]));
    let (exit, removed) = folder.json(&["remove", "c.near"]);
    assert_eq!(exit, 0, "{removed}");
    assert_eq!(values().as_array().map(Vec::len), Some(1));
    folder.deploy("c.near", cotenant_contracts::counter(), &[]);
    assert_eq!(folder.json(&["remove", "c.near", "--drop-storage"]).0, 0);
    assert_eq!(values(), json!([]));
    assert_eq!(folder.json(&["modules", "c.near"]).1["modules"], json!([]));
}

#[test]
fn blocks_pass() {
    let folder = Folder::new();
    assert_eq!(folder.json(&["account", "create", "a.near"]).0, 0);
    let (exit, before) = folder.json(&["blocks", "head"]);
    let (_, after) = folder.json(&["blocks", "advance", "200"]);
    let height = |report: &Value| report["height"].as_u64().expect("a height");
    assert_eq!((exit, height(&after)), (0, height(&before) + 200));
}
