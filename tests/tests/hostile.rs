//! Every attacker of `docs/hostile.md`, rows 1 to 29, against a host with all engines: refused at deploy with
//! a full report, or ended with exact gas and the same outcome everywhere; the host goes on.

use cotenant_contracts::{Expect, attackers};
use cotenant_host::engine::EngineKind;
use cotenant_host::runtime::{Status, Transaction};
use cotenant_host::{Call, Host, HostError, Options};
use cotenant_submodules::{ModuleId, Visibility};

const GAS: u64 = 1_000_000_000_000_000;

fn id(text: &str) -> ModuleId {
    text.parse().unwrap()
}

fn bystander(host: &Host) {
    let code = wat::parse_str(r#"(module (func (export "run")))"#).unwrap();
    let outcome = host.deploy(&id("bystander.near"), Visibility::Public, &code).unwrap();
    assert!(matches!(outcome.status(), Some(Status::SuccessValue(_))));
}

/// A host an engine, so that none sees what another wrote.
fn hosts() -> Vec<(EngineKind, Host)> {
    let host = |engine| {
        let options = Options { engines: vec![engine], ..Options::default() };
        (engine, Host::in_memory(&options).unwrap())
    };
    EngineKind::ALL.map(host).into()
}

/// Why the hosts refuse a deploy; they agree, whichever engine they have.
fn deploy(
    hosts: &[(EngineKind, Host)],
    module: &ModuleId,
    visibility: Visibility,
    code: &[u8],
) -> Option<String> {
    let mut reports: Vec<Option<String>> = Vec::new();
    for (_, host) in hosts {
        reports.push(match host.deploy(module, visibility, code) {
            Err(HostError::Deploy(failed)) => Some(failed.failure.message.clone()),
            // Over NEAR's limit on transactions.
            Err(error) => Some(error.to_string()),
            Ok(_) => None,
        });
    }
    assert!(reports.windows(2).all(|pair| pair[0] == pair[1]), "{module}: {reports:?}");
    reports.swap_remove(0)
}

#[test]
fn public_attackers_are_refused_or_end_alike_on_every_engine() {
    let hosts = hosts();
    hosts.iter().for_each(|(_, host)| bystander(host));
    let mut wrong = Vec::new();
    for attacker in attackers() {
        println!("{}", attacker.name);
        let account = format!("{}.near", attacker.name.replace('.', "_"));
        let module = id(&account);
        let report = deploy(&hosts, &module, Visibility::Public, &attacker.bytes);
        let mut endings = Vec::new();
        if report.is_none() {
            for (_, host) in &hosts {
                let outcome = host.call(&Call::new(module.clone(), "run").gas(GAS)).unwrap();
                let root = outcome.root().unwrap();
                endings.push((format!("{:?}", root.status), root.gas_vm));
            }
        }
        let found = match (&report, endings.first()) {
            (Some(_), _) => Expect::Refused,
            (None, Some((status, _))) if status.starts_with("Success") => Expect::Runs,
            _ => Expect::Traps,
        };
        let agree = endings.windows(2).all(|pair| pair[0] == pair[1]);
        if format!("{found:?}") != format!("{:?}", attacker.expect) || !agree {
            wrong.push(format!(
                "{}: expected {:?}, found {found:?}: {report:?} {endings:?}",
                attacker.name, attacker.expect
            ));
        }
        for (_, host) in &hosts {
            let outcome = host.call(&Call::new(id("bystander.near"), "run")).unwrap();
            assert!(matches!(outcome.status(), Some(Status::SuccessValue(_))), "{}", attacker.name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn private_attackers_are_refused_or_end_alike_on_every_engine() {
    let hosts = hosts();
    let driver = cotenant_contracts::driver();
    assert_eq!(deploy(&hosts, &id("alice.near"), Visibility::Public, driver), None);
    let mut wrong = Vec::new();
    for attacker in attackers() {
        println!("{}", attacker.name);
        let module = id("alice.near:attacker");
        let report = deploy(&hosts, &module, Visibility::Private, &attacker.bytes);
        let mut endings = Vec::new();
        if report.is_none() {
            let mut input = vec![8];
            input.extend_from_slice(b"attacker");
            input.push(3);
            input.extend_from_slice(b"run");
            for (_, host) in &hosts {
                let call = Call::new(id("alice.near"), "drive").args(input.clone()).gas(GAS);
                let outcome = host.call(&call).unwrap();
                let root = outcome.root().unwrap();
                endings.push((format!("{:?}", root.status), root.gas_vm));
            }
        }
        let refused = matches!(attacker.expect_private, Expect::Refused);
        if refused != report.is_some() || !endings.windows(2).all(|pair| pair[0] == pair[1]) {
            wrong.push(format!(
                "{}: expected {:?}: {report:?} {endings:?}",
                attacker.name, attacker.expect_private
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_namespace_that_is_no_name_is_refused() {
    for name in ["Swap", "../x", "a\0b", "a b", &"a".repeat(65)] {
        assert!(format!("alice.near:{name}").parse::<ModuleId>().is_err(), "{name}");
    }
}

#[test]
fn a_transaction_of_nothing_or_to_nobody_changes_nothing() {
    let host = Host::in_memory(&Options::default()).unwrap();
    bystander(&host);
    let before = host.runtime().digest().unwrap();
    let transaction = Transaction {
        signer: "nobody.near".parse().unwrap(),
        signer_key: None,
        receiver: "bystander.near".parse().unwrap(),
        actions: vec![],
    };
    assert!(host.runtime().execute(&transaction).is_err());
    assert_eq!(host.runtime().digest().unwrap(), before);
}
