//! Receipts that wait for each other: order, results, yields, shared gas.

use super::*;

fn calls(world: &Runtime<Scripts>) -> Vec<String> {
    world.machine().calls.borrow().clone()
}

#[test]
fn a_callback_runs_after_what_it_waits_for_and_gets_its_value() {
    let world = world(&["alice.near", "bob.near"]);
    let machine = world.machine();
    machine.on("alice.near", "start", |guest| {
        let first = guest.promise("bob.near", &[], vec![call("get", b"", 0, 5 * TGAS)]);
        let then = guest.promise("alice.near", &[first], vec![call("back", b"", 0, 5 * TGAS)]);
        guest.value = ReturnData::ReceiptIndex(then);
    });
    machine.on("bob.near", "get", |guest| {
        assert_eq!(guest.context.output_data_receivers, [id("alice.near")]);
        guest.returns(b"42");
    });
    machine.on("alice.near", "back", |guest| {
        assert!(guest.context.output_data_receivers.is_empty());
        let text = format!("got {:?} for {}", guest.results(), guest.context.predecessor);
        guest.returns(text.as_bytes());
    });
    let outcome = run(&world, "alice.near", "alice.near", vec![call("start", b"", 0, 100 * TGAS)]);
    let at = outcome.block_height;
    // The call in the transaction's block, for the signer calls itself; a block later what it called, and another one later
    // with its data the callback.
    let expected = [(0, "start"), (2, "back")];
    let heights: Vec<String> = vec![
        format!("alice.near.{}@{}", expected[0].1, at + expected[0].0),
        format!("bob.near.get@{}", at + 1),
        format!("alice.near.{}@{}", expected[1].1, at + expected[1].0),
    ];
    assert_eq!(calls(&world), heights);
    assert!(matches!(outcome.root().unwrap().status, Status::SuccessReceipt(_)));
    let value = b"got [\"42\"] for alice.near".to_vec();
    assert_eq!(outcome.status(), Some(&Status::SuccessValue(value)));
    assert_eq!(waiting(&world), 0);
}

#[test]
fn results_of_promise_and_come_in_the_order_in_which_they_were_joined() {
    let world = world(&["alice.near", "bob.near", "carol.near"]);
    let machine = world.machine();
    machine.on("alice.near", "start", |guest| {
        let slow = guest.promise("bob.near", &[], vec![call("slow", b"", 0, 20 * TGAS)]);
        let fails = guest.promise("carol.near", &[], vec![call("missing", b"", 0, 5 * TGAS)]);
        let moves = guest.promise("carol.near", &[], vec![Action::Transfer { deposit: 1 }]);
        guest.promise("alice.near", &[slow, fails, moves], vec![call("back", b"", 0, 5 * TGAS)]);
    });
    machine.on("bob.near", "slow", |guest| {
        let next = guest.promise("carol.near", &[], vec![call("late", b"", 0, 5 * TGAS)]);
        guest.value = ReturnData::ReceiptIndex(next);
    });
    machine.on("carol.near", "late", |guest| guest.returns(b"late"));
    machine.on("alice.near", "back", |guest| {
        let text = format!("{:?}", guest.results());
        guest.log(text);
    });
    let outcome = run(&world, "alice.near", "alice.near", vec![call("start", b"", 0, 100 * TGAS)]);
    let back = outcome.receipts.iter().find(|one| !one.logs.is_empty()).unwrap();
    assert_eq!(back.logs, ["[\"late\", \"failed\", \"\"]"]);
    assert_eq!(back.block_height, outcome.block_height + 3);
    assert_eq!(waiting(&world), 0);
}

#[test]
fn receipts_run_first_in_first_out() {
    let world = world(&["alice.near", "bob.near"]);
    let machine = world.machine();
    machine.on("alice.near", "start", |guest| {
        for method in ["one", "two", "three"] {
            guest.promise("bob.near", &[], vec![call(method, b"", 0, 5 * TGAS)]);
        }
    });
    for method in ["one", "two", "three"] {
        machine.on("bob.near", method, move |guest| guest.log(method));
    }
    let outcome = run(&world, "alice.near", "alice.near", vec![call("start", b"", 0, 100 * TGAS)]);
    let logs: Vec<_> = outcome.receipts.iter().flat_map(|one| one.logs.clone()).collect();
    assert_eq!(logs, ["one", "two", "three"]);
}

#[test]
fn a_failed_call_keeps_its_logs_and_drops_what_it_did() {
    let world = world(&["alice.near", "bob.near"]);
    world.machine().on("bob.near", "run", |guest| {
        guest.log("before");
        guest.write(b"key", b"value");
        guest.promise("alice.near", &[], vec![Action::Transfer { deposit: 1 }]);
        guest.abort = Some("HostError.GuestPanic".into());
    });
    let outcome = run(&world, "alice.near", "bob.near", vec![call("run", b"", 0, 50 * TGAS)]);
    let root = outcome.root().unwrap();
    assert_eq!(root.logs, ["before"]);
    assert_eq!(failure_code(root), "HostError.GuestPanic");
    assert!(matches!(&root.status, Status::Failure(failure) if failure.action_index == Some(0)));
    let state = world.state().unwrap();
    assert_eq!(state.value(&id("bob.near"), &Namespace::DEFAULT, b"key").unwrap(), None);
    assert!(outcome.receipts[1..].iter().all(ReceiptOutcome::is_refund));
}

#[test]
fn a_batch_returns_the_receipt_of_its_last_call() {
    let world = world(&["alice.near", "bob.near"]);
    let machine = world.machine();
    machine.on("bob.near", "first", |guest| {
        guest.promise("alice.near", &[], vec![Action::Transfer { deposit: 1 }]);
        guest.promise("alice.near", &[], vec![Action::Transfer { deposit: 2 }]);
    });
    machine.on("bob.near", "second", |guest| {
        let index = guest.promise("bob.near", &[], vec![call("value", b"", 0, 5 * TGAS)]);
        guest.value = ReturnData::ReceiptIndex(index);
    });
    machine.on("bob.near", "value", |guest| guest.returns(b"v"));
    let actions = vec![call("first", b"", 0, 50 * TGAS), call("second", b"", 0, 50 * TGAS)];
    let outcome = run(&world, "alice.near", "bob.near", actions);
    assert_eq!(outcome.status(), Some(&Status::SuccessValue(b"v".to_vec())));
    let seeds = machine.seeds.borrow();
    assert_ne!(seeds[0], seeds[1]);
    let root = outcome.root().unwrap();
    let seed = [root.block_height.to_le_bytes().as_slice(), root.id.as_bytes()].concat();
    assert_eq!(seeds[0], CryptoHash::hash_bytes(&seed).0);
}

fn with_yields(world: &Runtime<Scripts>) {
    let machine = world.machine();
    machine.on("bob.near", "wait", |guest| {
        guest.yields(b"name", "back");
        guest.value = ReturnData::ReceiptIndex(0);
    });
    machine.on("bob.near", "resume", |guest| {
        let data_id = CryptoHash::hash_bytes(b"name");
        let known = guest.state.yield_exists(&guest.context.account, &data_id).unwrap();
        guest.resume(data_id, b"answer");
        guest.resume(data_id, b"second answer");
        guest.returns(if known { b"known" } else { b"unknown" });
    });
    machine.on("bob.near", "back", |guest| {
        let text = format!("{:?}", guest.results());
        guest.log(text.clone());
        guest.returns(text.as_bytes());
    });
}

#[test]
fn a_yield_waits_until_it_is_resumed_once() {
    let world = world(&["alice.near", "bob.near"]);
    with_yields(&world);
    let before = tokens(&world);
    let first = run(&world, "alice.near", "bob.near", vec![call("wait", b"", 0, 50 * TGAS)]);
    assert_eq!(first.status(), None);
    let height = world.head().unwrap().height;
    world.advance_blocks(50).unwrap();
    assert_eq!(world.head().unwrap().height, height + 50);
    let second = run(&world, "alice.near", "bob.near", vec![call("resume", b"", 0, 50 * TGAS)]);
    assert_eq!(second.status(), Some(&Status::SuccessValue(b"known".to_vec())));
    let back = second.others.iter().find(|one| !one.is_refund()).unwrap();
    assert_eq!(back.transaction, first.hash);
    assert_eq!(back.logs, ["[\"answer\"]"]);
    let third = run(&world, "alice.near", "bob.near", vec![call("resume", b"", 0, 50 * TGAS)]);
    assert_eq!(third.status(), Some(&Status::SuccessValue(b"unknown".to_vec())));
    assert!(third.others.is_empty());
    assert!(world.advance_blocks(1_000).unwrap().is_empty());
    let gone = lost_in(&first) + lost_in(&second) + lost_in(&third);
    assert_eq!(before as i128 - tokens(&world) as i128, gone);
}

#[test]
fn a_yield_that_nobody_resumes_fails_when_its_time_is_over() {
    let world = world(&["alice.near", "bob.near"]);
    with_yields(&world);
    let outcome = run(&world, "alice.near", "bob.near", vec![call("wait", b"", 0, 50 * TGAS)]);
    let blocks = world.schedule().vm.limit_config.yield_timeout_length_in_blocks;
    let made = outcome.root().unwrap().block_height;
    let passed = world.head().unwrap().height - made;
    assert!(world.advance_blocks(blocks - passed - 1).unwrap().is_empty());
    let ran = world.advance_blocks(1).unwrap();
    assert_eq!(ran[0].logs, ["[\"failed\"]"]);
    assert_eq!(ran[0].block_height, made + blocks + 1);
    assert_eq!(ran[0].transaction, outcome.hash);
    assert!(world.advance_blocks(1_000).unwrap().is_empty());
}

#[test]
fn a_yield_can_be_resumed_by_the_call_that_made_it() {
    let world = world(&["alice.near", "bob.near"]);
    with_yields(&world);
    world.machine().on("bob.near", "both", |guest| {
        let data_id = guest.yields(b"name", "back");
        guest.resume(data_id, b"at once");
        guest.value = ReturnData::ReceiptIndex(0);
    });
    let outcome = run(&world, "alice.near", "bob.near", vec![call("both", b"", 0, 50 * TGAS)]);
    assert_eq!(outcome.status(), Some(&Status::SuccessValue(b"[\"at once\"]".to_vec())));
    assert!(world.advance_blocks(1_000).unwrap().is_empty());
    assert_eq!(waiting(&world), 0);
}

#[test]
fn an_answer_takes_an_index_that_no_receipt_has() {
    let world = world(&["alice.near", "bob.near"]);
    with_yields(&world);
    world.machine().on("bob.near", "answer_and_call", |guest| {
        guest.resume(CryptoHash::hash_bytes(b"name"), b"answer");
        let first = guest.promise("alice.near", &[], vec![Action::Transfer { deposit: 1 }]);
        let then = guest.promise("bob.near", &[first], vec![call("back", b"", 0, 5 * TGAS)]);
        guest.value = ReturnData::ReceiptIndex(then);
    });
    run(&world, "alice.near", "bob.near", vec![call("wait", b"", 0, 50 * TGAS)]);
    let outcome =
        run(&world, "alice.near", "bob.near", vec![call("answer_and_call", b"", 0, 50 * TGAS)]);
    assert_eq!(outcome.status(), Some(&Status::SuccessValue(b"[\"\"]".to_vec())));
    assert!(outcome.others.iter().any(|one| one.logs == ["[\"answer\"]"]));
}

#[test]
fn an_answer_in_the_last_moment_beats_the_timeout() {
    let world = world(&["alice.near", "bob.near"]);
    with_yields(&world);
    let first = run(&world, "alice.near", "bob.near", vec![call("wait", b"", 0, 50 * TGAS)]);
    let blocks = world.schedule().vm.limit_config.yield_timeout_length_in_blocks;
    let expires_at = first.root().unwrap().block_height + blocks;
    world.advance_blocks(expires_at - 1 - world.head().unwrap().height).unwrap();
    // The block of this transaction ends the yield's time; its call runs before the timeout, a block later.
    let second = run(&world, "alice.near", "bob.near", vec![call("resume", b"", 0, 50 * TGAS)]);
    assert_eq!(second.block_height, expires_at);
    assert_eq!(second.status(), Some(&Status::SuccessValue(b"known".to_vec())));
    let logs: Vec<_> = second.others.iter().flat_map(|one| one.logs.clone()).collect();
    assert_eq!(logs, ["[\"answer\"]"]);
    assert_eq!(waiting(&world), 0);
}

#[test]
fn two_yields_of_one_name_do_not_meet() {
    let world = world(&["alice.near", "bob.near"]);
    with_yields(&world);
    run(&world, "alice.near", "bob.near", vec![call("wait", b"", 0, 50 * TGAS)]);
    let outcome = run(&world, "alice.near", "bob.near", vec![call("wait", b"", 0, 50 * TGAS)]);
    assert_eq!(failure_code(outcome.root().unwrap()), "YieldAlreadyPending");
}

/// Two calls of one receipt: the first yields and lets its own receipt be the value of nothing, the second answers.
fn yield_then(world: &Runtime<Scripts>, second: &str) -> TransactionOutcome {
    with_yields(world);
    world.machine().on("bob.near", "wait", |guest| {
        guest.yields(b"name", "back");
    });
    let actions = vec![call("wait", b"", 0, 50 * TGAS), call(second, b"", 0, 50 * TGAS)];
    run(world, "alice.near", "bob.near", actions)
}

#[test]
fn a_later_action_of_the_same_receipt_sees_and_resumes_a_yield() {
    let world = world(&["alice.near", "bob.near"]);
    let before = tokens(&world);
    let outcome = yield_then(&world, "resume");
    assert_eq!(outcome.status(), Some(&Status::SuccessValue(b"known".to_vec())));
    let logs: Vec<_> = outcome.receipts.iter().flat_map(|one| one.logs.clone()).collect();
    assert_eq!(logs, ["[\"answer\"]"]);
    assert!(world.advance_blocks(1_000).unwrap().is_empty());
    assert_eq!(waiting(&world), 0);
    assert_eq!(before as i128 - tokens(&world) as i128, lost_in(&outcome));
}

#[test]
fn a_later_action_that_fails_takes_the_yield_and_its_answer_back() {
    let world = world(&["alice.near", "bob.near"]);
    world.machine().on("bob.near", "fail", |guest| {
        guest.resume(CryptoHash::hash_bytes(b"name"), b"answer");
        guest.abort = Some("HostError.GuestPanic".into());
    });
    let outcome = yield_then(&world, "fail");
    assert_eq!(failure_code(outcome.root().unwrap()), "HostError.GuestPanic");
    assert_eq!(waiting(&world), 0);
}

#[test]
fn before_protocol_83_a_later_action_sees_no_yield() {
    let world = world_of(Arc::new(MemoryStore::new(82).unwrap()), &["alice.near", "bob.near"]);
    let outcome = yield_then(&world, "resume");
    assert_eq!(outcome.status(), Some(&Status::SuccessValue(b"unknown".to_vec())));
}

#[test]
fn the_time_of_an_answered_yield_is_not_that_of_the_next_of_its_name() {
    let world = world(&["alice.near", "bob.near"]);
    yield_then(&world, "resume");
    world.advance_blocks(100).unwrap();
    let second = run(&world, "alice.near", "bob.near", vec![call("wait", b"", 0, 50 * TGAS)]);
    let blocks = world.schedule().vm.limit_config.yield_timeout_length_in_blocks;
    let made = second.root().unwrap().block_height;
    let ran = world.advance_blocks(blocks).unwrap();
    assert_eq!(ran[0].block_height, made + blocks + 1);
}

#[test]
fn unused_gas_is_shared_out_by_weight_and_the_rest_goes_to_the_last() {
    let receipt = |weights: &[u64]| {
        let mut receipt = PendingReceipt::new(id("bob.near"), vec![]);
        receipt.actions = weights.iter().map(|weight| weighted("m", 10, *weight)).collect();
        receipt
    };
    let mut receipts = [receipt(&[1, 0]), receipt(&[2])];
    assert_eq!(super::super::call::share_out(100, &mut receipts), 100);
    let gas =
        |action: &Action| if let Action::FunctionCall { gas, .. } = action { *gas } else { 0 };
    let shares: Vec<_> = receipts.iter().flat_map(|one| &one.actions).map(gas).collect();
    assert_eq!(shares, [43, 10, 77]);
    assert_eq!(super::super::call::share_out(100, &mut [receipt(&[0])]), 0);

    let world = world(&["alice.near", "bob.near"]);
    world.machine().on("alice.near", "start", |guest| {
        guest.promise("bob.near", &[], vec![weighted("all", 0, 1)]);
    });
    world.machine().on("bob.near", "all", |guest| guest.returns(&guest.context.gas.to_le_bytes()));
    let outcome = run(&world, "alice.near", "alice.near", vec![call("start", b"", 0, 100 * TGAS)]);
    let root = &outcome.root().unwrap().executions[0];
    assert_eq!(root.gas_used, 100 * TGAS);
    let Status::SuccessValue(gas) = &outcome.receipts[1].status else { panic!("{outcome:?}") };
    let gas = u64::from_le_bytes(gas.as_slice().try_into().unwrap());
    let receipt = crate::fees::prepaid(world.schedule(), &[weighted("all", 0, 1)], &id("bob.near"));
    assert_eq!(gas, 100 * TGAS - TGAS - receipt);
}

#[test]
fn a_receipt_beyond_the_limits_fails_the_call_that_made_it() {
    let world = world(&["alice.near", "bob.near"]);
    world.machine().on("bob.near", "run", |guest| {
        guest.promise("alice.near", &[], vec![call("x", b"", 0, 0)]);
    });
    let outcome = run(&world, "alice.near", "bob.near", vec![call("run", b"", 0, 50 * TGAS)]);
    assert_eq!(failure_code(outcome.root().unwrap()), "NewReceiptValidationError");
}
