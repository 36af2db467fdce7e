//! Accounts, batches, staking for storage, modules.

use super::*;
use crate::action::Permission;

fn modules(world: &Runtime<Scripts>, account: &str) -> Vec<String> {
    world.state().unwrap().modules(&id(account)).unwrap().keys().map(ToString::to_string).collect()
}

fn usage(world: &Runtime<Scripts>, account: &str) -> u64 {
    world.state().unwrap().account(&id(account)).unwrap().unwrap().storage_usage
}

fn code_of(outcome: &TransactionOutcome) -> &str {
    failure_code(outcome.root().unwrap())
}

#[test]
fn the_actions_of_a_receipt_happen_together_or_not_at_all() {
    let world = world(&["alice.near"]);
    let actions = vec![
        deploy("", Visibility::Public, b"code"),
        Action::Transfer { deposit: 3 },
        deploy("broken", Visibility::Public, b"bad code"),
    ];
    let outcome = run(&world, "alice.near", "alice.near", actions);
    let root = outcome.root().unwrap();
    let Status::Failure(failure) = &root.status else { panic!("{root:?}") };
    assert_eq!(failure.code, "DeployError");
    assert_eq!(failure.message, "rule 1: bad code");
    assert_eq!(failure.action_index, Some(2));
    assert_eq!(modules(&world, "alice.near"), Vec::<String>::new());
    assert_eq!(usage(&world, "alice.near"), 100);
    let hash = CryptoHash::hash_bytes(b"code");
    assert_eq!(world.state().unwrap().code(&hash).unwrap(), None);
}

#[test]
fn later_actions_see_earlier_ones() {
    let world = world(&["alice.near"]);
    world.machine().on("alice.near", "look", |guest| {
        let module = guest.state.module(&guest.context.account, &guest.context.namespace).unwrap();
        let seen = guest.read(b"key");
        guest.log(format!("{} {seen:?}", module.unwrap().code_bytes));
        guest.write(b"key", b"v");
    });
    let actions = vec![
        deploy("swap", Visibility::Public, b"code"),
        call("swap:look", b"", 0, 5 * TGAS),
        call("swap:look", b"", 0, 5 * TGAS),
    ];
    let outcome = run(&world, "alice.near", "alice.near", actions);
    assert_eq!(outcome.root().unwrap().logs, ["4 None", "4 Some([118])"]);
}

#[test]
fn an_account_stakes_for_its_storage() {
    let world = world(&["alice.near"]);
    world.ensure_account(&id("poor.near"), NEAR / 10).unwrap();
    world.machine().on("poor.near", "fill", |guest| guest.write(b"key", &vec![0; 20_000]));
    let outcome = run(&world, "alice.near", "poor.near", vec![call("fill", b"", 0, 10 * TGAS)]);
    let root = outcome.root().unwrap();
    let Status::Failure(failure) = &root.status else { panic!("{root:?}") };
    assert_eq!((failure.code.as_str(), failure.action_index), ("LackBalanceForState", None));
    assert_eq!(usage(&world, "poor.near"), 100);
    // 770 bytes need nothing.
    world.ensure_account(&id("zero.near"), 0).unwrap();
    world.machine().on("zero.near", "fill", |guest| {
        let bytes = guest.context.input.len();
        guest.write(b"k", &vec![0; bytes]);
    });
    let fill = |bytes: usize| vec![call("fill", &vec![0; bytes], 0, 10 * TGAS)];
    assert_eq!(code_of(&run(&world, "alice.near", "zero.near", fill(630))), "LackBalanceForState");
    let outcome = run(&world, "alice.near", "zero.near", fill(629));
    assert_eq!(outcome.status(), Some(&Status::SuccessValue(vec![])));
    assert_eq!(usage(&world, "zero.near"), 770);
}

#[test]
fn a_module_counts_its_code_and_outside_the_default_namespace_its_name_and_record() {
    let world = world(&["alice.near"]);
    run(&world, "alice.near", "alice.near", vec![deploy("", Visibility::Public, &[1; 1_000])]);
    assert_eq!(usage(&world, "alice.near"), 1_100);
    run(&world, "alice.near", "alice.near", vec![deploy("swap", Visibility::Private, &[2; 500])]);
    assert_eq!(usage(&world, "alice.near"), 1_100 + 500 + 4 + 40);
    run(&world, "alice.near", "alice.near", vec![deploy("", Visibility::Public, &[3; 10])]);
    assert_eq!(usage(&world, "alice.near"), 110 + 544);
    let state = world.state().unwrap();
    assert_eq!(state.code(&CryptoHash::hash_bytes(&[1; 1_000])).unwrap(), None);
}

#[test]
fn a_deploy_replaces_what_it_says_it_may_and_nothing_else() {
    let kinds = [None, Some(Visibility::Public), Some(Visibility::Private)];
    for there in kinds {
        for visibility in [Visibility::Public, Visibility::Private] {
            for replace in [Replace::Nothing, Replace::Private, Replace::Any] {
                let world = world(&["alice.near"]);
                if let Some(there) = there {
                    run(&world, "alice.near", "alice.near", vec![deploy("x", there, &[1; 500])]);
                }
                let before = (usage(&world, "alice.near"), world.state().unwrap());
                let mode = DeployMode { visibility, replace };
                let outcome =
                    run(&world, "alice.near", "alice.near", vec![deploy_as("x", mode, &[2; 300])]);
                let name = "x".parse().unwrap();
                let found = world.state().unwrap().module(&id("alice.near"), &name).unwrap();
                if there.is_none_or(|there| replace.allows(there)) {
                    assert_eq!(found.unwrap().visibility, visibility);
                    assert_eq!(usage(&world, "alice.near"), 100 + 300 + 1 + 40);
                } else {
                    assert_eq!(code_of(&outcome), "ModuleExists", "{there:?} {mode:?}");
                    assert_eq!(found, before.1.module(&id("alice.near"), &name).unwrap());
                    assert_eq!(usage(&world, "alice.near"), before.0);
                }
            }
        }
    }
}

#[test]
fn code_can_be_named_by_its_hash_once_somebody_has_it() {
    let world = world(&["alice.near", "bob.near"]);
    let hash = CryptoHash::hash_bytes(b"code");
    let named = |namespace: &str, bytes: u64| {
        let mode = DeployMode { visibility: Visibility::Private, replace: Replace::Any };
        let namespace = namespace.parse().unwrap();
        vec![Action::DeployModule { namespace, mode, code: Code::Hash { hash, bytes } }]
    };
    let by_hash = |namespace: &str| named(namespace, 4);
    assert_eq!(code_of(&run(&world, "bob.near", "bob.near", by_hash("x"))), "UnknownCodeHash");
    run(&world, "alice.near", "alice.near", vec![deploy("", Visibility::Public, b"code")]);
    for wrong in [0, 3, 5] {
        let outcome = run(&world, "bob.near", "bob.near", named("x", wrong));
        assert_eq!(code_of(&outcome), "WrongCodeLength");
    }
    run(&world, "bob.near", "bob.near", by_hash("x"));
    assert_eq!(modules(&world, "bob.near"), ["x"]);
    assert_eq!(usage(&world, "bob.near"), 100 + 4 + 1 + 40);
    let default = run(&world, "bob.near", "bob.near", by_hash(""));
    assert_eq!(code_of(&default), "DefaultNamespaceMustBePublic");
}

#[test]
fn replacing_keeps_the_storage_and_removing_says_what_becomes_of_it() {
    let world = world(&["alice.near"]);
    world.machine().on("alice.near", "fill", |guest| guest.write(b"key", b"value"));
    let swap: Namespace = "swap".parse().unwrap();
    let value = || world.state().unwrap().value(&id("alice.near"), &swap, b"key").unwrap();
    let fill =
        vec![deploy("swap", Visibility::Public, b"one"), call("swap:fill", b"", 0, 5 * TGAS)];
    run(&world, "alice.near", "alice.near", fill);
    run(&world, "alice.near", "alice.near", vec![deploy("swap", Visibility::Public, b"two")]);
    assert!(value().is_some());
    let remove = |keep_storage| {
        vec![Action::RemoveModule { namespace: "swap".parse().unwrap(), keep_storage }]
    };
    run(&world, "alice.near", "alice.near", remove(true));
    assert!(value().is_some());
    assert_eq!(usage(&world, "alice.near"), 100 + 48);
    assert_eq!(
        code_of(&run(&world, "alice.near", "alice.near", remove(false))),
        "ModuleDoesNotExist"
    );
    run(&world, "alice.near", "alice.near", vec![deploy("swap", Visibility::Public, b"three")]);
    run(&world, "alice.near", "alice.near", remove(false));
    assert_eq!(value(), None);
    assert_eq!(usage(&world, "alice.near"), 100);
}

#[test]
fn much_storage_is_not_removed_at_a_fixed_price() {
    let world = world(&["alice.near"]);
    world.machine().on("alice.near", "fill", |guest| guest.write(b"key", &vec![0; 10_000]));
    let fill =
        vec![deploy("swap", Visibility::Public, b"one"), call("swap:fill", b"", 0, 5 * TGAS)];
    run(&world, "alice.near", "alice.near", fill);
    let remove = Action::RemoveModule { namespace: "swap".parse().unwrap(), keep_storage: false };
    let outcome = run(&world, "alice.near", "alice.near", vec![remove]);
    assert_eq!(code_of(&outcome), "RemoveModuleWithLargeState");
    let delete = Action::DeleteAccount { beneficiary: id("bob.near") };
    let outcome = run(&world, "alice.near", "alice.near", vec![delete]);
    assert_eq!(code_of(&outcome), "DeleteAccountWithLargeState");
}

#[test]
fn what_is_an_accounts_own_is_done_by_itself_alone() {
    let world = world(&["alice.near", "bob.near"]);
    let public_key = PublicKey::empty(KeyType::ED25519);
    let permission = Permission::FullAccess;
    for action in [
        deploy("", Visibility::Public, b"code"),
        Action::RemoveModule { namespace: Namespace::DEFAULT, keep_storage: true },
        Action::Stake { amount: 1, public_key: public_key.clone() },
        Action::AddKey { public_key: public_key.clone(), permission },
        Action::DeleteKey { public_key },
        Action::DeleteAccount { beneficiary: id("alice.near") },
    ] {
        let outcome = run(&world, "alice.near", "bob.near", vec![action]);
        assert_eq!(code_of(&outcome), "ActorNoPermission");
    }
}

#[test]
fn who_creates_an_account_sets_it_up_in_the_same_batch() {
    let world = world(&["alice.near"]);
    let create = || Action::CreateAccount;
    let actions =
        vec![create(), Action::Transfer { deposit: NEAR }, deploy("", Visibility::Public, b"code")];
    run(&world, "alice.near", "sub.alice.near", actions);
    assert_eq!(modules(&world, "sub.alice.near"), [""]);
    let again = run(&world, "alice.near", "sub.alice.near", vec![create()]);
    assert_eq!(code_of(&again), "AccountAlreadyExists");
    let other = run(&world, "alice.near", "sub.bob.near", vec![create()]);
    assert_eq!(code_of(&other), "CreateAccountNotAllowed");
    let top = run(&world, "alice.near", "short", vec![create()]);
    assert_eq!(code_of(&top), "CreateAccountOnlyByRegistrar");
    let missing = run(&world, "alice.near", "nobody.near", vec![Action::Transfer { deposit: 1 }]);
    assert_eq!(code_of(&missing), "AccountDoesNotExist");
}

#[test]
fn a_deleted_account_leaves_nothing_behind() {
    let world = world(&["alice.near", "bob.near"]);
    world.machine().on("alice.near", "fill", |guest| guest.write(b"key", b"value"));
    let actions = vec![
        deploy("", Visibility::Public, b"code"),
        deploy("swap", Visibility::Public, b"code"),
        call("swap:fill", b"", 0, 5 * TGAS),
        Action::AddKey {
            public_key: PublicKey::empty(KeyType::ED25519),
            permission: Permission::FullAccess,
        },
    ];
    run(&world, "alice.near", "alice.near", actions);
    assert_eq!(usage(&world, "alice.near"), 100 + 4 + 48 + 48 + 33 + 9 + 40);
    let before = balance(&world, "bob.near");
    let delete = Action::DeleteAccount { beneficiary: id("bob.near") };
    run(&world, "alice.near", "alice.near", vec![delete]);
    assert!(balance(&world, "bob.near") > before + 990 * NEAR);
    let state = world.state().unwrap();
    let mut left = 0;
    for prefix in
        [state_keys::storage_of_account(&id("alice.near")), state_keys::modules(&id("alice.near"))]
    {
        let count = |_: &[u8], _: &[u8]| {
            left += 1;
            Ok(ControlFlow::Continue(()))
        };
        state.scan(&prefix, count).unwrap();
    }
    assert_eq!(left, 0);
    assert_eq!(state.access_keys(&id("alice.near")).unwrap(), []);
    assert_eq!(state.code(&CryptoHash::hash_bytes(b"code")).unwrap(), None);
    assert_eq!(state.account(&id("alice.near")).unwrap(), None);
}

#[test]
fn locked_balance_counts_for_storage_and_keeps_its_account() {
    let world = world(&["alice.near"]);
    let public_key = PublicKey::empty(KeyType::ED25519);
    let stake = |amount| vec![Action::Stake { amount, public_key: public_key.clone() }];
    run(&world, "alice.near", "alice.near", stake(900 * NEAR));
    let account = world.state().unwrap().account(&id("alice.near")).unwrap().unwrap();
    assert_eq!(account.locked, 900 * NEAR);
    assert_eq!(
        code_of(&run(&world, "alice.near", "alice.near", stake(2_000 * NEAR))),
        "TriesToStake"
    );
    let delete = vec![Action::DeleteAccount { beneficiary: id("alice.near") }];
    assert_eq!(code_of(&run(&world, "alice.near", "alice.near", delete)), "DeleteAccountStaking");
    run(&world, "alice.near", "alice.near", stake(0));
    assert_eq!(code_of(&run(&world, "alice.near", "alice.near", stake(0))), "TriesToUnstake");
    assert!(balance(&world, "alice.near") > 999 * NEAR);
}

#[test]
fn a_view_changes_nothing() {
    let world = world(&["alice.near"]);
    world.machine().on("alice.near", "look", |guest| {
        assert!(guest.context.view);
        guest.write(b"key", b"value");
        guest.returns(b"seen");
    });
    let digest = world.digest().unwrap();
    let seen = world.view(&id("alice.near"), &Namespace::DEFAULT, "look", b"", 300 * TGAS).unwrap();
    assert_eq!(seen.return_data, ReturnData::Value(b"seen".to_vec()));
    assert_eq!(world.digest().unwrap(), digest);
    let error =
        world.view(&id("bob.near"), &Namespace::DEFAULT, "look", b"", 300 * TGAS).unwrap_err();
    assert!(matches!(error, RuntimeError::Invalid(InvalidTransaction::AccountDoesNotExist { .. })));
}

#[test]
fn a_method_of_no_namespace_fails_its_receipt() {
    let world = world(&["alice.near"]);
    let outcome = run(&world, "alice.near", "alice.near", vec![call("../x:run", b"", 0, 5 * TGAS)]);
    assert_eq!(code_of(&outcome), "InvalidNamespace");
}
