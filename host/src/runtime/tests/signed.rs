//! Signed transactions: who is taken, in which order refusals come, delegate actions, implicit accounts.

use super::*;
use crate::action::Permission;
use crate::near::{Delegate, SignedTransaction};
use near_crypto::{SecretKey, Signature};
use serde_json::json;

/// The key of near-api-js' tests.
pub(super) fn secret() -> SecretKey {
    let key = "ed25519:3hoMW1HvnRLSFCLZnvPzWeoGwtdHzke34B2cTHM8rhcbG3TbuLKtShTv3DvyejnXKXKBiV7YPkLeqUHN1ghnqpFv";
    key.parse().unwrap()
}

/// A world that keeps history, in which alice has the key.
pub(super) fn world_with_key(accounts: &[&str]) -> Runtime<Scripts> {
    let world = world(accounts);
    start(&world, Permission::FullAccess);
    world
}

pub(super) fn start(world: &Runtime<Scripts>, permission: Permission) {
    world.keep_history().unwrap();
    let add = Action::AddKey { public_key: secret().public_key(), permission };
    run(world, "alice.near", "alice.near", vec![add]);
}

pub(super) fn base(world: &Runtime<Scripts>) -> CryptoHash {
    world.header(BlockReference::Head).unwrap().unwrap().hash
}

/// NEAR's encoding of actions that tests use.
fn encode(action: &Action) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |part: &dyn Fn(&mut Vec<u8>)| part(&mut bytes);
    match action {
        Action::CreateAccount => put(&|bytes| bytes.push(0)),
        Action::FunctionCall { method, args, deposit, gas, .. } => put(&|bytes| {
            bytes.push(2);
            bytes.extend(borsh::to_vec(&(method, args, gas, deposit)).unwrap());
        }),
        Action::Transfer { deposit } => put(&|bytes| {
            bytes.push(3);
            bytes.extend(deposit.to_le_bytes());
        }),
        Action::Delegate(delegate) => put(&|bytes| {
            bytes.push(8);
            bytes.extend(encode_delegate(delegate));
            bytes.extend(borsh::to_vec(&delegate.signature).unwrap());
        }),
        other => panic!("{other:?}"),
    }
    bytes
}

fn encode_delegate(delegate: &Delegate) -> Vec<u8> {
    let Delegate { sender, receiver, actions, nonce, max_block_height, public_key, .. } = delegate;
    let mut bytes = borsh::to_vec(&(sender, receiver, actions.len() as u32)).unwrap();
    actions.iter().for_each(|action| bytes.extend(encode(action)));
    bytes.extend(borsh::to_vec(&(nonce, max_block_height, public_key)).unwrap());
    bytes
}

pub(super) fn sign(
    signer: &str,
    receiver: &str,
    nonce: u64,
    base: CryptoHash,
    actions: &[Action],
) -> SignedTransaction {
    let key = secret();
    let mut bytes =
        borsh::to_vec(&(id(signer), key.public_key(), nonce, id(receiver), base)).unwrap();
    bytes.extend((actions.len() as u32).to_le_bytes());
    actions.iter().for_each(|action| bytes.extend(encode(action)));
    let signature = key.sign(CryptoHash::hash_bytes(&bytes).as_ref());
    bytes.extend(borsh::to_vec(&signature).unwrap());
    SignedTransaction::of_bytes(&bytes).unwrap()
}

fn nonce(world: &Runtime<Scripts>) -> u64 {
    let key = world.state().unwrap().access_key(&id("alice.near"), &secret().public_key());
    key.unwrap().unwrap().nonce
}

/// A time that no function of the height gives.
pub(super) fn now(world: &Runtime<Scripts>) -> u64 {
    world.head().unwrap().timestamp + 77
}

/// Makes blocks until nothing is on its way. Gives the first one and all receipts that ran.
pub(super) fn settle(
    world: &Runtime<Scripts>,
    transactions: &[SignedTransaction],
) -> (BlockOutcome, Vec<ReceiptOutcome>) {
    let first = world.make_block(now(world), transactions).unwrap();
    let mut ran = first.receipts.clone();
    while !world.is_idle().unwrap() {
        ran.extend(world.make_block(now(world), &[]).unwrap().receipts);
    }
    (first, ran)
}

fn refusal(world: &Runtime<Scripts>, signed: &SignedTransaction) -> serde_json::Value {
    let digest = world.digest().unwrap();
    let checked = match world.check(signed) {
        Err(RuntimeError::Invalid(invalid)) => invalid,
        other => panic!("{other:?}"),
    };
    assert_eq!(world.digest().unwrap(), digest);
    let block = world.make_block(now(world), std::slice::from_ref(signed)).unwrap();
    assert_eq!(block.transactions[0].as_ref().unwrap_err(), &checked);
    assert!(block.receipts.is_empty());
    checked.to_near()
}

#[test]
fn a_signed_transfer_moves_money_and_its_nonce_becomes_the_keys() {
    let world = world_with_key(&["alice.near", "bob.near"]);
    let (start, before) = (nonce(&world), balance(&world, "bob.near"));
    let transfer = [Action::Transfer { deposit: 5 }];
    let signed = sign("alice.near", "bob.near", start + 700, base(&world), &transfer);
    world.check(&signed).unwrap();
    let all = tokens(&world);
    let (block, ran) = settle(&world, std::slice::from_ref(&signed));
    let taken = block.transactions[0].as_ref().unwrap();
    assert_eq!(taken.hash, signed.hash());
    assert_eq!(taken.receipt, crate::near::receipt_id(&signed.hash(), block.header.height, 0));
    assert_eq!(balance(&world, "bob.near"), before + 5);
    assert_eq!(nonce(&world), start + 700);
    assert_eq!(tokens(&world) as i128, all as i128 - lost(&ran) - taken.tokens_burnt as i128);
    assert_eq!((block.header.transactions, block.header.receipts), (1, 0));
    // The receipt a block later, for another account; the refund one after that.
    assert_eq!(ran[0].block_height, block.header.height + 1);
    assert!(ran[1..].iter().all(ReceiptOutcome::is_refund));
}

#[test]
fn refusals_come_in_nears_order_and_words() {
    let world = world_with_key(&["alice.near", "bob.near"]);
    let at = nonce(&world);
    let transfer = |deposit| vec![Action::Transfer { deposit }];
    let sign_at =
        |nonce, deposit| sign("alice.near", "bob.near", nonce, base(&world), &transfer(deposit));
    assert_eq!(
        refusal(&world, &sign_at(at, 1)),
        json!({"InvalidNonce": {"tx_nonce": at, "ak_nonce": at}})
    );
    let bound = (world.head().unwrap().height + 1) * 1_000_000;
    assert_eq!(
        refusal(&world, &sign_at(bound + 5_000_000, 1))["NonceTooLarge"]["tx_nonce"],
        bound + 5_000_000
    );
    let poor = refusal(&world, &sign_at(at + 1, 2_000 * NEAR));
    assert_eq!(poor["NotEnoughBalance"]["signer_id"], "alice.near");
    assert!(poor["NotEnoughBalance"]["cost"].is_string());
    let unknown =
        sign("alice.near", "bob.near", at + 1, CryptoHash::hash_bytes(b"x"), &transfer(1));
    assert_eq!(refusal(&world, &unknown), json!("Expired"));
    let mut bytes = sign_at(at + 1, 1).bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let forged = SignedTransaction::of_bytes(&bytes).unwrap();
    assert_eq!(refusal(&world, &forged), json!("InvalidSignature"));
    let stranger = sign("bob.near", "bob.near", 1, base(&world), &transfer(1));
    assert_eq!(
        refusal(&world, &stranger)["InvalidAccessKeyError"]["AccessKeyNotFound"]["account_id"],
        "bob.near"
    );
    let nobody = sign("nobody.near", "bob.near", 1, base(&world), &transfer(1));
    assert_eq!(
        refusal(&world, &nobody),
        json!({"SignerDoesNotExist": {"signer_id": "nobody.near"}})
    );
    // Too old: the base is a day of blocks behind.
    let old = sign_at(at + 1, 1);
    world.advance_blocks(VALIDITY_BLOCKS + 10).unwrap();
    assert_eq!(refusal(&world, &old), json!("Expired"));
}

#[test]
fn a_transaction_is_taken_once_and_others_of_its_block_do_not_mind() {
    let world = world_with_key(&["alice.near", "bob.near"]);
    let at = nonce(&world);
    let pay = |nonce| {
        sign("alice.near", "bob.near", nonce, base(&world), &[Action::Transfer { deposit: 1 }])
    };
    let list = [pay(at + 1), pay(at + 1), pay(at + 3), pay(at + 2)];
    let before = balance(&world, "bob.near");
    let (block, _) = settle(&world, &list);
    let taken: Vec<bool> = block.transactions.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, true, false]);
    assert_eq!(balance(&world, "bob.near"), before + 2);
    assert_eq!(block.header.transactions, 2);
}

#[test]
fn a_limited_key_spends_its_allowance_before_its_permission_is_asked() {
    let world = world(&["alice.near", "bob.near"]);
    let permission = Permission::FunctionCall {
        allowance: Some(NEAR / 100),
        receiver: id("bob.near"),
        methods: vec!["run".into()],
        namespaces: crate::action::NamespaceScope::Named,
    };
    start(&world, permission);
    world.machine().on("bob.near", "run", |_| {});
    let at = nonce(&world);
    let run_with = |nonce, method: &str, gas| {
        sign("alice.near", "bob.near", nonce, base(&world), &[call(method, b"", 0, gas)])
    };
    let short = refusal(&world, &run_with(at + 1, "stop", 900 * TGAS));
    assert!(short["InvalidAccessKeyError"]["NotEnoughAllowance"]["allowance"].is_string());
    assert_eq!(
        refusal(&world, &run_with(at + 1, "stop", TGAS)),
        json!({"InvalidAccessKeyError": {"MethodNameMismatch": {"method_name": "stop"}}})
    );
    let (block, _) = settle(&world, &[run_with(at + 1, "run", 2 * TGAS)]);
    assert!(block.transactions[0].is_ok());
}

#[test]
fn a_receipt_to_the_signer_runs_in_the_transactions_block() {
    let world = world_with_key(&["alice.near", "bob.near"]);
    world.machine().on("alice.near", "run", |guest| {
        guest.promise("bob.near", &[], vec![Action::Transfer { deposit: 1 }]);
    });
    let at = nonce(&world);
    let signed =
        sign("alice.near", "alice.near", at + 1, base(&world), &[call("run", b"", 0, 9 * TGAS)]);
    let time = now(&world);
    let (block, ran) = settle(&world, &[signed]);
    assert_eq!((ran[0].block_height, ran[0].block_timestamp), (block.header.height, time));
    assert_eq!(block.header.receipts, 1);
    assert_eq!(ran[1].block_height, block.header.height + 1);
}

#[test]
fn a_transfer_to_a_key_in_hex_makes_its_account() {
    let world = world_with_key(&["alice.near"]);
    let PublicKey::ED25519(key) = secret().public_key() else { panic!() };
    let implicit: String = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let at = nonce(&world);
    let transfer = [Action::Transfer { deposit: NEAR }];
    let all = tokens(&world);
    let (block, ran) =
        settle(&world, &[sign("alice.near", &implicit, at + 1, base(&world), &transfer)]);
    let burnt = block.transactions[0].as_ref().unwrap().tokens_burnt as i128;
    assert_eq!(tokens(&world) as i128, all as i128 - lost(&ran) - burnt);
    let state = world.state().unwrap();
    let account = state.account(&id(&implicit)).unwrap().unwrap();
    assert_eq!((account.balance, account.storage_usage), (NEAR, 182));
    let key = state.access_key(&id(&implicit), &secret().public_key()).unwrap().unwrap();
    assert_eq!(key.permission, Permission::FullAccess);
    assert_eq!(key.nonce, (ran[0].block_height - 1) * 1_000_000);
    // Its key signs for it, and a second transfer makes nothing new.
    let back = sign(&implicit, "alice.near", key.nonce + 1, base(&world), &transfer[..0]);
    let again = sign("alice.near", &implicit, at + 2, base(&world), &transfer);
    let (block, _) = settle(&world, &[back, again]);
    assert!(block.transactions.iter().all(Result::is_ok), "{:?}", block.transactions);
    assert!(balance(&world, &implicit) > NEAR * 19 / 10);
    // Together with anything else, and for accounts of Ethereum's kind, there is nothing to transfer to.
    let missing = "0x1234567890123456789012345678901234567890";
    let other = "aa".repeat(32);
    for (receiver, actions) in [
        (missing, vec![Action::Transfer { deposit: 1 }]),
        (&other, vec![Action::Transfer { deposit: 1 }, Action::Transfer { deposit: 1 }]),
    ] {
        let outcome = run(&world, "alice.near", receiver, actions);
        assert_eq!(failure_code(outcome.root().unwrap()), "AccountDoesNotExist");
    }
}

/// What alice has signed for somebody else to send.
fn delegate(nonce: u64, max_block_height: u64, receiver: &str, actions: Vec<Action>) -> Delegate {
    let mut delegate = Delegate {
        sender: id("alice.near"),
        receiver: id(receiver),
        actions,
        nonce,
        max_block_height,
        public_key: secret().public_key(),
        signature: Signature::empty(KeyType::ED25519),
        hash: CryptoHash::default(),
    };
    delegate.hash = crate::near::delegate_hash(&encode_delegate(&delegate));
    delegate.signature = secret().sign(delegate.hash.as_ref());
    delegate
}

fn relay(world: &Runtime<Scripts>, delegate: Delegate) -> TransactionOutcome {
    run(world, "relay.near", "alice.near", vec![Action::Delegate(Box::new(delegate))])
}

#[test]
fn a_relayer_pays_and_the_sender_acts() {
    let world = world_with_key(&["alice.near", "bob.near", "relay.near"]);
    world.machine().on("bob.near", "run", |guest| {
        assert_eq!(guest.context.predecessor, id("alice.near"));
        assert_eq!(guest.context.signer, id("relay.near"));
        assert_eq!(guest.context.deposit, 7);
    });
    let at = nonce(&world);
    let before = balance(&world, "alice.near");
    let all = tokens(&world);
    let outcome = relay(&world, delegate(at + 1, 100, "bob.near", vec![call("run", b"", 7, TGAS)]));
    assert!(outcome.receipts.iter().all(|one| !matches!(one.status, Status::Failure(_))));
    assert_eq!(balance(&world, "alice.near"), before);
    assert_eq!(nonce(&world), at + 1);
    assert_eq!(tokens(&world) as i128, all as i128 - lost_in(&outcome));
    let inner = outcome.receipts.iter().find(|one| one.receiver == id("bob.near")).unwrap();
    assert_eq!(inner.predecessor, id("alice.near"));
    let refunds = outcome.receipts.iter().filter(|one| one.is_refund());
    assert!(refunds.clone().count() > 0);
    refunds.for_each(|one| assert_eq!(one.receiver, id("relay.near")));
}

#[test]
fn a_deposit_of_a_delegate_action_that_fails_later_is_the_senders() {
    let world = world_with_key(&["alice.near", "bob.near", "relay.near"]);
    let (at, before, all) = (nonce(&world), balance(&world, "alice.near"), tokens(&world));
    let outcome =
        relay(&world, delegate(at + 1, 100, "bob.near", vec![call("none", b"", NEAR, TGAS)]));
    assert_eq!(balance(&world, "alice.near"), before + NEAR);
    assert_eq!(tokens(&world) as i128, all as i128 - lost_in(&outcome));
}

#[test]
fn delegate_actions_are_refused_in_nears_order_and_words() {
    let world = world_with_key(&["alice.near", "bob.near", "relay.near"]);
    let at = nonce(&world);
    let pay = || vec![Action::Transfer { deposit: 1 }];
    let cases: Vec<(Delegate, &str)> = vec![
        (
            Delegate {
                nonce: at + 9,
                hash: CryptoHash::default(),
                ..delegate(at, 9, "bob.near", pay())
            },
            "DelegateActionInvalidSignature",
        ),
        (delegate(at + 1, 1, "bob.near", pay()), "DelegateActionExpired"),
        (delegate(at, 1_000, "bob.near", pay()), "DelegateActionInvalidNonce"),
        (delegate(at + 900_000_000, 1_000, "bob.near", pay()), "DelegateActionNonceTooLarge"),
    ];
    for (delegate, expected) in cases {
        let all = tokens(&world);
        let outcome = relay(&world, delegate);
        let root = outcome.root().unwrap();
        assert_eq!(failure_code(root), expected);
        let Status::Failure(failure) = &root.status else { panic!() };
        let near = failure.to_near();
        assert!(near["ActionError"]["kind"].to_string().contains(expected), "{near}");
        assert_eq!(nonce(&world), at);
        assert_eq!(tokens(&world) as i128, all as i128 - lost_in(&outcome));
    }
    // To somebody else than its sender.
    let stray = Action::Delegate(Box::new(delegate(at + 1, 1_000, "bob.near", pay())));
    let outcome = run(&world, "relay.near", "bob.near", vec![stray.clone()]);
    let code = "DelegateActionSenderDoesNotMatchTxReceiver";
    assert_eq!(failure_code(outcome.root().unwrap()), code);
    // Two of them, and one of what is not carried out.
    let two = from_to("relay.near", "alice.near", vec![stray.clone(), stray]);
    let error = world.execute(&two).unwrap_err().to_string();
    assert!(error.contains("more than one delegate"), "{error}");
    let gas_key = Action::Unsupported { name: "TransferToGasKey".into(), deposit: 1 };
    let hidden = delegate(at + 1, 1_000, "bob.near", Vec::new());
    let hidden = Action::Delegate(Box::new(Delegate { actions: vec![gas_key], ..hidden }));
    let error = world.execute(&from_to("relay.near", "alice.near", vec![hidden])).unwrap_err();
    assert!(error.to_string().contains("TransferToGasKey"), "{error}");
}
