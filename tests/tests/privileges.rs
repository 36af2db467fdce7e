//! Who may reach what: nobody does by another's hands what it may not do by its own. Sync calls of all kinds against the
//! naive model, and the contracts of this project asked by strangers to do for them what they do for their account.

use cotenant_gas::Schedule;
use cotenant_host::action::{Action, Permission};
use cotenant_host::engine::EngineKind;
use cotenant_host::registry::Registry;
use cotenant_host::runtime::{InvalidTransaction, RuntimeError, Status, Transaction};
use cotenant_host::{Call, Host, Options};
use cotenant_submodules::model::privileges;
use cotenant_submodules::{DeployMode, ModuleId, Visibility};
use cotenant_tests::programs::{Case, deploy, observe};
use cotenant_tests::world::Source;
use near_crypto::{ED25519PublicKey, PublicKey};
use std::rc::Rc;
use std::sync::Arc;

const TGAS: u64 = 1_000_000_000_000;
/// One question in so many on wasmi too, which fills 64 MiB with zeros for every public frame.
const INTERPRETED_EVERY: usize = 37;

fn id(text: &str) -> ModuleId {
    text.parse().unwrap()
}

#[test]
fn every_kind_of_question_is_answered_as_the_model_says() {
    let schedule = Schedule::for_protocol(88).unwrap();
    let registry = Arc::new(Registry::in_memory(schedule.clone(), &EngineKind::ALL));
    let (mut program, methods) = privileges::account();
    methods[0].clone_into(&mut program.root_method);
    let mut case = Case::new(&program).expect("prices decide nothing here");
    let account = Rc::new(deploy(&registry, &case.program).unwrap());
    for (at, method) in methods.iter().enumerate() {
        case.enter(method);
        let on = |engine| {
            let source = Rc::new(Source(registry.clone()));
            observe(&case, &schedule, source, account.clone(), engine)
                .unwrap_or_else(|error| panic!("{method}: {error}"))
        };
        let gas = on(EngineKind::Cranelift);
        if at % INTERPRETED_EVERY == 0 {
            assert_eq!(on(EngineKind::Wasmi), gas, "{method}");
        }
    }
}

/// A host an engine.
fn hosts() -> Vec<Host> {
    let host = |engine| {
        let options = Options { engines: vec![engine], ..Options::default() };
        Host::in_memory(&options).unwrap()
    };
    [EngineKind::Cranelift, EngineKind::Wasmi].map(host).into()
}

fn call(host: &Host, signer: &str, module: &str, method: &str, args: &str) -> Status {
    let mut call = Call::new(id(module), method).args(args).gas(200 * TGAS);
    call.signer = Some(signer.parse().unwrap());
    let outcome = host.call(&call).unwrap();
    let failed = outcome.receipts.iter().map(|receipt| &receipt.status);
    let failed = failed.into_iter().find(|status| matches!(status, Status::Failure(_)));
    failed.or(outcome.status()).unwrap().clone()
}

fn text(status: &Status) -> String {
    match status {
        Status::SuccessValue(value) => String::from_utf8_lossy(value).into_owned(),
        other => format!("{other:?}"),
    }
}

fn put(host: &Host, module: &str, visibility: Visibility, code: &[u8]) {
    let outcome = host.deploy(&id(module), visibility, code).unwrap();
    assert!(matches!(outcome.status(), Some(Status::SuccessValue(_))), "{module}: {outcome:?}");
}

fn counted(host: &Host) -> String {
    text(&call(host, "carol.near", "alice.near:counter", "get", "{}"))
}

/// The set-up of the README: a router, and a counter whose owner is the account.
fn routed() -> Vec<Host> {
    let hosts = hosts();
    for host in &hosts {
        put(host, "alice.near", Visibility::Public, cotenant_contracts::router());
        put(host, "alice.near:counter", Visibility::Public, cotenant_contracts::counter());
        put(host, "alice.near:nested", Visibility::Private, cotenant_contracts::nested_caller());
        call(host, "alice.near", "alice.near:counter", "new", "{}");
        call(host, "bob.near", "alice.near:counter", "increment", "{}");
        assert_eq!(counted(host), "1");
    }
    hosts
}

/// All that the router does with a namespace that its caller names.
const ROUTES: [(&str, &str); 16] = [
    ("call", r#"{"namespace":"counter","method":"reset","args":""}"#),
    ("call", r#"{"namespace":"counter","method":"reset","args":"","opening":{"public":true}}"#),
    ("call", r#"{"namespace":"counter","method":"reset","args":"","opening":{"grants":16}}"#),
    ("call", r#"{"namespace":"counter","method":"reset","args":"","opening":{"grants":31}}"#),
    ("nested", r#"{"namespace":"counter","method":"reset","args":""}"#),
    ("nested", r#"{"namespace":"counter","method":"reset","args":"","opening":{"public":true}}"#),
    ("interleave", r#"{"namespace":"counter","method":"reset","args":["",""]}"#),
    (
        "interleave",
        r#"{"namespace":"counter","method":"reset","args":[""],"opening":{"public":true}}"#,
    ),
    ("nep481_call", r#"{"namespace":"counter","method":"reset","args":""}"#),
    ("nep481_start_twice", r#"{"namespace":"counter","method":"reset","args":""}"#),
    ("close_early", r#"{"namespace":"counter","method":"reset","args":"","steps":1}"#),
    ("abandon", r#"{"namespace":"counter","method":"reset","args":"","count":1,"steps":1}"#),
    (
        "write_then_call",
        r#"{"key":"k","value":"v","namespace":"counter","method":"reset","args":""}"#,
    ),
    // `nested` is granted everything and asks for `counter reset `.
    ("nested", r#"{"namespace":"nested","method":"forward_all","args":"Y291bnRlciByZXNldCA="}"#),
    // The router itself, which would then ask in its account's name.
    (
        "call",
        r#"{"namespace":"","method":"nep481_call","args":"eyJuYW1lc3BhY2UiOiJjb3VudGVyIiwibWV0aG9kIjoicmVzZXQiLCJhcmdzIjoiIn0="}"#,
    ),
    (
        "promise",
        r#"{"account":"alice.near","method":"counter:reset","args":"e30=","gas":"20000000000000"}"#,
    ),
];

#[test]
fn a_stranger_does_nothing_through_the_router_that_it_may_not_do_itself() {
    for host in routed() {
        let direct = call(&host, "bob.near", "alice.near:counter", "reset", "{}");
        assert!(text(&direct).contains("only the owner"), "{direct:?}");
        for (method, args) in ROUTES {
            let status = call(&host, "bob.near", "alice.near", method, args);
            assert_eq!(counted(&host), "1", "{method} {args}: {}", text(&status));
        }
        // What is refused says why.
        let status = call(&host, "bob.near", "alice.near", ROUTES[0].0, ROUTES[0].1);
        assert!(text(&status).contains("PublicNotAsked"), "{}", text(&status));
    }
}

#[test]
fn the_account_itself_reaches_its_public_modules_where_it_says_so() {
    for host in routed() {
        for (at, (method, args)) in ROUTES.into_iter().enumerate() {
            let status = call(&host, "alice.near", "alice.near", method, args);
            let reset = counted(&host) == "0";
            let says = args.contains("public") || args.contains("31") || args.contains(":16");
            let may = says || method.starts_with("nep481") || method == "promise";
            assert_eq!(reset, may, "{at} {method} {args}: {}", text(&status));
            call(&host, "bob.near", "alice.near:counter", "increment", "{}");
            if !reset {
                call(&host, "alice.near", "alice.near:counter", "reset", "{}");
                call(&host, "bob.near", "alice.near:counter", "increment", "{}");
            }
        }
    }
}

fn install(host: &Host, signer: &str, namespace: &str, code: &[u8]) -> Status {
    use base64::Engine as _;
    let code = base64::engine::general_purpose::STANDARD.encode(code);
    let args = format!(r#"{{"namespace":"{namespace}","code":"{code}"}}"#);
    call(host, signer, "os.near", "install", &args)
}

fn succeeded(status: &Status) -> bool {
    matches!(status, Status::SuccessValue(_))
}

#[test]
fn an_app_takes_the_place_of_nothing_but_its_own() {
    let notes = cotenant_contracts::notes();
    let (counter, echo) = (cotenant_contracts::counter(), cotenant_contracts::echo());
    for host in hosts() {
        put(&host, "os.near", Visibility::Public, cotenant_contracts::apps());
        put(&host, "os.near:vault", Visibility::Public, counter);
        put(&host, "os.near:tool", Visibility::Private, echo);
        assert!(succeeded(&call(&host, "os.near", "os.near", "new", r#"{"open_to_all":true}"#)));
        let os = "os.near".parse().unwrap();
        let module = |name: &str| host.modules(&os).unwrap().remove(&name.parse().unwrap());
        let (vault, tool) = (module("vault"), module("tool"));
        // Not at the first try, not at the second when the name would be known, and not with the same code.
        for namespace in ["vault", "tool", "vault", "tool"] {
            let status = install(&host, "eve.near", namespace, notes);
            assert!(text(&status).contains("ModuleExists"), "{namespace}: {status:?}");
            assert!(!succeeded(&install(&host, "eve.near", namespace, echo)));
            assert_eq!((module("vault"), module("tool")), (vault.clone(), tool.clone()));
            let args = format!(r#"{{"namespace":"{namespace}"}}"#);
            assert!(!succeeded(&call(&host, "eve.near", "os.near", "uninstall", &args)));
            assert!(!succeeded(&call(&host, "eve.near", "os.near", "app", &args)));
            let args = format!(r#"{{"namespace":"{namespace}","publisher":"eve.near"}}"#);
            assert!(!succeeded(&call(&host, "eve.near", "os.near", "installed", &args)));
        }
        assert!(!succeeded(&install(&host, "eve.near", "", notes)));
        // A free name is the publisher's, who replaces and removes it; nobody else does.
        assert!(succeeded(&install(&host, "eve.near", "notes", notes)));
        assert!(!succeeded(&install(&host, "mallory.near", "notes", echo)));
        assert!(succeeded(&install(&host, "eve.near", "notes", echo)));
        assert!(succeeded(&call(
            &host,
            "eve.near",
            "os.near",
            "uninstall",
            r#"{"namespace":"notes"}"#
        )));
        assert_eq!(module("notes"), None);
        let run = r#"{"namespace":"notes","method":"len","args":""}"#;
        assert!(!succeeded(&call(&host, "eve.near", "os.near", "run", run)));
        // What the owner puts under a name that was an app's is no app, whatever its publisher does.
        for visibility in [Visibility::Public, Visibility::Private] {
            let code = if visibility == Visibility::Public { counter } else { echo };
            put(&host, "os.near:notes", visibility, code);
            let there = module("notes");
            assert!(!succeeded(&install(&host, "eve.near", "notes", notes)));
            assert!(!succeeded(&call(&host, "eve.near", "os.near", "run", run)));
            let args = r#"{"namespace":"notes"}"#;
            assert!(!succeeded(&call(&host, "eve.near", "os.near", "uninstall", args)));
            assert_eq!(module("notes"), there);
        }
        // Nor is a public module that the owner has put in the place of one that is installed.
        assert!(succeeded(&install(&host, "eve.near", "game", notes)));
        put(&host, "os.near:game", Visibility::Public, counter);
        let there = module("game");
        assert!(!succeeded(&install(&host, "eve.near", "game", notes)));
        assert_eq!(module("game"), there);
        // A refused name was never taken: it is free for who comes with code that is eligible.
        assert!(!succeeded(&install(&host, "mallory.near", "later", counter)));
        assert!(succeeded(&install(&host, "eve.near", "later", notes)));
    }
}

/// `deploy` deploys the smallest module to `x` with the flags of its input; `key` gives the account a
/// key for the methods that its input names.
const DEPLOYER: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "register_len" (func $register_len (param i64) (result i64)))
  (import "env" "read_register" (func $read_register (param i64 i64)))
  (import "env" "promise_batch_create" (func $batch (param i64 i64) (result i64)))
  (import "env" "promise_batch_action_deploy_module" (func $deploy (param i64 i64 i64 i64 i64 i64)))
  (import "env" "promise_batch_action_deploy_contract" (func $near_deploy (param i64 i64 i64)))
  (import "env" "promise_batch_action_add_key_with_function_call"
    (func $add_key (param i64 i64 i64 i64 i64 i64 i64 i64 i64)))
  (memory 1)
  (data (i32.const 0) "alice.near") (data (i32.const 16) "x") (data (i32.const 24) "\00asm\01\00\00\00")
  (data (i32.const 64) "\00\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07\07")
  (func (export "deploy")
    (call $input (i64.const 0)) (call $read_register (i64.const 0) (i64.const 1024))
    (call $deploy (call $batch (i64.const 10) (i64.const 0)) (i64.const 1) (i64.const 16)
      (i64.load (i32.const 1024)) (i64.const 8) (i64.const 24)))
  (func (export "near_deploy")
    (call $near_deploy (call $batch (i64.const 10) (i64.const 0)) (i64.const 8) (i64.const 24)))
  (func (export "key")
    (call $input (i64.const 0)) (call $read_register (i64.const 0) (i64.const 1024))
    (call $add_key (call $batch (i64.const 10) (i64.const 0)) (i64.const 33) (i64.const 64) (i64.const 0)
      (i64.const 512) (i64.const 10) (i64.const 0) (call $register_len (i64.const 0)) (i64.const 1024)))
  (func (export "vote")))"#;

#[test]
fn the_flags_of_a_deploy_are_what_it_may_replace() {
    let deployer = wat::parse_str(DEPLOYER).unwrap();
    let public = wat::parse_str("(module (func (export \"there\")))").unwrap();
    let kinds = [None, Some(Visibility::Public), Some(Visibility::Private)];
    for host in hosts() {
        put(&host, "alice.near", Visibility::Public, &deployer);
        for (flags, there) in (0..10_u64).flat_map(|flags| kinds.map(|there| (flags, there))) {
            let removal =
                Action::RemoveModule { namespace: "x".parse().unwrap(), keep_storage: false };
            let _ = transact(&host, None, removal);
            if let Some(there) = there {
                put(&host, "alice.near:x", there, &public);
            }
            let call =
                Call::new(id("alice.near"), "deploy").args(flags.to_le_bytes()).gas(200 * TGAS);
            let outcome = host.call(&call).unwrap();
            let codes = outcome.receipts.iter().filter_map(|receipt| match &receipt.status {
                Status::Failure(failure) => Some(failure.code.as_str()),
                _ => None,
            });
            let codes: Vec<_> = codes.collect();
            let mode = DeployMode::from_flags(flags);
            let expected = match mode {
                None => vec!["HostError.InvalidDeployFlags"],
                Some(mode) if there.is_some_and(|there| !mode.replace.allows(there)) => {
                    vec!["ModuleExists"]
                }
                Some(_) => vec![],
            };
            assert_eq!(codes, expected, "{flags} {there:?}");
            let found =
                host.modules(&"alice.near".parse().unwrap()).unwrap().remove(&"x".parse().unwrap());
            let now = if expected.is_empty() { mode.map(|mode| mode.visibility) } else { there };
            assert_eq!(found.map(|module| module.visibility), now, "{flags} {there:?}");
        }
        // NEAR's own function replaces the contract, as on NEAR.
        let replaced =
            host.call(&Call::new(id("alice.near"), "near_deploy").gas(200 * TGAS)).unwrap();
        assert!(matches!(replaced.status(), Some(Status::SuccessValue(_))), "{replaced:?}");
        assert!(!replaced.receipts.iter().any(|one| matches!(one.status, Status::Failure(_))));
    }
}

fn transact(
    host: &Host,
    signer_key: Option<PublicKey>,
    action: Action,
) -> Result<cotenant_host::runtime::TransactionOutcome, RuntimeError> {
    let alice = || "alice.near".parse().unwrap();
    let actions = vec![action];
    host.runtime().execute(&Transaction { signer: alice(), signer_key, receiver: alice(), actions })
}

#[test]
fn a_key_that_nears_function_adds_reaches_the_modules_it_names() {
    let deployer = wat::parse_str(DEPLOYER).unwrap();
    let key = PublicKey::ED25519(ED25519PublicKey([7; 32]));
    for (names, reached) in [
        ("", vec!["vote"]),
        ("vote", vec!["vote"]),
        ("treasury:vote", vec!["treasury:vote"]),
        ("swap:*", vec!["swap:vote"]),
        ("vote,swap:vote", vec!["vote", "swap:vote"]),
    ] {
        let host = &hosts()[0];
        for module in ["alice.near", "alice.near:treasury", "alice.near:swap"] {
            put(host, module, Visibility::Public, &deployer);
        }
        let outcome =
            host.call(&Call::new(id("alice.near"), "key").args(names).gas(200 * TGAS)).unwrap();
        assert!(matches!(outcome.status(), Some(Status::SuccessValue(_))), "{outcome:?}");
        let found = host.state().unwrap().access_key(&"alice.near".parse().unwrap(), &key).unwrap();
        assert!(matches!(found.unwrap().permission, Permission::FunctionCall { .. }));
        for method in ["vote", "treasury:vote", "swap:vote"] {
            let (deposit, weight, gas) = (0, 0, 20 * TGAS);
            let vote =
                Action::FunctionCall { method: method.into(), args: vec![], deposit, gas, weight };
            match transact(host, Some(key.clone()), vote) {
                Ok(_) => assert!(reached.contains(&method), "{names}: {method}"),
                Err(RuntimeError::Invalid(
                    InvalidTransaction::NamespaceMismatch { .. }
                    | InvalidTransaction::MethodNameMismatch { .. },
                )) => assert!(!reached.contains(&method), "{names}: {method}"),
                Err(error) => panic!("{names}: {method}: {error}"),
            }
        }
    }
}
