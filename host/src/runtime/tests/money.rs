//! What things cost, what comes back, and that nothing is lost on the way.

use super::*;
use near_parameters::ActionCosts;
use proptest::prelude::*;

fn fee(world: &Runtime<Scripts>, cost: ActionCosts) -> (u64, u64) {
    let fee = world.schedule().fees.fee(cost);
    (fee.send_fee(false).gas.as_gas(), fee.exec_fee().gas.as_gas())
}

#[test]
fn a_transfer_costs_its_fees_at_the_price_of_gas() {
    let world = world(&["alice.near", "bob.near"]);
    let outcome =
        run(&world, "alice.near", "bob.near", vec![Action::Transfer { deposit: 5 * NEAR }]);
    let (receipt, transfer) =
        (fee(&world, ActionCosts::new_action_receipt), fee(&world, ActionCosts::transfer));
    assert_eq!(outcome.gas_burnt, receipt.0 + transfer.0);
    let root = outcome.root().unwrap();
    assert_eq!(root.gas_burnt, receipt.1 + transfer.1);
    let names: Vec<_> = root.fees.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["new_action_receipt", "transfer"]);
    // NEAR's known number: 223,182,562,500 gas to send, the same to execute.
    assert_eq!(outcome.gas_total(), 2 * 223_182_562_500);
    let price = u128::from(outcome.gas_total()) * GAS_PRICE;
    assert_eq!(balance(&world, "alice.near"), 995 * NEAR - price);
    assert_eq!(balance(&world, "bob.near"), 1_005 * NEAR);
}

#[test]
fn unused_gas_comes_back_one_block_later() {
    let world = world(&["alice.near", "bob.near"]);
    world.machine().on("bob.near", "run", |_| {});
    let outcome = run(&world, "alice.near", "bob.near", vec![call("run", b"", 0, 100 * TGAS)]);
    let [root, refund] = outcome.receipts.as_slice() else { panic!("{outcome:?}") };
    assert_eq!(
        (root.block_height, refund.block_height),
        (outcome.block_height + 1, outcome.block_height + 2)
    );
    assert!(refund.is_refund() && refund.gas_burnt == 0 && refund.fees.is_empty());
    assert_eq!(root.gas_vm, TGAS);
    let fees: u64 = root.fees.iter().map(|item| item.gas).sum();
    assert_eq!(root.gas_burnt, TGAS + fees);
    let price = u128::from(outcome.gas_total()) * GAS_PRICE;
    assert_eq!(balance(&world, "alice.near"), 1_000 * NEAR - price);
    assert_eq!(lost_in(&outcome), price as i128);
}

#[test]
fn a_contract_is_rewarded_before_protocol_87_alone() {
    for (protocol, percent) in [(63, 30), (82, 30), (88, 0)] {
        let world =
            world_of(Arc::new(MemoryStore::new(protocol).unwrap()), &["alice.near", "bob.near"]);
        world.machine().on("bob.near", "run", |_| {});
        let before = tokens(&world);
        let outcome = run(&world, "alice.near", "bob.near", vec![call("run", b"", 0, 100 * TGAS)]);
        let reward = u128::from(TGAS) * GAS_PRICE * percent / 100;
        assert_eq!(balance(&world, "bob.near"), 1_000 * NEAR + reward, "{protocol}");
        assert_eq!(before as i128 - tokens(&world) as i128, lost_in(&outcome));
    }
}

#[test]
fn a_new_account_costs_its_charge() {
    let world = world(&["alice.near"]);
    let actions = vec![Action::CreateAccount, Action::Transfer { deposit: NEAR }];
    let outcome = run(&world, "alice.near", "sub.alice.near", actions);
    assert_eq!(balance(&world, "sub.alice.near"), NEAR);
    let root = outcome.root().unwrap();
    let create = u128::from(fee(&world, ActionCosts::create_account).1) * GAS_PRICE;
    let charge = world.schedule().runtime.account_creation_charge.as_yoctonear() - create;
    assert_eq!(root.tokens_burnt, u128::from(root.gas_burnt) * GAS_PRICE + charge);
}

#[test]
fn a_deposit_comes_back_when_its_receipt_fails() {
    let world = world(&["alice.near", "bob.near"]);
    let outcome =
        run(&world, "alice.near", "bob.near", vec![call("missing", b"", 7 * NEAR, 10 * TGAS)]);
    assert_eq!(failure_code(outcome.root().unwrap()), "MethodResolveError.MethodNotFound");
    assert_eq!(balance(&world, "bob.near"), 1_000 * NEAR);
    let price = u128::from(outcome.gas_total()) * GAS_PRICE;
    assert_eq!(balance(&world, "alice.near"), 1_000 * NEAR - price);
}

#[test]
fn a_refund_that_reaches_nobody_is_burnt() {
    let world = world(&["alice.near", "bob.near"]);
    let before = tokens(&world);
    let outcome = run(
        &world,
        "alice.near",
        "alice.near",
        vec![Action::DeleteAccount { beneficiary: id("no.near") }],
    );
    assert!(outcome.receipts.iter().filter(|one| one.is_refund()).all(|one| one.tokens_burnt > 0));
    assert_eq!(before as i128 - tokens(&world) as i128, lost_in(&outcome));
    assert_eq!(tokens(&world), 1_000 * NEAR);
}

#[test]
fn gas_reserved_for_what_is_not_carried_out_comes_back() {
    let world = world(&["alice.near", "bob.near"]);
    world.machine().on("bob.near", "run", |guest| {
        guest.reserved = 3 * TGAS;
        guest.promise(
            "bob.near",
            &[],
            vec![Action::Unsupported { name: "UseGlobal".into(), deposit: 4 }],
        );
    });
    let before = tokens(&world);
    let outcome = run(&world, "alice.near", "bob.near", vec![call("run", b"", 0, 100 * TGAS)]);
    assert_eq!(failure_code(&outcome.receipts[1]), "Unsupported");
    assert_eq!(before as i128 - tokens(&world) as i128, lost_in(&outcome));
    assert_eq!(balance(&world, "bob.near"), 1_000 * NEAR);
}

#[test]
fn the_yoctonear_that_an_empty_account_is_lent_is_counted() {
    let world = world(&["alice.near", "bob.near"]);
    world.ensure_account(&id("zero.near"), 0).unwrap();
    world.machine().on("bob.near", "pay", |_| {});
    world.machine().on("zero.near", "run", |guest| {
        guest.lent = 1;
        guest.promise("bob.near", &[], vec![call("pay", b"", 1, 5 * TGAS)]);
    });
    let before = tokens(&world);
    let outcome = run(&world, "alice.near", "zero.near", vec![call("run", b"", 0, 50 * TGAS)]);
    assert_eq!(outcome.root().unwrap().tokens_minted, 1);
    assert_eq!(balance(&world, "bob.near"), 1_000 * NEAR + 1);
    assert_eq!(before as i128 - tokens(&world) as i128, lost_in(&outcome));
    // More than that is a miscount.
    world.machine().on("zero.near", "run", |guest| {
        guest.lent = 2;
        guest.promise("bob.near", &[], vec![call("pay", b"", 2, 5 * TGAS)]);
    });
    let outcome = run(&world, "alice.near", "zero.near", vec![call("run", b"", 0, 50 * TGAS)]);
    assert_eq!(failure_code(outcome.root().unwrap()), HOST_FAULT);
    assert_eq!(balance(&world, "bob.near"), 1_000 * NEAR + 1);
}

#[test]
fn a_machine_that_miscounts_ends_the_receipt_by_a_fault() {
    let world = world(&["alice.near", "bob.near"]);
    world.machine().on("bob.near", "run", |guest| guest.reserved = 1);
    let before = tokens(&world);
    let outcome = run(&world, "alice.near", "bob.near", vec![call("run", b"", 0, 100 * TGAS)]);
    assert_eq!(failure_code(outcome.root().unwrap()), HOST_FAULT);
    assert_eq!(before as i128 - tokens(&world) as i128, lost_in(&outcome));
}

const ACCOUNTS: [&str; 3] = ["alice.near", "bob.near", "carol.near"];

/// A guest that does what the bytes of its input say.
fn interpreter(guest: &mut Guest) {
    let program = guest.context.input.clone();
    let mut bytes = program.into_iter();
    let mut next = || bytes.next().unwrap_or(0);
    guest.burnt = u64::from(next()) * TGAS / 50;
    for _ in 0..next() % 4 {
        let receiver = ACCOUNTS[usize::from(next()) % 3];
        let made = guest.receipts.len() as u64;
        let after: Vec<u64> =
            if made > 0 && next() % 2 == 0 { vec![u64::from(next()) % made] } else { vec![] };
        let deposit = u128::from(next()) * NEAR / 10;
        let action = match next() % 6 {
            0 => Action::Transfer { deposit },
            1 => Action::Unsupported { name: "X".into(), deposit },
            2 => call("missing", b"", deposit, TGAS),
            3 => weighted("act", TGAS, 1 + u64::from(next())),
            4 => Action::CreateAccount,
            _ => {
                let args: Vec<u8> = (0..next() % 12).map(|_| next()).collect();
                call("act", &args, deposit, 20 * TGAS)
            }
        };
        guest.promise(receiver, &after, vec![action]);
    }
    match next() % 5 {
        0 => guest.abort = Some("GuestPanic".into()),
        1 if !guest.receipts.is_empty() => {
            guest.value = ReturnData::ReceiptIndex(guest.receipts.len() as u64 - 1);
        }
        2 => guest.write(b"key", b"value"),
        3 => {
            guest.yields(&guest.context.random_seed.clone(), "act");
        }
        _ => guest.returns(b"done"),
    }
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (0u128..50).prop_map(|deposit| Action::Transfer { deposit: deposit * NEAR }),
        (0u128..1_200).prop_map(|stake| Action::Stake {
            amount: stake * NEAR,
            public_key: PublicKey::empty(KeyType::ED25519)
        }),
        Just(Action::CreateAccount),
        Just(Action::DeleteAccount { beneficiary: id("bob.near") }),
        (1usize..3_000).prop_map(|bytes| deploy("swap", Visibility::Private, &vec![b'x'; bytes])),
        (prop::collection::vec(any::<u8>(), 0..60), 0u128..20, 1u64..300)
            .prop_map(|(args, deposit, gas)| call("act", &args, deposit * NEAR, gas * TGAS)),
    ]
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let receiver = prop_oneof![Just(0usize), Just(1), Just(2), Just(3)];
    (0usize..3, receiver, prop::collection::vec(action(), 1..4)).prop_map(
        |(signer, receiver, actions)| {
            let receiver = ["alice.near", "bob.near", "carol.near", "new.alice.near"][receiver];
            from_to(ACCOUNTS[signer], receiver, actions)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_token_is_lost_or_made(
        transactions in prop::collection::vec(transaction(), 1..6),
        protocol in prop::sample::select(vec![63u32, 82, 88]),
    ) {
        let world = world_of(Arc::new(MemoryStore::new(protocol).unwrap()), &ACCOUNTS);
        for account in ACCOUNTS.iter().chain(&["new.alice.near"]) {
            world.machine().on(account, "act", interpreter);
        }
        for transaction in &transactions {
            let (before, digest) = (tokens(&world), world.digest().unwrap());
            match world.execute(transaction) {
                Ok(outcome) => {
                    prop_assert_eq!(before as i128 - tokens(&world) as i128, lost_in(&outcome));
                    let gas: u128 = u128::from(outcome.gas_total()) * GAS_PRICE;
                    prop_assert!(outcome.others.is_empty());
                    prop_assert!(lost_in(&outcome) <= outcome.tokens_burnt as i128 + gas as i128
                        + outcome.receipts.iter().map(|one| one.tokens_burnt as i128).sum::<i128>());
                }
                Err(RuntimeError::Invalid(_)) => prop_assert_eq!(world.digest().unwrap(), digest),
                Err(RuntimeError::Fault(fault)) => prop_assert!(false, "{}", fault),
            }
        }
        let before = tokens(&world);
        let timeouts = world.advance_blocks(1_000).unwrap();
        prop_assert_eq!(before as i128 - tokens(&world) as i128, lost(&timeouts));
    }
}
