//! Access keys: what they allow, and the allowance they spend.

use super::*;
use crate::action::{NamespaceScope, Permission};
use cotenant_submodules::Namespace;
use near_crypto::ED25519PublicKey;

fn key(byte: u8) -> PublicKey {
    PublicKey::ED25519(ED25519PublicKey([byte; 32]))
}

fn limited(allowance: Option<u128>, methods: &[&str], namespaces: &[&str]) -> Permission {
    Permission::FunctionCall {
        allowance,
        receiver: id("bob.near"),
        methods: methods.iter().map(ToString::to_string).collect(),
        namespaces: listed(namespaces).into(),
    }
}

fn listed(namespaces: &[&str]) -> Vec<Namespace> {
    namespaces.iter().map(|text| text.parse().unwrap()).collect()
}

fn world_with(permission: Permission) -> Runtime<Scripts> {
    let world = world(&["alice.near", "bob.near"]);
    for method in ["run", "stop"] {
        world.machine().on("bob.near", method, |_| {});
    }
    let add = Action::AddKey { public_key: key(1), permission };
    let outcome = run(&world, "alice.near", "alice.near", vec![add]);
    assert_eq!(outcome.status(), Some(&Status::SuccessValue(vec![])));
    world
}

fn signed(receiver: &str, actions: Vec<Action>) -> Transaction {
    Transaction { signer_key: Some(key(1)), ..from_to("alice.near", receiver, actions) }
}

fn refused(world: &Runtime<Scripts>, transaction: &Transaction) -> InvalidTransaction {
    let digest = world.digest().unwrap();
    match world.execute(transaction) {
        Err(RuntimeError::Invalid(error)) => {
            assert_eq!(world.digest().unwrap(), digest);
            error
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_limited_to_its_namespaces() {
    let world = world_with(limited(None, &[], &["swap", ""]));
    let run = |method: &str| signed("bob.near", vec![call(method, b"", 0, 5 * TGAS)]);
    assert!(world.execute(&run("swap:run")).is_ok());
    assert!(world.execute(&run("run")).is_ok());
    let error = refused(&world, &run("other:run"));
    assert!(matches!(error, InvalidTransaction::NamespaceMismatch { .. }), "{error}");
    let error = refused(&world, &run("Swap:run"));
    assert!(matches!(error, InvalidTransaction::MethodNameMismatch { .. }), "{error}");
}

fn scoped(methods: &[&str], namespaces: NamespaceScope) -> Permission {
    let methods = methods.iter().map(ToString::to_string).collect();
    Permission::FunctionCall { allowance: None, receiver: id("bob.near"), methods, namespaces }
}

/// What a key reaches, said once more by enumeration: names of modules and methods that look alike, and none.
#[test]
fn a_key_reaches_what_its_names_say_with_the_namespace_in_them() {
    const CALLED: [&str; 13] = [
        "vote",
        ":vote",
        "swap:vote",
        "swap:quote",
        "swap_:vote",
        "swa:vote",
        "treasury:vote",
        "*",
        ":*",
        "swap:*",
        "swap:vote:x",
        "Swap:vote",
        "vote:swap",
    ];
    let all = |called: &&str| !called.starts_with("Swap");
    type Reaches = Box<dyn Fn(&&str) -> bool>;
    let cases: [(&[&str], NamespaceScope, Reaches); 13] = [
        (
            &[],
            NamespaceScope::Named,
            Box::new(|called| matches!(*called, "vote" | ":vote" | "*" | ":*")),
        ),
        (&["vote"], NamespaceScope::Named, Box::new(|called| matches!(*called, "vote" | ":vote"))),
        (&[":vote"], NamespaceScope::Named, Box::new(|called| matches!(*called, "vote" | ":vote"))),
        (&["swap:vote"], NamespaceScope::Named, Box::new(|called| *called == "swap:vote")),
        (&["swap:*"], NamespaceScope::Named, Box::new(|called| called.starts_with("swap:"))),
        (
            &[":*"],
            NamespaceScope::Named,
            Box::new(|called| matches!(*called, "vote" | ":vote" | "*" | ":*")),
        ),
        // A method of this name, and no pattern: only a whole module has one.
        (&["*"], NamespaceScope::Named, Box::new(|called| matches!(*called, "*" | ":*"))),
        (&["*:vote", "*:*", "swap:v*", "Swap:*"], NamespaceScope::Named, Box::new(|_| false)),
        (
            &["vote", "treasury:*"],
            NamespaceScope::Named,
            Box::new(|called| matches!(*called, "vote" | ":vote" | "treasury:vote")),
        ),
        (&[], NamespaceScope::All, Box::new(all)),
        (
            &["vote"],
            NamespaceScope::All,
            Box::new(|called| {
                matches!(
                    *called,
                    "vote" | ":vote" | "swap:vote" | "swap_:vote" | "swa:vote" | "treasury:vote"
                )
            }),
        ),
        (
            &["vote"],
            NamespaceScope::Listed(listed(&["swap"])),
            Box::new(|called| *called == "swap:vote"),
        ),
        (&[], NamespaceScope::Listed(vec![]), Box::new(|_| false)),
    ];
    for (methods, scope, reaches) in cases {
        let methods: Vec<String> = methods.iter().map(ToString::to_string).collect();
        for called in CALLED {
            let found = scope.check(&methods, called);
            assert_eq!(
                found.is_ok(),
                reaches(&called),
                "{methods:?} {scope:?} {called}: {found:?}"
            );
        }
    }
}

#[test]
fn a_key_of_nears_api_reaches_the_default_module_alone() {
    let world = world_with(scoped(&[], NamespaceScope::Named));
    let run = |method: &str| signed("bob.near", vec![call(method, b"", 0, 5 * TGAS)]);
    assert!(world.execute(&run("run")).is_ok());
    let error = refused(&world, &run("treasury:run"));
    assert!(matches!(error, InvalidTransaction::NamespaceMismatch { .. }), "{error}");
    let world = world_with(scoped(&["run", "swap:*"], NamespaceScope::Named));
    assert!(world.execute(&run("run")).is_ok());
    assert!(world.execute(&run("swap:stop")).is_ok());
    for method in ["stop", "treasury:run", "*:run"] {
        let error = refused(&world, &run(method));
        assert!(matches!(error, InvalidTransaction::MethodNameMismatch { .. }), "{error}");
    }
}

#[test]
fn a_key_of_a_home_of_before_keeps_what_it_could() {
    #[derive(borsh::BorshSerialize)]
    enum Before {
        #[expect(dead_code, reason = "the tag of the other variant counts")]
        FullAccess,
        FunctionCall {
            allowance: Option<u128>,
            receiver: AccountId,
            methods: Vec<String>,
            namespaces: Vec<Namespace>,
        },
    }
    for (names, scope) in [
        (&[][..], NamespaceScope::All),
        (&["swap", ""], NamespaceScope::Listed(listed(&["swap", ""]))),
    ] {
        let stored = borsh::to_vec(&Before::FunctionCall {
            allowance: Some(7),
            receiver: id("bob.near"),
            methods: vec!["run".to_owned()],
            namespaces: listed(names),
        })
        .unwrap();
        let found: Permission = borsh::from_slice(&stored).unwrap();
        let Permission::FunctionCall { namespaces, .. } = &found else { panic!("{found:?}") };
        assert_eq!(*namespaces, scope);
        // It is written again at each use, and stays what it is.
        assert_eq!(borsh::to_vec(&found).unwrap(), stored);
    }
    for scope in [NamespaceScope::Named, NamespaceScope::Listed(vec![]), NamespaceScope::All] {
        let stored = borsh::to_vec(&scope).unwrap();
        assert_eq!(stored.len(), 4);
        assert_eq!(borsh::from_slice::<NamespaceScope>(&stored).unwrap(), scope);
    }
}

#[test]
fn a_key_for_calls_does_nothing_else() {
    let world = world_with(limited(None, &["run"], &[]));
    let run = |method: &str, deposit| vec![call(method, b"", deposit, 5 * TGAS)];
    assert!(world.execute(&signed("bob.near", run("run", 0))).is_ok());
    let error = refused(&world, &signed("bob.near", run("swap:run", 0)));
    assert!(matches!(error, InvalidTransaction::MethodNameMismatch { .. }), "{error}");
    let error = refused(&world, &signed("bob.near", run("stop", 0)));
    assert!(matches!(error, InvalidTransaction::MethodNameMismatch { .. }), "{error}");
    let error = refused(&world, &signed("bob.near", run("run", 1)));
    assert!(matches!(error, InvalidTransaction::DepositWithFunctionCall), "{error}");
    let error = refused(&world, &signed("alice.near", run("run", 0)));
    assert!(matches!(error, InvalidTransaction::ReceiverMismatch { .. }), "{error}");
    let error = refused(&world, &signed("bob.near", vec![Action::Transfer { deposit: 1 }]));
    assert!(matches!(error, InvalidTransaction::RequiresFullAccess), "{error}");
    let mut unknown = signed("bob.near", run("run", 0));
    unknown.signer_key = Some(key(2));
    let error = refused(&world, &unknown);
    assert!(matches!(error, InvalidTransaction::AccessKeyNotFound { .. }), "{error}");
}

#[test]
fn an_allowance_pays_for_what_is_burnt_and_no_more() {
    let world = world_with(limited(Some(NEAR), &[], &[]));
    let run = |gas| signed("bob.near", vec![call("run", b"", 0, gas)]);
    let outcome = world.execute(&run(50 * TGAS)).unwrap();
    let spent = u128::from(outcome.gas_total()) * GAS_PRICE;
    let kept = world.state().unwrap().access_key(&id("alice.near"), &key(1)).unwrap().unwrap();
    assert_eq!(kept.permission, limited(Some(NEAR - spent), &[], &[]));
    let error = refused(&world, &run(1_000 * TGAS));
    assert!(matches!(error, InvalidTransaction::NotEnoughAllowance { .. }), "{error}");
}

#[test]
fn every_transaction_has_a_nonce_and_a_hash_of_its_own() {
    let world = world_with(Permission::FullAccess);
    let nonce = || {
        let found = world.state().unwrap().access_key(&id("alice.near"), &key(1)).unwrap();
        found.unwrap().nonce
    };
    let before = nonce();
    let transaction = signed("bob.near", vec![Action::Transfer { deposit: 1 }]);
    let (first, second) =
        (world.execute(&transaction).unwrap(), world.execute(&transaction).unwrap());
    assert_ne!(first.hash, second.hash);
    assert_eq!(nonce(), before + 2);
}

#[test]
fn a_key_without_namespaces_uses_as_much_storage_as_on_near() {
    let usage = |permission| {
        let world = world_with(permission);
        let before =
            world.state().unwrap().account(&id("alice.near")).unwrap().unwrap().storage_usage;
        run(&world, "alice.near", "alice.near", vec![Action::DeleteKey { public_key: key(1) }]);
        let after =
            world.state().unwrap().account(&id("alice.near")).unwrap().unwrap().storage_usage;
        assert_eq!(after, 100);
        before - after
    };
    assert_eq!(usage(Permission::FullAccess), 33 + 40 + 9);
    // nonce, kind, allowance, receiver, one method.
    let near = 8 + 1 + 17 + (4 + 8) + 4 + (4 + 3);
    assert_eq!(usage(limited(Some(NEAR), &["run"], &[])), 33 + 40 + near);
    assert_eq!(usage(scoped(&["run"], NamespaceScope::All)), 33 + 40 + near - 16);
    assert_eq!(usage(scoped(&["run"], NamespaceScope::Listed(vec![]))), 33 + 40 + near - 16);
    assert_eq!(usage(limited(Some(NEAR), &["run"], &["swap"])), 33 + 40 + near + 4 + (4 + 4));
}

#[test]
fn nobody_signs_for_more_than_there_is() {
    let world = world(&["alice.near"]);
    let pay = |signer, deposit| from_to(signer, "alice.near", vec![Action::Transfer { deposit }]);
    let error = refused(&world, &pay("alice.near", 1_000 * NEAR));
    assert!(matches!(error, InvalidTransaction::NotEnoughBalance { .. }), "{error}");
    let error = refused(&world, &pay("nobody.near", 1));
    assert!(matches!(error, InvalidTransaction::AccountDoesNotExist { .. }), "{error}");
    let error = refused(&world, &pay("system", 1));
    assert!(matches!(error, InvalidTransaction::SystemAccount), "{error}");
    let error = world.ensure_account(&id("system"), NEAR).unwrap_err();
    assert!(matches!(error, RuntimeError::Invalid(InvalidTransaction::SystemAccount)), "{error}");
    let deploy = vec![deploy("", Visibility::Public, &vec![0; 2_000_000])];
    let error = refused(&world, &from_to("alice.near", "alice.near", deploy));
    assert!(matches!(error, InvalidTransaction::TransactionSizeExceeded { .. }), "{error}");
}
